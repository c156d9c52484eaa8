"""Counting the outcome: verdict columns of a checked frame -> tidy tables and spans.

The columns are the report: everything here reads them and nothing else, so it works on a frame that was saved as
CSV and reloaded a month later, when categories and datetimes have become text.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from .errors import InputError
from .protocol import ACTIONS, REASONS
from .results import words
from .verdicts import STATUSES, VERDICT_COLUMNS

_KNOWN = {"status": STATUSES, "action": ACTIONS, "reason": REASONS, "run": ()}
_COUNTED = ["status", "action", "reason"]


def columns(frame: pd.DataFrame, prefix: str = "compliance_", names: Sequence[str] = VERDICT_COLUMNS) -> pd.DataFrame:
    """Return the verdict columns of a checked frame, without prefix and with their own dtypes again.

    Parameters
    ----------
    frame : DataFrame
        What ``check`` or ``join`` returned, or the same reloaded from a file.
    prefix : str
        The prefix given to ``check`` or ``join``.
    names : sequence of str
        The verdict columns that are needed; the others may be absent.

    Returns
    -------
    DataFrame
        The index of `frame`; `status`, `action`, `reason` and `run` are categories (known words in their fixed
        order, then unknown ones, sorted), the times are UTC datetimes.

    Raises
    ------
    InputError
        A column is missing or double, a status is none of the four words, or a time cannot be read.

    Examples
    --------
    >>> import io, pandas as pd
    >>> text = "compliance_status,compliance_checked_at\\ncompliant,2026-11-23 20:15:00+00:00\\nunchecked,\\n"
    >>> columns(pd.read_csv(io.StringIO(text)), names=["status", "checked_at"])["checked_at"].dt.day.tolist()
    [23.0, nan]
    """
    found = [f"{prefix}{name}" for name in names]
    missing = [name for name in found if name not in frame.columns]
    if missing:
        raise InputError(
            f"The frame has no column {', '.join(map(repr, missing))}. Use the frame that check() or join() returned, "
            "or pass the prefix= that was given to them."
        )
    double = [name for name in found if list(frame.columns).count(name) > 1]
    if double:
        raise InputError(f"The frame has more than one column {', '.join(map(repr, double))}. Keep only one of each.")
    table = {
        name: _words(frame[full], _KNOWN[name]) if name in _KNOWN else _times(frame[full])
        for name, full in zip(names, found, strict=True)
    }
    verdicts = pd.DataFrame(table, index=frame.index)
    if "status" in verdicts:
        _check_status(verdicts["status"], f"{prefix}status")
    return verdicts


def summary(frame: pd.DataFrame, prefix: str = "compliance_") -> pd.DataFrame:
    """Count the rows of a checked frame by status, action and reason.

    Parameters
    ----------
    frame : DataFrame
        What ``check`` or ``join`` returned, or the same reloaded from a file.
    prefix : str
        The prefix given to ``check`` or ``join``.

    Returns
    -------
    DataFrame
        One row for each combination that occurs, and one with 0 `rows` for each status that does not: `status`,
        `action`, `reason`, `rows` (int64) and `share` (of all rows, 0 to 1). Statuses, actions and reasons stand
        in a fixed order, unknown words after the known ones, a missing word last. Every row of `frame` is counted
        once.

    Examples
    --------
    >>> import pandas as pd
    >>> summary(
    ...     pd.DataFrame(
    ...         {
    ...             "compliance_status": ["compliant", "action_required", "compliant", "compliant"],
    ...             "compliance_action": [None, "delete", None, None],
    ...             "compliance_reason": [None, "suspended", None, None],
    ...         }
    ...     )
    ... )
                status  action     reason  rows  share
    0        compliant     NaN        NaN     3   0.75
    1  action_required  delete  suspended     1   0.25
    2        unchecked     NaN        NaN     0   0.00
    3          invalid     NaN        NaN     0   0.00
    """
    table = columns(frame, prefix, _COUNTED)
    counts = table.groupby(_COUNTED, observed=True, dropna=False).size().rename("rows").reset_index()
    absent = [status for status in STATUSES if status not in set(counts["status"])]
    zeros = pd.DataFrame({"status": absent, "action": None, "reason": None, "rows": 0})
    rows = pd.concat([counts.astype(object), zeros.astype(object)], ignore_index=True)
    for name in _COUNTED:
        rows[name] = pd.Categorical(rows[name], categories=table[name].cat.categories)
    rows = rows.astype({"rows": "int64"}).sort_values(_COUNTED, ignore_index=True)
    return rows.assign(share=rows["rows"] / max(len(frame), 1))


def checked_span(frame: pd.DataFrame, prefix: str = "compliance_") -> tuple[pd.Timestamp, pd.Timestamp]:
    """Return the first and the last time of a check in the frame; (NaT, NaT) when no row was checked.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"compliance_checked_at": ["2026-11-23 20:15:00+00:00", None]})
    >>> checked_span(frame)[0].isoformat()
    '2026-11-23T20:15:00+00:00'
    """
    times = columns(frame, prefix, ["checked_at"])["checked_at"]
    return times.min(), times.max()


def plain(text: str, limit: int = 60) -> str:
    """Make foreign text fit for the screen: printable characters only, and not too many of them.

    Examples
    --------
    >>> plain("deleted\\n\\x1b[31m", 40), plain("a very long reason", 10)
    ('deleted  [31m', 'a very lo…')
    """
    clean = "".join(c if c.isprintable() else " " for c in text).strip()
    return clean if len(clean) <= limit else clean[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _words(column: pd.Series, known: tuple[str, ...]) -> pd.Categorical:
    """Return a column of words as categories; an empty text is how some CSV readers spell a missing word."""
    codes, seen = pd.factorize(column)
    distinct = words([str(word) or None for word in seen], known)
    return pd.Categorical.from_codes(np.append(distinct.codes, -1)[codes], categories=distinct.categories)


def _times(column: pd.Series) -> pd.Series:
    try:
        if is_numeric_dtype(column):
            if column.notna().any():
                raise ValueError("a number tells no time without its unit")
            column = column.astype(object)
        return pd.to_datetime(column, utc=True, format="ISO8601")
    except (ValueError, TypeError):
        raise InputError(
            f"The column {column.name!r} holds something that is no time. "
            "Use the frame as check() or join() returned it, or blank the times that cannot be read."
        ) from None


def _check_status(status: pd.Series, name: str) -> None:
    unknown = [repr(plain(word)) for word in status.cat.categories if word not in STATUSES]
    if unknown:
        raise InputError(
            f"The column {name!r} holds {', '.join(unknown[:5])}, which is no status: those are "
            f"{', '.join(STATUSES)}. Pass the prefix= of the verdict columns, or correct the values."
        )
    blank = int(status.isna().sum())
    if blank:
        raise InputError(
            f"The column {name!r} has no status in {blank:,} rows, as after concat or merge with rows that were never "
            f"checked. Say so first: frame[{name!r}] = frame[{name!r}].fillna('unchecked')."
        )
