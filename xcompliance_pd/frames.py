"""The verbs on pandas objects: check, submit, join. The accessor and the command line only delegate to them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, overload

import numpy as np
import pandas as pd

from . import asking, combined, freshness, geo, protocol, questions, saved, verdicts
from . import ids as id_rules
from .asking import PREFIX
from .client import Client
from .errors import InputError
from .ids import IdColumn, Part
from .lifecycle import Snapshot
from .protocol import JobType
from .questions import Asked, Column, Question, References, read, select
from .reuse import Reuse
from .run import Run
from .runner import Clock
from .saved import SavedResults
from .verdicts import STATUSES, VERDICT_COLUMNS
from .widgets.live import Display


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
    _warn_of_more(data, wanted)
    if not any(each.run or each.reuse for each in begun.values()) and not asked[0].ids.invalid.any():
        asking.warn(asking.NOTHING_SENT.format(asked[0].question.column))  # invalid rows were named already
    runs = {kind: each.run for kind, each in begun.items() if each.run is not None}
    displays = asking.wait_for_all(runs, timeout, display, asking.client_of(client).clock)
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
            raise InputError(asking.NOTHING_TO_SUBMIT.format(each.question.column))
    runs = _begin(asked, client, label, on_invalid, fresh, max_age)
    _warn_of_more(data, wanted)
    for each in asked:
        if runs[each.question.job].run is None:
            raise InputError(asking.ALL_FRESH.format(each.question.column))
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
    if isinstance(run, dict):
        raise InputError("These are several runs, with their columns: join(runs), without another column.")
    if isinstance(run, SavedResults):
        if references:
            raise InputError("References are not looked up in a result file. Leave references= out, or join a run.")
        return _join_saved(data, column, run, sent, prefix, overwrite)
    if sent is not None:
        raise InputError("sent= is for a result file. This run knows itself which IDs were sent; leave it out.")
    if isinstance(column, Mapping) and run is not None:
        raise InputError("A dict of columns brings its runs with it: join({'id': run, 'author_id': run_of_authors}).")
    if isinstance(column, list | set):
        raise InputError(
            f"A column is one label, not a {column.__class__.__name__}. For several give a dict with their runs."
        )
    runs = dict(column) if isinstance(column, Mapping) else {column: run}
    types = {name: JobType(asking.refuse_no_run(each).type) for name, each in runs.items()}
    if isinstance(column, Mapping):
        wanted = questions.questions(data, types, None, references)
    else:
        wanted = questions.questions(data, column, types[column], references)
    refuse_existing(data, prefix, overwrite, questions.added(wanted))
    display = Display.choose()
    checked = _own(data)
    asked = [read(checked, question) for question in wanted]
    begun = {types[name]: asking.refuse_no_run(each) for name, each in runs.items()}
    displays = [display for _ in begun] if partial else asking.wait_for_all(begun, timeout, display, Clock())
    joined = _joined(checked, asked, begun, prefix, overwrite, displays)
    doubtful = any(run.snapshot().unproved for run in begun.values())  # which was told
    if not (partial or doubtful) and asked[0].ids.valid.any() and joined[prefix + "run"].isna().all():
        names = ", ".join(run.id for run in begun.values())
        asking.warn(f"No row got a verdict of {names}. Is that a run of column {asked[0].question.column!r}?")
    return joined


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
        asking.refuse_users(name)
    ids, client = id_rules.parse(series, name), asking.client_of(client)
    if given is None:
        asking.refuse_implausible([id_rules.survey(ids, series, client.clock.now())], name)
    reuse = client.reusable(given or JobType.TWEETS, age)
    asking.warn_behind(reuse)
    sent = reuse.left(ids.unique())
    return pd.Series(verdicts.Places(sent).find(ids.values) >= 0, index=series.index, name="stale")


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
        asking.warn(
            f"{left:,} rows stay unchecked: {file.name} proves nothing about IDs that it does not list, for {doubt}."
        )
    else:
        left = len(id_rules.distinct(ids.values[table["status"].eq("compliant").to_numpy()]))
        asking.warn_given(left, f"{file.name} is the whole result, and that sent= is what was uploaded")
    return attach(_renewed(checked, prefix, overwrite), table, prefix)


# --------------------------------------------------------------------------- steps


def _begin(
    asked: Sequence[Asked],
    client: Client | None,
    label: str | None,
    on_invalid: str,
    fresh: bool,
    max_age: str | timedelta | None,
) -> dict[JobType, asking.Begun]:
    """Begin a run for each type of IDs, after all that could be refused was; none where there is nothing to send."""
    client = asking.client_of(client)
    now = client.clock.now()
    parts = {each.question: id_rules.survey(each.ids, each.series, now) for each in asked}
    for question in list(parts)[1:]:  # the first is refused by `begin`, when nothing is there yet
        _refuse(question, parts[question], on_invalid)
    own = [question for question in parts if question.kind is None]
    begun: dict[JobType, asking.Begun] = {}
    for question in own:
        with_it = [part.ids for other, part in parts.items() if other.job is question.job]
        part = replace(parts[question], ids=id_rules.union(with_it))
        begun[question.job] = asking.begin(
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
        if question.kind is not None and (invalid := asking.invalid_rows([part], question.column)):
            asking.warn(f"{invalid} What they refer to is unchecked.")
    return begun


def _problems_call(question: Question) -> str:
    if question.column is None:
        return "series.compliance.problems()"
    return f"df.compliance.problems({question.column!r})"


def _refuse(question: Question, part: Part, on_invalid: str) -> None:
    """Refuse a column beside the first, of which nothing may be sent."""
    if question.job is JobType.TWEETS and (doubt := asking.implausible([part], question.column)):
        raise InputError(f"{doubt}, and X reports nothing about IDs of the wrong type. Leave it out of references=.")
    if on_invalid == "raise" and (invalid := asking.invalid_rows([part], question.column)):
        raise InputError(f"{invalid} Nothing was sent. Correct these cells, or use on_invalid='mark'.")


def _parse(data: pd.DataFrame | pd.Series, column: Hashable | None) -> IdColumn:
    series = select(data, column)
    return id_rules.parse(series, series.name if column is None else column)


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
        asking.warn_unproved(snapshot)
    table = _answered(asked, answering, snapshots, len(checked))
    for snapshot, display in zip(snapshots.values(), displays, strict=False):
        display.close(replace(snapshot, stage="joined") if snapshot.state == "done" else snapshot)
    return attach(_renewed(checked, prefix, overwrite), table, prefix)


def _renewed(checked: pd.DataFrame | pd.Series, prefix: str, overwrite: bool) -> pd.DataFrame | pd.Series:
    return (
        checked.drop(columns=outdated(checked, prefix)) if overwrite and isinstance(checked, pd.DataFrame) else checked
    )


def outdated(checked: pd.DataFrame, prefix: str) -> list[Hashable]:
    """Return the columns that an earlier check added beyond those of every check, which a new one makes untrue."""
    names = [combined.CAUSE, combined.REFERENCES, *combined.part_names(checked.columns)]
    labels = {prefix + name for name in names}
    return [label for label in checked.columns if geo.said(label) in labels]


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
            asking.unproved(each.ids, table)
            for each, table in zip(asked, tables, strict=True)
            if each.question.job is kind
        )
        if isinstance(run, Reuse):
            asking.warn_lost(rows)
        elif run.record.reused and snapshots[kind].state == "done":
            asking.warn_lost(rows - snapshots[kind].unproved)


def _warn_of_more(data: pd.DataFrame | pd.Series, wanted: Sequence[Question]) -> None:
    if isinstance(data, pd.DataFrame) and wanted[0].type is None:
        warn_of_more(data.columns, wanted[0].column, any(question.kind is not None for question in wanted))


def warn_of_more(labels: Iterable[Hashable], column: Hashable, referring: bool = False) -> None:
    """Say that posts alone may not be enough, if the data could tell more and nobody said that posts are meant."""
    ids = [label for label in labels if "id" in str(label).lower() and label != column]
    users = [label for label in ids if id_rules.names_users(label)]
    authors = [label for label in users if combined.kind_of(label) is None]  # whom a post answers did not write it
    retweeted = [label for label in ids if combined.kind_of(label) == "retweeted" and label not in users]
    if retweeted and not referring:
        asking.warn(
            f"Column {retweeted[0]!r} seems to say what the rows retweet, and a stored retweet of a deleted post has "
            f"to go, too. To ask about that: references=[{retweeted[0]!r}] for a pandas DataFrame, --references "
            f"{retweeted[0]} on the command line. type='tweets' (--type tweets) says that it is not meant."
        )
    if authors:
        # What others saw of X's results conflicts: https://github.com/Kudusch/twCompliance ("for complete data")
        asking.warn(
            "X may not list posts whose author's account is gone, and these would read as compliant. To ask about "
            f"both: check({{{column!r}: 'tweets', {authors[0]!r}: 'users'}}) for a pandas DataFrame, --author "
            f"{authors[0]} on the command line. type='tweets' (--type tweets) says that posts alone are meant."
        )


def refuse_existing(data: pd.DataFrame | pd.Series, prefix: str, overwrite: bool, further: Sequence[str] = ()) -> None:
    """Raise InputError if verdict columns, or further ones that come with them, are there and must not be replaced."""
    if not prefix:
        raise InputError("prefix='' would mix verdict columns with your own. Use one of at least one character.")
    if overwrite or isinstance(data, pd.Series):
        return
    taken = [prefix + name for name in (*VERDICT_COLUMNS, *further) if prefix + name in data.columns]
    if taken:
        raise InputError(
            f"The columns {', '.join(taken)} exist already. Nothing was sent. "
            "Use overwrite=True (--overwrite) to replace them, or another prefix=."
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
