"""Three ways from a frame of IDs to a frame with X's verdicts; run as a script it goes one of them, and reports.

    python benchmarks/ways.py ours POSTS URL TOKEN

Each leaves the same on the rows: action, reason and the two times. What is imported here is imported by all of them.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import requests

import xcompliance_pd as xc
import xcompliance_pd.frames  # which a check would import late; with it comes all that a run needs

TIMES = ["created_at", "redacted_at"]


def ours(frame: pd.DataFrame, url: str, token: str, folder: Path) -> pd.DataFrame:
    """The package: proofs, ledger and all."""
    client = xc.Client(token, url, home=folder, poll_interval=0)
    return frame.compliance.check("id", client=client).rename(columns={"compliance_action": "action"})


def samples(frame: pd.DataFrame, url: str, token: str, folder: Path) -> pd.DataFrame:
    """What the quick start and the samples of X do, put on the rows with a merge."""
    frame = frame.assign(id=frame["id"].astype(str))
    path = folder / "ids.txt"
    path.write_text("\n".join(frame["id"]) + "\n")
    download_url = _uploaded(path, url, token)
    lines = requests.get(download_url, timeout=60).text.splitlines()
    found = pd.DataFrame([json.loads(line) for line in lines])
    for name in TIMES:
        found[name] = pd.to_datetime(found[name])
    return frame.merge(found, how="left", on="id")


def careful(frame: pd.DataFrame, url: str, token: str, folder: Path) -> pd.DataFrame:
    """Somebody who knows pandas: each ID once, streamed to a file, read by pandas, merged as integers."""
    path, got = folder / "ids.txt", folder / "results.ndjson"
    frame["id"].drop_duplicates().to_csv(path, index=False, header=False)
    download_url = _uploaded(path, url, token)
    with requests.get(download_url, stream=True, timeout=60) as answer, got.open("wb") as file:
        for block in answer.iter_content(1 << 20):
            file.write(block)
    found = pd.read_json(got, lines=True, dtype={"id": "int64"})  # and the times, by their names
    return frame.merge(found, how="left", on="id")


def _uploaded(path: Path, url: str, token: str) -> str:
    """Make a job, upload the file as X's sample does, wait, and return where the results are."""
    jobs, bearer = f"{url}/2/compliance/jobs", {"Authorization": f"Bearer {token}"}
    job = requests.post(jobs, json={"type": "tweets"}, headers=bearer, timeout=60).json()["data"]
    with path.open("rb") as file:
        requests.put(job["upload_url"], data=file, headers={"Content-Type": "text/plain"}, timeout=60)
    while job["status"] != "complete":
        job = requests.get(f"{jobs}/{job['id']}", headers=bearer, timeout=60).json()["data"]
    return str(job["download_url"])


WAYS = {"ours": ours, "samples": samples, "careful": careful}


def memory(field: str) -> int | None:
    """Return this process's memory in bytes, as Linux counts it: VmRSS now, VmHWM at most so far."""
    try:
        text = Path("/proc/self/status").read_text()
    except OSError:
        return None
    return 1024 * int(text.partition(f"{field}:")[2].split()[0])


def main() -> None:
    """Go one way and print seconds, bytes above the frame, and how many rows, with which IDs, got each action."""
    way, posts, url, token = sys.argv[1:]
    os.environ["XCOMPLIANCE_PROGRESS"] = "none"
    frame = pd.DataFrame({"id": np.load(posts)})
    with tempfile.TemporaryDirectory() as folder:
        before = memory("VmRSS")
        began = time.perf_counter()
        checked = WAYS[way](frame, url, token, Path(folder))
        seconds = time.perf_counter() - began
        most = memory("VmHWM")
    report: dict[str, Any] = {"seconds": seconds, "bytes": most - before if most and before else None, "outcome": {}}
    for action in ("delete", "scrub_geo"):
        ids = checked.loc[(checked["action"] == action).to_numpy(), "id"].astype("int64")
        report["outcome"][action] = [len(ids), int(ids.sum()) % 2**64]
    print(json.dumps(report))


if __name__ == "__main__":
    main()
