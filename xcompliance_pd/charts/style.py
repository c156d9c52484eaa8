"""What all charts share: colours and hatches, labels that are safe to draw, ink, titles and the notes below them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError
from ..summary import columns, plain

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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
# The share that charts over time and groups show. Rows without a verdict would make it look smaller than it is.
SHARE = "share = action_required / (action_required + compliant)"
BARS_MAX = 20  # a service that invents thousands of reasons must not stop the notebook
_LABEL_MAX = 32
_PANEL_LABEL_MAX = 17

# Foreign text stays text, also where a user's style turns TeX on.
PLAIN: Mapping[str, Any] = {"parse_math": False, "usetex": False}
# Text beside the bars must not take part in the layout: making room for it shrinks the axes, which pushes it out more.
BESIDE: Mapping[str, Any] = {**PLAIN, "in_layout": False}


class Sizes(NamedTuple):
    """Font sizes in points; `text` None leaves ticks and labels to the user's style."""

    title: float
    note: float
    text: float | None


FULL = Sizes(12, 9.5, None)
PANEL = Sizes(8.5, 7.5, 7.5)  # of a figure with several charts


class Look(NamedTuple):
    """How one reason is called and drawn."""

    label: str
    color: str
    hatch: str
    summed: bool = False  # stands for all the reasons that have no place of their own


# --------------------------------------------------------------------------- the data


def read(frame: pd.DataFrame, prefix: str, *names: str) -> pd.DataFrame:
    """Return the verdict columns that a chart needs besides those that every chart needs for its notes."""
    return columns(frame, prefix, [*names, "status", "run", "checked_at"])


def select(frame: pd.DataFrame, column: Hashable) -> pd.Series:
    """Return one column of the frame; InputError when the name does not mean exactly one."""
    if not isinstance(column, Hashable) or column not in frame.columns:
        there = ", ".join(repr(name)[:40] for name in frame.columns[:10])
        raise InputError(f"There is no column {column!r}; the columns are {there}. Name one of them.")
    series = frame[column]
    if not isinstance(series, pd.Series):
        raise InputError(f"There are several columns named {column!r}. Rename them so that one name means one column.")
    return series


def has_status(table: pd.DataFrame, word: str) -> NDArray[np.bool_]:
    """Whether each row has this status."""
    return np.asarray(table["status"] == word)


def slots(
    table: pd.DataFrame, name: str, rows: NDArray[np.bool_], limit: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], list[Look]]:
    """Sort rows by reason or action into at most `limit` slots.

    Returns
    -------
    slot : ndarray, one for each row of `rows` that is true
    counts : ndarray, rows per slot, none of them 0
    looks : list of Look, one per slot
        In the fixed order of the words, a missing one after them. If there are more than `limit`, the rarest share
        one slot, the last.
    """
    words = table[name].cat.categories
    codes = table[name].cat.codes.to_numpy()[rows].astype(np.intp)
    codes[codes < 0] = len(words)
    counts = np.bincount(codes, minlength=len(words) + 1)
    kept, rest = np.flatnonzero(counts), 0
    if len(kept) > limit:
        rest = len(kept) - limit + 1
        kept = np.sort(np.argsort(-counts, kind="stable")[: limit - 1])
    slot = np.full(len(words) + 1, len(kept), dtype=np.intp)
    slot[kept] = np.arange(len(kept))
    styles = reason_styles(words) if name == "reason" else dict.fromkeys(words, STATUS_STYLES["action_required"])
    none = Look(f"(no {name} given)", GREY, "")
    looks = [none if code == len(words) else Look(shown(words[code]), *styles[words[code]]) for code in kept.tolist()]
    if rest:
        looks.append(Look(f"({rest:,} other {name}s)", GREY, ".", summed=True))
    placed = slot[codes]
    return placed, np.bincount(placed, minlength=len(looks)), looks


def reason_styles(words: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return colour and hatch of each reason; unknown ones share a grey and are told apart by their hatch."""
    unknown = [word for word in words if word not in REASON_STYLES]
    hatches = {word: (GREY, "o*O"[i % 3] * (i // 3 + 1)) for i, word in enumerate(unknown[:BARS_MAX])}
    return {**dict.fromkeys(unknown, (GREY, "")), **REASON_STYLES, **hatches}


# --------------------------------------------------------------------------- words


def shown(text: str) -> str:
    r"""Return foreign text as a label: one short line without control characters, and never nothing at all.

    Examples
    --------
    >>> shown("a\nb"), shown("\u202e")
    ('a b', '(blank)')
    """
    return plain(text, _LABEL_MAX) or "(blank)"


def fitted(label: str, sizes: Sizes) -> str:
    """Return a label as long as there is room for: a panel has less."""
    return label if sizes == FULL else plain(label, _PANEL_LABEL_MAX)


def counted(count: int, words: str, noun: str = "row") -> str:
    """Return a number of rows with the words that follow it.

    Examples
    --------
    >>> counted(1, "without a time"), counted(1234, "without a time")
    ('1 row without a time', '1,234 rows without a time')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'} {words}"


def notes(table: pd.DataFrame, *own: str) -> list[str]:
    """Return the lines below the title: the denominator, when it was checked, a chart's own, whether it is invented."""
    open_rows = int(table["status"].isin(["unchecked", "invalid"]).sum())
    lines = [f"n = {len(table):,} rows, {when(table)}"]
    if open_rows:
        lines.append(f"{open_rows:,} of them without a verdict")
    return [*lines, *own, *warning(table)]


def when(table: pd.DataFrame) -> str:
    """Return the days of the checks in words."""
    span = (table["checked_at"].min(), table["checked_at"].max())
    days = [f"{moment:%Y-%m-%d}" for moment in span if not pd.isna(moment)]
    return f"checked {' to '.join(dict.fromkeys(days))} UTC" if days else "never checked"


def warning(table: pd.DataFrame) -> list[str]:
    """Return the line that tells invented verdicts, if they are."""
    # Anywhere in the word, so that a column that names several runs is marked as well.
    return [SANDBOX] if any("sandbox-" in run for run in table["run"].cat.categories) else []


# --------------------------------------------------------------------------- axes


def new_axes(height: float) -> Axes:
    """Return the Axes of a new figure."""
    from matplotlib import pyplot

    figure, ax = pyplot.subplots(figsize=(7.5, height), layout="constrained")
    opaque(figure)
    ax.patch.set_visible(False)
    return ax


def opaque(figure: Figure) -> None:
    """Give a new figure a ground: on a transparent one dark text cannot be read in a dark notebook."""
    from matplotlib.colors import to_rgba

    if to_rgba(figure.get_facecolor())[3] < 1:
        figure.set_facecolor("white")


def ink(ax: Axes) -> str:
    """Return the text colour that can be read on the figure, whoever made it and in whatever style."""
    return contrast(ax.figure.canvas.figure.get_facecolor())


def contrast(color: Any) -> str:
    """Return black or white, whichever stands out more; transparent counts as the white that mostly lies below."""
    return "black" if lightness(color) > 0.55 else "white"


def lightness(color: Any) -> float:
    """Return how light a colour looks, from 0 to 1."""
    from matplotlib.colors import to_rgba

    *rgb, alpha = to_rgba(color)
    red, green, blue = (alpha * part + 1 - alpha for part in rgb)
    return 0.299 * red + 0.587 * green + 0.114 * blue


def prepare(ax: Axes, sizes: Sizes) -> str:
    """Clear the frame of an Axes down to what can be read on any figure, and return the ink."""
    color = ink(ax)
    if contrast(ax.get_facecolor()) != color:
        ax.patch.set_visible(False)  # a white panel in a dark figure would swallow the ink
    ax.grid(False)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(color)
    ax.tick_params(colors=color)
    if sizes.text is not None:
        ax.tick_params(labelsize=sizes.text)
    return color


def text_size(sizes: Sizes) -> dict[str, Any]:
    """Return the font size as keywords; none where the user's style decides."""
    return {} if sizes.text is None else {"fontsize": sizes.text}


def points(sizes: Sizes) -> float:
    """Return the font size of ticks and labels in points."""
    from matplotlib.font_manager import FontProperties

    return FontProperties(size=sizes.text).get_size_in_points()


def caption(ax: Axes, title: str, lines: Sequence[str], sizes: Sizes) -> Axes:
    """Put a title above the axes, and the notes between the two."""
    color, step = ink(ax), 1.47 * sizes.note
    ax.set_title(
        title, loc="left", fontsize=sizes.title, fontweight="bold", color=color, pad=8 + step * len(lines), **PLAIN
    )
    above: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "color": color}
    for line, note in enumerate(reversed(lines)):
        weight = "bold" if note == SANDBOX else "normal"
        ax.annotate(note, (0, 1), (0, 6 + step * line), fontsize=sizes.note, fontweight=weight, **above, **BESIDE)
    return ax


def say(ax: Axes, text: str, sizes: Sizes) -> None:
    """Say in the middle of an empty chart why it is empty."""
    ax.text(
        0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", color=ink(ax), **text_size(sizes), **PLAIN
    )


def legend(ax: Axes, handles: Sequence[Artist], labels: Sequence[str], sizes: Sizes, **options: Any) -> None:
    """Draw a legend whose labels may be anything: matplotlib itself leaves out those that begin with "_"."""
    drawn = ax.legend(
        list(handles),
        [str(n) for n in range(len(labels))],
        frameon=False,
        fontsize=points(sizes),
        columnspacing=1.2,
        **options,
    )
    for text, label in zip(drawn.get_texts(), labels, strict=True):
        text.set(text=label, color=ink(ax), **PLAIN)


def clean_ticks(ax: Axes, axis: str) -> None:
    """Keep TeX out of the tick labels of an axis that has numbers or dates."""
    for label in getattr(ax, f"get_{axis}ticklabels")():
        label.set(**PLAIN)
