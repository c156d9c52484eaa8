"""What a user writes for one whole job, from a frame of posts to the verdicts on its rows: three ways.

Run as a script it goes one way in this process, and reports its memory and the waiting that was asked for:

    BEARER_TOKEN=... python benchmarks/peer_ways.py ours POSTS URL OUT

POSTS holds one ID a line; OUT gets the rows' IDs, statuses, actions and reasons. What is counted is the bodies of the
functions: each is all that somebody has to write who has the package or the program installed and the token in the
environment. Nothing waits here: each wait is taken down, and ends at once.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import json
import os
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "peers"))
from hosts import redirected_sessions

if TYPE_CHECKING:
    import pandas as pd


def ours(posts: pd.DataFrame) -> pd.DataFrame:
    """The package."""
    import xcompliance_pd  # noqa: F401

    return posts.compliance.check("id")


def tweepy(posts: pd.DataFrame) -> pd.DataFrame:
    """tweepy for the API, and for the files requests, with the checks of the status that X's samples have."""
    import json
    import os
    import time

    import pandas as pd
    import requests
    import tweepy

    client = tweepy.Client(os.environ["BEARER_TOKEN"])
    job = client.create_compliance_job("tweets").data
    posts["id"].to_csv("ids.txt", index=False, header=False)
    with open("ids.txt", "rb") as file:
        answer = requests.put(job["upload_url"], data=file, headers={"Content-Type": "text/plain"})  # noqa: S113
    if answer.status_code != 200:
        raise RuntimeError(answer.status_code, answer.text)
    while job["status"] in ("created", "in_progress"):
        time.sleep(10)
        job = client.get_compliance_job(job["id"]).data
    if job["status"] != "complete":
        raise RuntimeError(job["status"])
    answer = requests.get(job["download_url"])  # noqa: S113
    if answer.status_code != 200:
        raise RuntimeError(answer.status_code, answer.text)
    found = pd.DataFrame([json.loads(line) for line in answer.text.splitlines() if line])
    return posts.merge(found, how="left", on="id")


def twarc(posts: pd.DataFrame) -> pd.DataFrame:
    """twarc's command, and pandas for its output."""
    import subprocess

    import pandas as pd

    posts["id"].to_csv("ids.txt", index=False, header=False)
    subprocess.run(["twarc2", "compliance-job", "create", "tweets", "ids.txt", "results.json"], check=True)  # noqa: S607
    found = pd.read_json("results.json", lines=True, dtype={"id": str})
    return posts.merge(found, how="left", on="id")


WAYS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {"ours": ours, "tweepy": tweepy, "twarc": twarc}


def statements(way: Callable[..., Any]) -> int:
    """Return how many statements a user writes: all of the function's body, without its docstring."""
    (function,) = ast.parse(textwrap.dedent(inspect.getsource(way))).body
    return sum(isinstance(node, ast.stmt) for node in ast.walk(function)) - 2  # the function itself, its docstring


# --------------------------------------------------------------------------- the process


class Waits:
    """A time in which waiting takes no time; `asked` is how long one would have waited."""

    def __init__(self) -> None:
        self.asked = 0.0
        self._now, self._monotonic = time.time, time.monotonic

    def sleep(self, seconds: float) -> None:
        self.asked += seconds

    def pause(self, stop: Any, seconds: float) -> bool:
        self.asked += seconds
        return bool(stop.is_set())

    def now(self) -> float:
        return self._now() + self.asked

    def monotonic(self) -> float:
        return self._monotonic() + self.asked


def resident() -> int:
    """Return the most memory this process had, in bytes, as Linux counts it; 0 elsewhere."""
    try:
        text = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return 1024 * int(text.partition("VmHWM:")[2].split()[0])


def prepare(way: str, url: str, waits: Waits) -> None:
    """Let the way reach `url` where it would reach X, and let its waits pass at once."""
    import requests

    os.environ |= {"XCOMPLIANCE_API_URL": url, "XCOMPLIANCE_HOME": "home", "XCOMPLIANCE_PROGRESS": "none"}
    if way == "ours":
        from xcompliance_pd import client, runner

        clock = runner.Clock(waits.now, waits.monotonic, waits.pause)
        client.Clock = lambda: clock
    else:
        requests.Session = redirected_sessions(url)
        time.sleep = waits.sleep


def go(way: str, posts: Path, url: str, out: Path) -> dict[str, float]:
    """Go the way; return bytes and waits, and leave the rows in `out`."""
    import pandas as pd

    waits = Waits()
    prepare(way, url, waits)
    checked = WAYS[way](pd.read_csv(posts, names=["id"], dtype=str))
    checked = checked.rename(columns=lambda name: name.removeprefix("compliance_"))
    if "status" not in checked:  # X: what is not listed is compliant
        checked["status"] = checked["action"].isna().map({True: "compliant", False: "action_required"})
    checked[["id", "status", "action", "reason"]].to_csv(out, index=False)
    return {"bytes": resident(), "waits": waits.asked}


def twarc_command(url: str, report: Path) -> None:
    """Be `twarc2`: the rest of the command line is for it."""
    from twarc.command2 import twarc2

    waits = Waits()
    prepare("twarc", url, waits)
    try:
        twarc2()
    finally:
        report.write_text(json.dumps({"bytes": resident(), "waits": waits.asked}))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("posts", type=Path)
    parser.add_argument("url")
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        report = go(options.way, options.posts, options.url, options.out)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
