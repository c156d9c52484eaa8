"""Check Parquet files on a Dask cluster, more than any of its processes could hold, and tell what it took.

    python benchmarks/dask_run.py                                    a million rows in ten files
    python benchmarks/dask_run.py --rows 1e8 --partitions 100

It makes the files, starts a service that answers at once (`far_side.py`) and a cluster of two worker processes of one
thread each, checks the IDs, writes the checked frame as Parquet, and compares every row with the truth: how many rows
got which action, the sum of their IDs, and that all others are compliant. It prints seconds, and the most memory that
each process ever had (VmHWM, so on Linux only). The driver is this process; Dask's scheduler is part of it. The status
is 1 if a row is wrong or a process of ours had more than three GiB.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from distributed import Client as Cluster
from distributed import LocalCluster
from far_side import FarSideByHash, fate, posts
from numpy.typing import NDArray

import xcompliance_pd as xc
import xcompliance_pd.dask_frames

LIMIT = 3 * 2**30  # bytes that no process of ours may exceed
FATES = ("compliant", "delete", "scrub_geo")


def make(folder: Path, rows: int, files: int, sums: Path, share: float) -> None:
    """Write the files, one at a time; 1 % of the rows of each repeat an ID of the first. Write the truth to `sums`."""
    truth = np.zeros((len(FATES), 2), dtype=np.uint64)
    first: NDArray[np.int64] = np.empty(0, dtype=np.int64)
    for number, count in enumerate(np.diff(np.linspace(0, rows, files + 1).astype(int))):
        chance = np.random.default_rng(number)
        ids = posts(int(count), chance)
        first = first if number else ids[:10_000].copy()
        again = chance.random(len(ids)) < 0.01
        ids[again] = chance.choice(first, int(again.sum()))
        frame = pd.DataFrame({"id": ids, "likes": chance.integers(0, 1000, len(ids)).astype(np.int32)})
        frame.to_parquet(folder / f"posts-{number:05}.parquet", index=False)
        listed, geo = fate(ids, share)
        truth += tally(ids, np.where(geo, 2, np.where(listed, 1, 0)))
    np.save(sums, truth)


def tally(ids: NDArray[np.int64], codes: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return, for each fate, how many rows have it and the sum of their IDs."""
    rows = [ids[codes == code].view(np.uint64) for code in range(len(FATES))]
    return np.array([(len(some), some.sum()) for some in rows], dtype=np.uint64)


def outcome(folder: Path) -> NDArray[np.uint64]:
    """Return the same of what was written; a row that is neither compliant nor to be acted upon counts as none."""
    found = np.zeros((len(FATES), 2), dtype=np.uint64)
    columns = ["id", "compliance_status", "compliance_action"]
    for path in sorted(folder.glob("*.parquet")):
        for batch in pq.ParquetFile(path).iter_batches(1 << 20, columns=columns):
            frame = batch.to_pandas()
            status, action = frame["compliance_status"].astype(object), frame["compliance_action"].astype(object)
            codes = np.full(len(frame), -1)
            codes[(status == "compliant") & action.isna()] = 0
            for code, word in enumerate(FATES[1:], 1):
                codes[(status == "action_required") & (action == word)] = code
            found += tally(frame["id"].to_numpy(), codes)
    return found


def peak(pid: int | str = "self") -> int:
    """Return the most memory a process had, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def run(rows: int, files: int, share: float) -> bool:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("posts", "checked", "results"):
            (folder / part).mkdir()
        # In a process of its own, so that this one's peak is that of the check.
        made = [sys.executable, __file__, "--make", name, "--rows", str(rows), "--partitions", str(files)]
        subprocess.run([*made, "--listed", str(share)], check=True)  # noqa: S603
        with (
            FarSideByHash(share, folder / "results") as far,
            dask.config.set({"temporary-directory": name}),
            LocalCluster(
                n_workers=2, threads_per_worker=1, processes=True, memory_limit=LIMIT, dashboard_address=":0"
            ) as cluster,
            Cluster(cluster) as workers,
        ):
            client = xc.Client(far.token, far.url, home=folder / "home", poll_interval=0.05, max_requests=10_000)
            ddf = dd.read_parquet(folder / "posts")
            began = time.monotonic()
            checked = ddf.compliance.check("id", client=client)
            done = time.monotonic()
            checked.to_parquet(folder / "checked")
            written = time.monotonic()
            peaks = {"driver": peak(), "far side": peak(far.pid)}
            peaks |= {f"worker {n}": most for n, most in enumerate(workers.run(peak).values(), 1)}
            jobs = len(list((folder / "results").iterdir()))
        wrong = (outcome(folder / "checked") != np.load(folder / "truth.npy")).any()
        size = sum(path.stat().st_size for path in (folder / "posts").iterdir())
    ours = {process: most for process, most in peaks.items() if process != "far side"}
    print(f"{rows:,} rows in {files:,} files of together {size / 2**20:,.0f} MiB, jobs: {jobs:,}")
    print(f"seconds: check {done - began:.0f}, write {written - done:.0f}, in all {written - began:.0f}")
    print("most memory, MiB: " + ", ".join(f"{process} {most / 2**20:,.0f}" for process, most in peaks.items()))
    print("SOME ROWS ARE WRONG" if wrong else "every row is right", flush=True)
    return not wrong and max(ours.values()) < LIMIT


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=float, default=1e6)
    parser.add_argument("--partitions", type=int, default=10)
    parser.add_argument("--listed", type=float, default=0.1, help="share of the IDs that are listed")
    parser.add_argument("--make", metavar="FOLDER", type=Path, help="only write the files")
    given = parser.parse_args()
    if given.make:
        make(given.make / "posts", int(given.rows), given.partitions, given.make / "truth.npy", given.listed)
        return 0
    os.environ.setdefault("XCOMPLIANCE_PROGRESS", "none")
    return 0 if run(int(given.rows), given.partitions, given.listed) else 1


if __name__ == "__main__":
    sys.exit(main())
