"""One verdict a row from its post, its author, and the posts that it refers to, through real HTTP."""

from __future__ import annotations

import io
import itertools
import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from support import quick

import xcompliance_pd as xc
from xcompliance_pd import combined, ids, verdicts
from xcompliance_pd.protocol import JobType

DIALECTS = ("gcs", "xapi")
BOTH = {"id": "tweets", "author_id": "users"}
FIRST = 1212092628029698048
STATUSES = ("compliant", "action_required", "unchecked", "invalid")


def posts(count: int, start: int = 0) -> list[str]:
    return [str(FIRST + (start + n) * 4_194_304_007) for n in range(count)]


def records(**reasons: str) -> pd.DataFrame:
    """Return findings: `p1="suspended"` is about post 1, `a1` about author 1."""
    names = {f"p{n}": text for n, text in enumerate(posts(20))} | {f"a{n}": str(1000 + n) for n in range(20)}
    rows = [{"id": names[who], "action": "delete", "reason": reason} for who, reason in reasons.items()]
    return pd.DataFrame(rows, columns=["id", "action", "reason"])


def frame(count: int = 4, **columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"id": posts(count), "author_id": [str(1000 + n) for n in range(count)], **columns})


def table(*rows: tuple[str, str | None, str | None, int | None]) -> pd.DataFrame:
    """Return verdicts of one part: status, action, reason and the day of redaction."""
    days = pd.to_datetime([None if row[3] is None else f"2024-01-{row[3]:02}" for row in rows], utc=True)
    return pd.DataFrame(
        {
            "status": pd.Categorical([row[0] for row in rows], categories=STATUSES),
            "action": pd.Categorical([row[1] for row in rows]),
            "reason": pd.Categorical([row[2] for row in rows]),
            "created_at": pd.to_datetime([None] * len(rows), utc=True),
            "redacted_at": days,
            "checked_at": pd.to_datetime(["2024-02-01"] * len(rows), utc=True),
            "run": pd.Categorical(["r"] * len(rows)),
        }
    )


# --------------------------------------------------------------------- post and author


@pytest.mark.parametrize(("post", "author"), list(itertools.product(STATUSES, STATUSES)))
def test_a_row_is_compliant_only_if_both_are(post: str, author: str) -> None:
    """action_required if a part is, else unchecked or invalid if one is, else compliant; the cause is such a part."""
    parts = {
        JobType.TWEETS: table((post, "delete" if post == "action_required" else None, None, None)),
        JobType.USERS: table((author, "delete" if author == "action_required" else None, None, None)),
    }
    row = combined.combine(parts).iloc[0]
    both = {post, author}
    expected = next(word for word in ("action_required", "unchecked", "invalid", "compliant") if word in both)
    assert row["status"] == expected
    if expected == "compliant":
        assert pd.isna(row["cause"])
    else:
        assert {"post": post, "author": author}[row["cause"]] == expected


WORDS = [("delete", "suspended"), ("delete", "scrub_geo"), ("rehydrate", "tweet_edited"), ("frobnicate", "zap")]


@pytest.mark.parametrize(("post", "author"), list(itertools.product(range(4), range(4))))
def test_the_more_severe_part_speaks(post: int, author: int) -> None:
    """Of two parts that need action the more severe one gives action, reason and cause; of equals the post."""
    parts = {
        JobType.TWEETS: table(("action_required", *WORDS[post], 9)),
        JobType.USERS: table(("action_required", *WORDS[author], 5)),
    }
    row = combined.combine(parts).iloc[0]
    assert (row["action"], row["reason"]) == WORDS[min(post, author)]
    assert row["cause"] == ("post" if post <= author else "author")
    assert row["redacted_at"] == pd.Timestamp("2024-01-05", tz="UTC"), "the earlier redaction counts"


def test_two_jobs_one_verdict(box: xc.Sandbox) -> None:
    """`check` with a dict asks both and agrees with the truth of both; the caller's frame stays as it is."""
    data = pd.DataFrame({"id": posts(300), "author_id": [str(5000 + n // 3) for n in range(300)]}, index=range(9, 309))
    data.loc[20, "id"], data.loc[21, "author_id"] = None, None
    before = data.copy(deep=True)

    checked = data.compliance.check(BOTH, client=quick(box))

    pd.testing.assert_frame_equal(data, before)
    pd.testing.assert_frame_equal(checked[["id", "author_id"]], before)
    truth = {
        "id": box.expected(data["id"], "tweets"),
        "author_id": box.expected(data["author_id"], "users"),
    }
    for column, told in truth.items():
        assert checked[f"compliance_{column}_status"].tolist() == told["status"].tolist()
        ours = checked[f"compliance_{column}_reason"].astype(object)
        assert ours.where(ours.notna(), None).tolist() == told["reason"].tolist()
    for row in range(len(data)):
        both = [told["status"].iloc[row] for told in truth.values()]
        expected = next(word for word in ("action_required", "unchecked", "invalid", "compliant") if word in both)
        assert checked["compliance_status"].iloc[row] == expected
    assert {"action_required", "compliant", "unchecked"} == set(checked["compliance_status"])
    assert {"post", "author"} == set(checked["compliance_cause"].dropna())
    assert sorted(job.type for job in box.service.jobs) == ["tweets", "users"]


def test_compliant_rows_name_both_runs(box: xc.Sandbox) -> None:
    """Summary, sentence and apply read the columns of a combined check, also after a CSV; both runs are named."""
    with xc.Sandbox(findings=records(p1="deleted", a2="suspended")) as box:
        checked = frame().compliance.check(BOTH, client=quick(box))
    assert checked["compliance_cause"].astype(object).where(lambda c: c.notna(), None).tolist() == [
        None,
        "post",
        "author",
        None,
    ]
    runs = checked["compliance_run"].astype(str)
    assert "tweets-" in runs[0]
    assert "users-" in runs[0]
    assert "tweets-" not in runs[2]
    again = pd.read_csv(io.StringIO(checked.to_csv(index=False)), dtype={"id": str, "author_id": str})
    for each in (checked, again):
        assert "post and user IDs" in each.compliance.sentence()
        assert each.compliance.apply()["id"].tolist() == [posts(4)[0], posts(4)[3]]
    assert checked.compliance.apply(mode="redact")["compliance_author_id_reason"].tolist()[2] == "suspended"
    axes = Figure().subplots()
    assert checked.compliance.plot.timeline("id", axes) is axes, (
        "the posts' IDs tell the time, whoever else was asked about"
    )


def test_both_jobs_run_side_by_side() -> None:
    """Neither job waits for the other: both are there while none is complete."""
    with xc.Sandbox(processing_seconds=3600, complete_after=1) as box:
        client = quick(box, poll_interval=0.01)
        caught: list[BaseException] = []

        def check() -> None:
            try:
                frame().compliance.check(BOTH, client=client)
            except xc.ComplianceError as error:
                caught.append(error)

        thread = threading.Thread(target=check)
        thread.start()
        waiting = threading.Event()
        for _ in range(3000):
            if sorted(str(job.type) for job in box.service.jobs) == ["tweets", "users"]:
                break
            waiting.wait(0.01)
        kinds = sorted(str(job.type) for job in box.service.jobs)
        box.stop()
        thread.join(60)
    assert kinds == ["tweets", "users"]
    assert isinstance(caught[0], xc.Unavailable)


def test_submit_and_join_take_dicts(box: xc.Sandbox) -> None:
    """`submit` returns a run for each column, and `join` puts them on rows just as `check` does."""
    data = frame(40)
    client = quick(box)
    runs = data.compliance.submit(BOTH, client=client)
    assert {name: run.type for name, run in runs.items()} == BOTH
    joined = data.compliance.join(runs)
    checked = data.compliance.check(BOTH, client=client)
    told = [name for name in checked if "run" not in str(name) and "checked_at" not in str(name)]
    pd.testing.assert_frame_equal(joined[told], checked[told])


def test_a_failed_job_is_told_and_clears_nobody() -> None:
    """If a job fails, the check says so; joined in part, no row is compliant for want of its results."""
    data = frame()
    with xc.Sandbox(findings=records(p1="deleted"), complete_after=1) as box:
        client = quick(box)
        posted = data.compliance.submit("id", type="tweets", client=client).wait()
        box.script("get", {"mutate": {"status": "failed"}})
        users = data.compliance.submit("author_id", type="users", client=client)
        with pytest.raises(xc.JobError) as caught:
            data.compliance.join({"id": posted, "author_id": users})
        box.assert_all_fired()
        assert caught.value.run is users
        partial = data.compliance.join({"id": posted, "author_id": users}, partial=True)
    assert partial["compliance_status"].tolist() == ["unchecked", "action_required", "unchecked", "unchecked"]
    assert partial["compliance_cause"].tolist() == ["author", "post", "author", "author"]
    assert partial["compliance_id_status"].tolist().count("compliant") == 3


def test_a_part_without_any_id_clears_nobody(box: xc.Sandbox) -> None:
    """A column of authors without one ID makes no job, and no row is compliant."""
    data = frame().assign(author_id=None)
    checked = data.compliance.check(BOTH, client=quick(box))
    assert "compliant" not in set(checked["compliance_status"])
    assert [str(job.type) for job in box.service.jobs] == ["tweets"]


def test_overwriting_leaves_nothing_of_an_earlier_form(box: xc.Sandbox) -> None:
    """A plain check over a combined one takes its cause, parts and references away, for they are true no more."""
    data = frame(6, quoted_id=posts(6, 7))
    client = quick(box)
    first = data.compliance.check(BOTH, references=["quoted_id"], client=client)
    with pytest.raises(xc.InputError, match="exist already"):
        first.compliance.check(BOTH, client=client)
    with pytest.warns(xc.ComplianceWarning, match="whose author's account is gone"):
        second = first.compliance.check("id", client=client, overwrite=True)
    assert [name for name in second if name not in data] == [f"compliance_{name}" for name in verdicts.VERDICT_COLUMNS]


def test_posts_alone_are_said_to_be_less_than_could_be_known(box: xc.Sandbox) -> None:
    """A frame that has authors' IDs is told of the dict, once a call; asking both, or users, says nothing."""
    with pytest.warns(xc.ComplianceWarning, match=r"check\(\{'id': 'tweets', 'author_id': 'users'\}\)") as caught:
        frame().compliance.check("id", client=quick(box))
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frame().compliance.check(BOTH, client=quick(box), fresh=True)
        frame()[["id"]].compliance.check("id", client=quick(box), fresh=True)
        frame().compliance.check("id", type="tweets", client=quick(box), fresh=True)
        frame().compliance.check("author_id", type="users", client=quick(box), fresh=True)


# --------------------------------------------------------------------- references


def test_references_go_into_the_same_job(box: xc.Sandbox) -> None:
    """The IDs of all columns are one job of distinct IDs, and each row's references are judged by the truth."""
    data = frame(
        5,
        retweeted_id=[posts(1, 8)[0], None, posts(2)[1], None, None],
        quoted_id=[None, f"{posts(1, 9)[0]}\t{posts(1, 10)[0]}", None, [posts(1, 11)[0]], None],
    ).drop(columns="author_id")
    checked = data.compliance.check("id", references=["retweeted_id", "quoted_id"], client=quick(box))
    (job,) = box.service.jobs
    lines = job.upload.data.decode().split()
    assert sorted(lines) == sorted({*data["id"], posts(1, 8)[0], *posts(3, 9)})

    def gone(*texts: str) -> bool:
        told = box.expected(pd.Series(texts), "tweets")
        return bool(((told["action"] == "delete") & ~told["reason"].isin(["scrub_geo", "geo_scrubbed"])).any())

    expected = [
        "gone: retweeted" if gone(posts(1, 8)[0]) else "compliant",
        "gone: quoted" if gone(*posts(2, 9)) else "compliant",
        "gone: retweeted" if gone(posts(2)[1]) else "compliant",
        "gone: quoted" if gone(posts(1, 11)[0]) else "compliant",
    ]
    told = checked["compliance_references"]
    assert [word.partition(";")[0] for word in told[:4]] == expected
    assert pd.isna(told[4])


def test_what_is_no_id_or_was_not_sent_is_unchecked(box: xc.Sandbox) -> None:
    """A reference that is no ID is unchecked and warned of; so is one that the joined run was not asked about."""
    data = frame(3, quoted_id=["x", posts(1, 9)[0], None]).drop(columns="author_id")
    with xc.Sandbox(findings=[]) as box:
        with pytest.warns(xc.ComplianceWarning, match="'quoted_id' hold no ID: row 0: 'x'"):
            checked = data.compliance.check("id", references=["quoted_id"], client=quick(box))
        assert checked["compliance_references"].tolist()[:2] == ["unchecked: quoted", "compliant"]
        assert checked["compliance_status"].tolist() == ["compliant"] * 3
        run = data.compliance.submit("id", client=quick(box), fresh=True)
        joined = data.compliance.join("id", run, references=["quoted_id"])
        assert joined["compliance_references"].tolist()[:2] == ["unchecked: quoted", "unchecked: quoted"]
        with pytest.raises(xc.InputError, match="Nothing was sent"):
            data.compliance.check("id", references=["quoted_id"], client=quick(box), on_invalid="raise")
        assert len(box.service.jobs) == 2


def test_authors_of_what_is_referred_to_count() -> None:
    """A retweeted post whose author is gone is gone, if the author's column is named and users are asked about."""
    data = frame(2, retweeted_id=posts(2, 8), retweeted_user_id=["1001", "1002"])
    with xc.Sandbox(findings=records(a2="suspended")) as box:
        checked = data.compliance.check(BOTH, references=["retweeted_id", "retweeted_user_id"], client=quick(box))
        assert checked["compliance_references"].tolist() == ["compliant", "gone: retweeted"]
        assert checked.compliance.apply()["id"].tolist() == posts(1)


def test_apply_drops_retweets_and_keeps_quotes_and_replies() -> None:
    """X's rule: a stored retweet of a deleted post goes. Quotes and replies stay unless told; scrub_geo is not gone."""
    gone, scrubbed, left = posts(3, 8)
    data = frame(
        5,
        retweeted_id=[gone, None, None, scrubbed, left],
        quoted_id=[None, gone, None, None, None],
        in_reply_to_status_id=[None, None, gone, None, None],
    ).drop(columns="author_id")
    findings = pd.DataFrame({"id": [gone, scrubbed], "action": "delete", "reason": ["deleted", "scrub_geo"]})
    columns = ["retweeted_id", "quoted_id", "in_reply_to_status_id"]
    with xc.Sandbox(findings=findings) as box:
        checked = data.compliance.check("id", references=columns, client=quick(box))
    again = pd.read_csv(io.StringIO(checked.to_csv(index=False)), dtype=dict.fromkeys(data, str))
    for each in (checked, again):
        assert each.compliance.apply()["id"].tolist() == posts(5)[1:]
        assert each.compliance.apply(references=["quoted", "replied_to"])["id"].tolist() == [posts(5)[0], *posts(5)[3:]]
        assert each.compliance.apply(references=[])["id"].tolist() == posts(5)
        changes = each.compliance.changes()
        assert changes[["change", "references"]].values.tolist() == [["dropped", "gone: retweeted"]]
    with pytest.raises(xc.InputError, match="references='liked' is not known"):
        checked.compliance.apply(references="liked")


def test_unproved_retweets_are_told_of() -> None:
    """A row that retweets a post of which nothing is proved stays, and the warning counts it."""
    data = frame(2, retweeted_id=["x", posts(1, 9)[0]]).drop(columns="author_id")
    with xc.Sandbox(findings=[]) as box, pytest.warns(xc.ComplianceWarning, match="hold no ID"):
        checked = data.compliance.check("id", references=["retweeted_id"], client=quick(box))
    with pytest.warns(xc.ComplianceWarning, match=r"1 referring \(retweeted\) to posts of which nothing is proved"):
        assert len(checked.compliance.apply()) == 2


def test_a_part_that_is_not_proved_is_told_of_rows_that_need_something_else() -> None:
    """A row whose place has to go, and of whose author X gave an error only, obeys unchecked= and is counted."""
    lines = [
        f'{{"id":"{posts(1)[0]}","action":"delete","reason":"scrub_geo"}}',
        '{"id":"1000","error":"internal_error"}',
    ]
    with xc.Sandbox(findings=lines) as box:
        checked = frame(2, lat=1.5).compliance.check(BOTH, client=quick(box))
    with pytest.warns(
        xc.ComplianceWarning, match="1 told to change, while of their post or their author nothing is proved"
    ):
        assert checked.compliance.apply()["lat"].isna().tolist() == [True, False]
    with pytest.raises(xc.InputError, match="only a part was proved"):
        checked.compliance.apply(unchecked="raise")
    assert checked.compliance.apply(unchecked="drop")["id"].tolist() == posts(1, 1)


def test_rows_that_another_run_asked_about_are_told(box: xc.Sandbox) -> None:
    """Joining a run that knows none of the column's IDs says so."""
    run = frame().compliance.submit("author_id", type="users", client=quick(box)).wait()
    with pytest.warns(xc.ComplianceWarning, match="No row got a verdict of sandbox-users-"):
        joined = frame()[["id"]].compliance.join("id", run)
    assert set(joined["compliance_status"]) == {"unchecked"}


def test_retweets_that_are_not_asked_about_are_told(box: xc.Sandbox) -> None:
    """A column that says what rows retweet is pointed at; asked about, or meant not to be, nothing is said."""
    data = frame(3, retweeted_id=posts(3, 5)).drop(columns="author_id")
    with pytest.warns(xc.ComplianceWarning, match=r"references=\['retweeted_id'\]"):
        data.compliance.check("id", client=quick(box))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data.compliance.check("id", references=["retweeted_id"], client=quick(box), fresh=True)
        data.compliance.check("id", type="tweets", client=quick(box), fresh=True)


def test_the_sentence_counts_what_refers_to_posts_that_are_gone() -> None:
    """A retweet of a deleted post is compliant by itself; the sentence says all the same that it repeats one."""
    data = frame(3, retweeted_id=[posts(1, 8)[0], None, None], quoted_id=posts(3, 8)).drop(columns="author_id")
    with xc.Sandbox(findings=records(p8="deleted")) as box:
        checked = data.compliance.check("id", references=["retweeted_id", "quoted_id"], client=quick(box))
    assert "of the rows 1 retweet, 1 quote posts that are gone" in checked.compliance.sentence()


MISTAKES: list[tuple[str, Callable[[pd.DataFrame, xc.Client], object], str]] = [
    ("one column", lambda f, c: f.compliance.check({"id": "tweets"}, client=c), "For one column write"),
    ("two of posts", lambda f, c: f.compliance.check({"id": "tweets", "n": "tweets"}, client=c), "one of users"),
    ("type, too", lambda f, c: f.compliance.check(BOTH, type="tweets", client=c), "leave type= out"),
    ("no such column", lambda f, c: f.compliance.check({"id": "tweets", "autor_id": "users"}, client=c), "author_id"),
    ("no such reference", lambda f, c: f.compliance.check("id", references=["quoted"], client=c), "no column 'quoted'"),
    ("unclear", lambda f, c: f.compliance.check("id", references=["n"], client=c), "'retweeted'"),
    ("unknown word", lambda f, c: f.compliance.check("id", references={"n": "liked"}, client=c), "'liked' is no word"),
    ("user IDs", lambda f, c: f.compliance.check("id", references={"author_id": "quoted"}, client=c), "authors, too"),
    (
        "posts beside users",
        lambda f, c: f.compliance.check("author_id", type="users", references={"n": "quoted"}, client=c),
        "posts, too",
    ),
    ("old IDs", lambda f, c: f.compliance.check("id", references={"n": "quoted"}, client=c), "no plausible post IDs"),
    ("on a Series", lambda f, c: xc.check(f["id"], references=["quoted"], client=c), "beside"),
    (
        "swapped",
        lambda f, c: f.compliance.check({"author_id": "tweets", "id": "users"}, client=c),
        "Did you mean {'id'",
    ),
    ("the other way round", lambda f, c: f.compliance.check({"tweets": "id", "users": "n"}, client=c), "goes from"),
    (
        "reference to word",
        lambda f, c: f.compliance.check("id", references={"quoted": "n"}, client=c),
        "{'n': 'quoted'}",
    ),
    ("no prefix", lambda f, c: f.compliance.check("id", type="tweets", prefix="", client=c), "at least one character"),
    (
        "not asked about",
        lambda f, c: f.compliance.check("id", type="tweets", client=c).compliance.apply(references=["quoted"]),
        "was not checked for what its rows refer to",
    ),
    ("no run", lambda f, c: f.compliance.join({"id": None, "author_id": None}), "join needs a run"),
]


@pytest.mark.parametrize(("do", "says"), [mistake[1:] for mistake in MISTAKES], ids=[m[0] for m in MISTAKES])
def test_mistakes_send_nothing(do: Callable[[pd.DataFrame, xc.Client], object], says: str) -> None:
    """Each mistake is an InputError that says what to write, and no job is made of it."""
    with xc.Sandbox(findings=[]) as box:
        client = quick(box)
        with pytest.raises(xc.InputError, match=None) as caught:
            do(frame(4, n=[11, 12, 13, 14]), client)
        assert says in str(caught.value)
        assert len(client.runs()) == len(box.service.jobs) <= 1


# --------------------------------------------------------------------- cells of several IDs

NUMBERS = st.lists(st.integers(1, 2**63 - 1), max_size=5)
WRITE: dict[str, Callable[[list[int]], Any]] = {
    "list": list,
    "list of text": lambda each: [str(n) for n in each],
    "tuple": tuple,
    "array": lambda each: np.array(each, dtype=np.int64),
    "tabs": lambda each: "\t".join(map(str, each)),
    "blanks": lambda each: "  ".join(map(str, each)),
    "commas": lambda each: ", ".join(map(str, each)),
    "JSON": str,
    "Python": lambda each: str([str(n) for n in each]),
}


@pytest.mark.parametrize("way", list(WRITE))
@given(cells=st.lists(NUMBERS, max_size=6))
def test_cells_come_apart_and_nothing_is_lost(way: str, cells: list[list[int]]) -> None:
    """However several IDs stand in a cell, each gets a row of its own, in order, with every digit."""
    column = pd.Series([WRITE[way](cell) for cell in cells], dtype=object, name="ids", index=range(5, 5 + len(cells)))
    data = pd.DataFrame({"ids": column, "n": range(len(cells))})
    exploded = xc.explode_ids(data, "ids")
    expected = [(n, str(number)) for n, cell in enumerate(cells) for number in cell or [None]]
    found = [(n, "None" if pd.isna(text) else text) for n, text in zip(exploded["n"], exploded["ids"], strict=True)]
    assert found == expected
    assert exploded.index.tolist() == [n + 5 for n, _ in expected]
    assert ids.parse(exploded["ids"], "ids").invalid.sum() == 0


def test_what_is_no_id_stays_for_check_to_tell() -> None:
    """Taking apart repairs nothing: floats, words and broken lists come out as they are, and are invalid."""
    column = pd.Series(["1.2e+18", "[12, x]", "'34", 5.5, "٣٤"], dtype=object)
    exploded = xc.explode_ids(column)
    assert exploded.tolist() == ["1.2e+18", "[12", "x]", "'34", 5.5, "٣٤"]
    assert ids.parse(exploded, "ids").invalid.all()


@pytest.mark.parametrize(
    "columns", [["id", "in_reply_to_user_id", "from_user_id"], ["from_user_id", "retweeted_user_id", "id"]]
)
def test_whom_a_post_answers_is_not_taken_for_its_author(box: xc.Sandbox, columns: list[str]) -> None:
    """The warning of posts alone names the column of the author, not the one of somebody who is mentioned."""
    data = pd.DataFrame({name: posts(1) if name == "id" else ["7"] for name in columns})
    with pytest.warns(xc.ComplianceWarning, match=r"'from_user_id': 'users'"):
        data.compliance.check("id", client=quick(box))


def test_runs_side_by_side_keep_their_results_apart(box: xc.Sandbox) -> None:
    """What is in memory of one run is never taken for that of the other, however their steps interleave."""
    client = quick(box)
    runs = frame(6).compliance.submit(BOTH, client=client)
    for run in runs.values():
        run.wait()
    held = client._runner._held
    assert {id: sorted(parts) for id, parts in held.items()} == {run.id: [1] for run in runs.values()}
    sizes = {id: len(parts[1].ids) for id, parts in held.items()}
    assert set(sizes.values()) == {6}
    users, tweets = (next(held[run.id][1].ids for run in runs.values() if run.type == t) for t in ("users", "tweets"))
    assert users.max() < 2000 < tweets.min()


def test_joining_mistakes_are_told(box: xc.Sandbox) -> None:
    """A dict beside a run, and a list of columns, are refused with the way on."""
    run = frame(1).compliance.submit("id", type="tweets", client=quick(box)).wait()
    for column, message in (({"id": "tweets"}, "brings its runs with it"), (["id"], "one label, not a list")):
        with pytest.raises(xc.InputError, match=message):
            frame(1).compliance.join(column, run)
