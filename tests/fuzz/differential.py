"""Read files of many lines by all ways and line by line: `python tests/fuzz/differential.py [--lines N] [--seed N]`.

Files mix documented, deviating, odd and damaged lines, in blocks cut anywhere. The tables of `results.read` and of the
plain reader (`tests/plain_results.py`) must be equal to the byte, and so must what both say of bad lines. Printed are
the lines that were read, how they were read, and how many files differ; the first of those is kept for a look, and the
exit status is then 1.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import plain_results
from test_columnar import FORMS, FORMS_APART, LINE, NEAR, ODD, blocks, deviating, documented, mutated

from xcompliance_pd import results

SIZES = (3, 3, 30, 30, 300, 3000, 10_000)  # lines of a file, of each kind


def file(chance: random.Random) -> bytes:
    """Return a file: of one kind of line, or of several, and now and then with odd or damaged ones."""
    lines: list[bytes] = []
    count = chance.choice(SIZES)
    for _ in range(chance.choice([1, 1, 3])):
        kind = chance.randrange(4)
        if kind == 0:
            lines += deviating(chance, count)
        elif kind == 1:
            form = chance.choice([*FORMS_APART.values()])
            lines += [form(chance, line).encode() for line in documented(chance, count)]
        else:
            lines += map(chance.choice([*FORMS.values()]), documented(chance, count))
    if chance.random() < 0.5:
        chance.shuffle(lines)
    for _ in range(chance.choice([0, 0, 1, 5, len(lines) // 50, len(lines) // 5])):
        place = chance.randrange(len(lines))
        damage = chance.randrange(3)
        if damage == 0:
            lines[place] = mutated(lines[place], chance)
        elif damage == 1:
            lines[place] = chance.choice(ODD)
        else:
            lines[place] = LINE.replace(*chance.choice(NEAR))
    return b"\n".join(lines) + chance.choice([b"", b"\n", b"\r\n"])


def content(read: results.Results) -> tuple[Any, ...]:
    """Return all that was read, as bytes and as Python's own values."""
    table = read.findings
    words = [table[name].cat for name in ("action", "reason")]
    return (
        (read.lines, read.bad, read.bad_count),
        [(name, str(table[name].dtype)) for name in table],
        [table[name].to_numpy().tobytes() for name in ("id",)],
        [pd.DatetimeIndex(table[name]).asi8.tobytes() for name in ("created_at", "redacted_at")],
        [(each.codes.to_numpy().tobytes(), each.categories.tolist()) for each in words],
        [table[name].tolist() for name in ("error", "extra")],
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("--lines", type=float, default=1e5, help="read at least so many lines")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    ways: Counter[str] = Counter()
    lines = files = bad = 0
    wrong: list[bytes] = []

    def counted(way: str, real: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def call(given: Any) -> Any:
            got = real(given)
            ways[way] += 1 if isinstance(given, bytes) else 0 if got is None else len(given)
            return got

        return call

    while lines < options.lines:
        data = file(chance)
        pieces = blocks(data, chance) if len(data) < 20_000 else [data[: len(data) // 3], data[len(data) // 3 :]]
        with (
            mock.patch.object(results, "_record", counted("singly", results._record)),
            mock.patch.object(results, "_parse", counted("together", results._parse)),
            mock.patch.object(results, "VAIN_MAX", chance.choice([0, results.VAIN_MAX])),
            mock.patch.object(results, "TOGETHER", chance.choice([5, 100, results.TOGETHER])),
        ):
            read = results.read(pieces)
        if content(read) != content(plain_results.read(data)):
            wrong.append(data)
        lines, files, bad = lines + read.lines, files + 1, bad + read.bad_count
    print(f"{lines:,} lines in {files:,} files of seed {options.seed}, {bad:,} of them bad; {len(wrong)} files differ")
    print(f"parsed together: {ways['together']:,}; by themselves: {ways['singly']:,}; the rest as columns")
    if wrong:
        kept = Path(tempfile.mkdtemp(prefix="differential-"), "file.ndjson")
        kept.write_bytes(wrong[0])
        print(f"the first of these: {kept}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
