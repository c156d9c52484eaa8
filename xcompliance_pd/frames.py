"""The verbs on pandas objects: check, submit, join. The accessor and the command line only delegate to them."""

from __future__ import annotations

import contextlib
import itertools
import sys
import warnings
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from importlib.metadata import version
from typing import Any, NamedTuple, overload

import numpy as np
import pandas as pd

from . import audit, cleaning, combined, freshness, geo, protocol, questions, saved, summary, terms, verdicts
from . import ids as id_rules
from .client import Client
from .digest import Grade
from .errors import ComplianceError, ComplianceWarning, InputError
from .ids import IdColumn, Ints, Part
from .ledger import Ledger
from .lifecycle import Snapshot, remembered
from .outcome import Source
from .protocol import JobType
from .questions import Asked, Column, Question, References, read, select
from .reuse import Reuse
from .run import Run
from .runner import Clock
from .saved import SavedResults
from .verdicts import STATUSES, VERDICT_COLUMNS
from .widgets.live import Display

PREFIX = "compliance_"
NO_IDS: Ints = np.empty(0, dtype=np.int64)
NOTHING_TO_SUBMIT = "Column {!r} holds no ID, so there is nothing to submit. Check the column's name."
ALL_FRESH = (
    "All IDs in column {!r} were proved within max_age, so there is nothing to submit. "
    "check(..., max_age=...) puts those verdicts on the rows without any request."
)
NOTHING_SENT = "Column {!r} holds no ID, so nothing was sent and no row was checked. Check the column's name."


def check(
    data: pd.DataFrame | pd.Series,
    column: Column | None = None,
    *,
    type: str | None = None,
    references: References = (),
    client: Client | None = None,
    label: str | None = None,
    on_invalid: str = "mark",
    overwrite: bool = False,
    prefix: str = PREFIX,
    timeout: float | None = None,
    fresh: bool = False,
    max_age: str | timedelta | None = None,
) -> pd.DataFrame:
    """Send a column of IDs through X's batch compliance API, wait, and put the verdicts on the rows.

    Parameters
    ----------
    data : DataFrame or Series
        It is never changed.
    column : label, or dict
        The DataFrame's column of IDs; left out for a Series. ``{"id": "tweets", "author_id": "users"}`` asks about the
        post and its author, in two jobs side by side, and gives one verdict a row.
    type : {"tweets", "users", "posts"}, optional
        What the IDs are; "posts" means tweets. Without it they are taken for posts, unless the column's name
        or values look like users: then it must be given, because X reports nothing about IDs of the wrong type.
    references : list of labels, or dict of label to {"retweeted", "quoted", "replied_to"}
        Columns with the IDs of posts that the rows retweet, quote or reply to; a list takes it from their names. The
        IDs go into the same job. A cell may hold several, as :func:`explode_ids` reads them, or none. Columns of these
        posts' authors may be named, too, if authors are asked about.
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
    max_age : str or timedelta, optional
        Send only IDs of which no earlier run, with this service and ledger, has proved anything within this time:
        ``"24h"``, ``"7d"``, ``pd.Timedelta(...)``. The other rows get the verdict of then, with its own `checked_at`
        and `run`, and a warning tells how many. Without it nothing is reused. See docs/cleaning.md, "Asking again".

    Returns
    -------
    DataFrame
        For a DataFrame, its columns and the verdict columns; for a Series, the verdict columns alone; same index,
        same order. `status` (category: compliant, action_required, unchecked, invalid), `action` and `reason`
        (categories), `created_at`, `redacted_at` and `checked_at` (UTC datetimes), `run` (category).

        Post and author together: a row needs action if either does, else it is unchecked or invalid if either is, and
        compliant only if both are. `cause` (category: post, author) tells which it was, and `id_status`, `id_action`,
        `id_reason` and the same of `author_id`, say, what was found of each; see
        :func:`xcompliance_pd.combined.combine`. With references there is `references` (category): whether what the row
        refers to is gone; see :func:`xcompliance_pd.combined.references`.

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
    wanted = questions.questions(data, column, type, references)
    refuse_existing(data, prefix, overwrite, questions.added(wanted))
    checked = _own(data)  # what is joined is what was sent, whatever happens to `data` while we wait
    asked = [read(checked, question) for question in wanted]
    begun = _begin(asked, client, label, on_invalid, fresh, max_age)
    _warn_of_authors(data, wanted)
    if not any(each.run or each.reuse for each in begun.values()) and not asked[0].ids.invalid.any():
        warn(NOTHING_SENT.format(asked[0].question.column))  # invalid rows were named already
    runs = {kind: each.run for kind, each in begun.items() if each.run is not None}
    displays = wait_for_all(runs, timeout, display, client_of(client).clock)
    again = {kind: each.reuse for kind, each in begun.items() if each.run is None and each.reuse is not None}
    return _joined(checked, asked, {**runs, **again}, prefix, overwrite, displays)


@overload
def submit(  # type: ignore[overload-overlap]  # no mapping is a column's name
    data: pd.DataFrame | pd.Series,
    column: Mapping[Any, str],
    *,
    references: References = (),
    client: Client | None = None,
    label: str | None = None,
    on_invalid: str = "mark",
    fresh: bool = False,
    max_age: str | timedelta | None = None,
) -> dict[Hashable, Run]: ...


@overload
def submit(
    data: pd.DataFrame | pd.Series,
    column: Hashable | None = None,
    *,
    type: str | None = None,
    references: References = (),
    client: Client | None = None,
    label: str | None = None,
    on_invalid: str = "mark",
    fresh: bool = False,
    max_age: str | timedelta | None = None,
) -> Run: ...


def submit(
    data: pd.DataFrame | pd.Series,
    column: Column | None = None,
    *,
    type: str | None = None,
    references: References = (),
    client: Client | None = None,
    label: str | None = None,
    on_invalid: str = "mark",
    fresh: bool = False,
    max_age: str | timedelta | None = None,
) -> Run | dict[Hashable, Run]:
    """Start a check in the background and return its `Run` at once; `join` puts its verdicts on the rows.

    Parameters and errors are those of :func:`check`. A column without any ID is an InputError here, and so is one of
    which all is fresh by `max_age`. With `max_age` the run covers only what is sent; it remembers which batches speak
    for the other IDs, and `join` puts both on the rows.

    Returns
    -------
    Run
        Or, for a dict of columns, a dict of their runs, which `join` takes.

    Examples
    --------
    >>> import pandas as pd, xcompliance_pd as xc
    >>> posts = pd.DataFrame({"id": ["1212092628029698048"]})
    >>> with xc.Sandbox(findings=[]) as box:
    ...     run = xc.submit(posts, "id", client=box.client)
    ...     xc.join(posts, "id", run)["compliance_status"].tolist()
    ['compliant']
    """
    wanted = questions.questions(data, column, type, references)
    asked = [read(data, question) for question in wanted]
    for each in asked:
        if each.question.kind is None and not each.ids.valid.any():
            raise InputError(NOTHING_TO_SUBMIT.format(each.question.column))
    runs = _begin(asked, client, label, on_invalid, fresh, max_age)
    _warn_of_authors(data, wanted)
    for each in asked:
        if runs[each.question.job].run is None:
            raise InputError(ALL_FRESH.format(each.question.column))
    begun = {kind: each.run.start() for kind, each in runs.items() if each.run is not None}
    if isinstance(column, Mapping):
        return {each.question.column: begun[each.question.job] for each in asked if each.question.kind is None}
    return begun[asked[0].question.job]


def join(
    data: pd.DataFrame | pd.Series,
    column: Hashable | Mapping[Any, Run] | None,
    run: Run | SavedResults | None = None,
    *,
    references: References = (),
    overwrite: bool = False,
    prefix: str = PREFIX,
    timeout: float | None = None,
    partial: bool = False,
    sent: Any = None,
) -> pd.DataFrame:
    """Put a run's verdicts on the rows; a run that has not ended is waited for, or carried on.

    Parameters
    ----------
    data, overwrite, prefix, timeout
        As in :func:`check`. Rows whose ID was not in the run stay ``unchecked``, unless the run was made with
        `max_age`: then the verdicts that it reuses are put on their rows.
    column : label, or dict of label to Run
        The column of IDs; or the columns of posts and authors with their runs, as ``submit`` returns them.
    references : list of labels, or dict
        As in :func:`check`; posts that were not in the run are ``unchecked``.
    run : Run or SavedResults, optional
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
        if references:
            raise InputError("References are not looked up in a result file. Leave references= out, or join a run.")
        return _join_saved(data, column, run, sent, prefix, overwrite)
    if sent is not None:
        raise InputError("sent= is for a result file. This run knows itself which IDs were sent; leave it out.")
    runs = dict(column) if isinstance(column, Mapping) and run is None else {column: run}
    types = {name: JobType(refuse_no_run(each).type) for name, each in runs.items()}
    if isinstance(column, Mapping):
        wanted = questions.questions(data, types, None, references)
    else:
        wanted = questions.questions(data, column, types[column], references)
    refuse_existing(data, prefix, overwrite, questions.added(wanted))
    display = Display.choose()
    checked = _own(data)
    asked = [read(checked, question) for question in wanted]
    begun = {types[name]: refuse_no_run(each) for name, each in runs.items()}
    displays = [display for _ in begun] if partial else wait_for_all(begun, timeout, display, Clock())
    return _joined(checked, asked, begun, prefix, overwrite, displays)


def stale(
    data: pd.DataFrame | pd.Series,
    column: Hashable | None,
    max_age: str | timedelta,
    *,
    type: str | None = None,
    client: Client | None = None,
) -> pd.Series:
    """Tell which rows :func:`check` with this `max_age` would send; no request is made, and no token is needed.

    Parameters
    ----------
    data, column, type, client
        As in :func:`check`; the column of a Series is None.
    max_age : str or timedelta
        As in :func:`check`: ``"24h"``, ``"7d"``, ``pd.Timedelta(...)``.

    Returns
    -------
    Series
        bool, named ``stale``, on the same index. True where the ID is new to the ledger, or was last proved longer ago
        than `max_age`; False where it is fresh, and for rows without a valid ID, which are never sent.

    Raises
    ------
    InputError
        As in :func:`check`.

    Examples
    --------
    >>> import pandas as pd, xcompliance_pd as xc
    >>> posts = pd.DataFrame({"id": ["1212092628029698048", "1212092628029698049", None]})
    >>> with xc.Sandbox(findings=[]) as box:
    ...     checked = xc.check(posts.head(1), "id", client=box.client)
    ...     xc.stale(posts, "id", "24h", client=box.client).tolist()
    [False, True, False]
    """
    age = freshness.seconds(max_age)
    series = select(data, column)
    name = series.name if column is None else column
    given = None if type is None else protocol.job_type(type)
    if given is None:
        _refuse_users(name)
    ids, client = id_rules.parse(series, name), client_of(client)
    if given is None:
        _refuse_implausible([id_rules.survey(ids, series, client.clock.now())], name)
    reuse = client.reusable(given or JobType.TWEETS, age)
    _warn_behind(reuse)
    sent = reuse.left(ids.unique())
    return pd.Series(verdicts.Places(sent).find(ids.values) >= 0, index=series.index, name="stale")


def refuse_no_run(run: object) -> Run:
    """Return a run; anything else is an InputError, and one that was forgotten a LedgerError."""
    if isinstance(run, SavedResults):
        raise InputError("A result file is joined to a pandas frame only: compute the frame first, or join a run.")
    if not isinstance(run, Run):
        raise InputError("join needs a run: xc.open_run('...') opens one, xc.runs() lists them.")
    remembered(run.record)
    return run


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
        left = len(id_rules.distinct(ids.values[table["status"].eq("compliant").to_numpy()]))
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
        _refuse_users(name)
    passed: list[Part] = []

    def ids() -> Iterator[Ints]:
        passed.clear()
        for part in parts if isinstance(parts, list) else parts():
            passed.append(replace(part, ids=NO_IDS))  # a slice of no IDs would keep them all in memory
            yield part.ids
        # Here nothing is settled yet: an error leaves no run behind.
        if given is None:
            _refuse_implausible(passed, name)
        if on_invalid == "raise" and (invalid := _invalid(passed, name)):
            raise InputError(f"{invalid} Nothing was sent. {problems_call} lists them all, with what to do about each.")

    kind = given or JobType.TWEETS
    run, continued, reuse = None, False, None
    for reuse in [None] if age is None else client.reuses(kind, age):
        run, continued = client.start(ids(), kind, label=label, fresh=fresh, keep=isinstance(parts, list), reuse=reuse)
        if run is not None:
            break
    if invalid := _invalid(passed, name):
        warn(f"{invalid} They are marked invalid and not sent. {problems_call} lists them all, with what to do.")
    if run is not None and continued:
        warn(f"Continuing the unfinished run {run.id} of the same IDs (fresh=True would start anew).")
    if reuse is not None:
        _warn_behind(reuse)
    if reuse is None or not reuse.fresh:
        return Begun(run, None)
    warn(reuse.told())
    return Begun(run, reuse)


def _begin(
    asked: Sequence[Asked],
    client: Client | None,
    label: str | None,
    on_invalid: str,
    fresh: bool,
    max_age: str | timedelta | None,
) -> dict[JobType, Begun]:
    """Begin a run for each type of IDs, after all that could be refused was; none where there is nothing to send."""
    client = client_of(client)
    now = client.clock.now()
    parts = {each.question: id_rules.survey(each.ids, each.series, now) for each in asked}
    for question in list(parts)[1:]:  # the first is refused by `begin`, when nothing is there yet
        _refuse(question, parts[question], on_invalid)
    own = [question for question in parts if question.kind is None]
    begun: dict[JobType, Begun] = {}
    for question in own:
        with_it = [part.ids for other, part in parts.items() if other.job is question.job]
        part = replace(parts[question], ids=id_rules.union(with_it))
        begun[question.job] = begin(
            [part],
            question.column,
            _problems_call(question),
            type=question.type,
            client=client,
            label=label,
            on_invalid=on_invalid,
            fresh=fresh,
            max_age=max_age,
        )
    for question, part in parts.items():
        if question.kind is not None and (invalid := _invalid([part], question.column)):
            warn(f"{invalid} What they refer to is unchecked.")
    return begun


def _problems_call(question: Question) -> str:
    if question.column is None:
        return "series.compliance.problems()"
    return f"df.compliance.problems({question.column!r})"


def _refuse(question: Question, part: Part, on_invalid: str) -> None:
    """Refuse a column beside the first, of which nothing may be sent."""
    if question.job is JobType.TWEETS and (doubt := _implausible([part], question.column)):
        raise InputError(f"{doubt}, and X reports nothing about IDs of the wrong type. Leave it out of references=.")
    if on_invalid == "raise" and (invalid := _invalid([part], question.column)):
        raise InputError(f"{invalid} Nothing was sent. Correct these cells, or use on_invalid='mark'.")


def _warn_behind(reuse: Reuse) -> None:
    if reuse.behind:
        warn(
            f"This machine's clock is {freshness.told(round(reuse.behind))} behind the latest time that the service "
            "told in an earlier run. Ages are counted from that time, and what was proved then is sent again. "
            "Set the clock."
        )


def source_of(reuse: Reuse | None) -> Source | None:
    """Return where the verdicts are if nothing was sent; None if there are none."""
    return None if reuse is None else reuse.source()


def unproved(ids: IdColumn, table: pd.DataFrame) -> int:
    """Count the rows with an ID of which nothing was heard, not even an error."""
    unheard = (table["status"] == "unchecked") & table["run"].isna()
    return int(np.count_nonzero(ids.valid & unheard.to_numpy()))


def warn_lost(rows: int) -> None:
    """Warn of rows that have no verdict although earlier ones are reused."""
    if rows:
        warn(
            f"{rows:,} rows stay unchecked: neither what was sent nor the earlier runs that are reused prove anything "
            "of their IDs now. Run check with max_age= again, and they are sent."
        )


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
    if doubt := _implausible(parts, name):
        raise InputError(
            f"{doubt}, and X reports nothing about IDs of the wrong type. Say type='users', or type='tweets' if these "
            "really are post IDs."
        )


def _implausible(parts: Sequence[Part], name: Hashable) -> str:
    """Say that most IDs can hardly be those of posts; nothing if they can."""
    share = sum(part.odd for part in parts) / max(sum(part.valid for part in parts), 1)
    if share <= 0.5:
        return ""
    return (
        f"{share:.0%} of the IDs in column {name!r} are no plausible post IDs (older than November 2010, or from "
        "the future)"
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
    return id_rules.parse(series, series.name if column is None else column)


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


def _joined(
    checked: pd.DataFrame | pd.Series,
    asked: Sequence[Asked],
    answering: Mapping[JobType, Run | Reuse],
    prefix: str,
    overwrite: bool,
    displays: Sequence[Display],
) -> pd.DataFrame:
    snapshots = {kind: run.snapshot() for kind, run in answering.items() if isinstance(run, Run)}
    for snapshot in snapshots.values():
        warn_unproved(snapshot)
    table = _answered(asked, answering, snapshots, len(checked))
    for snapshot, display in zip(snapshots.values(), displays, strict=False):
        display.close(replace(snapshot, stage="joined") if snapshot.state == "done" else snapshot)
    if overwrite and isinstance(checked, pd.DataFrame):  # what an earlier check added beyond this is no longer true
        stale = {prefix + name for name in _added_by_any(checked)}
        checked = checked.drop(columns=[label for label in checked.columns if geo.said(label) in stale])
    return attach(checked, table, prefix)


def _answered(
    asked: Sequence[Asked], answering: Mapping[JobType, Run | Reuse], snapshots: Mapping[JobType, Snapshot], rows: int
) -> pd.DataFrame:
    """Return all columns that the answers make, without prefix."""
    covered = {
        kind: run.answers([each.ids.unique() for each in asked if each.question.job is kind])
        for kind, run in answering.items()
    }
    tables = [verdicts.join(each.ids, covered.get(each.question.job, [])) for each in asked]
    _warn_unheard(asked, tables, answering, snapshots)
    if len(asked) == 1:
        return tables[0]
    own = {each.question: table for each, table in zip(asked, tables, strict=True) if each.question.kind is None}
    answer = next(iter(own.values()))
    if len(own) > 1:
        answer = combined.combine({question.job: table for question, table in own.items()})
        for question, table in own.items():
            names = combined.part_names([question.column])
            answer[names] = table[list(combined.PART_COLUMNS)].set_axis(names, axis=1)
    referred = [
        combined.Referred(each.question.kind, each.rows, table)
        for each, table in zip(asked, tables, strict=True)
        if each.question.kind is not None and each.rows is not None
    ]
    if referred:
        answer[combined.REFERENCES] = combined.references(rows, referred)
    return answer


def _warn_unheard(
    asked: Sequence[Asked],
    tables: Sequence[pd.DataFrame],
    answering: Mapping[JobType, Run | Reuse],
    snapshots: Mapping[JobType, Snapshot],
) -> None:
    """Warn of rows that have no verdict of those that a check reuses, unless what was sent is not there yet either."""
    for kind, run in answering.items():
        rows = sum(
            unproved(each.ids, table) for each, table in zip(asked, tables, strict=True) if each.question.job is kind
        )
        if isinstance(run, Reuse):
            warn_lost(rows)
        elif run.record.reused and snapshots[kind].state == "done":
            warn_lost(rows - snapshots[kind].unproved)


def _added_by_any(checked: pd.DataFrame) -> list[str]:
    return [combined.CAUSE, combined.REFERENCES, *combined.part_names(checked.columns)]


def _warn_of_authors(data: pd.DataFrame | pd.Series, wanted: Sequence[Question]) -> None:
    """Say that posts alone may not be enough, if the data could tell more and nobody said that posts are meant."""
    if isinstance(data, pd.Series) or wanted[0].type is not None:
        return
    authors = [label for label in data.columns if "id" in str(label).lower() and id_rules.names_users(label)]
    if authors:
        # What others saw of X's results conflicts: https://github.com/Kudusch/twCompliance ("for complete data")
        warn(
            "X may not list posts whose author's account is gone, and these would read as compliant. To ask about "
            f"both: check({{{wanted[0].column!r}: 'tweets', {authors[0]!r}: 'users'}}), or --author on the "
            "command line. type='tweets' says that posts alone are meant."
        )


def warn_unproved(snapshot: Snapshot) -> None:
    """Warn of IDs that were asked for in vain, and of those that are compliant on somebody's word."""
    if snapshot.unproved:
        warn(f"{snapshot.unproved:,} IDs stay unchecked: {snapshot.note} Check them again with fresh=True.")
    if Grade.GIVEN in snapshot.grades:
        left = snapshot.ids - (snapshot.listed or 0) - snapshot.unproved - snapshot.undecided
        _warn_given(left, "sent= is what was uploaded to the job")


def refuse_existing(data: pd.DataFrame | pd.Series, prefix: str, overwrite: bool, further: Sequence[str] = ()) -> None:
    """Raise InputError if verdict columns, or further ones that come with them, are there and must not be replaced."""
    if overwrite or isinstance(data, pd.Series):
        return
    taken = [prefix + name for name in (*VERDICT_COLUMNS, *further) if prefix + name in data.columns]
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
        return table.add_prefix(prefix).set_axis(checked.index)
    for name in list(table.columns):
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


def explode_ids(data: pd.DataFrame | pd.Series, column: Hashable | None = None) -> Any:
    """Give each ID a row of its own where cells hold several, as in public datasets; nothing else is changed.

    Parameters
    ----------
    data : DataFrame or Series
        It is not changed.
    column : label
        The DataFrame's column of IDs; left out for a Series.

    Returns
    -------
    DataFrame or Series
        The other columns and the index label are repeated, as ``DataFrame.explode`` does it. IDs are text; whole
        numbers become text, any other value stays what it is, for `check` to tell. A cell without an ID stays one row.

    Notes
    -----
    A cell may hold a list, tuple, set or array, or text in which IDs stand between blanks, tabs, commas, semicolons or
    bars, or that is a list as Python or JSON writes it.

    Examples
    --------
    >>> import pandas as pd, xcompliance_pd as xc
    >>> topics = pd.DataFrame({"topic": ["a", "b"], "ids": ["1212092628029698048\\t1212092628029698049", None]})
    >>> xc.explode_ids(topics, "ids").values.tolist()
    [['a', '1212092628029698048'], ['a', '1212092628029698049'], ['b', None]]
    """
    series = select(data, column)
    values, rows = id_rules.apart(series)
    empty = np.setdiff1d(np.arange(len(series)), rows)
    order = np.argsort(np.append(rows, empty), kind="stable")
    texts = [str(value) if isinstance(value, int | np.integer) else value for value in values.tolist()]
    cells = np.empty(len(order), dtype=object)
    cells[:] = [*texts, *[None] * len(empty)]
    exploded = data.iloc[np.append(rows, empty)[order]].copy()
    ids = pd.Series(cells[order], index=exploded.index, name=series.name, dtype=object)
    if isinstance(exploded, pd.Series):
        return ids
    exploded[column] = ids
    return exploded


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
    put_on_record(
        lambda: named_runs(frame, plan.prefix),
        access,
        lambda **facts: audit.entry(frame, clean, plan, choices, **facts),
        "frame",
    )
    return clean


def named_runs(frame: pd.DataFrame, prefix: str = PREFIX) -> dict[str, int]:
    """Return the runs that the rows name, and how many rows name each."""
    if prefix + "run" not in frame.columns:
        return {}
    return {str(run): int(rows) for run, rows in summary.runs(frame, prefix)["rows"].items()}


def put_on_record(
    runs: Callable[[], Mapping[str, int]], client: Client | None, entry: Callable[..., audit.Record], what: str
) -> None:
    """Add a record to each run that the rows name; where that cannot be, warn, because what was made is good.

    Parameters
    ----------
    runs : callable
        Returns runs, and how many rows name each.
    client : Client or None
        Whose ledger gets the record.
    entry : callable
        Makes the record, of the time and the software's version; only called if a run is there.
    what : str
        What was made, a frame or a file.
    """
    ledger, clock = (Ledger(), Clock()) if client is None else (client.ledger, client.clock)
    try:
        named = runs()
        ours = [run for run in named if ledger.has(run)]
        if ours:
            made = entry(now=clock.now(), software=f"xcompliance-pd {version('xcompliance-pd')}")
            for run in ours:
                ledger.record_applied(run, made, named[run])
    except ComplianceError as error:
        warn(f"The clean {what} is whole, but what was done is not on record. {error}")
        return
    strange = [run for run in named if run not in ours and not run.startswith("sandbox-")]  # theirs go with the sandbox
    if strange:
        more = f" and {len(strange) - 3:,} more" if len(strange) > 3 else ""
        warn(
            f"What was done is not on record for {', '.join(strange[:3])}{more}, which {ledger.home} does not hold. "
            "Use client=xc.Client(home=...) with the ledger it was made in, or keep the list of changes."
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
