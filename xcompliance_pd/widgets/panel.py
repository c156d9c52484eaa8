"""What the panels share: a record that stays in the saved notebook, and controls that live as long as the kernel.

A widget dies with its kernel: a notebook that is opened again shows "model not found" in its place, whatever else its
output holds. So each panel is two outputs: plain HTML that tells what there was to see, and below it the controls.
Where there is no notebook or no ipywidgets, the record alone is shown.

A widget's state may be saved in the notebook, so no trait ever holds an ID of the data, a token or a signed URL.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Any

from ..errors import ComplianceError, InputError
from ..summary import plain
from . import card, live

Bundle = dict[str, str]

ADVICE = "The controls need ipywidgets: pip install ipywidgets"
ASLEEP = "The controls need a running kernel; run this cell again."

_log = logging.getLogger(__name__)


class Panel:
    """A record above, controls below; subclasses say what they are."""

    _box: Any = None

    def record(self) -> Bundle:
        """Return what the saved notebook keeps, as HTML and as text."""
        raise NotImplementedError

    def _build(self) -> Any:
        """Return the controls, as one widget."""
        raise NotImplementedError

    @property
    def panel(self) -> Any:
        """The controls as one ipywidgets box, to be put into a layout of one's own.

        Raises
        ------
        InputError
            There is no ipywidgets.
        """
        if toolkit() is None:
            raise InputError(f"There is no ipywidgets here. {ADVICE}")
        if self._box is None:
            self._box = self._build()
        return self._box

    def _ipython_display_(self) -> None:
        if not alive():
            raise NotImplementedError  # IPython then asks for the bundle
        place().display(self.record(), raw=True)
        place().display(view(self.panel, repr(self)), raw=True)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Bundle:
        return self.record() if toolkit() is not None else advised(self.record())

    def __repr__(self) -> str:
        return self.record()["text/plain"]


# --------------------------------------------------------------------------- where things are shown


def toolkit() -> Any:
    """Return ipywidgets, or None; it is imported when a panel is shown and not before."""
    try:
        return importlib.import_module("ipywidgets")
    except Exception:  # missing, or broken by what else is installed: the plain form does
        _log.debug("ipywidgets cannot be imported", exc_info=True)
        return None


def alive() -> bool:
    """Whether controls would work here: in a kernel, with ipywidgets."""
    return live.in_notebook() and toolkit() is not None


def place() -> Any:
    """Return a new place for an output: displayed by the main thread once, updated from any thread."""
    return importlib.import_module("IPython.display").DisplayHandle()


def view(widget: Any, text: str) -> dict[str, Any]:
    """Return a widget's output, with words for viewers that show no widgets."""
    return {**widget._repr_mimebundle_(), "text/plain": text, "text/html": f"<div>{escape(ASLEEP)}</div>"}


def advised(bundle: Bundle) -> Bundle:
    """Add the one line on what to install."""
    return {
        "text/html": f"{bundle['text/html']}<div>{escape(ADVICE)}</div>",
        "text/plain": f"{bundle['text/plain']}\n{ADVICE}",
    }


def quietly(function: Callable[..., object], *arguments: Any, **options: Any) -> None:
    """Show something; a front end that is gone is no reason to fail."""
    try:
        function(*arguments, **options)
    except Exception:
        _log.debug("a panel could not be updated", exc_info=True)


def shut(widget: Any) -> None:
    """Close a widget and all that it is made of; ipywidgets keeps every widget until it is closed."""
    for part in (*getattr(widget, "children", ()), getattr(widget, "style", None), getattr(widget, "layout", None)):
        if part is not None:
            shut(part)
    quietly(widget.close)


# --------------------------------------------------------------------------- HTML


def box(content: str) -> str:
    """Return HTML in the frame that all panels have, with both colours of the notebook's theme."""
    return f'<div style="{card.BOX}">{content}</div>'


# Short, because a caption is as narrow as its table; nbclassic makes captions small and grey.
_CAPTION = "text-align:left;white-space:nowrap;color:inherit;font-size:inherit"


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return an HTML table with a short caption; numbers stand right, everything is escaped.

    Examples
    --------
    >>> table("Counts", ["reason", "IDs"], [["<b>", 1200]]).endswith(
    ...     '<td style="text-align:left">&lt;b&gt;</td><td style="text-align:right">1,200</td></tr></tbody></table>'
    ... )
    True
    """
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    heads = "".join(f'<th scope="col" style="text-align:left">{escape(plain(name))}</th>' for name in head)
    return (
        f'<table><caption style="{_CAPTION}">{escape(plain(caption, 200))}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
    )


def _cell(value: object) -> str:
    number = isinstance(value, int)
    text = f"{value:,}" if number else plain(str(value))
    return f'<td style="text-align:{"right" if number else "left"}">{escape(text)}</td>'


def note(text: str) -> str:
    """Return a line above a table; nothing for no text."""
    return f"<div>{escape(text)}</div>" if text else ""


def message(text: str) -> str:
    """Return a line that screen readers announce."""
    return f'<div role="status" aria-live="polite">{escape(plain(text, 400))}</div>'


def words(error: Exception) -> str:
    """Return what to tell of an error. Our own explain themselves; another one's text may hold anything."""
    if isinstance(error, ComplianceError):
        return str(error)
    _log.debug("a panel failed", exc_info=error)
    return f"That did not work ({type(error).__name__})."


def handler(action: Callable[[], object], line: Any) -> Callable[[object], None]:
    """Return a callback for a widget. It never raises: what goes wrong is told in words, in the widget `line`."""

    def handle(_: object) -> None:
        try:
            line.value = ""
            action()
        except Exception as error:
            quietly(setattr, line, "value", message(words(error)))

    return handle
