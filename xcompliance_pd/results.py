"""Result files: blocks of NDJSON bytes -> a table of findings; and which finding speaks for an ID.

The format (https://docs.x.com/x-api/compliance/batch-compliance/quickstart): one JSON object a line with ``id``,
``action``, ``created_at``, ``redacted_at`` (optional) and ``reason``; blank lines occur (recorded in November 2021:
one after the second record). Unknown actions, reasons and keys are kept. A line that cannot be trusted is
never skipped silently: it is counted, and a file with such a line proves nothing about IDs it does not list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from .protocol import ACTIONS, GEO_REASONS, ID_MAX, REASONS, parse_time

LINE_MAX = 1 << 20  # bytes; a documented line has about 140
BAD_KEPT = 20  # bad lines that are kept for the message

COLUMNS = ("id", "action", "reason", "created_at", "redacted_at", "error", "extra")

_ID = re.compile(r"[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Results:
    """What one result file says.

    Attributes
    ----------
    findings : DataFrame
        One row a record, in file order: `id` (int64), `action` and `reason` (category), `created_at` and
        `redacted_at` (datetime, UTC), `error` (X's word for a record it could not judge) and `extra` (JSON text
        of keys this package does not know), the last two object columns with None where there is nothing.
    lines : int
        Lines that are not blank.
    bad : tuple of (int, str)
        Line number (from 1) and what is wrong with it; the first 20.
    bad_count : int
        How many bad lines there are.
    """

    findings: pd.DataFrame
    lines: int
    bad: tuple[tuple[int, str], ...]
    bad_count: int


def read(blocks: Iterable[bytes]) -> Results:
    """Read a result file from blocks of bytes.

    Parameters
    ----------
    blocks : iterable of bytes
        The file, unpacked, cut anywhere.

    Returns
    -------
    Results

    Examples
    --------
    >>> results = read([b'{"id":"1265324480517361664","action":"delete",'
    ...                 b'"created_at":"2020-05-26T17:02:47.000Z","reason":"deleted"}\\n\\n{"id":1'])
    >>> results.findings["reason"].tolist(), results.lines, results.bad
    (['deleted'], 2, ((3, 'not JSON'),))
    """
    rows: list[tuple[Any, ...]] = []
    bad: list[tuple[int, str]] = []
    bad_count = lines = 0
    for number, line in enumerate(_lines(blocks), 1):
        if not line.strip():
            continue
        lines += 1
        try:
            rows.append(_record(line))
        except ValueError as error:
            bad_count += 1
            if len(bad) < BAD_KEPT:
                bad.append((number, str(error)))
    return Results(_table(rows), lines, tuple(bad), bad_count)


def _lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    r"""Split on b"\n" only (str.splitlines also splits at U+2028); an over-long line is cut, so stays linear."""
    pending: list[bytes] = []
    size = 0

    def keep(piece: bytes) -> None:
        nonlocal size
        if size <= LINE_MAX:
            pending.append(piece[: LINE_MAX + 1 - size])
        size += len(piece)

    for block in blocks:
        start = 0
        while (end := block.find(b"\n", start)) >= 0:
            keep(block[start:end])
            yield b"".join(pending)
            pending.clear()
            size = 0
            start = end + 1
        keep(block[start:])
    if size:
        yield b"".join(pending)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) != len(pairs):
        raise ValueError("a key occurs twice")
    return data


def _constant(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


def _record(line: bytes) -> tuple[Any, ...]:
    """Return one line as a row of COLUMNS; ValueError says what is wrong with it."""
    if len(line) > LINE_MAX:
        raise ValueError(f"longer than {LINE_MAX} bytes")
    try:
        data = json.loads(line.decode("utf-8"), object_pairs_hook=_object, parse_constant=_constant)
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    except json.JSONDecodeError:
        raise ValueError("not JSON") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(data, dict):
        raise ValueError("not a JSON object")
    extra = {key: value for key, value in data.items() if key not in _KNOWN}
    return (
        _id(data.get("id")),
        _word(data, "action"),
        _word(data, "reason"),
        _time(data, ("created_at",), extra),
        _time(data, ("redacted_at", "deleted_at"), extra),
        _word(data, "error"),
        _clean(json.dumps(extra, ensure_ascii=False)) if extra else None,
    )


_KNOWN = frozenset({"id", "action", "reason", "created_at", "redacted_at", "deleted_at", "error"})


def _id(value: object) -> int:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not _ID.fullmatch(text) or int(text) > ID_MAX:
        raise ValueError("no usable id")
    return int(text)


def _clean(text: str) -> str:
    """Replace lone surrogates, which JSON may hold but no column, file or terminal takes."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _word(data: dict[str, Any], key: str) -> str | None:
    value = data.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError(f"{key} is not text")
    return _clean(value)


def _time(data: dict[str, Any], keys: tuple[str, ...], extra: dict[str, Any]) -> datetime | None:
    """Return the first key's time that is given; a time nobody can read is kept in `extra`, never guessed."""
    found: datetime | None = None
    for key in keys:
        value = data.get(key)
        if value is None:
            continue
        try:
            moment = parse_time(value) if isinstance(value, str) else None
        except ValueError:
            moment = None
        if moment is None:
            extra[key] = value
        elif found is None:
            found = moment
    return found


def _table(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    columns = dict(zip(COLUMNS, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(COLUMNS, ())
    table = pd.DataFrame(
        {
            "id": np.array(columns["id"], dtype=np.int64),
            "action": words(columns["action"], ACTIONS),
            "reason": words(columns["reason"], REASONS),
            "created_at": times(columns["created_at"]),
            "redacted_at": times(columns["redacted_at"]),
        }
    )
    for name in ("error", "extra"):
        table[name] = pd.Series(list(columns[name]), dtype=object)
    return table


def words(values: Iterable[str | None], known: tuple[str, ...]) -> pd.Categorical:
    """Return words as categories: the known ones in their order, then unknown ones, sorted."""
    values = list(values)
    unknown = sorted({word for word in values if word is not None} - set(known))
    return pd.Categorical(values, categories=pd.Index([*known, *unknown], dtype=object))


def times(values: Iterable[datetime | None]) -> pd.DatetimeIndex:
    """Return times as UTC datetimes in microseconds, the precision that all supported pandas versions share."""
    naive = [None if value is None else value.replace(tzinfo=None) for value in values]
    return pd.DatetimeIndex(np.array(naive, dtype="datetime64[us]")).tz_localize("UTC")


def empty() -> pd.DataFrame:
    """Return a findings table without rows."""
    return _table([])


def concat(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Stack findings tables; unlike pd.concat this keeps the word columns categories."""
    tables = list(tables)
    if not tables:
        return empty()
    merged = pd.concat([table.astype({"action": object, "reason": object}) for table in tables], ignore_index=True)
    for name, known in (("action", ACTIONS), ("reason", REASONS)):
        merged[name] = words([None if pd.isna(word) else word for word in merged[name]], known)
    return merged


def judged(findings: pd.DataFrame) -> pd.Series:
    """Whether each record is a verdict. A record that holds only ``error`` says that X could not judge the ID."""
    return findings["error"].isna() | findings["action"].notna() | findings["reason"].notna()


def decisive(findings: pd.DataFrame) -> pd.DataFrame:
    """Return one record for each ID: the most severe, then the earliest redaction, then the first in the file.

    X's own rule for several events of one ID could not be read, so this order is ours: delete, then geo
    scrubbing under either word, then rehydrate, then any unknown action, then records that only hold an error.
    """
    action = findings["action"].astype(object)
    geo = findings["reason"].isin(GEO_REASONS) | (action == "scrub_geo")
    rank = np.select(
        [~judged(findings), geo, action == "delete", action == "rehydrate"],
        [4, 1, 0, 2],
        default=3,
    )
    order = findings.assign(_rank=rank).sort_values(["_rank", "redacted_at"], kind="stable", na_position="last").index
    return findings.loc[order].drop_duplicates("id").sort_index()
