"""Horizontal bars: how many rows need action, by reason, and how many have each status."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from ..summary import percent
from ..verdicts import STATUSES
from . import style
from .style import BARS_MAX, BESIDE, PLAIN, STATUS_STYLES, Look, Sizes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Bar(NamedTuple):
    """One bar: what stands left of it, how long it is, what stands right of it, and how it looks."""

    label: str
    length: float
    text: str
    color: str
    hatch: str
    low: float = 0.0  # of the interval around the length; none when low and high are 0
    high: float = 0.0


def reasons(frame: pd.DataFrame, ax: Axes | None = None, *, prefix: str = "compliance_", **kwargs: Any) -> Axes:
    """Draw how many rows need action, by reason, the most frequent on top.

    Parameters
    ----------
    frame : DataFrame
        What ``check`` or ``join`` returned, or the same reloaded from a file.
    ax : Axes, optional
        Where to draw; a new figure by default.
    prefix : str
        The prefix given to ``check`` or ``join``.
    **kwargs
        Passed to :meth:`matplotlib.axes.Axes.barh`.

    Returns
    -------
    Axes
        Each bar is labelled with its rows and their share of all rows of `frame`.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> frame = pd.DataFrame(
    ...     {
    ...         "compliance_status": ["action_required", "compliant"],
    ...         "compliance_reason": ["suspended", None],
    ...         "compliance_checked_at": "2026-11-23 20:15:00+00:00",
    ...         "compliance_run": "tweets-20261123-0123abcd",
    ...     }
    ... )
    >>> ax = reasons(frame, Figure().subplots())
    >>> [label.get_text() for label in ax.get_yticklabels()], ax.texts[0].get_text()
    (['suspended'], '1 (50.0 %)')
    """
    table = style.read(frame, prefix, "reason")
    bars = word_bars(table, "reason")
    ax = new_axes(bars) if ax is None else ax
    draw(ax, bars, style.FULL, kwargs, NO_ACTION)
    return style.caption(ax, REASONS_TITLE, style.notes(table), style.FULL)


def status(frame: pd.DataFrame, ax: Axes | None = None, *, prefix: str = "compliance_", **kwargs: Any) -> Axes:
    """Draw how many rows have each status; all four are shown, also those that no row has.

    Parameters
    ----------
    frame : DataFrame
        What ``check`` or ``join`` returned, or the same reloaded from a file.
    ax : Axes, optional
        Where to draw; a new figure by default.
    prefix : str
        The prefix given to ``check`` or ``join``.
    **kwargs
        Passed to :meth:`matplotlib.axes.Axes.barh`.

    Returns
    -------
    Axes
        Each bar is labelled with its rows and their share of all rows of `frame`.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> frame = pd.DataFrame(
    ...     {
    ...         "compliance_status": ["compliant", "unchecked"],
    ...         "compliance_checked_at": ["2026-11-23 20:15:00+00:00", None],
    ...         "compliance_run": ["tweets-20261123-0123abcd", None],
    ...     }
    ... )
    >>> [label.get_text() for label in status(frame, Figure().subplots()).texts[:4]]
    ['1 (50.0 %)', '0 (0.0 %)', '1 (50.0 %)', '0 (0.0 %)']
    """
    table = style.read(frame, prefix)
    bars = status_bars(table)
    ax = new_axes(bars) if ax is None else ax
    draw(ax, bars, style.FULL, kwargs)
    return style.caption(ax, STATUS_TITLE, style.notes(table), style.FULL)


REASONS_TITLE = "Rows that need action, by reason"
STATUS_TITLE = "Rows by status"
NO_ACTION = "no row needs action"


def word_bars(table: pd.DataFrame, name: str) -> list[Bar]:
    """Count the rows that need action by reason or action; equal counts always stand in the fixed order."""
    _, counts, looks = style.slots(table, name, style.has_status(table, "action_required"), BARS_MAX)
    # What is summed up stands last, however much it is.
    order = sorted(range(len(looks)), key=lambda slot: (looks[slot].summed, -counts[slot]))
    return [_counted(looks[slot], int(counts[slot]), len(table)) for slot in order]


def status_bars(table: pd.DataFrame) -> list[Bar]:
    """Count the rows of each status."""
    counts = table["status"].value_counts()
    return [_counted(Look(word, *STATUS_STYLES[word]), int(counts[word]), len(table)) for word in STATUSES]


def _counted(look: Look, rows: int, whole: int) -> Bar:
    return Bar(look.label, rows, f"{rows:,} ({percent(rows, whole)})", look.color, look.hatch)


def new_axes(bars: Sequence[Bar]) -> Axes:
    """Return the Axes of a new figure that is as high as the bars need."""
    return style.new_axes(1.2 + 0.36 * max(len(bars), 2))


def draw(ax: Axes, bars: Sequence[Bar], sizes: Sizes, kwargs: dict[str, Any], empty: str = "") -> None:
    """Draw bars, the first on top, each with its text at its end."""
    ink = style.prepare(ax, sizes)
    options: dict[str, Any] = {
        "color": [bar.color for bar in bars],
        "hatch": [bar.hatch for bar in bars],
        "edgecolor": [style.contrast(bar.color) for bar in bars],
        "linewidth": 0.8,
        "height": 0.72,
    }
    if any(bar.high for bar in bars):
        options["xerr"] = [[bar.length - bar.low for bar in bars], [bar.high - bar.length for bar in bars]]
        options["error_kw"] = {"ecolor": ink, "elinewidth": 1.2, "capsize": 2.5}
    if bars:
        drawn = ax.barh(range(len(bars)), [bar.length for bar in bars], **(options | kwargs))
        texts = [bar.text for bar in bars]
        ax.bar_label(drawn, texts, padding=5, color=ink, **style.text_size(sizes), **BESIDE)
        longest = max(max(bar.length, bar.high) for bar in bars) or 1
        ax.set_xlim(0, longest / (1 - label_room(ax, texts, sizes)))
    else:
        style.say(ax, empty, sizes)
    names = [style.fitted(bar.label, sizes) for bar in bars]
    ax.set_yticks(range(len(bars)), names, color=ink, **style.text_size(sizes), **PLAIN)
    least = 1 if sizes == style.FULL else 3  # a panel's height is given, and one bar alone would fill it
    ax.set_ylim(max(len(bars), least) - 0.4, -0.6)
    ax.tick_params(left=False)
    ax.xaxis.set_visible(False)  # every bar bears its number
    ax.spines["bottom"].set_visible(False)
    ax.spines["left"].set_visible(bool(bars))


def label_room(ax: Axes, labels: Iterable[str], sizes: Sizes) -> float:
    """Return the part of the width that the longest label needs beside the longest bar."""
    width = 0.8 * 72 * ax.bbox.width / ax.figure.dpi  # points; the names of the bars will take some of it
    return min((0.62 * style.points(sizes) * max(map(len, labels)) + 8) / width, 0.6)
