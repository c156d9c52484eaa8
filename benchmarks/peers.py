"""The same job through the package, through tweepy with requests, and through twarc: effort, cost, and what faults do.

    python benchmarks/peers.py                          20,000 rows; twelve faults, in both dialects
    python benchmarks/peers.py --environments FOLDER    keep the environments of tweepy and twarc, or use those there
    python benchmarks/peers.py --write                  and put the tables into docs/comparison.md

The far side is the sandbox, on this machine, which knows the truth about every ID. Each way (`peer_ways.py` holds them)
is a fresh process. Waiting costs nothing here, so a job that never becomes complete is looked at 30 times before its
upload window closes. A fault that did not happen, or a way that is wrong without any fault, ends the benchmark.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from peer_ways import WAYS, statements
from pipeline import table

from xcompliance_pd.protocol import TOKEN_VARIABLES
from xcompliance_pd.sandbox import Server
from xcompliance_pd.sandbox.faults import Fault

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "comparison.md"
MARKS = ("<!-- figures: written by benchmarks/peers.py -->\n", "<!-- end of figures -->\n")
NAMES = {"ours": "xcompliance_pd", "tweepy": "tweepy and requests", "twarc": "twarc and pandas"}
NEEDED = {
    "tweepy": ["tweepy", f"pandas=={pd.__version__}", f"numpy=={np.__version__}"],
    "twarc": ["twarc==2.14.*", "setuptools<81"],  # it imports pkg_resources
}
DIALECTS = ("gcs", "xapi")
LOOKS_MAX, PATIENCE = 30, 120.0
FOREIGN = '{"id":"20","action":"delete","created_at":"2006-03-21T20:50:14.000Z","reason":"deleted"}'


class Files(NamedTuple):
    """What a job's two files held."""

    upload: bytes
    results: bytes


class Trouble(NamedTuple):
    """What is done to one request of a job; `fault` is told which files the way has without it."""

    name: str
    operation: str
    fault: Callable[[Files], Fault]


def _half(file: bytes) -> int:
    """Return where the last line of the first half ends."""
    return file.rindex(b"\n", 0, len(file) // 2) + 1


TROUBLES = (
    Trouble("create: 503 once", "create", lambda _: "return-503"),
    Trouble("look: 503 once", "get", lambda _: "return-503"),
    Trouble("look: 429 once, for 15 minutes", "get", lambda _: "too-many:900"),
    Trouble("upload: 503 once", "upload", lambda _: "return-503"),
    Trouble("upload: connection reset once", "upload", lambda _: "reset"),
    Trouble("upload: confirmed, though half of it was lost", "upload", lambda files: {"keep": _half(files.upload)}),
    Trouble("download: 503 once", "download", lambda _: "return-503"),
    Trouble("results: cut in a line, short of the length told, once", "download", lambda _: "cut:-60"),
    Trouble(
        "results: cut at a line's end, no length told, once",
        "download",
        lambda files: [{"truncate": _half(files.results)}, "close"],
    ),
    Trouble("results: one bit of an ID differs, once", "download", lambda _: "flip:20"),
    Trouble("results: one record too many, about a foreign ID", "download", lambda _: [{"line": FOREIGN}, "prove"]),
    Trouble("results: those of another job", "download", lambda _: ["other-ids", "prove"]),
)


class Outcome(NamedTuple):
    """What a way came to: how it reads in the table, and the cost."""

    text: str
    seconds: float
    bytes: float
    waits: float
    files: Files | None


class PatientClock:
    """The service's time: as ever, until the one job was looked at too often; then its upload window has closed."""

    server: Server  # which needs a clock before it is there

    def __call__(self) -> float:
        return time.time() + (901 if self.server.service.requests["get"] > LOOKS_MAX else 0)


class Ways:
    """Goes the ways, each in a fresh process of its own environment, and judges them by the truth."""

    def __init__(self, rows: int, folder: Path, environments: Path) -> None:
        self._pythons = {"ours": Path(sys.executable)}
        self._pythons |= {name: environment(environments / name, needed) for name, needed in NEEDED.items()}
        self._folder = folder
        self._posts = folder / "posts.txt"
        chance = np.random.default_rng(1)
        self._ids = chance.integers(29_700_859_247, 1_874_000_000_000_000_000, rows).astype(str)
        self._posts.write_text("".join(f"{id}\n" for id in self._ids))

    def go(self, way: str, dialect: str, trouble: Trouble | None = None, files: Files | None = None) -> Outcome:
        """Go a way, with one trouble if so said; `files` are then those of the way without any."""
        clock = PatientClock()
        clock.server = server = Server(dialect=dialect, complete_after=1, clock=clock)
        with server:
            if trouble is not None and files is not None:
                server.script(trouble.operation, spoken(trouble.fault(files), dialect))
            out = self._folder / "out.csv"
            out.unlink(missing_ok=True)
            began = time.perf_counter()
            failed, reports = self._run(way, server, out)
            seconds = time.perf_counter() - began
            server.assert_all_fired()
            had = [Files(job.upload.data, job.result.data) for job in server.service.jobs if job.upload and job.result]
            text = failed or self._judged(server, out)
        cost = {key: [report[key] for report in reports] for key in ("bytes", "waits")}
        return Outcome(text, seconds, max(cost["bytes"], default=0), sum(cost["waits"]), had[-1] if had else None)

    def versions(self) -> dict[str, str]:
        """Return the version of each way's package."""
        code = "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))"
        found = {}
        for way, python in self._pythons.items():
            command = [python, "-c", code, "xcompliance-pd" if way == "ours" else way]
            found[way] = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603
        return found

    def _run(self, way: str, server: Server, out: Path) -> tuple[str, list[dict[str, float]]]:
        """Return how the way failed, if it did, and what its processes reported."""
        report = self._folder / "twarc.json"
        report.unlink(missing_ok=True)
        programs = self._programs(server.url, report)
        world = {**os.environ, "PATH": os.pathsep.join([str(programs), os.environ.get("PATH", "")])}
        world |= dict.fromkeys(TOKEN_VARIABLES, server.token)
        python = self._pythons["tweepy" if way == "tweepy" else "ours"]  # for twarc's output any pandas will do
        command = [python, HERE / "peer_ways.py", way, self._posts, server.url, out]
        try:
            done = subprocess.run(command, capture_output=True, check=False, env=world, timeout=PATIENCE)  # noqa: S603
        except subprocess.TimeoutExpired:
            return "does not end", []
        if done.returncode:
            return "error told", []
        reports = [json.loads(done.stdout.splitlines()[-1])]
        return "", reports + ([json.loads(report.read_text())] if way == "twarc" else [])

    def _programs(self, url: str, report: Path) -> Path:
        """Return a folder with a `twarc2` that reaches this URL in the place of X, and writes a report."""
        program = self._folder / "programs" / "twarc2"
        program.parent.mkdir(exist_ok=True)
        lines = [
            f"#!{self._pythons['twarc']}",
            "import sys, pathlib",
            f"sys.path.insert(0, {str(HERE)!r})",
            "import peer_ways",
            f"peer_ways.twarc_command({url!r}, pathlib.Path({str(report)!r}))",
        ]
        program.write_text("\n".join([*lines, ""]))
        program.chmod(0o755)
        return program.parent

    def _judged(self, server: Server, out: Path) -> str:
        """Compare each row with the truth."""
        rows = pd.read_csv(out, dtype=str, keep_default_na=False)
        truth = server.expected(self._ids)[["status", "action", "reason"]].fillna("")
        truth = truth.set_axis(self._ids).loc[rows["id"]].reset_index(drop=True)
        open_there, open_here = truth["status"] == "unchecked", rows["status"] == "unchecked"
        rows["same"] = (rows[list(truth)] == truth).all(axis=1) | (open_here & open_there)
        rows["unchecked"] = open_here & ~open_there
        # An ID with two records has two rows after a merge; it is enough that one of them is right.
        got = rows.groupby("id", sort=False)[["same", "unchecked"]].any()
        assert got.index.tolist() == self._ids.tolist()  # noqa: S101
        said = []
        if wrong := int((~got["unchecked"] & ~got["same"]).sum()):
            said.append(f"**{_rows(wrong)} WRONG, silently**")
        if more := len(rows) - len(got):
            said.append(f"{_rows(more)} too many")
        if unchecked := int(got["unchecked"].sum()):
            said.append(f"{_rows(unchecked)} unchecked")
        return ", ".join(said) or "right"


def spoken(fault: Fault, dialect: str) -> Fault:
    """Return the fault as this dialect can have it: only storage has checksums to prove anything with."""
    if isinstance(fault, str | Mapping) or dialect == "gcs":
        return fault
    return [part for part in fault if part != "prove"]


def _rows(count: int) -> str:
    return f"{count:,} row{'s' if count != 1 else ''}"


def environment(folder: Path, needed: Sequence[str]) -> Path:
    """Return the Python of an environment with these packages; it is made if it is not there."""
    python = folder / "bin" / "python"
    if not python.exists():
        print(f"making an environment with {', '.join(needed)}", flush=True)
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *needed], check=True)  # noqa: S603
    return python


def measure(ways: Ways, rounds: int) -> tuple[dict[str, list[Outcome]], dict[str, dict[str, list[Outcome]]]]:
    """Return the outcomes of each way without a fault, round by round; and, by dialect and fault, of each way."""
    clean: dict[str, list[Outcome]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way in WAYS:  # in turns, so that what slows the machine slows all
            clean[way].append(ways.go(way, "gcs"))
            if clean[way][-1].text != "right":
                raise SystemExit(f"{way} is not right without any fault: {clean[way][-1].text}")
    spoilt: dict[str, dict[str, list[Outcome]]] = {}
    for dialect in DIALECTS:
        without = [ways.go(way, dialect) for way in WAYS]
        spoilt[dialect] = {"none": without}
        for trouble in TROUBLES:
            found = [ways.go(way, dialect, trouble, own.files) for way, own in zip(WAYS, without, strict=True)]
            spoilt[dialect][trouble.name] = found
            print(f"{dialect}, {trouble.name}: {', '.join(outcome.text for outcome in found)}", flush=True)
    return clean, spoilt


def tables(clean: Mapping[str, Sequence[Outcome]], spoilt: Mapping[str, Mapping[str, Sequence[Outcome]]]) -> str:
    """Return the tables as Markdown: one of the cost, one of the faults for each dialect."""

    def line(name: str, cell: Callable[[str], str]) -> list[str]:
        return [name, *(cell(way) for way in WAYS)]

    def middle(way: str, key: str) -> float:
        return float(median(getattr(outcome, key) for outcome in clean[way]))

    names = [NAMES[way] for way in WAYS]
    cost = [
        line("statements the user writes", lambda way: str(statements(WAYS[way]))),
        line("seconds of the whole process, waits left out", lambda way: f"{middle(way, 'seconds'):.1f}"),
        line("seconds of waiting asked for", lambda way: f"{middle(way, 'waits'):.0f}"),
        line("peak memory of the largest process, MB", lambda way: f"{middle(way, 'bytes') / 1e6:.0f}"),
    ]
    parts = [table(["", *names], cost)]
    for dialect, outcomes in spoilt.items():
        body = [[name, *(outcome.text for outcome in each)] for name, each in outcomes.items()]
        parts.append(table([f"fault, in the dialect {dialect}", *names], body))
    return "\n".join(parts)


def write(text: str) -> None:
    """Put the text between the marks of the page."""
    before, _, rest = PAGE.read_text().partition(MARKS[0])
    PAGE.write_text(before + MARKS[0] + text + MARKS[1] + rest.partition(MARKS[1])[2])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=float, default=20_000, help="rows of the dataset")
    parser.add_argument("--rounds", type=int, default=3, help="rounds without a fault, of which the median is taken")
    parser.add_argument("--environments", type=Path, help="where the environments of the others are, or are made")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/comparison.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        environments = options.environments or Path(folder) / "environments"
        ways = Ways(int(options.rows), Path(folder), environments.resolve())
        clean, spoilt = measure(ways, options.rounds)
        versions: Mapping[str, Any] = ways.versions()
    said = (
        f"`python benchmarks/peers.py --rows {int(options.rows)} --rounds {options.rounds}` on "
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"pandas {pd.__version__}; " + ", ".join(f"{NAMES[way].split()[0]} {versions[way]}" for way in WAYS) + ".\n"
    )
    text = f"{said}\n{tables(clean, spoilt)}"
    print(f"\n{text}", end="")
    if options.write:
        write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
