"""From IDs to runs that have ended: what all faces share, whatever the IDs stand in.

Everything that can be refused is refused before anything is sent, and every doubt is told in a warning.
"""

from __future__ import annotations

import contextlib
import itertools
import sys
import warnings
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import NamedTuple

import numpy as np
import pandas as pd

from . import freshness, protocol
from . import ids as id_rules
from .client import Client
from .digest import Grade
from .errors import ComplianceError, ComplianceWarning, InputError
from .ids import IdColumn, Ints, Part
from .lifecycle import Snapshot, remembered
from .outcome import Source
from .protocol import JobType
from .reuse import Reuse
from .run import Run
from .runner import Clock
from .saved import SavedResults
from .widgets.live import Display

PREFIX = "compliance_"
NO_IDS: Ints = np.empty(0, dtype=np.int64)
NOTHING_TO_SUBMIT = "Column {!r} holds no ID, so there is nothing to submit. Check the column's name."
ALL_FRESH = (
    "All IDs in column {!r} were proved within max_age, so there is nothing to submit. "
    "check(..., max_age=...) puts those verdicts on the rows without any request."
)
NOTHING_SENT = "Column {!r} holds no ID, so nothing was sent and no row was checked. Check the column's name."


class Begun(NamedTuple):
    """What a check has come to before it waits.

    Attributes
    ----------
    run : Run or None
        None if nothing is to be sent.
    reuse : Reuse or None
        What is reused of earlier runs, if there is any; the run knows it, too.
    """

    run: Run | None
    reuse: Reuse | None


def begin(
    parts: list[Part] | Callable[[], Iterable[Part]],
    name: Hashable,
    problems_call: str,
    *,
    type: str | None,
    client: Client,
    label: str | None,
    on_invalid: str,
    fresh: bool,
    max_age: str | timedelta | None = None,
) -> Begun:
    """Settle everything that can go wrong before anything is sent; no run when there is no ID to be sent.

    Parameters
    ----------
    parts : list of Part, or function
        The column, if it is in memory as a whole; or what gives it in pieces, which are asked for one by one.
    name : hashable
        The column's name.
    problems_call : str
        What a user writes to see all invalid rows.
    type, client, label, on_invalid, fresh, max_age
        As in :func:`check`.
    """
    age = None if max_age is None else freshness.seconds(max_age)
    if age and fresh:
        raise InputError("fresh=True asks for everything anew, max_age= reuses what is not older. Use one of them.")
    if on_invalid not in ("mark", "raise"):
        raise InputError(f"on_invalid={on_invalid!r} is not known. Use on_invalid='mark' or 'raise'.")
    given = None if type is None else protocol.job_type(type)
    if given is None:
        refuse_users(name)
    passed: list[Part] = []

    def ids() -> Iterator[Ints]:
        passed.clear()
        for part in parts if isinstance(parts, list) else parts():
            passed.append(replace(part, ids=NO_IDS))  # a slice of no IDs would keep them all in memory
            yield part.ids
        # Here nothing is settled yet: an error leaves no run behind.
        if given is None:
            refuse_implausible(passed, name)
        if on_invalid == "raise" and (invalid := invalid_rows(passed, name)):
            raise InputError(f"{invalid} Nothing was sent. {problems_call} lists them all, with what to do about each.")

    kind = given or JobType.TWEETS
    run, continued, reuse = None, False, None
    for reuse in [None] if age is None else client.reuses(kind, age):
        run, continued = client.start(ids(), kind, label=label, fresh=fresh, keep=isinstance(parts, list), reuse=reuse)
        if run is not None:
            break
    if invalid := invalid_rows(passed, name):
        warn(f"{invalid} They are marked invalid and not sent. {problems_call} lists them all, with what to do.")
    if run is not None and continued:
        warn(f"Continuing the unfinished run {run.id} of the same IDs (fresh=True would start anew).")
    if reuse is not None:
        warn_behind(reuse)
    if reuse is None or not reuse.fresh:
        return Begun(run, None)
    warn(reuse.told())
    return Begun(run, reuse)


def refuse_users(name: Hashable) -> None:
    """Refuse to take users for posts: their IDs would come back unlisted, hence "compliant"."""
    if id_rules.names_users(name):
        raise InputError(
            f"Column {name!r} looks like user IDs, and X reports nothing about IDs of the wrong type. "
            "Say type='users', or type='tweets' if these are post IDs (types= of clean_file, --type on the command "
            "line)."
        )


def refuse_implausible(parts: Sequence[Part], name: Hashable) -> None:
    if doubt := implausible(parts, name):
        raise InputError(
            f"{doubt}, and X reports nothing about IDs of the wrong type. Say type='users', or type='tweets' if these "
            "really are post IDs (types= of clean_file, --type on the command line)."
        )


def implausible(parts: Sequence[Part], name: Hashable) -> str:
    """Say that most IDs can hardly be those of posts; nothing if they can."""
    share = sum(part.odd for part in parts) / max(sum(part.valid for part in parts), 1)
    if share <= 0.5:
        return ""
    return (
        f"{share:.0%} of the IDs in column {name!r} are no plausible post IDs (older than November 2010, or from "
        "the future)"
    )


def invalid_rows(parts: Sequence[Part], name: Hashable) -> str:
    """Say which rows hold no ID; nothing if there are none."""
    count, rows = sum(part.invalid for part in parts), sum(part.rows for part in parts)
    if not count:
        return ""
    examples = list(itertools.chain.from_iterable(part.examples for part in parts))[: id_rules.EXAMPLES]
    more = f"; and {count - len(examples):,} more" if count > len(examples) else ""
    return f"{count:,} of {rows:,} rows in column {name!r} hold no ID: {'; '.join(examples)}{more}."


def warn_behind(reuse: Reuse) -> None:
    if reuse.behind:
        warn(
            f"This machine's clock is {freshness.told(round(reuse.behind))} behind the latest time that the service "
            "told in an earlier run. Ages are counted from that time, and what was proved then is sent again. "
            "Set the clock."
        )


def client_of(client: Client | None) -> Client:
    """Return the client that was given, or the one of the environment."""
    if isinstance(client, Client | None):
        return Client() if client is None else client
    raise InputError(
        f"client= needs a Client, not {client.__class__.__name__}. "
        "Use client=xc.Client(...), or client=box.client for a sandbox called box."
    )


def wait(run: Run, timeout: float | None, display: Display) -> None:
    """Wait on the caller's thread, with progress; if it does not end well, the last thing shown says so."""
    try:
        run.wait(timeout, watch=display)
        run.raise_if_dead()
    except BaseException as error:
        with contextlib.suppress(ComplianceError):  # a ledger that cannot be read must not hide the first error
            display.close(run.snapshot())
        if isinstance(error, KeyboardInterrupt):
            error.run_id = run.id  # type: ignore[attr-defined]  # for the command line
            print(
                f"Stopped waiting. The job goes on; run the same call again, or xc.open_run({run.id!r}), to continue.",
                file=sys.stderr,
            )
        raise


def wait_for_all(runs: Mapping[JobType, Run], timeout: float | None, display: Display, clock: Clock) -> list[Display]:
    """Wait for runs that go on side by side, the first on the caller's thread; return what shows each."""
    deadline = None if timeout is None else clock.monotonic() + timeout
    others = list(runs.values())[1:]
    displays = [display, *(Display.choose() for _ in others)]
    for other in others:
        other.start()
    try:
        for run, shown in zip(runs.values(), displays, strict=False):
            wait(run, None if deadline is None else max(deadline - clock.monotonic(), 0.0), shown)
    except BaseException:
        for other in others:
            other.stop(timeout=0)  # its job goes on, too
        raise
    return displays


def finish(run: Run) -> None:
    """Carry a run on to its end, with progress."""
    display = Display.choose()
    wait(run, None, display)
    display.close(run.snapshot())


def refuse_no_run(run: object) -> Run:
    """Return a run; anything else is an InputError, and one that was forgotten a LedgerError."""
    if isinstance(run, SavedResults):
        raise InputError("A result file is joined to a pandas frame only: compute the frame first, or join a run.")
    if not isinstance(run, Run):
        raise InputError("join needs a run: xc.open_run('...') opens one, xc.runs() lists them.")
    remembered(run.record)
    return run


def source_of(reuse: Reuse | None) -> Source | None:
    """Return where the verdicts are if nothing was sent; None if there are none."""
    return None if reuse is None else reuse.source()


def unproved(ids: IdColumn, table: pd.DataFrame) -> int:
    """Count the rows with an ID of which nothing was heard, not even an error."""
    unheard = (table["status"] == "unchecked") & table["run"].isna()
    return int(np.count_nonzero(ids.valid & unheard.to_numpy()))


def warn_unproved(snapshot: Snapshot) -> None:
    """Warn of IDs that were asked for in vain, and of those that are compliant on somebody's word."""
    if snapshot.unproved:
        warn(f"{snapshot.unproved:,} IDs stay unchecked: {snapshot.note} Check them again with fresh=True.")
    if Grade.GIVEN in snapshot.grades:
        left = snapshot.ids - (snapshot.listed or 0) - snapshot.unproved - snapshot.undecided
        warn_given(left, "sent= is what was uploaded to the job")


def warn_given(left: int, words: str) -> None:
    if left:
        warn(f"{left:,} IDs are called compliant on your word alone (evidence: given), that {words}.")


def warn_lost(rows: int) -> None:
    """Warn of rows that have no verdict although earlier ones are reused, as far as nothing else explains them."""
    if rows > 0:
        warn(
            f"{rows:,} rows stay unchecked: neither what was sent nor the earlier runs that are reused prove anything "
            "of their IDs now. Run check with max_age= again, and they are sent."
        )


def warn(text: str) -> None:
    """Warn at the line of the caller's own code, however many floors of this package lie between."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(__package__):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, ComplianceWarning, stacklevel=level)
