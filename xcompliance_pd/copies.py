"""A file -> a clean copy of it, by verdicts that it has, that runs hold, or that X is asked for.

Records of JSON pass through memory line by line: once for their IDs, once, when the verdicts are there, to be written.
What is in memory meanwhile is the IDs and verdicts of one part of the file, and one batch of a run.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, NamedTuple

import numpy as np
import pandas as pd

from . import applying, asking, audit, cleaning, frames, pieces, protocol, records, tables
from . import ids as id_rules
from .asking import NO_IDS, PREFIX, Begun
from .cleaning import CHANGES, DROPPED, GEO_BLANKED, INVALID, KEPT, NO_GEO, OPEN, REHYDRATE, UNCHECKED, UNKNOWN
from .client import Client
from .combined import CAUSE, REFERENCES
from .errors import InputError
from .ids import IdColumn, Ints, Part
from .outcome import Source
from .protocol import JobType
from .records import Change, Known, Named, Record, Rules, Verdict
from .run import Run
from .runner import Clock
from .tables import Table, files, jsonl
from .tables.spill import Spill
from .verdicts import VERDICT_COLUMNS, locate
from .widgets.live import Display

PART = 1 << 17  # IDs of a part of a file, as often as they stand there
CHUNK = 1 << 12  # lines whose own verdicts are read at once
EXAMPLES = 3  # lines that a message names
_NOTHING = Known(None, None)
_STATUS = PREFIX + "status"
_FURTHER = (CAUSE, REFERENCES)  # columns that a file without verdicts must not have
_COUNTED = ["kind", "change", "action", "reason", "cause"]
_OF_A_ROW = ["change", "action", "reason"]


@dataclass(frozen=True, repr=False)
class CleanFile:
    """What came of a file.

    Attributes
    ----------
    output : Path
    counts : DataFrame
        How often which `change` was made to which `kind` (post, referenced post, user; row of a table), with `action`,
        `reason`, `cause` (whose verdict it was, if not its own: that of the author or of the retweeted post) and
        `count`.
    runs : tuple of Run
        Whose verdicts were taken; none if the file had its own.
    unproved : bool
        Whether something stays of which nothing is known.
    rows : (int, int)
        How many posts the file is a list of, or users, or rows of a table, before and after; what is stored within
        others is not among them.
    named : dict of str to int
        All runs whose verdicts were taken, reused ones too, and how many rows they are on as far as that is known.
    notes : tuple of str
        What to tell about the written file.
    """

    output: Path
    counts: pd.DataFrame
    runs: tuple[Run, ...]
    unproved: bool
    rows: tuple[int, int]
    named: dict[str, int]
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"{self.output}:\n{told(self.counts)}"

    def _repr_html_(self) -> str:
        table: str = _blanks(self.counts).to_html(index=False)
        return table


@dataclass(frozen=True)
class _Choice:
    """The options that say what is to be done."""

    mode: str
    keep: tuple[Hashable, ...]
    unchecked: str
    invalid: str
    unknown: str

    def __post_init__(self) -> None:
        cleaning.refuse_options(self.mode, self.open, self.keep)

    @property
    def open(self) -> dict[str, str]:
        return {"unchecked": self.unchecked, "invalid": self.invalid, "unknown": self.unknown}

    def of(self, table: Table) -> _Choice:
        """Return the same for a table, with its own labels in `keep`; a name that it does not have is refused."""
        return replace(self, keep=tuple(tables.column(table, str(name)) for name in self.keep))

    def plan(self, frame: pd.DataFrame) -> cleaning.Plan:
        return cleaning.plan(frame, mode=self.mode, keep=list(self.keep), **self.open)

    def settled(self, change: int, action: str | None, reason: str | None, what: str) -> Verdict:
        """Return a verdict as the options want it.

        Raises
        ------
        InputError
            There must be none of this kind.
        """
        for option, kind in OPEN.items():
            if change == kind and self.open[option] == "raise":
                raise InputError(
                    f"There are {what} that are {CHANGES[kind].removeprefix('kept: ')}. Nothing was written. "
                    f"{option}='keep' keeps them, {option}='drop' treats them as if they were to be deleted."
                )
            if change == kind and self.open[option] == "drop":
                return Verdict(DROPPED, action, reason or option)
        return Verdict(change, action, reason)


@dataclass(frozen=True)
class _Ask:
    """Where verdicts come from."""

    types: tuple[str, ...] | None
    runs: tuple[Run, ...]
    client: Client | None
    label: str | None
    fresh: bool
    max_age: str | timedelta | None


def clean_file(
    path: str | Path,
    output: str | Path,
    column: str | None = None,
    *,
    types: str | Iterable[str] | None = None,
    mode: str = "drop",
    keep: str | Iterable[str] = (),
    unchecked: str = "keep",
    invalid: str = "keep",
    unknown: str = "keep",
    changes: str | Path | None = None,
    runs: Run | Iterable[Run] = (),
    client: Client | None = None,
    label: str | None = None,
    fresh: bool = False,
    max_age: str | timedelta | None = None,
) -> CleanFile:
    """Write a copy of a file without what is gone from X; nothing else in it is changed.

    Posts that X lists as deleted, posts of authors that are gone, and stored retweets of either leave a ``.jsonl``
    file, wherever in it they are: as records, in ``includes``, or within posts that quote or retweet them. Lines of
    which nothing goes are written as they are, byte for byte, and so is what stays of the others. Tables lose rows and
    cells as :func:`df.compliance.apply <xcompliance_pd.cleaning.plan>` does it; ``.parquet`` keeps its schema.

    Parameters
    ----------
    path : path
        ``.jsonl`` (packed with ``.gz``, too): X API v2 as twarc writes it, pages or flattened; v1.1; or flat records.
        Or a table: ``.parquet``, ``.csv``, ``.tsv``, a list of IDs.
    output : path
        Of the same kind; replaced at once when all is written. It may be the file itself.
    column : str, optional
        Where a table, or a flat record, has its ID. Not needed if the file has verdict columns.
    types : {"tweets", "users"} or both, optional
        What to ask about. By default, in records both posts and authors; in a table posts. With ``types="users"`` the
        column holds user IDs. Said explicitly, IDs that hardly look like posts are taken for posts.
    mode, unchecked, invalid, unknown
        As in :func:`xcompliance_pd.cleaning.plan`. An unchecked author leaves posts unchecked, too. A line that is no
        JSON object is invalid as a whole.
    keep : str or list of str
        For ``mode="redact"``: what redacted rows keep. Records keep their ID in any case.
    changes : path, optional
        Where to write a CSV table of what is done to which post, user or row.
    runs : Run or list of Run, optional
        Take the verdicts of these runs, at most one of each type; nothing else is asked.
    client, label, fresh, max_age
        As in :func:`xcompliance_pd.check`.

    Returns
    -------
    CleanFile
        With a table of counts.

    Raises
    ------
    InputError
        The file cannot be used, was changed meanwhile, or holds what "raise" refuses. Nothing was written.
    AuthError, Refused, Unavailable, UnexpectedResponse, JobError, WaitTimeout
        As in :func:`xcompliance_pd.check`; calling again continues unfinished runs.

    Examples
    --------
    >>> import pathlib, tempfile, xcompliance_pd as xc
    >>> lines = ['{"id":"1212092628029698048","action":"delete","reason":"suspended"}']
    >>> with xc.Sandbox(findings=lines) as box, tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "posts.jsonl")
    ...     size = path.write_text('{"id": "1212092628029698048"}\\n{"id": "1212092628029698049", "n": 1.10}\\n')
    ...     clean = xc.clean_file(path, path.with_name("clean.jsonl"), client=box.client)
    ...     clean.output.read_text()
    '{"id": "1212092628029698049", "n": 1.10}\\n'
    >>> clean.counts[["kind", "change", "reason", "count"]].values.tolist()
    [['post', 'kept', None, 1], ['post', 'dropped', 'suspended', 1]]
    """
    path, output = Path(path), Path(output)
    choice = _Choice(mode, (keep,) if isinstance(keep, str) else tuple(keep), unchecked, invalid, unknown)
    kinds = (types,) if isinstance(types, str) else None if types is None else tuple(types)
    ask = _Ask(kinds, (runs,) if isinstance(runs, Run) else tuple(runs), client, label, fresh, max_age)
    _refuse(path, output, changes, ask)
    before = _sha256(path)
    done = _cleaned(path, output, column, choice, ask, None if changes is None else Path(changes))
    _put_on_record(done, choice, client, before)
    return done


def _cleaned(path: Path, output: Path, column: str | None, choice: _Choice, ask: _Ask, log: Path | None) -> CleanFile:
    if tables.format_of(path) == "jsonl":
        return _Lines(path, output, column, choice, log).clean(ask)
    source = tables.in_pieces(path, output)
    if source is None:
        return _clean_table(path, output, column, choice, ask, log)
    own, head = _STATUS in source.head().columns, Table(source.head(), "parquet", (), False, path)
    _refuse_runs(own, ask)
    choice = choice.of(head)
    if not own:
        frames.refuse_existing(source.head(), PREFIX, False, _FURTHER)
        column = str(tables.column(head, column))
    tally = _RowTally(log)
    with tally:
        run = pieces.clean(
            source,
            None if own else column,
            output,
            lambda frame: tally.counted(frame, choice.plan(frame)),
            type=_one_type(ask),
            client=ask.client,
            run=ask.runs[0] if ask.runs else None,
            label=ask.label,
            fresh=ask.fresh,
            max_age=ask.max_age,
        )
    return tally.outcome(output, choice, () if run is None else (run,))


def _put_on_record(done: CleanFile, choice: _Choice, client: Client | None, before: str) -> None:
    """Add what was done to the records of the runs; see :mod:`xcompliance_pd.audit`."""
    rows = _of_rows(done.counts)
    changes = {str(word): int(n) for word, n in rows.groupby("change", sort=False)["count"].sum().items()}
    checksums = before, _sha256(done.output)
    applying.put_on_record(
        lambda: done.named,
        client,
        lambda **facts: audit.file_entry(choice.mode, choice.open, done.rows, changes, checksums, **facts),
        "file",
    )


def _of_rows(counts: pd.DataFrame) -> pd.DataFrame:
    """Return the counts of what the file is a list of: posts, rows, lines that cannot be read; or else users."""
    rows = counts[counts["kind"].isin(["post", "row", "line"])]
    return rows if len(rows) else counts


def _rows(counts: pd.DataFrame, mode: str) -> tuple[int, int]:
    """Return how many of these there are, before and after."""
    rows = _of_rows(counts)
    gone = 0 if mode == "mark" else int(rows.loc[rows["change"] == CHANGES[DROPPED], "count"].sum())
    before = int(rows["count"].sum())
    return before, before - gone


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise files.failure(path, error) from None


def told(counts: pd.DataFrame) -> str:
    """Return a table of counts as text."""
    return _blanks(counts).to_string(index=False)


def _blanks(counts: pd.DataFrame) -> pd.DataFrame:
    """Leave missing cells empty. (``fillna`` on objects warns in pandas 2 where only integers remain.)"""
    cells = counts.astype(object)
    return cells.where(cells.notna(), "")


# --------------------------------------------------------------------------- before anything is read


def _refuse(path: Path, output: Path, changes: str | Path | None, ask: _Ask) -> None:
    tables.check_target(output)
    if changes is not None:
        files.check_folder(changes)
        if Path(changes).resolve() in (path.resolve(), output.resolve()):
            raise InputError("changes= names the file itself or its clean copy. Nothing was sent. Name another file.")
    if (tables.format_of(path) == "jsonl") != (tables.format_of(output) == "jsonl"):
        raise InputError("Records of JSON stay what they are. Write .jsonl from .jsonl, and a table from a table.")
    if ask.types is not None:
        if ask.runs:
            raise InputError("Give runs= or types=. A run knows its type.")
        if not ask.types:
            raise InputError("types= names nothing. Use 'tweets', 'users', or both.")
    for run in ask.runs:
        asking.refuse_no_run(run)
    if len({run.type for run in ask.runs}) < len(ask.runs):
        raise InputError("runs= takes one run of posts and one of users, not two of the same type.")


def _refuse_runs(own: bool, ask: _Ask) -> None:
    """Refuse to ask about a file that has verdicts, or to guess which of two verdicts is meant."""
    if own and (ask.runs or ask.types or ask.fresh or ask.max_age):
        raise InputError(
            "The file has verdict columns, and those are taken. Leave runs=, types=, fresh= and max_age= (--run, "
            f"--type, --fresh, --max-age) out, or take the columns {PREFIX}... out of the file."
        )


def _one_type(ask: _Ask) -> str | None:
    if len(ask.types or ()) > 1 or len(ask.runs) > 1:
        raise InputError("A table has one column of IDs, of one type. Use types='tweets' or types='users', or one run.")
    return ask.types[0] if ask.types else None


# --------------------------------------------------------------------------- tables


def _clean_table(
    path: Path, output: Path, column: str | None, choice: _Choice, ask: _Ask, log: Path | None
) -> CleanFile:
    table = tables.read(path)
    own = _STATUS in table.frame.columns
    _refuse_runs(own, ask)
    choice = choice.of(table)
    checked, runs = table.frame, ask.runs
    kind = _one_type(ask)
    if not own:
        frames.refuse_existing(table.frame, PREFIX, False, _FURTHER)
        label = tables.column(table, column)
        if runs:
            checked = frames.join(checked, label, runs[0])
        else:
            access = asking.client_of(ask.client)
            options: dict[str, Any] = {"label": ask.label, "fresh": ask.fresh, "max_age": ask.max_age}
            checked = frames.check(checked, label, type=kind, client=access, **options)
            runs = tuple(access.open_run(name) for name in checked[PREFIX + "run"].cat.categories)
    tally = _RowTally(log)
    with tally:
        plan = tally.counted(checked, choice.plan(checked))
        clean = cleaning.cleaned(checked, plan)
        if not own:
            clean = clean.drop(columns=[PREFIX + name for name in VERDICT_COLUMNS])
        notes = tables.write(table, clean, output)
    return tally.outcome(output, choice, runs, (*table.notes, *notes))


class _RowTally(contextlib.ExitStack):
    """Counts what plans do to the rows of pieces, and lists it in a file if there is one."""

    def __init__(self, log: Path | None) -> None:
        super().__init__()
        self._log = None if log is None else self.enter_context(jsonl.writing(log))
        self._rows = 0
        self.named: Counter[str] = Counter()
        self._counts: list[pd.DataFrame] = []
        self.unreadable: Counter[str] = Counter()  # cells of each column that seem to hold geo data
        self.doubts: Counter[str] = Counter()  # rows that stay and were not proved in some other way

    def counted(self, frame: pd.DataFrame, plan: cleaning.Plan) -> cleaning.Plan:
        if self._log is not None:
            table = cleaning.changes(frame, plan)
            table["row"] += self._rows
            self._log.write(table.to_csv(index=False, header=not self._counts).encode("utf-8", "replace"))
        rows = plan.verdicts[["action", "reason"]].astype(object)
        rows["change"] = pd.Categorical.from_codes(plan.change, categories=pd.Index(CHANGES, dtype=object))
        self._counts.append(rows.groupby(_OF_A_ROW, observed=True, dropna=False).size().rename("count").reset_index())
        self._rows += len(frame)
        self.named.update(applying.named_runs(frame))
        self.unreadable.update(plan.unreadable)
        self.doubts.update(plan.doubts())
        return plan

    def outcome(self, output: Path, choice: _Choice, runs: tuple[Run, ...], notes: tuple[str, ...] = ()) -> CleanFile:
        """Warn of what stays, and return what came of it all."""
        counts = self._counts_of_all()
        _warn(counts, self.unreadable, doubts=self.doubts)
        unproved = _unchecked(counts) or bool(self.doubts)
        return CleanFile(output, counts, runs, unproved, _rows(counts, choice.mode), self.named, notes)

    def _counts_of_all(self) -> pd.DataFrame:
        whole = pd.concat(self._counts)
        counted: Counter[tuple[str, int, str | None, str | None, str]] = Counter()
        for change, action, reason, count in whole[[*_OF_A_ROW, "count"]].itertuples(index=False):
            key = ("row", CHANGES.index(change), *(None if pd.isna(w) else str(w) for w in (action, reason)), "")
            counted[key] += count  # type: ignore[index]
        return _table(counted)


def _table(counted: Counter[tuple[str, int, str | None, str | None, str]]) -> pd.DataFrame:
    """Return counts in the order of kinds and changes."""
    order = ("post", "referenced post", "user", "row", "line")
    rows = sorted(counted.items(), key=lambda row: (order.index(row[0][0]), *map(str, row[0][2:]), row[0][1]))
    rows.sort(key=lambda row: (order.index(row[0][0]), row[0][1]))
    table = [(kind, CHANGES[change], *why, count) for (kind, change, *why), count in rows]
    frame = pd.DataFrame(table, columns=[*_COUNTED, "count"], dtype=object)
    return frame.astype({"count": "int64"})


def _unchecked(counts: pd.DataFrame) -> bool:
    """Whether something stays of which nothing is known."""
    return bool(counts["change"].isin([CHANGES[UNCHECKED], CHANGES[INVALID]]).any())


def _warn(
    counts: pd.DataFrame,
    unreadable: Mapping[str, int],
    known: int | None = None,
    doubts: Mapping[str, int] = MappingProxyType({}),
) -> None:
    """Warn of what stays although nothing proves it compliant, but for a change that was told already."""
    words = {
        UNCHECKED: "unchecked, so nothing proves them compliant",
        INVALID: "without an ID that could be checked",
        UNKNOWN: "with an action that is not known, which was not applied",
        REHYDRATE: "edited on X, to be fetched anew",
        NO_GEO: "told to lose their geo data, of which none was found",
    }
    told = [
        f"{int(some['count'].sum()):,} {kind}s {words[change]}"
        for change in words
        if change != known
        for kind, some in counts[counts["change"] == CHANGES[change]].groupby("kind", sort=False)
    ]
    told += [f"{number:,} rows {what}" for what, number in doubts.items()]
    told += [
        f"{number:,} cells of column {name!r}, which seem to hold geo data and are no JSON"
        for name, number in unreadable.items()
    ]
    if told:
        asking.warn(f"Kept as they are: {'; '.join(told)}. A list of changes (changes=, --changes) names them.")


# --------------------------------------------------------------------------- lines


@dataclass
class _Bad:
    """What was found that cannot be checked."""

    lines: int = 0
    ids: int = 0
    first: list[int] = field(default_factory=list)

    def add(self, number: int, *, line: bool) -> None:
        self.lines, self.ids = self.lines + line, self.ids + (not line)
        if len(self.first) < EXAMPLES and number not in self.first:
            self.first.append(number)

    def told(self, path: Path) -> str:
        doubtful = "no JSON object, or not clearly a post, a user or a page (of other records name the key of the ID)"
        parts = [f"{self.lines:,} lines that are {doubtful}"] if self.lines else []
        parts += [f"{self.ids:,} posts or users without an ID"] if self.ids else []
        where = ", ".join(f"{number:,}" for number in self.first)
        return f"{path.name} holds {' and '.join(parts)} (line {where}{' and others' if self.more else ''})."

    @property
    def more(self) -> bool:
        return self.lines + self.ids > len(self.first)

    def __bool__(self) -> bool:
        return bool(self.lines or self.ids)


class _Answers(NamedTuple):
    """The runs that were waited for, and by type where the verdicts are; none where there is no ID."""

    runs: tuple[Run, ...]
    sources: dict[JobType, Source]


class _Lines:
    """One file of records, and its clean copy."""

    def __init__(self, path: Path, output: Path, column: str | None, choice: _Choice, log: Path | None) -> None:
        self._lines = jsonl.Lines(path)
        self._output = output
        self._column = column
        self._row = JobType.TWEETS
        self._choice = choice
        self._log = log
        self._counted: Counter[tuple[str, int, str | None, str | None, str]] = Counter()
        self._keep = frozenset(map(str, choice.keep))
        self._named: Counter[str] = Counter()
        self._first: Record | None = None
        self._keyed = False  # whether any record has the key `column`
        self._warned = False  # of what is invalid
        self._doubts: Counter[str] = Counter()  # records that stay and were not proved in some other way

    def clean(self, ask: _Ask) -> CleanFile:
        """Find out where the verdicts are, have them, and write."""
        own = self._verdict_keys()
        _refuse_runs(bool(own), ask)
        if own:
            self._column = self._column or "id"
            self._keep |= own
            return self._finish((), self._judged_by_themselves(own))
        kinds = tuple(run.type for run in ask.runs) or ask.types or tuple(JobType)
        asked = tuple(kind for kind in JobType if kind in {protocol.job_type(word) for word in kinds})
        self._row = asked[0]
        runs: tuple[Run, ...] = ()
        try:
            with Spill() as spill:
                runs, sources = self._answers(ask, asked, spill)
                left_out = self._left_out(ask, asked, spill)
                self._named = Counter(dict.fromkeys((run for source in sources.values() for run in source.runs()), 0))
                for run in runs:
                    asking.warn_unproved(run.snapshot())
                done = self._finish(runs, self._judged(spill, asked, sources))
                return replace(done, unproved=done.unproved or left_out)
        except (InputError, KeyboardInterrupt) as error:
            if runs:
                error.run_id = runs[0].id  # type: ignore[union-attr]  # for the command line
            raise

    def _left_out(self, ask: _Ask, asked: tuple[JobType, ...], spill: Spill) -> bool:
        """Warn of what the runs that were given do not know about; return whether there is anything."""
        words = {JobType.TWEETS: ("Posts", "tweets"), JobType.USERS: ("Authors", "users")}
        places = {JobType.TWEETS: _POSTS, JobType.USERS: _USERS}
        left = [kind for kind in JobType if ask.runs and kind not in asked]
        left = [kind for kind in left if any(len(row[places[kind]]) for row in spill)]
        for kind in left:
            what, type = words[kind]
            asking.warn(
                f"{what} were not asked about, for no run of {type} was given: what X lists of them stays. Give runs "
                "of both types."
            )
        return bool(left)

    def _verdict_keys(self) -> frozenset[str]:
        """Return the keys of its verdict that the first record has."""
        first: dict[str, Any] = {}
        for line in self._lines:
            if line.strip():
                with contextlib.suppress(ValueError):
                    _, first = records.parsed(line)
                    break
        if _STATUS not in first:
            return frozenset()
        if self._choice.mode == "redact" and not (self._column or self._keep or "id" in first or "id_str" in first):
            raise InputError(
                f"{self._lines.path.name} has no key 'id', and redacted records are to keep their ID. Name its key "
                "(COLUMN), or what they keep (keep=, --keep)."
            )
        own = {PREFIX + name for name in ("status", "action", "reason")}
        return frozenset(own | {key for key in first if key.startswith(PREFIX)})

    def _read(self, line: bytes) -> Record | None:
        try:
            return records.read(line, self._column, self._row)
        except ValueError:
            return None

    # ----------------------------------------------------------------- the IDs

    def _answers(self, ask: _Ask, asked: tuple[JobType, ...], spill: Spill) -> _Answers:
        """Put away the IDs of the file's parts, and return who knows about them; all runs have ended."""
        for part in self._parts(asked):
            spill.add(*part)
        if ask.runs:
            begun = {JobType(run.type): Begun(run, None) for run in ask.runs}
        else:
            begun = self._begin(ask, asked, spill)
        runs = {kind: each.run for kind, each in begun.items() if each.run is not None}
        # X takes one job of posts and one of users at a time
        displays = asking.wait_for_all(runs, None, Display.choose(), Clock())
        for run, display in zip(runs.values(), displays, strict=False):  # one display if there is no run
            display.close(run.snapshot())
        sources = {
            kind: asking.source_of(each.reuse) if each.run is None else each.run.source()
            for kind, each in begun.items()
        }
        return _Answers(tuple(runs.values()), {kind: source for kind, source in sources.items() if source is not None})

    def _begin(self, ask: _Ask, asked: tuple[JobType, ...], spill: Spill) -> dict[JobType, Begun]:
        """Make the runs; nothing is sent yet."""
        client = asking.client_of(ask.client)
        begun = {}
        for kind in asked:
            given = None if ask.types is None and kind is JobType.TWEETS else str(kind)
            begun[kind] = asking.begin(
                partial(_surveyed, spill, kind, client.clock.now()),
                self._column or "id",
                "",
                type=given,
                client=client,
                label=ask.label,
                on_invalid="mark",
                fresh=ask.fresh,
                max_age=ask.max_age,
            )
        if not any(each.run or each.reuse for each in begun.values()):
            asking.warn(f"{self._lines.path.name} holds no ID, so nothing was sent. Check the file.")
        return begun

    def _parts(self, asked: tuple[JobType, ...]) -> Iterator[tuple[Ints, ...]]:
        """Yield the parts of the file."""
        bad = _Bad()
        told, count = Named([], [], [], []), 0
        for number, line in enumerate(self._lines, 1):
            count += 1
            if line.strip():
                self._gather(line, number, asked, told, bad)
            if len(told.posts) + len(told.users) >= PART:
                yield _row(count, told)
                told, count = Named([], [], [], []), 0
        yield _row(count, told)
        if self._column is not None and self._first is not None and not self._keyed:
            keys = ", ".join(map(repr, list(self._first.value)[:10]))
            raise InputError(
                f"No record of {self._lines.path.name} has the key {self._column!r}; the first has {keys}. Nothing was "
                "sent. Name the key of the ID, or leave it out for posts as X's API writes them."
            )
        if bad and self._choice.invalid == "raise":
            raise InputError(
                f"{bad.told(self._lines.path)} Nothing was sent. Repair them; invalid='keep' keeps them as they are."
            )
        if bad:
            self._warned = True
            asking.warn(
                f"{bad.told(self._lines.path)} They cannot be checked, and are kept as they are unless invalid= says "
                "otherwise (--invalid on the command line)."
            )

    def _gather(self, line: bytes, number: int, asked: tuple[JobType, ...], told: Named, bad: _Bad) -> None:
        record = self._read(line)
        if record is None:
            bad.add(number, line=True)
            return
        self._first = self._first or record
        self._keyed |= self._column in record.value
        mine = records.named([record])
        told.posts.extend(mine.posts)
        told.users.extend(mine.users)
        told.written.extend(mine.written)
        told.retweets.extend(mine.retweets)
        for stored in record.all():
            if stored.id is None and (JobType.USERS if stored.is_user else JobType.TWEETS) in asked:
                bad.add(number, line=False)
            elif stored.unread:
                bad.add(number, line=False)

    # ----------------------------------------------------------------- the verdicts

    def _judged(
        self, spill: Spill, asked: tuple[JobType, ...], sources: dict[JobType, Source]
    ) -> Iterator[tuple[int, bytes, Record | None, Known, Verdict | None]]:
        """Yield each line with what is known of its IDs."""
        posts_of, users_of = sources.get(JobType.TWEETS), sources.get(JobType.USERS)
        orphans = self._hanging(spill, users_of, _USERS, "users")
        repeats = self._hanging(spill, posts_of, _POSTS, "posts", orphans)
        lines = enumerate(self._lines, 1)
        for number, row in enumerate(spill):
            posts = row[_POSTS]
            known = Known(
                self._known(posts_of, posts, number, "posts") if JobType.TWEETS in asked else None,
                self._known(users_of, row[_USERS], number, "users") if JobType.USERS in asked else None,
                *(frozenset(posts[locate(hanging, posts) >= 0].tolist()) for hanging in (orphans, repeats)),
            )
            for place, line in islice(lines, int(row[_COUNT][0])):
                yield place, line, self._read(line) if line.strip() else None, known, None
        for _ in lines:  # to the end, so that it is known to be the same file
            pass

    def _hanging(self, spill: Spill, source: Source | None, on: int, what: str, gone_anyway: Ints = NO_IDS) -> Ints:
        """Return the posts whose author is gone, or that retweet what is: all that is kept of the whole file."""
        found = [NO_IDS]
        for number, row in enumerate(spill):
            known = self._known(source, row[on], number, what)
            gone = np.array([id for id, verdict in known.items() if verdict.change == DROPPED], dtype=np.int64)
            posts, hang_on = row[_HANGING[on]], row[_HANGING[on] + 1]
            found.append(posts[locate(id_rules.union([gone, gone_anyway]), hang_on) >= 0])
        return id_rules.distinct(np.concatenate(found))

    def _known(self, source: Source | None, ids: Ints, part: int, what: str) -> dict[int, Verdict]:
        """Return the verdicts on one part's IDs, as the options want them."""
        if source is None or not len(ids):
            return {}
        table = source.verdicts(IdColumn(ids, np.zeros(len(ids), dtype=np.uint8)), part)
        changes = cleaning.wanted(table).tolist()
        words = [table[name].astype(object).where(table[name].notna(), None).tolist() for name in ("action", "reason")]
        shared: dict[tuple[Any, ...], Verdict] = {}
        known = {}
        for id, change, action, reason in zip(ids.tolist(), changes, *words, strict=True):
            if (change, action, reason) not in shared:
                shared[change, action, reason] = self._choice.settled(change, action, reason, what)
            known[id] = shared[change, action, reason]
        return known

    def _judged_by_themselves(
        self, keys: frozenset[str]
    ) -> Iterator[tuple[int, bytes, Record | None, Known, Verdict | None]]:
        """Yield each line with the verdict in its own columns."""
        lines = enumerate(self._lines, 1)
        while chunk := list(islice(lines, CHUNK)):
            read = [self._read(line) if line.strip() else None for _, line in chunk]
            read = [None if record is None or _nested(record.value, keys) else record for record in read]
            told = [{} if record is None else record.value for record in read]
            frame = pd.DataFrame({name: pd.Series([v.get(name) for v in told], dtype=object) for name in sorted(keys)})
            frame[_STATUS] = frame[_STATUS].where(frame[_STATUS].notna(), "unchecked")
            self._named.update(applying.named_runs(frame))
            plan = cleaning.plan(frame, geo=[])
            half = plan.half_proved
            if self._choice.unchecked != "keep":  # then none of these stays
                plan = replace(plan, half_proved=np.zeros_like(half))
            self._doubts.update(plan.doubts())
            words = plan.verdicts.astype(object).where(plan.verdicts.notna(), None)
            for (number, line), record, change, action, reason, doubt in zip(
                chunk, read, plan.change.tolist(), words["action"], words["reason"], half.tolist(), strict=True
            ):
                change = GEO_BLANKED if change == NO_GEO else change  # that is seen in the record itself
                change = UNCHECKED if doubt and self._choice.unchecked != "keep" else change
                own = None if record is None else self._choice.settled(change, action, reason, "records")
                yield number, line, record, _NOTHING, own

    # ----------------------------------------------------------------- writing

    def _finish(
        self,
        runs: tuple[Run, ...],
        judged: Iterator[tuple[int, bytes, Record | None, Known, Verdict | None]],
    ) -> CleanFile:
        rules = Rules(self._choice.mode, self._keep, self._choice.invalid == "drop")
        with contextlib.ExitStack() as stack:
            log = None if self._log is None else stack.enter_context(_log(self._log))
            output = stack.enter_context(jsonl.writing(self._output))
            output.write(self._lines.mark)
            for number, line, record, known, own in judged:
                if record is None:
                    output.write(line if not line.strip() else self._unread(number, line, log))
                    continue
                text, changes = records.cleaned(record, known, rules, own)
                if text is record.text:
                    output.write(line)
                elif text is not None:
                    output.write(text.encode("utf-8"))
                for change in changes:
                    self._tell(number, change, log)
        counts = _table(self._counted)
        _warn(counts, {}, INVALID if self._warned else None, self._doubts)
        unproved = _unchecked(counts) or bool(self._doubts)
        return CleanFile(self._output, counts, runs, unproved, _rows(counts, self._choice.mode), self._named)

    def _unread(self, number: int, line: bytes, log: Any) -> bytes:
        """Return what is written for a line that could not be read."""
        invalid = self._choice.settled(INVALID, None, None, "lines")  # told already, but not if they have verdicts
        self._tell(number, Change("line", None, invalid.change, None, invalid.reason, ""), log)
        return b"" if invalid.change == DROPPED and self._choice.mode != "mark" else line

    def _tell(self, number: int, change: Change, log: Any) -> None:
        self._counted[change.kind, change.change, change.action, change.reason, change.cause] += 1
        if log is not None and change.change != KEPT:
            log.writerow(
                (number, change.kind, change.id, CHANGES[change.change], change.action, change.reason, change.cause)
            )


def _nested(value: Mapping[str, Any], keys: Iterable[str]) -> bool:
    """Whether a word of a verdict is a list or an object, which no check has written."""
    return any(isinstance(value.get(key), list | dict) for key in keys)


def _surveyed(spill: Spill, kind: JobType, now: float) -> Iterator[Part]:
    """Yield what a run needs of each part of the file."""
    for row in spill:
        ids = row[_USERS if kind is JobType.USERS else _POSTS]
        odd = round(id_rules.implausible_posts(ids, now) * len(ids))
        yield Part(ids, len(ids), len(ids), 0, odd, ())


# One part of a file is a row: its count of lines, its posts, its users; posts and who wrote them; posts and what they
# retweet.
_COUNT, _POSTS, _USERS, _WRITTEN, _RETWEETS = 0, 1, 2, 3, 5
_HANGING = {_USERS: _WRITTEN, _POSTS: _RETWEETS}


def _row(count: int, told: Named) -> tuple[Ints, ...]:
    """Return one part of the file."""
    posts, users = (id_rules.distinct(np.array(ids, dtype=np.int64)) for ids in (told.posts, told.users))
    pairs = [np.array(pairs, dtype=np.int64).reshape(-1, 2).T for pairs in (told.written, told.retweets)]
    return np.array([count], dtype=np.int64), posts, users, *pairs[0], *pairs[1]


@contextlib.contextmanager
def _log(path: Path) -> Iterator[Any]:
    """Give a CSV writer for the changes in records."""
    with jsonl.writing(path) as raw:
        raw_text: IO[str] = io.TextIOWrapper(raw, "utf-8", "replace", newline="", write_through=True)
        writer = csv.writer(raw_text, lineterminator="\n")
        writer.writerow(("line", "kind", "id", "change", "action", "reason", "cause"))
        yield writer
        raw_text.flush()
        raw_text.detach()  # type: ignore[attr-defined]  # or it closes the file
