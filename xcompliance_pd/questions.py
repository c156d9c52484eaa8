"""Which columns of IDs a check asks about: the rows' own, their authors', and those of posts that they refer to."""

from __future__ import annotations

import difflib
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from . import combined, protocol
from . import ids as id_rules
from .errors import InputError
from .ids import IdColumn, Ints
from .protocol import JobType

Column = Hashable | Mapping[Any, str]
References = Iterable[Hashable] | Mapping[Any, str]


@dataclass(frozen=True)
class Question:
    """One column to ask about.

    Attributes
    ----------
    column : hashable
        Its label; the name, for a Series.
    type : JobType or None
        What its IDs are; None if nobody said, which means posts unless it looks otherwise.
    kind : str or None
        What the posts of these IDs have to do with those of the rows, one of ``combined.KINDS``; None if they are
        those of the rows.
    """

    column: Hashable
    type: JobType | None
    kind: str | None = None

    @property
    def job(self) -> JobType:
        """The type of the job that the IDs go into."""
        return self.type or JobType.TWEETS


@dataclass(frozen=True)
class Asked:
    """A question with the column's content.

    Attributes
    ----------
    question : Question
    series : Series of length m
        The values, one each: the column itself, or what its cells hold when they are taken apart.
    ids : IdColumn
        The same, parsed.
    rows : ndarray of int64, length m, or None
        The row of each value, where a row may have several or none.
    """

    question: Question
    series: pd.Series
    ids: IdColumn
    rows: Ints | None = None


def questions(
    data: pd.DataFrame | pd.Series, column: Column | None, type: str | None, references: References
) -> list[Question]:
    """Return what a check asks, first about the posts of the rows, or the accounts.

    Raises
    ------
    InputError
        A column is not there, or what it holds cannot be told, or there is no job that its IDs could go into.
    """
    own = _own(data, column, type)
    asked = {question.job for question in own}
    further = [_reference(data, label, kind) for label, kind in _kinds(references)]
    if further and isinstance(data, pd.Series):
        raise InputError("References are columns beside the one that is checked, so they need a DataFrame.")
    for question in further:
        if question.job not in asked:
            raise InputError(_no_job(own, question))
    return [*own, *further]


def _own(data: pd.DataFrame | pd.Series, column: Column | None, type: str | None) -> list[Question]:
    if not isinstance(column, Mapping):
        name = select(data, column).name if column is None else column
        select(data, column)
        return [Question(name, None if type is None else protocol.job_type(type))]
    if type is not None:
        raise InputError("The dict of columns says what each holds, so leave type= out.")
    if any(isinstance(label, str) and label in ("tweets", "posts", "users") for label in column):
        raise InputError("The dict goes from a column to what it holds: {'id': 'tweets', 'author_id': 'users'}.")
    found = {protocol.job_type(kind): label for label, kind in column.items()}
    if len(column) != 2 or len(found) != 2:
        raise InputError(
            "A dict names one column of posts and one of users, such as {'id': 'tweets', 'author_id': 'users'}. "
            f"For one column write check({next(iter(column), 'id')!r}, type={next(iter(column.values()), 'tweets')!r})."
        )
    for label in column:
        select(data, label)
    posts, users = found[JobType.TWEETS], found[JobType.USERS]
    if id_rules.names_users(posts) and not id_rules.names_users(users):
        raise InputError(
            f"Column {posts!r} looks like user IDs, and X reports nothing about IDs of the wrong type. Did you mean "
            f"{{{users!r}: 'tweets', {posts!r}: 'users'}}?"
        )
    if set(combined.part_names([posts])) & set(combined.part_names([users])):
        raise InputError(f"Columns {posts!r} and {users!r} read alike, and so would those added for each. Rename one.")
    return [Question(found[kind], kind) for kind in (JobType.TWEETS, JobType.USERS)]


def _kinds(references: References) -> list[tuple[Hashable, str | None]]:
    if isinstance(references, str):  # or each of its letters would be a column
        return [(references, None)]
    return list(references.items()) if isinstance(references, Mapping) else [(label, None) for label in references]


def _reference(data: pd.DataFrame | pd.Series, label: Hashable, kind: str | None) -> Question:
    if isinstance(data, pd.DataFrame) and (kind is None or label not in combined.KINDS):
        select(data, label)
    if label in combined.KINDS and kind is not None and kind not in combined.KINDS:
        raise InputError(f"The dict goes from a column to what it is: references={{{kind!r}: {label!r}}}.")
    kind = kind or combined.kind_of(label)
    if kind not in combined.KINDS:
        said = "Its name does not tell" if kind is None else f"{kind!r} is no word for"
        raise InputError(
            f"{said} what the posts of column {label!r} have to do with those of its rows. Say it: "
            f"references={{{label!r}: 'retweeted'}}, or 'quoted', or 'replied_to' (on the command line --references "
            f"{label}=retweeted)."
        )
    return Question(label, JobType.USERS if id_rules.names_users(label) else JobType.TWEETS, kind)


def _no_job(own: list[Question], question: Question) -> str:
    if question.job is JobType.USERS:
        return (
            f"Column {question.column!r} looks like user IDs, and this check asks about posts only. Leave it out, or "
            f"ask about authors, too: check({{{own[0].column!r}: 'tweets', 'author_id': 'users'}}, references=...)."
        )
    return (
        f"Column {question.column!r} holds IDs of posts, and this check asks about users only. Leave it out, or ask "
        f"about posts, too: check({{'id': 'tweets', {own[0].column!r}: 'users'}}, references=...)."
    )


def read(data: pd.DataFrame | pd.Series, question: Question) -> Asked:
    """Return a question with its column's content, parsed; errors as those of :func:`xcompliance_pd.ids.parse`."""
    series = data if isinstance(data, pd.Series) else select(data, question.column)
    if question.kind is None:
        return Asked(question, series, id_rules.parse(series, question.column))
    values, rows = id_rules.apart(series)
    return Asked(question, values, id_rules.parse(values, question.column), rows)


def added(questions: Iterable[Question]) -> list[str]:
    """Return the names, without prefix, of the columns that the answers need beyond those of one verdict."""
    own = [question for question in questions if question.kind is None]
    names = [combined.CAUSE, *combined.part_names(question.column for question in own)] if len(own) > 1 else []
    return [*names, combined.REFERENCES] if len(own) < len(list(questions)) else names


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
