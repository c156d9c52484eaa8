"""The fuzzer's rules, on every input it kept and on seeded changes of those; and that the rules can be broken.

`tests/fuzz/fuzz.py` searches for more inputs, with coverage. These tests need nothing but the package.
"""

from __future__ import annotations

import itertools
import json
import random
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzz.targets import TARGETS

from xcompliance_pd import digest, ids, layouts, ledger, results
from xcompliance_pd.errors import LedgerError
from xcompliance_pd.layouts import Lines
from xcompliance_pd.ledger import Ledger

FUZZ = Path(__file__).parent / "fuzz"
KEPT = {name: {path.name: path.read_bytes() for path in sorted((FUZZ / "corpus" / name).iterdir())} for name in TARGETS}


@pytest.mark.parametrize("name", TARGETS)
def test_kept_inputs(name: str) -> None:
    """Every input of the corpus keeps the rules."""
    assert KEPT[name]
    for file, data in KEPT[name].items():
        try:
            TARGETS[name](data)
        except Exception as error:
            error.add_note(f"input: tests/fuzz/corpus/{name}/{file}")
            raise


@pytest.mark.parametrize("name", TARGETS)
def test_changed_inputs(name: str) -> None:
    """Inputs that were changed at random, always the same ones, keep the rules."""
    chance = random.Random(20260102)
    inputs = list(KEPT[name].values())
    words = re.findall('"(.*)"', (FUZZ / f"{name}.dict").read_text())
    for _ in range(400):
        data = chance.choice(inputs)
        for _ in range(chance.randint(1, 3)):
            data = changed(data, chance, inputs, words)
        try:
            TARGETS[name](data)
        except Exception as error:
            error.add_note(f"input: {data!r}")
            raise


def changed(data: bytes, chance: random.Random, inputs: list[bytes], words: list[str]) -> bytes:
    """Cut, remove, replace, or add a byte, a word of the dictionary or a part of another input."""
    start = chance.randint(0, len(data))
    end = min(len(data), start + chance.choice([0, 0, 1, 1, 8, len(data)]))
    word = chance.choice(words).encode().decode("unicode_escape").encode("latin-1")
    other = chance.choice(inputs)
    new = chance.choice([b"", chance.randbytes(1), word, other[chance.randint(0, len(other)) :][:40]])
    return data[:start] + new + data[end:]


# --------------------------------------------------------------------------- rules broken on purpose


def skip_bad_lines(blocks: Iterable[bytes], read: Callable[..., Any] = results.read) -> results.Results:
    return replace(read(blocks), bad=(), bad_count=0)


def drop_the_last(blocks: Iterable[bytes], read: Callable[..., Any] = results.read) -> results.Results:
    whole = read(blocks)
    return replace(whole, findings=whole.findings[:-1])


def split_each_block(pieces: Iterable[bytes]) -> Lines:
    return Lines(itertools.chain.from_iterable((piece, b"\n") for piece in pieces))


def split_anywhere(pieces: Iterable[bytes]) -> Lines:
    return Lines([line + b"\n" for line in b"".join(pieces).splitlines()])


def take_all_for_equal(side: layouts._Side, rows: Any) -> Any:
    return np.ones(len(rows), dtype=bool)


def unpack_what_is_there(blocks: Iterable[bytes], coding: str, limit: int = 0) -> Iterator[bytes]:
    data = b"".join(blocks)
    try:
        yield data if coding == "identity" else zlib.decompressobj(31).decompress(data)
    except zlib.error:
        raise ValueError from None


def round_ids(column: Any, name: str, parse: Callable[..., Any] = ids.parse) -> ids.IdColumn:
    parsed = parse(column, name)
    return replace(parsed, values=parsed.values >> 8 << 8)  # about what a float64 keeps of a post ID


def trust_large_floats(column: Any, name: str) -> ids.IdColumn:
    parsed = ids._parse(column, name)
    parsed.problem[parsed.problem == ids._LOST] = 0
    return parsed


def strip_text(texts: list[str], from_strings: Callable[..., Any] = ids._from_strings) -> ids.IdColumn:
    return from_strings([text.strip() if isinstance(text, str) else text for text in texts])


def decode_loosely(data: bytes) -> Any:
    return np.array([int(line) for line in data.split()], dtype=np.int64)


def load_unguarded(self: Ledger, run_id: str) -> Any:
    return ledger._record(json.loads((self.folder(run_id) / "run.json").read_bytes()))


def load_and_delete(self: Ledger, run_id: str, load: Callable[..., Any] = Ledger.load) -> Any:
    try:
        return load(self, run_id)
    except LedgerError:
        (self.folder(run_id) / "run.json").unlink()
        raise


BROKEN = [
    ("results", results, "read", skip_bad_lines),
    ("results", results, "read", drop_the_last),
    ("results", results, "Lines", split_each_block),
    ("results", results, "Lines", split_anywhere),
    ("results", results, "_cut", lambda line: line),
    ("results", layouts._Side, "agree", take_all_for_equal),
    ("results", layouts, "_DAYS", np.full_like(layouts._DAYS, 31)),
    ("results", results, "_DECODER", json.JSONDecoder(parse_constant=results._constant)),
    ("results", results, "_ID", re.compile("[0-9]{1,19}")),
    ("results", results, "_DECODER", json.JSONDecoder(object_pairs_hook=results._object)),
    ("results", results, "judged", lambda findings: findings["error"].isna() & False),
    ("evidence", digest, "grade", lambda received: digest.Grade.HASH),
    ("evidence", digest, "grade", lambda received: digest.Grade.LENGTH),
    ("evidence", digest, "damage", lambda received: None),
    ("evidence", digest, "hashes_agree", lambda headers, crc32c, md5: True),
    ("evidence", digest, "stored_hashes", lambda headers: {}),
    ("evidence", digest, "unpack", unpack_what_is_there),
    ("ids", ids, "parse", round_ids),
    ("ids", ids, "parse", trust_large_floats),
    ("ids", ids, "_from_strings", strip_text),
    ("ids", ids, "ID_MAX", 2**64 - 1),
    ("ids", ids, "decode", decode_loosely),
    ("ledger", Ledger, "load", load_unguarded),
    ("ledger", Ledger, "load", load_and_delete),
    ("ledger", ledger, "_sound", lambda record: True),
    ("ledger", ledger, "_sound", lambda record: True),
]


@pytest.mark.parametrize(("name", "place", "what", "instead"), BROKEN)
def test_a_broken_rule_is_noticed(
    name: str, place: Any, what: str, instead: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each rule that is broken here makes its target fail on an input of the corpus."""
    monkeypatch.setattr(place, what, instead)
    assert any(fails(TARGETS[name], data) for data in KEPT[name].values())


def fails(target: Callable[[bytes], None], data: bytes) -> bool:
    try:
        target(data)
    except Exception:
        return True
    return False
