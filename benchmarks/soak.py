"""Keep one client busy for a thousand jobs while each request may go wrong, and count what came of it.

    python benchmarks/soak.py --jobs 1000 --seed 0 --minutes 20

Runs of one batch and of three, of posts and of users, two at a time: one in the background, one blocking. Each request
meets a fault with a probability of 5 %: any of those in ``tests/faults.json`` that can be found out. A run that ends in
an error is opened and continued once, as a user would. Every row is compared with the truth, and every job with the
ledger. Memory, open files and threads (by psutil, of the extra `bench`) are taken after each round; their medians in
the last fifth of the rounds are compared with those in the second. The status is 1 if a row is wrong, a job is surplus,
or something grew; below some hundred jobs the client still opens its first connections, which counts as growth.

The far side is another process: it keeps every job, which must not pass for the client's memory. Both live in a time
that runs 250 times as fast, so real waits and upload windows pass soon. The seed settles rows and draws; which request
meets which draw depends on threads too.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
import warnings
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil

import xcompliance_pd as xc
from xcompliance_pd.lifecycle import job_name
from xcompliance_pd.runner import Clock
from xcompliance_pd.sandbox import Server
from xcompliance_pd.sandbox.fates import Fates
from xcompliance_pd.sandbox.faults import OPERATIONS, Script

CHANCE = 0.05  # of a fault, for each request
SPEED = 250.0  # how fast time runs
BATCH = 40  # IDs of a job
ALLOWED = (1.1, 1.0, 1.0)  # growth of memory, open files and threads
COLUMNS = ["status", "action", "reason", "created_at", "redacted_at"]
RANGES = {"tweets": (10**18, 2 * 10**18), "users": (10**3, 4 * 10**9)}
# These are found out because the next answer differs; drawn twice in a row, nothing could tell.
PAIRED = [["bare", *lost, "chunked"] for lost in (["truncate:-120"], ["lose-line"], ["lose-line"] * 2)]


def catalogue() -> dict[str, list[Any]]:
    """Return the distinct faults of each operation, without lies that nothing can detect or that change the truth."""
    cases = json.loads((Path(__file__).parents[1] / "tests" / "faults.json").read_text())["cases"]
    lies = [fault for case in cases if case["outcome"] == "L" or "first" in case for fault in case["faults"]]
    faults: dict[str, list[Any]] = {operation: [] for operation in OPERATIONS}
    for case in cases:
        for operation, listed in {case["operation"]: case["faults"], **case.get("with", {})}.items():
            for fault in listed:
                if fault not in ["ok", "return-empty", *lies, *PAIRED, *faults[operation]]:
                    faults[operation].append(fault)
    return faults


def kind(fault: Any) -> str:
    """Return the names of a fault's rules, without their arguments."""
    rules = fault if isinstance(fault, list) else [fault]
    return "+".join(rule.partition(":")[0] if isinstance(rule, str) else next(iter(rule)) for rule in rules)


class Dice(Script):
    """Draws for each request whether it meets a fault, and which."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.random, self.faults = np.random.default_rng(seed), catalogue()
        self.requests, self.met = 0, Counter[tuple[str, str]]()

    def play(self, handler: Any, body: bytes, deed: Any) -> None:
        operation, fault = handler.operation(), "ok"
        with self._lock:
            self.requests += 1
            if self.random.random() < CHANCE:
                fault = self.faults[operation][self.random.integers(len(self.faults[operation]))]
                self.met[operation, kind(fault)] += 1
        self.add(operation, fault)
        super().play(handler, body, deed)


def fast(began: float) -> float:
    return 1_790_000_000 + SPEED * (time.time() - began)  # dates in the catalogue are around then


def far_side(pipe: Any, seed: int, began: float) -> None:
    """Serve until asked what happened."""
    server = Server(complete_after=1, seed=seed, rate_limits=(10**6,) * 3, clock=lambda: fast(began))
    server._script = dice = Dice(seed)
    with server:
        pipe.send((server.token, server.url))
        pipe.recv()
    pipe.send(([job.name for job in server.service.jobs], dice.requests, dice.met, len(dice._misfires)))


class Soak:
    """A client, and the counts of what came of its runs."""

    def __init__(self, client: xc.Client, seed: int) -> None:
        self.client, self.random, self.fates = client, np.random.default_rng(seed), Fates(seed=seed)
        self.jobs = self.rows = 0
        self.runs, self.errors, self.unchecked = Counter[str](), Counter[str](), Counter[str]()
        self.wrong, self.samples = list[str](), list[tuple[float, ...]]()

    def round(self) -> None:
        """Check posts and users at the same time."""
        behind, ahead = self.random.permutation(list(RANGES)).tolist()
        first, second = self.frame(behind), self.frame(ahead)
        run = first.compliance.submit("id", type=behind, client=self.client)
        self.judge(second, ahead)
        self.judge(first, behind, run)
        process = psutil.Process()  # as it is between two runs: nothing is collected or closed for the occasion
        self.samples.append((process.memory_info().rss / 1e6, process.num_fds(), process.num_threads()))

    def frame(self, type: str) -> pd.DataFrame:
        rows = self.random.integers(*RANGES[type], self.random.choice([25, 40, 101, 120]))  # one batch or three
        return pd.DataFrame({"id": rows.astype(str)})

    def answer(self, frame: pd.DataFrame, type: str, run: xc.Run | None) -> tuple[pd.DataFrame, xc.Run]:
        """Return what the user gets in the end, and the run."""
        for again in ("", " again"):
            try:
                if run is None:
                    checked = frame.compliance.check("id", type=type, client=self.client)
                    return checked, self.client.open_run(checked["compliance_run"].cat.categories[0])
                if (error := run.exception()) is not None:  # join would go on without a word
                    raise error
                return frame.compliance.join("id", run), run
            except xc.ComplianceError as error:
                self.errors[error.__class__.__name__ + again] += 1
                run = self.client.open_run(error.run_id)
        return frame.compliance.join("id", run, partial=True), run

    def judge(self, frame: pd.DataFrame, type: str, run: xc.Run | None = None) -> None:
        """Compare a run with the truth; a row may stay unchecked only where its batch was not proved."""
        checked, run = self.answer(frame, type, run)
        truth, batches = self.fates.expected(frame["id"], type), run.record.batches
        ours = checked[[f"compliance_{name}" for name in COLUMNS]].set_axis(COLUMNS, axis=1).astype(object)
        right = truth[COLUMNS].astype(object)
        agrees = ((ours == right) | (ours.isna() & right.isna())).all(axis=1).to_numpy()
        why = np.array(["" if b.proved else b.reason or "given up" for b in batches], dtype=object)
        why = why[(frame["id"].astype("int64").rank(method="dense").to_numpy(dtype=int) - 1) // BATCH]
        status = checked["compliance_status"].to_numpy()
        excused = (status == "unchecked") & (why != "")
        self.rows += len(frame)
        self.jobs += sum(len(b.past_jobs) + (b.job_id is not None) for b in batches)
        self.runs[f"{type} in {len(batches)}"] += 1
        self.unchecked.update(text.lstrip("0123456789 ") for text in why[excused])
        for row in np.flatnonzero(~agrees & ~excused):
            self.wrong.append(f"{run.id}, ID {frame['id'][row]}: {status[row]}, not {truth['status'][row]}")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=1000, help="stop when so many jobs were made")
    parser.add_argument("--minutes", type=float, default=20.0, help="or when so much time has passed")
    parser.add_argument("--seed", type=int, default=0, help="seed of the rows and of the faults")
    options = parser.parse_args()
    os.environ["XCOMPLIANCE_PROGRESS"] = "none"
    warnings.simplefilter("ignore", xc.ComplianceWarning)  # what they tell is counted here

    context, began = multiprocessing.get_context("spawn"), time.time()
    pipe, end = context.Pipe()
    context.Process(target=far_side, args=(end, options.seed, began), daemon=True).start()
    clock = Clock(lambda: fast(began), lambda: fast(began), lambda stop, seconds: stop.wait(seconds / SPEED))
    with tempfile.TemporaryDirectory() as home:
        # Stalls last two real seconds, longer than the patience.
        client = xc.Client(*pipe.recv(), home, BATCH, poll_interval=2.0, http_timeout=(5.0, 1.0), clock=clock)
        soak = Soak(client, options.seed)
        while soak.jobs < options.jobs and time.time() < began + 60 * options.minutes:
            soak.round()
        seconds = time.time() - began
        pipe.send("enough")
        names, requests, met, misfires = pipe.recv()
        records = [client.open_run(run).record for run in client.runs().index]
        attempts = [(r, replace(b, attempt=n + 1)) for r in records for b in r.batches for n in range(b.attempt)]
        surplus = (Counter(names) - Counter(job_name(*attempt) for attempt in attempts)).total()  # one job for each

    for operation in OPERATIONS:
        kinds = {name: count for (where, name), count in met.most_common() if where == operation}
        print(f"{operation}: {sum(kinds.values())} faults: {kinds}")
    print(f"faults that found nothing to spoil, so that the answer was lost: {misfires}; runs: {dict(soak.runs)}")
    print(f"errors that the user saw: {dict(soak.errors)}; unchecked rows: {dict(soak.unchecked)}")
    sys.stderr.writelines(f"wrong: {text}\n" for text in soak.wrong[:5])
    fifth = len(soak.samples) // 5
    before, after = np.median(soak.samples[fifth : 2 * fifth], 0), np.median(soak.samples[-fifth:], 0)
    memory, files, threads = (f"{early:.4g}, then {late:.4g}" for early, late in zip(before, after, strict=True))
    print(
        f"| a soak of {len(names):,} jobs ({options.jobs:,} wanted) in {soak.runs.total():,} runs, {requests:,} "
        f"requests, {met.total():,} faults of {len(met)} kinds, {soak.unchecked.total():,} rows unchecked; memory "
        f"{memory} MB ({after[0] / before[0] - 1:+.1%}), files {files}, threads {threads}; {seconds:.0f} s "
        f"| {soak.rows:,} rows | {len(soak.wrong)} | {surplus} "
        f"| `python benchmarks/soak.py --jobs {options.jobs} --seed {options.seed}` |"
    )
    return 1 if soak.wrong or surplus or (after > before * ALLOWED).any() else 0


if __name__ == "__main__":
    sys.exit(main())
