"""Time the reader of result files by itself, beside what any reader has to do and beside the plain one.

    python benchmarks/results.py                      a million lines as X writes them
    python benchmarks/results.py --lines 100000 --rounds 5

In every round each of the files is read once, between a copy of its bytes and a sort of as many numbers, so that what
slows the machine slows all of them. Printed are medians of the rounds: nanoseconds a line, and how many times a copy,
a sort, and the plain reader (`tests/plain_results.py`, on a tenth of the file at most) they are. Last comes the most
memory that reading took, without the file, in bytes a line.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import plain_results

from xcompliance_pd.results import read

PIECE = 1 << 16  # bytes given to the reader at once, as by the engine
REASONS = ("deleted", "suspended", "protected", "deactivated")


def lines(count: int, ending: str) -> list[str]:
    """Return lines as X writes them: recorded keys in recorded order, a redaction with every deletion."""
    chance = np.random.default_rng(1)
    ids = chance.integers(10**17, 2 * 10**18, count).tolist()
    times = np.datetime64("2006-03-21T20:50:14.000") + chance.integers(0, 2**39, (2, count))
    created, redacted = (np.datetime_as_string(each, unit="ms" if "Z" in ending else "s").tolist() for each in times)
    reasons = chance.choice(REASONS, count, p=[0.3, 0.5, 0.15, 0.05]).tolist()
    return [
        f'{{"id":"{id}","action":"delete","created_at":"{born}{ending}",'
        + (f'"redacted_at":"{gone}{ending}",' if reason == "deleted" else "")
        + f'"reason":"{reason}"}}'
        for id, born, gone, reason in zip(ids, created, redacted, reasons, strict=True)
    ]


def odd(text: list[str], share: float) -> list[str]:
    """Give some of the lines a key of their own, so that no layout fits them."""
    every = round(1 / share)
    return [f'{line[:-1]},"note":"{n:x}"}}' if n % every == 0 else line for n, line in enumerate(text)]


def shuffled(text: list[str]) -> list[str]:
    """Write each line with its keys in an order of its own, and blanks between."""
    chance = np.random.default_rng(3)
    pairs = (list(json.loads(line).items()) for line in text)
    return [json.dumps(dict(each[place] for place in chance.permutation(len(each)))) for each in pairs]


def pieces(data: bytes) -> Iterable[bytes]:
    return (data[start : start + PIECE] for start in range(0, len(data), PIECE))


def seconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def peak(data: bytes) -> int:
    tracemalloc.start()
    read(pieces(data))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--lines", type=int, default=1_000_000, help="lines of each file")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of which the median is taken")
    options = parser.parse_args()
    posts = lines(options.lines, "Z")
    texts = {
        "posts": posts,
        "users": lines(options.lines, "+00:00"),
        "1 % of lines odd": odd(posts, 0.01),
        "all lines odd": odd(posts, 1),
        "keys in any order": shuffled(posts),
    }
    print(f"{'':18}{'ns/line':>9}{'x copy':>9}{'x sort':>9}{'plain, ns/line':>16}{'x faster':>9}{'bytes/line':>12}")
    for name, text in texts.items():
        data = "\n".join([*text, ""]).encode()
        few = "\n".join(text[: max(len(text) // 10, 1)]).encode()
        numbers = np.random.default_rng(2).integers(0, 2**62, len(text))
        target = bytearray(len(data))
        target[:] = data

        def copy(target: bytearray = target, data: bytes = data) -> None:
            target[:] = data

        rounds = [
            (
                seconds(lambda data=data: read(pieces(data))) / len(text),
                seconds(copy) / len(text),
                seconds(lambda numbers=numbers: np.sort(numbers)) / len(text),
                seconds(lambda few=few: plain_results.read(few)) / (few.count(b"\n") + 1),
            )
            for _ in range(options.rounds)
        ]
        ours, copied, ordered, plainly = (1e9 * median(each) for each in zip(*rounds, strict=True))
        print(
            f"{name:18}{ours:9.0f}{ours / copied:9.1f}{ours / ordered:9.1f}{plainly:16.0f}{plainly / ours:9.1f}"
            f"{peak(data) / len(text):12.0f}"
        )


if __name__ == "__main__":
    main()
