"""A column of IDs -> 63-bit integers, and what is wrong with every row that holds none.

An ID that lost a digit names another post, or none, and X calls both compliant. So nothing here rounds, strips,
guesses or repairs: a value is an ID exactly as it stands, or it is invalid and says why.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .errors import InputError
from .protocol import ID_MAX, UPLOAD_MAX

EXAMPLES = 3  # invalid rows that a message names
DIGITS_MAX = 19  # of an ID
FEW = 1 << 10  # lines that are not worth a table of their own
BLOCK = 1 << 16  # rows worked on at once: large enough for numpy, small enough for the processor's cache
SNOWFLAKE_EPOCH_MS = 1_288_834_974_657  # the upper 41 of 63 bits count milliseconds from here
FIRST_SNOWFLAKE = 29_700_859_247  # of 2010-11-04; older post IDs come from a counter, as user IDs then did

Ints = NDArray[np.int64]
Codes = NDArray[np.uint8]
Bools = NDArray[np.bool_]
Times = NDArray[np.datetime64]


class Problem(NamedTuple):
    """What is wrong with a value, and what to do about it."""

    word: str
    advice: str


PROBLEMS: tuple[Problem, ...] = (
    Problem("", ""),
    Problem("missing", "The row holds no ID."),
    Problem("empty text", "Fill in the ID, or leave the cell missing."),
    Problem("byte order mark", "Read the file again with encoding='utf-8-sig'."),
    Problem("status URL", "Keep only the number after /status/."),
    Problem("word for missing", "Replace it by a missing value, such as pd.NA."),
    Problem("scientific notation", "The last digits are lost: go back to the source and read the column as text."),
    Problem("hexadecimal", "Write the ID in decimal digits."),
    Problem("other scripts' digits", "Write the ID with the digits 0 to 9."),
    Problem("negative", "An ID has no sign: go back to the source."),
    Problem("plus sign", "Remove the plus sign."),
    Problem("decimal point", "An ID is a whole number: read the column as text, so that no '.0' is added."),
    Problem("digit grouping", "Remove the separators between the digits."),
    Problem("Excel apostrophe", "Remove the apostrophe that marks text in spreadsheets."),
    Problem("quotes", "Remove the quotation marks."),
    Problem("zero", "Zero is no ID: leave the cell missing if there is none."),
    Problem("leading zeros", "Check the source: an ID never begins with 0."),
    Problem("over 19 digits", "An ID has at most 19 digits: check whether two were joined."),
    Problem("too large", f"The largest ID is {ID_MAX}: check the source."),
    Problem("spaces", "Remove spaces, line breaks and invisible characters; a cell holds one ID."),
    Problem("not a number", "Write the ID as digits only."),
)
_CODE = {problem.word: code for code, problem in enumerate(PROBLEMS)}
_MISSING = _CODE["missing"]
_NOT_A_NUMBER = _CODE["not a number"]
_LOST = 255  # a float whose last digits may be gone; parse refuses the whole column, so no IdColumn holds it


@dataclass(frozen=True, eq=False)
class IdColumn:
    """A parsed column, row by row.

    Attributes
    ----------
    values : ndarray of int64, one per row
        The ID; 0 where the row holds none. It may be the column's own memory, so it is read-only then.
    problem : ndarray of uint8, one per row
        0 for an ID, 1 for a missing value, else an index into `PROBLEMS`.
    """

    values: Ints
    problem: Codes

    @property
    def valid(self) -> Bools:
        """Rows that hold an ID."""
        return np.equal(self.problem, 0)

    @property
    def missing(self) -> Bools:
        """Rows without a value."""
        return np.equal(self.problem, _MISSING)

    @property
    def invalid(self) -> Bools:
        """Rows whose value is not an ID."""
        return np.greater(self.problem, _MISSING)

    def unique(self) -> Ints:
        """Return the distinct IDs, ascending. They are found once, for it takes longer than all else."""
        return self._unique

    @cached_property
    def _unique(self) -> Ints:
        return distinct(self.values if not self.problem.any() else self.values[self.valid])


def distinct(values: Ints) -> Ints:
    """Return the distinct values, ascending."""
    # numpy's own unique hashes 64-bit integers, which is many times slower than this for millions of IDs
    ordered = np.sort(values)
    first = np.ones(len(ordered), dtype=np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return ordered if first.all() else ordered[first]


# --------------------------------------------------------------------------- a column of any type


def parse(column: pd.Series[Any], name: Hashable) -> IdColumn:
    """Parse a column of post or user IDs without ever changing a digit.

    Parameters
    ----------
    column : Series of length n
        Integers, text, exact floats, categories of these, or objects; numpy, masked or Arrow types.
    name : hashable
        The column's name, for messages.

    Returns
    -------
    IdColumn
        With n values and n problem codes. Text is an ID if it is ``[1-9][0-9]{0,18}`` in ASCII and at most
        2**63 - 1.

    Raises
    ------
    InputError
        If the type cannot hold IDs (booleans, dates, ...), or if a float is so large (2**53 or more for
        float64) that its last digits may be lost.

    Examples
    --------
    >>> import pandas as pd
    >>> from xcompliance_pd.ids import parse
    >>> ids = parse(pd.Series(["1228393702244134912", None, "1.2e+18"]), "id")
    >>> ids.values.tolist(), ids.problem.tolist()
    ([1228393702244134912, 0, 0], [0, 1, 6])
    """
    ids = _parse(column, name)
    lost = np.flatnonzero(ids.problem == _LOST)
    if len(lost):
        raise InputError(_lost_message(column, name, lost))
    return ids


def _parse(column: pd.Series[Any], name: Hashable) -> IdColumn:
    dtype: Any = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _from_categories(column, name)
    if isinstance(dtype, pd.StringDtype):
        return _from_text(column)
    plain = getattr(dtype, "numpy_dtype", dtype)  # of masked and Arrow types
    kind = plain.kind if isinstance(plain, np.dtype) else ""
    if kind in ("O", "U"):
        return _from_text(column)
    if kind not in ("i", "u", "f"):
        raise InputError(
            f"Column {name!r} has the type {dtype}, which cannot hold IDs. "
            "Name the column with the IDs, and read it as text."
        )
    parse_numbers = _from_floats if kind == "f" else _from_integers
    if plain is dtype:
        return parse_numbers(column.to_numpy())
    ids = parse_numbers(column.to_numpy(dtype=plain, na_value=plain.type(0)))
    ids.problem[column.isna().to_numpy(dtype=np.bool_)] = _MISSING
    return ids


def _from_categories(column: pd.Series[Any], name: Hashable) -> IdColumn:
    """Parse each category once; code -1, for missing, picks the entry appended at the end."""
    categories = column.cat.categories
    each = _parse(pd.Series(categories, dtype=categories.dtype), name)
    codes = column.cat.codes.to_numpy()
    problem = np.append(each.problem, np.uint8(_MISSING))
    return IdColumn(np.append(each.values, np.int64(0))[codes], problem[codes])


def _from_integers(numbers: NDArray[Any]) -> IdColumn:
    problem = np.zeros(len(numbers), dtype=np.uint8)
    if len(numbers) and not (0 < numbers.min() and numbers.max() <= ID_MAX):
        problem[numbers > ID_MAX] = _CODE["too large"]
        problem[numbers < 0] = _CODE["negative"]
        problem[numbers == 0] = _CODE["zero"]
    return IdColumn(_only_valid(numbers, problem), problem)


def _from_floats(numbers: NDArray[Any]) -> IdColumn:
    """Accept whole numbers below the size from which a float of this width no longer tells neighbours apart."""
    problem = np.zeros(len(numbers), dtype=np.uint8)
    # A wider float was most likely made from float64, and is no better than that.
    limit = 2.0 ** min(np.finfo(numbers.dtype).nmant + 1, 53)
    finite = np.isfinite(numbers)
    with np.errstate(invalid="ignore"):
        problem[numbers != np.floor(numbers)] = _CODE["decimal point"]
    problem[numbers < 0] = _CODE["negative"]
    problem[numbers == 0] = _CODE["zero"]
    problem[finite & (np.abs(numbers) >= limit)] = _LOST
    problem[~finite] = _NOT_A_NUMBER
    problem[np.isnan(numbers)] = _MISSING
    return IdColumn(_only_valid(numbers, problem), problem)


def _only_valid(numbers: NDArray[Any], problem: Codes) -> Ints:
    if not problem.any():
        if numbers.dtype != np.int64:
            return numbers.astype(np.int64)
        same = numbers.view()
        same.flags.writeable = False
        return same
    return np.where(problem == 0, numbers, numbers.dtype.type(0)).astype(np.int64)


def _lost_message(column: pd.Series[Any], name: Hashable, lost: NDArray[np.intp]) -> str:
    labels = ", ".join(_shown(label) for label in column.index[lost[:5]])
    rows = ", ".join(map(str, lost[:5]))
    more = " and more" if len(lost) > 5 else ""
    return (
        f"Column {name!r} ({column.dtype}) holds {len(lost)} floating-point numbers so large that their last digits "
        f"are already lost (index {labels}; position {rows}{more}), so they name other posts or users. "
        f'Nothing was sent. Read the source again with dtype={{"{name}": str}} or "Int64"; '
        "with pd.read_json use dtype=False."
    )


# --------------------------------------------------------------------------- text


def _from_text(column: pd.Series[Any]) -> IdColumn:
    """Parse blocks of text at once; only the values that are no ID are looked at one by one."""
    array: Any = column.array
    arrow = isinstance(column.dtype, pd.ArrowDtype) or getattr(column.dtype, "storage", "") == "pyarrow"
    chunks = array.__arrow_array__().chunks if arrow else []
    if chunks and all(str(chunk.type) in _OFFSETS for chunk in chunks):
        parts = [part for chunk in chunks for part in _from_chunk(chunk)]
    else:
        cells = column.to_numpy(dtype=object)
        parts = [_from_cells(cells[start : start + BLOCK]) for start in range(0, len(cells), BLOCK)]
    values = np.concatenate([np.zeros(0, dtype=np.int64), *(part.values for part in parts)])
    problem = np.concatenate([np.zeros(0, dtype=np.uint8), *(part.problem for part in parts)])
    if arrow:  # a null has no bytes, so it was read as empty text
        missing = column.isna().to_numpy(dtype=np.bool_)
        values[missing], problem[missing] = 0, _MISSING
    rows = np.flatnonzero(problem == _NOT_A_NUMBER)
    problem[rows] = [_diagnose(_text(cell)) for cell in column.iloc[rows].tolist()]
    return IdColumn(values, problem)


def _from_cells(cells: NDArray[Any]) -> IdColumn:
    """Parse one block of Python objects: at best text alone, else by turns what is present, and each type."""
    try:
        return _from_strings(cells.tolist())
    except TypeError:
        pass
    ids = IdColumn(np.zeros(len(cells), dtype=np.int64), np.full(len(cells), _MISSING, dtype=np.uint8))
    present = ~pd.isna(cells)
    if not present.all():
        groups = [(present, _from_cells(cells[present]))] if present.any() else []
    else:
        groups = []
        for kind in set(map(type, cells)):
            rows = np.fromiter((type(cell) is kind for cell in cells), dtype=np.bool_, count=len(cells))
            groups.append((rows, _from_kind(kind, cells[rows].tolist())))
    for rows, part in groups:
        ids.values[rows], ids.problem[rows] = part.values, part.problem
    return ids


def _from_kind(kind: type, cells: list[Any]) -> IdColumn:
    """Parse cells of one Python type."""
    if issubclass(kind, float | np.floating):
        return _from_floats(np.array(cells))
    if issubclass(kind, int | np.integer) and kind is not bool:
        try:
            return _from_integers(np.array(list(map(int, cells)), dtype=np.int64))
        except OverflowError:
            pass  # some are too large: as text, they are told apart
    return _from_strings([_text(cell) for cell in cells])


def _text(cell: object) -> str:
    """Return the digits that a cell stands for; '?' for what is neither text nor a whole number."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int | np.integer) and not isinstance(cell, bool):
        # Python refuses to write out integers of thousands of digits; 20 of them are too many already
        return str(cell) if abs(int(cell)) < 10**20 else "9" * 20
    return "?"


def _from_strings(texts: list[str]) -> IdColumn:
    """Parse one block of text; raises TypeError if there is anything else among it."""
    joined = "\n".join(texts)
    if joined.count("\n") != len(texts) - 1:  # a cell of several lines must not become several IDs
        joined = "\n".join([text.replace("\n", "?") for text in texts])
    raw = np.frombuffer(joined.encode("ascii", "replace"), dtype=np.uint8)
    ends = np.append(np.flatnonzero(raw == _NEWLINE), len(raw))
    lengths = np.diff(ends, prepend=-1) - 1
    return from_digits(raw, ends, lengths)


_NEWLINE = ord("\n")
_OFFSETS: dict[str, np.dtype[Any]] = {
    "string": np.dtype("i4"),
    "large_string": np.dtype("i8"),
}  # Arrow's types of one run of bytes and offsets


def _from_chunk(chunk: Any) -> Iterator[IdColumn]:
    """Parse an Arrow string array from its own memory, without making Python strings."""
    _, offsets, data = chunk.buffers()
    kind = _OFFSETS[str(chunk.type)]
    bounds = np.frombuffer(offsets, dtype=kind, count=len(chunk) + 1, offset=chunk.offset * kind.itemsize)
    everything = np.frombuffer(data if data is not None else b"", dtype=np.uint8)
    for start in range(0, len(chunk), BLOCK):
        edges = bounds[start : start + BLOCK + 1].astype(np.int64)
        yield from_digits(everything[edges[0] : edges[-1]], edges[1:] - edges[0], np.diff(edges))


def _repeat(byte: int) -> np.uint64:
    return np.uint64(int.from_bytes(bytes([byte]) * 8, "little"))


_WIDTH = 24  # three words of eight bytes hold the 19 digits of an ID
_ZEROS = _repeat(ord("0"))
# By the count of digits in a word: its mask. The first character is the lowest byte, so digits fill it from the top.
_KEEP = np.array([(2**64 - 1) ^ (2 ** (64 - 8 * count) - 1) for count in range(9)], dtype=np.uint64)
# By length: the smallest number of so many digits. No number reaches the last, which stands for 0 and over 19.
_LEAST = np.array([2**64 - 1, *(10**power for power in range(19)), 2**64 - 1], dtype=np.uint64)


def from_digits(raw: NDArray[np.uint8], ends: NDArray[np.int64], lengths: NDArray[np.int64]) -> IdColumn:
    """Parse texts that lie in `raw`, text i being the `lengths[i]` bytes before `ends[i]`.

    Whatever is no ID gets the code for "not a number", to be diagnosed by the caller.
    """
    padded = np.full(_WIDTH + len(raw), ord("0"), dtype=np.uint8)
    padded[_WIDTH:] = raw
    # A window on the 24 bytes before every byte: taking those before each end copies all the words at once.
    windows = np.ndarray(len(raw) + 1, dtype=f"V{_WIDTH}", buffer=padded, strides=(1,))
    words = windows[ends].view("<u8").reshape(-1, 3)
    total = np.zeros(len(ends), dtype=np.uint64)
    good = np.ones(len(ends), dtype=np.bool_)
    for place in range(3):
        keep = _KEEP[np.clip(lengths - 8 * (2 - place), 0, 8)]
        word = (words[:, place] & keep) | (_ZEROS & ~keep)
        good &= _all_digits(word)
        total *= np.uint64(10**8)
        total += _number(word)
    good &= (total >= _LEAST[np.clip(lengths, 0, 20)]) & (total <= np.uint64(ID_MAX))
    total[~good] = 0
    return IdColumn(total.view(np.int64), np.where(good, np.uint8(0), np.uint8(_NOT_A_NUMBER)))


def _all_digits(word: NDArray[np.uint64]) -> Any:
    """Whether all eight bytes are '0' to '9': 0x30 to 0x3F, and still so when 6 is added."""
    high = _repeat(0xF0)
    return np.equal(word & high, _ZEROS) & np.equal((word + _repeat(6)) & high, _ZEROS)


def _number(word: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the number that eight digits write, joining neighbours to pairs, fours and eights."""
    for bits, ones in ((8, 0x0F0F0F0F0F0F0F0F), (16, 0x00FF00FF00FF00FF), (32, 0x0000FFFF0000FFFF)):
        word = (word & np.uint64(ones)) * np.uint64((10 ** (bits // 8) << bits) + 1) >> np.uint64(bits)
    return word


# --------------------------------------------------------------------------- what is wrong

_BLANK = "\x00-\x20\x7f-\xa0\xad\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u2064\u3000\ufeff"
_BLANKS = re.compile(f"[{_BLANK}]+")
# The first rule that matches names the problem; those that mean lost digits or a wrong source come early.
_RULES = tuple(
    (re.compile(pattern, re.IGNORECASE), _CODE[word])
    for word, pattern in (
        ("status URL", r".*/status(es)?/.*"),
        ("word for missing", r"nan|none|<na>|null|nat|#?n/?a|nil"),
        ("scientific notation", r"['\"]*[+-]?[0-9]+([.,][0-9]*)?e[+-]?[0-9]+['\"]*"),
        ("hexadecimal", r"0x[0-9a-f]+"),
        ("other scripts' digits", r"(?=.*[^0-9])[\d\u00b2\u00b3\u00b9\u2070-\u2079\u2080-\u2089]+"),
        ("negative", r"[-\u2212\u2013][0-9][0-9.,]*"),
        ("plus sign", r"\+[0-9][0-9.,]*"),
        ("decimal point", r"[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+,0{1,2}"),
        ("digit grouping", r"[0-9]+([.,_'\u2019][0-9]+)+"),
        ("Excel apostrophe", r"['\u2018\u2019`\u00b4][0-9]+"),
        ("quotes", r"=?[\"'`\u2018-\u201f\u00ab\u00bb][^\"]*[\"'`\u2018-\u201f\u00ab\u00bb]"),
        ("zero", r"0+"),
        ("leading zeros", r"0[0-9]+"),
        ("over 19 digits", r"[0-9]{20,}"),
        ("too large", r"9[0-9]{18}"),
        ("spaces", rf"[0-9]+([{_BLANK}]+[0-9]+)+"),
    )
)
_WHOLE = re.compile(r"[0-9]+")


def _diagnose(text: str) -> int:
    """Return the code of the most telling thing that is wrong with a text that is no ID."""
    if text.startswith(("\ufeff", "\u00ef\u00bb\u00bf")):
        return _CODE["byte order mark"]
    core = text.strip("".join(_BLANKS.findall(text)))
    if not core:
        return _CODE["empty text"]
    if core != text and _WHOLE.fullmatch(core) and len(core) < 20:
        return _CODE["spaces"]
    return next((code for rule, code in _RULES if rule.fullmatch(core)), _NOT_A_NUMBER)


def _shown(value: object, limit: int = 80) -> str:
    """Return a value as text in which blanks and invisible characters can be seen."""
    if isinstance(value, int) and value.bit_length() > 4 * limit:
        text = hex(value)  # Python refuses thousands of decimal digits
    else:
        text = repr(value) if isinstance(value, str | bytes) else str(value)
    return text if len(text) <= limit else text[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}"


def describe(ids: IdColumn, column: pd.Series[Any]) -> pd.DataFrame:
    """List the invalid rows of a parsed column.

    Parameters
    ----------
    ids : IdColumn
        What `parse` made of `column`.
    column : Series

    Returns
    -------
    DataFrame
        One row per invalid row, under its own index label, with the columns `value` (as Python writes it, so
        that blanks show), `problem`, `advice` and `row` (position from 0).

    Examples
    --------
    >>> import pandas as pd
    >>> from xcompliance_pd.ids import describe, parse
    >>> column = pd.Series(["12", " 34"], index=["a", "b"])
    >>> describe(parse(column, "id"), column)[["value", "problem", "row"]]
       value problem  row
    b  ' 34'  spaces    1
    """
    rows = np.flatnonzero(ids.invalid)
    problems = [PROBLEMS[code] for code in ids.problem[rows]]
    return pd.DataFrame(
        {
            "value": [_shown(value) for value in column.iloc[rows].tolist()],
            "problem": [problem.word for problem in problems],
            "advice": [problem.advice for problem in problems],
            "row": rows,
        },
        index=column.index[rows],
    )


# --------------------------------------------------------------------------- cells of several IDs

_SEPARATORS = re.compile(r"[\s,;|]+")
# A list as Python or JSON writes it: numbers, or numbers in quotes, between brackets.
_LISTED = re.compile(r"""\[\s*(?:(['"]?)[0-9]+\1(?:\s*,\s*(['"]?)[0-9]+\2)*)?\s*\]""")
_DIGITS = re.compile("[0-9]+")


def apart(column: pd.Series[Any]) -> tuple[pd.Series[Any], NDArray[np.int64]]:
    """Take cells of several IDs apart.

    Parameters
    ----------
    column : Series of length n
        Cells may hold lists (or tuples, sets, arrays), or text in which IDs stand between blanks, tabs, commas,
        semicolons or bars, or that is a list as Python or JSON writes it.

    Returns
    -------
    values : Series of length m
        One value each; the labels are those of the cells. A cell with nothing in it gives none, and neither does a
        missing one. No value is changed: what is no ID is for `parse` to tell.
    rows : ndarray of int64, length m
        The position, from 0, of the cell that each value is from.

    Examples
    --------
    >>> import pandas as pd
    >>> values, rows = apart(pd.Series(["20\\t21", ["22", 23], None, "['24', '25']", ""]))
    >>> values.tolist(), rows.tolist()
    (['20', '21', '22', 23, '24', '25'], [0, 0, 1, 1, 3, 3])
    """
    present = np.flatnonzero(column.notna().to_numpy())
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column.iloc[present], present
    cells = [_values(cell) for cell in column.iloc[present].tolist()]
    rows = np.repeat(present, [len(values) for values in cells])
    flat = np.empty(len(rows), dtype=object)
    flat[:] = [value for values in cells for value in values]
    return pd.Series(flat, index=column.index[rows], name=column.name, dtype=object), rows


def _values(cell: Any) -> list[Any]:
    if isinstance(cell, str):
        text = cell.strip()
        return _DIGITS.findall(text) if _LISTED.fullmatch(text) else [part for part in _SEPARATORS.split(text) if part]
    if isinstance(cell, list | tuple | set | frozenset | np.ndarray):
        return [value for value in cell if value is not None]
    return [cell]


# --------------------------------------------------------------------------- parts, batches and their bytes


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What a run needs of one part of a column: of all of it, or of one partition or row group of a large dataset.

    Attributes
    ----------
    ids : ndarray of int64
        The distinct IDs, ascending.
    rows, valid, invalid, odd : int
        How many rows there are, hold an ID, hold something else, hold an ID that is hardly a post's.
    examples : tuple of str
        The first invalid rows, for a message.
    """

    ids: Ints
    rows: int
    valid: int
    invalid: int
    odd: int
    examples: tuple[str, ...]


def survey(ids: IdColumn, column: pd.Series[Any], now: float) -> Part:
    """Return what a run needs of a parsed column.

    Parameters
    ----------
    ids : IdColumn
        What `parse` made of `column`.
    column : Series
    now : float
        Seconds since the epoch.

    Returns
    -------
    Part

    Examples
    --------
    >>> import pandas as pd
    >>> from xcompliance_pd.ids import parse, survey
    >>> column = pd.Series(["12", " 34", "12", None])
    >>> part = survey(parse(column, "id"), column, now=1_700_000_000)
    >>> part.ids.tolist(), part.rows, part.valid, part.invalid, part.odd, part.examples
    ([12], 4, 2, 1, 2, ("row 1: ' 34' (spaces)",))
    """
    few = np.flatnonzero(ids.invalid)[:EXAMPLES]
    table = describe(IdColumn(ids.values[few], ids.problem[few]), column.iloc[few])
    examples = [
        f"row {label!r}: {_shortened(value)} ({problem})"
        for label, value, problem in zip(table.index, table["value"], table["problem"], strict=True)
    ]
    rows, valid, invalid = len(column), int(np.count_nonzero(ids.valid)), int(np.count_nonzero(ids.invalid))
    odd = int(np.count_nonzero(_hardly_posts(ids.values, now))) - (rows - valid)  # where there is no ID, there is a 0
    return Part(ids.unique(), rows, valid, invalid, odd, tuple(examples))


def _shortened(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "\N{HORIZONTAL ELLIPSIS}"


class Slice(NamedTuple):
    """The IDs of one batch, ascending, and the first and the last part they are from."""

    ids: Ints
    first: int
    last: int


def batches(parts: Iterable[Ints], size: int, bytes_max: int = UPLOAD_MAX) -> Iterator[Slice]:
    """Gather the IDs of parts into batches: whole parts while they fit, and each larger part by itself in several.

    Parameters
    ----------
    parts : iterable of ndarray of int64
        The distinct IDs of each part, ascending. They are asked for one by one, and not kept longer than it takes to
        fill a batch.
    size : int
        IDs per batch, at least 1.
    bytes_max : int
        Bytes that a batch's lines may have. An ID counts as the longest there is, so that this needs no look at any;
        X's limit is 53 million of them.

    Yields
    ------
    Slice
        With the distinct IDs, ascending; never empty, and an ID is in several only if it is in several parts.

    Raises
    ------
    InputError
        If `size` is less than 1.

    Examples
    --------
    >>> import numpy as np
    >>> from xcompliance_pd.ids import batches
    >>> parts = [np.array([3, 5]), np.array([5, 8]), np.array([2, 4, 6, 7])]
    >>> [(part.ids.tolist(), part.first, part.last) for part in batches(parts, 3)]
    [([3, 5], 0, 0), ([5, 8], 1, 1), ([2, 4, 6], 2, 2), ([7], 2, 2)]
    """
    if size < 1:
        raise InputError(f"A batch of {size} IDs is not possible. Use a batch_size of 1 or more.")
    size = min(size, bytes_max // (DIGITS_MAX + 1))  # a newline each
    held: list[Ints] = []
    first = last = 0
    for number, part in enumerate(parts):
        if held and sum(map(len, held)) + len(part) > size:
            yield from _slices(held, size, first, last)
            held = []
        first, last = number if not held else first, number
        held.append(part)
    yield from _slices(held, size, first, last)


def _slices(parts: list[Ints], size: int, first: int, last: int) -> Iterator[Slice]:
    ids = parts[0] if len(parts) == 1 else distinct(np.concatenate([np.empty(0, dtype=np.int64), *parts]))
    return (Slice(ids[start : start + size], first, last) for start in range(0, len(ids), size))


# All four-digit groups as text, four bytes in one integer.
_FOURS = (np.arange(10_000)[:, None] // [1000, 100, 10, 1] % 10 + ord("0")).astype(np.uint8).view(np.uint32).ravel()


def encode(ids: Ints) -> Iterator[bytes]:
    r"""Write IDs as lines, block by block.

    Parameters
    ----------
    ids : ndarray of int64, shape (n,)
        IDs from 1 to 2**63 - 1, in any order.

    Yields
    ------
    bytes
        Whole lines, one ID each, every one ended by ``\n``; nothing at all for no IDs. Memory does not grow
        with n.

    Raises
    ------
    ValueError
        If a number is not an ID; what was yielded before is then not the whole.

    Examples
    --------
    >>> import numpy as np
    >>> from xcompliance_pd.ids import decode, encode
    >>> b"".join(encode(np.array([7, 1228393702244134912])))
    b'7\n1228393702244134912\n'
    >>> decode(b'7\n1228393702244134912\n').tolist()
    [7, 1228393702244134912]
    """
    for start in range(0, len(ids), BLOCK):
        yield _lines(ids[start : start + BLOCK])


def _lines(block: Ints) -> bytes:
    least, most = int(block.min()), int(block.max())
    if least < 1:
        raise ValueError("an ID is positive")
    rest = block.astype(np.uint64)
    groups = np.empty((len(block), 6), dtype=np.uint32)  # five groups of four digits, then the line end
    groups.view(np.uint8)[:, 20] = _NEWLINE
    for place in range(4, -1, -1):
        above = rest // np.uint64(10_000)
        groups[:, place] = _FOURS.take((rest - above * np.uint64(10_000)).view(np.int64))
        rest = above
    longest = len(str(most))
    if len(str(least)) == longest:  # nearly every block of sorted IDs: one stretch of each row, copied as one value
        row = f"V{longest + 1}"
        return np.ndarray(len(block), dtype=row, buffer=groups, offset=20 - longest, strides=(24,)).tobytes()
    lengths = np.searchsorted(_LEAST[1:20], block.astype(np.uint64), side="right")
    return groups.view(np.uint8)[:, :21][np.arange(21) >= 20 - lengths[:, None]].tobytes()


def decode(data: bytes) -> Ints:
    r"""Read what `encode` wrote, and nothing else.

    Parameters
    ----------
    data : bytes
        Lines of one ID each, every one ended by ``\n``.

    Returns
    -------
    ndarray of int64, one per line

    Raises
    ------
    ValueError
        If a line is not exactly one ID (so for blank lines, spaces or ``\r``), or the last is cut off.

    Examples
    --------
    >>> from xcompliance_pd.ids import decode
    >>> decode(b"20\n12\n").tolist()
    [20, 12]
    """
    raw = np.frombuffer(data, dtype=np.uint8)
    if len(raw) and raw[-1] != _NEWLINE:
        raise ValueError("the last line is cut off")
    parts, begin, lines = [np.empty(0, dtype=np.int64)], 0, 0
    while begin < len(raw):
        block = raw[begin : begin + BLOCK * (DIGITS_MAX + 1)]
        values, size = _of_one_length(block)
        if len(values) < FEW:
            ends = np.flatnonzero(block == _NEWLINE)[:BLOCK]
            ids = from_digits(block[: ends[-1]], ends, np.diff(ends, prepend=-1) - 1) if len(ends) else None
            if ids is None or ids.problem.any():
                wrong = 0 if ids is None else int(np.argmax(ids.problem))
                raise ValueError(f"line {lines + wrong + 1} is not an ID")
            values, size = ids.values, int(ends[-1]) + 1
        parts.append(values)
        lines += len(values)
        begin += size
    return np.concatenate(parts)


def _of_one_length(block: Codes) -> tuple[Ints, int]:
    """Read the first lines of a block as long as they are IDs of one length; return these and how many bytes they are.

    In a file of sorted IDs these are nearly all lines, and as rows of a table they are read in a third of the time.
    """
    digits = int(np.argmax(block[: DIGITS_MAX + 1] == _NEWLINE))
    rows = block[: len(block) // (digits + 1) * (digits + 1)].reshape(-1, digits + 1)
    good = rows[:, digits] == _NEWLINE
    total = np.zeros(len(rows), dtype=np.uint64)
    for place in range(digits % 8):
        digit = rows[:, place] - np.uint8(ord("0"))
        good &= digit < 10
        total = total * np.uint64(10) + digit
    for place in range(digits % 8, digits, 8):
        word = np.ndarray(len(rows), dtype="<u8", buffer=rows, offset=place, strides=(digits + 1,))
        good &= _all_digits(word)
        total = total * np.uint64(10**8) + _number(word)
    good &= (total >= _LEAST[digits]) & (total <= np.uint64(ID_MAX))
    count = len(rows) if good.all() else int(np.argmin(good))
    return total[:count].view(np.int64), count * (digits + 1)


# --------------------------------------------------------------------------- posts or users

_NOUNS = re.compile(
    r"(?P<user>user|author|account|profile|screen.?name|handle|follower|friend|member|creator|poster|tweeter)"
    r"|post|tweet|status",
    re.IGNORECASE,
)


def names_users(name: object) -> bool:
    """Whether a column's name speaks of users: the last noun for a user or a post decides.

    Examples
    --------
    >>> from xcompliance_pd.ids import names_users
    >>> [names_users(name) for name in ("author_id", "tweet_author_id", "user_tweet_id", "id")]
    [True, True, False, False]
    """
    text = " ".join(map(str, name)) if isinstance(name, tuple) else str(name)
    nouns = list(_NOUNS.finditer(text))
    return bool(nouns) and nouns[-1]["user"] is not None


def implausible_posts(values: Ints, now: float) -> float:
    """Return the share of IDs that are hardly post IDs.

    Parameters
    ----------
    values : ndarray of int64
        IDs, such as `IdColumn.unique` returns.
    now : float
        Seconds since the epoch.

    Returns
    -------
    float
        From 0 to 1: those from before the first Snowflake ID (2010-11-04), when posts and users were merely
        counted, or of a time more than a day after `now`. 0 for no IDs.

    Examples
    --------
    >>> import numpy as np
    >>> from xcompliance_pd.ids import implausible_posts
    >>> implausible_posts(np.array([12, 1228393702244134912]), now=1_700_000_000)
    0.5
    """
    if not len(values):
        return 0.0
    return float(_hardly_posts(values, now).mean())


def _hardly_posts(values: Ints, now: float) -> Bools:
    last = min((int((now + 86_400) * 1000) - SNOWFLAKE_EPOCH_MS + 1) << 22, ID_MAX)
    return np.less(values, FIRST_SNOWFLAKE) | np.greater_equal(values, last)


# --------------------------------------------------------------------------- the time in an ID


def created_at(values: Ints, valid: Bools | None = None) -> Times:
    """Return when posts were made, read from their IDs.

    Parameters
    ----------
    values : ndarray of int64, shape (n,)
        Post IDs, such as `IdColumn.values`. The ID of an account tells no time of posting.
    valid : ndarray of bool, shape (n,), optional
        Which of them to read; all by default. An `IdColumn` holds 0 where there is no ID, which tells no time anyway.

    Returns
    -------
    ndarray of datetime64[ms], shape (n,)
        UTC, exact to the millisecond. NaT where `valid` is false, and for posts from before the first Snowflake ID
        (2010-11-04), whose IDs were merely counted.

    Notes
    -----
    The bits above the lowest 22 count milliseconds from 2010-11-04 01:42:54.657 UTC
    (https://docs.x.com/resources/fundamentals/x-ids;
    https://github.com/twitter-archive/snowflake, ``IdWorker.scala``, `twepoch`).

    Examples
    --------
    >>> import numpy as np
    >>> from xcompliance_pd.ids import created_at
    >>> created_at(np.array([1228393702244134912, 20])).astype(str).tolist()
    ['2020-02-14T19:00:55.723', 'NaT']
    """
    times = ((values >> 22) + SNOWFLAKE_EPOCH_MS).view("datetime64[ms]")
    told = values >= FIRST_SNOWFLAKE
    times[~(told if valid is None else told & valid)] = np.datetime64("NaT", "ms")
    return times


def posted_at(ids: IdColumn, name: Hashable, now: float) -> Times:
    """Return when the posts of a parsed column were made, unless it looks like a column of users.

    Parameters
    ----------
    ids : IdColumn
    name : hashable
        The column's name.
    now : float
        Seconds since the epoch.

    Returns
    -------
    ndarray of datetime64[ms], one per row
        As `created_at` gives them.

    Raises
    ------
    InputError
        The name speaks of users, or more than half of the IDs are hardly post IDs.

    Examples
    --------
    >>> import pandas as pd
    >>> from xcompliance_pd.ids import parse, posted_at
    >>> posted_at(parse(pd.Series(["1228393702244134912", None]), "id"), "id", now=1_700_000_000).astype(str).tolist()
    ['2020-02-14T19:00:55.723', 'NaT']
    """
    refuse_times_of_users(name)
    share = implausible_posts(ids.values[ids.valid], now)
    if share > 0.5:
        raise InputError(
            f"{share:.0%} of the IDs in column {name!r} are no plausible post IDs (older than November 2010, or from "
            "the future), so they do not tell when anything was posted. Name the column of post IDs."
        )
    return created_at(ids.values)


def refuse_times_of_users(name: Hashable) -> None:
    """Raise InputError if a column's name speaks of users, whose IDs tell no time of posting."""
    if names_users(name):
        raise InputError(
            f"Column {name!r} looks like user IDs, and those do not tell when anything was posted. "
            "Name the column of post IDs; if these are post IDs, rename the column."
        )
