"""What changed between two checks of one dataset: one bar for each kind of change, divided by reason."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..differences import ABSENT, BACK, CHANGES, LOST, SAME, UNLISTED, Compared, compare
from . import bars, style
from .style import BESIDE, STATUS_STYLES, Look

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TITLE = "What changed since the check before"
NOTHING = "nothing changed"
REASONS_MAX = 8  # in the legend
_FORMER = (BACK, UNLISTED, LOST, ABSENT)  # of these it is told what they were


def diff(
    before: pd.DataFrame,
    after: pd.DataFrame,
    column: Hashable,
    ax: Axes | None = None,
    *,
    prefix: str = "compliance_",
) -> Axes:
    """Draw how many IDs changed between two checks of one dataset, by kind of change and by reason.

    Parameters
    ----------
    before, after, column, prefix
        As in :func:`xcompliance_pd.diff`.
    ax : Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    Axes
        One bar for each kind of change that occurs, in the order of :func:`xcompliance_pd.diff`, with its number of
        IDs. Its parts are the reasons that X gives now or, of IDs that came back or of which nothing is known any more,
        those that it gave before; IDs without a reason are parted by status.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> frames = [
    ...     pd.DataFrame(
    ...         {
    ...             "id": ["1212092628029698048"],
    ...             "compliance_status": [status],
    ...             "compliance_action": [action],
    ...             "compliance_reason": [reason],
    ...             "compliance_checked_at": day,
    ...             "compliance_run": "tweets-20261123-0123abcd",
    ...         }
    ...     )
    ...     for status, action, reason, day in (
    ...         ("compliant", None, None, "2026-11-23"),
    ...         ("action_required", "delete", "suspended", "2026-11-30"),
    ...     )
    ... ]
    >>> ax = diff(*frames, "id", Figure().subplots())
    >>> [label.get_text() for label in ax.get_yticklabels()], ax.texts[0].get_text()
    (['newly gone'], '1')
    """
    found = compare(before, after, column, prefix)
    changed = np.flatnonzero(found.change != SAME)
    kinds = np.unique(found.change[changed])
    ax = style.new_axes(1.9 + 0.36 * max(len(kinds), 2)) if ax is None else ax
    _draw(ax, kinds, *_parts(found, changed))
    return style.caption(ax, TITLE, _notes(found, len(changed)), style.FULL)


def _parts(found: Compared, changed: NDArray[np.intp]) -> tuple[NDArray[np.intp], list[Look]]:
    """Return how many IDs of each kind of change have each look, and the looks, none of which is without an ID."""
    change = found.change[changed]
    former = np.isin(change, _FORMER)
    parts = found.before.iloc[changed[former]], found.after.iloc[changed[~former]]
    # One column at a time, as objects: pandas 2 warns of a table without rows, and of categories that differ.
    status, reason = (
        np.concatenate([part[name].to_numpy(dtype=object) for part in parts]) for name in ("status", "reason")
    )
    order = np.concatenate([np.flatnonzero(former), np.flatnonzero(~former)])
    table = pd.DataFrame({"status": pd.Series(status, dtype=object), "reason": pd.Categorical(reason)})
    listed = style.has_status(table, "action_required")
    slot, _, looks = style.slots(_known_first(table, found), "reason", listed, REASONS_MAX)
    look = np.empty(len(table), dtype=np.intp)
    look[listed] = slot
    for word in ("compliant", "unchecked", "invalid"):
        rows = style.has_status(table, word)
        if rows.any():
            look[rows] = len(looks)
            looks = [*looks, Look(word, *STATUS_STYLES[word])]
    counts = np.zeros((len(CHANGES), max(len(looks), 1)), dtype=np.intp)
    np.add.at(counts, (change[order], look), 1)
    return counts, looks


def _known_first(table: pd.DataFrame, found: Compared) -> pd.DataFrame:
    """Give the reasons the order that they have in every chart: known words first, then others, sorted."""
    words = dict.fromkeys([*found.after["reason"].cat.categories, *found.before["reason"].cat.categories])
    return table.assign(reason=table["reason"].cat.set_categories(pd.Index(list(words), dtype=object)))


def _draw(ax: Axes, kinds: NDArray[np.int8], counts: NDArray[np.intp], looks: list[Look]) -> None:
    ink = style.prepare(ax, style.FULL)
    totals, begin = counts[kinds].sum(axis=1), np.zeros(len(kinds), dtype=np.intp)
    handles: list[Any] = []
    for look, lengths in zip(looks, counts[kinds].T, strict=False):
        edge = style.contrast(look.color)
        drawn = ax.barh(
            range(len(kinds)),
            lengths,
            left=begin,
            color=look.color,
            hatch=look.hatch,
            edgecolor=edge,
            linewidth=0.8,
            height=0.72,
        )
        handles.append(drawn)
        begin = begin + lengths
    if len(kinds):
        texts = [f"{total:,}" for total in totals]
        ax.bar_label(handles[-1], texts, padding=5, color=ink, **style.text_size(style.FULL), **BESIDE)
        ax.set_xlim(0, totals.max() / (1 - bars.label_room(ax, texts, style.FULL)))
        longest = (0.62 * max(len(look.label) for look in looks) + 4.5) * style.points(style.FULL)
        columns = max(min(int(0.8 * 72 * ax.bbox.width / ax.figure.dpi / longest), 4), 1)
        below = {"loc": "upper left", "bbox_to_anchor": (0, 0), "ncols": columns, "borderaxespad": 0.3}
        style.legend(ax, handles, [look.label for look in looks], style.FULL, **below)
    else:
        style.say(ax, NOTHING, style.FULL)
    ax.set_yticks(range(len(kinds)), [CHANGES[kind] for kind in kinds], color=ink, **style.text_size(style.FULL))
    ax.set_ylim(max(len(kinds), 1) - 0.4, -0.6)
    ax.tick_params(left=False)
    ax.xaxis.set_visible(False)  # every bar bears its number
    ax.spines["bottom"].set_visible(False)
    ax.spines["left"].set_visible(bool(len(kinds)))


def _notes(found: Compared, changed: int) -> list[str]:
    lines = [f"n = {len(found.ids):,} IDs, {changed:,} of them changed"]
    tables = {"before": found.before, "after": found.after}
    for word, table in tables.items():
        open_ids = int(table["status"].isin(["unchecked", "invalid"]).sum())
        lines.append(f"{word}: {style.when(table)}" + (f"; {open_ids:,} without a verdict" if open_ids else ""))
    return [*lines, *dict.fromkeys(note for table in tables.values() for note in style.warning(table))]
