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
    record, position, case = _looked_up(ids, covered)
    # Case 2k: in batch k, which does not list it; 2k + 1: listed there; -1: in no batch.
    answers = [answer for part in covered for answer in (COMPLIANT if part.proved else UNCHECKED, ACTION_REQUIRED)]
    status = _read(np.array(answers, dtype=np.int8), case, UNCHECKED)
    status[ids.invalid] = INVALID
    listed = np.flatnonzero(position >= 0)
    position = position[listed]
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
    never = np.datetime64("NaT")
    columns = {
        "status": pd.Categorical.from_codes(status, categories=pd.Index(STATUSES, dtype=object)),
        "action": pd.Categorical.from_codes(rows(action.codes.to_numpy(), -1), categories=action.categories),
        "reason": pd.Categorical.from_codes(rows(reasons, -1), categories=errors.categories),
        "created_at": _utc(rows(record["created_at"].to_numpy(dtype="datetime64[us]"), never)),
        "redacted_at": _utc(rows(record["redacted_at"].to_numpy(dtype="datetime64[us]"), never)),
        "checked_at": _checked_at(told, case),
        "run": _runs([part.run for part in covered], told, case),
    }
    return pd.DataFrame(columns, copy=False)  # every column is new


def _looked_up(
    ids: IdColumn, covered: Sequence[Covered]
) -> tuple[pd.DataFrame, npt.NDArray[np.int32], npt.NDArray[np.signedinteger[Any]]]:
    """Return one record for each listed ID, and for each row which of them is its own (or -1) and its case.

    What it takes to look rows up is several times as large as what comes of it, and is gone on return.
    """
    # A row is looked up once, among the IDs of all batches; what is known of an ID is then read at its place.
    sent = np.concatenate([_NONE, *(part.ids for part in covered)])
    places = Places(sent)
    if places.repeats:
        return _looked_up(ids, _settled(covered))
    ends = np.cumsum([0, *(len(part.ids) for part in covered)])
    spots = [places.find(part.findings["id"].to_numpy()) for part in covered]
    # A finding speaks only for an ID of its own batch: a foreign record must not touch any row.
    own = [(spot >= start) & (spot < end) for spot, start, end in zip(spots, ends[:-1], ends[1:], strict=True)]
    record = decisive(concat(part.findings[mine] for part, mine in zip(covered, own, strict=True)))
    spot = np.concatenate([_NONE, *(spot[mine] for spot, mine in zip(spots, own, strict=True))])[record.index]
    record_of = np.full(len(sent), -1, dtype=np.int32)
    record_of[spot] = np.arange(len(record))
    cases = np.arange(2 * len(covered), dtype=np.min_scalar_type(-2 * len(covered) - 1))
    case_of = np.repeat(cases[::2], np.diff(ends))
    case_of[spot] += 1

    place = places.find(ids.values)
    place[~ids.valid] = -1
    return record, _read(record_of, place), _read(case_of, place)


def _settled(covered: Sequence[Covered]) -> list[Covered]:
    """Leave each ID to one batch only."""
    ids = np.concatenate([part.ids for part in covered])
    batch = np.repeat(np.arange(len(covered)), [len(part.ids) for part in covered])
    listed = np.concatenate([np.isin(part.ids, part.findings["id"].to_numpy()) for part in covered])
    proved = np.array([part.proved for part in covered])[batch]
    order = np.lexsort((batch, ~proved, ~listed, ids))
    chosen = np.zeros(len(ids), dtype=np.bool_)
    chosen[order[np.diff(ids[order], prepend=0) != 0]] = True
    return [replace(part, ids=part.ids[chosen[batch == number]]) for number, part in enumerate(covered)]


class Places:
    """Where numbers stand among distinct keys: a hash table made of numpy arrays.

    Every key writes its place into a slot; where several have one slot the last stays, and the others get a table of
    their own. A slot only proposes a place, and the key that stands there is compared, so the answer is exact
    whatever the keys are. Millions of unsorted numbers are found in a fraction of the time of a binary search or of
    pandas' own index. `repeats` says that keys are not distinct: then nothing can be found.
    """

    def __init__(self, keys: Ints, level: int = 0) -> None:
        self._keys = keys
        self._multiplier = _MULTIPLIERS[level]
        self._shift = np.uint64(64 - len(keys).bit_length())
        self._table = np.zeros(1 << len(keys).bit_length(), dtype=np.min_scalar_type(-len(keys) - 1))
        place = np.arange(len(keys), dtype=self._table.dtype)
        for block, places in zip(_blocks(keys), _blocks(place), strict=True):
            self._table[self._slots(block)] = places
        lost = [self._table.take(self._slots(block)) for block in _blocks(keys)]
        self._lost = np.flatnonzero(np.concatenate([place[:0], *lost]) != place)
        left = keys[self._lost]
        # Of equal keys all but the last lose their slot to one another, or all lose it to another key.
        self.repeats = bool((self._keys.take(self._table.take(self._slots(left))) == left).any())
        # After the last table few are left, or many if somebody chose the IDs for it.
        self._find_left: Any  # a function from values to places among those left
        if len(left) and level + 1 < len(_MULTIPLIERS) and not self.repeats:
            following = Places(left, level + 1)
            self.repeats, self._find_left = following.repeats, following.find
        else:
            index = pd.Index(left)
            self.repeats, self._find_left = self.repeats or not index.is_unique, index.get_indexer

    def _slots(self, values: Ints) -> Ints:
        return ((values.view(np.uint64) * self._multiplier) >> self._shift).view(np.int64)

    def find(self, values: Ints) -> Ints:
        """Return the place of each value, -1 for one that is no key."""
        found = np.full(len(values), -1, dtype=self._table.dtype)
        if not len(self._keys):
            return found
        rest = []
        for start, (block, places) in enumerate(zip(_blocks(values), _blocks(found), strict=True)):
            places[:] = self._table.take(self._slots(block))
            missed = np.flatnonzero(self._keys.take(places) != block)
            places[missed] = -1
            rest.append(missed + start * BLOCK)
        if len(self._lost):
            left = np.concatenate([_NONE, *rest])
            again = self._find_left(values[left])
            found[left] = np.append(self._lost, -1)[again]
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


def _utc(times: npt.NDArray[np.datetime64]) -> pd.arrays.DatetimeArray:
    moments: Any = pd.DatetimeIndex(times, copy=False).array
    aware: pd.arrays.DatetimeArray = moments.view("datetime64[us, UTC]")  # the same memory, unlike tz_localize
    return aware


def _checked_at(told: Sequence[Covered | None], case: Ints) -> pd.arrays.DatetimeArray:
    times = [None if part is None else part.checked_at for part in told]
    moments = np.array([None if time is None else time.replace(tzinfo=None) for time in times], dtype="datetime64[us]")
    return _utc(_read(moments, case, "NaT"))


def _runs(runs: Sequence[str], told: Sequence[Covered | None], case: Ints) -> pd.Categorical:
    names = list(dict.fromkeys(runs))
    codes = [-1 if part is None else names.index(part.run) for part in told]
    row_codes = _read(np.array(codes, dtype=np.min_scalar_type(-len(names) - 1)), case)
    return pd.Categorical.from_codes(row_codes, categories=pd.Index(names, dtype=object))
