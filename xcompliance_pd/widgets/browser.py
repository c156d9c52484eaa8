"""All runs of a ledger: find one, watch it, go on with it, forget it."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, Any, Protocol

from ..summary import plain
from .monitor import Handle, JobMonitor
from .panel import Bundle, Panel, box, handler, message, table, toolkit

if TYPE_CHECKING:
    import pandas as pd

ALL = "all states"
STATES = (ALL, "unfinished", "done", "failed", "forgotten", "unreadable")
ROWS_MAX = 50  # runs in the static list; the controls show them all
NONE_YET = "There is no run in this ledger yet."


class Runs(Protocol):
    """What a browser needs of the engine: a `Client` has it, and so has the module of the client."""

    def runs(self) -> pd.DataFrame: ...
    def open_run(self, run_id: str, /) -> Handle: ...


class RunBrowser(Panel):
    """Browse a ledger.

    Parameters
    ----------
    engine : Runs
        Lists runs and opens them.
    """

    def __init__(self, engine: Runs) -> None:
        self._engine = engine
        self._table = engine.runs()
        self._opened: dict[str, Handle] = {}  # one handle for each run, so that who drives it is known
        self._monitor: JobMonitor | None = None
        self._shown: str | None = None  # the run that is open

    # ----------------------------------------------------------------- what stays

    def record(self) -> Bundle:
        runs = self._table
        if runs.empty:
            return {"text/html": box(message(NONE_YET)), "text/plain": NONE_YET}
        html = table("Newest first", _HEAD, map(_cells, _rows(runs.head(ROWS_MAX))))
        more = f"<div>and {len(runs) - ROWS_MAX:,} older ones</div>" if len(runs) > ROWS_MAX else ""
        text = self._words()
        # Closed, because the controls below list the same; it opens without a kernel.
        return {
            "text/html": box(f"<details><summary>{text}</summary>{html}{more}</details>"),
            "text/plain": text,
        }

    def _words(self) -> str:
        count = len(self._table)
        states = collections.Counter(self._table["state"])
        parts = ", ".join(f"{states[state]:,} {state}" for state in STATES if states[state])
        return f"{count:,} run{'' if count == 1 else 's'} in the ledger: {parts}"

    # ----------------------------------------------------------------- widgets

    def _build(self) -> Any:
        kit = toolkit()
        wide = {"description_width": "initial"}
        self._line = kit.HTML()
        self._text = kit.Text(description="Filter", placeholder="ID, label or type", style=wide)
        self._state = kit.Dropdown(description="State", options=STATES, style=wide)
        inside = {"width": "auto", "max_width": "99%"}  # with 100 % its border would be cut off
        self._list = kit.Select(description="Runs", options=[], rows=8, style=wide, layout=inside)
        self._open, self._resume, self._forget, refresh, self._yes, self._keep = (
            kit.Button(description=name)
            for name in ("Open", "Resume", "Forget", "Refresh", "Yes, forget it", "Keep it")
        )
        self._question = kit.HTML()
        self._asking = kit.VBox([self._question, kit.HBox([self._yes, self._keep])], layout={"display": "none"})
        self._inside = kit.VBox([])
        for button, action in (
            (self._open, self._press_open),
            (self._resume, self._press_resume),
            (self._forget, self._press_forget),
            (refresh, self._refresh),
            (self._yes, self._press_yes),
            (self._keep, self._settle),
        ):
            button.on_click(handler(action, self._line))
        for box_, trait, action in (
            (self._text, "value", self._list_runs),
            (self._state, "value", self._list_runs),
            (self._list, "index", self._settle),
        ):
            box_.observe(handler(action, self._line), trait)
        self._list_runs()
        return kit.VBox(
            [
                kit.HBox([self._text, self._state, refresh]),
                self._list,
                kit.HBox([self._open, self._resume, self._forget]),
                self._asking,
                self._line,
                self._inside,
            ]
        )

    def _list_runs(self) -> None:
        """List the runs that pass the filter; the chosen one stays chosen while it passes."""
        chosen, wanted, state = self._list.value, self._text.value.strip().casefold(), self._state.value
        options = [
            (_entry(row), row["run"])
            for row in _rows(self._table)
            if state in (ALL, row["state"]) and wanted in _searched(row)
        ]
        self._list.options = options
        runs = [run for _, run in options]
        self._list.value = chosen if chosen in runs else runs[0] if runs else None
        if not runs:
            self._say(NONE_YET if self._table.empty else "No run passes the filter.")
        self._settle()

    def _settle(self) -> None:
        """Let the buttons follow the choice; a question about another run is withdrawn."""
        self._asking.layout.display = "none"
        run = self._list.value
        state = None if run is None else self._table["state"].get(run)
        self._open.disabled = run is None
        self._forget.disabled = run is None or state == "forgotten"
        self._resume.disabled = state != "unfinished"

    def _say(self, text: str) -> None:
        self._line.value = message(text)

    # ----------------------------------------------------------------- what the buttons do

    def _refresh(self) -> None:
        self._table = self._engine.runs()
        self._list_runs()

    def _handle(self) -> Handle:
        run_id = self._list.value
        if run_id not in self._opened:
            self._opened[run_id] = self._engine.open_run(run_id)
        return self._opened[run_id]

    def _press_open(self) -> None:
        self._show(self._handle())

    def _show(self, run: Handle) -> None:
        if self._shown == run.id:
            return
        self._close()
        self._monitor, self._shown = JobMonitor(run), run.id
        self._inside.children = (self._monitor.panel,)

    def _close(self) -> None:
        self._inside.children = ()
        if self._monitor is not None:
            self._monitor.close()
        self._monitor = self._shown = None

    def _press_resume(self) -> None:
        run = self._handle()
        run.start()
        self._show(run)

    def _press_forget(self) -> None:
        run = self._list.value
        self._question.value = message(
            f"Forget run {run}? Its IDs and results are deleted from this machine, and its verdicts cannot be joined "
            "any more. What stays tells no ID: its counts, times, checksums and label, and the record of what was done "
            "with it. A remote job that runs is left to end by itself."
        )
        self._asking.layout.display = ""

    def _press_yes(self) -> None:
        self._asking.layout.display = "none"
        run = self._handle()
        if run.snapshot().state in ("running", "waiting"):
            self._say(f"Run {run.id} is going on. Open it and stop watching it first.")
            return
        run.forget()
        del self._opened[run.id]
        if self._shown == run.id:
            self._close()
        self._refresh()
        self._say(f"Run {run.id} was forgotten; its counts stay.")


_HEAD = ("run", "label", "type", "state", "IDs", "batches done", "listed", "created")
_UNITS = ("", "", "", "", "IDs", "batches done", "listed", "")


def _rows(runs: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in runs.reset_index().to_dict("records")]


def _cells(row: dict[str, Any]) -> tuple[object, ...]:
    """Return what is shown of a run; of one that cannot be read, only that."""
    if row["state"] == "unreadable":
        return (row["run"], "", "", "unreadable", "", "", "", "")
    created = f"{row['created_at']:%Y-%m-%d %H:%M} UTC"
    batches = f"{row['batches_done']:,} of {row['batches']:,}"
    return (row["run"], _word(row["label"]), row["type"], row["state"], row["ids"], batches, row["listed"], created)


def _entry(row: dict[str, Any]) -> str:
    """Return a run as an entry of the list, which cuts long ones: of one batch the state says it all."""
    spoken = (
        _spoken(cell, unit)
        for cell, unit in zip(_cells(row), _UNITS, strict=True)
        if unit != "batches done" or row["batches"] > 1
    )
    return "  ".join(filter(None, spoken))


def _spoken(cell: object, unit: str) -> str:
    text = f"{cell:,}" if isinstance(cell, int) else plain(str(cell))
    return f"{text} {unit}".strip() if text else ""


def _searched(row: dict[str, Any]) -> str:
    return " ".join(_word(row[name]) for name in ("run", "label", "type")).casefold()


def _word(value: object) -> str:
    return value if isinstance(value, str) else ""  # None, which pandas may have turned into NaN
