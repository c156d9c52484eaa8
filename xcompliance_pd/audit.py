"""What one `apply` did, as a record: counts, options and checksums, in a chain that shows what was changed in it.

A record tells what was done, when, and by the verdicts of which run. It holds no ID, nothing of a post, and not who
asked. X wants what is stored of it to be kept as it is on X (https://docs.x.com/developer-terms/policy, "Content
compliance"); with the records one can show what was done about that.

A column's checksum is the SHA-256 of one line for each cell, in UTF-8: ``null`` if it is missing, else its text as a
JSON string. The text is what Python's `str` makes of the value, so a number, its digits as text and its digits as a
category are the same, and so is a column in memory and in a CSV file. Records and lists have the text of their JSON,
keys sorted. To compute it elsewhere::

    lines = ("null" if pd.isna(cell) else json.dumps(str(cell), ensure_ascii=False) for cell in column)
    hashlib.sha256("".join(line + "\\n" for line in lines).encode()).hexdigest()

A record's checksum is the SHA-256 of the record without it, as JSON with sorted keys and without spaces. Each record
names that of the one before, so one that was changed, put in, or taken out of the middle is noticed. Records taken away
at the end, or a chain made anew as a whole, are not: compare the last checksum with one noted elsewhere, for example in
a report.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from .cleaning import CHANGES, Plan
from .geo import said
from .ids import Ints, encode
from .verdicts import STATUSES

SCHEMA = 1
BLOCK = 1 << 16  # cells whose lines are in memory at once
NULL = b"null\n"
WHOLE = "(the whole file)"  # in the place of a column's name

Record = Mapping[str, Any]


def checksum(column: pd.Series) -> str:
    """Return the SHA-256 of a column's values, in their order; neither name nor index counts.

    Examples
    --------
    >>> import pandas as pd
    >>> ids = pd.Series(["1212092628029698048", None])
    >>> checksum(ids)[:16]
    '8455df379a3d139b'
    >>> checksum(ids) == checksum(ids.astype("Int64")) == checksum(ids.astype("category"))
    True
    """
    digest = hashlib.sha256()
    for block in _blocks(column):
        digest.update(block)
    return digest.hexdigest()


def checksums(frame: pd.DataFrame) -> dict[str, str]:
    """Return the checksum of each column by its name, as the records hold them; the index is none.

    Ten digits in a row are taken out of a name, because it may be an ID; the second column of a name is called
    ``name (2)``.

    Examples
    --------
    >>> import pandas as pd
    >>> list(checksums(pd.DataFrame([[1, 2, 3]], columns=["text", "text", "1212092628029698048"])))
    ['text', 'text (2)', '...']
    """
    found: dict[str, str] = {}
    for at, label in enumerate(frame.columns):
        name = first = _name(label)
        number = 1
        while name in found:
            number += 1
            name = f"{first} ({number})"
        found[name] = checksum(frame.iloc[:, at])
    return found


def entry(
    frame: pd.DataFrame,
    clean: pd.DataFrame,
    plan: Plan,
    choices: Mapping[str, str],
    *,
    now: float,
    software: str,
) -> dict[str, Any]:
    """Return what there is to say of one `apply`, whichever run it is recorded for.

    Parameters
    ----------
    frame, clean : DataFrame
        Before and after.
    plan : Plan
        What was carried out.
    choices : mapping of str to str
        The options that the plan does not hold.
    now : float
        Seconds since the epoch.
    software : str
        The version of this package.
    """
    statuses = plan.verdicts["status"].value_counts()
    blanked = sorted({*plan.blank, *plan.rewritten})
    return {
        "schema": SCHEMA,
        "applied_at": _moment(now),
        "mode": plan.mode,
        "prefix": _name(plan.prefix),
        "options": dict(choices),
        "rows": {"before": len(frame), "after": len(clean)},
        "verdicts": {status: int(statuses.get(status, 0)) for status in STATUSES},
        "changes": plan.counts(),
        "blanked": [_name(frame.columns[at]) for at in blanked],  # columns in which cells went
        "columns": {"before": checksums(frame), "after": checksums(clean)},
        "software": software,
    }


def file_entry(
    mode: str,
    options: Mapping[str, str],
    rows: tuple[int, int],
    changes: Mapping[str, int],
    checksums: tuple[str, str],
    *,
    now: float,
    software: str,
) -> dict[str, Any]:
    """Return what there is to say of one clean copy of a file, whichever run it is recorded for.

    Parameters
    ----------
    mode, options
        As they were given.
    rows : (int, int)
        Lines or rows, before and after.
    changes : mapping of str to int
        How often which of ``cleaning.CHANGES`` was made.
    checksums : (str, str)
        The SHA-256 of the whole file, before and after; it stands where those of columns stand for a frame.
    now : float
        Seconds since the epoch.
    software : str
        The version of this package.
    """
    return {
        "schema": SCHEMA,
        "applied_at": _moment(now),
        "mode": mode,
        "options": dict(options),
        "rows": {"before": rows[0], "after": rows[1]},
        "changes": dict(changes),
        "columns": {"before": {WHOLE: checksums[0]}, "after": {WHOLE: checksums[1]}},
        "software": software,
    }


def sealed(entry: Record, run: str, rows: int, previous: str | None) -> dict[str, Any]:
    """Return the record of a run: an entry with the run, the rows that name it, and its place in the chain.

    Examples
    --------
    >>> first = sealed({"rows": {"before": 2, "after": 1}}, "tweets-20261123-0123abcd", 2, None)
    >>> second = sealed({"rows": {"before": 1, "after": 1}}, "tweets-20261123-0123abcd", 1, first["sha256"])
    >>> verify([first, second], "tweets-20261123-0123abcd"), verify([second], "tweets-20261123-0123abcd")
    ([True, True], [False])
    """
    record = {**entry, "run": run, "rows": {**entry["rows"], "of_run": rows}, "previous": previous}
    return {**record, "sha256": _seal(record)}


def verify(records: Sequence[Record], run: str) -> list[bool]:
    """Say of each record whether it is as it was written, about this run, and after the very record before it."""
    before: list[object] = [None, *(record.get("sha256") for record in records)]
    return [
        record.get("sha256") == _seal(record) and record.get("run") == run and record.get("previous") == previous
        for record, previous in zip(records, before, strict=False)
    ]


def line(record: Record) -> bytes:
    """Return a record as a line of a file."""
    return json.dumps(record).encode() + b"\n"


def read(data: bytes) -> list[dict[str, Any]]:
    """Return the records of a file, an empty one for each line that holds none."""
    return [_parsed(text) for text in data.splitlines()]


def table(records: Sequence[Record], run: str) -> pd.DataFrame:
    """Return records as a DataFrame; see :meth:`xcompliance_pd.Run.applied`. What cannot be read is missing."""
    rows = [
        {
            "applied_at": _within(record, str, "applied_at"),
            "mode": _within(record, str, "mode"),
            "rows_before": _within(record, int, "rows", "before"),
            "rows_after": _within(record, int, "rows", "after"),
            **{word: _within(record, int, "changes", word, missing=0 if record else None) for word in CHANGES},
            "columns_before": _within(record, dict, "columns", "before"),
            "columns_after": _within(record, dict, "columns", "after"),
            "software": _within(record, str, "software"),
            "sha256": _within(record, str, "sha256"),
            "holds": holds,
        }
        for record, holds in zip(records, verify(records, run), strict=True)
    ]
    names = ["applied_at", "mode", "rows_before", "rows_after", *CHANGES, "columns_before", "columns_after"]
    made = pd.DataFrame(rows, columns=[*names, "software", "sha256", "holds"], dtype=object)
    made["applied_at"] = pd.to_datetime(made["applied_at"], utc=True, errors="coerce", format="ISO8601")
    counts = ["rows_before", "rows_after", *CHANGES]
    return made.astype({**dict.fromkeys(counts, "Int64"), "holds": bool})


# --------------------------------------------------------------------------- parts of a record


def _seal(record: Record) -> str:
    rest = {key: value for key, value in record.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def _within(record: Any, kind: type, *keys: str, missing: object = None) -> object:
    for key in keys:
        record = record.get(key, missing) if isinstance(record, dict) else None
    return record if isinstance(record, kind) and not isinstance(record, bool) else None


def _moment(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")


def _name(label: Hashable) -> str:
    return re.sub("[0-9]{10,}", "...", said(label))


# --------------------------------------------------------------------------- the lines of a column


def _blocks(column: pd.Series) -> Iterator[bytes]:
    """Yield the lines of a column, many at a time."""
    words = None
    if isinstance(column.dtype, pd.CategoricalDtype):
        words = _words(_texts(pd.Series(column.cat.categories)))
    for start in range(0, len(column), BLOCK):
        cells = column.iloc[start : start + BLOCK]
        if words is not None:
            yield _picked(words, cells.cat.codes.to_numpy())
        elif (moments := _moments(cells)) is not None:
            codes, distinct = pd.factorize(moments)
            yield _picked(_words(_times(distinct, "+00:00" if hasattr(cells.dtype, "tz") else "")), codes)
        elif (ids := _positive(cells)) is not None:
            yield _quoted(ids)
        else:
            yield _encoded(_texts(cells))


def _words(texts: list[str | None]) -> list[bytes]:
    """Return the lines of texts, and last, where the code -1 finds it, that of a missing cell."""
    return [*_encoded(texts).splitlines(keepends=True), NULL]


def _picked(words: list[bytes], codes: npt.NDArray[np.integer[Any]]) -> bytes:
    places: list[int] = codes.tolist()
    if (codes == codes[0]).all():  # one run, or one time of a check, has very many rows
        return words[places[0]] * len(places)
    return b"".join(map(words.__getitem__, places))


def _moments(cells: pd.Series) -> npt.NDArray[np.datetime64] | None:
    """Return times as plain ones in UTC; None if they are something else, or of another zone."""
    moments: npt.NDArray[np.datetime64]
    if isinstance(cells.dtype, pd.DatetimeTZDtype) and str(cells.dtype.tz) == "UTC":
        moments = cells.dt.tz_localize(None).to_numpy()
    elif isinstance(cells.dtype, np.dtype) and cells.dtype.kind == "M":
        moments = cells.to_numpy()
    else:
        return None
    return moments


def _positive(cells: pd.Series) -> Ints | None:
    """Return integers that can be written as IDs are, a thousand at a time; None if they are something else."""
    integers = isinstance(cells.dtype, np.dtype | pd.Int64Dtype) and cells.dtype.kind == "i"
    if not integers or cells.isna().any():
        return None
    values = cells.to_numpy(dtype=np.int64)
    return values if (values > 0).all() else None


def _quoted(ids: Ints) -> bytes:
    return b'"' + b"".join(encode(ids)).replace(b"\n", b'"\n"')[:-1]


def _encoded(texts: list[str | None]) -> bytes:
    """Return texts as JSON strings, one a line: within a JSON string there is no line end."""
    if not texts:
        return b""
    if None not in texts:
        data = '"\n"'.join(texts).encode("utf-8", "surrogatepass")  # type: ignore[arg-type]
        marks = 2 * (len(texts) - 1)
        plain = data.count(b'"') == marks and b"\\" not in data
        if plain and 2 * np.count_nonzero(np.frombuffer(data, dtype=np.uint8) < ord(" ")) == marks:
            return b'"' + data + b'"\n'  # nothing but the ends of lines would be written otherwise
    lines = json.dumps(texts, ensure_ascii=False, separators=("\n", ":"))[1:-1]
    return lines.encode("utf-8", "surrogatepass") + b"\n"


def _texts(cells: pd.Series) -> list[str | None]:
    dtype = cells.dtype
    # A float of another size has fewer digits than Python's, so it keeps its own type.
    exact = isinstance(dtype, np.dtype) and (dtype.kind in "iub" or dtype == np.float64)
    values = cells.to_numpy() if exact else cells.to_numpy(dtype=object)
    texts: list[str | None]
    if isinstance(dtype, pd.StringDtype) or (cells.dtype.kind == "O" and pd.api.types.infer_dtype(values) == "string"):
        texts = values.tolist()
    elif exact:
        texts = list(map(str, values.tolist()))
    else:
        texts = [cell if type(cell) is str else _text(cell) for cell in values.tolist()]
    for at in np.flatnonzero(pd.isna(values)).tolist():
        texts[at] = None
    return texts


def _text(cell: object) -> str:
    if isinstance(cell, np.ndarray):
        cell = cell.tolist()
    if isinstance(cell, dict | list | tuple):
        try:
            return json.dumps(cell, ensure_ascii=False, sort_keys=True, default=str)
        except (TypeError, ValueError, RecursionError):  # keys of several kinds, or a circle
            return str(cell)
    return str(cell)


def _times(distinct: npt.NDArray[np.datetime64], zone: str) -> list[str | None]:
    """Return times as `str` writes timestamps: as many digits of a second as there are, none, six or nine."""
    texts: list[str | None] = [None] * len(distinct)
    left = np.ones(len(distinct), dtype=np.bool_)
    for unit in ("s", "us", "ns"):
        rounded = distinct.astype(f"datetime64[{unit}]")
        here = np.flatnonzero(left & (rounded == distinct))
        for at, text in zip(here.tolist(), np.datetime_as_string(rounded[here]).tolist(), strict=True):
            texts[at] = text.replace("T", " ") + zone
        left[here] = False
        if not left.any():
            break
    return texts
