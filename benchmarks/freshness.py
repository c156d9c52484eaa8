"""How long it takes to tell fresh IDs from those to be sent: `python benchmarks/freshness.py --ids 5e7`.

A ledger is made on disk as finished runs leave it, with made-up IDs of which a tenth is listed. Then all of its IDs
are asked about, and further ones, `--new` as a share: with the index of each batch lost, and there. In the layout "in
one run" the batches follow one another, as the check of one dataset leaves them; in "mixed" each has IDs from all over,
as checks of samples do. At the end comes a whole `check(max_age=)` of the old IDs alone, which sends nothing.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import resource
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

import xcompliance_pd as xc
from xcompliance_pd.digest import Grade
from xcompliance_pd.ids import Ints, Slice
from xcompliance_pd.ledger import Ledger
from xcompliance_pd.lifecycle import Phase, RunRecord
from xcompliance_pd.protocol import JobType
from xcompliance_pd.reuse import of_now

BATCH = 2_000_000
URL = "http://127.0.0.1:9"  # where nobody answers
FIRST = 1212092628029698048
LINE = (
    b'{"id":"%d","action":"delete","created_at":"2020-01-01T00:00:00.000Z",'
    b'"redacted_at":"2026-11-01T12:00:00.000Z","reason":"deleted"}\n'
)


def main() -> None:
    """Measure, and print a table for docs/performance.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ids", type=float, default=5e7)
    parser.add_argument("--new", type=float, default=0.02, help="the share of further IDs, which are not fresh")
    options = parser.parse_args()
    count, new = int(options.ids), int(options.ids * options.new)
    rng = np.random.default_rng(7)
    ids = FIRST + np.cumsum(rng.integers(1, 1 << 20, count + new))
    fresh = np.ones(len(ids), dtype=bool)
    fresh[rng.choice(len(ids), new, replace=False)] = False
    print(f"`python benchmarks/freshness.py --ids {options.ids:g} --new {options.new:g}`\n")
    print("| layout | what | seconds | ns an ID |\n|---|---|---:|---:|")
    for layout in ("in one run", "mixed"):
        with tempfile.TemporaryDirectory() as home:
            made(Path(home), ids[fresh], layout == "mixed")
            measure(home, ids, fresh, layout)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\nPeak memory of the process, which also made the ledgers: {peak:,.0f} MB.")


def measure(home: str, ids: Ints, fresh: np.ndarray, layout: str) -> None:
    """Time each way to ask, and hold what comes against the truth."""
    ledger, now = Ledger(home), time.time()

    def row(what: str, begun: float) -> float:
        seconds = time.perf_counter() - begun
        print(f"| {layout} | {what} | {seconds:.2f} | {1e9 * seconds / len(ids):.0f} |", flush=True)
        return seconds

    for what in ("which IDs to send, index lost: it is made anew", "which IDs to send, index there"):
        begun = time.perf_counter()
        left = of_now(ledger, URL, JobType.TWEETS, 86400.0, now).left(ids)
        telling = row(what, begun)
        assert np.array_equal(left, ids[~fresh])  # noqa: S101
    client = xc.Client(base_url=URL, home=home)
    frame = pd.DataFrame({"id": np.random.default_rng(1).permutation(ids)})
    begun = time.perf_counter()
    stale = xc.stale(frame, "id", "24h", client=client)
    row("`xc.stale`, rows in random order", begun)
    assert int(stale.sum()) == len(left)  # noqa: S101
    frame = frame[~stale]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        begun = time.perf_counter()
        checked = xc.check(frame, "id", client=client, max_age="24h")
        whole = row("`check(max_age=)` of what is fresh, rows in random order", begun)
    assert checked["compliance_status"].value_counts()["unchecked"] == 0  # noqa: S101
    print(f"| {layout} | of that, telling which IDs to send | {telling:.2f} | {telling / whole:.0%} |", flush=True)


def made(home: Path, ids: Ints, mixed: bool) -> None:
    """Make finished runs: one of many batches, or many of one batch each."""
    ledger = Ledger(home)
    batches = -(-len(ids) // BATCH)
    slices = [ids[n::batches] if mixed else ids[n * BATCH : (n + 1) * BATCH] for n in range(batches)]
    for number, run in enumerate([[each] for each in slices] if mixed else [slices]):
        record = RunRecord(f"sandbox-tweets-20261123-{number:08x}", JobType.TWEETS, URL, time.time(), 0, "", ())
        with ledger.making(record, [Slice(each, 0, 0) for each in run]) as planned:
            for each, batch in zip(run, planned.batches, strict=True):
                path = ledger.folder(record.id) / f"results-{batch.number}.ndjson"
                data = b"".join(lines(each[::10]))
                path.write_bytes(data)
                done = dataclasses.replace(
                    batch,
                    phase=Phase.DONE,
                    upload_proof="hash",
                    checked_at=time.time() - 3600 + number,
                    grade=Grade.HASH,
                    proved=True,
                    results_sha256=hashlib.sha256(data).hexdigest(),
                    results_bytes=len(data),
                    lines=len(each[::10]),
                    listed=len(each[::10]),
                )
                planned = planned.with_batch(done)
            ledger.save(planned)


def lines(ids: Ints) -> Iterator[bytes]:
    return (LINE % number for number in ids.tolist())


if __name__ == "__main__":
    main()
