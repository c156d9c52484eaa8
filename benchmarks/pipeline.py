"""Time the whole way from a column of IDs to verdicts on the rows, beside two ways without this package.

    python benchmarks/pipeline.py                                         a million rows, a tenth of them listed
    python benchmarks/pipeline.py --rows 1e5 1e6 1e7 --listed 0.1 0.3 --rounds 3
    python benchmarks/pipeline.py --end-to-end --against samples          or --stages, to do half of it
    python benchmarks/pipeline.py --rows 1e5 1e6 1e7 --write              and put the figures into docs/performance.md

*samples* is what X's quick start teaches, *careful* what somebody does who knows pandas (`ways.py` holds all three).
The far side (`far_side.py`) is a local service that answers at once. Each way starts in a fresh process in each round,
one after the other, so that what slows the machine slows all; printed are medians. Memory is the most that the process
had above what it had with the frame loaded (on Linux only). Every outcome is compared with the truth: how many rows got
which action, and the sum of their IDs. The status is 1 if one is wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import stages
from far_side import FarSide

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "performance.md"
MARKS = ("<!-- figures: written by benchmarks/pipeline.py -->\n", "<!-- end of figures -->\n")


class Case(NamedTuple):
    """The medians of one size and share: seconds and bytes above the frame of each way, seconds of each stage."""

    rows: int
    listed: float
    seconds: dict[str, float]
    bytes: dict[str, float | None]
    stages: dict[str, float]

    @property
    def name(self) -> str:
        return f"{self.rows:,} rows, {self.listed:.0%} listed"


def go(way: str, far: FarSide) -> dict[str, Any]:
    """Go one way in a fresh process and return its report."""
    command = [sys.executable, str(HERE / "ways.py"), way, str(far.posts), far.url, far.token]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)  # noqa: S603
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def measure(rows: int, listed: float, ways: Sequence[str], rounds: int, by_stage: bool) -> tuple[Case, list[str]]:
    """Measure one size and share; return it, and which ways came to a wrong outcome."""
    with tempfile.TemporaryDirectory() as folder, FarSide(rows, listed, Path(folder)) as far:
        reports = [{way: go(way, far) for way in ways} for _ in range(rounds)]
        found = stages.measure(far, Path(folder), rounds) if by_stage else {}
        truth = far.truth
    wrong = sorted({way for each in reports for way, report in each.items() if report["outcome"] != truth})
    seconds = {way: median(each[way]["seconds"] for each in reports) for way in ways}
    known = [way for way in ways if all(each[way]["bytes"] is not None for each in reports)]
    most = {way: median(each[way]["bytes"] for each in reports) for way in known}
    return Case(rows, listed, seconds, {way: most.get(way) for way in ways}, found), wrong


# --------------------------------------------------------------------------- tables


def table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table whose columns are aligned, which a terminal shows as well."""
    widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
    ruler = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    rows = [
        " | ".join(cell.ljust(width) if n == 0 else cell.rjust(width) for n, (cell, width) in enumerate(zipped))
        for zipped in (list(zip(line, widths, strict=True)) for line in (head, ruler, *body))
    ]
    return "".join(f"| {row} |\n" for row in rows)


def end_to_end(cases: Sequence[Case]) -> str:
    head = ["", "seconds", "ns a row", "times ours", "bytes a row above the frame", "times ours"]
    body = []
    for case in cases:
        for way, seconds in case.seconds.items():
            used, least = case.bytes[way], case.bytes["ours"]
            memory = ["-", "-"] if used is None or not least else [f"{used / case.rows:.0f}", f"{used / least:.1f}"]
            per_row, ratio = f"{1e9 * seconds / case.rows:.0f}", f"{seconds / case.seconds['ours']:.1f}"
            body.append([f"{case.name}: {way}", f"{seconds:.2f}", per_row, ratio, *memory])
    return table(head, body)


def goals(cases: Sequence[Case]) -> str:
    """Return each goal that these cases can judge, with what was found."""
    body = []

    def judge(case: Case, what: str, goal: float, found: float | None, unit: str, *, least: bool = False) -> None:
        if found is not None:
            met = found >= goal if least else found <= goal
            asked = f"at {'least' if least else 'most'} {goal:g} {unit}"
            body.append(
                [f"{what} ({case.name})", asked, f"{found:.{1 if found < 100 else 0}f}", "yes" if met else "no"]
            )

    for case in cases:
        if case.rows < 1_000_000 or case.listed not in (0.1, 0.3):
            continue
        few = case.listed == 0.1
        own = case.seconds.get("ours")
        if own and case.rows == 10_000_000:
            times = {way: case.seconds[way] / own for way in case.seconds}
            judge(case, "faster than the samples", 12 if few else 14, times.get("samples"), "times", least=True)
            judge(case, "faster than the careful way", 6, times.get("careful") if few else None, "times", least=True)
        used = case.bytes.get("ours")
        judge(case, "memory above the frame", 64 if few else 80, used and used / case.rows, "bytes a row")
        if found := case.stages:
            row = {name: 1e9 * seconds / case.rows for name, seconds in found.items()}
            for kind, most in (("int64", 80), ("str", 110), ("object", 210)):
                judge(case, f"parse and unique, {kind}", most, row[f"parse and unique, {kind}"], "ns a row")
            judge(case, "encode", 15, row["encode"], "ns a row")
            judge(case, "upload", 60, 100 * row[stages.BARE] / row["upload"], "% of a bare socket", least=True)
            judge(case, "read results", 400, 1e9 * found["read results"] / found["lines"], "ns a line")
            judge(case, "join", 120 if few else 210, row["join"], "ns a row")
    own = {case.rows: case for case in reversed(cases) if "ours" in case.seconds}
    if 10**6 in own and 10**7 in own:
        growth = own[10**7].seconds["ours"] / own[10**6].seconds["ours"]
        judge(own[10**7], "growth from 1,000,000 rows", 14, growth, "times")
    return table(["goal", "asked", "found", "met"], body) if body else ""


def by_stage(cases: Sequence[Case]) -> str:
    parts = []
    for case in cases:
        if case.stages:
            head = [f"{case.name}", "ns a row", "copies", "sorts"]
            parts.append(table(head, stages.lines(case.stages, case.rows)))
    return "\n".join(parts)


# --------------------------------------------------------------------------- the page


def draw(cases: Sequence[Case], path: Path) -> None:
    """Draw seconds and memory of each way, for each case; the seconds on a logarithmic scale."""
    from matplotlib.figure import Figure

    looks = {"ours": ("#1b6ca8", ""), "samples": ("#d9822b", "//"), "careful": ("#7a7a7a", "..")}
    figure = Figure(figsize=(9, 6.2), layout="constrained")
    upper, lower = figure.subplots(2, 1)
    upper.set(title="Seconds from frame to frame", yscale="log")
    lower.set(title="Peak memory above the frame, bytes a row")
    width = 0.8 / len(cases[0].seconds)
    for n, way in enumerate(cases[0].seconds):
        color, hatch = looks[way]
        for axes, heights in (
            (upper, [case.seconds[way] for case in cases]),
            (lower, [(case.bytes[way] or np.nan) / case.rows for case in cases]),
        ):
            places = np.arange(len(cases)) + n * width
            bars = axes.bar(places, heights, width * 0.95, label=way, color=color, hatch=hatch, edgecolor="white")
            axes.bar_label(bars, [f"{height:.3g}" for height in heights], fontsize=7)
            middles = np.arange(len(cases)) + 0.4 - width / 2
            axes.set_xticks(middles, [case.name.replace(", ", "\n") for case in cases], fontsize=8)
    for axes in (upper, lower):
        axes.spines[["top", "right"]].set_visible(False)
        axes.margins(y=0.1)
    upper.legend(frameon=False)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def write(cases: Sequence[Case], text: str) -> None:
    """Put the figures between the marks of the page, and the picture beside it."""
    before, _, rest = PAGE.read_text().partition(MARKS[0])
    PAGE.write_text(before + MARKS[0] + text + MARKS[1] + rest.partition(MARKS[1])[2])
    if cases[0].seconds:
        draw(cases, PAGE.with_suffix(".png"))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=float, nargs="+", default=[1e6], help="rows of the datasets")
    parser.add_argument("--listed", type=float, nargs="+", default=[0.1], help="share of IDs that results list")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of which the median is taken")
    parser.add_argument("--against", default="samples,careful", help="the ways beside ours, with commas")
    parser.add_argument("--end-to-end", action="store_true", help="only the whole way")
    parser.add_argument("--stages", action="store_true", help="only the stages")
    parser.add_argument("--write", action="store_true", help="put the figures into docs/performance.md")
    options = parser.parse_args()
    ways = [] if options.stages else ["ours", *filter(None, options.against.split(","))]

    cases, bad = [], False
    for rows in options.rows:
        for listed in options.listed:
            case, wrong = measure(int(rows), listed, ways, options.rounds, not options.end_to_end)
            print(f"{case.name}: {'wrong: ' + ', '.join(wrong) if wrong else 'every outcome is right'}", flush=True)
            cases.append(case)
            bad |= bool(wrong)
    setup = (
        f"`python benchmarks/pipeline.py {' '.join(sys.argv[1:])}`, medians of {options.rounds} rounds, on "
        f"{os.cpu_count()} cores with Python {platform.python_version()}, numpy {np.__version__}, "
        f"pandas {pd.__version__}.\n"
    )
    parts = [setup, end_to_end(cases) if ways else "", by_stage(cases), goals(cases)]
    text = "\n".join(part for part in parts if part)
    print(text, end="")
    if options.write:
        write(cases, text)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
