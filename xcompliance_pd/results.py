"""Result files: blocks of NDJSON bytes -> a table of findings; and which finding speaks for an ID.

The format (https://docs.x.com/x-api/compliance/batch-compliance/quickstart): one JSON object a line with ``id``,
``action``, ``created_at``, ``redacted_at`` (optional) and ``reason``; blank lines occur (recorded in November 2021:
one after the second record). Unknown actions, reasons and keys are kept. A line that cannot be trusted is
never skipped silently: it is counted, and a file with such a line proves nothing about IDs it does not list.

`_record` says what a line means. It is slow, so it reads only what two faster ways leave: lines that differ from one
it has read only in digits are read as columns (`layouts`); others are parsed by the thousand (`_parse`), as long as
nothing in them is odd.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .ids import from_digits
from .layouts import DIGITS_MAX, Layout, Lines, learn, moments
from .protocol import ACTIONS, GEO_REASONS, ID_MAX, REASONS, parse_time

LINE_MAX = 1 << 20  # bytes; a documented line has about 140
BAD_KEPT = 20  # bad lines that are kept for the message
WORK = 1 << 22  # bytes read at once: many enough for numpy, few enough for memory and the processor's cache
LAYOUTS_MAX = 64  # of a file; a dozen come with documented words
TOGETHER = 2048  # lines parsed at once: enough to spare Python's steps, few enough for memory
PARTS = 16  # into which lines are divided that could not be parsed together
TOGETHER_BYTES = 1 << 10  # of a line that is parsed with others; so nesting stays far from the parser's limit, too
SHARE_MIN = 0.03  # of the lines not read yet that a layout must have to be kept
VAIN_MAX = 8  # lines of a block, one after the other, whose layout is not kept: then no more are learned

COLUMNS = ("id", "action", "reason", "created_at", "redacted_at", "error", "extra")

_ID = re.compile(r"[1-9][0-9]{0,18}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


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
    reader = _Reader()
    rest = b""
    for pieces in _works(blocks):
        lines = Lines([rest, *pieces])
        reader.read(lines)
        rest = _cut(lines.rest)
    if rest:
        reader.read(Lines([rest, b"\n"]))
    return reader.results()


def _works(blocks: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Gather pieces of the file until they are enough to work on."""
    pieces: list[bytes] = []
    size = 0
    for block in blocks:
        for start in range(0, len(block), WORK):
            pieces.append(block[start : start + WORK])
            size += len(pieces[-1])
            if size >= WORK:
                yield pieces
                pieces, size = [], 0
    yield pieces


def _cut(line: bytes) -> bytes:
    """Shorten an over-long line, so that neither work nor memory grows with it; over-long or blank it stays."""
    if len(line) <= LINE_MAX + 1:
        return line
    return line[:LINE_MAX] + (line[LINE_MAX:].strip() or b" ")[:1]


class _Part(NamedTuple):
    """Findings as columns; a row whose kind is -1 is none."""

    kinds: NDArray[np.int32]
    ids: NDArray[np.int64]
    created: NDArray[np.datetime64]
    redacted: NDArray[np.datetime64]

    @classmethod
    def blank(cls, length: int) -> _Part:
        never = np.full(length, "NaT", dtype="datetime64[us]")
        return cls(np.full(length, -1, dtype=np.int32), np.zeros(length, dtype=np.int64), never, never.copy())

    def rows(self, rows: slice | NDArray[np.bool_]) -> _Part:
        return _Part(self.kinds[rows], self.ids[rows], self.created[rows], self.redacted[rows])

    def same(self, other: _Part) -> bool:
        """Whether all is equal, to the bit; by value no missing time equals another."""
        return [np.asarray(column).tobytes() for column in self] == [np.asarray(column).tobytes() for column in other]


class _Reader:
    """Reads a file, some lines at a time. The *kind* of a record are its words: action, reason, error and extra."""

    def __init__(self) -> None:
        self._lines = 0  # so far, blank ones too
        self._bad: list[tuple[int, str]] = []
        self._bad_count = 0
        self._kinds: dict[tuple[str | None, ...], int] = {}
        self._layouts: dict[tuple[bytes, bytes], tuple[Layout, int]] = {}
        self._parts: list[_Part] = []

    def results(self) -> Results:
        """Return what was read. This ends the reading, to keep no row twice."""
        part = _Part(*map(np.concatenate, zip(_Part.blank(0), *self._parts, strict=True)))
        self._parts.clear()
        lines = len(part.ids) + self._bad_count
        return Results(_table(part, list(self._kinds)), lines, tuple(self._bad), self._bad_count)

    def read(self, lines: Lines) -> None:
        """Read lines: those of known layouts at once, then one by one with each those like it, then the rest."""
        part = _Part.blank(len(lines))
        left = np.flatnonzero(lines.lengths)
        for layout, kind in self._layouts.values():
            left = _fill(part, lines, left, layout, kind)
        vain = 0
        while len(left) and vain < VAIN_MAX:
            first, others = left[:1], left[1:]
            self._read_singly(part, lines, first)
            known = len(self._layouts)
            left = self._learn(part, lines, int(first[0]), others)
            vain = vain + 1 if len(self._layouts) == known else 0
        for start in range(0, len(left), TOGETHER):
            self._read_together(part, lines, left[start : start + TOGETHER])
        self._lines += len(lines)
        self._parts.append(part.rows(part.kinds >= 0))

    def _read_together(self, part: _Part, lines: Lines, numbers: NDArray[np.int64]) -> None:
        """Read lines in whatever form; those with anything odd each by itself."""
        objects = _objects(lines.take(numbers))
        whole = numbers[[each is not None for each in objects]]
        columns = _columns([each for each in objects if each is not None])
        if columns is not None:
            part.ids[whole] = columns.ids
            part.created[whole] = columns.created
            part.redacted[whole] = columns.redacted
            kinds = self._kinds
            part.kinds[whole] = [
                kinds.setdefault(kind, len(kinds)) if sound else -1
                for kind, sound in zip(columns.kinds, columns.sound.tolist(), strict=True)
            ]
        self._read_singly(part, lines, numbers[part.kinds[numbers] < 0])

    def _read_singly(self, part: _Part, lines: Lines, numbers: NDArray[np.int64]) -> None:
        """Read each line by itself, whatever it holds; bad ones are counted, blank ones are nothing."""
        rows, places = [], []
        for number in numbers.tolist():
            line = lines[number]
            if not line.strip():
                continue
            try:
                rows.append(_record(line))
            except ValueError as problem:
                self._bad_count += 1
                if len(self._bad) < BAD_KEPT:
                    self._bad.append((self._lines + number + 1, str(problem)))
            else:
                places.append(number)
        if not rows:
            return
        ids, actions, reasons, created, redacted, errors, extras = zip(*rows, strict=True)
        kinds = zip(actions, reasons, errors, extras, strict=True)
        part.kinds[places] = [self._kinds.setdefault(kind, len(self._kinds)) for kind in kinds]
        part.ids[places] = ids
        part.created[places] = _times(created)
        part.redacted[places] = _times(redacted)

    def _learn(self, part: _Part, lines: Lines, number: int, left: NDArray[np.int64]) -> NDArray[np.int64]:
        """Learn the layout of a line just read, if it has a new one; read with it what is left, and return the rest."""
        kind, line = int(part.kinds[number]), lines[number]
        if kind < 0 or len(line) > LINE_MAX - DIGITS_MAX or len(self._layouts) == LAYOUTS_MAX:
            return left
        layout = learn(line)
        if layout is None or layout.key in self._layouts:
            return left
        again = _Part.blank(1)
        _fill(again, Lines([line, b"\n"]), np.arange(1), layout, kind)
        if not again.same(part.rows(slice(number, number + 1))):
            return left  # a time of the right form that does not exist, for one
        rest = _fill(part, lines, left, layout, kind)
        if len(left) - len(rest) > len(left) * SHARE_MIN:  # else looking for it costs more than parsing does
            self._layouts[layout.key] = layout, kind
        return rest


def _fill(part: _Part, lines: Lines, left: NDArray[np.int64], layout: Layout, kind: int) -> NDArray[np.int64]:
    """Read the lines of a layout, and return the numbers of those that are still left."""
    found = layout.find(lines, left)
    part.kinds[found.numbers] = kind
    part.ids[found.numbers] = found.ids
    if found.created is not None:
        part.created[found.numbers] = found.created
    if found.redacted is not None:
        part.redacted[found.numbers] = found.redacted
    return left[part.kinds[left] < 0]


# --------------------------------------------------------------------------- what a line means


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) != len(pairs):
        raise ValueError("a key occurs twice")
    return data


def _constant(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)
_ENCODER = json.JSONEncoder(ensure_ascii=False)


def _record(line: bytes) -> tuple[Any, ...]:
    """Return one line as a row of COLUMNS; ValueError says what is wrong with it."""
    if len(line) > LINE_MAX:
        raise ValueError(f"longer than {LINE_MAX} bytes")
    try:
        data = _DECODER.decode(line.decode("utf-8"))
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
        _clean(_ENCODER.encode(extra)) if extra else None,
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


# --------------------------------------------------------------------------- what many lines mean

_BETWEEN = object()
_BREAKER = json.JSONEncoder(ensure_ascii=False, separators=(",\n", ": "))


def _between(word: str) -> object:
    if word != "NaN":
        raise ValueError(f"{word} is not JSON")
    return _BETWEEN


_QUICK = json.JSONDecoder(parse_constant=_between)
_EXACT = json.JSONDecoder(parse_constant=_between, object_pairs_hook=_object)


def _objects(lines: list[bytes]) -> Sequence[dict[str, Any] | None]:
    """Return the object that each line holds, or None for a line that may hold anything else."""
    objects = _parse(lines)
    if objects is not None:
        return objects
    if len(lines) == 1:
        return [None]
    size = -(-len(lines) // PARTS)
    parts = (_objects(lines[start : start + size]) for start in range(0, len(lines), size))
    return list(itertools.chain.from_iterable(parts))


def _parse(lines: list[bytes]) -> list[dict[str, Any]] | None:
    """Return the objects that lines hold, one each, or None if any line may hold anything else.

    Examples
    --------
    >>> _parse([b'{"id":"1"}', b' {"id":"2"}'])
    [{'id': '1'}, {'id': '2'}]
    >>> _parse([b'{"id":"1","x":[{}', b']}', b'{"id":"2"},{"id":"3"}'])
    """
    if max(map(len, lines)) > min(TOGETHER_BYTES, LINE_MAX):
        return None
    joined = b",NaN,".join(lines)
    if joined.count(b"NaN") != len(lines) - 1:
        return None
    try:
        text = f"[{joined.decode('utf-8')}]"
        objects = _alternating(_QUICK.decode(text), len(lines))
        # An object has one comma less than pairs. If there are no more commas than these and those around each NaN,
        # no pair is missing from a dict, so no key occurs twice. One in a text or a list proves nothing.
        if objects is None or text.count(",") == sum(map(len, objects)) - len(lines) + 2 * (len(lines) - 1):
            return objects
        return _alternating(_EXACT.decode(text), len(lines))
    except (ValueError, RecursionError):
        return None


def _alternating(items: list[Any], count: int) -> list[dict[str, Any]] | None:
    """Return the objects of a list in which as many objects take turns with NaN, or None if it is no such list.

    As no line holds a NaN, the NaNs are those put between the lines. If they all stand between the list's items,
    what a line holds is exactly one item: no line ends the list, completes another line, or is several items.
    """
    objects = items[::2]
    alternate = len(items) == 2 * count - 1 and items[1::2].count(_BETWEEN) == count - 1
    return objects if alternate and set(map(type, objects)) == {dict} else None


class _Columns(NamedTuple):
    """What objects say, as `_record` would; those that are not sound are for it to judge."""

    ids: NDArray[np.int64]
    created: NDArray[np.datetime64]
    redacted: NDArray[np.datetime64]
    kinds: Iterable[tuple[str | None, ...]]
    sound: NDArray[np.bool_]


def _columns(objects: list[dict[str, Any]]) -> _Columns | None:
    """Return objects as columns, and empty them; None if a word is not text, or none that a column takes as it is."""

    def take(key: str) -> list[Any]:
        return [each.pop(key, None) for each in objects]

    actions, reasons, errors, numbers = map(take, ("action", "reason", "error", "id"))
    (created, good), (redacted, fine), (deleted, right) = map(
        _moments, map(take, ("created_at", "redacted_at", "deleted_at"))
    )
    try:
        extras = _extras(objects)  # of the keys that are left
        "".join([word for word in itertools.chain(actions, reasons, errors, extras) if word is not None]).encode()
    except (TypeError, ValueError, RecursionError):
        return None
    texts = [value if type(value) is str else str(value) if type(value) is int else "" for value in numbers]
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    letters = "".join(texts).encode("ascii", "replace")  # a byte for each character, as the lengths count them
    ids = from_digits(np.frombuffer(letters, dtype=np.uint8), np.cumsum(lengths), lengths)
    return _Columns(
        ids.values,
        created,
        np.where(np.isnat(redacted), deleted, redacted),
        zip(actions, reasons, errors, extras, strict=True),
        ids.valid & good & fine & right,
    )


def _moments(values: list[Any]) -> tuple[NDArray[np.datetime64], NDArray[np.bool_]]:
    """Return a column of times, and whether each is one or is missing."""
    if values.count(None) == len(values):
        return _Part.blank(len(values)).created, np.ones(len(values), dtype=np.bool_)
    found, real = moments([value if type(value) is str else "" for value in values])
    return found, real | [value is None for value in values]


def _extras(objects: list[dict[str, Any]]) -> list[str | None]:
    r"""Return each object as `_ENCODER` writes it, None for an empty one; ValueError if they cannot be told apart.

    They are written as one list with a line break after each comma, which marks where one ends: text has none, for
    there it is written ``\n``.

    Examples
    --------
    >>> _extras([{"x": 1, "y": "a\n"}, {}, {"x": [2, 3]}])
    ['{"x": 1, "y": "a\\n"}', None, '{"x": [2, 3]}']
    """
    given = list(filter(None, objects))
    text = _BREAKER.encode(given)[1:-1]
    texts = text.replace("},\n{", "}\n{").replace(",\n", ", ").split("\n") if given else []
    if len(texts) != len(given):
        raise ValueError("objects in a list look like two of ours")
    following = iter(texts)
    return [next(following) if each else None for each in objects]


def _table(part: _Part, kinds: list[tuple[str | None, ...]]) -> pd.DataFrame:
    actions, reasons, errors, extras = ([kind[place] for kind in kinds] for place in range(4))
    return pd.DataFrame(
        {
            "id": part.ids,
            "action": words(actions, ACTIONS).take(part.kinds),
            "reason": words(reasons, REASONS).take(part.kinds),
            "created_at": pd.DatetimeIndex(part.created).tz_localize("UTC"),
            "redacted_at": pd.DatetimeIndex(part.redacted).tz_localize("UTC"),
            "error": pd.Series(np.array(errors, dtype=object)[part.kinds], dtype=object),
            "extra": pd.Series(np.array(extras, dtype=object)[part.kinds], dtype=object),
        }
    )


def words(values: Iterable[str | None], known: tuple[str, ...]) -> pd.Categorical:
    """Return words as categories: the known ones in their order, then unknown ones, sorted.

    Examples
    --------
    >>> words(["b", None, "k", "a"], ("k",))
    ['b', NaN, 'k', 'a']
    Categories (3, object): ['k', 'a', 'b']
    """
    codes, distinct = pd.factorize(np.array(list(values), dtype=object))
    categories = _categories(distinct, known)
    places = np.append(categories.get_indexer(pd.Index(distinct, dtype=object)), -1)  # code -1 reads the last: nothing
    return pd.Categorical.from_codes(places[codes], categories=categories)


def _categories(distinct: Iterable[str], known: tuple[str, ...]) -> pd.Index:
    return pd.Index([*known, *sorted(set(distinct) - set(known))], dtype=object)


def _times(values: Iterable[datetime | None]) -> NDArray[np.datetime64]:
    """Return times in microseconds from 1970, the precision that all supported pandas versions share."""
    never = np.iinfo(np.int64).min  # numpy's NaT
    moments = [never if value is None else (value - _EPOCH) // _MICROSECOND for value in values]
    return np.array(moments, dtype=np.int64).view("datetime64[us]")


def empty() -> pd.DataFrame:
    """Return a findings table without rows."""
    return _table(_Part.blank(0), [])


def concat(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Stack findings tables; unlike pd.concat this keeps the word columns categories."""
    tables = list(tables)
    if not tables:
        return empty()
    for name, known in (("action", ACTIONS), ("reason", REASONS)):
        used = [table[name].cat.remove_unused_categories().cat.categories for table in tables]
        categories = _categories(itertools.chain.from_iterable(used), known)
        tables = [table.assign(**{name: table[name].cat.set_categories(categories)}) for table in tables]
    return pd.concat(tables, ignore_index=True)


def judged(findings: pd.DataFrame) -> pd.Series:
    """Whether each record is a verdict. A record that holds only ``error`` says that X could not judge the ID."""
    return findings["error"].isna() | findings["action"].notna() | findings["reason"].notna()


def decisive(findings: pd.DataFrame) -> pd.DataFrame:
    """Return one record for each ID: the most severe, then the earliest redaction, then the first in the file.

    X's own rule for several events of one ID could not be read, so this order is ours: delete, then geo
    scrubbing under either word, then rehydrate, then any unknown action, then records that only hold an error.
    """
    rivals = findings[findings["id"].duplicated(keep=False)]
    rank = np.where(judged(rivals), severity(rivals["action"], rivals["reason"]), ERROR)
    redacted = rivals["redacted_at"].to_numpy(dtype="datetime64[us]")  # numpy, too, sorts what is missing last
    ranked = rivals.iloc[np.lexsort((redacted, rank))]
    beaten = ranked.index[ranked["id"].duplicated()]
    return findings.drop(beaten).sort_index()


GONE, GEO, REHYDRATE, UNKNOWN, ERROR = range(5)  # what a record asks for, the most severe first


def severity(action: pd.Series, reason: pd.Series) -> NDArray[np.int8]:
    """Return what each verdict asks for: ``GONE``, ``GEO``, ``REHYDRATE`` or ``UNKNOWN``.

    X's table of reasons has ``scrub_geo`` beside the action ``delete``
    (https://docs.x.com/x-api/compliance/batch-compliance/quickstart), and its documents have had the words in both
    places; what is to go is then the place, and never the post.

    Examples
    --------
    >>> severity(pd.Series(["delete", "delete", "rehydrate"]), pd.Series(["deleted", "scrub_geo", None])).tolist()
    [0, 1, 2]
    """
    geo = action.isin(GEO_REASONS) | reason.isin(GEO_REASONS)
    asked = np.select([geo, action == "delete", action == "rehydrate"], [GEO, GONE, REHYDRATE], UNKNOWN)
    return asked.astype(np.int8)
