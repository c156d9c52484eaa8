"""Check Parquet files of growing size from the command line, and tell what memory it took.

    python benchmarks/parquet_run.py                                          two and ten million rows
    python benchmarks/parquet_run.py --rows 1e6 --report --plot               with all that can be asked for
    python benchmarks/parquet_run.py --rows 2e6 --frame                       beside it, the way through a pandas frame

It makes each file (IDs, numbers, texts and lists of numbers), starts a service that answers at once (`far_side.py`),
runs the command in a fresh process, and compares every written row with the truth: how many rows got which action, the
sum of their IDs, that all others are compliant, and that the other columns are what they were. It prints seconds and
the most memory that the command's process ever had (VmHWM, so on Linux only). The status is 1 if a row is wrong.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from far_side import FarSideByHash, fate, posts

SHARE = 0.1  # of the IDs that are listed
FATES = ("compliant", "delete", "scrub_geo")


def make(path: Path, rows: int, group: int) -> None:
    """Write the file, one row group at a time; 1 % of the rows of each repeat an ID of the first."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        {"id": pa.int64(), "likes": pa.int32(), "text": pa.string(), "times": pa.list_(pa.int16())},
        metadata={"of": "a benchmark"},
    )
    first = np.empty(0, dtype=np.int64)
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, rows, group):
            chance = np.random.default_rng(start)
            ids = posts(min(group, rows - start), chance)
            first = ids[:10_000].copy() if start == 0 else first
            again = chance.random(len(ids)) < 0.01
            ids[again] = chance.choice(first, int(again.sum()))
            likes = chance.integers(0, 1000, len(ids)).astype(np.int32)
            texts = pa.array([f"made-up post, liked {n} times" for n in range(1000)]).take(pa.array(likes))
            times = pa.array([[n, n % 7] for n in range(1000)], pa.list_(pa.int16())).take(pa.array(likes))
            table = pa.table([pa.array(ids), pa.array(likes), texts, times], schema=schema)
            writer.write_table(table, row_group_size=len(ids))


def is_right(before: Path, after: Path, column: str = "id") -> bool:
    """Whether every row got the verdict that a hash of its ID decides, and has kept the rest."""
    import pyarrow.parquet as pq

    old, new = pq.ParquetFile(before), pq.ParquetFile(after)
    names = old.schema_arrow.names
    verdicts = ["compliance_status", "compliance_action"]
    groups = old.metadata.num_row_groups
    if new.metadata.num_row_groups != groups:
        return False
    for number in range(groups):
        theirs, ours = old.read_row_group(number), new.read_row_group(number, columns=[*names, *verdicts])
        listed, geo = fate(ours.column(column).to_numpy(), SHARE)
        expected = np.where(geo, 2, np.where(listed, 1, 0))
        status, action = (ours.column(name).to_pandas().astype(object) for name in verdicts)
        found = np.full(len(ours), -1)
        found[(status == "compliant") & action.isna()] = 0
        for code, word in enumerate(FATES[1:], 1):
            found[(status == "action_required") & (action == word)] = code
        if (found != expected).any() or not ours.select(names).equals(theirs):
            return False
    return True


def command(arguments: list[str], through_a_frame: bool) -> None:
    """Run the command line in this process, and print what it took; the lines of the summary go elsewhere."""
    from xcompliance_pd import cli, client, tables

    class Quick(client.Client):
        __init__ = functools.partialmethod(client.Client.__init__, poll_interval=0.05, max_requests=10_000)

    client.Client = Quick  # type: ignore[misc]
    if through_a_frame:
        tables.in_pieces = lambda path, output: None
    began, said = time.monotonic(), sys.stdout
    sys.stdout = sys.stderr
    status = cli.main(arguments)
    sys.stdout = said
    most = 1024 * int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
    print(json.dumps({"status": status, "seconds": time.monotonic() - began, "bytes": most}))


def run(rows: int, group: int, options: argparse.Namespace) -> bool:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "results").mkdir()
        make(folder / "a.parquet", rows, group)
        with FarSideByHash(SHARE, folder / "results") as far:
            arguments = ["check", "a.parquet", "id", "-o", "b.parquet"]
            arguments += ["--plot", "p.png"] if options.plot else []
            arguments += ["--report", "r.html"] if options.report else []
            environment = {
                **os.environ,
                "XCOMPLIANCE_API_URL": far.url,
                "X_BEARER_TOKEN": far.token,
                "XCOMPLIANCE_HOME": str(folder / "home"),
                "XCOMPLIANCE_PROGRESS": "none",
            }
            way = "--frame-process" if options.frame else "--process"
            ended = subprocess.run(  # noqa: S603
                [sys.executable, __file__, way, *arguments],
                cwd=folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=None if options.verbose else subprocess.DEVNULL,
                check=True,
            )
        took = json.loads(ended.stdout)
        right = took["status"] == 0 and (options.frame or is_right(folder / "a.parquet", folder / "b.parquet"))
        size = (folder / "a.parquet").stat().st_size
    print(
        f"{rows:,} rows in row groups of {group:,}, {size / 2**20:,.0f} MiB: {took['seconds']:.1f} seconds, at most "
        f"{took['bytes'] / 2**20:,.0f} MiB; {'every row is right' if right else 'SOMETHING IS WRONG'}",
        flush=True,
    )
    return right


def main() -> int:
    for way in ("--process", "--frame-process"):
        if sys.argv[1:2] == [way]:
            command(sys.argv[2:], way == "--frame-process")
            return 0
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=float, nargs="+", default=[2e6, 1e7])
    parser.add_argument("--group", type=float, default=1_000_000, help="rows of a row group")
    parser.add_argument("--plot", action="store_true", help="draw the reasons, too")
    parser.add_argument("--report", action="store_true", help="write a report, too")
    parser.add_argument("--frame", action="store_true", help="through a pandas frame, as other formats go")
    parser.add_argument("--verbose", action="store_true", help="show what the command says")
    given = parser.parse_args()
    wrong = [rows for rows in given.rows if not run(int(rows), int(given.group), given)]
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
