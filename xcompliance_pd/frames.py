"""The verbs on pandas objects: check, submit, join. The accessor and the command line only delegate to them."""

from __future__ import annotations

import contextlib
import difflib
import itertools
import sys
import warnings
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

from . import audit, cleaning, protocol, saved, summary, terms, verdicts
from . import ids as id_rules
from .client import Client
from .digest import Grade
from .errors import ComplianceError, ComplianceWarning, InputError
from .ids import IdColumn, Ints, Part
from .ledger import Ledger
from .lifecycle import Snapshot, remembered
from .protocol import JobType
from .run import Run
from .runner import Clock
from .saved import SavedResults
from .verdicts import STATUSES, VERDICT_COLUMNS
from .widgets.live import Display

PREFIX = "compliance_"
NO_IDS: Ints = np.empty(0, dtype=np.int64)
NOTHING_TO_SUBMIT = "There is no ID in this column, so there is nothing to submit. Check the column's name."
NOTHING_SENT = "Column {!r} holds no ID, so nothing was sent and no row was checked. Check the column's name."


def check(
    data: pd.DataFrame | pd.Series,
    column: Hashable | None = None,
    *,
    type: str | None = None,
    client: Client | None = None,
    label: str | None = None,
    on_invalid: str = "mark",
    overwrite: bool = False,
    prefix: str = PREFIX,
    timeout: float | None = None,
    fresh: bool = False,
) -> pd.DataFrame:
    """Send a column of IDs through X's batch compliance API, wait, and put the verdicts on the rows.

    Parameters
    ----------
    data : DataFrame or Series
        It is never changed.
    column : label
        The DataFrame's column of IDs; left out for a Series.
    type : {"tweets", "users", "posts"}, optional
        What the IDs are; "posts" means tweets. Without it they are taken for posts, unless the column's name
        or values look like users: then it must be given, because X reports nothing about IDs of the wrong type.
    client : Client, optional
        Otherwise ``Client()``.
    label : str, optional
        A name for the run, for people.
    on_invalid : {"mark", "raise"}
        What to do about rows that hold something but no ID. "mark" warns once and gives them the status
        ``invalid``; "raise" refuses. Missing values are ``unchecked`` either way.
    overwrite : bool
        Replace verdict columns that exist already.
    prefix : str
        Begins the names of the added columns.
    timeout : float, optional
        Seconds to wait. The job goes on after a time-out, and calling again continues it.
    fresh : bool
        Start anew even if there is an unfinished run of the same IDs.

    Returns
    -------
    DataFrame
        For a DataFrame, its columns and the verdict columns; for a Series, the verdict columns alone; same index,
        same order. `status` (category: compliant, action_required, unchecked, invalid), `action` and `reason`
        (categories), `created_at`, `redacted_at` and `checked_at` (UTC datetimes), `run` (category).

    Raises
    ------
    InputError
        The column, type or prefix cannot be used, or floats have lost digits. Nothing was sent.
    AuthError, Refused, Unavailable, UnexpectedResponse
        The service said something that waiting does not cure.
    JobError
        A batch failed; ``error.run`` can be joined with ``partial=True``.
    WaitTimeout
        `timeout` or the request budget is used up; the remote job goes on.

    Notes
    -----
    "If there is no corresponding JSON object for an ID you uploaded, you can assume that ID is in compliance"
    (https://docs.x.com/x-api/compliance/batch-compliance/quickstart). So a row is ``compliant`` only if its ID was
    in an upload that was confirmed and in a result that was proved whole; everything else is ``unchecked``.

    Examples
    --------
    >>> import pandas as pd, xcompliance_pd as xc
    >>> posts = pd.DataFrame({"id": ["1212092628029698048", "1212092628029698049", None]})
    >>> lines = ['{"id":"1212092628029698048","action":"delete","reason":"suspended"}']
    >>> with xc.Sandbox(findings=lines) as box:
    ...     checked = xc.check(posts, "id", client=box.client)
    >>> checked["compliance_status"].tolist()
    ['action_required', 'compliant', 'unchecked']
    """
    display = Display.choose()
    series = select(data, column)
    refuse_existing(data, prefix, overwrite)
    checked = _own(data)  # what is joined is what was sent, whatever happens to `data` while we wait
    name = _name(series, column)
    ids = id_rules.parse(select(checked, column), name)
    run = _begin(ids, series, name, type, client, label, on_invalid, fresh)
    if run is None:
        if not ids.invalid.any():  # they were named already
            warn(NOTHING_SENT.format(name))
        return attach(checked, verdicts.join(ids, []), prefix)
    wait(run, timeout, display)
    return _joined(checked, ids, run, prefix, display)


def submit(
    data: pd.DataFrame | pd.Series,
    column: Hashable | None = None,
    *,
    type: str | None = None,
    client: Client | None = None,
    label: str | None = None,
    on_invalid: str = "mark",
    fresh: bool = False,
) -> Run:
    """Start a check in the background and return its `Run` at once; `join` puts its verdicts on the rows.

    Parameters and errors are those of :func:`check`. A column without any ID is an InputError here.

    Returns
    -------
    Run

    Examples
    --------
    >>> import pandas as pd, xcompliance_pd as xc
    >>> posts = pd.DataFrame({"id": ["1212092628029698048"]})
    >>> with xc.Sandbox(findings=[]) as box:
    ...     run = xc.submit(posts, "id", client=box.client)
    ...     xc.join(posts, "id", run)["compliance_status"].tolist()
    ['compliant']
    """
    series = select(data, column)
    name = _name(series, column)
    run = _begin(id_rules.parse(series, name), series, name, type, client, label, on_invalid, fresh)
    if run is None:
        raise InputError(NOTHING_TO_SUBMIT)
    return run.start()


def join(
    data: pd.DataFrame | pd.Series,
    column: Hashable | None,
    run: Run | SavedResults,
    *,
    overwrite: bool = False,
    prefix: str = PREFIX,
    timeout: float | None = None,
    partial: bool = False,
    sent: Any = None,
) -> pd.DataFrame:
    """Put a run's verdicts on the rows; a run that has not ended is waited for, or carried on.

    Parameters
    ----------
    data, column, overwrite, prefix, timeout
        As in :func:`check`. Rows whose ID was not in the run stay ``unchecked``.
    run : Run or SavedResults
        From `submit`, ``xc.open_run`` or ``xc.attach``; or a file that was downloaded earlier, ``xc.read_results``.
    partial : bool
        Take what there is: do not wait, and leave the rows of unfinished or failed batches ``unchecked``.
    sent : path, Series, array or list, optional
        Only for a file: the IDs that were uploaded for it. Without them no row is ``compliant``, see
        :func:`xcompliance_pd.read_results`.

    Returns
    -------
    DataFrame
        As :func:`check` returns it.

    Examples
    --------
    >>> import pandas as pd, xcompliance_pd as xc
    >>> posts = pd.DataFrame({"id": ["1212092628029698048", "1212092628029698049"]})
    >>> with xc.Sandbox(findings=[]) as box:
    ...     run = xc.submit(posts.head(1), "id", client=box.client)
    ...     xc.join(posts, "id", run)["compliance_status"].tolist()
    ['compliant', 'unchecked']
    """
    if isinstance(run, SavedResults):
        return _join_saved(data, column, run, sent, prefix, overwrite)
    refuse_no_run(run)
    if sent is not None:
        raise InputError("sent= is for a result file. This run knows itself which IDs were sent; leave it out.")
    refuse_existing(data, prefix, overwrite)
    display = Display.choose()
    checked = _own(data)
    ids = _parse(checked, column)
    if not partial:
        wait(run, timeout, display)
    return _joined(checked, ids, run, prefix, display)


def refuse_no_run(run: object) -> None:
    """Raise InputError unless this is a run, and LedgerError if it was forgotten."""
    if isinstance(run, SavedResults):
        raise InputError("A result file is joined to a pandas frame only: compute the frame first, or join a run.")
    if not isinstance(run, Run):
        raise InputError("join needs a run: xc.open_run('...') opens one, xc.runs() lists them.")
    remembered(run.record)


def _join_saved(
    data: pd.DataFrame | pd.Series, column: Hashable | None, file: SavedResults, sent: Any, prefix: str, overwrite: bool
) -> pd.DataFrame:
    refuse_existing(data, prefix, overwrite)
    checked = _own(data)
    ids = _parse(checked, column)
    known = None if sent is None else saved.sent_ids(sent)
    table = verdicts.join(ids, [file.covered(known)])
    doubt = file.doubt(known)
    if doubt is not None:
        left = int((table["status"].eq("unchecked") & ids.valid).sum())
        warn(f"{left:,} rows stay unchecked: {file.name} proves nothing about IDs that it does not list, for {doubt}.")
    else:
        left = len(np.unique(ids.values[table["status"].eq("compliant").to_numpy()]))
        _warn_given(left, f"{file.name} is the whole result, and that sent= is what was uploaded")
    return attach(checked, table, prefix)


def _warn_given(left: int, words: str) -> None:
    if left:
        warn(f"{left:,} IDs are called compliant on your word alone (evidence: given), that {words}.")


def finish(run: Run) -> None:
    """Carry a run on to its end, with progress."""
    display = Display.choose()
    wait(run, None, display)
    display.close(run.snapshot())


# --------------------------------------------------------------------------- steps


def begin(
    parts: Iterable[Part],
    name: Hashable,
    problems_call: str,
    *,
    type: str | None,
    client: Client,
    label: str | None,
    on_invalid: str,
    fresh: bool,
) -> Run | None:
    """Settle everything that can go wrong before anything is sent; None when there is no ID at all.

    Parameters
    ----------
    parts : iterable of Part
        The column in pieces, which are asked for one by one; or a list, if it is in memory as a whole.
    name : hashable
        The column's name.
    problems_call : str
        What a user writes to see all invalid rows.
    type, client, label, on_invalid, fresh
        As in :func:`check`.
    """
    if on_invalid not in ("mark", "raise"):
        raise InputError(f"on_invalid={on_invalid!r} is not known. Use on_invalid='mark' or 'raise'.")
    given = None if type is None else protocol.job_type(type)
    if given is None:
        _refuse_users(name)
    passed: list[Part] = []

    def ids() -> Iterator[Ints]:
        for part in parts:
            passed.append(replace(part, ids=NO_IDS))  # a slice of no IDs would keep them all in memory
            yield part.ids
        # Here nothing is settled yet: an error leaves no run behind.
        if given is None:
            _refuse_implausible(passed, name)
        if on_invalid == "raise" and (invalid := _invalid(passed, name)):
            raise InputError(f"{invalid} Nothing was sent. {problems_call} lists them all, with what to do about each.")

    whole = isinstance(parts, list)
    run, continued = client.start(ids(), given or JobType.TWEETS, label=label, fresh=fresh, keep=whole)
    if invalid := _invalid(passed, name):
        warn(f"{invalid} They are marked invalid and not sent. {problems_call} lists them all, with what to do.")
    if run is not None and continued:
        warn(f"Continuing the unfinished run {run.id} of the same IDs (fresh=True would start anew).")
    return run


def _begin(
    ids: IdColumn,
    series: pd.Series,
    name: Hashable,
    type: str | None,
    client: Client | None,
    label: str | None,
    on_invalid: str,
    fresh: bool,
) -> Run | None:
    call = "series.compliance.problems()" if name is None else f"df.compliance.problems({name!r})"
    client = client_of(client)
    part = id_rules.survey(ids, series, client.clock.now())
    return begin([part], name, call, type=type, client=client, label=label, on_invalid=on_invalid, fresh=fresh)


def select(data: pd.DataFrame | pd.Series, column: Hashable | None) -> pd.Series:
    """Return the column of IDs; InputError names the columns there are."""
    if isinstance(data, pd.Series):
        if column is not None:
            raise InputError("A Series is its own column: leave the column name out.")
        return data
    if data.__class__.__module__.startswith("dask."):
        raise InputError(
            "This is a Dask frame: import xcompliance_pd.dask_frames, then use its accessor, "
            f"for example ddf.compliance.check({'id' if column is None else column!r})."
        )
    if not isinstance(data, pd.DataFrame):
        raise InputError(
            f"IDs come in a pandas DataFrame or Series, not in a {data.__class__.__name__}. "
            "Make a Series of a list: pd.Series(ids, dtype=str)."
        )
    if column is None:
        raise InputError(f"Name the column that holds the IDs, for example check({_example(data)!r}).")
    if not isinstance(column, Hashable):
        raise InputError(
            f"A column is given by its name, not by a {column.__class__.__name__}. "
            f"Name one column, for example check({_example(data)!r})."
        )
    if column not in data.columns:
        raise InputError(_no_column(data, column))
    series = data[column]
    if not isinstance(series, pd.Series):
        raise InputError(f"There are several columns named {column!r}. Rename them so that one name means one column.")
    return series


def _no_column(data: pd.DataFrame, column: Hashable) -> str:
    names = [repr(name)[:40] for name in data.columns[:10]]
    there = ", ".join(names) + (", ..." if len(data.columns) > len(names) else "")
    close = difflib.get_close_matches(str(column), map(str, data.columns), n=1)
    if close:
        hint = f"Did you mean {close[0]!r}?"
    elif any(str(name).isdigit() and len(str(name)) >= 10 for name in data.columns):
        hint = (
            "One of them is an ID, so the file has no header: read it again with "
            "pd.read_csv(path, header=None, dtype=str), and name the column by its number from 0."
        )
    else:
        hint = "Name the column that holds the IDs."
    return f"There is no column {column!r}; the columns are {there}. {hint}"


def _example(data: pd.DataFrame) -> object:
    return next((name for name in data.columns if "id" in str(name).lower()), "id")


def _name(series: pd.Series, column: Hashable | None) -> Hashable:
    return series.name if column is None else column


def client_of(client: Client | None) -> Client:
    """Return the client that was given, or the one of the environment."""
    if isinstance(client, Client | None):
        return Client() if client is None else client
    raise InputError(
        f"client= needs a Client, not {client.__class__.__name__}. "
        "Use client=xc.Client(...), or client=box.client for a sandbox called box."
    )


def _refuse_users(name: Hashable) -> None:
    """Refuse to take users for posts: their IDs would come back unlisted, hence "compliant"."""
    if id_rules.names_users(name):
        raise InputError(
            f"Column {name!r} looks like user IDs, and X reports nothing about IDs of the wrong type. "
            "Say type='users', or type='tweets' if these are post IDs."
        )


def _refuse_implausible(parts: Sequence[Part], name: Hashable) -> None:
    share = sum(part.odd for part in parts) / max(sum(part.valid for part in parts), 1)
    if share > 0.5:
        raise InputError(
            f"{share:.0%} of the IDs in column {name!r} are no plausible post IDs (older than November 2010, or from "
            "the future), and X reports nothing about IDs of the wrong type. Say type='users', or type='tweets' if "
            "these really are post IDs."
        )


def _invalid(parts: Sequence[Part], name: Hashable) -> str:
    """Say which rows hold no ID; nothing if there are none."""
    count, rows = sum(part.invalid for part in parts), sum(part.rows for part in parts)
    if not count:
        return ""
    examples = list(itertools.chain.from_iterable(part.examples for part in parts))[: id_rules.EXAMPLES]
    more = f"; and {count - len(examples):,} more" if count > len(examples) else ""
    return f"{count:,} of {rows:,} rows in column {name!r} hold no ID: {'; '.join(examples)}{more}."


def warn(text: str) -> None:
    """Warn at the line of the caller's own code, however many floors of this package lie between."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(__package__):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, ComplianceWarning, stacklevel=level)


def _parse(data: pd.DataFrame | pd.Series, column: Hashable | None) -> IdColumn:
    series = select(data, column)
    return id_rules.parse(series, _name(series, column))


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


def _joined(checked: pd.DataFrame | pd.Series, ids: IdColumn, run: Run, prefix: str, display: Display) -> pd.DataFrame:
    snapshot = run.snapshot()
    warn_unproved(snapshot)
    table = run.verdicts(ids)
    display.close(replace(snapshot, stage="joined") if snapshot.state == "done" else snapshot)
    return attach(checked, table, prefix)


def warn_unproved(snapshot: Snapshot) -> None:
    """Warn of IDs that were asked for in vain, and of those that are compliant on somebody's word."""
    if snapshot.unproved:
        warn(f"{snapshot.unproved:,} IDs stay unchecked: {snapshot.note} Check them again with fresh=True.")
    if Grade.GIVEN in snapshot.grades:
        left = snapshot.ids - (snapshot.listed or 0) - snapshot.unproved - snapshot.undecided
        _warn_given(left, "sent= is what was uploaded to the job")


def refuse_existing(data: pd.DataFrame | pd.Series, prefix: str, overwrite: bool) -> None:
    """Raise InputError if verdict columns are there already and must not be replaced."""
    if overwrite or isinstance(data, pd.Series):
        return
    taken = [prefix + name for name in VERDICT_COLUMNS if prefix + name in data.columns]
    if taken:
        raise InputError(
            f"The columns {', '.join(taken)} exist already. Nothing was sent. "
            "Use overwrite=True to replace them, or another prefix=."
        )


def _own(data: pd.DataFrame | pd.Series) -> pd.DataFrame | pd.Series:
    """Return the data as they are now, for good. From version 3 on pandas copies only what somebody changes later."""
    return data.copy(deep=int(pd.__version__.partition(".")[0]) < 3)


def attach(checked: pd.DataFrame | pd.Series, table: pd.DataFrame, prefix: str) -> pd.DataFrame:
    """Add the verdict columns. They get the frame's own index first, so that nothing is aligned."""
    if isinstance(checked, pd.Series):
        return table.set_axis([prefix + name for name in VERDICT_COLUMNS], axis=1).set_axis(checked.index)
    for name in VERDICT_COLUMNS:
        # In a frame whose column labels have several levels, the names go to the first.
        levels = checked.columns.nlevels
        label = (prefix + name, *[""] * (levels - 1)) if levels > 1 else prefix + name
        checked[label] = table.pop(name).set_axis(checked.index)  # not copied, from version 3 of pandas on
    return checked


# --------------------------------------------------------------------------- reading a checked frame


def problems(data: pd.DataFrame | pd.Series, column: Hashable | None = None) -> pd.DataFrame:
    """Return the rows that hold something but no ID, with what is wrong; no request is made.

    Returns
    -------
    DataFrame
        One row for each invalid row, under its index label: `row` (position from 0), `value` (text), `problem`,
        `advice`.
    """
    series = select(data, column)
    return id_rules.describe(_parse(data, column), series)


def created_at(series: pd.Series) -> pd.Series:
    """Return when posts were made, read from their IDs; no request is made.

    X gives `created_at` only for the IDs that it lists, so this is the one time that every post has.

    Parameters
    ----------
    series : Series
        Post IDs, of any type that :func:`check` takes.

    Returns
    -------
    Series
        UTC datetimes named ``created_at``, on the same index. NaT where there is no ID, and for posts from before
        2010-11-04, whose IDs tell no time.

    Raises
    ------
    InputError
        The column cannot hold IDs, floats have lost digits, or its name or more than half of its values look like
        users.

    Examples
    --------
    >>> import pandas as pd, xcompliance_pd as xc
    >>> posts = pd.Series(["1228393702244134912", None, "20"], name="id")
    >>> posts.compliance.created_at().dt.year.tolist()
    [2020.0, nan, nan]
    """
    times = id_rules.posted_at(_parse(series, None), series.name, Clock().now())
    created: pd.Series = pd.Series(times, index=series.index, name="created_at").dt.tz_localize("UTC")
    return created


def rows(frame: pd.DataFrame, status: str, prefix: str = PREFIX) -> pd.DataFrame:
    """Return the rows of a checked frame that have a status."""
    name = prefix + "status"
    if name not in frame.columns:
        raise InputError(f"There is no column {name!r}. Run check first, or pass the prefix= that it was run with.")
    words = set(frame[name].dropna().astype(str))
    if unknown := words - set(STATUSES):
        raise InputError(f"Column {name!r} holds {sorted(unknown)[0]!r}, which is no status. Run check again.")
    return frame[frame[name].astype(object) == status]


def apply(
    frame: pd.DataFrame, plan: cleaning.Plan, choices: Mapping[str, str], client: Client | None = None
) -> pd.DataFrame:
    """Carry out a plan on a checked frame, warn of what it leaves open, and put on record what was done.

    Parameters
    ----------
    frame : DataFrame
    plan : Plan
        See :func:`xcompliance_pd.cleaning.plan`.
    choices : mapping of str to str
        The options that the plan does not hold, for the record.
    client : Client, optional
        Whose ledger gets the record; otherwise that of ``xc.runs()``. The clean frame is the same with any.
    """
    access = None if client is None else client_of(client)
    clean = cleaning.cleaned(frame, plan)
    if note := plan.note():
        warn(note)
    _put_on_record(frame, clean, plan, choices, access)
    return clean


def _put_on_record(
    frame: pd.DataFrame, clean: pd.DataFrame, plan: cleaning.Plan, choices: Mapping[str, str], client: Client | None
) -> None:
    """Add a record to each run that the rows name; where that cannot be, warn, because the clean frame is good."""
    if plan.prefix + "run" not in frame.columns:
        return
    ledger, clock = (Ledger(), Clock()) if client is None else (client.ledger, client.clock)
    try:
        named: dict[str, int] = {str(run): rows for run, rows in summary.runs(frame, plan.prefix)["rows"].items()}
        ours = [run for run in named if ledger.has(run)]
        if ours:
            software = f"xcompliance-pd {version('xcompliance-pd')}"
            entry = audit.entry(frame, clean, plan, choices, now=clock.now(), software=software)
            for run in ours:
                ledger.record_applied(run, entry, named[run])
    except ComplianceError as error:
        warn(f"The clean frame is whole, but what was done is not on record. {error}")
        return
    strange = [run for run in named if run not in ours and not run.startswith("sandbox-")]  # theirs go with the sandbox
    if strange:
        more = f" and {len(strange) - 3:,} more" if len(strange) > 3 else ""
        warn(
            f"What was done is not on record for {', '.join(strange[:3])}{more}, which {ledger.home} does not hold. "
            "Use apply(client=xc.Client(home=...)) with the ledger it was made in, or keep compliance.changes()."
        )


def policy(data: pd.DataFrame | Run | None = None, *, prefix: str = PREFIX) -> str:
    """Say what X's terms ask of those who store its content, and what this package does and does not do about it.

    In plain words and with links; no legal advice. No request is made.

    Parameters
    ----------
    data : DataFrame or Run, optional
        A checked frame, or a run: then also what was found, and what is on record as done by its verdicts. Of a frame's
        runs, the records in the ledger of ``xc.runs()`` are taken.
    prefix : str
        The prefix given to :func:`check` or :func:`join`.

    Returns
    -------
    str
        To be printed.

    Raises
    ------
    InputError
        `data` is neither, or has no verdicts.

    Examples
    --------
    >>> import pandas as pd, xcompliance_pd as xc
    >>> posts = pd.DataFrame({"id": ["1212092628029698048", "1212092628029698049"]})
    >>> with xc.Sandbox(findings=['{"id":"1212092628029698048","action":"delete","reason":"deleted"}']) as box:
    ...     checked = posts.compliance.check("id", client=box.client)
    >>> print(xc.policy(checked)[-104:])
    What was found, in rows
      1 compliant
      1 to be deleted
    <BLANKLINE>
    What was done
      nothing that is on record here
    <BLANKLINE>
    """
    if data is None:
        return terms.policy()
    if isinstance(data, Run):
        snapshot = data.snapshot()
        found = {"in the run": snapshot.ids, "listed by X": snapshot.listed or 0}
        return terms.policy(found, terms.done(data.applied()), "IDs")
    if not isinstance(data, pd.DataFrame):
        raise InputError(f"policy() takes a checked DataFrame or a run, not a {data.__class__.__name__}.")
    counts = cleaning.plan(data, prefix=prefix).counts()
    ledger = Ledger()
    named = summary.runs(data, prefix).index if prefix + "run" in data.columns else ()
    records = [audit.table(ledger.applied(run), run) for run in map(str, named) if ledger.has(run)]
    return terms.policy(
        {terms.FOUND[change]: rows for change, rows in counts.items()},
        [line for table in records for line in terms.done(table)],
    )
