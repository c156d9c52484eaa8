"""The live monitor of one run: the card, which is the record, and buttons below it while there is something to press.

The run's own thread brings the news. It only sets traits and updates outputs by their display ID: what a thread
prints lands in whichever cell runs. All widgets are made in the main thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import pandas as pd

from .. import results
from ..errors import ComplianceError, InputError
from . import card, live
from .panel import Bundle, Panel, alive, box, handler, message, note, place, quietly, shut, table, toolkit, view, words

if TYPE_CHECKING:
    from ..lifecycle import Snapshot
    from ..verdicts import Covered

LISTED_MAX = 200_000  # listed IDs up to which the end of a run also reads the results, which takes about a second
ROWS_MAX = 30
NOTHING = "(none)"
QUESTION = (
    "Cancel the job? IDs without a result stay unchecked, and another check would send them again. Before September "
    "2026 X could not cancel; where it cannot, nothing is changed and the card says so."
)


@runtime_checkable
class Handle(Protocol):
    """What a monitor needs of a run."""

    id: str

    def snapshot(self) -> Snapshot: ...
    def start(self) -> object: ...
    def stop(self, timeout: float | None = ...) -> None: ...
    def cancel(self, timeout: float | None = ...) -> object: ...
    def add_watch(self, function: Callable[[Snapshot], None]) -> Callable[[], None]: ...
    def covered(self) -> list[Covered]: ...
    def forget(self) -> None: ...


class _Parts(NamedTuple):
    """The widgets of a monitor."""

    card: Any
    stop: Any
    resume: Any
    show: Any
    cancel: Any
    asking: Any  # what to do about the job, before it is done
    message: Any
    results: Any
    controls: Any  # all but the card
    whole: Any


class JobMonitor(Panel):
    """Watch a run: a card that moves, with buttons to stop watching, to resume, to show the results, and to cancel.

    As the last line of a cell it is two outputs. The card stays in the saved notebook; the buttons below it give way
    to a plain table of the results when the run ends, so that no dead widget is left. ``monitor.panel`` is both in
    one widget, for a layout of one's own. A run that goes on shows its monitor by itself.

    Parameters
    ----------
    run : Run
        From ``df.compliance.submit``, ``xc.submit`` or ``xc.open_run``.

    Examples
    --------
    >>> import pandas as pd, xcompliance_pd as xc
    >>> posts = pd.DataFrame({"id": ["1212092628029698048", "1212092628029698049"]})
    >>> with xc.Sandbox(findings=['{"id":"1212092628029698048","action":"delete","reason":"deleted"}']) as box:
    ...     xc.JobMonitor(xc.submit(posts, "id", client=box.client).wait())
    sandbox-tweets-...  done: 1 of 2 IDs need action, 1 proved compliant ... (SANDBOX, invented)
    """

    def __init__(self, run: Handle) -> None:
        if not isinstance(run, Handle):
            raise InputError("JobMonitor needs a run: xc.open_run('...') opens one, xc.runs() lists them.")
        self._run = run
        self._guard = threading.RLock()
        self._due = live.Throttle()
        self._parts: _Parts | None = None
        self._card: Any = None  # where the card is shown
        self._slot: Any = None  # where the controls are shown
        self._unwatch: Callable[[], None] | None = None
        self._ended = False

    # ----------------------------------------------------------------- showing

    def record(self) -> Bundle:
        try:
            snapshot = self._run.snapshot()
        except ComplianceError as error:  # the run was forgotten, or cannot be read
            return {"text/html": box(message(words(error))), "text/plain": f"{self._run.id}  {words(error)}"}
        bundle = card.bundle(snapshot)
        if _over(snapshot):
            bundle["text/html"] += self._outcome(snapshot)
        return bundle

    def __repr__(self) -> str:
        try:
            return card.line(self._run.snapshot())
        except ComplianceError as error:
            return f"{self._run.id}  {words(error)}"

    def _ipython_display_(self) -> None:
        with self._guard:
            try:
                snapshot = self._run.snapshot()
            except ComplianceError:
                raise NotImplementedError from None
            if _over(snapshot) or not alive():
                raise NotImplementedError  # nothing will move, so one plain output does
            controls = self._made(snapshot).controls
            self._card, self._slot = self._card or place(), self._slot or place()
            self._card.display(card.bundle(snapshot), raw=True)
            self._slot.display(view(controls, card.line(snapshot)), raw=True)
        self._follow()

    @property
    def panel(self) -> Any:
        """Card and buttons as one ipywidgets box, to be put into a layout of one's own."""
        panel = super().panel
        self._follow()
        return panel

    def _build(self) -> Any:
        with self._guard:
            return self._made(self._run.snapshot()).whole

    def close(self) -> None:
        """Stop showing; the run goes on. The card stays as it is, the buttons give way to plain words."""
        with self._guard:
            self._box = None
        self._leave(message("This monitor was closed; the run was not."))

    # ----------------------------------------------------------------- news, mostly from the run's thread

    def _follow(self) -> None:
        """Watch the run, then look once more: what it did before the watch began is not told again."""
        if self._unwatch is None:
            self._unwatch = self._run.add_watch(self._see)
        with self._guard:  # so that the look is not older than what is shown meanwhile
            self._see(self._run.snapshot())

    def _see(self, snapshot: Snapshot) -> None:
        ended = _over(snapshot)
        with self._guard:
            if self._ended or not (self._due(snapshot) or not _driven(snapshot)):
                return
            self._ended = ended
            self._show(snapshot)
        if ended:
            if self._unwatch is not None:
                self._unwatch()
            if self._slot is not None:
                self._leave(self._outcome(snapshot))

    def _show(self, snapshot: Snapshot) -> None:
        """Show a snapshot wherever this monitor is; each place by itself, for any of them may be gone."""
        if self._card is not None:
            quietly(self._card.update, card.bundle(snapshot), raw=True)
        if self._parts is not None:
            for widget, trait, value in (
                (self._parts.card, "value", card.html(snapshot)),
                (self._parts.stop, "disabled", not _driven(snapshot)),
                (self._parts.resume, "disabled", snapshot.state != "stopped"),
                (self._parts.show, "disabled", not snapshot.batches_done),
                (self._parts.cancel, "disabled", _over(snapshot)),
            ):
                if getattr(widget, trait) != value:
                    quietly(setattr, widget, trait, value)

    def _leave(self, html: str) -> None:
        """Put plain HTML in the place of the buttons, and let the widgets go unless they are in somebody's layout."""
        with self._guard:
            if self._unwatch is not None:
                self._unwatch()
            if self._slot is not None:
                quietly(self._slot.update, {"text/html": html, "text/plain": repr(self)}, raw=True)
            if self._parts is not None and self._box is None:
                shut(self._parts.whole)
                self._parts = None
            self._card = self._slot = self._unwatch = None

    # ----------------------------------------------------------------- results

    def _outcome(self, snapshot: Snapshot) -> str:
        """Return the results as they stand at the end, in plain HTML."""
        if not snapshot.batches_done:
            return box(message("There are no results."))
        if snapshot.state == "forgotten":
            return box(message("There are no results any more."))
        if (snapshot.listed or 0) > LISTED_MAX:
            return box(message(f"The results are large; read them with {card.resume(snapshot)}.result()"))
        return self._results(snapshot)

    def _results(self, snapshot: Snapshot) -> str:
        try:
            rows = counts(self._run.covered())
        except Exception as error:
            return box(message(words(error)))
        some = "" if snapshot.batches_done == snapshot.batches else " in the batches that are done"
        mark = note(card.SANDBOX if snapshot.sandbox else "")
        if not rows:
            return box(mark + message(f"X listed none of the IDs{some}."))
        return box(mark + table(f"What X listed{some}", ["action", "reason", "IDs"], rows))

    # ----------------------------------------------------------------- widgets, made and pressed in the main thread

    def _made(self, snapshot: Snapshot) -> _Parts:
        if self._parts is None:
            kit = toolkit()
            html = kit.HTML(card.html(snapshot))
            stop = kit.Button(description="Stop watching", disabled=not _driven(snapshot))
            resume = kit.Button(description="Resume", disabled=snapshot.state != "stopped")
            show = kit.Button(description="Show results", disabled=not snapshot.batches_done)
            cancel = kit.Button(description="Cancel job", disabled=_over(snapshot))
            yes, no = kit.Button(description="Yes, cancel it"), kit.Button(description="Let it go on")
            asking = kit.VBox([kit.HTML(message(QUESTION)), kit.HBox([yes, no])])
            asking.layout.display = "none"
            line, found = kit.HTML(), kit.HTML()
            for button, press in (
                (stop, self._press_stop),
                (resume, self._press_resume),
                (show, self._press_show),
                (cancel, self._press_cancel),
                (yes, self._press_yes),
                (no, self._press_no),
            ):
                button.on_click(handler(press, line))
            controls = kit.VBox([kit.HBox([stop, resume, show, cancel]), asking, line, found])
            whole = kit.VBox([html, controls])
            self._parts = _Parts(html, stop, resume, show, cancel, asking, line, found, controls, whole)
        return self._parts

    def _press_stop(self) -> None:
        self._run.stop(timeout=0)  # a button must not block; the last snapshot tells when it has stopped
        if self._parts is not None:
            self._parts.stop.disabled = True

    def _press_resume(self) -> None:
        self._run.start()

    def _press_show(self) -> None:
        html = self._results(self._run.snapshot())
        if self._parts is not None:
            self._parts.results.value = html

    def _press_cancel(self) -> None:
        if self._parts is not None:
            self._parts.asking.layout.display = ""

    def _press_no(self) -> None:
        if self._parts is not None:
            self._parts.asking.layout.display = "none"

    def _press_yes(self) -> None:
        self._press_no()
        self._run.cancel(timeout=0)  # the card tells what came of it, also that this service cannot


def counts(covered: Sequence[Covered]) -> list[tuple[str, str, int]]:
    """Return (action, reason, IDs) for what was found, the most frequent first; no ID is in it.

    Examples
    --------
    >>> import numpy as np
    >>> from xcompliance_pd import results
    >>> from xcompliance_pd.verdicts import Covered
    >>> found = results.read([b'{"id":"21","action":"delete","reason":"suspended"}']).findings
    >>> counts([Covered(np.array([20, 21]), found, True, None, "r")])
    [('delete', 'suspended', 1)]
    """
    parts = [part.findings[np.isin(part.findings["id"].to_numpy(), part.ids)] for part in covered]
    record = results.decisive(results.concat(parts))
    reason = record["reason"].astype(object).where(results.judged(record), record["error"])
    kinds = pd.DataFrame({"action": record["action"].astype(object).fillna(NOTHING), "reason": reason.fillna(NOTHING)})
    sizes = kinds.groupby(["action", "reason"]).size().sort_values(ascending=False, kind="stable")
    rows = [(str(kind[0]), str(kind[1]), int(size)) for kind, size in zip(sizes.index, sizes, strict=True)]
    if len(rows) > ROWS_MAX:
        rest = rows[ROWS_MAX - 1 :]
        rows[ROWS_MAX - 1 :] = [("(other)", f"({len(rest):,} other kinds)", sum(row[2] for row in rest))]
    return rows


def _over(snapshot: Snapshot) -> bool:
    return snapshot.state in ("done", "failed", "forgotten")


def _driven(snapshot: Snapshot) -> bool:
    return snapshot.state in ("running", "waiting")
