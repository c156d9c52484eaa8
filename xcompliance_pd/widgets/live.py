"""Showing a run while it goes on: a notebook card, a terminal line, or nothing.

Progress never owns control flow: an error while showing is logged and swallowed.
"""

from __future__ import annotations

import importlib
import logging
import os
import re
import shutil
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from ..errors import InputError
from ..summary import plain
from . import card

if TYPE_CHECKING:
    from ..lifecycle import Snapshot

VARIABLE = "XCOMPLIANCE_PROGRESS"
MODES: Final = ("auto", "notebook", "terminal", "none")
PAUSE = 0.2  # seconds between two updates of a card that changes only in its numbers

_log = logging.getLogger(__name__)


class Display:
    """Shows the snapshots it is called with, in one place that is updated.

    Parameters
    ----------
    mode : str
        "notebook", "terminal" or "none".
    clock : callable
        Seconds that only grow.

    Examples
    --------
    >>> from xcompliance_pd.widgets.live import Display
    >>> Display.choose("none").mode
    'none'
    >>> Display.choose("loud")
    Traceback (most recent call last):
    ...
    xcompliance_pd.errors.InputError: 'loud' is no way to show progress. Use auto, notebook, terminal or none, ...
    """

    def __init__(self, mode: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.mode = mode
        self._screen = _Notebook(clock) if mode == "notebook" else _Terminal() if mode == "terminal" else None

    @classmethod
    def choose(cls, mode: str | None = None) -> Display:
        """Return the display for a mode; None asks the environment variable XCOMPLIANCE_PROGRESS, then means "auto".

        Raises
        ------
        InputError
            The mode is none of auto, notebook, terminal and none.
        """
        word = mode or os.environ.get(VARIABLE) or "auto"
        if word not in MODES:
            raise InputError(
                f"{plain(word)!r} is no way to show progress. Use {', '.join(MODES[:-1])} or {MODES[-1]}, as argument "
                f"or in the environment variable {VARIABLE}."
            )
        if word == "auto":
            word = "notebook" if in_notebook() else "terminal"
        return cls(word)

    def __call__(self, snapshot: Snapshot) -> None:
        """Show a snapshot of a run that goes on."""
        self._show(snapshot, last=False)

    def close(self, snapshot: Snapshot) -> None:
        """Show the last snapshot, whatever was shown just before."""
        self._show(snapshot, last=True)

    def _show(self, snapshot: Snapshot, *, last: bool) -> None:
        if self._screen is None:
            return
        try:
            self._screen.show(snapshot, last)
        except Exception:
            _log.debug("the progress of run %s could not be shown", snapshot.run_id, exc_info=True)


def wanted() -> bool:
    """Whether this is a notebook whose user wants to see progress."""
    try:
        return Display.choose().mode == "notebook"
    except InputError:  # a bad word in the environment is no reason to show an object with a traceback
        return False


def in_notebook() -> bool:
    """Whether this process is a Jupyter kernel; a process that has not imported IPython is none."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and "IPKernelApp" in shell.config


class Throttle:
    """Tells which snapshots are worth showing: each new state or stage, and the rest five times a second at most."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._shown: tuple[str, str] | None = None
        self._next = 0.0

    def __call__(self, snapshot: Snapshot) -> bool:
        now, key = self._clock(), (snapshot.state, snapshot.stage)
        if key == self._shown and now < self._next:
            return False
        self._shown, self._next = key, now + PAUSE
        return True


class _Notebook:
    """One output of one cell, updated by its display ID also from a thread and while another cell runs."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._due = Throttle(clock)
        self._handle: Any = None

    def show(self, snapshot: Snapshot, last: bool) -> None:
        if not self._due(snapshot) and not last and self._handle is not None:
            return
        bundle = card.bundle(snapshot)
        if self._handle is None:
            handle = importlib.import_module("IPython.display").DisplayHandle()  # only where there is a notebook
            handle.display(bundle, raw=True)
            self._handle = handle
        else:
            self._handle.update(bundle, raw=True)


class _Terminal:
    """One line of standard error, rewritten in place; where that is a file, a line for each piece of news."""

    def __init__(self) -> None:
        self._width = 0  # of the open line
        self._told: set[tuple[object, ...]] = set()

    def show(self, snapshot: Snapshot, last: bool) -> None:
        text = card.line(snapshot)
        if sys.stderr.isatty():
            if not last:
                text = text[: shutil.get_terminal_size().columns - 1]  # a line that wraps cannot be rewritten
            sys.stderr.write("\r" + text.ljust(self._width) + ("\n" if last else ""))
            self._width = 0 if last else len(text)
        elif (news := _news(snapshot)) not in self._told:
            self._told.add(news)
            sys.stderr.write(text + "\n")
        sys.stderr.flush()


def _news(snapshot: Snapshot) -> tuple[object, ...]:
    """Return what is worth a line in a file: a stage, a batch that is done, a new kind of trouble, the end."""
    if snapshot.state in ("running", "waiting"):  # every look at the job turns one into the other
        return snapshot.stage, snapshot.batches_done, re.sub(r"\d+", "", snapshot.note)
    return (snapshot.state,)
