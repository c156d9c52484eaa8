"""Charts of a checked frame. Each takes ``ax=None`` and returns the Axes; none touches matplotlib's global state.

A chart reads the verdict columns and nothing else. Words from the service are drawn as they are, never as
mathematics or TeX, and each known word has one colour and one hatch in every chart, so that neither colour vision
nor a colour printer is needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from .summary import checked_span, columns, plain
from .verdicts import STATUSES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The colours of Okabe and Ito (https://jfly.uni-koeln.de/color/), written in because matplotlib names them only
# since 3.11; their ninth is a grey, kept here for words that are not known.
GREY = "#999999"
REASON_STYLES: Mapping[str, tuple[str, str]] = {
    "deleted": ("#D55E00", ""),
    "suspended": ("#0072B2", "//"),
    "protected": ("#009E73", "\\\\"),
    "deactivated": ("#E69F00", ".."),
    "bounced": ("#CC79A7", "xx"),
    "scrub_geo": ("#56B4E9", "--"),
    "geo_scrubbed": ("#000000", "||"),
    "tweet_edited": ("#F0E442", "++"),
}
STATUS_STYLES: Mapping[str, tuple[str, str]] = {
    "compliant": ("#009E73", ""),
    "action_required": ("#D55E00", "//"),
    "unchecked": (GREY, ".."),
    "invalid": ("#000000", "xx"),
}

SANDBOX = "SANDBOX: invented verdicts"
NO_REASON = "(no reason given)"
BARS_MAX = 20  # a service that invents thousands of reasons must not stop the notebook
_LABEL_MAX = 32

# Foreign text stays text, also where a user's style turns TeX on.
_PLAIN: Mapping[str, Any] = {"parse_math": False, "usetex": False}
# Text beside the bars must not take part in the layout: making room for it shrinks the axes, which pushes it out more.
_BESIDE: Mapping[str, Any] = {**_PLAIN, "in_layout": False}


class Bar(NamedTuple):
    label: str
    rows: int
    color: str
    hatch: str


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
    table = columns(frame, prefix, ["status", "reason"])
    flagged = table.loc[table["status"] == "action_required", "reason"]
    # A stable sort of the fixed order, so that equal counts always stand in that order.
    counts = flagged.value_counts(sort=False, dropna=False).sort_values(ascending=False, kind="stable")
    styles = _reason_styles(flagged.cat.categories)
    bars = [
        Bar(plain(word, _LABEL_MAX), int(rows), *styles[word])
        if isinstance(word, str)
        else Bar(NO_REASON, int(rows), GREY, "")
        for word, rows in counts[counts > 0].items()
    ]
    if len(bars) > BARS_MAX:
        rest = bars[BARS_MAX - 1 :]
        bars[BARS_MAX - 1 :] = [Bar(f"({len(rest):,} other reasons)", sum(bar.rows for bar in rest), GREY, ".")]
    return _draw("Rows that need action, by reason", bars, frame, prefix, ax, kwargs)


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
    counts = columns(frame, prefix, ["status"])["status"].value_counts()
    bars = [Bar(word, int(counts[word]), *STATUS_STYLES[word]) for word in STATUSES]
    return _draw("Rows by status", bars, frame, prefix, ax, kwargs)


def _reason_styles(words: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return colour and hatch of each reason; unknown ones share a grey and are told apart by their hatch."""
    unknown = [word for word in words if word not in REASON_STYLES]
    hatches = {word: (GREY, "o*O"[i % 3] * (i // 3 + 1)) for i, word in enumerate(unknown[:BARS_MAX])}
    return {**dict.fromkeys(unknown, (GREY, "")), **REASON_STYLES, **hatches}


def _draw(
    title: str, bars: Sequence[Bar], frame: pd.DataFrame, prefix: str, ax: Axes | None, kwargs: dict[str, Any]
) -> Axes:
    """Draw horizontal bars, the first on top, with a title and what the shares are shares of."""
    ax = _new_axes(len(bars)) if ax is None else ax
    ink = _ink(ax)
    options: dict[str, Any] = {
        "color": [bar.color for bar in bars],
        "hatch": [bar.hatch for bar in bars],
        "edgecolor": [_contrast(bar.color) for bar in bars],
        "linewidth": 0.8,
        "height": 0.72,
    }
    if bars:
        drawn = ax.barh(range(len(bars)), [bar.rows for bar in bars], **(options | kwargs))
        labels = [f"{bar.rows:,} ({percent(bar.rows, len(frame))})" for bar in bars]
        ax.bar_label(drawn, labels, padding=5, color=ink, **_BESIDE)
        ax.set_xlim(right=max(1, *(bar.rows for bar in bars)) / (1 - _label_room(ax, labels)))
    else:
        ax.text(0.5, 0.5, "no row needs action", transform=ax.transAxes, ha="center", va="center", color=ink)
    ax.set_yticks(range(len(bars)), [bar.label for bar in bars], color=ink, **_PLAIN)
    ax.set_ylim(max(len(bars), 1) - 0.4, -0.6)
    ax.tick_params(left=False)
    ax.grid(False)
    ax.xaxis.set_visible(False)  # every bar bears its number
    ax.spines[["top", "right", "bottom"]].set_visible(False)
    ax.spines["left"].set_visible(bool(bars))
    ax.spines["left"].set_color(ink)
    notes = _notes(frame, prefix)
    ax.set_title(title, loc="left", fontsize=12, fontweight="bold", color=ink, pad=8 + 14 * len(notes))
    above: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "fontsize": 9.5, "color": ink}
    for line, note in enumerate(reversed(notes)):
        weight = "bold" if note == SANDBOX else "normal"
        ax.annotate(note, (0, 1), (0, 6 + 14 * line), fontweight=weight, **above, **_BESIDE)
    return ax


def _notes(frame: pd.DataFrame, prefix: str) -> list[str]:
    """Return the lines below the title: the denominator, when it was checked, and whether it is all invented."""
    table = columns(frame, prefix, ["status", "run"])
    open_rows = int(table["status"].isin(["unchecked", "invalid"]).sum())
    days = [f"{moment:%Y-%m-%d}" for moment in checked_span(frame, prefix) if not pd.isna(moment)]
    when = f"checked {' to '.join(dict.fromkeys(days))} UTC" if days else "never checked"
    # Anywhere in the word, so that a column that names several runs is marked as well.
    invented = any("sandbox-" in run for run in table["run"].cat.categories)
    notes = [f"n = {len(frame):,} rows, {when}"]
    if open_rows:
        notes.append(f"{open_rows:,} of them without a verdict")
    return [*notes, SANDBOX] if invented else notes


def percent(part: int, whole: int) -> str:
    """Return a share with one decimal that never rounds something to nothing, nor almost all to all.

    Examples
    --------
    >>> percent(1, 3), percent(1, 1_000_000), percent(999_999, 1_000_000), percent(0, 0)
    ('33.3 %', '<0.1 %', '>99.9 %', '0.0 %')
    """
    share = 100 * part / max(whole, 1)
    if 0 < share < 0.05:
        return "<0.1 %"
    if 99.95 <= share < 100:
        return ">99.9 %"
    return f"{share:.1f} %"


def _label_room(ax: Axes, labels: Iterable[str]) -> float:
    """Return the part of the width that the longest label needs beside the longest bar."""
    width = 0.8 * 72 * ax.bbox.width / ax.figure.dpi  # points; the names of the bars will take some of it
    return min((6.2 * max(map(len, labels)) + 8) / width, 0.6)


def _new_axes(bars: int) -> Axes:
    from matplotlib import pyplot
    from matplotlib.colors import to_rgba

    figure, ax = pyplot.subplots(figsize=(7.5, 1.2 + 0.36 * max(bars, 2)), layout="constrained")
    if to_rgba(figure.get_facecolor())[3] < 1:
        figure.set_facecolor("white")  # on a transparent figure dark text cannot be read in a dark notebook
    ax.patch.set_visible(False)
    return ax


def _ink(ax: Axes) -> str:
    """Return the text colour that can be read on the figure, whoever made it and in whatever style."""
    return _contrast(ax.figure.canvas.figure.get_facecolor())


def _contrast(color: Any) -> str:
    """Return black or white, whichever stands out more; transparent counts as the white that mostly lies below."""
    from matplotlib.colors import to_rgba

    *rgb, alpha = to_rgba(color)
    red, green, blue = (alpha * part + 1 - alpha for part in rgb)
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.55 else "white"
