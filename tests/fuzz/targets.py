"""What must hold for any bytes at all: four functions that a fuzzer calls, each raising AssertionError if it does not.

Each judges the package by a second, slower way to the same answer, written here and by other means. Nothing here
needs a fuzzer: `fuzz.py` runs these with coverage, `tests/test_fuzz.py` with the kept inputs of `corpus`.
"""

from __future__ import annotations

import base64
import dataclasses
import gzip
import hashlib
import json
import re
import string
import struct
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd

from xcompliance_pd import digest, ids, results
from xcompliance_pd.digest import Grade
from xcompliance_pd.errors import InputError, LedgerError
from xcompliance_pd.layouts import Lines
from xcompliance_pd.ledger import Ledger
from xcompliance_pd.lifecycle import Batch, Phase, RunRecord
from xcompliance_pd.protocol import JobType, Received

MOST = 2**63 - 1


def blocks(data: bytes, step: int) -> list[bytes]:
    return [data[start : start + step] for start in range(0, len(data), step)]


# --------------------------------------------------------------------------- result files

SHORT = 300  # bytes; stands for the longest line allowed, so that small inputs get beyond it


def result_file(data: bytes) -> None:
    """Read a result file: one byte for the size of blocks, one for the place of a cut, then the file."""
    step, cut, file = (*data[:2].ljust(2, b"\xff"), data[2:])
    prefix = file[: len(file) * cut // 255]
    with mock.patch.object(results, "LINE_MAX", SHORT), mock.patch.object(results, "WORK", 2 * SHORT):
        whole, part = _read(file, step + 1), _read(prefix, len(prefix) + 1)
        with mock.patch.object(results, "VAIN_MAX", 0):
            together = _read(file, len(file) + 1)
    assert together == whole, "lines that no layout is tried for say something else"
    # A cut leaves the records of whole lines as they were, and at most one more, of the line that was cut. That
    # one may differ from the whole line's only if the whole line is bad: rubbish behind an object, for instance.
    complete = sum(line is not None for line in map(_line, prefix.split(b"\n")[:-1]))
    assert part[:complete] == whole[:complete], "a cut changed a line before it"
    assert len(part) <= complete + 1
    last = _line(file[prefix.rfind(b"\n") + 1 :].partition(b"\n")[0])
    assert last is None or part[complete:] in ([], [last]), "half a line says something else than the whole one"


def _read(file: bytes, step: int) -> list[tuple[Any, ...]]:
    """Read a file, compare it with what the standard library says of each line, and return its records."""
    work: list[int] = []
    with mock.patch.object(results._Reader, "read", _counted(work)):
        read = results.read(blocks(file, step))
    assert sum(work) <= 2 * (len(file) + SHORT), "the work grows faster than the file"
    lines = [(number, line) for number, line in enumerate(file.split(b"\n"), 1) if line.strip()]
    expected = [(number, _line(line)) for number, line in lines]
    wrong = [number for number, record in expected if record is None]
    assert read.lines == len(lines), "a line is neither read nor counted"
    assert [number for number, _ in read.bad] == wrong[: results.BAD_KEPT]
    assert read.bad_count == len(wrong), "a line that should be bad is not, or the other way round"
    findings = read.findings
    assert list(findings) == list(results.COLUMNS)
    records = list(zip(*map(_plain, (findings[name] for name in results.COLUMNS)), strict=True))
    assert records == [record for _, record in expected if record is not None]
    if len({record[0] for record in records}) < len(records):
        _decisive(findings, records)
    return records


def _counted(work: list[int], read: Callable[..., None] = results._Reader.read) -> Callable[..., None]:
    """Return a method that notes how many bytes are looked at: those of whole lines, and what is kept for later."""

    def counted(reader: results._Reader, lines: Lines) -> None:
        work.append(int(lines.lengths.sum()) + len(lines.rest))
        read(reader, lines)

    return counted


def _plain(column: pd.Series[Any]) -> list[Any]:
    """Return a column of findings as Python's own values."""
    if column.name == "extra":
        return [None if text is None else json.loads(text) for text in column]
    if column.name in ("created_at", "redacted_at"):
        return [None if pd.isna(moment) else moment.to_pydatetime() for moment in column]
    return [None if pd.isna(value) else value for value in column.tolist()]


def _line(line: bytes) -> tuple[Any, ...] | None:
    """Return what the standard library makes of a line: a record, or None if it is bad or blank."""
    keys: list[list[str]] = []

    def note(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys.append([key for key, _ in pairs])
        return dict(pairs)

    try:
        data = json.loads(str(line, "utf-8"), object_pairs_hook=note, parse_constant=lambda _: keys.append(["", ""]))
    except (ValueError, RecursionError):
        return None
    if len(line) > SHORT or not isinstance(data, dict) or any(len(set(each)) < len(each) for each in keys):
        return None
    number = data.pop("id", None)
    if type(number) not in (str, int) or not _is_id(str(number)):
        return None
    words = [data.pop(key, None) for key in ("action", "reason", "error")]
    if not all(word is None or isinstance(word, str) for word in words):
        return None
    action, reason, error = (None if word is None else _clean(word) for word in words)
    moments = {key: _moment(data[key]) for key in ("created_at", "redacted_at", "deleted_at") if key in data}
    for key, moment in moments.items():
        if moment is not None or data[key] is None:
            del data[key]  # what is left at the end is what no column holds
    redacted = moments.get("redacted_at") or moments.get("deleted_at")
    extra = json.loads(_clean(json.dumps(data, ensure_ascii=False))) if data else None
    return int(number), action, reason, moments.get("created_at"), redacted, error, extra


def _is_id(text: str) -> bool:
    return text != "" and set(text) <= set(string.digits) and text[0] != "0" and len(text) < 20 and int(text) <= MOST


def _clean(text: str) -> str:
    return "".join("?" if "\ud800" <= character <= "\udfff" else character for character in text)


def _moment(value: object) -> datetime | None:
    if not isinstance(value, str) or not value.isascii():
        return None
    for ending in ("Z", "+0000"):
        for fraction in ("", ".%f"):
            text = value.replace("+00:00", "+0000")
            try:
                moment = datetime.strptime(text, f"%Y-%m-%dT%H:%M:%S{fraction}{ending}").replace(tzinfo=UTC)
            except ValueError:
                continue
            # strptime takes single digits and blanks too, and Z cannot be told from zones by its format
            written = moment.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
            return moment if value.startswith(written) and value.endswith(("Z", "+00:00")) else None
    return None


def _decisive(findings: pd.DataFrame, records: list[tuple[Any, ...]]) -> None:
    """One record speaks for each ID, and a deletion is not outvoted."""
    best = results.decisive(findings)
    word = dict(zip(best["id"].tolist(), best["action"].tolist(), strict=True))
    assert len(best) == len(word)
    assert set(word) == {record[0] for record in records}, "an ID that is listed has no record"
    for number, action, reason, *_ in records:
        if action == "delete" and reason not in ("scrub_geo", "geo_scrubbed"):
            assert word[number] == "delete", "a deletion is outvoted"


# --------------------------------------------------------------------------- what an answer proves


def evidence(data: bytes) -> None:
    """Grade an answer: header lines, an empty line, the object as it is stored.

    In a header's value ``{length}``, ``{crc32c}`` and ``{md5}`` stand for what is true of the stored object. Names
    that begin with ``!`` say what befell it: ``!gzip``, ``!broken``, ``!cut: N``, ``!flip: N``, ``!step: N``.
    """
    head, _, body = data.partition(b"\n\n")
    pairs = [line.partition(":")[::2] for line in head.decode("latin-1").split("\n")]
    fate = {name: value for name, value in pairs if name.startswith("!")}
    stored = gzip.compress(body, mtime=0) if "!gzip" in fate else body
    true = {
        "{length}": str(len(stored)),
        "{crc32c}": base64.b64encode(crc32c(stored)).decode(),
        "{md5}": base64.b64encode(hashlib.md5(stored).digest()).decode(),
    }
    headers: dict[str, str] = {}
    for name, value in pairs:
        value = re.sub("{(length|crc32c|md5)}", lambda match: true[match[0]], value.strip())
        name = name.strip().lower()
        if name and not name.startswith("!"):
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
    got = bytearray(stored)
    if "!flip" in fate and got:
        got[_number(fate["!flip"]) % len(got)] ^= 1 + _number(fate["!flip"]) % 255
    came = bytes(got[: len(got) - _number(fate.get("!cut", "0"))] if "!cut" in fate else got)

    running = digest.Digest(md5=True)
    for block in blocks(came, 1 + _number(fate.get("!step", "999"))):
        running.update(block)
    received = running.received(200, headers, "!broken" in fate)
    assert received.length == len(came)
    assert (received.crc32c, received.md5) == (crc32c(came), hashlib.md5(came).digest())
    stored_claims = {f"{name}={true[f'{{{name}}}']}" for name in ("crc32c", "md5")}
    named = {part.strip() for part in headers.get("x-goog-hash", "").split(",")}
    damage = _judge(received, headers, came)
    if came != stored and named & stored_claims:
        assert damage is not None, "other bytes than the stored ones pass its checksum"
    _unpacked(came, 1 + _number(fate.get("!step", "999")), stored if "!gzip" in fate else None, body)


def _number(text: str) -> int:
    return int("".join(re.findall("[0-9]", text))[:4] or "0")


def _judge(received: Received, headers: dict[str, str], came: bytes) -> str | None:
    """Check damage, checksums and grade of an answer against its headers and the bytes that came."""
    ours = {"crc32c": crc32c(came), "md5": hashlib.md5(came).digest()}
    parts = [part.strip().partition("=")[::2] for part in headers.get("x-goog-hash", "").split(",")]
    claims = [(name, value) for name, value in parts if name in ours]
    agree = digest.hashes_agree(headers, ours["crc32c"], ours["md5"])
    assert (agree is None) == ("x-goog-hash" not in headers)
    if agree:
        assert claims, "no checksum agrees"
        for name, value in claims:
            assert base64.b64decode(value) == ours[name], "a checksum that differs is said to agree"
    if claims and all(value == base64.b64encode(ours[name]).decode() for name, value in claims):
        assert agree, "the right checksums are said to differ"

    damage, grade = digest.damage(received), digest.grade(received)
    coding, size = headers.get("content-encoding", "identity"), str(len(came))
    sound = (
        not received.broken
        and headers.get("content-length", size) == size
        and headers.get("x-goog-stored-content-length", size) == size
        and headers.get("x-goog-stored-content-encoding", coding) == coding
        and coding in ("identity", "gzip")
        and agree is not False
    )
    assert (damage is None) == sound
    plain = sound and coding == "identity" and came[-1:] in (b"", b"\n")
    transfer = headers.get("transfer-encoding")
    if sound and agree:
        expected = "hash"
    elif plain and transfer is None and "content-length" in headers:
        expected = "length"
    elif plain and transfer == "chunked":
        expected = "framed"
    else:
        expected = "unproved"
    assert str(grade) == expected
    return damage


def _unpacked(came: bytes, step: int, stored: bytes | None, body: bytes) -> None:
    """Check that unpacking gives the text as it was packed, or ValueError, wherever the blocks are cut."""
    text = _unpack([came])
    assert _unpack(blocks(came, step)) == text, "where blocks are cut matters"
    assert text is None or text == gzip.decompress(came)
    if stored is not None:
        assert text == body if came == stored else text in (None, body), "a damaged text passes"
        limited = _unpack([came], limit=len(body) - 1)
        assert limited is None or len(limited) < len(body)
    assert b"".join(digest.unpack(blocks(came, step), "identity")) == came


def _unpack(packed: list[bytes], limit: int = 1 << 20) -> bytes | None:
    try:
        return b"".join(digest.unpack(packed, "gzip", limit))
    except ValueError:
        return None


def crc32c(data: bytes) -> bytes:
    """Castagnoli's checksum, bit by bit in a table."""
    register = 0xFFFFFFFF
    for byte in data:
        register = register >> 8 ^ _CRC[(register ^ byte) & 0xFF]
    return (register ^ 0xFFFFFFFF).to_bytes(4, "big")


def _crc_of_byte(register: int) -> int:
    for _ in range(8):
        register = register >> 1 ^ (0x82F63B78 if register & 1 else 0)
    return register


_CRC = [_crc_of_byte(byte) for byte in range(256)]


# --------------------------------------------------------------------------- columns of IDs


def id_column(data: bytes) -> None:
    """Parse a column: one byte for its type, then its cells between ``|``, or for numbers their bytes."""
    kind, rest = data[:1].decode("latin-1"), data[1:]
    column = _COLUMNS.get(kind, _objects)(rest)
    expected = [_means(cell) for cell in (column.to_numpy() if kind in _NUMBERS else column.tolist())]
    try:
        parsed = ids.parse(column, "id")
    except InputError:
        assert _LOST in expected, "a column without a fault is refused"
    else:
        assert _LOST not in expected, "a float that may have lost digits is accepted"
        assert parsed.values.dtype == np.int64
        assert len(parsed.values) == len(parsed.problem) == len(column)
        assert parsed.values.tolist() == [number or 0 for number in expected]
        assert parsed.valid.tolist() == [number is not None for number in expected]
        assert parsed.missing.tolist() == column.isna().tolist()
        assert (parsed.valid ^ parsed.missing ^ parsed.invalid).all()
        assert len(ids.describe(parsed, column)) == parsed.invalid.sum()
        unique = parsed.unique()
        assert unique.tolist() == sorted({number for number in expected if number})
        text = b"".join(block for part in ids.batches([unique], 1 + len(data) % 7) for block in ids.encode(part.ids))
        assert text == "".join(f"{number}\n" for number in unique.tolist()).encode()
        assert ids.decode(text).tolist() == unique.tolist()
    _decoded(rest)


def _decoded(data: bytes) -> None:
    """Any bytes at all are refused, or are exactly what encode writes of the numbers read."""
    lines = data.decode("latin-1").split("\n")
    whole = lines.pop() == "" and all(map(_is_id, lines))
    try:
        numbers = ids.decode(data)
    except ValueError:
        assert not whole
    else:
        assert whole, "what is no list of IDs was read as one"
        assert numbers.tolist() == [int(line) for line in lines]
        assert b"".join(ids.encode(numbers)) == data


_LOST = -1


def _means(cell: Any) -> int | None:
    """Return the ID that a cell is, exactly as it stands; None for none; _LOST for a float too large to trust."""
    if isinstance(cell, str):
        return int(cell) if _is_id(cell) else None
    if isinstance(cell, float | np.floating):
        if not np.isfinite(cell):
            return None
        if abs(cell) >= 2 ** min(np.finfo(type(cell)).nmant + 1, 53):
            return _LOST
        return int(cell) if cell > 0 and int(cell) == cell else None
    if isinstance(cell, int | np.integer) and not isinstance(cell, bool):
        return int(cell) if 0 < int(cell) <= MOST else None
    return None


def _signed(data: bytes) -> int:
    return int.from_bytes(data, "big", signed=True)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _tidy(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _double(data: bytes) -> float:
    return float(struct.unpack(">d", data[:8].ljust(8, b"\0"))[0])


def _float(data: bytes) -> float:
    try:
        return float(_tidy(data))
    except ValueError:
        return _double(data)


_CELLS: dict[str, Callable[[bytes], Any]] = {
    "i": _signed,
    "f": _float,
    "d": _double,
    "g": lambda data: np.float32(_float(data)),
    "h": lambda data: np.float16(_float(data)),
    "l": lambda data: np.longdouble(_float(data)),
    "q": lambda data: np.int64(_signed(data[:8])),
    "u": lambda data: np.uint64(abs(_signed(data[:8]))),
    "b": bool,
    "n": lambda data: [None, pd.NA, pd.NaT, np.nan, Decimal("nan")][len(data) % 5],
    "o": lambda data: [data, Decimal(len(data)), np.bool_(True), len(data) * 1j, datetime.max, object][len(data) % 6],
    "t": lambda data: np.str_(_text(data)),
}


def _cell(data: bytes) -> Any:
    """Return a cell: a letter for its type and what it is made of; text if the letter is none of those."""
    make = _CELLS.get(data[:1].decode("latin-1"))
    with np.errstate(over="ignore"):
        return make(data[1:]) if make else _text(data)


def _objects(data: bytes) -> pd.Series[Any]:
    cells = data.split(b"|")
    column = pd.Series([None] * len(cells), dtype=object)
    column[:] = [_cell(cell) for cell in cells]
    return column


def _texts(dtype: str) -> Callable[[bytes], pd.Series[Any]]:
    """Return a maker of text columns; the cell ``n`` is missing."""
    return lambda data: pd.Series([None if cell == b"n" else _tidy(cell) for cell in data.split(b"|")], dtype=dtype)


def _numbers(dtype: str) -> Callable[[bytes], pd.Series[Any]]:
    width = np.dtype(dtype).itemsize
    return lambda data: pd.Series(np.frombuffer(data[: len(data) // width * width], dtype=dtype))


def _masked(data: bytes) -> pd.Series[Any]:
    return pd.Series([None if cell == b"n" else _signed(cell[:8]) for cell in data.split(b"|")], dtype="Int64")


_NUMBERS = {"1": "<i8", "2": "<u8", "3": "<f8", "4": "<f4", "5": "<i4", "6": "<f2"}
_COLUMNS: dict[str, Callable[[bytes], Any]] = {
    "s": _texts("string[python]"),
    "a": _texts("string[pyarrow]"),
    "c": _texts("category"),
    "m": _masked,
    **{letter: _numbers(dtype) for letter, dtype in _NUMBERS.items()},
}


# --------------------------------------------------------------------------- records on disk

RUN = "tweets-20260102-0badcafe"
BATCH = Batch(1, 2, "aa", "bb", 40, Phase.DONE, job_id="12", past_jobs=("11",), checked_at=2.5, grade=Grade.HASH)
GOOD = RunRecord(RUN, JobType.TWEETS, "https://api.x.com", 1.0, 2, "dd", (BATCH,), label="a", requests={"create": 1})


def run_record(data: bytes) -> None:
    """Load a run.json: the bytes as they stand, or after an ``@`` lines of changes to a good record.

    Such a line is ``path=JSON``, or a path alone, which is removed: ``batches.0.phase="done"``.
    """
    content = _changed(data[1:].decode("utf-8", "replace")) if data.startswith(b"@") else data
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home, "runs", RUN)
        folder.mkdir(parents=True)
        (folder / "run.json").write_bytes(content)
        (folder / "ids-1.txt").write_bytes(b"20\n")
        ledger = Ledger(home)
        before = _listing(Path(home))
        try:
            record = ledger.load(RUN)
        except LedgerError:
            assert ledger.readable() == []
            record = None
        assert _listing(Path(home)) == before, "reading changed the disk"
        if record is None:
            return
        for part in (record, *record.batches):
            _typed(part)
        assert [batch.number for batch in record.batches] == list(range(1, 1 + (len(record.batches) or 1)))
        said, plain = json.loads(content), json.loads(json.dumps(dataclasses.asdict(record), allow_nan=False))
        assert type(said.get("schema")) is int, "the schema is not a number"
        assert said.pop("schema") == 1, "a record of another schema is read as if it were of ours"
        assert all(isinstance(batch, dict) for batch in said["batches"]), "a batch that is no object is read as one"
        assert said == _only(plain, said), "a record says something else than its file"
        with mock.patch("os.fsync"):
            ledger.save(record)
        assert ledger.load(RUN) == record
        assert json.loads((folder / "run.json").read_bytes()) == {"schema": 1, **plain}


_TYPES = {
    "str": (str,),
    "int": (int,),
    "bool": (bool,),
    "float": (int, float),
    "None": (type(None),),
    "JobType": (JobType,),
    "Phase": (Phase,),
    "Grade": (Grade,),
}
_HOLDS = {"tuple[str, ...]": (tuple, str), "tuple[Batch, ...]": (tuple, Batch), "Mapping[str, int]": (dict, int)}


def _typed(part: RunRecord | Batch) -> None:
    """Each field is exactly of a type that its annotation names; annotations are text there."""
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        if field.type in _HOLDS:
            whole, each = _HOLDS[field.type]
            assert type(value) is whole, f"{field.name} is {value!r}"
            assert {type(one) for one in (value.values() if whole is dict else value)} <= {each}, (
                f"{field.name} holds {value!r}"
            )
        else:
            allowed = [kind for word in str(field.type).split(" | ") for kind in _TYPES[word]]
            assert type(value) in allowed, f"{field.name} is {value!r}"


def _changed(lines: str) -> bytes:
    record = json.loads(json.dumps({"schema": 1, **dataclasses.asdict(GOOD)}))
    for line in lines.split("\n"):
        path, equals, text = line.partition("=")
        if text.count("[") + text.count("{") > 99:
            continue  # deep nesting is for the bytes as they stand: here it would be our own dumps that gives up
        *way, last = path.split(".")
        try:
            place = record
            for step in way:
                place = place[int(step) if isinstance(place, list) else step]
            key = int(last) if isinstance(place, list) else last
            if equals:
                value = json.loads(text)
                if isinstance(place, list):
                    place[key : key + 1] = [value]  # one beyond the end is added
                else:
                    place[key] = value
            else:
                del place[key]
        except (ValueError, LookupError, TypeError, RecursionError):
            continue  # a change that cannot be made is none
    return json.dumps(record).encode()


def _only(plain: dict[str, Any], said: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that a file named; those with a default may be left out."""
    batches = [
        {key: batch[key] for key in named} for batch, named in zip(plain["batches"], said["batches"], strict=True)
    ]
    return {**{key: plain[key] for key in said}, "batches": batches}


def _listing(folder: Path) -> dict[str, tuple[int, bytes | None]]:
    return {
        str(path): (path.stat().st_mode, path.read_bytes() if path.is_file() else None) for path in folder.rglob("*")
    }


TARGETS: dict[str, Callable[[bytes], None]] = {
    "results": result_file,
    "evidence": evidence,
    "ids": id_column,
    "ledger": run_record,
}
