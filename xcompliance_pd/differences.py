"""What changed between two checks of one dataset: two checked frames -> one row for each ID whose verdict differs.

Both frames may have been saved and reloaded, their rows may stand in any order and IDs may occur often. Only the
verdict columns and the column of IDs are read.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from . import cleaning, summary
from . import ids as id_rules
from .errors import InputError
from .ids import Ints

CHANGES = (
    "newly gone",
    "back again",
    "newly listed",
    "no longer listed",
    "reason changed",
    "newly unchecked",
    "now checked",
    "new",
    "no longer in the dataset",
)
GONE, BACK, LISTED, UNLISTED, REASON, LOST, FOUND, NEW, ABSENT = range(len(CHANGES))
SAME = -1
_STATE = ["status", "action", "reason"]
_SHOWN = [*_STATE, "checked_at"]


@dataclass(frozen=True, slots=True)
class Compared:
    """Two checks, ID by ID.

    Attributes
    ----------
    ids : ndarray of int64
        All IDs of both frames, ascending.
    change : ndarray of int8
        For each, which of ``CHANGES``; -1 where nothing changed.
    before, after : DataFrame
        The verdict columns of each ID; missing where it is not in the frame.
    """

    ids: Ints
    change: npt.NDArray[np.int8]
    before: pd.DataFrame
    after: pd.DataFrame


def diff(before: pd.DataFrame, after: pd.DataFrame, column: Hashable, *, prefix: str = "compliance_") -> pd.DataFrame:
    """Return what changed between two checks of one dataset, matched by ID.

    Parameters
    ----------
    before, after : DataFrame
        What ``check`` or ``join`` returned, earlier and later, or the same reloaded from a file.
    column : label
        The column of IDs, of the same name in both.
    prefix : str
        The prefix given to ``check`` or ``join``.

    Returns
    -------
    DataFrame
        One row for each ID that changed, by kind of change and then by ID: `id` (text), `change` (category), and
        `status`, `action`, `reason` and `checked_at`, each with ``_before`` and ``_after``. The changes are, in this
        order: ``newly gone`` (it is to be deleted now, and was not), ``back again`` (the reverse), ``newly listed`` and
        ``no longer listed`` (it needs another action now, such as blanking its geo data, and was compliant; and the
        reverse), ``reason changed`` (or action), ``newly unchecked`` (it had a verdict and has none), ``now checked``
        (the reverse), ``new`` and ``no longer in the dataset`` (it is in one of the frames only).

    Raises
    ------
    InputError
        There is no such column, rows of one ID have different verdicts, or all of `after` was checked before `before`.

    Notes
    -----
    Rows without a valid ID are left out. An unchecked row never counts as compliant: what is not known on one side is
    no return and no loss.

    Examples
    --------
    >>> import pandas as pd, xcompliance_pd as xc
    >>> posts = pd.DataFrame({"id": ["1212092628029698048", "1212092628029698049"]})
    >>> with xc.Sandbox(findings=[]) as box:
    ...     before = xc.check(posts, "id", client=box.client)
    >>> lines = ['{"id":"1212092628029698049","action":"delete","reason":"suspended"}']
    >>> with xc.Sandbox(findings=lines) as box:
    ...     after = xc.check(posts, "id", client=box.client)
    >>> xc.diff(before, after, "id")[["id", "change", "reason_after"]].to_dict("records")
    [{'id': '1212092628029698049', 'change': 'newly gone', 'reason_after': 'suspended'}]
    """
    found = compare(before, after, column, prefix)
    rows = np.flatnonzero(found.change != SAME)
    rows = rows[np.argsort(found.change[rows], kind="stable")]
    columns: dict[str, object] = {
        "id": found.ids[rows].astype(str).astype(object),
        "change": pd.Categorical.from_codes(found.change[rows], categories=pd.Index(CHANGES, dtype=object)),
    }
    for name in _SHOWN:
        for side, table in (("before", found.before), ("after", found.after)):
            columns[f"{name}_{side}"] = table[name].take(rows).array
    return pd.DataFrame(columns)


def compare(before: pd.DataFrame, after: pd.DataFrame, column: Hashable, prefix: str) -> Compared:
    """Compare two checked frames ID by ID; see :func:`diff`."""
    (old_ids, old), (new_ids, new) = (
        _by_id(frame, column, prefix, word) for frame, word in ((before, "before"), (after, "after"))
    )
    if new["checked_at"].max() < old["checked_at"].min():
        raise InputError(
            "All of the frame after was checked before the frame before. Give the earlier one first: "
            "xc.diff(before, after, column), after.compliance.diff(column, before)."
        )
    ids = np.union1d(old_ids, new_ids)
    tables = [
        table.set_axis(place, axis=0).reindex(np.arange(len(ids)))
        for table, place in ((old, np.searchsorted(ids, old_ids)), (new, np.searchsorted(ids, new_ids)))
    ]
    return Compared(ids, _changes(*tables), *tables)


def _by_id(frame: pd.DataFrame, column: Hashable, prefix: str, word: str) -> tuple[Ints, pd.DataFrame]:
    """Return the distinct IDs of a frame, ascending, and the verdict of each."""
    if not isinstance(frame, pd.DataFrame) or not isinstance(column, Hashable) or column not in frame.columns:
        raise InputError(f"The frame {word} has no column {str(column)[:40]!r}. Name the column of IDs, as in check.")
    series = frame[column]
    if not isinstance(series, pd.Series):
        raise InputError(f"There are several columns named {column!r}. Rename them so that one name means one column.")
    ids, table = id_rules.parse(series, column), summary.columns(frame, prefix, [*_SHOWN, "run"])
    rows = np.flatnonzero(ids.valid)
    # Of several rows of one ID the latest stands, so they are put into that order.
    times = table["checked_at"].to_numpy(dtype="datetime64[us]")[rows].astype(np.int64)  # what is missing comes first
    rows = rows[np.lexsort((times, ids.values[rows]))]
    values, table = ids.values[rows], table.iloc[rows]
    same = np.flatnonzero(np.diff(values) == 0)
    for name in _STATE:
        codes = table[name].cat.codes.to_numpy()
        if len(odd := same[codes[same] != codes[same + 1]]):
            raise InputError(
                f"Rows of the ID {values[odd[0]]} have different verdicts in the frame {word}, so what it was is not "
                "clear. Keep the rows of one check only."
            )
    last = np.append(np.diff(values) != 0, np.ones(min(len(values), 1), dtype=np.bool_))
    return values[last], table[last].reset_index(drop=True)


def _changes(before: pd.DataFrame, after: pd.DataFrame) -> npt.NDArray[np.int8]:
    there, stays = (table["status"].notna().to_numpy() for table in (before, after))
    listed, lists = ((table["status"] == "action_required").to_numpy() for table in (before, after))
    known, knows = (
        listed_now | (table["status"] == "compliant").to_numpy()
        for table, listed_now in ((before, listed), (after, lists))
    )
    gone, goes = (cleaning.to_delete(table) for table in (before, after))
    other = np.zeros(len(before), dtype=np.bool_)
    for name in ("action", "reason"):
        words = [table[name].astype(object).where(table[name].notna(), None).to_numpy() for table in (before, after)]
        other |= words[0] != words[1]
    cases = [
        (~there, NEW),
        (~stays, ABSENT),
        (known & ~knows, LOST),
        (~known & knows, FOUND),
        (~known & ~knows, SAME),
        (~gone & goes, GONE),
        (gone & ~goes, BACK),
        (~listed & lists, LISTED),
        (listed & ~lists, UNLISTED),
        (listed & lists & other, REASON),
    ]
    return np.select([case for case, _ in cases], [change for _, change in cases], SAME).astype(np.int8)
