"""Write a file of synthetic posts as X's API and twarc write them: ``python data/make_posts.py 200000 posts.jsonl``.

``--shape pages`` writes answers of API v2 with up to 100 posts and their ``includes``; ``flat`` the same posts one a
line, with what was included put inside, as twarc's ``flatten`` does it; ``v1`` posts of API v1.1. All IDs, names and
texts are made up; the bytes are the same each time. Posts refer to others of the file: retweets, quotes and replies,
some of posts that are nowhere stored. Lines differ in spacing, escapes and the notation of numbers, as those of
different tools do.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

SEED = 20_230_101
SNOWFLAKE_EPOCH_MS = 1_288_834_974_657
FIRST_MS = 1_420_070_400_000  # 2015-01-01
STEP_MS = 60_000
PAGE = 100
BACK = 2_000  # how far back a post refers to others
SHAPES = ("pages", "flat", "v1")

WORDS = (
    "heron",
    "café",
    "night train",
    "rain ☔",
    "Tante Zoé",
    'said "never"',
    "路",
    "back\\slash",
    "a/b",
    "\u2028line",
)
PLACES = ("Sample Bay", "Exampleton", "Musterstadt", "Villa Ejemplo")
KINDS = ("retweeted", "quoted", "replied_to")


class Maker:
    """Makes posts by their number, each time the same."""

    def __init__(self, posts: int) -> None:
        self._posts = posts
        self._authors = max(posts // 8, 3)

    def post(self, number: int) -> dict[str, Any]:
        """Return a post of API v2."""
        random = Random(SEED * 1_000_003 + number)
        post: dict[str, Any] = {
            "id": self.id(number),
            "author_id": self.author(number),
            "text": f"{random.choice(WORDS)} {random.choice(WORDS)} {number}",
            "public_metrics": {
                "like_count": random.randrange(100),
                "score": random.random(),
                "big": 10 ** random.randrange(30),
            },
            "edit_history_tweet_ids": [self.id(number)],
        }
        references = []
        if number and random.random() < 0.5:
            kind = random.choice(KINDS)
            other = random.randrange(max(0, number - BACK), number)
            references.append({"type": kind, "id": self.id(other)})
            if kind == "replied_to":
                post["in_reply_to_user_id"] = self.author(other)
                if random.random() < 0.3:  # a reply that quotes
                    references.append(
                        {"type": "quoted", "id": self.id(random.randrange(max(0, number - BACK), number))}
                    )
        if references:
            post["referenced_tweets"] = references
        if random.random() < 0.2:
            place = random.randrange(len(PLACES))
            post["geo"] = {"place_id": f"{place:016x}"}
            if random.random() < 0.5:
                post["geo"]["coordinates"] = {"type": "Point", "coordinates": [8.10, -50.25]}
        if random.random() < 0.15:
            post["attachments"] = {"media_keys": [f"3_{number % (self._posts // 2 + 1) + 1}"]}
        elif random.random() < 0.05:
            post["attachments"] = {"poll_ids": [str(number + 1)]}
        if random.random() < 0.2:
            name = self.author(random.randrange(self._posts))
            post["entities"] = {"mentions": [{"start": 0, "end": 5, "username": f"user{name}", "id": name}]}
        return post

    def id(self, number: int) -> str:
        return str((FIRST_MS + number * STEP_MS - SNOWFLAKE_EPOCH_MS) << 22 | (number * 7919) % (1 << 22))

    def number(self, id: str) -> int:
        return ((int(id) >> 22) + SNOWFLAKE_EPOCH_MS - FIRST_MS) // STEP_MS

    def author(self, number: int) -> str:
        which = Random(SEED * 7 + number).randrange(self._authors)
        return str(10_000 + 97 * which if which % 2 else (90_000_000_000_000 + which) << 12)

    def user(self, id: str) -> dict[str, Any]:
        return {
            "id": id,
            "username": f"user{id}",
            "name": f"{WORDS[int(id) % len(WORDS)]} {int(id) % 977}",
            "description": "made up",
            "public_metrics": {"followers_count": int(id) % 1000},
        }

    def place(self, id: str) -> dict[str, Any]:
        name = PLACES[int(id, 16)]
        return {"id": id, "full_name": name, "country": "Nowhere", "geo": {"type": "Feature", "bbox": [8.0, 50.10]}}

    # ----------------------------------------------------------------- shapes

    def pages(self) -> Iterator[dict[str, Any]]:
        """Yield answers of API v2. What a page refers to is mostly, and not always, in its `includes`."""
        for start in range(0, self._posts, PAGE):
            random = Random(SEED + start)
            data = [self.post(number) for number in range(start, min(start + PAGE, self._posts))]
            ids = {r["id"] for post in data for r in post.get("referenced_tweets", ()) if random.random() < 0.8}
            included = [self.post(self.number(id)) for id in sorted(ids)]
            both = data + included
            includes: dict[str, Any] = {"tweets": included, "users": [self.user(id) for id in self._users(both)]}
            media = sorted({key for post in both for key in post.get("attachments", {}).get("media_keys", ())})
            polls = sorted({key for post in both for key in post.get("attachments", {}).get("poll_ids", ())})
            places = sorted({post["geo"]["place_id"] for post in both if "geo" in post})
            for name, things in (
                ("media", [{"media_key": key, "type": "photo", "url": f"https://example.org/{key}"} for key in media]),
                ("polls", [{"id": key, "options": [{"label": "yes"}]} for key in polls]),
                ("places", [self.place(key) for key in places]),
            ):
                if things:
                    includes[name] = things
            yield {"data": data, "includes": includes, "meta": {"result_count": len(data)}, "__twarc": {"version": "2"}}

    def _users(self, posts: list[dict[str, Any]]) -> list[str]:
        ids = {post["author_id"] for post in posts} | {post.get("in_reply_to_user_id") for post in posts}
        ids |= {m["id"] for post in posts for m in post.get("entities", {}).get("mentions", ())}
        return sorted(id for id in ids if id is not None)

    def flat(self) -> Iterator[dict[str, Any]]:
        """Yield posts with what they refer to inside them."""
        for number in range(self._posts):
            yield self._flattened(self.post(number), Random(SEED + number), 2)

    def _flattened(self, post: dict[str, Any], random: Random, depth: int) -> dict[str, Any]:
        post["author"] = self.user(post["author_id"])
        if "in_reply_to_user_id" in post:
            post["in_reply_to_user"] = self.user(post["in_reply_to_user_id"])
        for mention in post.get("entities", {}).get("mentions", ()):
            mention.update(self.user(mention["id"]))
        if "geo" in post:
            post["geo"].update(self.place(post["geo"]["place_id"]))
        for reference in post.get("referenced_tweets", ()) if depth else ():
            if random.random() < 0.8:
                other = self._flattened(self.post(self.number(reference["id"])), random, depth - 1)
                reference.update({key: value for key, value in other.items() if key not in reference})
        return post

    def v1(self) -> Iterator[dict[str, Any]]:
        """Yield posts of API v1.1."""
        for number in range(self._posts):
            yield self._older(number, 2)

    def _older(self, number: int, depth: int) -> dict[str, Any]:
        post = self.post(number)
        user = self.user(post["author_id"])
        older: dict[str, Any] = {
            "id": int(post["id"]),
            "id_str": post["id"],
            "full_text": post["text"],
            "user": {
                "id": int(user["id"]),
                "id_str": user["id"],
                "screen_name": user["username"],
                "name": user["name"],
            },
            "geo": None,
            "coordinates": post.get("geo", {}).get("coordinates"),
            "place": self.place(post["geo"]["place_id"]) if "geo" in post else None,
            "favorite_count": post["public_metrics"]["like_count"],
        }
        for reference in post.get("referenced_tweets", ()):
            other = self.number(reference["id"])
            if reference["type"] == "replied_to":
                older["in_reply_to_status_id_str"] = reference["id"]
            elif reference["type"] == "retweeted":
                older["retweeted_status"] = self._older(other, depth - 1) if depth else {"id_str": reference["id"]}
            else:
                older["quoted_status_id_str"] = reference["id"]
                if depth:
                    older["quoted_status"] = self._older(other, depth - 1)
        return older


def line(record: dict[str, Any], number: int) -> bytes:
    """Return a record as a line, in one of the ways in which tools write it."""
    way = number % 4
    if way == 0:
        text = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
    elif way == 1:
        text = json.dumps(record)
    elif way == 2:
        text = json.dumps(record, ensure_ascii=False, separators=(" ,\t", " : "))
    else:
        text = json.dumps(record, separators=(",", ": ")).replace("/", "\\/")
    text = text[:-1] + ', "odd" : 1.10 , "other":-0.0,"e":1E+2}'  # numbers that nobody writes twice the same
    return text.encode() + (b"\r\n" if number % 50 == 49 else b"\n")


def write(path: Path, posts: int, shape: str) -> None:
    """Write a file, one line at a time."""
    records: Iterator[dict[str, Any]] = getattr(Maker(posts), shape)()
    with open(path, "wb") as file:
        for number, record in enumerate(records):
            file.write(line(record, number))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("posts", type=int)
    parser.add_argument("path", type=Path)
    parser.add_argument("--shape", choices=SHAPES, default="pages")
    arguments = parser.parse_args()
    write(arguments.path, arguments.posts, arguments.shape)
