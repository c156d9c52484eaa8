"""Several charts as one figure."""

from __future__ import annotations

import textwrap
from collections.abc import Hashable
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from ..summary import plain
from . import bars, delays, style, times
from .style import PANEL

_NOTE_MAX = {"a": 56, "b": 46, "c": 56, "d": 46}  # characters; longer lines would leave the figure


def overview(frame: pd.DataFrame, column: Hashable | None = None, *, prefix: str = "compliance_") -> NDArray[Any]:
    """Draw four charts as one figure of 7.2 by 6 inches, fit for a paper.

    Parameters
    ----------
    frame : DataFrame
        What ``check`` or ``join`` returned, or the same reloaded from a file.
    column : label, optional
        The column of post IDs or of times for panel c, as in :func:`timeline`.
    prefix : str
        The prefix given to ``check`` or ``join``.

    Returns
    -------
    ndarray of Axes, shape (2, 2)
        a: rows by status; b: rows that need action, by reason; c: their share by month of posting, in the colours
        of b, or without `column` the rows by action; d: the time from creation to redaction.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib import pyplot
    >>> frame = pd.DataFrame(
    ...     {
    ...         "id": ["1228393702244134912", "1228393702244134913"],
    ...         "compliance_status": ["action_required", "compliant"],
    ...         "compliance_reason": ["suspended", None],
    ...         "compliance_created_at": ["2020-02-14T18:56:56.210Z", None],
    ...         "compliance_redacted_at": None,
    ...         "compliance_checked_at": "2026-11-23 20:15:00+00:00",
    ...         "compliance_run": "tweets-20261123-0123abcd",
    ...     }
    ... )
    >>> panels = overview(frame, "id")
    >>> panels.shape, panels[0, 0].get_title(loc="left")
    ((2, 2), 'a  Rows by status')
    >>> pyplot.close(panels[0, 0].figure)
    """
    names = ["reason", "created_at", "redacted_at", *(["action"] if column is None else [])]
    table = style.read(frame, prefix, *names)
    lost = None if column is None else times.gather(frame, table, column, prefix, True)
    late = delays.gather(table)

    from matplotlib import pyplot
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure, panels = pyplot.subplots(2, 2, figsize=(7.2, 6), layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08))
    style.opaque(figure)
    for ax in panels.flat:
        ax.patch.set_visible(False)
    a, b, c, d = panels.flat
    bars.draw(a, bars.status_bars(table), PANEL, {})
    bars.draw(b, bars.word_bars(table, "reason"), PANEL, {}, bars.NO_ACTION)
    if lost is None:
        bars.draw(c, bars.word_bars(table, "action"), PANEL, {}, bars.NO_ACTION)
    else:
        times.draw(c, lost, True, PANEL, legend=False)
    delays.draw(d, late, PANEL, {})

    if lost is None:
        third, notes = "Action needed, by action", []
    else:
        third, notes = f"Action needed, by {lost.unit} of {plain(lost.what, 16)}", [*lost.notes, "colours as in b"]
    captions: list[tuple[str, list[str]]] = [
        ("Rows by status", []),
        ("Action needed, by reason", []),
        (third, notes),
        ("Time to redaction", late.notes),
    ]
    invented = style.warning(table)  # on every panel, since panels are cut out and shown alone
    for letter, ax, (title, lines) in zip("abcd", panels.flat, captions, strict=True):
        wrapped = [part for line in lines for part in textwrap.wrap(line, _NOTE_MAX[letter])]
        style.caption(ax, f"{letter}  {title}", [*wrapped, *invented], PANEL)
    common = "; ".join(line for line in style.notes(table) if line not in invented)
    figure.suptitle(common, x=0.01, ha="left", fontsize=PANEL.title, color=style.ink(a), **style.PLAIN)
    drawn: NDArray[Any] = panels
    return drawn
