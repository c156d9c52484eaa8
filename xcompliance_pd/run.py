"""The user's handle on a run: the only thread, the only wait."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Generator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from . import audit, outcome, results, verdicts
from . import ids as id_rules
from .errors import ComplianceError, LedgerError, WaitTimeout
from .ids import IdColumn, Ints
from .ledger import Ledger
from .lifecycle import RunRecord, Snapshot, remembered
from .runner import Runner
from .verdicts import Covered
from .widgets import card, live

TICK = 1.0  # seconds between two updates of what is shown
FOLLOW = 0.5  # seconds between two reads of a run that another process drives

log = logging.getLogger(__name__)

Watch = Callable[[Snapshot], None]


class Run:
    """One check of one set of IDs, on disk and wherever it stands.

    Made by ``df.compliance.submit``, ``xc.submit`` and ``xc.open_run``. A run outlives its kernel: the remote job
    goes on, and ``xc.open_run(run.id)`` in another process carries on from the last exchange.

    Examples
    --------
    >>> import pandas as pd, xcompliance_pd as xc
    >>> posts = pd.DataFrame({"id": ["1212092628029698048", "1212092628029698049"]})
    >>> with xc.Sandbox(findings=['{"id":"1212092628029698048","action":"delete","reason":"deleted"}']) as box:
    ...     run = xc.submit(posts, "id", client=box.client)
    ...     run.result()[["id", "reason"]].to_dict("records")
    [{'id': '1212092628029698048', 'reason': 'deleted'}]
    """

    def __init__(self, run_id: str, runner: Runner) -> None:
        self.id = run_id
        self._runner = runner
        self._guard = threading.RLock()
        self._stop = threading.Event()
        self._cancel = threading.Event()  # somebody wants the run cancelled, which is not written down yet
        self._thread: threading.Thread | None = None
        self._waiting: threading.Thread | None = None  # drives the run in `wait`
        self._error: BaseException | None = None
        self._callbacks: list[Callable[[Run], object]] = []
        self._watches: list[Watch] = []
        self._monitor: Any = None

    # ----------------------------------------------------------------- looking, without any request

    @property
    def record(self) -> RunRecord:
        """What the ledger says now."""
        return self._runner.ledger.load(self.id)

    @property
    def type(self) -> str:
        """``tweets`` or ``users``."""
        return str(self.record.type)

    @property
    def label(self) -> str | None:
        return self.record.label

    @property
    def status(self) -> str:
        """``running``, ``waiting``, ``done``, ``failed``, ``stopped`` or ``forgotten``."""
        return self.snapshot().state

    def snapshot(self) -> Snapshot:
        """Return where the run stands, from the ledger; no request is made."""
        return self._runner.snapshot(self.id, stopped=None if self._driven() else self._why_stopped())

    def done(self) -> bool:
        """Whether the run has ended, well or not."""
        return self.record.ended

    def exception(self) -> BaseException | None:
        """Return what stopped the run, or None while it runs or after it ended well."""
        if self.done():
            error = self._runner.dead(self.record)
            if error is not None:
                error.run = self
            return error
        return self._error

    def _live(self) -> bool:
        """Whether a background thread, other than the caller, drives the run."""
        thread = self._thread
        return thread is not None and thread.is_alive() and thread is not threading.current_thread()

    def _driven(self) -> bool:
        """Whether any thread of this process, other than the caller, drives the run."""
        waiting = self._waiting
        return self._live() or (waiting is not None and waiting is not threading.current_thread())

    def _why_stopped(self) -> str:
        return str(self._error) or "Waiting was interrupted." if self._error is not None else "Nobody watches this run."

    # ----------------------------------------------------------------- driving

    def start(self) -> Run:
        """Drive the run in a background thread until it ends; return at once. LedgerError if it was forgotten."""
        with self._guard:
            remembered(self.record)
            busy = self._live() and not self._stop.is_set()
            if not busy and not self.done():
                self._error = None
                self._stop = threading.Event()  # its own: a thread that was told to stop stays told
                # A daemon: an hour of waiting must not hold the interpreter's exit. The run is on disk.
                self._thread = threading.Thread(target=self._background, args=(self._stop,), name=self.id, daemon=True)
                self._thread.start()
        return self

    def _background(self, stop: threading.Event) -> None:
        try:
            self._drive(stop, None, lambda snapshot: None)
        except Exception as error:
            self._error = error
        self._call_back()

    def _call_back(self) -> None:
        """Tell everybody who asked that whoever drove the run here is through with it."""
        with self._guard:
            functions, self._callbacks = self._callbacks, []
        for function in functions:
            self._call(function)
        with contextlib.suppress(ComplianceError):  # the run was forgotten, or cannot be read
            self._tell(self.snapshot())

    def _call(self, function: Callable[[Run], object]) -> None:
        try:
            function(self)
        except Exception:
            log.exception("a callback of run %s failed", self.id)

    def wait(self, timeout: float | None = None, *, watch: Watch | None = None) -> Run:
        """Wait until the run has ended, driving it here if no thread of this process does.

        Parameters
        ----------
        timeout : float, optional
            Seconds. The remote job goes on after a time-out.
        watch : callable, optional
            Called with a `Snapshot` whenever there is something to show.

        Returns
        -------
        Run
            Itself.

        Raises
        ------
        WaitTimeout
            `timeout` or the request budget is used up, or somebody called `stop`.
        RemoteError
            Something that waiting does not cure.
        LedgerError
            The run was forgotten, or cannot be read.
        """
        remembered(self.record)
        deadline = None if timeout is None else self._runner.clock.monotonic() + timeout
        show: Watch = watch or (lambda snapshot: None)
        thread = self._thread
        if thread is not None and self._live():
            while thread.is_alive():
                show(self.snapshot())
                self._check(deadline)
                thread.join(FOLLOW)
            show(self.snapshot())
        else:
            self._stop, self._error = threading.Event(), None
            self._waiting = threading.current_thread()
            try:
                self._drive(self._stop, deadline, show)
            except BaseException as error:
                self._error = error
                raise
            finally:
                self._waiting = None
                self._call_back()
        return self._ended()

    def _ended(self) -> Run:
        """Return itself if the run has ended, and still is there."""
        if not remembered(self.record).ended:
            raise self._unfinished()
        return self

    def _unfinished(self) -> BaseException:
        return self._error or WaitTimeout(
            f"Watching run {self.id} was stopped; its job goes on. Go on: xc.open_run({self.id!r}).wait()",
            run_id=self.id,
        )

    def _drive(self, stop: threading.Event, deadline: float | None, watch: Watch) -> None:
        """Advance the run until it ends or is stopped; while somebody else drives it, follow."""
        clock = self._runner.clock
        lock = self._runner.ledger.drive_lock(self.id)
        try:
            while not stop.is_set():
                if lock.is_locked or self._runner.ledger.take(lock):
                    if self._cancel.is_set():
                        self._runner.cancel(self.id)
                        self._cancel.clear()
                    tick = self._runner.advance(self.id)
                    snapshot, wait = tick.snapshot, tick.wait
                elif self._cancel.is_set() and not self.done():
                    self._cancel.clear()
                    raise LedgerError(
                        f"Another process drives {self.id} at the moment, so it was not cancelled. Cancel it there, or "
                        "stop it there first.",
                        run_id=self.id,
                    )
                else:
                    snapshot = self._runner.snapshot(self.id)
                    wait = None if self.done() else FOLLOW
                self._tell(snapshot, watch)
                if wait is None:
                    return
                until = clock.monotonic() + wait
                while (left := until - clock.monotonic()) > 0 and not (stop.is_set() or self._cancel.is_set()):
                    limit = self._check(deadline)
                    clock.pause(stop, min(left, limit, TICK))  # the only wait; `stop` ends it, and so does Ctrl-C
                    self._tell(self._runner.snapshot(self.id), watch)
                self._check(deadline)
        finally:
            lock.release()

    def _check(self, deadline: float | None) -> float:
        """Return the seconds left until the deadline; raise when there are none."""
        if deadline is None:
            return TICK
        left = deadline - self._runner.clock.monotonic()
        if left <= 0:
            raise WaitTimeout(
                f"Run {self.id} has not ended in time; its job goes on. Go on: xc.open_run({self.id!r}).wait()",
                run_id=self.id,
            )
        return left

    def stop(self, timeout: float | None = 5.0) -> None:
        """Stop watching. The remote job goes on, and `start`, `wait` or another process can take over.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait for the background thread, which ends after the exchange it is in; with 0 it is told
            to end and not waited for.
        """
        self._stop.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=timeout)

    def cancel(self, timeout: float | None = None) -> Run:
        """End the run: batches that were not sent never are, and X is asked to cancel the jobs it has not finished.

        What X then says of a job decides: one that was complete already is downloaded as ever. Whatever has results
        stays joinable with ``partial=True``; the other rows are unchecked. The wish is written down first, so if this
        process ends amid it, whoever goes on with the run ends it.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait for the end; with 0 a background thread sees to it and nobody waits.

        Returns
        -------
        Run
            Itself.

        Raises
        ------
        Refused
            This service cannot cancel jobs, as X's could not before September 2026. Nothing was changed, and the run
            can go on.
        LedgerError
            Another process drives the run, or it was forgotten.
        WaitTimeout
            `timeout` is used up.

        Examples
        --------
        >>> import pandas as pd, xcompliance_pd as xc
        >>> posts = pd.DataFrame({"id": ["1212092628029698048"]})
        >>> with xc.Sandbox(dialect="xapi", processing_seconds=3600) as box:
        ...     run = xc.submit(posts, "id", client=box.client).cancel()
        >>> run.record.batches[0].reason
        'cancelled'
        """
        remembered(self.record)
        if self._stop.is_set():
            self.stop()  # a thread that was told to stop holds the lock until its exchange is over
        self._cancel.set()
        if timeout == 0:
            return self if self._driven() else self.start()
        return self.wait(timeout)

    def add_watch(self, function: Watch) -> Callable[[], None]:
        """Call `function(snapshot)` whenever there is something to show, and when the run ends or is stopped.

        Whoever drives the run in this process calls it: the background thread of `start`, or the thread in `wait`.
        It must be quick and must not print, because a thread's text lands in whichever cell runs. A function that
        raises is logged and not called again; the run goes on.

        Parameters
        ----------
        function : callable
            Takes a `Snapshot`.

        Returns
        -------
        callable
            Without arguments; ends the watch.

        Examples
        --------
        >>> import pandas as pd, xcompliance_pd as xc
        >>> states = []
        >>> with xc.Sandbox(findings=[]) as box:
        ...     run = xc.submit(pd.Series(["1212092628029698048"]), client=box.client)
        ...     remove = run.add_watch(lambda snapshot: states.append(snapshot.state))
        ...     run = run.wait()
        ...     remove()
        >>> states[-1]
        'done'
        """
        with self._guard:
            self._watches.append(function)
        return lambda: self._unwatch(function)

    def _unwatch(self, function: Watch) -> None:
        with self._guard, contextlib.suppress(ValueError):
            self._watches.remove(function)

    def _tell(self, snapshot: Snapshot, watch: Watch | None = None) -> None:
        with self._guard:
            functions = tuple(self._watches)
        for function in functions:
            try:
                function(snapshot)
            except Exception:
                log.exception("a watch of run %s failed and is not called again", self.id)
                self._unwatch(function)
        if watch is not None:
            watch(snapshot)

    def add_done_callback(self, function: Callable[[Run], object]) -> None:
        """Call `function(run)` when whoever drives the run here is through with it; at once if it has ended."""
        with self._guard:
            ended = self.done()
            if not ended:
                self._callbacks.append(function)
        if ended:
            self._call(function)

    def __await__(self) -> Generator[Any, None, Run]:
        """Wait for the run without blocking the event loop."""
        loop = asyncio.get_running_loop()
        through: asyncio.Future[None] = loop.create_future()

        def settle() -> None:
            if not through.done():
                through.set_result(None)

        def wake(run: Run) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(settle)

        self.add_done_callback(wake)  # first, so that no end is missed
        self.start()
        yield from through
        return self._ended()

    # ----------------------------------------------------------------- what came of it

    def result(self, timeout: float | None = None) -> pd.DataFrame:
        """Wait for the run and return its findings: what X listed, one row a record.

        Returns
        -------
        DataFrame
            `id` (text), `action`, `reason` (categories), `created_at`, `redacted_at` (UTC datetimes), `error`,
            `extra` (text or None), `sent` (bool: False for a record about an ID that was not in the batch).

        Raises
        ------
        JobError
            A batch failed.
        LedgerError
            The run was forgotten, or its files are not what was verified.
        """
        self.wait(timeout)
        self.raise_if_dead()
        tables = []
        for part in self.covered():
            inside = np.isin(part.findings["id"].to_numpy(), part.ids)
            tables.append(part.findings.assign(sent=inside))
        findings = results.concat(tables) if tables else results.empty().assign(sent=pd.Series(dtype=bool))
        return findings.assign(id=findings["id"].astype(str))

    def covered(self) -> list[Covered]:
        """Return what each finished batch covers and found; files are verified again."""
        return self._runner.covered(self.record)

    def verdicts(self, ids: IdColumn, part: int | None = None) -> pd.DataFrame:
        """Return the verdict columns for parsed IDs; with the number of a part, one batch is in memory at a time."""
        if part is not None:
            return outcome.join(self._runner.ledger, self.record, ids, part)
        return verdicts.join(ids, self.answers([ids.unique()]))

    def answers(self, several: Sequence[Ints]) -> list[Covered]:
        """Return what each finished batch says, and what those that are reused say of other IDs in these arrays.

        Each array is distinct and ascending.
        """
        own, record = self.covered(), self.record
        if not record.reused:
            return own
        ids = id_rules.union(several)
        left = np.ones(len(ids), dtype=np.bool_)
        for batch in own:
            left[verdicts.within(ids, batch.ids)] = False
        return [*own, *outcome.again(self._runner.ledger, record.reused, ids[left])]

    def source(self) -> outcome.Source:
        """Return where the verdicts of the finished batches are, for processes that have no client; they are read."""
        self._runner.drop(self.id)
        return outcome.source(self._runner.ledger, self.record)

    def applied(self) -> pd.DataFrame:
        """Return the records of what `df.compliance.apply` did with this run's verdicts, oldest first.

        They are in the run's folder, and stay when the run is forgotten.

        Returns
        -------
        DataFrame
            `applied_at` (UTC), `mode`, `rows_before`, `rows_after`, the rows of each change by its name ("kept",
            "dropped", "geo blanked" ...), `columns_before`, `columns_after` (dicts: a column's name, its SHA-256),
            `software`, `sha256` (the record's own), and `holds`: whether the record is as it was written and follows
            the one before it, see :mod:`xcompliance_pd.audit`. Counts are those of the whole frame, of which other rows
            may name other runs.

        Examples
        --------
        >>> import pandas as pd, xcompliance_pd as xc
        >>> posts = pd.DataFrame({"id": ["1212092628029698048", "1212092628029698049"]})
        >>> with xc.Sandbox(findings=['{"id":"1212092628029698048","action":"delete","reason":"deleted"}']) as box:
        ...     run = xc.submit(posts, "id", client=box.client)
        ...     clean = posts.compliance.join("id", run).compliance.apply(client=box.client)
        ...     run.applied()[["mode", "rows_before", "rows_after", "dropped", "holds"]].values.tolist()
        [['drop', 2, 1, 1, True]]
        """
        return audit.table(self._runner.ledger.applied(self.id), self.id)

    def raise_if_dead(self) -> None:
        """Raise JobError, with this run, if any of its batches failed."""
        error = self._runner.dead(self.record)
        if error is not None:
            error.run = self
            raise error

    def forget(self) -> None:
        """Delete the run's IDs and results from this machine. Its record stays, with its counts, and so does `applied`.

        What stays tells no ID: counts, times, checksums, the label, and the jobs' IDs. A run that has not ended counts
        as ended then; a remote job that runs is left to end by itself.

        Raises
        ------
        LedgerError
            Another process drives the run, or the disk cannot be written.

        Notes
        -----
        A checksum confirms a guess. That of a whole set of IDs confirms only a guess of the whole set, which is easy
        for a set of one. Deleting the run's folder deletes these, too.

        Examples
        --------
        >>> import pandas as pd, xcompliance_pd as xc
        >>> posts = pd.DataFrame({"id": ["1212092628029698048"]})
        >>> with xc.Sandbox(findings=[]) as box:
        ...     run = xc.submit(posts, "id", client=box.client).wait()
        ...     run.forget()
        ...     box.client.runs()[["state", "ids"]].values.tolist()
        [['forgotten', 1]]
        """
        self._delete(lambda ledger: ledger.forget(self.id, self._runner.clock.now()))

    def discard(self) -> None:
        """Delete the run with its record, as if it had never been: for a mere trial, such as the doctor's."""
        self._delete(lambda ledger: ledger.discard(self.id))

    def _delete(self, delete: Callable[[Ledger], None]) -> None:
        self.stop()
        lock = self._runner.ledger.drive_lock(self.id)
        if not self._runner.ledger.take(lock):
            raise LedgerError(f"Another process drives {self.id} at the moment. Stop it first.", run_id=self.id)
        try:
            delete(self._runner.ledger)
            self._runner.drop(self.id)
        finally:
            lock.release()

    def __repr__(self) -> str:
        try:
            return f"<Run {card.line(self.snapshot())}>"
        except ComplianceError as error:
            return f"<Run {self.id}: {error}>"

    def _repr_html_(self) -> str | None:
        try:
            return card.html(self.snapshot())
        except ComplianceError:
            return None

    def _ipython_display_(self) -> None:
        """Show the live monitor while the run goes on in a notebook; IPython takes the card or the line otherwise."""
        if not self._driven() or not live.wanted():
            raise NotImplementedError
        if self._monitor is None:
            from .widgets.monitor import JobMonitor

            self._monitor = JobMonitor(self)
        self._monitor._ipython_display_()
