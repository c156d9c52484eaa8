"""The main job through real HTTP: a column goes in, the sandbox's truth comes out on the rows."""

from __future__ import annotations

import asyncio
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import quick

import xcompliance_pd as xc
from xcompliance_pd.sandbox import Server
from xcompliance_pd.widgets import card

DIALECTS = ("gcs", "xapi")
FIRST = 1212092628029698048


def posts(count: int, **columns: object) -> pd.DataFrame:
    ids = (FIRST + np.arange(count, dtype=np.int64) * 4_194_304_007).astype(str)
    return pd.DataFrame({"id": ids, "text": "t", **columns})


def agrees(checked: pd.DataFrame, truth: pd.DataFrame, prefix: str = "compliance_") -> None:
    for name in ("status", "action", "reason"):
        ours, theirs = checked[prefix + name].astype(object), truth[name].astype(object)
        assert (ours.isna() == theirs.isna()).all(), name
        assert (ours[ours.notna()] == theirs[theirs.notna()]).all(), name
    for name in ("created_at", "redacted_at"):
        ours, theirs = checked[prefix + name], truth[name]
        assert ((ours == theirs) | (ours.isna() & theirs.isna())).all(), name


def test_a_hundred_thousand_rows_are_the_truth(box: xc.Sandbox) -> None:
    """100,000 rows with 5 % duplicates, missing values and an odd index come back exactly as the sandbox knows them."""
    generator = np.random.default_rng(7)
    ids = pd.Series(posts(100_000)["id"])
    ids = ids.where(generator.random(len(ids)) > 0.05, ids.iloc[0])
    ids = ids.where(generator.random(len(ids)) > 0.01, None)
    frame = pd.DataFrame({"n": np.arange(len(ids), dtype="int32"), "id": ids})
    frame.index = pd.Index(generator.integers(0, 1000, len(ids)), name="odd")
    before = frame.copy(deep=True)

    checked = frame.compliance.check("id", client=quick(box, batch_size=40_000))

    agrees(checked, box.expected(frame["id"], "tweets"))
    pd.testing.assert_frame_equal(frame, before)
    pd.testing.assert_frame_equal(checked[["n", "id"]], before)
    assert set(checked["compliance_status"]) == {"compliant", "action_required", "unchecked"}
    assert box.service.requests["create"] == 3


def test_the_card_counts_what_the_frame_says(box: xc.Sandbox) -> None:
    """What line and card claim, compliant, to act on or unchecked, are the counts of the verdicts on the rows."""
    frame = posts(5_000)
    run = frame.compliance.submit("id", client=box.client).wait()
    counts = frame.compliance.join("id", run)["compliance_status"].value_counts()
    shown = run.snapshot()
    assert shown.listed == counts["action_required"]
    assert shown.undecided == counts["unchecked"]
    assert f" {counts['compliant']:,} proved compliant" in card.line(shown)
    assert f" {counts['compliant']:,} proved compliant" in card.html(shown)
    if box.service.dialect == "xapi":  # whose results name IDs that it could not read
        assert counts["unchecked"] > 0


def test_users(box: xc.Sandbox) -> None:
    """User IDs go through a users job, whose times have the other format."""
    frame = pd.DataFrame({"author_id": np.arange(2_000, 4_000)})
    checked = frame.compliance.check("author_id", type="users", client=quick(box))
    agrees(checked, box.expected(frame["author_id"], "users"))
    assert checked["compliance_run"].iloc[0].startswith("sandbox-users-")
    assert checked["compliance_redacted_at"].notna().any()


def test_posts_means_tweets(box: xc.Sandbox) -> None:
    """Today's word is accepted and means X's word."""
    run = posts(3).compliance.submit("id", type="posts", client=quick(box))
    assert run.wait(30).type == "tweets"


NUMBERS = st.lists(st.integers(FIRST, FIRST + 10**15), min_size=1, max_size=30)
DTYPES = ["int64", "uint64", "Int64", "str", "object", "category", "string", "int64[pyarrow]", "string[pyarrow]"]


@pytest.fixture(scope="module")
def long_box(dialect: str) -> Iterator[Server]:
    """A far side for many examples: without a rate limit that would make them wait."""
    with Server(dialect=dialect, complete_after=0, rate_limits=(10**6,) * 3) as server:
        yield server


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(numbers=NUMBERS, duplicate=st.booleans(), index=st.sampled_from(["range", "text", "same"]))
def test_every_dtype(long_box: Server, dtype: str, numbers: list[int], duplicate: bool, index: str) -> None:
    """For every dtype of the ID column the verdicts are the truth, and the caller's frame keeps index and dtypes."""
    if duplicate:
        numbers = numbers + numbers[:3]
    series = pd.Series(numbers)
    series = series.astype(str).astype(dtype) if dtype in ("category", "string", "object") else series.astype(dtype)
    frame = pd.DataFrame({"id": series, "x": np.ones(len(series), dtype="float32")})
    if index != "range":
        frame.index = pd.Index([str(n) if index == "text" else "same" for n in range(len(frame))])
    before = frame.copy(deep=True)

    checked = xc.check(frame, "id", type="tweets", client=quick(long_box))

    agrees(checked, long_box.expected(pd.Series(numbers, index=frame.index), "tweets"))
    pd.testing.assert_frame_equal(frame, before)
    pd.testing.assert_frame_equal(checked[["id", "x"]], before)


def test_missing_values_in_nullable_columns(box: xc.Sandbox) -> None:
    """A missing value in Int64 or text is unchecked, and nothing else moves."""
    for column in (pd.Series([FIRST, None, FIRST + 1], dtype="Int64"), pd.Series([str(FIRST), None, str(FIRST + 1)])):
        checked = column.compliance.check(client=quick(box))
        agrees(checked, box.expected(column, "tweets"))
        assert checked["compliance_status"].iloc[1] == "unchecked"


def test_a_series_gives_the_verdict_columns(box: xc.Sandbox) -> None:
    """A Series check returns a frame of verdict columns on the same index."""
    series = posts(5)["id"].set_axis(list("abcde"))
    checked = series.compliance.check(client=quick(box), prefix="x_")
    assert list(checked) == [
        f"x_{name}" for name in ("status", "action", "reason", "created_at", "redacted_at", "checked_at", "run")
    ]
    assert list(checked.index) == list("abcde")


def test_invalid_rows_are_marked_and_never_sent(box: xc.Sandbox) -> None:
    """Damaged rows are invalid with one warning that names them; the sandbox never sees them."""
    frame = pd.DataFrame({"id": [str(FIRST), "1.4e+18", " 12", "https://x.com/a/status/123", None]})
    with pytest.warns(xc.ComplianceWarning, match=r"3 of 5 rows .*row 1: .*1\.4e\+18") as seen:
        checked = frame.compliance.check("id", client=quick(box))
    assert len(seen) == 1
    assert checked["compliance_status"].tolist()[1:] == ["invalid", "invalid", "invalid", "unchecked"]
    assert box.service.jobs[0].upload.data == f"{FIRST}\n".encode()
    assert frame.compliance.problems("id")["row"].tolist() == [1, 2, 3]


def test_overwrite_and_prefix(box: xc.Sandbox) -> None:
    """Existing verdict columns are refused before anything is sent; overwrite replaces them, another prefix adds."""
    checked = posts(3).compliance.check("id", client=quick(box))
    with pytest.raises(xc.InputError, match="overwrite=True"):
        checked.compliance.check("id", client=quick(box))
    assert box.service.requests["create"] == 1
    again = checked.compliance.check("id", client=quick(box), overwrite=True)
    assert list(again) == list(checked)
    assert (again["compliance_run"] != checked["compliance_run"].astype(str)).all()
    assert "again_status" in checked.compliance.check("id", client=quick(box), prefix="again_")


def test_all_missing_asks_nothing(box: xc.Sandbox) -> None:
    """An empty or all-missing column is a warning and unchecked rows; no request is made."""
    for values in ([None, None], []):
        frame = pd.DataFrame({"id": pd.Series(values, dtype=object)})
        with pytest.warns(xc.ComplianceWarning, match="nothing was sent"):
            checked = frame.compliance.check("id", client=quick(box))
        assert checked["compliance_status"].tolist() == ["unchecked"] * len(values)
    assert not box.service.requests


def test_submit_returns_at_once_and_join_waits(box: xc.Sandbox) -> None:
    """A run goes on in the background, tells when it is done, and its verdicts join later."""
    frame = posts(50)
    run = frame.compliance.submit("id", client=quick(box), label="panel")
    done = threading.Event()
    run.add_done_callback(lambda _: done.set())
    checked = frame.compliance.join("id", run)
    agrees(checked, box.expected(frame["id"], "tweets"))
    assert done.wait(10)
    assert run.done()
    assert run.exception() is None
    assert (run.status, run.label) == ("done", "panel")
    findings = run.result()
    assert findings["sent"].all()
    assert len(findings) == (checked["compliance_status"] == "action_required").sum()
    assert xc.runs().loc[run.id, "state"] == "done"


def test_join_on_other_rows(box: xc.Sandbox) -> None:
    """Rows whose ID was not in the run stay unchecked."""
    run = posts(3).compliance.submit("id", client=quick(box)).wait(30)
    assert posts(5).compliance.join("id", run)["compliance_status"].tolist()[3:] == ["unchecked", "unchecked"]


def test_awaiting_a_run(box: xc.Sandbox) -> None:
    """`await run` works inside a running event loop."""

    async def story() -> bool:
        run = posts(3).compliance.submit("id", client=quick(box))
        return (await run).done()

    assert asyncio.run(story())


def test_flagged_compliant_summary_read_the_columns_only(box: xc.Sandbox, tmp_path: Path) -> None:
    """A frame reloaded from CSV gives the same counts as the fresh one."""
    checked = posts(200).compliance.check("id", client=quick(box))
    checked.to_csv(tmp_path / "c.csv", index=False)
    reloaded = pd.read_csv(tmp_path / "c.csv", dtype={"id": str})
    pd.testing.assert_frame_equal(reloaded.compliance.summary(), checked.compliance.summary(), check_dtype=False)
    assert reloaded.compliance.flagged()["id"].tolist() == checked.compliance.flagged()["id"].tolist()
    assert len(reloaded.compliance.compliant()) + len(reloaded.compliance.flagged()) == 200
    assert checked.compliance.summary()["rows"].sum() == 200


def test_unfinished_runs_are_continued_and_finished_ones_are_not(dialect: str) -> None:
    """Running the cell again after a time-out makes no second job; after the end it makes a new one."""
    frame = posts(20)
    slow = xc.Sandbox(dialect=dialect, processing_seconds=3600).start()
    try:
        with pytest.raises(xc.WaitTimeout, match=r"xc\.open_run"):
            frame.compliance.check("id", client=quick(slow, poll_interval=0.05), timeout=0.5)
        slow.service.processing_seconds = 0
        with pytest.warns(xc.ComplianceWarning, match="Continuing the unfinished run"):
            checked = frame.compliance.check("id", client=quick(slow))
        assert slow.service.requests["create"] == 1
        again = frame.compliance.check("id", client=quick(slow))
        assert slow.service.requests["create"] == 2
        assert (again["compliance_run"].astype(str) != checked["compliance_run"].astype(str)).all()
    finally:
        slow.stop()


def test_stop_and_start(box: xc.Sandbox) -> None:
    """A stopped run says so, its job goes on, and it can be started again."""
    box.service.processing_seconds = 3600
    frame = posts(5)
    run = frame.compliance.submit("id", client=quick(box, poll_interval=0.05))
    run.stop()
    assert run.status == "stopped"
    box.service.processing_seconds = 0
    run.start().wait(30)
    assert run.done()
    assert box.service.requests["create"] == 1


def test_discard_deletes_the_folder(box: xc.Sandbox, tmp_path: Path) -> None:
    """discard, for trials, leaves nothing of the run on disk; what forget leaves is told in test_forget."""
    run = posts(5).compliance.submit("id", client=quick(box)).wait(30)
    folder = tmp_path / "home" / "runs" / run.id
    assert {path.name for path in folder.iterdir()} >= {"run.json", "ids-1.txt", "results-1.ndjson"}
    run.discard()
    assert not folder.exists()
    with pytest.raises(xc.LedgerError, match="no run"):
        xc.open_run(run.id)


def test_the_urls_of_ended_jobs_are_forgotten(box: xc.Sandbox) -> None:
    """Signed URLs are credentials, valid for days: a client that stays keeps none of a job that is over."""
    client = quick(box, batch_size=2)
    for _ in range(3):
        xc.check(pd.DataFrame({"id": ["20", "21", "22"]}), "id", type="tweets", client=client)
    assert len(box.service.jobs) == 6
    assert client._runner._jobs == {}


def test_an_open_time_out_leaves_no_warning(box: xc.Sandbox) -> None:
    """A clean check warns of nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        posts(5).compliance.check("id", client=quick(box))


def test_typed_functions_and_accessor_are_the_same(box: xc.Sandbox) -> None:
    """xc.check(df, ...) and df.compliance.check(...) take the same arguments and give the same verdicts."""
    frame = posts(30)
    one, two = xc.check(frame, "id", client=quick(box)), frame.compliance.check("id", client=quick(box))
    names = ["compliance_status", "compliance_action", "compliance_reason"]
    pd.testing.assert_frame_equal(one[names], two[names])
