"""One line of JSON: what is found in it, and that nothing but what is gone is touched."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain_posts import Truth

from xcompliance_pd import records
from xcompliance_pd.cleaning import CHANGES, DROPPED, GEO_BLANKED, KEPT
from xcompliance_pd.records import Known, Rules, Verdict
from xcompliance_pd.splice import CUT, NULL, Add, Only, Put, spliced

WRITERS = (
    json.dumps,
    lambda value: json.dumps(value, ensure_ascii=False, separators=(" ,\t", "\n: ")),
    lambda value: json.dumps(value, separators=(",", ":")).replace("/", "\\/"),
    lambda value: json.dumps(value, indent=1),
)
writers = st.sampled_from(WRITERS)
words = st.text(st.characters(codec="utf-8"), max_size=5)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)
ids = st.integers(10**17, 10**17 + 12).map(str)
names = st.integers(1, 9).map(str)
users = st.fixed_dictionaries({"id": names, "username": words, "name": words}, optional={"x": plain})
references = st.lists(
    st.fixed_dictionaries({"type": st.sampled_from(["retweeted", "quoted", "replied_to"]), "id": ids}), max_size=2
)
extra = {
    "geo": st.fixed_dictionaries({"place_id": names}),
    "attachments": st.fixed_dictionaries({"media_keys": st.lists(names, max_size=2)}),
    "entities": st.fixed_dictionaries({"mentions": st.lists(users, max_size=2)}),
    "in_reply_to_user": users,
    "x": plain,
}
posts = st.fixed_dictionaries(
    {"id": ids, "author_id": names, "text": words}, optional={**extra, "referenced_tweets": references}
)
whole = st.builds(lambda post, kind: {"type": kind, **post}, posts, st.sampled_from(["retweeted", "quoted"]))
flat = st.fixed_dictionaries(
    {"id": ids, "author_id": names, "text": words},
    optional={**extra, "author": users, "referenced_tweets": st.lists(whole, max_size=2)},
)
pages = st.fixed_dictionaries(
    {
        "data": st.lists(posts, min_size=1, max_size=4),
        "includes": st.fixed_dictionaries(
            {"tweets": st.lists(posts, max_size=3), "users": st.lists(users, max_size=3)},
            optional={
                "media": st.lists(st.fixed_dictionaries({"media_key": names}), max_size=3),
                "places": st.lists(st.fixed_dictionaries({"id": names}), max_size=3),
            },
        ),
    },
    optional={"meta": plain},
)


class Fates:
    """What a list of IDs says, as the sandbox's `expected` would."""

    def __init__(self, gone: set[str], scrubbed: set[str], users: set[str]) -> None:
        self.posts = {**dict.fromkeys(gone, "deleted"), **dict.fromkeys(scrubbed - gone, "scrub_geo")}
        self.users = dict.fromkeys(users, "suspended")

    def expected(self, ids: list[str], type: str) -> Any:
        import pandas as pd

        told = [(self.posts if type == "tweets" else self.users).get(id) for id in ids]
        return pd.DataFrame({"action": [word and "delete" for word in told], "reason": told}, dtype=object)

    def known(self, record: records.Record) -> Known:
        told = records.named([record])
        changes = {"deleted": DROPPED, "suspended": DROPPED, "scrub_geo": GEO_BLANKED, None: KEPT}
        posts = {id: Verdict(changes[self.posts.get(str(id))]) for id in told.posts}
        users = {id: Verdict(changes[self.users.get(str(id))]) for id in told.users}
        orphans = {post for post, author in told.written if users[author].change == DROPPED}
        gone = orphans | {post for post, verdict in posts.items() if verdict.change == DROPPED}
        return Known(posts, users, orphans, {post for post, other in told.retweets if other in gone})


@given(st.one_of(st.dictionaries(words, plain, max_size=6), flat, pages), writers, st.sampled_from(["drop", "redact"]))
def test_nothing_gone_is_nothing_changed(value: dict[str, Any], write: Any, mode: str) -> None:
    """Of any object of which nothing is gone the very text comes back, also if every post was found to be fine."""
    line = write(value).encode()
    record = records.read(line)
    text, changes = records.cleaned(record, Fates(set(), set(), set()).known(record), Rules(mode))
    assert text is record.text
    assert text.encode() == line
    assert all(CHANGES[change.change].startswith("kept") for change in changes)


@given(flat | pages, writers, st.sets(ids, max_size=5), st.sets(ids, max_size=3), st.sets(names, max_size=3))
def test_what_is_gone_is_gone(
    value: dict[str, Any], write: Any, gone: set[str], scrubbed: set[str], users: set[str]
) -> None:
    """With any posts and users gone, what is left parses to what a walk through the parsed record says."""
    line = write(value).encode()
    fates = Fates(gone, scrubbed, users)
    record = records.read(line)
    text, _ = records.cleaned(record, fates.known(record), Rules())
    left = Truth([line], fates.expected).left(line)
    assert (None if text is None else json.loads(text)) == left
    if text is not None and left == value:
        assert text.encode() == line


@given(st.lists(plain, min_size=1, max_size=5) | st.dictionaries(words, plain, min_size=1), writers, st.data())
def test_splicing(value: Any, write: Any, data: st.DataObject) -> None:
    """Cutting and replacing any members or elements gives what the same does to the parsed value, and only cuts."""
    steps = list(value) if isinstance(value, dict) else list(range(len(value)))
    edits = {step: data.draw(st.sampled_from([None, CUT, NULL, Put('"new"')])) for step in steps}
    text = write(value)
    done = spliced(text, {(step,): edit for step, edit in edits.items() if edit is not None})
    left = {step: edits[step] for step in steps if edits[step] is not CUT}
    new = {
        step: (value[step] if edit is None else json.loads(edit.json if isinstance(edit, Put) else "0"))
        for step, edit in left.items()
    }
    assert json.loads(done) == (new if isinstance(value, dict) else list(new.values()))
    if all(edit is None or edit is CUT for edit in edits.values()):
        assert re.fullmatch(".*?".join(map(re.escape, done)), text, re.DOTALL)


@given(st.dictionaries(words, plain), st.sets(words), writers)
def test_only_and_add(value: dict[str, Any], keys: set[str], write: Any) -> None:
    """Any members can be kept alone, and one be added to whatever there is."""
    assert json.loads(spliced(write(value), {(): Only(frozenset(keys))})) == {
        k: v for k, v in value.items() if k in keys
    }
    if "new" not in value:
        assert json.loads(spliced(write(value), {(): Add("new", "[1]")})) == {**value, "new": [1]}


def test_a_path_that_is_not_there() -> None:
    """An edit of nothing is a mistake, and not overlooked."""
    with pytest.raises(KeyError):
        spliced('{"a": [1]}', {("a", 1): CUT})


def test_what_nobody_asked_about_is_unchecked() -> None:
    """An ID that is not among those that are known is never taken for compliant."""
    record = records.read(b'{"id": "20", "author": {"id": "7"}}')
    _, changes = records.cleaned(record, Known({}, {}), Rules())
    assert [CHANGES[change.change] for change in changes] == ["kept: unchecked"] * 2


def test_a_deep_line_is_bad() -> None:
    """A line of any depth is read or told to be bad, and never ends the pass."""
    with pytest.raises(ValueError, match="deep"):
        records.read(b'{"a":' * 100_000)


@pytest.mark.parametrize(
    ("value", "kinds"),
    [
        ({"id": "1", "name": "A", "screen_name": "a", "status": {"id": 2, "text": ""}}, ["user", "referenced post"]),
        ({"data": [{"id": "1", "name": "A", "username": "a", "pinned_tweet_id": "3"}]}, ["user"]),
        ({"id": "1", "username": "a", "text": ""}, ["post"]),
        ({"id": "1", "user": "a name", "place": 3}, ["post"]),
        ({"errors": [{"resource_id": "1"}]}, []),
        ({"data": "a text", "id": "1"}, ["post"]),
        ({"id": "1", "note_tweet": {"entities": {"mentions": [{"id": "2", "name": ""}]}}}, ["post", "user"]),
        ({"id": "1", "author": {}, "referenced_tweets": None, "entities": []}, ["post"]),
    ],
)
def test_what_a_record_is(value: dict[str, Any], kinds: list[str]) -> None:
    """Profiles are users, records with a text are posts, and odd values of known keys are nothing."""
    assert [stored.kind for stored in records.read(json.dumps(value).encode()).all()] == kinds
