"""What needs action in each group of rows, such as a language, a place or a search term."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import infer_dtype, is_datetime64_any_dtype

from ..errors import InputError
from ..summary import percent
from . import bars, style
from .style import GREY, STATUS_STYLES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GROUPS_MAX = 20
MISSING = "(missing)"
_Z = 1.959963984540054  # 95 % of a normal distribution lie within so many standard deviations


def by(
    frame: pd.DataFrame,
    column: Hashable,
    ax: Axes | None = None,
    *,
    prefix: str = "compliance_",
    shares: bool = True,
) -> Axes:
    """Draw which share of the rows needs action in each group, the highest on top.

    Parameters
    ----------
    frame : DataFrame
        What ``check`` or ``join`` returned, or the same reloaded from a file.
    column : label
        The column that names the group of each row: text, categories, truth values or numbers.
    ax : Axes, optional
        Where to draw; a new figure by default.
    prefix : str
        The prefix given to ``check`` or ``join``.
    shares : bool
        Draw shares of the group's rows with a verdict, with 95 % confidence intervals; otherwise numbers of rows.

    Returns
    -------
    Axes
        The 20 groups with the most rows that have a verdict are shown, and the others summed up. Missing values
        and empty text are the group ``(missing)``, which is always shown.

    Raises
    ------
    InputError
        The column holds times, or values that cannot be grouped.

    Notes
    -----
    The intervals are Wilson's score intervals, which stay between 0 and 100 % also for small groups
    (https://en.wikipedia.org/wiki/Binomial_proportion_confidence_interval#Wilson_score_interval).

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> frame = pd.DataFrame(
    ...     {
    ...         "lang": ["en", "en", "de", "de", None],
    ...         "compliance_status": ["action_required", "compliant", "compliant", "unchecked", "compliant"],
    ...         "compliance_checked_at": "2026-11-23 20:15:00+00:00",
    ...         "compliance_run": "tweets-20261123-0123abcd",
    ...     }
    ... )
    >>> ax = by(frame, "lang", Figure().subplots())
    >>> [label.get_text() for label in ax.get_yticklabels()], [text.get_text() for text in ax.texts[:3]]
    (['en', 'de', '(missing)'], ['50.0 % of 2', '0.0 % of 1', '0.0 % of 1'])
    """
    table = style.read(frame, prefix)
    drawn = group_bars(style.select(frame, column), column, table, shares)
    ax = bars.new_axes(drawn) if ax is None else ax
    bars.draw(ax, drawn, style.FULL, {}, "no rows")
    own = [style.SHARE, "lines: 95 % confidence intervals (Wilson)"] if shares else []
    title = f"{'Share that needs' if shares else 'Rows that need'} action, by {style.shown(str(column))}"
    return style.caption(ax, title, style.notes(table, *own), style.FULL)


def group_bars(column: pd.Series, name: Hashable, table: pd.DataFrame, shares: bool) -> list[bars.Bar]:
    """Count the rows that need action and those with a verdict in each group."""
    codes, labels = _groups(column, name)
    lost = style.has_status(table, "action_required")
    judged = lost | style.has_status(table, "compliant")
    # The last place is for missing values, whose code -1 means the last place already.
    sizes, totals, hits = (
        np.bincount(np.where(codes[rows] < 0, len(labels), codes[rows]), minlength=len(labels) + 1)
        for rows in (slice(None), judged, lost)
    )
    there = np.flatnonzero(sizes[:-1])
    kept = there[np.argsort(-totals[there], kind="stable")]
    kept, rest = kept[:GROUPS_MAX], kept[GROUPS_MAX:]
    rows = [(_label(labels[code]), int(hits[code]), int(totals[code])) for code in kept]
    if sizes[-1]:
        rows.append((MISSING, int(hits[-1]), int(totals[-1])))
    rows.sort(key=lambda row: (-(row[1] / (row[2] or np.inf)) if shares else -row[1], -row[2]))
    color, hatch = STATUS_STYLES["action_required"]
    drawn = [_bar(*row, color, hatch, shares) for row in rows]
    if len(rest):
        label = f"({len(rest):,} other group{'' if len(rest) == 1 else 's'})"
        drawn.append(_bar(label, int(hits[rest].sum()), int(totals[rest].sum()), GREY, ".", shares))
    return drawn


def _bar(label: str, hits: int, total: int, color: str, hatch: str, shares: bool) -> bars.Bar:
    if not shares:
        return bars.Bar(label, hits, f"{hits:,} of {total:,}", color, hatch)
    if not total:
        return bars.Bar(label, 0, "no row with a verdict", color, hatch)
    return bars.Bar(label, hits / total, f"{percent(hits, total)} of {total:,}", color, hatch, *wilson(hits, total))


def wilson(hits: int, total: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of a share by Wilson's score.

    Examples
    --------
    >>> [round(bound, 3) for bound in wilson(1, 10)], wilson(0, 10)[0], wilson(10, 10)[1]
    ([0.018, 0.404], 0.0, 1.0)
    """
    share, z = hits / total, _Z * _Z / total
    middle = (share + z / 2) / (1 + z)
    half = (z * (share * (1 - share) + z / 4)) ** 0.5 / (1 + z)
    # Rounding errors must not carry the interval past its own share.
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))


def _groups(column: pd.Series, name: Hashable) -> tuple[NDArray[np.intp], Any]:
    """Return for each row the number of its group, -1 for none, and the values of the groups."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        codes, values = column.cat.codes.to_numpy().astype(np.intp), column.cat.categories
    else:
        # The array below the column, because an Index of what is found would guess at types.
        array: Any = column.to_numpy() if isinstance(column.dtype, np.dtype) else column.array
        try:
            codes, values = pd.factorize(array)
        except TypeError:
            raise InputError(
                f"Column {name!r} holds values that cannot be grouped, such as lists. "
                "Give each row one value first, for example by frame.explode."
            ) from None
    if is_datetime64_any_dtype(values.dtype) or infer_dtype(values) in ("datetime", "date"):
        raise InputError(
            f"Column {name!r} holds times, which make no groups. Use plot.timeline({name!r}), "
            f"or make groups first: frame[{name!r}].dt.year."
        )
    # An empty text comes back from a CSV file as a missing value, so both mean the same from the start.
    if getattr(values.dtype, "kind", "O") not in "biufc":
        codes = np.where(np.append(pd.Series(values, dtype=values.dtype).isin([""]), False)[codes], -1, codes)
    return codes, values


def _label(value: Any) -> str:
    """Return a group's value as a label; a whole number is shown as one, whatever its type."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    try:
        return style.shown(str(value))
    except ValueError:  # Python refuses to write out integers of thousands of digits
        return style.shown(hex(value))
