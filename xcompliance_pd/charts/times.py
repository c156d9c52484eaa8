"""What needs action, by the month of posting."""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .. import ids
from ..errors import InputError
from . import style
from .style import Look, Sizes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Times = NDArray[np.datetime64]

MONTHS_MAX = 120  # more would be too thin to tell apart: then years are drawn
FEW = 30  # rows; a share of fewer is mostly chance, so it is drawn pale
REASONS_MAX = 12
_LOOK_AT = 1000  # values that decide whether text holds IDs or times
_PALE = 0.45
_STRIP, _GAP = 0.11, 0.09  # parts of the height: rows per month at the bottom, and what parts them from the shares
_USERS = re.compile(r"\busers-[0-9]{8}-")
_POSTS = re.compile(r"\btweets-[0-9]{8}-")


def timeline(
    frame: pd.DataFrame,
    column: Hashable,
    ax: Axes | None = None,
    *,
    prefix: str = "compliance_",
    shares: bool = True,
) -> Axes:
    """Draw which share of the rows needs action by month of posting, stacked by reason.

    Parameters
    ----------
    frame : DataFrame
        What ``check`` or ``join`` returned, or the same reloaded from a file.
    column : label
        The column of post IDs, which tell their time themselves, or a column of times: datetimes (UTC unless they
        say otherwise) or ISO 8601 text.
    ax : Axes, optional
        Where to draw; a new figure by default.
    prefix : str
        The prefix given to ``check`` or ``join``.
    shares : bool
        Draw shares of the month's rows with a verdict; otherwise numbers of rows.

    Returns
    -------
    Axes
        Its horizontal axis holds dates, so an event can be marked by ``ax.axvline(pd.Timestamp("2022-10-27"))``.
        The grey strip at the bottom is the number of rows with a verdict; shares of fewer than 30 rows are pale.
        A span of more than ten years is drawn by year. Rows without a verdict, without a time, or with a time after
        the check are counted in the notes and nowhere else.

    Raises
    ------
    InputError
        The column holds neither post IDs nor times, or the IDs are those of users; or it is a time that X gives
        for listed IDs only.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> frame = pd.DataFrame(
    ...     {
    ...         "id": ["1228393702244134912", "1228393702244134913", "1238393702244134912"],
    ...         "compliance_status": ["action_required", "compliant", "compliant"],
    ...         "compliance_reason": ["suspended", None, None],
    ...         "compliance_checked_at": "2026-11-23 20:15:00+00:00",
    ...         "compliance_run": "tweets-20261123-0123abcd",
    ...     }
    ... )
    >>> ax = timeline(frame, "id", Figure().subplots())
    >>> ax.get_title(loc="left"), ax.get_legend().get_texts()[0].get_text()
    ('Share that needs action, by month of posting', 'suspended')
    """
    table = style.read(frame, prefix, "reason")
    data = gather(frame, table, column, prefix, shares)
    ax = style.new_axes(3.6 + 0.15 * len(data.looks)) if ax is None else ax
    draw(ax, data, shares, style.FULL)
    title = f"{'Share that needs' if shares else 'Rows that need'} action, by {data.unit} of {data.what}"
    return style.caption(ax, title, style.notes(table, *data.notes), style.FULL)


class Lost(NamedTuple):
    """What a timeline shows, period by period."""

    notes: list[str]
    unit: str  # "month" or "year"
    what: str  # that lies in it
    edges: NDArray[np.datetime64]  # one more than there are periods
    judged: NDArray[np.intp]  # rows with a verdict
    lost: NDArray[np.intp]  # one line per look: rows that need action
    looks: list[Look]


def gather(frame: pd.DataFrame, table: pd.DataFrame, column: Hashable, prefix: str, shares: bool) -> Lost:
    """Count the rows with a verdict by period and reason."""
    if shares and column in (f"{prefix}created_at", f"{prefix}redacted_at"):
        raise InputError(
            f"X gives the times of {column!r} only for IDs that it lists, so every share would be near 100 %. "
            "Name the column of post IDs, or a column of times that all rows have."
        )
    checked = table["checked_at"].max()
    now = np.inf if pd.isna(checked) else checked.timestamp()
    times, posted = _times(style.select(frame, column), column, now, table)

    lost = style.has_status(table, "action_required")
    judged = lost | style.has_status(table, "compliant")
    timed = ~np.isnat(times)
    late = np.zeros(len(table), dtype=np.bool_)
    if not np.isinf(now):
        late = times > np.datetime64(int(now) + 86_400, "s")
    drawn = judged & timed & ~late

    months = times[drawn].astype("datetime64[M]").astype(np.int64)  # from 1970
    first, last = (int(months.min()), int(months.max())) if len(months) else (0, -1)
    unit = "month" if last - first < MONTHS_MAX else "year"
    step = 1 if unit == "month" else 12
    first //= step
    periods = months // step - first
    count = last // step - first + 1
    edges = np.arange(first, first + count + 1).astype(f"datetime64[{unit[0].upper()}]")

    flagged = lost & drawn
    slot, _, looks = style.slots(table, "reason", flagged, REASONS_MAX)
    cells = np.bincount(periods[lost[drawn]] * len(looks) + slot, minlength=count * len(looks))

    what = "posting" if posted else style.shown(str(column))
    untimed, too_late = int((judged & ~timed).sum()), int((judged & late).sum())
    notes = [style.counted(untimed, "without a time")] if untimed else []
    notes += [style.counted(too_late, "with a time after the check")] if too_late else []
    total = np.bincount(periods, minlength=count)
    if shares:
        notes.append(style.SHARE)
        notes += [f"pale: fewer than {FEW} rows"] if ((0 < total) & (total < FEW)).any() else []
    return Lost(notes, unit, what, edges, total, cells.reshape(count, len(looks)).T, looks)


def draw(ax: Axes, data: Lost, shares: bool, sizes: Sizes, *, legend: bool = True) -> None:
    """Draw the reasons as areas on top of one another, and the rows per period below them."""
    from matplotlib.dates import date2num

    ink = style.prepare(ax, sizes)
    if not len(data.judged):
        ax.set_axis_off()
        style.say(ax, "no row with a verdict has a time", sizes)
        return
    edges = date2num(data.edges)  # type: ignore[no-untyped-call]
    whole = np.maximum(data.judged, 1) if shares else 1
    heights = data.lost / whole
    tops = heights.cumsum(axis=0)
    pale = (data.judged < FEW) & shares
    for look, height, top in zip(data.looks, heights, tops, strict=True):
        options: dict[str, Any] = {
            "fill": True,
            "facecolor": look.color,
            "edgecolor": style.contrast(look.color),
            "hatch": look.hatch,
            "linewidth": 0.5,
        }
        for some, alpha in ((~pale, None), (pale, _PALE)):
            if some.any():
                ax.stairs(
                    np.where(some & (height > 0), top, np.nan), edges, baseline=top - height, alpha=alpha, **options
                )
    grey = data.judged / data.judged.max() * _STRIP
    ax.stairs(grey, edges, fill=True, color=ink, alpha=0.35, linewidth=0, transform=ax.get_xaxis_transform())
    room = 0.04
    if legend and data.looks:
        room = _legend(ax, data.looks, sizes)
    peak = (float(tops[-1].max()) if len(tops) else 0.0) or 1.0
    _heights(ax, peak, room, shares, int(data.judged.max()))
    _dates(ax, edges, data.unit)


def _legend(ax: Axes, looks: list[Look], sizes: Sizes) -> float:
    """Draw a legend in as many columns as fit into the width, and return the part of the height that it takes."""
    from matplotlib.patches import Patch

    handles = [
        Patch(facecolor=look.color, edgecolor=style.contrast(look.color), hatch=look.hatch, linewidth=0.5)
        for look in looks
    ]
    size = style.points(sizes)
    width, height = (72 * side / ax.figure.dpi for side in (ax.bbox.width, ax.bbox.height))
    widths = [(0.55 * len(look.label) + 4) * size for look in looks]
    columns = next(n for n in range(len(looks), 0, -1) if n == 1 or _width(widths, n) < 0.95 * width)
    across = [n for column in range(columns) for n in range(column, len(looks), columns)]  # to be read line by line
    labels = [looks[n].label for n in across]
    style.legend(ax, [handles[n] for n in across], labels, sizes, loc="upper left", ncols=columns, handlelength=1.8)
    lines = -(-len(looks) // columns)
    return min((1.7 * lines + 1) * size / height, 0.6)


def _width(widths: list[float], columns: int) -> float:
    """Return the width of a table filled line by line, each column as wide as its widest cell."""
    return sum(max(widths[column::columns]) for column in range(columns))


def _heights(ax: Axes, peak: float, room: float, shares: bool, most: int) -> None:
    """Lay out the vertical axis: the strip of rows, the areas from 0 to the peak, and room for the legend."""
    from matplotlib.ticker import MaxNLocator

    ink = style.ink(ax)
    below = _STRIP + _GAP
    height = peak / (1 - below - room)
    ax.set_ylim(-below * height, (1 - below) * height)
    marks = [mark for mark in MaxNLocator(4, integer=not shares).tick_values(0, peak) if 0 <= mark <= peak * 1.001]
    labels = [f"{100 * mark:.3g} %" if shares else f"{mark:,.0f}" for mark in marks]
    ax.set_yticks([-_GAP * height, *marks], [style.counted(most, "").strip(), *labels], **style.PLAIN)
    ax.yaxis.grid(True, color=ink, alpha=0.15, linewidth=0.6)
    ax.set_axisbelow(True)
    ax.axhline(0, color=ink, linewidth=0.8)
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", left=False)


def _dates(ax: Axes, edges: NDArray[np.float64], unit: str) -> None:
    from datetime import UTC

    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, MonthLocator

    few = unit == "month" and len(edges) <= 9
    locator: Any
    if few:
        locator = MonthLocator(tz=UTC)  # type: ignore[no-untyped-call]
    else:
        locator = AutoDateLocator(UTC, minticks=3, maxticks=8)  # type: ignore[no-untyped-call]
    formatter: Any = ConciseDateFormatter(locator, UTC)  # type: ignore[no-untyped-call]
    formatter.formats = ["%Y", "%Y-%m", "%Y-%m-%d", *formatter.formats[3:]]
    formatter.zero_formats = formatter.formats
    formatter.show_offset = False
    ax.xaxis_date(UTC)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(formatter)
    ax.set_xlim(edges[0], edges[-1])
    ax.set_xlabel("")
    style.clean_ticks(ax, "x")


# --------------------------------------------------------------------------- a column -> times


def _times(column: pd.Series, name: Hashable, now: float, table: pd.DataFrame) -> tuple[Times, bool]:
    """Return a time for each row, NaT for none, and whether the column holds post IDs that told them."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        # Read each category once; code -1, for missing, picks the NaT appended at the end.
        each, posted = _times(pd.Series(column.cat.categories, name=name), name, now, table)
        return np.append(each, np.datetime64("NaT"))[column.cat.codes.to_numpy()], posted
    if not _holds_ids(column):
        return _read_times(column, name), False
    runs = list(table["run"].cat.categories)
    if runs and all(_USERS.search(run) and not _POSTS.search(run) for run in runs):
        raise InputError(
            f"The run {style.shown(runs[0])} checked users, and the ID of an account does not tell when anything was "
            "posted. Name a column of times."
        )
    return ids.posted_at(ids.parse(column, name), name, now), True


def _holds_ids(column: pd.Series) -> bool:
    """Whether a column holds IDs rather than times: by its type, or for text by what most of its values are."""
    plain: Any = getattr(column.dtype, "numpy_dtype", column.dtype)  # of masked and Arrow types
    kind = plain.kind if isinstance(plain, np.dtype) else ""
    if isinstance(column.dtype, pd.StringDtype):
        kind = "U"
    if kind not in ("O", "U"):
        return kind in ("i", "u", "f")
    present = np.flatnonzero(column.notna().to_numpy())
    some = present[np.linspace(0, len(present) - 1, min(len(present), _LOOK_AT)).astype(np.intp)]
    return len(some) > 0 and bool(ids.parse(column.iloc[some], column.name).valid.mean() > 0.5)


def _read_times(column: pd.Series, name: Hashable) -> Times:
    present = column.notna()
    try:
        if getattr(column.dtype, "kind", "O") == "b":
            raise TypeError("a truth value is no time")
        times = pd.to_datetime(column, utc=True, format="ISO8601", errors="coerce")
        if (times.notna().sum()) * 2 < present.sum():
            raise ValueError("most of it is no time")
    except (TypeError, ValueError):
        raise InputError(
            f"Column {name!r} holds neither post IDs nor times. Make times of it first: "
            'pd.to_datetime(frame[column], utc=True), for old API dates with format="%a %b %d %H:%M:%S %z %Y".'
        ) from None
    return times.dt.tz_localize(None).to_numpy().astype("datetime64[s]")
