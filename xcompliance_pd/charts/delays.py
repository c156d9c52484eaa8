"""How long posts or accounts stood before they went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from . import style
from .style import Look, Sizes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Seconds = NDArray[np.float64]

LINES_MAX = 6  # reasons with a line of their own; the line of all holds the others
_POINTS = 1000  # of a line; more cannot be seen
TITLE = "Time from creation to redaction"

# A hatch cannot be seen on a line, so a dash stands in for it: fixed for each reason, as the colours are.
_DASHES = {
    "deleted": "-",
    "suspended": (0, (5, 1.5)),
    "protected": (0, (1, 1)),
    "deactivated": (0, (5, 1, 1, 1)),
    "bounced": (0, (3, 1, 1, 1, 1, 1)),
    "scrub_geo": (0, (8, 2)),
    "geo_scrubbed": (0, (2, 2)),
    "tweet_edited": (0, (8, 1, 2, 1)),
}

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_YEAR = 365.25 * _DAY
_MONTH = _YEAR / 12
_UNITS = (
    ("second", 1, (1, 2, 5, 10, 30)),
    ("minute", _MINUTE, (1, 2, 5, 10, 30)),
    ("hour", _HOUR, (1, 2, 4, 8, 16)),
    ("day", _DAY, (1, 2, 4, 7, 14)),
    ("month", _MONTH, (1, 2, 3, 6)),
    ("year", _YEAR, (1, 2, 5, 10, 20, 50, 100)),
)
_SHORT = {"second": "s", "minute": "min", "hour": "h"}


def redaction_delay(frame: pd.DataFrame, ax: Axes | None = None, *, prefix: str = "compliance_", **kwargs: Any) -> Axes:
    """Draw how much time passed between creation and redaction, as cumulative shares, in all and by reason.

    Parameters
    ----------
    frame : DataFrame
        What ``check`` or ``join`` returned, or the same reloaded from a file.
    ax : Axes, optional
        Where to draw; a new figure by default.
    prefix : str
        The prefix given to ``check`` or ``join``.
    **kwargs
        Passed to :meth:`matplotlib.axes.Axes.plot`, for every line.

    Returns
    -------
    Axes
        The height of a line is the share that was redacted within that time, of the rows that need action and have
        both times; how many have not is said in the notes. Delays under a second are drawn at one second. The six
        most frequent reasons have lines of their own.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> frame = pd.DataFrame(
    ...     {
    ...         "compliance_status": "action_required",
    ...         "compliance_reason": ["deleted", "suspended"],
    ...         "compliance_created_at": ["2020-02-14T18:56:56.210Z", None],
    ...         "compliance_redacted_at": ["2020-02-15T18:56:56.210Z", None],
    ...         "compliance_checked_at": "2026-11-23 20:15:00+00:00",
    ...         "compliance_run": "tweets-20261123-0123abcd",
    ...     }
    ... )
    >>> ax = redaction_delay(frame, Figure().subplots())
    >>> ax.get_lines()[0].get_xdata().tolist(), ax.get_legend().get_texts()[0].get_text()
    ([86400.0, 86400.0], 'deleted (1)')
    """
    table = style.read(frame, prefix, "reason", "created_at", "redacted_at")
    data = gather(table)
    ax = style.new_axes(3.6) if ax is None else ax
    draw(ax, data, style.FULL, kwargs)
    return style.caption(ax, TITLE, style.notes(table, *data.notes), style.FULL)


class Delays(NamedTuple):
    """What the chart shows: the sorted delays of each line; a look without a colour is that of all."""

    notes: list[str]
    lines: list[tuple[Look, Seconds]]


def gather(table: pd.DataFrame) -> Delays:
    """Sort the delays of the rows that need action, in all and by reason."""
    flagged = style.has_status(table, "action_required")
    passed = (table["redacted_at"] - table["created_at"]).to_numpy()[flagged]
    known = ~np.isnat(passed)
    negative = known & (passed < np.timedelta64(0, "s"))
    notes = []
    if not known.all():
        notes.append(style.counted(int((~known).sum()), "without both times", "flagged row"))
    if negative.any():
        notes.append(style.counted(int(negative.sum()), "redacted before creation, not drawn", "flagged row"))
    usable = known & ~negative
    seconds = np.maximum(passed[usable] / np.timedelta64(1, "s"), 1.0)
    rows = flagged.copy()
    rows[flagged] = usable
    slot, counts, looks = style.slots(table, "reason", rows, style.BARS_MAX)
    often = [int(n) for n in np.argsort(-counts, kind="stable") if not looks[n].summed][:LINES_MAX]
    lines = [(looks[n], np.sort(seconds[slot == n])) for n in often]
    if len(looks) > 1:
        lines.insert(0, (Look("all", "", ""), np.sort(seconds)))
    return Delays(notes, lines)


def draw(ax: Axes, data: Delays, sizes: Sizes, kwargs: dict[str, Any]) -> None:
    """Draw a step line for each reason on a logarithmic axis of time."""
    from matplotlib.cbook import normalize_kwargs
    from matplotlib.lines import Line2D
    from matplotlib.ticker import PercentFormatter

    ink = style.prepare(ax, sizes)
    if not data.lines:
        ax.set_axis_off()
        style.say(ax, "no row that needs action has both times", sizes)
        return
    given = normalize_kwargs(kwargs, Line2D)
    handles = []
    for look, seconds in data.lines:
        options: dict[str, Any] = {
            "color": look.color or ink,
            "linewidth": 1.6 if look.color else 2.4,
            "linestyle": _DASHES.get(look.label, "-"),
            "drawstyle": "steps-post",
            "path_effects": _outline(look.color or ink, ink),
        }
        handles += ax.plot(*_ecdf(seconds), **(options | given))
    labels = [f"{style.fitted(look.label, sizes)} ({len(seconds):,})" for look, seconds in data.lines]
    style.legend(ax, handles, labels, sizes, loc="upper left")
    ax.set_ylim(0, 1.02)
    ax.set_yticks([0, 0.25, 0.5, 0.75, 1])
    ax.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    ax.yaxis.grid(True, color=ink, alpha=0.15, linewidth=0.6)
    style.clean_ticks(ax, "y")
    ends = [bound for _, seconds in data.lines for bound in (seconds[0], seconds[-1])]
    _human_time(ax, min(ends), max(ends), sizes)


def _ecdf(seconds: Seconds) -> tuple[Seconds, Seconds]:
    """Return the corners of the cumulative share of sorted delays; exact for few, at exact quantiles for many."""
    count = len(seconds)
    at = np.arange(count) if count <= _POINTS else np.linspace(0, count - 1, _POINTS).astype(np.intp)
    return np.append(seconds[0], seconds[at]), np.append(0.0, (at + 1) / count)


def _outline(color: str, ink: str) -> list[Any] | None:
    """Return an outline for a line that could hardly be seen on its ground, such as yellow on white."""
    from matplotlib.patheffects import withStroke

    ground = 1.0 if ink == "black" else 0.0
    near = abs(style.lightness(color) - ground) < 0.35
    return [withStroke(linewidth=3, foreground=ink)] if near else None


def _human_time(ax: Axes, low: float, high: float, sizes: Sizes) -> None:
    """Make the horizontal axis logarithmic, with marks at seconds, minutes, hours, days, months and years."""
    fine = [(step * size, _duration(step, unit)) for unit, size, steps in _UNITS for step in steps]
    coarse = [mark for mark in fine if mark[1].startswith("1 ") or mark[1] in ("10 years", "100 years")]
    marks = [mark for mark in coarse if low <= mark[0] <= high]
    if len(marks) < 3:
        marks = [mark for mark in fine if low <= mark[0] <= high]
    if len(marks) < 2:  # all within a narrow span: the marks around it
        marks = [mark for mark in fine if mark[0] <= low][-1:] + [mark for mark in fine if mark[0] > low][:1]
    ends = [low, high, *(mark for mark, _ in marks)]
    ax.set_xscale("log")
    ax.set_xlim(min(ends) / 1.2, max(ends) * 1.2)
    ax.set_xticks([], minor=True)
    apart = " " if sizes.text is None else "\n"  # in a panel there is no room for "10 years" in one line
    ax.set_xticks([mark for mark, _ in marks], [text.replace(" ", apart) for _, text in marks], **style.PLAIN)
    ax.set_xlabel("")


def _duration(count: int, unit: str) -> str:
    return f"{count} {_SHORT.get(unit) or unit + 's' * (count > 1)}"
