"""Clean files of posts of growing size from the command line, and tell how long it took and how much memory.

    python benchmarks/clean_file.py                               50,000 and 200,000 posts, in pages of API v2
    python benchmarks/clean_file.py --posts 2e4 --shape flat v1   other sizes and shapes

It makes each file (`data/make_posts.py`), starts a sandbox, runs ``xcompliance apply`` in a fresh process, and again
with ``--max-age 24h``, which must send nothing and write the same. Every line of what was written is then held against
the sandbox's truth by `tests/plain_posts.py`, which uses nothing of the package. It prints seconds and the most memory
that the command's process ever had (VmHWM, so on Linux only). The status is 1 if anything is wrong.
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


def command(arguments: list[str]) -> None:
    """Run the command line in this process, and print what it took; the lines of the summary go elsewhere."""
    from xcompliance_pd import cli

    began, said = time.monotonic(), sys.stdout
    sys.stdout = sys.stderr
    status = cli.main(arguments)
    sys.stdout = said
    most = 1024 * int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
    spent = time.process_time()
    print(json.dumps({"status": status, "seconds": time.monotonic() - began, "spent": spent, "bytes": most}))


def apply(folder: Path, box: xc.Sandbox, output: str, *options: str) -> dict[str, float]:
    environment = {
        **os.environ,
        "XCOMPLIANCE_API_URL": box.url,
        "X_BEARER_TOKEN": box.token,
        "XCOMPLIANCE_HOME": str(folder / "home"),
        "XCOMPLIANCE_PROGRESS": "none",
    }
    arguments = ["apply", "a.jsonl", "-o", output, *options]
    ended = subprocess.run(  # noqa: S603
        [sys.executable, __file__, "--process", *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    took: dict[str, float] = json.loads(ended.stdout)
    return took


def lines(path: Path) -> Iterator[bytes]:
    with open(path, "rb") as file:
        yield from file


def run(posts: int, shape: str) -> bool:
    with tempfile.TemporaryDirectory() as name, xc.Sandbox(complete_after=1) as box:
        folder = Path(name)
        make_posts.write(folder / "a.jsonl", posts, shape)
        size = (folder / "a.jsonl").stat().st_size
        first = apply(folder, box, "b.jsonl")
        asked = box.service.requests.total()
        again = apply(folder, box, "c.jsonl", "--max-age", "24h")
        more = box.service.requests.total() - asked
        right = first["status"] == again["status"] == 0 and more == 0
        right &= (folder / "b.jsonl").read_bytes() == (folder / "c.jsonl").read_bytes()
        truth = Truth(lines(folder / "a.jsonl"), box.expected)
        try:
            same, changed, went = judge(lines(folder / "a.jsonl"), lines(folder / "b.jsonl"), truth)
        except AssertionError:
            right, same, changed, went = False, 0, 0, 0
    print(
        f"{posts:,} posts ({shape}), {size / 2**20:,.0f} MiB: {first['seconds']:.1f} seconds "
        f"({first['spent']:.1f} of a processor), at most "
        f"{first['bytes'] / 2**20:,.0f} MiB, {asked} requests; again with --max-age 24h: "
        f"{again['seconds']:.1f} seconds ({again['spent']:.1f}), {more} requests. Lines: {same:,} as they were, "
        f"{changed:,} changed, {went:,} gone; "
        f"{'every line is right' if right else 'SOMETHING IS WRONG'}",
        flush=True,
    )
    return right


def main() -> int:
    if sys.argv[1:2] == ["--process"]:
        command(sys.argv[2:])
        return 0
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--posts", type=float, nargs="+", default=[5e4, 2e5])
    parser.add_argument("--shape", choices=make_posts.SHAPES, nargs="+", default=["pages"])
    given = parser.parse_args()
    wrong = [posts for shape in given.shape for posts in given.posts if not run(int(posts), shape)]
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
