"""The join: rows with IDs + what was covered + what was found -> verdict columns.

A row is ``compliant`` only if its ID was in a batch whose upload was confirmed, whose job ended ``complete`` and
whose result file was proved whole. Everything else is ``unchecked`` or ``invalid``: absence of proof is not
compliance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pandas as pd

from .ids import IdColumn
from .results import concat, decisive, judged, words

STATUSES = ("compliant", "action_required", "unchecked", "invalid")
COMPLIANT, ACTION_REQUIRED, UNCHECKED, INVALID = range(4)

VERDICT_COLUMNS = ("status", "action", "reason", "created_at", "redacted_at", "checked_at", "run")


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

    ids: npt.NDArray[np.int64]
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
        Batches without a common ID.

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
    status = np.where(ids.invalid, INVALID, UNCHECKED).astype(np.int8)
    batch = np.full(len(status), -1, dtype=np.int32)
    for number, part in enumerate(covered):
        inside = ids.valid & _member(ids.values, part.ids)
        batch[inside] = number
        if part.proved:
            status[inside] = COMPLIANT

    # A finding speaks only for an ID of its own batch: a foreign record must not touch any row.
    findings = [part.findings[_member(part.findings["id"].to_numpy(), part.ids)] for part in covered]
    record = decisive(concat(findings)).reset_index(drop=True)
    position = pd.Index(record["id"]).get_indexer(pd.Index(ids.values))
    position[~ids.valid | (batch < 0)] = -1
    listed = position >= 0
    verdict = judged(record).to_numpy(dtype=bool)
    status[listed] = np.where(verdict[position[listed]], ACTION_REQUIRED, UNCHECKED)

    # An error record carries X's word in `error`; it is shown where a reason would stand.
    reason = record["reason"].astype(object).where(verdict, record["error"])
    seen = (batch >= 0) & ((status == COMPLIANT) | listed)
    columns = {
        "status": pd.Categorical.from_codes(status, categories=pd.Index(STATUSES, dtype=object)),
        "action": _take_words(record["action"], position),
        "reason": _take_words(pd.Series(words(_none(reason), tuple(record["reason"].cat.categories))), position),
        "created_at": record["created_at"].array.take(position, allow_fill=True),
        "redacted_at": record["redacted_at"].array.take(position, allow_fill=True),
        "checked_at": _checked_at(covered).take(np.where(seen, batch, -1), allow_fill=True),
        "run": _runs(covered, np.where(seen, batch, -1)),
    }
    return pd.DataFrame(columns)


def _member(values: npt.NDArray[np.int64], sorted_ids: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    if not len(sorted_ids):
        return np.zeros(len(values), dtype=bool)
    at = np.minimum(np.searchsorted(sorted_ids, values), len(sorted_ids) - 1)
    return np.asarray(sorted_ids[at] == values)


def _none(column: pd.Series) -> list[str | None]:
    return [None if pd.isna(value) else value for value in column]


def _take_words(column: pd.Series, position: npt.NDArray[np.intp]) -> pd.Categorical:
    codes = np.append(column.cat.codes.to_numpy(), -1).astype(np.int32)  # position -1 reads the last: nothing
    return pd.Categorical.from_codes(codes[position], categories=column.cat.categories)


def _checked_at(covered: Sequence[Covered]) -> pd.arrays.DatetimeArray:
    moments = [None if part.checked_at is None else part.checked_at.replace(tzinfo=None) for part in covered]
    index = pd.DatetimeIndex(np.array(moments, dtype="datetime64[us]")).tz_localize("UTC")
    return index.array


def _runs(covered: Sequence[Covered], batch: npt.NDArray[np.int32]) -> pd.Categorical:
    names = list(dict.fromkeys(part.run for part in covered))
    code = np.array([*(names.index(part.run) for part in covered), -1], dtype=np.int32)
    return pd.Categorical.from_codes(code[batch], categories=pd.Index(names, dtype=object))
