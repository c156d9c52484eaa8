"""Result lines that differ from a known one only in digits -> columns of numbers.

X's lines are written by a machine, with their keys always in one order (recorded in November 2021). So a file of
millions of lines has a dozen *layouts*: a layout is what is left of a line without the digits of its ID and times. It
is learned from one line that the plain reader has read. Every line that equals this one in all other bytes, and whose
digits are an ID and times, says the same of its own ID at its own times, and nothing else of it has to be parsed.
Lines that fit no layout are left to the plain reader: how X writes decides how fast we read, never what we read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .ids import from_digits

MARGIN = 512  # bytes around a block, so that windows stay inside; no line of a layout is as long
DIGITS_MAX = 19  # of an ID

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Words = NDArray[np.uint64]
Times = NDArray[np.datetime64]  # in microseconds, UTC

_EDGE = bytes(MARGIN)
_NEWLINE = ord("\n")


class Lines:
    r"""The whole lines of a block of bytes, and windows on the bytes near their edges.

    Parameters
    ----------
    pieces : iterable of bytes
        The block, in pieces.

    Attributes
    ----------
    starts, ends, lengths : ndarray of int64, one per line
        Where each line begins, where its newline stands, and how many bytes are between.
    tails : ndarray of uint64, one per line
        The eight bytes before its newline.
    rest : bytes
        What follows the last newline.

    Examples
    --------
    >>> lines = Lines([b"ab\nc", b"d\n\nef"])
    >>> [lines[number] for number in range(len(lines))], lines.rest
    ([b'ab', b'cd', b''], b'ef')
    """

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._data = b"".join((_EDGE, *pieces, _EDGE))
        self.ends: Ints = np.flatnonzero(np.frombuffer(self._data, dtype=np.uint8) == _NEWLINE)
        edges = np.concatenate((np.array([MARGIN]), self.ends + 1))
        self.starts: Ints = edges[:-1]
        self.lengths: Ints = self.ends - self.starts
        self.rest = self._data[edges[-1] : -MARGIN]
        self.tails: Words = self.before(self.ends, 1)[:, 0]

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, number: int) -> bytes:
        return self._data[self.starts[number] : self.ends[number]]

    def take(self, numbers: Ints) -> list[bytes]:
        """Return the lines with these numbers."""
        data, places = self._data, zip(self.starts[numbers].tolist(), self.ends[numbers].tolist(), strict=True)
        return [data[start:end] for start, end in places]

    def after(self, places: Ints, words: int) -> Words:
        """Return the bytes from each place on, a row each, as words of eight bytes."""
        windows = np.ndarray(len(self._data) - 8 * words + 1, f"V{8 * words}", self._data, strides=(1,))
        return windows[places].view("<u8").reshape(-1, words)

    def before(self, places: Ints, words: int) -> Words:
        """Return the bytes up to each place, a row each, as words of eight bytes."""
        return self.after(places - 8 * words, words)


# --------------------------------------------------------------------------- times

_FAR = 1 << 28  # stands for what is out of range; three of them still fit into 32 bits


def _pairs(first: int, last: int, unit: int) -> NDArray[np.int32]:
    """Return by two digits, read as one number of 16 bits, how many units they mean above the first; _FAR if none."""
    table = np.full(1 << 16, _FAR, dtype=np.int32)
    for number in range(first, last + 1):
        table[int.from_bytes(b"%02d" % number, "little")] = (number - first) * unit
    return table


_CENTURY, _YEAR, _MONTH = _pairs(0, 99, 1200), _pairs(0, 99, 12), _pairs(1, 12, 1)
_DAY = _pairs(1, 31, 1)
_HOUR, _MINUTE, _SECOND = _pairs(0, 23, 3600), _pairs(0, 59, 60), _pairs(0, 59, 1)
_TENTHS, _DIGIT = _pairs(0, 99, 10), np.full(1 << 8, _FAR, dtype=np.int32)
_DIGIT[ord("0") : ord("9") + 1] = range(10)

# numpy's calendar: the first day of each month from year 0 on, and how many days it has. Year 0 is none, nor is 10000.
_MONTHS = np.arange("0000-01", "10000-02", dtype="datetime64[M]").astype("datetime64[D]").astype(np.int64)
_DAYS = np.diff(_MONTHS)
_DAYS[[*range(12), -1]] = 0


class _Time(NamedTuple):
    """Where a time stands in a row of bytes, whether it has milliseconds, and its column: 0 created, 1 redacted."""

    place: int
    milliseconds: bool
    column: int


def _moments(rows: Words | NDArray[np.uint8], time: _Time) -> tuple[Times, Bools]:
    """Return the time in each row, and whether its digits are a time that exists."""
    text = rows.view(np.uint8)[:, time.place :]

    def take(table: NDArray[np.int32], at: int, kind: str = "<u2") -> NDArray[np.int32]:
        return table.take(text[:, at : at + np.dtype(kind).itemsize].view(kind)[:, 0])

    # 2019-08-10T12:22:39.022
    # 0 2  5  8  1  4  7  0 2
    month = take(_CENTURY, 0) + take(_YEAR, 2) + take(_MONTH, 5)
    day = take(_DAY, 8)
    second = take(_HOUR, 11) + take(_MINUTE, 14) + take(_SECOND, 17)
    month = np.minimum(month, len(_DAYS) - 1)
    real = (day < _DAYS[month]) & (second < 86_400)
    moment = ((_MONTHS[month] + day) * 86_400 + second) * 1_000_000
    if time.milliseconds:
        thousandth = take(_TENTHS, 20) + take(_DIGIT, 22, "u1")
        real &= thousandth < 1000
        moment += thousandth * 1000
    return moment.view("datetime64[us]"), real


_FORMS = tuple(
    np.frombuffer(b"____-__-__T__:__:__" + fraction + zone, dtype=np.uint8)
    for fraction in (b".___", b"")
    for zone in (b"Z", b"+00:00")
)


def moments(texts: list[str]) -> tuple[Times, Bools]:
    """Return the times that texts write in the forms of a layout, and for each text whether it is one.

    Examples
    --------
    >>> found, real = moments(["2020-05-26T17:02:47.001Z", "2020-05-26T17:02:47+00:00", "2020-02-30T00:00:00Z", "now"])
    >>> found[real].tolist()
    [datetime.datetime(2020, 5, 26, 17, 2, 47, 1000), datetime.datetime(2020, 5, 26, 17, 2, 47)]
    """
    found, real = np.full(len(texts), "NaT", dtype="datetime64[us]"), np.zeros(len(texts), dtype=np.bool_)
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    for form in _FORMS:
        numbers = np.flatnonzero(lengths == len(form))
        if not len(numbers):
            continue
        letters = "".join([texts[number] for number in numbers.tolist()]).encode("ascii", "replace")
        rows = np.frombuffer(letters, dtype=np.uint8).reshape(-1, len(form))
        fixed = form != ord("_")
        found[numbers], real[numbers] = _moments(rows, _Time(0, b"." in form.tobytes(), 0))
        real[numbers] &= np.equal(rows[:, fixed], form[fixed]).all(axis=1)
    return found, real


# --------------------------------------------------------------------------- layouts


class _Side(NamedTuple):
    """What stands on one side of the ID, in words of eight bytes: 0 for any byte, and a mask that makes it so."""

    words: Words
    mask: Words
    size: int  # in bytes, without those that fill up the words
    times: tuple[_Time, ...]

    def agree(self, rows: Words) -> Bools:
        """Whether each row has the bytes that are not 0 here."""
        wrong = np.zeros(len(rows), dtype=np.uint64)
        for column, mask, word in zip(rows.T, self.mask, self.words, strict=True):
            wrong |= (column & mask) ^ word
        return np.equal(wrong, 0)


class Found(NamedTuple):
    """Lines of one layout: their numbers, their IDs, and both times, None if the layout has none."""

    numbers: Ints
    ids: Ints
    created: Times | None
    redacted: Times | None


class Layout(NamedTuple):
    """What lines have in common before and after the digits of their ID."""

    before: _Side
    after: _Side

    @property
    def key(self) -> tuple[bytes, bytes]:
        """Tell this layout from all others."""
        return self.before.words.tobytes(), self.after.words.tobytes()

    def find(self, lines: Lines, numbers: Ints) -> Found:
        """Find the lines of this layout among those with the given numbers, and read them."""
        # The last bytes rule out nearly all other lines, at little cost.
        numbers = numbers[lines.tails[numbers] & self.after.mask[-1] == self.after.words[-1]]
        digits = lines.lengths[numbers] - self.before.size - self.after.size
        fits = (digits >= 1) & (digits <= DIGITS_MAX)
        numbers, digits = numbers[fits], digits[fits]
        before = lines.after(lines.starts[numbers], len(self.before.words))
        after = lines.before(lines.ends[numbers], len(self.after.words))
        same = self.before.agree(before) & self.after.agree(after)
        numbers, digits, before, after = numbers[same], digits[same], before[same], after[same]

        near = lines.before(lines.ends[numbers] - self.after.size, 3)
        ids = from_digits(near.view(np.uint8).ravel(), 24 * np.arange(1, len(near) + 1), digits)
        good = ids.valid
        moments: dict[int, Times] = {}
        for side, rows in ((self.before, before), (self.after, after)):
            for time in side.times:
                moments[time.column], real = _moments(rows, time)
                good &= real
        created, redacted = (moments[column][good] if column in moments else None for column in (0, 1))
        return Found(numbers[good], ids.values[good], created, redacted)


_SPACE = rb"[ \t\r]*"
# The brace or comma before a key, the key, and its value: text without escapes, or null.
_FIELD = re.compile(rb'%b[{,]%b"([^"\\]*)"%b:%b(?:"([^"\\]*)"|null)' % ((_SPACE,) * 4))
_END = re.compile(rb"%b}%b" % (_SPACE, _SPACE))
_WHEN = re.compile(rb"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{3})?)(?:Z|\+00:00)")
_DIGITS = re.compile(rb"[0-9]")
_COLUMNS = {b"created_at": 0, b"redacted_at": 1, b"deleted_at": 1}


def learn(line: bytes) -> Layout | None:
    r"""Return the layout of a line.

    Parameters
    ----------
    line : bytes
        A line that the plain reader could read: a JSON object with a usable ID.

    Returns
    -------
    Layout or None
        None for an object that holds anything but nulls and text without escapes, that has a time in another form
        than the two X writes, or two times for one column.

    Examples
    --------
    >>> layout = learn(b'{"id":"20","created_at":"2020-05-26T17:02:47.000Z","reason":"deleted"}')
    >>> lines = Lines([b'{"id":"7","created_at":"1970-01-01T00:00:00.001Z","reason":"deleted"}\n'])
    >>> found = layout.find(lines, np.arange(1))
    >>> found.ids.tolist(), found.created.tolist()
    ([7], [datetime.datetime(1970, 1, 1, 0, 0, 0, 1000)])
    """
    spans: dict[bytes, tuple[int, int]] = {}
    place = 0
    while field := _FIELD.match(line, place):
        place = field.end()
        if field[2] is not None:
            spans[field[1]] = field.span(2)
    if len(line) > MARGIN - DIGITS_MAX or not _END.fullmatch(line, place) or b"id" not in spans:
        return None
    if {b"redacted_at", b"deleted_at"} <= spans.keys():
        return None
    bare = bytearray(line)
    times: list[_Time] = []
    for key in _COLUMNS.keys() & spans.keys():
        form = _WHEN.fullmatch(line, *spans[key])
        if form is None:
            return None
        bare[slice(*form.span(1))] = _DIGITS.sub(b"\0", form[1])
        times.append(_Time(form.start(), form[2] is not None, _COLUMNS[key]))
    start, end = spans[b"id"]
    head, tail = bytes(bare[:start]), bytes(bare[end:])
    fill = -len(tail) % 8
    return Layout(
        _side(head + bytes(-start % 8), start, [time for time in times if time.place < start]),
        _side(
            bytes(fill) + tail,
            len(tail),
            [time._replace(place=time.place - end + fill) for time in times if time.place > end],
        ),
    )


def _side(text: bytes, size: int, times: list[_Time]) -> _Side:
    mask = np.where(np.frombuffer(text, dtype=np.uint8) == 0, 0, 0xFF).astype(np.uint8)
    return _Side(np.frombuffer(text, dtype="<u8"), mask.view("<u8"), size, tuple(times))
