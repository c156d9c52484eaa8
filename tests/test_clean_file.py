"""Cleaning files: nothing that is gone stays, nothing else changes, and it is the same from everywhere."""

from __future__ import annotations

import functools
import gzip
import hashlib
import importlib.util
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from plain_posts import Truth, judge
from support import quick

import xcompliance_pd as xc
from xcompliance_pd import client, copies
from xcompliance_pd.cli import main
from xcompliance_pd.protocol import BASE_URL_VARIABLE, TOKEN_VARIABLES

_spec = importlib.util.spec_from_file_location("make_posts", Path(__file__).parents[1] / "data" / "make_posts.py")
assert _spec is not None
assert _spec.loader is not None
make_posts = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make_posts)

FIRST = 1212092628029698048
IDS = [str(FIRST + n * 4_194_304_007) for n in range(9)]
USERS = [str(70_000 + n) for n in range(9)]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of several parts."""
    monkeypatch.setattr(copies, "PART", 3000)


def aim(monkeypatch: pytest.MonkeyPatch, box: xc.Sandbox) -> None:
    monkeypatch.setenv(BASE_URL_VARIABLE, box.url)
    monkeypatch.setenv(TOKEN_VARIABLES[0], box.token)
    monkeypatch.setattr(client, "Client", functools.partial(xc.Client, poll_interval=0.0))


def lines(path: str | Path) -> list[bytes]:
    with open(path, "rb") as file:
        return list(file)


def save(*records: dict[str, Any] | str, name: str = "a.jsonl") -> None:
    texts = [record if isinstance(record, str) else json.dumps(record) for record in records]
    Path(name).write_text("".join(f"{text}\n" for text in texts), encoding="utf-8", newline="")


def saved(name: str = "b.jsonl") -> list[Any]:
    return [json.loads(line) for line in lines(name)]


def delete(id: str, reason: str = "deleted") -> str:
    return json.dumps({"id": id, "action": "delete", "reason": reason})


def clean(*findings: str, **options: Any) -> copies.CleanFile:
    """Clean a.jsonl into b.jsonl."""
    with xc.Sandbox(findings=findings, complete_after=1) as box:
        return xc.clean_file("a.jsonl", "b.jsonl", options.pop("column", None), client=quick(box), **options)


def counted(done: copies.CleanFile) -> dict[tuple[str, str], int]:
    return dict(done.counts.groupby(["kind", "change"], sort=False)["count"].sum())


# --------------------------------------------------------------------------- what goes, and what stays


def test_a_retweet_goes_with_what_it_retweets(here: Path) -> None:
    """A stored retweet of a gone post goes in every shape, a quote and a reply stay; nothing of the gone post does."""
    refer = {kind: {"type": kind, "id": IDS[0]} for kind in ("retweeted", "quoted", "replied_to")}
    whole = {**refer["quoted"], "text": "gone", "author_id": USERS[0]}
    save(
        {"id": IDS[1], "referenced_tweets": [refer["retweeted"]]},
        {"id": IDS[2], "referenced_tweets": [refer["replied_to"], whole], "text": "stays"},
        {"id_str": IDS[3], "retweeted_status": {"id_str": IDS[0], "text": "gone"}},
        {"id_str": IDS[4], "quoted_status": {"id_str": IDS[0], "text": "gone"}, "text": "stays"},
    )
    done = clean(delete(IDS[0]))
    assert saved() == [
        {"id": IDS[2], "referenced_tweets": [refer["replied_to"], refer["quoted"]], "text": "stays"},
        {"id_str": IDS[4], "quoted_status": None, "text": "stays"},
    ]
    assert counted(done) == {("post", "kept"): 2, ("post", "dropped"): 2, ("referenced post", "dropped"): 2}
    assert done.counts[["reason", "cause"]].values.tolist() == [
        [None, ""],
        ["deleted", "retweeted post"],
        ["deleted", ""],
    ], "the verdict is that of the other post"


def test_a_copy_goes_as_the_other_does(here: Path, small: None) -> None:
    """That a post retweets a gone one, or whose it is, may be said in another line only; every copy of it goes."""
    save(
        {"id": IDS[0], "text": "a copy that does not say what it is"},
        {"id": IDS[0], "text": "x", "referenced_tweets": [{"type": "retweeted", "id": IDS[1]}]},
        {"id": IDS[2], "text": "nor whose"},
        {"id": IDS[2], "text": "x", "author_id": USERS[0]},
        {"id": IDS[3], "text": "stays"},
        {"id": IDS[4], "text": "a copy that does not say what it is"},
        {"id": IDS[4], "text": "x", "referenced_tweets": [{"type": "retweeted", "id": IDS[2]}]},
        {"text": "has no ID of its own", "referenced_tweets": [{"type": "retweeted", "id": IDS[2]}]},
    )
    with pytest.warns(xc.ComplianceWarning, match="1 posts or users without an ID"):
        clean(delete(IDS[1]), delete(USERS[0]))
    assert [record["id"] for record in saved()] == [IDS[3]]


@pytest.mark.parametrize(
    "record",
    [
        {"id": IDS[1], "user_id": 7, "username": "b", "name": "B", "tweet": "as another program writes a post"},
        {"id": IDS[1], "username": "b", "created_at": "2020-01-01T00:00:00.000Z"},
        {"id": IDS[1], "username": "b", "name": "B", "public_metrics": {"retweet_count": 1}},
        {"id": IDS[1], "text": "x", "data": []},
        {"id": IDS[1], "data": {"id": IDS[0]}},
        {"id": IDS[1], "text": "x", "includes": [{"id": IDS[0]}]},
        {"id": IDS[1], "text": "x", "includes": {"tweets": {"id": IDS[0], "text": "gone"}}},
        {"id": IDS[1], "text": "x", "referenced_tweets": {"type": "retweeted", "id": IDS[0], "text": "gone"}},
    ],
)
def test_a_record_that_can_be_read_in_two_ways_is_invalid(here: Path, record: dict[str, Any]) -> None:
    """What may be a post or a user, or holds posts where none are known, is not guessed at: it stays, and is told."""
    save(record, {"id": IDS[2], "text": "x"})
    with pytest.warns(xc.ComplianceWarning, match="1 lines that are no JSON object, or not clearly"):
        done = clean(delete(IDS[0]), delete(IDS[1]))
    assert done.unproved
    assert counted(done)["line", "kept: invalid"] == 1
    assert lines("b.jsonl") == lines("a.jsonl")


def test_a_pinned_post_goes_with_its_user(here: Path) -> None:
    """In a page of users only the user tells whose a pinned post is."""
    user = {"id": USERS[0], "name": "A", "username": "a", "pinned_tweet_id": IDS[0]}
    other = {"id": USERS[1], "name": "B", "username": "b", "pinned_tweet_id": IDS[1]}
    save({"data": [user, other], "includes": {"tweets": [{"id": IDS[0], "text": "x"}, {"id": IDS[1], "text": "y"}]}})
    clean(delete(USERS[0], "suspended"))
    assert saved() == [{"data": [other], "includes": {"tweets": [{"id": IDS[1], "text": "y"}]}}]


def test_what_x_wants_of_an_author_it_wants_of_the_posts(here: Path) -> None:
    """Geo data goes from the posts of an author who is to be scrubbed, also if of the post nothing is known."""
    save(*({"id": id, "author_id": USERS[0], "geo": {"a": 1}} for id in IDS[:3]))
    rehydrate = json.dumps({"id": IDS[2], "action": "rehydrate", "reason": "tweet_edited"})
    error = json.dumps({"id": IDS[1], "error": "internal_error"})
    with (
        xc.Sandbox(findings=[delete(USERS[0], "scrub_geo"), error, rehydrate], dialect="xapi", complete_after=1) as box,
        pytest.warns(xc.ComplianceWarning, match="1 posts unchecked"),
    ):
        done = xc.clean_file("a.jsonl", "b.jsonl", client=quick(box))
    assert [post["geo"] for post in saved()] == [None] * 3
    assert done.counts[["change", "reason", "cause"]].values.tolist() == [
        ["geo blanked", "scrub_geo", "author"],
        ["kept: unchecked", "internal_error", ""],
    ]
    assert done.counts["count"].tolist() == [2, 1]
    assert done.unproved


def test_an_author_without_a_readable_id_is_no_known_author(here: Path) -> None:
    """A post whose stored author has an ID that is none is not called fine, wherever the author stands."""
    save({"id_str": IDS[0], "full_text": "t", "user": {"id_str": None, "id": 7, "screen_name": "x"}})
    with pytest.warns(xc.ComplianceWarning, match="posts or users without an ID"):
        done = clean()
    assert done.unproved
    assert ["kept: invalid", "author"] in done.counts[["change", "cause"]].values.tolist()


def test_verdicts_of_a_record_that_may_be_a_user(here: Path) -> None:
    """A record with verdict columns is judged by them, whatever else could be made of it; nobody is asked."""
    gone = {"compliance_status": "action_required", "compliance_action": "delete", "compliance_reason": "deleted"}
    save(
        {"id": IDS[0], "username": "bob", "likes": 3, **gone},
        {"id": IDS[1], "username": "b", "compliance_status": "compliant"},
    )
    done = xc.clean_file("a.jsonl", "b.jsonl")
    assert [record["id"] for record in saved()] == [IDS[1]]
    assert not done.unproved


def test_redacting_needs_the_key_of_the_id(here: Path) -> None:
    """Redacted records keep their ID, so it must be known where that is."""
    gone = {"compliance_status": "action_required", "compliance_action": "delete", "compliance_reason": "deleted"}
    save({"tweet_id": IDS[0], "text": "x", **gone})
    with pytest.raises(xc.InputError, match=r"no key 'id'.*Name its key"):
        xc.clean_file("a.jsonl", "b.jsonl", mode="redact")
    xc.clean_file("a.jsonl", "b.jsonl", "tweet_id", mode="redact")
    assert saved() == [{"tweet_id": IDS[0], **gone}]


@pytest.mark.parametrize("name", ["csv", "parquet", "jsonl"])
def test_doubts_beside_the_status_are_told_of_files_too(here: Path, name: str) -> None:
    """A row is not settled while a part of it, or the post that it retweets, was not proved; as in a frame."""
    frame = pd.DataFrame(
        {
            "id": IDS[:2],
            "lat": ["1", "2"],
            "compliance_status": ["compliant", "action_required"],
            "compliance_action": [None, "delete"],
            "compliance_reason": [None, "scrub_geo"],
            "compliance_references": ["unchecked: retweeted", "compliant"],
            "compliance_author_id_status": ["compliant", "unchecked"],
        }
    )
    if name == "jsonl":
        frame.to_json("a.jsonl", orient="records", lines=True)
    elif name == "csv":
        frame.to_csv("a.csv", index=False)
    else:
        frame.to_parquet("a.parquet", index=False)
    with pytest.warns(xc.ComplianceWarning) as told:
        done = xc.clean_file(f"a.{name}", f"b.{name}")
    assert "1 rows told to change, while of their post or their author nothing is proved" in str(told[0].message)
    assert "1 rows referring (retweeted) to posts of which nothing is proved" in str(told[0].message)
    assert done.unproved
    with pytest.warns(xc.ComplianceWarning, match="1 rows referring"):
        strict = xc.clean_file(f"a.{name}", f"c.{name}", unchecked="drop")
    assert strict.rows == (2, 1)
    with pytest.raises(xc.InputError):
        xc.clean_file(f"a.{name}", f"d.{name}", unchecked="raise")


@pytest.mark.parametrize("name", ["csv", "parquet"])
def test_what_is_to_be_kept_must_be_there_before_anything_is_sent(here: Path, name: str) -> None:
    """A name in keep= that the table does not have is told at once; one of a file without header is its number."""
    frame = pd.DataFrame({"id": IDS[:2], "text": ["x", "y"]})
    if name == "csv":
        frame.to_csv("a.csv", index=False)
    else:
        frame.to_parquet("a.parquet", index=False)
    with xc.Sandbox() as box, pytest.raises(xc.InputError, match="no column 'txt'"):
        xc.clean_file(f"a.{name}", f"b.{name}", "id", mode="redact", keep="txt", client=quick(box))
    assert not box.service.requests


@pytest.mark.parametrize("cause", ["author", "retweeted post"])
def test_a_damaged_id_of_what_a_post_hangs_on_is_told(here: Path, cause: str) -> None:
    """A post whose author, or what it retweets, has an ID that is none is not called fine."""
    other = {"author_id": "abc"} if cause == "author" else {"referenced_tweets": [{"type": "retweeted", "id": "abc"}]}
    save({"id": IDS[0], "text": "x", **other})
    with pytest.warns(xc.ComplianceWarning, match="1 posts or users without an ID"):
        done = clean()
    assert done.counts[["change", "cause"]].values.tolist() == [["kept: invalid", cause]]
    with pytest.warns(xc.ComplianceWarning, match="1 posts or users without an ID"):
        assert clean(invalid="drop").output.read_bytes() == b""
    with pytest.raises(xc.InputError, match="Nothing was sent"):
        clean(invalid="raise")


def test_a_key_that_no_record_has_is_refused(here: Path) -> None:
    """A mistyped COLUMN sends nothing and writes nothing; the message names the keys there are."""
    save({"id": IDS[0], "text": "x"})
    with pytest.raises(xc.InputError, match=r"No record of a\.jsonl has the key 'nope'; the first has 'id', 'text'"):
        clean(delete(IDS[0]), column="nope")
    assert not Path("b.jsonl").exists()


def test_what_a_flat_record_includes_is_cleaned(here: Path) -> None:
    """With COLUMN, includes and inlined posts are looked at as well; redacting keeps none of them, whoever names it."""
    gone = {"tweets": [{"id": IDS[0], "text": "gone"}]}
    save({"pid": IDS[1], "includes": gone}, {"pid": IDS[2], "includes": gone})
    clean(delete(IDS[0]), delete(IDS[2]), column="pid", mode="redact", keep=["includes"])
    assert saved() == [{"pid": IDS[1], "includes": {"tweets": []}}, {"pid": IDS[2]}]


def test_runs_that_do_not_know_of_posts_are_told(here: Path) -> None:
    """By a run of users alone no post is called fine without a word; the same for authors, by a run of posts."""
    save({"id": IDS[0], "text": "x", "author_id": USERS[0]})
    with xc.Sandbox(findings=[], complete_after=1) as box:
        access = quick(box)
        users = xc.submit(pd.Series(USERS[:1]), type="users", client=access).wait()
        posts = xc.submit(pd.Series(IDS[:1]), client=access).wait()
        for run, what in ((users, "Posts"), (posts, "Authors")):
            with pytest.warns(xc.ComplianceWarning, match=f"{what} were not asked about"):
                assert xc.clean_file("a.jsonl", "b.jsonl", runs=run, client=access).unproved
        assert not xc.clean_file("a.jsonl", "b.jsonl", runs=[posts, users], client=access).unproved


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet"])
def test_the_changes_must_not_take_a_files_place(here: Path, name: str) -> None:
    """changes= that is the file itself, or its copy, is refused before anything is sent, and the file is as it was."""
    kind = name.partition(".")[2]
    frame = pd.DataFrame({"id": IDS[:2]})
    if kind == "parquet":
        frame.to_parquet(name)
    elif kind == "csv":
        frame.to_csv(name, index=False)
    else:
        save({"id": IDS[0]})
    before = Path(name).read_bytes()
    with xc.Sandbox(findings=[]) as box:
        for changes in (name, f"./o.{kind}"):
            with pytest.raises(xc.InputError, match="changes= names the file itself"):
                xc.clean_file(name, f"o.{kind}", "id", changes=changes, client=quick(box))
        assert not box.service.jobs
    assert Path(name).read_bytes() == before


def test_parquet_forgets_the_words_of_what_went(here: Path) -> None:
    """The dictionary of a category holds nothing of a row that went, in whatever row group."""
    words = pa.array(["SECRETGONE", "b", None, "b"]).dictionary_encode()
    pq.write_table(pa.table({"id": IDS[:4], "text": words}), "a.parquet", row_group_size=2)
    with xc.Sandbox(findings=[delete(IDS[0])]) as box:
        xc.clean_file("a.parquet", "b.parquet", "id", client=quick(box))
    assert b"SECRETGONE" not in Path("b.parquet").read_bytes()
    assert pq.read_table("b.parquet")["text"].to_pylist() == ["b", None, "b"]
    assert pq.read_schema("b.parquet").equals(pq.read_schema("a.parquet"))


def test_verdicts_that_are_no_words_are_invalid(here: Path) -> None:
    """A record whose verdict is a list, which nothing here has written, is kept and told."""
    save(
        {"id": IDS[0], "compliance_status": "compliant", "compliance_action": None, "compliance_reason": None},
        {"id": IDS[1], "compliance_status": ["compliant"], "compliance_action": None, "compliance_reason": None},
    )
    with pytest.warns(xc.ComplianceWarning, match="1 lines without an ID that could be checked"):
        done = clean()
    assert counted(done)["line", "kept: invalid"] == 1


def test_an_author_takes_the_posts_along(here: Path) -> None:
    """Posts of a gone author go, also a retweet of one whose author only another line tells; so does the profile."""
    save(
        {"id": IDS[1], "referenced_tweets": [{"type": "retweeted", "id": IDS[0]}], "author_id": USERS[1]},
        {"id": IDS[2], "author_id": USERS[2], "in_reply_to_user": {"id": USERS[0], "name": "gone"}},
        {"id": IDS[0], "author_id": USERS[0]},
        {"id": IDS[0], "text": "from an answer without authors"},
        {"id_str": IDS[3], "user": {"id_str": USERS[0], "name": "gone"}},
        {
            "data": [
                {"id": IDS[4], "entities": {"mentions": [{"start": 1, "id": USERS[0], "username": "u", "name": "n"}]}}
            ],
            "includes": {"users": [{"id": USERS[0]}, {"id": USERS[5]}]},
        },
    )
    clean(delete(USERS[0], "suspended"))
    assert saved() == [
        {"id": IDS[2], "author_id": USERS[2], "in_reply_to_user": None},
        {
            "data": [{"id": IDS[4], "entities": {"mentions": [{"start": 1, "id": USERS[0], "username": "u"}]}}],
            "includes": {"users": [{"id": USERS[5]}]},
        },
    ]


def test_what_was_attached_goes_along(here: Path) -> None:
    """Media, polls and places leave with the only posts that refer to them; those that others refer to stay."""
    posts = [
        {"id": IDS[0], "attachments": {"media_keys": ["a", "b"]}, "geo": {"place_id": "p"}},
        {"id": IDS[1], "attachments": {"media_keys": ["b"], "poll_ids": ["7"]}, "geo": {"place_id": "q"}},
        {"id": IDS[2], "geo": {"place_id": "r"}},
    ]
    includes = {
        "media": [{"media_key": key} for key in "abc"],
        "polls": [{"id": "7"}],
        "places": [{"id": id} for id in "pqr"] + [{"id": ["p"]}],
    }
    save({"data": posts, "includes": includes})
    clean(delete(IDS[0]), delete(IDS[2], "scrub_geo"))
    assert saved() == [
        {
            "data": [posts[1], {"id": IDS[2], "geo": None}],
            "includes": {
                "media": [{"media_key": key} for key in "bc"],
                "polls": [{"id": "7"}],
                "places": [{"id": "q"}, {"id": ["p"]}],
            },
        }
    ]


def test_scrub_geo_never_drops(here: Path) -> None:
    """A post whose place is to be deleted loses that and stays; one without any is told."""
    save(
        {"id": IDS[0], "geo": {"place_id": "x"}, "n": 1},
        {"id_str": IDS[1], "coordinates": {"c": [1.5]}, "place": {"id": "x"}, "geo": None},
        {"id": IDS[2]},
    )
    with pytest.warns(xc.ComplianceWarning, match="1 posts told to lose their geo data"):
        done = clean(*(delete(id, "scrub_geo") for id in IDS[:3]))
    assert saved() == [
        {"id": IDS[0], "geo": None, "n": 1},
        {"id_str": IDS[1], "coordinates": None, "place": None, "geo": None},
        {"id": IDS[2]},
    ]
    assert counted(done) == {("post", "geo blanked"): 2, ("post", "kept: no geo found"): 1}


def test_pages_that_are_left_empty(here: Path) -> None:
    """A page none of whose posts stays goes as a line, a stream's single post too; a page without posts stays."""
    empty = {"meta": {"result_count": 0}}
    save(
        {"data": [{"id": IDS[0]}], "includes": {"tweets": []}, "meta": {"result_count": 1}},
        empty,
        {"data": {"id": IDS[0]}},
    )
    clean(delete(IDS[0]))
    assert saved() == [empty]


def test_profiles_are_users(here: Path) -> None:
    """Pages of users are asked about as users, never as posts."""
    save({"data": [{"id": user, "name": "A", "username": "a"} for user in USERS[:2]]})
    done = clean(delete(USERS[0]), delete(USERS[1]).replace(USERS[1], IDS[0]))
    assert saved() == [{"data": [{"id": USERS[1], "name": "A", "username": "a"}]}]
    assert [run.type for run in done.runs] == ["users"]


def test_one_type_is_asked_about_alone(here: Path) -> None:
    """With one type, only its verdicts count: posts of gone authors, or posts that are gone themselves."""
    save({"id": IDS[0], "author_id": USERS[0]}, {"id": IDS[1], "author_id": USERS[1]})
    for types, left in (("users", IDS[1]), ("posts", IDS[0])):
        done = clean(delete(USERS[0]), delete(IDS[1]), types=types)
        assert [post["id"] for post in saved()] == [left]
        assert [run.type for run in done.runs] == ["users" if types == "users" else "tweets"]
        assert not done.unproved


# --------------------------------------------------------------------------- modes and options


def test_redacting_and_marking(here: Path) -> None:
    """Redacted posts keep their ID and what is named; marked ones are told what would be done, and nothing goes."""
    page = {
        "data": [{"id": IDS[0], "text": "gone", "lang": "en"}, {"id": IDS[1]}],
        "includes": {"tweets": [{"id": IDS[0]}]},
    }
    save(page)
    assert counted(clean(delete(IDS[0]), mode="redact", keep="lang"))["post", "redacted"] == 1
    assert saved() == [{"data": [{"id": IDS[0], "lang": "en"}, {"id": IDS[1]}], "includes": {"tweets": []}}]
    save({"id": IDS[0], "author": {"id": USERS[0]}, "n": 1.5})
    clean(delete(IDS[0]), mode="redact", keep=["author", "n"])
    assert saved() == [{"id": IDS[0], "n": 1.5}]
    save(page)
    clean(delete(IDS[0]), mode="mark")
    mark = {"compliance_change": "dropped"}
    assert saved() == [
        {"data": [{**page["data"][0], **mark}, {"id": IDS[1]}], "includes": {"tweets": [{"id": IDS[0], **mark}]}}
    ]


def test_unchecked_is_kept_and_told(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody knows of stays, with a warning and exit status 3, or goes, or is refused; nothing is written then."""
    save({"id": IDS[0]}, {"id": IDS[1]}, name="a.jsonl")
    with xc.Sandbox(findings=[], complete_after=1) as box:
        aim(monkeypatch, box)
        run = xc.submit(pd.Series(IDS[:1]), client=quick(box)).wait()
        with pytest.warns(xc.ComplianceWarning, match="1 posts unchecked, so nothing proves them compliant"):
            done = xc.clean_file("a.jsonl", "b.jsonl", runs=run)
        assert done.unproved
        assert lines("b.jsonl") == lines("a.jsonl")
        xc.clean_file("a.jsonl", "c.jsonl", runs=run, unchecked="drop")
        assert saved("c.jsonl") == [{"id": IDS[0]}]
        with pytest.raises(xc.InputError, match=r"There are posts that are unchecked. Nothing was written"):
            xc.clean_file("a.jsonl", "d.jsonl", runs=run, unchecked="raise")
        assert main(["apply", "a.jsonl", "-o", "e.jsonl", "--run", run.id]) == 3
        assert main(["apply", "a.jsonl", "-o", "e.jsonl", "--run", run.id, "--unchecked", "drop"]) == 0
    assert not Path("d.jsonl").exists()


def test_an_unchecked_author_leaves_a_post_unchecked(here: Path) -> None:
    """A compliant post is not told to be settled while nothing is known of its author."""
    save({"id": IDS[0], "author_id": USERS[0]})
    error = json.dumps({"id": USERS[0], "error": "invalid_id"})
    with xc.Sandbox(findings=[error], dialect="xapi", complete_after=1) as box, pytest.warns(xc.ComplianceWarning):
        done = xc.clean_file("a.jsonl", "b.jsonl", client=quick(box))
    assert done.counts[["change", "cause"]].values.tolist() == [["kept: unchecked", "author"]]


BAD = ["no json", "[1]", '{"id": "1", "id": "2"}', '{"text": "no ID"}', '{"id": 1.0e18}', '{"data": [1]}']


@pytest.mark.parametrize("bad", BAD)
def test_what_cannot_be_read_stays(here: Path, bad: str) -> None:
    """A line that is no record, or has no ID, is kept byte for byte and counted; or dropped; or refused unsent."""
    save(bad, {"id": IDS[0]})
    with pytest.warns(xc.ComplianceWarning, match=r"a.jsonl holds 1 .* \(line 1\)"):
        done = clean()
    assert lines("b.jsonl") == lines("a.jsonl")
    assert done.counts["change"].tolist().count("kept: invalid") == 1
    with pytest.warns(xc.ComplianceWarning, match="line 1"):
        clean(invalid="drop")
    assert saved() == [{"id": IDS[0]}]
    with xc.Sandbox() as box, pytest.raises(xc.InputError, match=r"Nothing was sent"):
        xc.clean_file("a.jsonl", "c.jsonl", client=quick(box), invalid="raise")
    assert not box.service.requests


def test_numbers_are_exact(here: Path) -> None:
    """IDs that are JSON numbers are read exactly, and the text of v1.1's two IDs counts."""
    save(f'{{"id": {IDS[0]}}}', f'{{"id": {int(IDS[1]) + 1}, "id_str": "{IDS[1]}"}}', f'{{"id": {int(IDS[0]) + 1}}}')
    clean(delete(IDS[0]), delete(IDS[1]))
    assert saved() == [{"id": int(IDS[0]) + 1}]


def test_flat_records(here: Path) -> None:
    """With a column, flat records are cleaned line for line; a column of users needs its type."""
    rows = [f'{{"post" : "{IDS[n]}", "by": "{USERS[n]}", "lat": 1.50, "x": "\\u00e9" }}' for n in range(3)]
    save(*rows)
    clean(delete(IDS[0]), delete(IDS[2], "scrub_geo"), column="post")
    assert lines("b.jsonl") == [f"{rows[1]}\n".encode(), f"{rows[2]}\n".replace("1.50", "null").encode()]
    clean(delete(USERS[0]), column="by", types="users")
    assert lines("b.jsonl") == lines("a.jsonl")[1:]
    save({"author_id": USERS[0]})
    with xc.Sandbox() as box, pytest.raises(xc.InputError, match="looks like user IDs"):
        xc.clean_file("a.jsonl", "b.jsonl", "author_id", client=quick(box))
    assert not box.service.requests


def test_users_taken_for_posts_are_refused(here: Path) -> None:
    """Records whose IDs are hardly posts' are not sent as posts, unless somebody says that they are."""
    save(*({"id": id} for id in USERS))
    with xc.Sandbox() as box, pytest.raises(xc.InputError, match="no plausible post IDs"):
        xc.clean_file("a.jsonl", "b.jsonl", client=quick(box))
    assert not box.service.requests
    assert len(clean(types=["tweets"]).runs) == 1


def test_records_with_verdicts(here: Path) -> None:
    """What `check` wrote is cleaned without a request, and redacted rows keep their verdict."""
    rows = [f'{{"id":"{id}","compliance_status":"compliant","n":1.10}}' for id in IDS[:2]]
    verdict = '"compliance_status":"action_required","compliance_action":"delete","compliance_reason":"suspended"'
    save(rows[0], f'{{"id":"{IDS[2]}",{verdict},"text":"gone"}}', "", rows[1], f'{{"id":"{IDS[3]}"}}')
    with pytest.warns(xc.ComplianceWarning, match="1 posts unchecked"):
        done = xc.clean_file("a.jsonl", "b.jsonl")
    assert lines("b.jsonl") == [lines("a.jsonl")[n] for n in (0, 2, 3, 4)]
    assert not done.runs
    with pytest.warns(xc.ComplianceWarning):
        xc.clean_file("a.jsonl", "b.jsonl", mode="redact")
    assert lines("b.jsonl")[1] == f'{{"id":"{IDS[2]}",{verdict}}}\n'.encode()
    with pytest.raises(xc.InputError, match="has verdict columns"):
        xc.clean_file("a.jsonl", "b.jsonl", types="tweets")
    with pytest.raises(xc.InputError, match="records that are unchecked"):
        xc.clean_file("a.jsonl", "b.jsonl", unchecked="raise")
    save(f'{{"id":"{IDS[2]}",{verdict.replace("suspended", "scrub_geo")},"lat":1.50}}')
    assert counted(xc.clean_file("a.jsonl", "b.jsonl")) == {("post", "geo blanked"): 1}
    assert lines("b.jsonl") == [lines("a.jsonl")[0].replace(b"1.50", b"null")]


# --------------------------------------------------------------------------- files


@pytest.mark.parametrize("later", ["changed", "longer", "shorter"])
def test_a_file_that_changes_is_refused(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], later: str
) -> None:
    """A file that is another one when it is written ends in an error, and what was there stays."""
    save({"id": IDS[0], "n": 1}, {"id": IDS[1], "n": 1})
    Path("b.jsonl").write_text("before")
    real = copies._Lines._finish

    new = {"id": IDS[1], "n": 2}
    lines = {"changed": [new], "longer": [{**new, "n": 1}, {"id": IDS[2]}], "shorter": []}[later]

    def change(self: Any, *arguments: Any) -> Any:
        save({"id": IDS[0], "n": 1}, *lines)
        return real(self, *arguments)

    monkeypatch.setattr(copies._Lines, "_finish", change)
    with xc.Sandbox(findings=[], complete_after=1) as box:
        aim(monkeypatch, box)
        assert main(["apply", "a.jsonl", "-o", "b.jsonl"]) == 1
    error = capsys.readouterr().err
    assert "a.jsonl was changed while it was read. Nothing was written" in error
    assert "To go on, run the command again" in error
    assert Path("b.jsonl").read_text() == "before"
    assert sorted(path.name for path in here.iterdir()) == ["a.jsonl", "b.jsonl"]


def test_a_file_can_be_its_own_copy(here: Path) -> None:
    """A file is replaced by its clean copy when that is whole, and a second time nothing is left to do."""
    save({"id": IDS[0]}, {"id": IDS[1]})
    with xc.Sandbox(findings=[delete(IDS[0])], complete_after=1) as box:
        for change in ("dropped", "kept"):
            done = xc.clean_file("a.jsonl", "a.jsonl", client=quick(box))
            assert ("post", change) in counted(done)
            assert saved("a.jsonl") == [{"id": IDS[1]}]
    assert [path.name for path in here.iterdir()] == ["a.jsonl"]


def test_packed_and_marked_files(here: Path) -> None:
    """Packed files, a byte order mark, a missing last line's end and blank lines are all kept."""
    text = f'\ufeff{{"id": "{IDS[0]}"}}\r\n\n{{"id": "{IDS[1]}"}}\n{{"id": "{IDS[2]}"}}'
    with gzip.open("a.jsonl.gz", "wt", encoding="utf-8", newline="") as file:
        file.write(text)
    with xc.Sandbox(findings=[delete(IDS[1])], complete_after=1) as box:
        xc.clean_file("a.jsonl.gz", "b.jsonl.gz", client=quick(box))
        with gzip.open("b.jsonl.gz", "rt", encoding="utf-8", newline="") as file:
            assert file.read() == text.replace(f'{{"id": "{IDS[1]}"}}\n', "")
        whole = Path("a.jsonl.gz").read_bytes()
        Path("a.jsonl.gz").write_bytes(whole[:-9])
        with pytest.raises(xc.InputError, match="is not a whole gzip file"):
            xc.clean_file("a.jsonl.gz", "b.jsonl.gz", client=quick(box))


def test_refusals(here: Path) -> None:
    """What cannot be done is told before anything is read or sent."""
    save({"id": IDS[0]})
    Path("u.jsonl").write_bytes(b"\xff\xfe{\0}\0")
    with xc.Sandbox() as box:
        runs = [xc.submit(pd.Series(IDS[n : n + 1]), client=quick(box)).wait() for n in (0, 1)]
        for arguments, words in (
            ({"output": "b.csv"}, "Write .jsonl from .jsonl"),
            ({"output": "no/b.jsonl"}, "does not exist"),
            ({"changes": "no/c.csv"}, "does not exist"),
            ({"mode": "burn"}, "mode='burn'"),
            ({"keep": ["id"]}, "Use it with mode='redact'"),
            ({"types": ()}, "names nothing"),
            ({"types": "posters"}, "posters"),
            ({"runs": runs}, "not two of the same type"),
            ({"runs": runs[:1], "types": "tweets"}, "Give runs= or types="),
            ({"max_age": "a day"}, "max_age='a day'"),
            ({"max_age": "24h", "fresh": True}, "Use one of them"),
            ({"path": "none.jsonl"}, "no such file"),
            ({"path": "u.jsonl"}, "UTF-16"),
        ):
            options = {"path": "a.jsonl", "output": "b.jsonl", "client": quick(box), **arguments}
            with pytest.raises(xc.InputError, match=words):
                xc.clean_file(**options)
    assert not Path("b.jsonl").exists()


def test_posts_and_users_run_side_by_side(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The users' run is under way before anybody waits for the posts'; an error in one stops watching the other."""
    save({"id": IDS[0], "author_id": USERS[0]})
    said: list[tuple[str, str]] = []
    start, wait = xc.Run.start, xc.Run.wait
    monkeypatch.setattr(xc.Run, "start", lambda run: said.append(("start", run.type)) or start(run))
    monkeypatch.setattr(xc.Run, "wait", lambda run, *a, **k: said.append(("wait", run.type)) or wait(run, *a, **k))
    clean()
    assert said == [("start", "users"), ("wait", "tweets"), ("wait", "users")]
    with xc.Sandbox(findings=[], complete_after=1) as box, pytest.raises(xc.AuthError):
        xc.clean_file("a.jsonl", "c.jsonl", client=xc.Client("wrong", box.url, poll_interval=0.0))
    assert not Path("c.jsonl").exists()


# --------------------------------------------------------------------------- tables


def parquet(rows: int = 40) -> pa.Table:
    ids = [str(FIRST + n * 4_194_304_007) for n in range(rows)]
    return pa.table(
        {
            "id": pa.array([None if n == 5 else id for n, id in enumerate(ids)]),
            "text": pa.array([f"post {n}" for n in range(rows)], pa.large_string()),
            "lat": pa.array([n / 7 for n in range(rows)], pa.float32()),
            "word": pa.array(["a", "b"] * (rows // 2)).dictionary_encode(),
            "post": pa.array(
                [{"geo": {"place_id": f"p{n}"}, "n": [n, None]} for n in range(rows)],
                pa.struct({"geo": pa.struct({"place_id": pa.string()}), "n": pa.list_(pa.int16())}),
            ),
            "at": pa.array([None, 1] * (rows // 2), pa.timestamp("ns", "UTC")),
        }
    ).replace_schema_metadata({"of": "a test"})


LOST = [2, 3, 25]
NO_PLACE = [7, 26]


def findings() -> list[str]:
    ids = [str(FIRST + n * 4_194_304_007) for n in range(40)]
    return [*(delete(ids[n]) for n in LOST), *(delete(ids[n], "scrub_geo") for n in NO_PLACE)]


def wanted(table: pa.Table) -> list[dict[str, Any]]:
    rows = table.to_pylist()
    for n in NO_PLACE:
        rows[n]["lat"] = None
        rows[n]["post"]["geo"] = None
    return [row for n, row in enumerate(rows) if n not in LOST]


@pytest.mark.parametrize("way", ["asked", "runs", "checked", "frame"])
def test_parquet_keeps_its_schema(here: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """Rows and places go, nested ones too; schema, types, other values and untouched row groups are what they were."""
    table = parquet()
    pq.write_table(table, "a.parquet", row_group_size=10)
    with xc.Sandbox(findings=findings(), complete_after=1) as box:
        aim(monkeypatch, box)
        if way == "checked":
            assert main(["check", "a.parquet", "id", "-o", "a.parquet"]) == 0
            asked = box.service.requests.total()
            with pytest.warns(xc.ComplianceWarning, match="1 rows unchecked"):
                done = xc.clean_file("a.parquet", "b.parquet", changes="c.csv")
            assert box.service.requests.total() == asked
        elif way == "frame":
            save_csv = pd.DataFrame({"id": table["id"].to_pylist(), "lat": table["lat"].to_pylist()})
            save_csv.to_csv("a.csv", index=False)
            with pytest.warns(xc.ComplianceWarning, match="1 rows unchecked"):
                done = xc.clean_file("a.csv", "b.csv", "id", client=quick(box), changes="c.csv")
        else:
            runs = [xc.submit(pd.Series(table["id"].to_pylist()), client=quick(box)).wait()] if way == "runs" else []
            with pytest.warns(xc.ComplianceWarning, match="1 rows unchecked"):
                done = xc.clean_file("a.parquet", "b.parquet", "id", client=quick(box), runs=runs, changes="c.csv")
    assert counted(done) == {
        ("row", "kept"): 34,
        ("row", "dropped"): 3,
        ("row", "geo blanked"): 2,
        ("row", "kept: unchecked"): 1,
    }
    assert pd.read_csv("c.csv")["row"].tolist() == sorted([*LOST, *NO_PLACE, 5])
    if way == "frame":
        frame = pd.read_csv("b.csv", dtype=str)
        assert list(frame.columns) == ["id", "lat"]
        assert frame["id"].fillna("").tolist() == [row["id"] or "" for row in wanted(table)]
        assert frame["lat"].isna().tolist() == [row["lat"] is None for row in wanted(table)]
        return
    before, after = pq.ParquetFile("a.parquet"), pq.ParquetFile("b.parquet")
    assert after.schema_arrow.equals(before.schema_arrow, check_metadata=True)
    assert after.read(table.column_names).to_pylist() == wanted(table)
    assert [after.metadata.row_group(n).num_rows for n in range(4)] == [8, 10, 9, 10]
    for group in (1, 3):
        assert after.read_row_group(group).equals(before.read_row_group(group))
    assert done.unproved


def test_parquet_in_other_modes(here: Path) -> None:
    """Redacted rows lose all cells but those named; marked ones get a word; what cannot be missing is refused."""
    table = parquet().set_column(1, pa.field("text", pa.string(), nullable=False), [["x"] * 40])
    pq.write_table(table.select(["id", "lat"]), "a.parquet", row_group_size=10)
    pq.write_table(table, "c.parquet")
    with xc.Sandbox(findings=findings(), complete_after=1) as box:
        run = xc.submit(pd.Series(table["id"].to_pylist()), client=quick(box)).wait()
        with pytest.warns(xc.ComplianceWarning):
            xc.clean_file("a.parquet", "b.parquet", "id", runs=run, mode="redact", keep="id")
        rows = pq.read_table("b.parquet").to_pylist()
        assert [n for n, row in enumerate(rows) if row["lat"] is None] == sorted([*LOST, *NO_PLACE])
        assert [row["id"] for row in rows] == table["id"].to_pylist()
        with pytest.warns(xc.ComplianceWarning):
            xc.clean_file("a.parquet", "b.parquet", "id", runs=run, mode="mark")
        marked = pq.read_table("b.parquet")
        assert marked.drop(["compliance_change"]).equals(pq.read_table("a.parquet"))
        assert [n for n, word in enumerate(marked["compliance_change"].to_pylist()) if word == "dropped"] == LOST
        with pytest.raises(xc.InputError, match="'text' must lose cells and cannot have missing values"):
            xc.clean_file("c.parquet", "d.parquet", "id", runs=run, mode="redact")
    assert not Path("d.parquet").exists()


def test_one_type_of_a_table(here: Path) -> None:
    """A table has IDs of one type, and verdicts that it has are not asked for."""
    pq.write_table(parquet(), "a.parquet")
    with pytest.raises(xc.InputError, match="of one type"):
        xc.clean_file("a.parquet", "b.parquet", "id", types=["tweets", "users"])
    frame = pd.DataFrame(
        {"id": IDS[:1], "compliance_status": "compliant", "compliance_action": "", "compliance_reason": ""}
    )
    frame.to_csv("a.csv", index=False)
    assert counted(xc.clean_file("a.csv", "b.csv")) == {("row", "kept"): 1}
    with pytest.raises(xc.InputError, match="has verdict columns"):
        xc.clean_file("a.csv", "b.csv", types="tweets")


def test_no_token_is_told_with_a_way_out(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a token nothing is sent or written, and the sandbox is named."""
    save({"id": IDS[0]})
    assert main(["apply", "a.jsonl", "-o", "b.jsonl"]) == 1
    assert "--sandbox" in capsys.readouterr().err
    assert not Path("b.jsonl").exists()


# --------------------------------------------------------------------------- the whole way


@pytest.mark.parametrize(("dialect", "posts"), [("gcs", 1000), ("xapi", 3000)])
@pytest.mark.parametrize("shape", make_posts.SHAPES)
def test_a_synthetic_file(here: Path, small: None, shape: str, dialect: str, posts: int) -> None:
    """Of a file with includes and references an independent walk finds nothing gone, and all the rest as it was."""
    make_posts.write(Path("a.jsonl"), posts, shape)
    with (
        xc.Sandbox(dialect=dialect, complete_after=1) as box,
        pytest.warns(xc.ComplianceWarning) if (dialect == "xapi") else _no_warning(),
    ):
        done = xc.clean_file("a.jsonl", "b.jsonl", client=quick(box, batch_size=2500))
        truth = Truth(lines("a.jsonl"), box.expected)
    same, changed, went = judge(lines("a.jsonl"), lines("b.jsonl"), truth)
    assert changed
    assert went > 0 or shape == "pages"
    assert same > 100 or shape == "pages"
    assert counted(done)["post", "dropped"] > posts / 3
    assert {run.type for run in done.runs} == {"tweets", "users"}
    assert bool(truth.scrubbed) == (dialect == "xapi")


class _no_warning:
    def __enter__(self) -> None:
        return None

    def __exit__(self, *exc_info: object) -> None:
        return None


def test_the_command_does_the_same(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`xcompliance apply` writes the same bytes; with the runs that it made it does so again without a request."""
    make_posts.write(Path("a.jsonl"), 300, "pages")
    with xc.Sandbox(complete_after=1) as box:
        aim(monkeypatch, box)
        assert main(["apply", "a.jsonl", "-o", "b.jsonl", "--changes", "changes.csv"]) == 0
        assert "Wrote b.jsonl." in capsys.readouterr().out
        asked = box.service.requests.total()
        runs = [word for run in xc.runs().index for word in ("--run", run)]
        assert main(["apply", "a.jsonl", "-o", "c.jsonl", *runs]) == 0
        done = xc.clean_file("a.jsonl", "d.jsonl", runs=[xc.open_run(run) for run in xc.runs().index])
        assert box.service.requests.total() == asked
        truth = Truth(lines("a.jsonl"), box.expected)
    judge(lines("a.jsonl"), lines("b.jsonl"), truth)
    assert lines("b.jsonl") == lines("c.jsonl") == lines("d.jsonl")
    log = pd.read_csv("changes.csv", dtype={"id": str})
    assert len(log) == done.counts["count"].sum() - done.counts.loc[done.counts["change"] == "kept", "count"].sum()
    assert set(log.loc[log["kind"] == "user", "id"]) <= truth.users


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet", "a.csv", "own.jsonl", "own.parquet"])
def test_it_is_on_record(here: Path, name: str) -> None:
    """Each run whose verdicts were taken, reused ones too, has a record with counts and both files' checksums."""
    frame = pd.DataFrame({"id": IDS[:4], "text": "x"})
    kind = name.partition(".")[2]

    def write(table: pd.DataFrame) -> None:
        if kind == "jsonl":
            table.to_json(name, orient="records", lines=True)
        elif kind == "parquet":
            table.to_parquet(name)
        else:
            table.to_csv(name, index=False)

    write(frame)
    with xc.Sandbox(findings=[delete(IDS[0])], complete_after=1) as box:
        access = quick(box)
        if name.startswith("own"):
            write(frame.compliance.check("id", client=access).astype(str))
        done = [xc.clean_file(name, f"b.{kind}", "id", client=access)]
        (first,) = access.runs().index
        if not name.startswith("own"):
            write(pd.concat([frame, frame.tail(1).assign(id=IDS[5])]))
            with pytest.warns(xc.ComplianceWarning, match="are reused"):
                done.append(xc.clean_file(name, f"c.{kind}", "id", client=access, max_age="1h"))
        applied = access.open_run(first).applied()
    assert applied["holds"].all()
    assert applied["dropped"].tolist() == [1] * len(done)
    assert applied[["rows_before", "rows_after"]].values.tolist() == [[4, 3], [5, 4]][: len(done)]
    for copy, (_, record) in zip(done, applied.iterrows(), strict=True):
        digest = hashlib.sha256(copy.output.read_bytes()).hexdigest()
        assert list(record["columns_after"].values()) == [digest]
    assert list(applied["columns_before"].iloc[-1].values()) == [hashlib.sha256(Path(name).read_bytes()).hexdigest()]


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet", "a.csv"])
def test_a_second_run_with_max_age_asks_nothing(
    here: Path, small: None, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """What was proved lately is not asked again, from the function and from the command; the copies are the same.

    Of a file to which something came only that is sent.
    """
    kind = name.partition(".")[2]
    column = [] if kind == "jsonl" else ["id"]
    make_posts.write(Path("a.jsonl"), 300, "flat")
    rows = [json.loads(line) for line in lines("a.jsonl")]
    table = pd.DataFrame({"id": [row["id"] for row in rows], "text": [row["text"] for row in rows]})
    if kind == "parquet":
        pq.write_table(pa.Table.from_pandas(table), name, row_group_size=100)
    elif kind == "csv":
        table.to_csv(name, index=False)
    with xc.Sandbox(complete_after=1) as box:
        aim(monkeypatch, box)
        first = xc.clean_file(name, f"b.{kind}", *column, client=quick(box, batch_size=100))
        asked = box.service.requests.total()
        with pytest.warns(xc.ComplianceWarning, match=r"All [0-9,]+ IDs were proved within 24 hours and are reused"):
            second = xc.clean_file(name, f"c.{kind}", *column, client=quick(box), max_age="24h")
        assert main(["apply", name, *column, "-o", f"d.{kind}", "--max-age", "24h"]) == 0
        assert box.service.requests.total() == asked, "a request was made"
        assert second.counts.equals(first.counts)
        assert Path(f"b.{kind}").read_bytes() == Path(f"c.{kind}").read_bytes() == Path(f"d.{kind}").read_bytes()
        if kind == "jsonl":
            with open("a.jsonl", "a") as file:
                file.write('{"id": "1212092628029698041", "author_id": "123456789", "text": "x"}\n')
            with pytest.warns(xc.ComplianceWarning, match="are reused; 1 is sent"):
                xc.clean_file(name, "e.jsonl", client=quick(box), max_age="24h")
            sent = [job.upload.data.decode().split() for job in box.service.jobs[-2:]]
            assert sorted(sent) == [["1212092628029698041"], ["123456789"]]
            judge(lines("a.jsonl"), lines("e.jsonl"), Truth(lines("a.jsonl"), box.expected))


def test_the_command_with_its_own_sandbox(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --sandbox no account is needed, and the output says that all is invented."""
    make_posts.write(Path("a.jsonl"), 50, "flat")
    assert main(["apply", "a.jsonl", "-o", "b.jsonl", "--sandbox"]) == 0
    assert "SANDBOX" in capsys.readouterr().out
    with xc.Sandbox() as box:
        judge(lines("a.jsonl"), lines("b.jsonl"), Truth(lines("a.jsonl"), box.expected))


def test_columns_of_views_lose_rows_and_cells(here: Path) -> None:
    """Arrow takes no rows of a view; the clean file has the same types nevertheless."""
    gone = ["compliant", "action_required", "action_required"]
    columns = {
        "id": pa.array(IDS[:3]),
        "place": pa.array(["a", "b", "c"], pa.string_view()),
        "compliance_status": pa.array(gone),
        "compliance_action": pa.array([None, "delete", "delete"]),
        "compliance_reason": pa.array([None, "deleted", "scrub_geo"]),
    }
    try:
        pq.write_table(pa.table(columns), "a.parquet")
    except pa.ArrowNotImplementedError:
        pytest.skip("this version of Arrow writes no views to Parquet, so no file has them")
    before = pq.read_table("a.parquet")
    xc.clean_file("a.parquet", "b.parquet")
    after = pq.read_table("b.parquet")
    assert after.schema == before.schema
    assert after["place"].to_pylist() == ["a", None]


def test_a_part_of_a_record_that_must_be_there_is_refused(here: Path) -> None:
    """Nothing is invented where the schema allows no missing value."""
    raw = pa.struct([pa.field("geo", pa.struct([pa.field("x", pa.int64(), nullable=False)]), nullable=False)])
    columns = {
        "id": pa.array(IDS[:1]),
        "raw": pa.array([{"geo": {"x": 1}}], raw),
        "compliance_status": pa.array(["action_required"]),
        "compliance_action": pa.array(["delete"]),
        "compliance_reason": pa.array(["scrub_geo"]),
    }
    pq.write_table(pa.table(columns), "a.parquet")
    with pytest.raises(xc.InputError, match="'raw' must lose geo data within its records"):
        xc.clean_file("a.parquet", "b.parquet")
    assert not Path("b.parquet").exists()
