"""Clean files of posts of growing size by the command line and in a notebook: how long it takes, and how much memory.

    python benchmarks/clean_file.py                               50,000 and 200,000 posts, in pages of API v2
    python benchmarks/clean_file.py --posts 2e4 --shape flat v1   other sizes and shapes
    python benchmarks/clean_file.py --by notebook                 only one of the two ways (it needs the test extra)

It makes each file (`data/make_posts.py`), starts a sandbox, and runs ``xcompliance apply`` in a fresh process, and
again with ``--max-age 24h``, which must send nothing and write the same. Then, with a ledger of its own, a notebook
does both with ``xc.clean_file`` in a fresh kernel. Every line of what was written is held against the sandbox's truth
by `tests/plain_posts.py`, which uses nothing of the package. It prints seconds and the most memory that the process
ever had (VmHWM, so on Linux only). The status is 1 if anything is wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path += [str(ROOT / "tests"), str(ROOT / "data")]

import make_posts  # noqa: E402
from plain_posts import Truth, judge  # noqa: E402

import xcompliance_pd as xc  # noqa: E402

# How each way cleans a.jsonl, without and with an age. The lines of the command line's summary go elsewhere.
COMMAND = """
import contextlib, sys
from xcompliance_pd import cli
arguments = ["apply", "a.jsonl", "-o", {output!r}, *(["--max-age", {age!r}] if {age!r} else [])]
with contextlib.redirect_stdout(sys.stderr):
    status = cli.main(arguments)
"""
NOTEBOOK = """
import xcompliance_pd as xc
clean = xc.clean_file("a.jsonl", {output!r}, max_age={age!r})
status = 0
"""
# What the process that did it tells of itself, as one line of JSON.
TOLD = """
import json, time
most = 1024 * int(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0])
print(json.dumps({"status": status, "spent": time.process_time(), "bytes": most}))
"""
Took = dict[str, float]


def by_command(folder: Path, source: str) -> Took:
    """Run the source in a process of its own, and return what that took."""
    began = time.monotonic()
    ended = subprocess.run(  # noqa: S603
        [sys.executable, "-c", source + TOLD], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True
    )
    return {**json.loads(ended.stdout), "seconds": time.monotonic() - began}


def by_notebook(folder: Path, source: str) -> Took:
    """Run the source in a cell of a notebook, in a fresh kernel of this Python, and return what the cell took."""
    import nbclient
    import nbformat

    cells = [nbformat.v4.new_code_cell(each) for each in (source, TOLD)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    client = nbclient.NotebookClient(
        notebook, timeout=None, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    with client.setup_kernel():
        began = time.monotonic()
        client.execute_cell(cells[0], 0)
        seconds = time.monotonic() - began
        client.execute_cell(cells[1], 1)
    said = "".join(each["text"] for each in cells[1].outputs if each.get("name") == "stdout")
    return {**json.loads(said), "seconds": seconds}


WAYS = {"command line": (by_command, COMMAND), "notebook": (by_notebook, NOTEBOOK)}


def lines(path: Path) -> Iterator[bytes]:
    with open(path, "rb") as file:
        yield from file


def run(posts: int, shape: str, ways: list[str]) -> bool:
    """Clean one file in each way, tell what it took, and return whether all was right."""
    with tempfile.TemporaryDirectory() as name, xc.Sandbox(complete_after=1) as box:
        folder = Path(name)
        make_posts.write(folder / "a.jsonl", posts, shape)
        print(f"{posts:,} posts ({shape}), {(folder / 'a.jsonl').stat().st_size / 2**20:,.0f} MiB", flush=True)
        truth = Truth(lines(folder / "a.jsonl"), box.expected)
        wrong = [way for way in ways if not clean(folder, box, truth, way)]
    return not wrong


def clean(folder: Path, box: xc.Sandbox, truth: Truth, way: str) -> bool:
    os.environ.update(
        XCOMPLIANCE_API_URL=box.url,
        X_BEARER_TOKEN=box.token,
        XCOMPLIANCE_HOME=str(folder / f"home of {way}"),
        XCOMPLIANCE_PROGRESS="none",
    )
    carry_out, source = WAYS[way]
    before = box.service.requests.total()
    asked: list[int] = []
    took: list[Took] = []
    first, again = f"{way}.jsonl", f"{way}, again.jsonl"
    for output, age in ((first, None), (again, "24h")):
        took.append(carry_out(folder, source.format(output=output, age=age)))
        asked.append(box.service.requests.total() - before - sum(asked))
    right = all(each["status"] == 0 for each in took) and asked[1] == 0
    right &= (folder / first).read_bytes() == (folder / again).read_bytes()
    try:
        same, changed, went = judge(lines(folder / "a.jsonl"), lines(folder / first), truth)
    except AssertionError:
        right, same, changed, went = False, 0, 0, 0
    told = [
        f"{each['seconds']:.1f} seconds ({each['spent']:.1f} of a processor), "
        f"at most {each['bytes'] / 2**20:,.0f} MiB, {count} requests"
        for each, count in zip(took, asked, strict=True)
    ]
    print(
        f"  {way}: {told[0]}; again with an age of 24 hours: {told[1]}. Lines: {same:,} as they were, {changed:,} "
        f"changed, {went:,} gone; {'every line is right' if right else 'SOMETHING IS WRONG'}",
        flush=True,
    )
    return right


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--posts", type=float, nargs="+", default=[5e4, 2e5])
    parser.add_argument("--shape", choices=make_posts.SHAPES, nargs="+", default=["pages"])
    parser.add_argument("--by", choices=WAYS, nargs="+", default=list(WAYS))
    given = parser.parse_args()
    wrong = [posts for shape in given.shape for posts in given.posts if not run(int(posts), shape, given.by)]
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
