"""What becomes of a file of posts, worked out from parsed JSON alone: to judge `clean_file`, with nothing of its own.

It walks every value of every line, takes whatever has a text for a post and whatever has a name for a user, asks the
sandbox for the truth about all their IDs, and says what each line should be.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pandas as pd

GEO = ("scrub_geo", "geo_scrubbed")
Expected = Callable[[list[str], str], pd.DataFrame]


def walk(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object in a value, itself too."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from walk(inner)


def is_post(value: Any) -> bool:
    return isinstance(value, dict) and ("text" in value or "full_text" in value) and "id" in value


def is_user(value: Any) -> bool:
    return isinstance(value, dict) and ("username" in value or "screen_name" in value) and "name" in value


def id_of(value: dict[str, Any]) -> str:
    return str(value.get("id_str") or value["id"])


def retweeted(post: dict[str, Any]) -> set[str]:
    told = {r["id"] for r in post.get("referenced_tweets", ()) if r["type"] == "retweeted"}
    return told | ({post["retweeted_status"]["id_str"]} if post.get("retweeted_status") else set())


class Truth:
    """Which posts and users of a file are gone, and which posts lose their place."""

    def __init__(self, lines: Iterable[bytes], expected: Expected) -> None:
        author: dict[str, set[str]] = {}
        retweets: dict[str, set[str]] = {}
        users: set[str] = set()
        for line in lines:
            for value in walk(json.loads(line)):
                if is_post(value):
                    of = {id_of(value[key]) for key in ("author", "user") if value.get(key)}
                    author.setdefault(id_of(value), set()).update(of | {value.get("author_id")} - {None})
                    retweets.setdefault(id_of(value), set()).update(retweeted(value))
                if is_user(value):
                    users.add(id_of(value))
        users |= {name for names in author.values() for name in names}
        posts = sorted(author.keys() | {id for ids in retweets.values() for id in ids})
        fate = dict(zip(posts, expected(posts, "tweets").itertuples(index=False), strict=True))
        users_fate = dict(zip(sorted(users), expected(sorted(users), "users").itertuples(index=False), strict=True))
        self.users = {id for id, told in users_fate.items() if told.action == "delete"}
        own = {id for id, told in fate.items() if told.action == "delete" and told.reason not in GEO}
        own |= {id for id, names in author.items() if names & self.users}
        self.posts = own | {id for id, ids in retweets.items() if ids & own}
        self.scrubbed = {id for id, told in fate.items() if told.action in GEO or told.reason in GEO} - self.posts

    def gone(self, value: Any) -> bool:
        """Whether this is a post or a user that must not be there."""
        return (is_post(value) and id_of(value) in self.posts) or (is_user(value) and id_of(value) in self.users)

    def left(self, line: bytes) -> Any:
        """Return what should be left of a line; None if nothing is."""
        before = json.loads(line)
        after = self._clean(before, "")
        if self.gone(before) or (before.get("data") and not after["data"]):
            return None
        if "includes" in before:
            for name, things in after["includes"].items():
                if name in ("media", "polls", "places"):
                    at = "media_key" if name == "media" else "id"
                    used, left = names(before, name), names(after, name)
                    after["includes"][name] = [thing for thing in things if thing[at] in left or thing[at] not in used]
        return after

    def _clean(self, value: Any, key: str) -> Any:
        if isinstance(value, list):
            return [left for element in value for left in self._element(element, key)]
        if not isinstance(value, dict):
            return value
        clean = {k: None if self.gone(v) else self._clean(v, k) for k, v in value.items()}
        if is_post(value) and id_of(value) in self.scrubbed:
            clean.update({k: None for k in ("geo", "coordinates", "place") if k in clean})
        return clean

    def _element(self, value: Any, key: str) -> list[Any]:
        if not self.gone(value):
            return [self._clean(value, key)]
        own = {"referenced_tweets": ("type", "id"), "mentions": ("start", "end", "username", "id")}.get(key)
        return [] if own is None else [{k: value[k] for k in value if k in own}]


def names(page: dict[str, Any], name: str) -> set[str]:
    """Return the media, polls or places that the posts of a page refer to."""
    posts = [*page["data"], *page["includes"]["tweets"]]
    if name == "places":
        return {post["geo"]["place_id"] for post in posts if post.get("geo")}
    key = {"media": "media_keys", "polls": "poll_ids"}[name]
    return {id for post in posts for id in post.get("attachments", {}).get(key, ())}


def judge(before: Iterable[bytes], after: Iterable[bytes], truth: Truth) -> tuple[int, int, int]:
    """Hold every line against the truth; return how many were written as they were, were changed, and went.

    Raises
    ------
    AssertionError
        Something that is gone is there, something that should be there is not, or bytes differ for no reason.
    """
    same = changed = went = 0
    written = iter(after)
    for line in before:
        left = truth.left(line)
        if left is None:
            went += 1
            continue
        now = next(written)
        assert not [value for value in walk(json.loads(now)) if truth.gone(value)]
        assert json.loads(now) == left
        assert now.endswith(line[line.rindex(b', "odd"') :])  # numbers and the line's end as they were
        if left == json.loads(line):
            assert now == line
            same += 1
        else:
            changed += 1
    assert next(written, None) is None
    return same, changed, went
