"""Several columns of IDs, one verdict a row: a post and its author, and the posts that a row refers to.

X lists posts and accounts in separate jobs, and its documents and what others saw disagree on whether a job of posts
lists those of an account that is gone. So a row whose post and author were both asked about is compliant only if both
are, and needs the more severe of what is asked of either.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from .geo import said
from .ids import Ints
from .protocol import ACTIONS, REASONS, JobType
from .results import GONE, severity, words
from .verdicts import ACTION_REQUIRED, COMPLIANT, INVALID, STATUSES, UNCHECKED, utc

Bools = npt.NDArray[np.bool_]
Times = npt.NDArray[np.datetime64]

CAUSES = {JobType.TWEETS: "post", JobType.USERS: "author"}
PART_COLUMNS = ("status", "action", "reason")  # kept of each part, after its column's name
CAUSE, REFERENCES = "cause", "references"  # the further columns, after the prefix

# X's own words for what one post has to do with another: `referenced_tweets.type`,
# https://docs.x.com/x-api/fundamentals/data-dictionary#tweet
KINDS = ("retweeted", "quoted", "replied_to")
_NAMES = {"retweeted": "retweet", "quoted": "quot", "replied_to": "repl"}  # what a column's name says of it

# How one row's parts become its status: the first of these that any part has.
_PRECEDENCE = (ACTION_REQUIRED, UNCHECKED, INVALID, COMPLIANT)


def combine(parts: Mapping[JobType, pd.DataFrame]) -> pd.DataFrame:
    """Return one verdict a row from the verdicts on its post and on its author.

    Parameters
    ----------
    parts : mapping of JobType to DataFrame
        As :func:`xcompliance_pd.verdicts.join` gives them, n rows each, for the same rows.

    Returns
    -------
    DataFrame
        n rows, the same columns and `cause` (category: ``post``, ``author``; missing for a compliant row). A row needs
        action if a part of it does; else it is unchecked or invalid if a part is; else compliant. What is said of it
        is said by the part that made it so: of two that need action the one that asks for more (delete, then geo
        scrubbing, then rehydrate, then unknown words), then the post. `redacted_at` is the earlier one of those,
        `created_at` always the post's; a compliant row has the earlier `checked_at` and names both runs.

    Examples
    --------
    >>> import pandas as pd
    >>> from xcompliance_pd import ids, results, verdicts
    >>> from xcompliance_pd.protocol import JobType
    >>> def verdict(lines):
    ...     column = ids.parse(pd.Series(["20", "21"]), "id")
    ...     found = results.read(lines).findings
    ...     return verdicts.join(column, [verdicts.Covered(column.unique(), found, True, None, "r")])
    >>> post = verdict([b'{"id":"20","action":"delete","reason":"scrub_geo"}'])
    >>> author = verdict([b'{"id":"20","action":"delete","reason":"suspended"}'])
    >>> combine({JobType.TWEETS: post, JobType.USERS: author})[["status", "reason", "cause"]].values.tolist()
    [['action_required', 'suspended', 'author'], ['compliant', nan, nan]]
    """
    tables = list(parts.values())
    statuses = np.stack([table["status"].cat.codes.to_numpy() for table in tables])
    rows = np.arange(statuses.shape[1])
    status, decider = np.full(len(rows), COMPLIANT, dtype=np.int8), np.zeros(len(rows), dtype=np.intp)
    asked = np.stack([severity(table["action"], table["reason"]) for table in tables])
    for code in reversed(_PRECEDENCE):
        has = statuses == code
        status[has.any(axis=0)] = code
        # argmin takes the first of equals, and posts come first.
        rank = np.where(has, asked if code == ACTION_REQUIRED else 0, np.iinfo(np.int8).max)
        decider = np.where(has.any(axis=0), rank.argmin(axis=0), decider)

    def times(name: str) -> Times:
        return np.stack([table[name].to_numpy(dtype="datetime64[us]") for table in tables])

    def decided(name: str, known: tuple[str, ...]) -> pd.Categorical:
        used = pd.unique(np.concatenate([table[name].cat.categories.to_numpy(dtype=object) for table in tables]))
        categories = words(used, known).categories
        codes = np.stack([table[name].cat.set_categories(categories).cat.codes.to_numpy() for table in tables])
        return pd.Categorical.from_codes(codes[decider, rows], categories=categories)

    compliant = status == COMPLIANT
    redacted = np.where(statuses == ACTION_REQUIRED, times("redacted_at"), np.datetime64("NaT", "us"))
    checked = times("checked_at")
    columns = {
        "status": pd.Categorical.from_codes(status, categories=pd.Index(STATUSES, dtype=object)),
        "action": decided("action", ACTIONS),
        "reason": decided("reason", REASONS),
        "created_at": utc(times("created_at")[list(parts).index(JobType.TWEETS)]),
        "redacted_at": utc(np.fmin.reduce(redacted, axis=0)),
        "checked_at": utc(np.where(compliant, checked.min(axis=0), checked[decider, rows])),
        "run": _runs([table["run"] for table in tables], decider, compliant),
        CAUSE: pd.Categorical.from_codes(
            np.where(compliant, -1, decider), categories=pd.Index([CAUSES[type] for type in parts], dtype=object)
        ),
    }
    return pd.DataFrame(columns, copy=False)


def part_names(labels: Iterable[Hashable]) -> list[str]:
    """Return the names, without prefix, of the columns that tell what was found of each part of a row."""
    return [f"{said(label)}_{name}" for label in labels for name in PART_COLUMNS]


def _runs(named: Sequence[pd.Series], decider: Ints, compliant: Bools) -> pd.Categorical:
    """Return the run of the part that decided, and all runs for a row that is compliant by all of them."""
    codes = np.stack([column.cat.codes.to_numpy().astype(np.int64) for column in named])
    codes[(np.arange(len(named))[:, None] != decider) & ~compliant] = -1
    shape = [len(column.cat.categories) + 1 for column in named]
    place, distinct = pd.factorize(np.ravel_multi_index(tuple(codes + 1), shape))
    names = [
        ", ".join(column.cat.categories[code - 1] for column, code in zip(named, each, strict=True) if code) or None
        for each in zip(*np.unravel_index(distinct, shape), strict=True)
    ]
    told = words(names, ())
    return pd.Categorical.from_codes(np.append(told.codes, -1)[place], categories=told.categories)


# --------------------------------------------------------------------------- what a row refers to


class Referred(NamedTuple):
    """The posts, or the accounts of posts, that the rows of one column refer to.

    Attributes
    ----------
    kind : str
        One of ``KINDS``.
    rows : ndarray of int64, shape (m,)
        For each of m IDs the position of its row, from 0. A row may refer to several, or to none.
    verdicts : DataFrame
        m rows, as :func:`xcompliance_pd.verdicts.join` gives them.
    """

    kind: str
    rows: Ints
    verdicts: pd.DataFrame


def kind_of(name: Hashable) -> str | None:
    """Return what the posts of a column have to do with those of its rows, as far as its name tells.

    Examples
    --------
    >>> [kind_of(name) for name in ("retweeted_status_id", "quoted_id", "in_reply_to_user_id", "parent")]
    ['retweeted', 'quoted', 'replied_to', None]
    """
    text = str(name).lower()
    return next((kind for kind, word in _NAMES.items() if word in text), None)


def references(rows: int, referred: Iterable[Referred]) -> pd.Categorical:
    """Say for each row whether what it refers to is gone.

    Parameters
    ----------
    rows : int
    referred : iterable of Referred

    Returns
    -------
    Categorical of length `rows`
        ``compliant``; or ``gone: `` and which of ``KINDS`` are; or ``unchecked: `` and of which nothing was proved (by
        a value that is no ID, too); or both, with a semicolon between. Missing for a row that refers to nothing. What X
        asks to be scrubbed or fetched anew is not gone.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> table = pd.DataFrame({"status": ["action_required", "compliant"], "action": ["delete", None], "reason": None})
    >>> references(3, [Referred("quoted", np.array([0, 2]), table)]).tolist()
    ['gone: quoted', nan, 'compliant']
    """
    # Three bits for each kind: refers to some, some are gone, of some nothing is proved.
    found = np.zeros(rows, dtype=np.int64)
    for kind, places, verdicts in referred:
        status = verdicts["status"]
        gone = (status == "action_required") & (severity(verdicts["action"], verdicts["reason"]) == GONE)
        left = status.isin(["unchecked", "invalid"])
        for bit, which in enumerate((np.ones(len(places), dtype=np.bool_), gone.to_numpy(), left.to_numpy())):
            found[places[which]] |= 1 << (3 * KINDS.index(kind) + bit)
    place, distinct = pd.factorize(found)
    told = words([_told(int(code)) for code in distinct], ("compliant",))
    return pd.Categorical.from_codes(np.append(told.codes, -1)[place], categories=told.categories)


def _told(code: int) -> str | None:
    if not code:
        return None
    gone, left = ([kind for n, kind in enumerate(KINDS) if code >> (3 * n + bit) & 1] for bit in (1, 2))
    parts = [f"{word}: {', '.join(kinds)}" for word, kinds in (("gone", gone), ("unchecked", left)) if kinds]
    return "; ".join(parts) or "compliant"


def refers_to(told: pd.Series, word: str, kinds: Collection[str]) -> Bools:
    """Return which rows refer, in one of these ways, to something that is gone, or unchecked.

    Parameters
    ----------
    told : Series of length n
        What :func:`references` gave, or the same reloaded from a file.
    word : {"gone", "unchecked"}
    kinds : collection of str
        Of ``KINDS``.

    Returns
    -------
    ndarray of bool, length n

    Examples
    --------
    >>> told = pd.Series(["gone: retweeted, quoted; unchecked: replied_to", "gone: quoted", "compliant", None])
    >>> refers_to(told, "gone", ["retweeted", "replied_to"]).tolist()
    [True, False, False, False]
    """
    codes, seen = pd.factorize(told)
    lists = [re.search(rf"\b{word}: ([^;]*)", str(text)) for text in seen]
    found = [match is not None and not set(kinds).isdisjoint(match[1].split(", ")) for match in lists]
    return np.append(np.array(found, dtype=np.bool_), False)[codes]
