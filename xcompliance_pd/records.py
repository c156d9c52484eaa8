"""One line of JSON, as X's APIs and twarc write them -> the posts and users that it holds, and the clean line.

A post is stored wherever there is a whole one: as a record of its own, in ``includes``, or within another post that
quotes or retweets it. Known shapes are those of X API v2 (https://docs.x.com/x-api/fundamentals/expansions: ``data``,
``includes``, ``meta``), of twarc's ``flatten``, which puts what was included into the post that refers to it
(https://github.com/DocNow/twarc, ``expansions.py``), and of API v1.1
(https://developer.x.com/en/docs/x-api/v1/data-dictionary/object-model/tweet); any other record is flat and names the
key of its ID.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from . import geo
from .cleaning import CHANGES, DROPPED, GEO_BLANKED, INVALID, KEPT, NO_GEO, REDACTED, REHYDRATE, UNCHECKED, UNKNOWN
from .protocol import ID_MAX, JobType
from .splice import CUT, NULL, Add, Edit, Only, Path, Put, spliced

MARK = "compliance_change"  # the key that mode="mark" adds

_ID = re.compile(r"[1-9][0-9]{0,18}")

# What of a reference or a mention is the referring post's own, and not a copy of somebody else's post or profile.
_REFERENCE = frozenset({"type", "id"})
_MENTION = frozenset({"start", "end", "username", "id"})
_NAME = frozenset({"id", "id_str"})
_POSTS_IN_A_POST = ("retweeted_status", "quoted_status")
_USERS_IN_A_POST = ("author", "user", "in_reply_to_user")
_POSTS_OF_A_USER = ("pinned_tweet", "status")
# All that a user of API v2 has (https://docs.x.com/x-api/fundamentals/data-dictionary#user), and what twarc adds. An
# object with a name and anything else may be a post, as other programs flatten it, and is not guessed at.
_PROFILE = frozenset(
    "affiliation confirmed_email connection_status created_at description entities id is_identity_verified location "
    "most_recent_tweet_id name parody pinned_tweet pinned_tweet_id profile_banner_url profile_image_url protected "
    "public_metrics receives_your_dm subscription subscription_type url username verified verified_followers_count "
    "verified_type withheld __twarc status id_str screen_name compliance_change".split()
)
_WITH_MENTIONS = ("entities", "note_tweet")
# In `includes`, how a post names what is there, and how that names itself.
_ATTACHED = (
    ("media", "attachments", "media_keys", "media_key"),
    ("polls", "attachments", "poll_ids", "id"),
    ("places", "geo", "place_id", "id"),
)


class Verdict(NamedTuple):
    """What is to be done to the post or the posts of the user with an ID, and why.

    `change` counts in :data:`xcompliance_pd.cleaning.CHANGES`.
    """

    change: int
    action: str | None = None
    reason: str | None = None


_FINE, _NOT_ASKED, _NO_ID = Verdict(KEPT), Verdict(UNCHECKED), Verdict(INVALID)
# Whose verdict it was, an author's or that of what it retweets, another record tells.
_ELSEWHERE = Verdict(DROPPED, "delete")


class Change(NamedTuple):
    """What is done to one stored post or user; `cause` says whose verdict it was, if not its own."""

    kind: str
    id: int | None
    change: int
    action: str | None
    reason: str | None
    cause: str


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the IDs in some records.

    Attributes
    ----------
    posts, users : mapping of int to Verdict, or None
        None if nobody asked about IDs of this type. An ID that is not there is unchecked.
    orphans, repeats : collection of int
        Posts whose author is gone, and retweets of posts that are gone, also if only another record says so.
    """

    posts: Mapping[int, Verdict] | None
    users: Mapping[int, Verdict] | None
    orphans: Collection[int] = ()
    repeats: Collection[int] = ()


@dataclass(frozen=True, slots=True)
class Rules:
    """How to treat what is gone: `mode` and `keep` as in :func:`xcompliance_pd.cleaning.plan`.

    `drop_invalid` treats what has no ID as gone. A key that holds other posts or users is not kept.
    """

    mode: str = "drop"
    keep: frozenset[str] = frozenset()
    drop_invalid: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """A whole post or user in a record.

    Attributes
    ----------
    kind : str
        ``post``, ``referenced post`` or ``user``.
    path : tuple
    value : dict
    id : int or None
        None if there is none, or something else in its place.
    authors, retweeted : tuple of int
        Of a post.
    remove : Edit
        How to take it away.
    row : bool
        Whether it is what the file is a list of, and not stored for the sake of another.
    inner : list of Stored
    """

    kind: str
    path: Path
    value: dict[str, Any]
    id: int | None
    authors: tuple[int, ...]
    retweeted: tuple[int, ...]
    remove: Edit
    row: bool
    inner: list[Stored] = field(default_factory=list)
    unread: tuple[str, ...] = ()  # whose ID is there and is none: "author", "retweeted post"

    @property
    def is_user(self) -> bool:
        return self.kind == "user"

    def all(self) -> Iterator[Stored]:
        """Yield it, and what is stored in it."""
        yield self
        for inner in self.inner:
            yield from inner.all()


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """A line that was read.

    Attributes
    ----------
    text : str
    value : dict
    stored : list of Stored
        The outermost ones.
    alone : bool
        Whether the line is there for one post or user, and goes with it.
    id_keys : frozenset of str
        Where a row has its ID.
    """

    text: str
    value: dict[str, Any]
    stored: list[Stored]
    alone: bool
    id_keys: frozenset[str]

    def all(self) -> Iterator[Stored]:
        """Yield all posts and users that are stored in it."""
        for stored in self.stored:
            yield from stored.all()


class Named(NamedTuple):
    """The IDs in some records on whose verdicts something depends, and which post hangs on which author and post."""

    posts: list[int]
    users: list[int]
    written: list[tuple[int, int]]
    retweets: list[tuple[int, int]]


def read(line: bytes, column: str | None = None, row: JobType = JobType.TWEETS) -> Record:
    """Read a line and find the posts and users in it.

    Parameters
    ----------
    line : bytes
        UTF-8 without a byte order mark; the line's end may be there.
    column : str, optional
        The key of a flat record's ID. Without it the record must be in one of X's shapes.
    row : JobType
        What the ID in `column` is.

    Returns
    -------
    Record

    Raises
    ------
    ValueError
        It is no JSON object, or a key stands twice in one, so that it could be read in two ways.

    Examples
    --------
    >>> record = read(b'{"data": [{"id": "21", "author_id": "7"}], "includes": {"users": [{"id": "7"}]}}')
    >>> [(stored.kind, stored.id, stored.path) for stored in record.all()]
    [('post', 21, ('data', 0)), ('user', 7, ('includes', 'users', 0))]
    >>> read(b'{"post": 21, "n": 1}', "post").stored[0].id
    21
    """
    text, value = parsed(line)
    if column is not None:
        stored = _row(value, (), column, row is JobType.USERS)
        return Record(text, value, [stored, *_included(value, [stored])], True, frozenset({column}))
    found: list[Stored] = []
    data = value.get("data")
    if _has_id(value) and isinstance(data, list | dict):
        raise ValueError("a post or a page")
    alone = not isinstance(data, list)
    if isinstance(data, list):
        if not all(isinstance(element, dict) for element in data):
            raise ValueError("data that are no objects")
        found += [_row(element, ("data", place)) for place, element in enumerate(data)]
    elif isinstance(data, dict):
        found.append(_row(data, ("data",)))
    elif not _is_page(value):
        found.append(_row(value, ()))
    return Record(text, value, [*found, *_included(value, found)], alone, frozenset({"id", "id_str"}))


def parsed(line: bytes) -> tuple[str, dict[str, Any]]:
    """Return a line as text and as an object.

    Raises
    ------
    ValueError
        It is no JSON object, or a key stands twice in one.

    Examples
    --------
    >>> parsed(b'{"id": "20"}')
    ('{"id": "20"}', {'id': '20'})
    """
    try:
        text = line.decode("utf-8")
        value = json.loads(text, object_pairs_hook=_object)
    except RecursionError:
        raise ValueError("too deep") from None
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return text, value


def named(records: Iterable[Record]) -> Named:
    """Return the IDs in records, as often as they stand there.

    IDs that are merely mentioned, such as those of a quoted post that is not stored, are not among them: whatever X
    says of them, there is nothing to be done. Those of retweeted posts are, because a stored retweet goes with them.

    Examples
    --------
    >>> named([read(b'{"id": "22", "author_id": "7", "referenced_tweets": [{"type": "retweeted", "id": "21"}]}')])
    Named(posts=[22, 21], users=[7], written=[(22, 7)], retweets=[(22, 21)])
    """
    told = Named([], [], [], [])
    for record in records:
        for stored in record.all():
            own = [] if stored.id is None else [stored.id]
            if stored.is_user:
                told.users.extend(own)
            else:
                told.posts.extend(own + list(stored.retweeted))
                told.users.extend(stored.authors)
                told.written.extend((id, author) for id in own for author in stored.authors)
                told.retweets.extend((id, post) for id in own for post in stored.retweeted)
    return told


def cleaned(record: Record, known: Known, rules: Rules, own: Verdict | None = None) -> tuple[str | None, list[Change]]:
    """Return a line without what is gone, and all that is to be said of what is stored in it.

    Parameters
    ----------
    record : Record
    known : Known
        About all IDs that :func:`named` gives.
    rules : Rules
    own : Verdict, optional
        What the record says of itself, if it has verdict columns; nothing else counts then.

    Returns
    -------
    text : str or None
        The record's own text object if nothing is to be changed, and None if the line goes.
    changes : list of Change
        One for each stored post and user, but for those in others that go.

    Notes
    -----
    A post is gone if X says so, if its author is gone, or if it is a retweet of a post of which either is true; no
    retweet on X is one of another retweet. X's rules for those who store posts ask to delete all of that ("Content
    compliance", https://docs.x.com/developer-terms/policy). A post that quotes a gone one, or replies to it, is its
    author's and stays, without the copy of the other.

    Examples
    --------
    >>> record = read(b'{"data": [{"id": "20"}, {"id": "21", "n": 1.10}], "meta": {}}')
    >>> text, changes = cleaned(record, Known({20: Verdict(DROPPED), 21: Verdict(KEPT)}, None), Rules())
    >>> text, [CHANGES[change.change] for change in changes]
    ('{"data": [{"id": "21", "n": 1.10}], "meta": {}}', ['dropped', 'kept'])
    """
    work = _Work(record, known, rules, own)
    for stored in record.stored:
        if own is None or stored.row:  # a record's own verdict is not that of what it includes
            work.settle(stored)
    rows = [stored for stored in record.stored if stored.row]
    if rules.mode == "drop" and rows and all(stored in work.gone for stored in rows):
        return None, [change for stored, change in work.told if stored.row]
    if rules.mode != "mark":
        work.detach()
    text = spliced(record.text, work.edits) if work.edits else record.text
    return text, [change for _, change in work.told]


# --------------------------------------------------------------------------- finding


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a key stands twice")
    return value


def id_of(value: object) -> int | None:
    """Return the ID that a JSON value is, exactly; None for anything else.

    Examples
    --------
    >>> [id_of(value) for value in ("20", 20, "020", 20.0, True, None, 2**63)]
    [20, 20, None, None, None, None, None]
    """
    if isinstance(value, str):
        value = int(value) if _ID.fullmatch(value) else 0
    # type() and not isinstance: true is an int, too
    return value if type(value) is int and 0 < value <= ID_MAX else None


def _own_id(value: Mapping[str, Any]) -> int | None:
    # Of a v1.1 object's two, the text is the one that no JavaScript has rounded.
    return id_of(value["id_str"] if "id_str" in value else value.get("id"))


def _has_id(value: object) -> bool:
    return type(value) is dict and ("id" in value or "id_str" in value)


def _is_page(value: Mapping[str, Any]) -> bool:
    """Whether a record is an answer of X without any post in it."""
    return not _has_id(value) and any(key in value for key in ("meta", "includes", "errors"))


def _is_profile(value: Mapping[str, Any]) -> bool:
    if any(key in value for key in ("text", "full_text", "author_id")):
        return False
    if "username" not in value and "screen_name" not in value:
        return False
    counts = value.get("public_metrics")
    sure = "followers_count" in value or ("name" in value and _PROFILE.issuperset(value))
    if not sure or (isinstance(counts, dict) and "retweet_count" in counts):
        raise ValueError("a post or a user")
    return True


def _included(value: Mapping[str, Any], rows: list[Stored]) -> list[Stored]:
    includes = value.get("includes") or {}
    if not isinstance(includes, dict):
        raise ValueError("includes that are no object")
    tweets, users = (list(_only_objects(includes.get(name))) for name in ("tweets", "users"))
    profiles = [_user(user, ("includes", "users", n), CUT) for n, user in users]
    # The post that a user has pinned is their own, and that may be all that says whose it is.
    pinned = {
        id_of(stored.value.get("pinned_tweet_id")): stored.id
        for stored in (*rows, *profiles)
        if stored.is_user and "pinned_tweet_id" in stored.value
    }
    found = [_post(post, ("includes", "tweets", n), CUT, pinned_by=pinned.get(_own_id(post))) for n, post in tweets]
    return found + profiles


def _only_objects(values: object) -> Iterator[tuple[int, dict[str, Any]]]:
    if values and not (isinstance(values, list) and all(isinstance(value, dict) for value in values)):
        raise ValueError("no list of objects")
    return _objects(values)


def _objects(values: object) -> Iterator[tuple[int, dict[str, Any]]]:
    if isinstance(values, list):
        yield from ((place, value) for place, value in enumerate(values) if isinstance(value, dict))


def _row(value: dict[str, Any], path: Path, column: str | None = None, is_user: bool = False) -> Stored:
    id = _own_id(value) if column is None else id_of(value.get(column))
    if is_user or (column is None and _is_profile(value)):
        return _user(value, path, CUT, row=True, id=id)
    return _post(value, path, CUT, "post", row=True, id=id)


def _post(
    value: dict[str, Any],
    path: Path,
    remove: Edit,
    kind: str = "referenced post",
    *,
    row: bool = False,
    id: int | None = None,
    pinned_by: int | None = None,
) -> Stored:
    told = [] if value.get("author_id") is None else [id_of(value["author_id"])]
    told += [_own_id(value[key]) for key in ("author", "user") if _has_id(value.get(key))]
    authors = [*told, pinned_by]
    retweeted: list[int | None] = []
    inner: list[Stored] = []
    for place, reference in _only_objects(value.get("referenced_tweets")):
        if reference.get("type") == "retweeted":
            retweeted.append(id_of(reference.get("id")))
        if not _REFERENCE.issuperset(reference):
            inner.append(_post(reference, (*path, "referenced_tweets", place), Only(_REFERENCE)))
    for key in _POSTS_IN_A_POST:
        if isinstance(value.get(key), dict) and value[key]:
            if key == "retweeted_status":
                retweeted.append(_own_id(value[key]))
            if not _NAME.issuperset(value[key]):
                inner.append(_post(value[key], (*path, key), NULL))
    inner += [_user(value[key], (*path, key), NULL) for key in _USERS_IN_A_POST if _has_id(value.get(key))]
    _mentions(value, path, inner)
    known = tuple(author for author in dict.fromkeys(authors) if author is not None)
    of = tuple(post for post in dict.fromkeys(retweeted) if post is not None)
    unread = ["author"] if None in told else []
    unread += ["retweeted post"] if None in retweeted else []
    return Stored(kind, path, value, id if row else _own_id(value), known, of, remove, row, inner, tuple(unread))


def _user(value: dict[str, Any], path: Path, remove: Edit, *, row: bool = False, id: int | None = None) -> Stored:
    inner = [_post(value[key], (*path, key), NULL) for key in _POSTS_OF_A_USER if _has_id(value.get(key))]
    _mentions(value, path, inner)
    return Stored("user", path, value, id if row else _own_id(value), (), (), remove, row, inner)


def _mentions(value: Mapping[str, Any], path: Path, inner: list[Stored]) -> None:
    """Add the users whose profiles twarc's ``flatten`` put where a text mentions them."""
    for key in _WITH_MENTIONS:
        if key in value:
            _mentioned(value[key], (*path, key), inner)


def _mentioned(value: object, path: Path, inner: list[Stored]) -> None:
    if isinstance(value, dict):
        for place, mention in _objects(value.get("mentions")):
            if _has_id(mention) and not _MENTION.issuperset(mention):
                inner.append(_user(mention, (*path, "mentions", place), Only(_MENTION)))
        for key, below in value.items():  # a user's are in entities.description, those of a long post in its note
            _mentioned(below, (*path, key), inner)


# --------------------------------------------------------------------------- deciding


class _Work:
    """What is to be done to one record, as far as it is settled."""

    def __init__(self, record: Record, known: Known, rules: Rules, own: Verdict | None) -> None:
        self.edits: dict[Path, Edit] = {}
        self.told: list[tuple[Stored, Change]] = []
        self.gone: set[Stored] = set()
        self._scrubbed: set[Stored] = set()
        self._record = record
        self._known = known
        self._rules = rules
        self._given = own

    def settle(self, stored: Stored) -> None:
        """Decide about a post or user and, if it stays, about those stored in it."""
        verdict, cause = self._judged(stored)
        change = verdict.change
        if change != DROPPED and self._to_scrub(stored, verdict):
            names = [key for key, place in stored.value.items() if place is not None and geo.is_name(key)]
            if change == GEO_BLANKED and not names:
                change = NO_GEO
            self._scrubbed.add(stored)
            if self._rules.mode != "mark":
                self.edits.update({(*stored.path, name): NULL for name in names})
        elif change == DROPPED:
            self.gone.add(stored)
            if self._rules.mode == "redact" and stored.row:
                change = REDACTED
                depth = len(stored.path)  # what holds others is not its own, whoever names the key
                others = {
                    o.path[depth] for o in self._record.all() if o is not stored and o.path[:depth] == stored.path
                }
                self.edits[stored.path] = Only((self._record.id_keys | self._rules.keep) - others)
            elif self._rules.mode != "mark":
                self.edits[stored.path] = stored.remove
        if self._rules.mode == "mark" and change != KEPT:
            self._mark(stored, CHANGES[change])
        self.told.append((stored, Change(stored.kind, stored.id, change, verdict.action, verdict.reason, cause)))
        if stored not in self.gone and self._given is None:
            for inner in stored.inner:
                self.settle(inner)

    def detach(self) -> None:
        """Take along what only the removed posts of this record referred to in `includes`."""
        includes = self._record.value.get("includes")
        if not isinstance(includes, dict) or not (self.gone or self._scrubbed):
            return
        posts = [stored for stored in self._record.stored if not stored.is_user]
        for name, key, refers, itself in _ATTACHED:
            lost = self.gone | self._scrubbed if name == "places" else self.gone
            left = {id for post in posts if post not in lost for id in _referred(post.value.get(key), refers)}
            went = {id for post in posts if post in lost for id in _referred(post.value.get(key), refers)} - left
            for place, thing in _objects(includes.get(name)):
                if isinstance(id := thing.get(itself), str | int) and id in went:
                    self.edits["includes", name, place] = CUT

    def _mark(self, stored: Stored, word: str) -> None:
        if MARK in stored.value:
            self.edits[(*stored.path, MARK)] = Put(json.dumps(word))
        else:
            self.edits[stored.path] = Add(MARK, json.dumps(word))

    def _judged(self, stored: Stored) -> tuple[Verdict, str]:
        """Return what is to be done and whose verdict that is: its own, its author's, or that of what it retweets."""
        if self._given is not None:
            return self._given, ""
        users, posts = self._known.users, self._known.posts
        own = self._own(stored)
        others = self._of_authors(stored)
        others += [(_of(posts, post), "retweeted post") for post in stored.retweeted if posts is not None]
        if stored.id in self._known.orphans and not stored.is_user:
            others.append((_ELSEWHERE, "author"))
        if stored.id in self._known.repeats and not stored.is_user:
            others.append((_ELSEWHERE, "retweeted post"))
        if any(post in self._known.orphans for post in stored.retweeted):
            others.append((_ELSEWHERE, "retweeted post"))
        for told in ((own, ""), *others):
            if told[0].change == DROPPED:
                return told
        if own.change == KEPT:  # what a post depends on must be proved, too
            for cause in stored.unread:
                if (users if cause == "author" else posts) is not None:
                    return (Verdict(DROPPED, None, "invalid") if self._rules.drop_invalid else _NO_ID), cause
            for told in others:
                if told[0].change in (UNCHECKED, UNKNOWN):
                    return told
        for change in (GEO_BLANKED, REHYDRATE):  # the graver first; what X wants of an author, it wants of the posts
            for told in ((own, ""), *self._of_authors(stored)):
                if told[0].change == change and own.change in (KEPT, GEO_BLANKED, REHYDRATE):
                    return told
        return own, ""

    def _of_authors(self, stored: Stored) -> list[tuple[Verdict, str]]:
        users = self._known.users
        return [] if users is None else [(_of(users, author), "author") for author in stored.authors]

    def _to_scrub(self, stored: Stored, verdict: Verdict) -> bool:
        """Whether geo data goes, also from a post that stays because nothing else is known of it."""
        told = [verdict, *(author for author, _ in self._of_authors(stored))]
        return any(each.change == GEO_BLANKED for each in told)

    def _own(self, stored: Stored) -> Verdict:
        asked = self._known.users if stored.is_user else self._known.posts
        if asked is None:
            return _FINE
        if stored.id is None:
            return Verdict(DROPPED, None, "invalid") if self._rules.drop_invalid else _NO_ID
        return asked.get(stored.id, _NOT_ASKED)


def _of(known: Mapping[int, Verdict], id: int) -> Verdict:
    return known.get(id, _NOT_ASKED)


def _referred(value: object, key: str) -> Iterator[str | int]:
    """Yield what is referred to: one name, or a list of them."""
    names = value.get(key) if isinstance(value, dict) else None
    for name in names if isinstance(names, list) else [names]:
        if isinstance(name, str | int):
            yield name
