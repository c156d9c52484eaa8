"""The join: rows with IDs + what was covered + what was found -> verdict columns.

A row is ``compliant`` only if its ID was in a batch whose upload was confirmed, whose job ended ``complete`` and
whose result file was proved whole. Everything else is ``unchecked`` or ``invalid``: absence of proof is not
compliance.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from .ids import BLOCK, IdColumn, Ints
from .results import concat, decisive, judged, words

STATUSES = ("compliant", "action_required", "unchecked", "invalid")
COMPLIANT, ACTION_REQUIRED, UNCHECKED, INVALID = range(4)

VERDICT_COLUMNS = ("status", "action", "reason", "created_at", "redacted_at", "checked_at", "run")

Cases = npt.NDArray[np.signedinteger[Any]]

MARKS = 26  # bits: at most 64 MiB
FEW = 32  # batches that rows are compared with one after the other
_NONE = np.empty(0, dtype=np.int64)
_MULTIPLIERS = tuple(map(np.uint64, (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93)))


@dataclass(frozen=True, slots=True)
class Covered:
    """What is known of one batch.

    Attributes
    ----------
    ids : ndarray of int64
        The sorted distinct IDs that were uploaded.
    findings : DataFrame
        As :func:`xcompliance_pd.results.read` gives them.
    proved : bool
        Whether absence from `findings` was proved to mean compliant.
    checked_at : datetime or None
        The server's time of the confirmed upload.
    run : str
        The run's ID.
    """

    ids: Ints
    findings: pd.DataFrame
    proved: bool
    checked_at: datetime | None
    run: str


def join(ids: IdColumn, covered: Sequence[Covered]) -> pd.DataFrame:
    """Return the verdict columns, one row for each row of `ids`, without prefix and with a fresh index.

    Parameters
    ----------
    ids : IdColumn
        The column as parsed, length n.
    covered : sequence of Covered
        An ID that several batches hold was asked for several times. One that lists it speaks for it, else one that
        proved its absence, else the first.

    Returns
    -------
    DataFrame
        n rows; `status`, `action`, `reason`, `run` are categories, `created_at`, `redacted_at`, `checked_at`
        are UTC datetimes.

    Examples
    --------
    >>> import pandas as pd
    >>> from xcompliance_pd import ids, results
    >>> column = ids.parse(pd.Series(["20", "21", None, "x"]), "id")
    >>> found = results.read([b'{"id":"21","action":"delete","reason":"suspended"}']).findings
    >>> join(column, [Covered(column.unique(), found, True, None, "r")])["status"].tolist()
    ['compliant', 'action_required', 'unchecked', 'invalid']
    """
    record, listed, position, case = _looked_up(ids, covered)
    # Case 2k: in batch k, which does not list it; 2k + 1: listed there; -1: in no batch.
    answers = [answer for part in covered for answer in (COMPLIANT if part.proved else UNCHECKED, ACTION_REQUIRED)]
    status = _read(np.array(answers, dtype=np.int8), case, UNCHECKED)
    status[ids.invalid] = INVALID
    verdict = judged(record).to_numpy(dtype=bool)
    status[listed[~verdict[position]]] = UNCHECKED
    # Only rows that were compliant or had a record tell a time and a run.
    told = [part if part.proved or known else None for part in covered for known in (False, True)]

    def rows(values: npt.NDArray[Any], nothing: Any) -> npt.NDArray[Any]:
        column = np.full(len(status), nothing, dtype=values.dtype)
        column[listed] = values[position]
        return column

    # An error record carries X's word in `error`; it is shown where a reason would stand.
    action, reason = record["action"].cat, record["reason"].cat
    errors = words(record["error"][~verdict], tuple(reason.categories))
    reasons = reason.codes.to_numpy().astype(errors.codes.dtype)
    reasons[~verdict] = errors.codes
    never = np.datetime64("NaT", "us")
    columns = {
        "status": pd.Categorical.from_codes(status, categories=pd.Index(STATUSES, dtype=object)),
        "action": pd.Categorical.from_codes(rows(action.codes.to_numpy(), -1), categories=action.categories),
        "reason": pd.Categorical.from_codes(rows(reasons, -1), categories=errors.categories),
        "created_at": utc(rows(record["created_at"].to_numpy(dtype="datetime64[us]"), never)),
        "redacted_at": utc(rows(record["redacted_at"].to_numpy(dtype="datetime64[us]"), never)),
        "checked_at": _checked_at(told, case),
        "run": _runs([part.run for part in covered], told, case),
    }
    return pd.DataFrame(columns, copy=False)  # every column is new


def _looked_up(ids: IdColumn, covered: Sequence[Covered]) -> tuple[pd.DataFrame, Ints, Ints, Cases]:
    """Return one record for each listed ID, which rows have one, which one each of these has, and every row's case.

    All is settled for the distinct IDs first, in their order, which is how batches come, too. Most of them then have
    the case of the batch among whose IDs they lie, and only the others need to be looked up for each row.
    """
    unique = ids.unique()
    case: Cases = np.full(len(unique), -1, dtype=np.min_scalar_type(-2 * len(covered) - 1))
    for number, part in enumerate(covered):
        held = _within(unique, part.ids)
        if (case[held] >= 0).any():
            return _looked_up(ids, _settled(covered))
        case[held] = 2 * number

    tables, spots = [], []
    for number, part in enumerate(covered):
        spot = locate(unique, part.findings["id"].to_numpy())
        # A finding speaks only for an ID of its own batch: a foreign record must not touch any row.
        own = (spot >= 0) & (_read(case, spot) == 2 * number)
        tables.append(part.findings[own])
        spots.append(spot[own])
    record, spot = concat(tables), np.concatenate([_NONE, *spots])
    record_of = np.full(len(unique), -1, dtype=np.int32)
    record_of[spot] = np.arange(len(spot), dtype=np.int32)
    if np.count_nonzero(record_of >= 0) < len(spot):  # an ID has several records
        record = decisive(record)
        spot = spot[record.index]
        record_of[spot] = np.arange(len(spot), dtype=np.int32)
    case[spot] += 1

    spans = _Spans(covered)
    odd = np.flatnonzero(spans.of_ordered(unique) != case)  # those with a record are
    case_of, record_of, places = case[odd], record_of[odd], Places(unique[odd])
    row_case: Cases = np.empty(len(ids.values), dtype=case.dtype)
    listed: list[Ints] = [_NONE]
    position: list[Any] = [_NONE]
    for start, values in zip(range(0, len(row_case), BLOCK), _blocks(ids.values), strict=True):
        found = places.find(values)
        hit = np.flatnonzero(found >= 0)
        row_case[start : start + BLOCK] = spans.case(values)
        row_case[start + hit] = case_of[found[hit]]
        records = record_of[found[hit]]
        listed.append(start + hit[records >= 0])
        position.append(records[records >= 0])
    return record, np.concatenate(listed), np.concatenate(position), row_case


class _Spans:
    """From the first to the last ID of each batch: a guess at whose a number is, right for most of them."""

    def __init__(self, covered: Sequence[Covered]) -> None:
        ends = sorted((part.ids[0], part.ids[-1], 2 * k) for k, part in enumerate(covered) if len(part.ids))
        self._first, self._last = (np.array([end[side] for end in ends], dtype=np.int64) for side in (0, 1))
        self._case = np.array([-1, *(case for _, _, case in ends)], dtype=np.min_scalar_type(-2 * len(covered) - 1))

    def of_ordered(self, values: Ints) -> Cases:
        """Return the guesses for ascending numbers, a stretch at a time."""
        guess: Cases = np.full(len(values), -1, dtype=self._case.dtype)
        starts = np.searchsorted(values, self._first)
        stops = np.minimum(np.searchsorted(values, self._last, side="right"), np.append(starts[1:], len(values)))
        for start, stop, case in zip(starts, stops, self._case[1:], strict=True):
            guess[start:stop] = case
        return guess

    def case(self, values: Ints) -> Cases:
        """Return the guess for each number."""
        if len(self._first) > FEW:
            span = np.searchsorted(self._first, values, side="right")  # 0 is before all of them
        else:
            span = np.zeros(len(values), dtype=np.int8)
            for first in self._first:  # which is several times faster than bisection where there are few
                span += values >= first
        span[values > np.append(0, self._last)[span]] = 0
        return self._case[span]


def _within(unique: Ints, batch: Ints) -> slice | Ints:
    """Return where those of the ascending numbers `unique` stand that are also in `batch`, ascending too."""
    if not len(batch):
        return slice(0)
    start, stop = np.searchsorted(unique, batch[0]), np.searchsorted(unique, batch[-1], side="right")
    near = unique[start:stop]
    if np.array_equal(near, batch):  # as it is unless the rows are others than those that were sent
        return slice(int(start), int(stop))
    found: Ints = np.flatnonzero(locate(batch, near) >= 0) + start
    return found


def locate(ordered: Ints, values: Ints) -> Ints:
    """Return where each value stands among distinct ascending numbers, or -1."""
    if not len(ordered):
        return np.full(len(values), -1)
    turn = np.argsort(values)  # neighbours are found where the processor has just looked
    place = np.empty(len(values), dtype=np.int64)
    place[turn] = np.searchsorted(ordered, values[turn])
    place[place == len(ordered)] = 0
    place[ordered[place] != values] = -1
    return place


def _settled(covered: Sequence[Covered]) -> list[Covered]:
    """Leave each ID to one batch only."""
    ids = np.concatenate([part.ids for part in covered])
    batch = np.repeat(np.arange(len(covered)), [len(part.ids) for part in covered])
    listed = np.concatenate([locate(np.unique(part.findings["id"]), part.ids) >= 0 for part in covered])
    proved = np.array([part.proved for part in covered])[batch]
    order = np.lexsort((batch, ~proved, ~listed, ids))
    chosen = np.zeros(len(ids), dtype=np.bool_)
    chosen[order[np.diff(ids[order], prepend=0) != 0]] = True
    return [replace(part, ids=part.ids[chosen[batch == number]]) for number, part in enumerate(covered)]


class Places:
    """Where numbers stand among distinct keys: a hash table made of numpy arrays, for numbers that mostly are no keys.

    Every key writes its place into a slot; where several have one slot the last stays, and the others get a table of
    their own. A slot only proposes a place, and the key that stands there is compared, so the answer is exact
    whatever the keys are. A larger table of mere marks tells most numbers apart from all keys at the first look.
    Millions of unsorted numbers are found in a fraction of the time of a binary search or of pandas' own index.
    """

    def __init__(self, keys: Ints, level: int = 0) -> None:
        self._keys = keys
        self._multiplier = _MULTIPLIERS[level]
        bits = len(keys).bit_length()
        self._shift, self._mark_shift = np.uint64(64 - bits), np.uint64(64 - min(bits + 3, max(bits, MARKS)))
        self._table = np.zeros(1 << bits, dtype=np.min_scalar_type(-len(keys) - 1))
        self._marks = np.zeros(1 << (64 - int(self._mark_shift)), dtype=np.bool_)
        place = np.arange(len(keys), dtype=self._table.dtype)
        for block, places in zip(_blocks(keys), _blocks(place), strict=True):
            self._table[self._slots(block, self._shift)] = places
            self._marks[self._slots(block, self._mark_shift)] = True
        lost = [self._table.take(self._slots(block, self._shift)) for block in _blocks(keys)]
        self._lost = np.flatnonzero(np.concatenate([place[:0], *lost]) != place)
        left = keys[self._lost]
        # After the last table few are left, or many if somebody chose the IDs for it.
        more = len(left) and level + 1 < len(_MULTIPLIERS)
        self._find_left: Any = Places(left, level + 1).find if more else pd.Index(left).get_indexer

    def _slots(self, values: Ints, shift: np.uint64) -> Ints:
        return ((values.view(np.uint64) * self._multiplier) >> shift).view(np.int64)

    def find(self, values: Ints) -> Ints:
        """Return the place of each value, -1 for one that is no key."""
        found = np.full(len(values), -1, dtype=self._table.dtype)
        if not len(self._keys):
            return found
        for block, into in zip(_blocks(values), _blocks(found), strict=True):
            marked = np.flatnonzero(self._marks.take(self._slots(block, self._mark_shift)))
            asked = block[marked]
            places = self._table.take(self._slots(asked, self._shift))
            right = self._keys.take(places) == asked
            if len(self._lost) and not right.all():
                left = np.flatnonzero(~right)
                again = self._find_left(asked[left])
                places[left] = np.append(self._lost, -1)[again]
                right[left] = again >= 0
            into[marked[right]] = places[right]
        return found


def _blocks(values: npt.NDArray[Any]) -> Iterator[npt.NDArray[Any]]:
    return (values[start : start + BLOCK] for start in range(0, len(values), BLOCK))


def _read(values: npt.NDArray[Any], place: npt.NDArray[np.signedinteger[Any]], nothing: Any = -1) -> npt.NDArray[Any]:
    """Return the value at each place, `nothing` at place -1."""
    values = np.append(values, values.dtype.type(nothing))
    read = np.empty(len(place), dtype=values.dtype)
    for block, into in zip(_blocks(place), _blocks(read), strict=True):
        into[:] = values[block]
    return read


def utc(times: npt.NDArray[np.datetime64]) -> pd.arrays.DatetimeArray:
    """Return times in microseconds as UTC datetimes."""
    moments: Any = pd.DatetimeIndex(times, copy=False).array
    aware: pd.arrays.DatetimeArray = moments.view("datetime64[us, UTC]")  # the same memory, unlike tz_localize
    return aware


def _checked_at(told: Sequence[Covered | None], case: Ints) -> pd.arrays.DatetimeArray:
    times = [None if part is None else part.checked_at for part in told]
    moments = np.array([None if time is None else time.replace(tzinfo=None) for time in times], dtype="datetime64[us]")
    return utc(_read(moments, case, "NaT"))


def _runs(runs: Sequence[str], told: Sequence[Covered | None], case: Ints) -> pd.Categorical:
    names = list(dict.fromkeys(runs))
    codes = [-1 if part is None else names.index(part.run) for part in told]
    row_codes = _read(np.array(codes, dtype=np.min_scalar_type(-len(names) - 1)), case)
    return pd.Categorical.from_codes(row_codes, categories=pd.Index(names, dtype=object))
