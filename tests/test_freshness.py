"""Asking again: only what was proved lately is reused, only by its files, and nothing unproved gets through."""

from __future__ import annotations

import dataclasses
import json
import shutil
import stat
import time
import warnings
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support import quick
from test_cli import FIRST, aim, here, save
from test_cli import posts as posts_with_authors

import xcompliance_pd as xc
from xcompliance_pd import freshness, reuse
from xcompliance_pd.cli import main
from xcompliance_pd.errors import ComplianceWarning, InputError, WaitTimeout
from xcompliance_pd.ledger import Ledger
from xcompliance_pd.lifecycle import Batch, Phase, RunRecord
from xcompliance_pd.protocol import JobType
from xcompliance_pd.runner import Clock
from xcompliance_pd.tables import parquet

__all__ = ["here"]  # a fixture

HOUR = 3600.0
DAY = 24 * HOUR
URL = "https://api.x.com"


def posts(count: int = 40) -> pd.DataFrame:
    return posts_with_authors(count)[["id", "text"]]


def later(box: xc.Sandbox, hours: float, **settings: Any) -> xc.Client:
    """Return a client whose clock is so many hours ahead."""
    return quick(box, clock=Clock(now=lambda: time.time() + hours * HOUR), **settings)


def nobody(box: xc.Sandbox) -> xc.Client:
    """Return a client without a token."""
    return xc.Client(base_url=box.url)


def folder(run: str) -> Path:
    return Ledger().folder(run)


def statuses(checked: pd.DataFrame) -> list[str]:
    return checked["compliance_status"].tolist()


def runs_of(checked: pd.DataFrame) -> list[str]:
    return checked["compliance_run"].astype(object).tolist()


def requests(box: xc.Sandbox) -> int:
    return sum(box.service.requests.values())


@pytest.fixture
def silent() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ComplianceWarning)
        yield


# --------------------------------------------------------------------------- how old it may be


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("24h", DAY),
        (" 7d ", 7 * DAY),
        ("90min", 5400),
        ("90 minutes", 5400),
        ("1 Day", DAY),
        ("2w", 14 * DAY),
        ("1.5h", 5400),
        ("30s", 30),
        (timedelta(hours=3), 3 * HOUR),
        (pd.Timedelta("1D"), DAY),
    ],
)
def test_an_age_is_a_number_and_a_unit(given: Any, seconds: float) -> None:
    """What people write for an age is understood."""
    assert freshness.seconds(given) == seconds


@pytest.mark.parametrize(
    "given",
    [
        24,
        24.0,
        "24",
        "",
        "h",
        "1m",
        "1M",
        "-1h",
        "0h",
        "1h 30",
        "1e3s",
        "inf h",
        timedelta(0),
        timedelta.max,
        "999999w",
        None,
        pd.NaT,
        [],
    ],
)
def test_what_is_no_age_is_refused(given: Any) -> None:
    """No unit, two meanings, nothing, or less: an error that shows what to write."""
    with pytest.raises(InputError, match="max_age='24h'"):
        freshness.seconds(given)


# --------------------------------------------------------------------------- what is sent


def test_without_an_age_nothing_is_reused(box: xc.Sandbox) -> None:
    """A second check sends everything again, a second after the first."""
    frame = posts()
    xc.check(frame, "id", client=quick(box))
    again = xc.check(frame, "id", client=quick(box))
    assert len(box.service.jobs) == 2
    assert len(set(runs_of(again))) == 1


def test_only_what_is_new_is_sent(box: xc.Sandbox) -> None:
    """With max_age the new IDs alone are sent; every other row has the verdict, time and run of the check before."""
    frame = posts()
    before = xc.check(frame.head(30), "id", client=quick(box, batch_size=11))
    with pytest.warns(ComplianceWarning, match=r"^30 of 40 IDs were proved within 24 hours .* reused; 10 are sent\.$"):
        after = xc.check(frame, "id", client=quick(box), max_age="24h")
    assert statuses(after) == box.expected(frame["id"])["status"].tolist()
    sent = xc.open_run(runs_of(after)[-1], quick(box)).record
    assert sent.ids == 10
    pd.testing.assert_frame_equal(
        after.head(30).astype({"compliance_run": object}), before.astype({"compliance_run": object})
    )
    assert set(runs_of(after)[30:]) == {sent.id}
    assert set(runs_of(before)) != {sent.id}


def test_if_all_is_fresh_nobody_is_asked(box: xc.Sandbox) -> None:
    """No request is made and no token is looked for; the verdicts are the same."""
    frame = pd.concat([posts(), posts().head(3), pd.DataFrame({"id": [None, "x"]})])
    with pytest.warns(ComplianceWarning, match="2 of 45 rows|1 of 45 rows"):
        before = xc.check(frame, "id", client=quick(box))
    spent = requests(box)
    with pytest.warns(ComplianceWarning) as told:
        after = xc.check(frame, "id", client=nobody(box), max_age=pd.Timedelta(hours=1))
    assert any("All 40 IDs were proved within 1 hour and are reused; nothing is sent." in str(w.message) for w in told)
    assert requests(box) == spent
    pd.testing.assert_frame_equal(before, after)
    with pytest.raises(xc.AuthError):
        xc.check(posts(41), "id", client=nobody(box), max_age="1h")


def test_what_is_older_is_sent_again(box: xc.Sandbox) -> None:
    """23 hours later all is fresh within 24, 25 hours later nothing is."""
    xc.check(posts(), "id", client=quick(box))
    assert not xc.stale(posts(), "id", "24h", client=later(box, 23)).any()
    assert xc.stale(posts(), "id", "24h", client=later(box, 25)).all()
    xc.check(posts(), "id", client=later(box, 25), max_age="24h")  # a warning would be an error
    assert len(box.service.jobs) == 2


def test_another_service_proves_nothing(box: xc.Sandbox) -> None:
    """What one service said is not reused for another: a sandbox's verdicts never mix with real ones."""
    xc.check(posts(), "id", client=quick(box))
    with xc.Sandbox(complete_after=1) as other:
        assert xc.stale(posts(), "id", "24h", client=quick(other)).all()
        xc.check(posts(), "id", client=quick(other), max_age="24h")
        assert len(other.service.jobs) == 1


def test_another_type_proves_nothing(box: xc.Sandbox) -> None:
    """The same number may be a post's and a user's, so a check of posts says nothing about users."""
    xc.check(posts(), "id", client=quick(box))
    assert xc.stale(posts(), "id", "24h", type="users", client=quick(box)).all()
    assert not xc.stale(posts(), "id", "24h", type="posts", client=quick(box)).any()


def test_what_rests_on_a_word_is_not_reused(tmp_path: Path) -> None:
    """A job that was made elsewhere makes rows compliant on somebody's word; nothing of it is fresh."""
    frame = posts()
    lines = [f'{{"id":"{FIRST}","action":"delete","reason":"suspended"}}']
    with xc.Sandbox(findings=lines, complete_after=1) as box:
        elsewhere = quick(box, home=tmp_path / "elsewhere")
        xc.submit(frame, "id", client=elsewhere).wait()
        job = xc.jobs(client=quick(box))["id"][0]
        run = xc.attach(job, sent=frame["id"], client=quick(box))
        with pytest.warns(ComplianceWarning, match="on your word alone"):
            assert "compliant" in statuses(xc.join(frame, "id", run))
        assert xc.stale(frame, "id", "24h", client=quick(box)).all()
        assert not xc.stale(frame, "id", "24h", client=elsewhere).any()


def test_an_id_with_an_error_only_is_asked_again() -> None:
    """X said of an ID only that there was an error, so it is not fresh, and it is not compliant."""
    frame = posts(4)
    lines = [f'{{"id":"{FIRST}","error":"internal_error"}}']
    with xc.Sandbox(findings=lines, complete_after=1) as box:
        assert statuses(xc.check(frame, "id", client=quick(box))) == [
            "unchecked",
            "compliant",
            "compliant",
            "compliant",
        ]
        assert xc.stale(frame, "id", "24h", client=quick(box)).tolist() == [True, False, False, False]


def test_of_a_batch_that_is_not_proved_only_what_it_lists_is_fresh() -> None:
    """Results that prove no absence make nobody fresh but the IDs that they list with a verdict."""
    frame = posts(4)
    lines = [f'{{"id":"{FIRST}","action":"delete","reason":"deleted"}}']
    with xc.Sandbox(findings=lines, complete_after=1) as box:
        box.script("download", *[["bare", "line:what is this"]] * 5)
        with pytest.warns(ComplianceWarning, match="stay unchecked"):
            checked = xc.check(frame, "id", client=quick(box))
        assert statuses(checked) == ["action_required", *["unchecked"] * 3]
        assert xc.stale(frame, "id", "24h", client=quick(box)).tolist() == [False, True, True, True]


@pytest.mark.usefixtures("silent")
def test_the_newest_verdict_stands() -> None:
    """An ID that was gone and is back is compliant, whatever the older run lists, and the other way round."""
    frame, port = posts(2), 0
    for gone in frame["id"]:
        lines = [f'{{"id":"{gone}","action":"delete","reason":"deleted"}}']
        with xc.Sandbox(findings=lines, complete_after=1, port=port) as box:
            latest = runs_of(xc.check(frame, "id", client=quick(box)))[0]
            port = int(box.url.rpartition(":")[2])
            checked = xc.check(frame, "id", client=quick(box), max_age="24h")
        assert runs_of(checked) == [latest] * 2
    assert statuses(checked) == ["compliant", "action_required"]
    _age(latest, -60)
    older = xc.check(frame, "id", client=xc.Client(base_url=f"http://127.0.0.1:{port}"), max_age="24h")
    assert statuses(older) == ["action_required", "compliant"]


def _age(run_id: str, seconds: float) -> None:
    """Move the checks of a run in time."""
    ledger = Ledger()
    run = ledger.load(run_id)
    for batch in run.batches:
        assert batch.checked_at is not None
        run = run.with_batch(dataclasses.replace(batch, checked_at=batch.checked_at + seconds))
    ledger.save(run)


def test_two_wishes_that_contradict_each_other(box: xc.Sandbox) -> None:
    """Everything anew, and only what is older: an error before anything is sent."""
    with pytest.raises(InputError, match="Use one of them"):
        xc.check(posts(), "id", client=quick(box), fresh=True, max_age="24h")
    assert not requests(box)


# --------------------------------------------------------------------------- submit, join, going on


def test_join_puts_both_on_the_rows(box: xc.Sandbox) -> None:
    """The run that is submitted covers what is sent, and knows in any kernel what is reused for the others."""
    frame = posts()
    before = xc.check(frame.head(30), "id", client=quick(box))
    with pytest.warns(ComplianceWarning, match="30 of 40"):
        run = xc.submit(frame, "id", client=quick(box), max_age="24h")
    assert run.record.ids == 10
    for opened in (run, xc.open_run(run.id, quick(box))):
        joined = xc.join(frame, "id", opened)
        assert statuses(joined) == box.expected(frame["id"])["status"].tolist()
        assert runs_of(joined) == [*runs_of(before), *[run.id] * 10]
    with (
        pytest.warns(ComplianceWarning, match="All 40"),
        pytest.raises(InputError, match=r"nothing to submit\. check\(\.\.\., max_age"),
    ):
        xc.submit(frame, "id", client=quick(box), max_age="24h")


def test_what_was_forgotten_proves_nothing(box: xc.Sandbox) -> None:
    """With the older run goes what it proved: the rows are unchecked, with a warning, and never compliant."""
    frame = posts()
    before = xc.check(frame.head(30), "id", client=quick(box))
    with pytest.warns(ComplianceWarning, match="30 of 40"):
        run = xc.submit(frame, "id", client=quick(box), max_age="24h").wait()
    xc.open_run(runs_of(before)[0], quick(box)).forget()
    with pytest.warns(ComplianceWarning, match="30 rows stay unchecked"):
        joined = xc.join(frame, "id", run)
    assert statuses(joined)[:30] == ["unchecked"] * 30
    assert "unchecked" not in statuses(joined)[30:]
    assert xc.stale(frame, "id", "24h", client=quick(box)).tolist() == [True] * 30 + [False] * 10


@pytest.mark.usefixtures("silent")
def test_a_check_that_was_interrupted_goes_on(box: xc.Sandbox) -> None:
    """Called again, also when what it reuses has become too old meanwhile, a check goes on with its run."""
    frame = posts()
    xc.check(frame.head(30), "id", client=quick(box))
    with pytest.raises(WaitTimeout):
        xc.check(frame, "id", client=later(box, 23.5), max_age="24h", timeout=0)
    (unfinished,) = xc.runs().query("state == 'unfinished'").index
    with pytest.warns(ComplianceWarning) as told:
        checked = xc.check(frame, "id", client=later(box, 24.5), max_age="24h")
    assert any("Continuing the unfinished run" in str(warning.message) for warning in told)
    assert len(xc.runs()) == 2
    assert runs_of(checked)[-1] == unfinished
    assert statuses(checked) == box.expected(frame["id"])["status"].tolist()


@pytest.mark.usefixtures("silent")
def test_a_check_begun_too_long_ago_is_not_gone_on_with(box: xc.Sandbox) -> None:
    """A run that was begun longer ago than max_age, or that let its verdicts be older, holds what is too old."""
    frame = posts()
    xc.check(frame.head(30), "id", client=quick(box))
    with pytest.raises(WaitTimeout):
        xc.check(frame, "id", client=quick(box), max_age="24h", timeout=0)

    def candidates(hours: float, age: float) -> list[reuse.Reuse]:
        return [each for each in later(box, hours).reuses(JobType.TWEETS, age) if each.run is not None]

    assert [len(candidates(*case)) for case in ((1, DAY), (25, DAY), (0, HOUR), (25, 2 * DAY))] == [1, 0, 0, 1]


def test_a_whole_run_that_is_unfinished_goes_on_too(box: xc.Sandbox) -> None:
    """A check without max_age that was interrupted is the one to go on with, when it is asked for with it."""
    with pytest.raises(WaitTimeout):
        xc.check(posts(), "id", client=quick(box), timeout=0)
    with pytest.warns(ComplianceWarning, match="Continuing the unfinished run"):
        checked = xc.check(posts(), "id", client=quick(box), max_age="24h")
    assert statuses(checked) == box.expected(posts()["id"])["status"].tolist()
    assert len(xc.runs()) == 1


def test_an_older_record_says_that_nothing_is_reused(box: xc.Sandbox) -> None:
    """A run written before there was max_age is read as one that reuses nothing."""
    run = xc.submit(posts(), "id", client=quick(box)).wait()
    path = folder(run.id) / "run.json"
    data = json.loads(path.read_text())
    del data["reused"], data["max_age"]
    path.write_text(json.dumps(data))
    assert Ledger().load(run.id).reused == ()
    path.write_text(json.dumps({**data, "reused": "tweets-20261123-0123abcd/1"}))
    with pytest.raises(xc.LedgerError, match="is damaged"):
        Ledger().load(run.id)


# --------------------------------------------------------------------------- the index is a hint


def forge(run_id: str, ids: Any) -> None:
    """Write an index that fits the batch's files and its own checksum, and lies."""
    ledger = Ledger()
    ledger.write_index(run_id, ledger.load(run_id).batches[0], np.unique(np.asarray(ids, dtype=np.int64)))


def test_a_forged_index_makes_nobody_compliant(box: xc.Sandbox) -> None:
    """IDs that were never sent, but stand in the index, end unchecked with a warning, and are sent the next time."""
    frame = posts()
    run = runs_of(xc.check(frame.head(30), "id", client=quick(box)))[0]
    forge(run, frame["id"])
    assert not xc.stale(frame, "id", "24h", client=quick(box)).any()
    with pytest.warns(ComplianceWarning) as told:
        checked = xc.check(frame, "id", client=quick(box), max_age="24h")
    assert any("10 rows stay unchecked" in str(warning.message) for warning in told)
    truth = box.expected(frame["id"])["status"].tolist()
    assert statuses(checked) == truth[:30] + ["unchecked"] * 10
    with pytest.warns(ComplianceWarning, match="30 of 40"):
        assert statuses(xc.check(frame, "id", client=quick(box), max_age="24h")) == truth


def test_a_forged_index_hides_no_error() -> None:
    """An ID of which X said only that there was an error stays unchecked, whatever the index says of it."""
    frame = posts(4)
    lines = [f'{{"id":"{FIRST}","error":"internal_error"}}']
    with xc.Sandbox(findings=lines, complete_after=1) as box:
        run = runs_of(xc.check(frame, "id", client=quick(box)))[0]
        forge(run, frame["id"])
        with pytest.warns(ComplianceWarning, match="1 rows stay unchecked|All 4 IDs"):
            checked = xc.check(frame, "id", client=quick(box), max_age="24h")
        assert statuses(checked) == ["unchecked", "compliant", "compliant", "compliant"]


@pytest.mark.parametrize("where", ["ids-1.txt", "results-1.ndjson"])
def test_files_that_were_changed_prove_nothing(box: xc.Sandbox, where: str) -> None:
    """The index stands, a file beside it was changed in its size or not: unchecked or sent, never compliant."""
    frame = posts()
    run = runs_of(xc.check(frame, "id", client=quick(box)))[0]
    assert not xc.stale(frame, "id", "24h", client=quick(box)).any()  # makes the index
    path = folder(run) / where
    data = bytearray(path.read_bytes())
    data[5] ^= 1
    path.write_bytes(data)
    with pytest.warns(ComplianceWarning) as told:
        checked = xc.check(frame, "id", client=nobody(box), max_age="24h")
    assert statuses(checked) == ["unchecked"] * 40
    assert any("40 rows stay unchecked" in str(warning.message) for warning in told)
    assert xc.stale(frame, "id", "24h", client=quick(box)).all()
    assert not list(folder(run).glob("decided*"))

    path.write_bytes(data[:-1])
    assert xc.stale(frame, "id", "24h", client=quick(box)).all()
    path.unlink()
    assert xc.stale(frame, "id", "24h", client=quick(box)).all()


@pytest.mark.parametrize("harm", ["gone", "cut", "empty", "flipped", "another's", "a folder"])
def test_an_index_that_is_damaged_is_made_anew(box: xc.Sandbox, harm: str) -> None:
    """Lost, cut, flipped or of other files: the answer is the same, and the index as it was."""
    frame = posts()
    (run, other) = (runs_of(xc.check(frame[n::2], "id", client=quick(box)))[0] for n in range(2))
    expected = [False] * 40 + [True]
    assert xc.stale(posts(41), "id", "24h", client=quick(box)).tolist() == expected
    path = folder(run) / "decided-1.i64"
    whole = path.read_bytes()
    assert len(whole) == 128 + 20 * 8
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    if harm == "gone":
        path.unlink()
    elif harm == "another's":
        shutil.copy(folder(other) / path.name, path)
    elif harm == "a folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes({"cut": whole[:-8], "empty": b"", "flipped": whole[:-1] + bytes([whole[-1] ^ 64])}[harm])
    assert xc.stale(posts(41), "id", "24h", client=quick(box)).tolist() == expected
    if harm != "a folder":
        assert path.read_bytes() == whole
    assert not list(folder(run).glob("*.tmp"))


def test_what_a_killed_process_left_goes_away(box: xc.Sandbox) -> None:
    """Half an index from before is removed when the index is made."""
    run = runs_of(xc.check(posts(), "id", client=quick(box)))[0]
    (folder(run) / "decided-1.i64.0123abcd.tmp").write_bytes(b"half")
    xc.stale(posts(), "id", "24h", client=quick(box))
    assert [path.name for path in folder(run).glob("decided*")] == ["decided-1.i64"]


# --------------------------------------------------------------------------- posts, authors, references


def test_posts_and_authors_are_asked_again_each_for_themselves(box: xc.Sandbox) -> None:
    """New posts are sent and their authors, all fresh, are not; then nothing is; the combined verdicts are the same."""
    frame, both = posts_with_authors(), {"id": "tweets", "author_id": "users"}
    whole = xc.check(frame, both, client=quick(box, home=Ledger().home / "another"))
    xc.check(frame.head(30), "id", type="tweets", client=quick(box))
    xc.check(frame, "author_id", type="users", client=quick(box))
    with pytest.warns(ComplianceWarning, match="30 of 40 IDs|All 40 IDs"):
        checked = xc.check(frame, both, client=quick(box), max_age="24h")
    assert sorted(xc.runs()["ids"]) == [10, 30, 40]
    spent = requests(box)
    with pytest.warns(ComplianceWarning, match="All 40 IDs"):
        again = xc.check(frame, both, client=nobody(box), max_age="24h")
    assert requests(box) == spent
    names = [name for name in whole.columns if not name.endswith(("_run", "_checked_at"))]
    for table in (checked, again):
        pd.testing.assert_frame_equal(table[names], whole[names])


@pytest.mark.usefixtures("silent")
def test_references_are_reused_too(box: xc.Sandbox) -> None:
    """A post that rows refer to is fresh if it was proved lately, in whatever column it stood then."""
    frame = posts(30).assign(quoted_id=posts(40)["id"].iloc[10:].tolist())
    whole = xc.check(frame, "id", references=["quoted_id"], client=quick(box, home=Ledger().home / "another"))
    xc.check(posts(35), "id", client=quick(box))
    checked = xc.check(frame, "id", references=["quoted_id"], client=quick(box), max_age="24h")
    assert sorted(xc.runs()["ids"]) == [5, 35]
    assert checked["compliance_references"].equals(whole["compliance_references"])
    assert statuses(checked) == statuses(whole)


@pytest.mark.usefixtures("silent")
def test_submit_of_posts_and_authors_needs_something_to_send_of_both(box: xc.Sandbox) -> None:
    """Two runs are joined with what each reuses; if one kind is all fresh, there is no run of it, and that is said."""
    frame, both = posts_with_authors(), {"id": "tweets", "author_id": "users"}
    xc.check(frame.head(30), both, client=quick(box))
    runs = xc.submit(frame, both, client=quick(box), max_age="24h")
    joined = xc.join(frame, runs)
    assert [run.record.ids for run in runs.values()] == [10, 10]
    assert statuses(joined) == statuses(xc.check(frame, both, client=quick(box), fresh=True))
    with pytest.raises(InputError, match="All IDs in column 'id'"):
        xc.submit(frame, both, client=quick(box), max_age="24h")


# --------------------------------------------------------------------------- whose clock


def record(*checked_at: float, base_url: str = URL, type: JobType = JobType.TWEETS) -> RunRecord:
    batches = tuple(
        Batch(n, 1, "00" * 32, "", 2, phase=Phase.DONE, checked_at=moment, proved=True)
        for n, moment in enumerate(checked_at, 1)
    )
    return RunRecord(f"{type}-20261123-{int(checked_at[0]):08x}", type, base_url, 0.0, 1, "", batches)


def fresh(runs: list[RunRecord], now: float) -> list[float]:
    found = freshness.speaking(runs, URL, JobType.TWEETS, DAY, now)
    return [batch.checked_at or 0.0 for _, batch in found]


def test_the_newest_batches_come_first() -> None:
    """Of all runs, by the service's time."""
    runs = [record(1e6, 1e6 + 30), record(1e6 + 20)]
    assert fresh(runs, 1e6 + 60) == [1e6 + 30, 1e6 + 20, 1e6]


def test_what_is_far_in_the_future_is_not_fresh() -> None:
    """A checked_at up to five minutes after our time may be, later ones are not: some clock is wrong."""
    assert fresh([record(1e6 + 299)], 1e6) == [1e6 + 299]
    assert fresh([record(1e6 + 301)], 1e6) == []


def test_a_clock_that_is_slow_makes_nothing_younger() -> None:
    """The time is at least the latest that the service told, whatever our clock shows."""
    old, new = record(1e6), record(1e6 + DAY + HOUR)
    assert fresh([old, new], 1e6 + DAY + HOUR) == [1e6 + DAY + HOUR]
    assert fresh([old, new], 1e6 + HOUR) == []
    assert fresh([old, record(1e6 + DAY + HOUR, base_url="https://other.example")], 1e6 + HOUR) == [1e6]
    assert fresh([old, record(1e6 + DAY + HOUR, type=JobType.USERS)], 1e6 + HOUR) == []


def test_a_clock_that_is_slow_is_told(box: xc.Sandbox) -> None:
    """An hour behind what the service told before: all is sent again, and a warning says why."""
    xc.check(posts(), "id", client=quick(box))
    with pytest.warns(ComplianceWarning, match=r"clock is .* behind the latest time that the service told"):
        assert xc.stale(posts(), "id", "24h", client=later(box, -1)).all()
    assert not xc.stale(posts(), "id", "24h", client=later(box, -0.05)).any()


def test_once_the_service_has_answered_its_clock_counts(box: xc.Sandbox) -> None:
    """A client whose machine is a day ahead takes old for young or young for old no longer once it has heard a Date."""
    client = later(box, 30)
    xc.check(posts(), "id", client=client)
    assert not xc.stale(posts(), "id", "24h", client=client).any()
    assert xc.stale(posts(), "id", "24h", client=later(box, 30)).all()


# --------------------------------------------------------------------------- stale


def test_stale_tells_row_by_row(box: xc.Sandbox) -> None:
    """On the frame's own index: new ones are, rows without an ID are not, duplicates agree; no token, no request."""
    frame = posts(6).set_index(pd.Index([5, 5, 3, 2, 1, 0]))
    xc.check(frame.head(4), "id", client=quick(box))
    spent = requests(box)
    frame = pd.concat([frame, frame.tail(1), pd.DataFrame({"id": ["x", None]})])
    told = frame.compliance.stale("id", "24h", client=nobody(box))
    assert told.tolist() == [False] * 4 + [True, True, True, False, False]
    assert told.index.equals(frame.index)
    assert (told.name, told.dtype) == ("stale", np.dtype(bool))
    assert frame["id"].compliance.stale("24h", client=nobody(box)).equals(told)
    assert requests(box) == spent
    assert not list(Ledger().home.rglob("*.tmp"))


def test_stale_asks_for_the_type_as_check_does(box: xc.Sandbox) -> None:
    """Users are not taken for posts, by name or by value."""
    with pytest.raises(InputError, match="type='users'"):
        xc.stale(posts_with_authors(), "author_id", "24h", client=quick(box))
    with pytest.raises(InputError, match="no plausible post IDs"):
        xc.stale(pd.Series(["20", "21"], name="n"), None, "24h", client=quick(box))
    assert xc.stale(posts_with_authors(), "author_id", "24h", type="users", client=quick(box)).all()


def test_an_empty_ledger_has_nothing_fresh() -> None:
    """Without any run all is to be sent, and no folder is made."""
    assert xc.stale(posts(), "id", "24h").all()
    assert not Ledger().home.exists()


# --------------------------------------------------------------------------- files, pieces, Dask


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_the_command_line_sends_only_what_is_older(
    here: Path, box: xc.Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """`--max-age` on a table in memory and on Parquet in pieces: the new IDs are sent, all rows have their verdict."""
    aim(monkeypatch, box)
    monkeypatch.setattr(parquet, "ROWS", 7)
    out = f"out{Path(name).suffix}"
    save(posts(30), name)
    assert main(["check", name, "id", "-o", out]) == 0
    save(posts(), name)
    for sent in (10, 0):
        assert main(["check", name, "id", "-o", out, "--max-age", "24h", "--report", "r.html", "--plot", "p.png"]) == 0
        written = xc.tables.read(out).frame
        assert statuses(written) == box.expected(posts()["id"])["status"].tolist()
        said = capsys.readouterr().err
        assert (f"{sent} are sent" if sent else "nothing is sent") in said
        assert "unchecked" not in said
    assert sorted(xc.runs()["ids"]) == [10, 30]
    assert main(["check", name, "id", "--max-age", "1m"]) == 1
    assert main(["check", name, "id", "--max-age", "1d", "--fresh"]) == 1


def test_resume_puts_both_on_a_file_in_pieces(
    here: Path, box: xc.Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run that reuses is joined to a file in pieces with what it reuses; what is gone since then is told."""
    aim(monkeypatch, box)
    monkeypatch.setattr(parquet, "ROWS", 7)
    first = runs_of(xc.check(posts(30), "id", client=quick(box, batch_size=8)))[0]
    save(posts(), "a.parquet")
    with pytest.warns(ComplianceWarning, match="30 of 40"):
        run = xc.submit(posts(), "id", client=quick(box), max_age="24h").wait()
    assert main(["resume", run.id, "a.parquet", "id", "-o", "b.parquet"]) == 0
    assert statuses(pd.read_parquet("b.parquet")) == box.expected(posts()["id"])["status"].tolist()
    (folder(first) / "results-2.ndjson").write_bytes(b"")
    assert main(["resume", run.id, "a.parquet", "id", "-o", "c.parquet"]) == 3
    assert statuses(pd.read_parquet("c.parquet"))[8:16] == ["unchecked"] * 8
    assert "8 rows stay unchecked" in capsys.readouterr().err


@pytest.mark.usefixtures("silent")
def test_pieces_go_on_with_what_was_interrupted(here: Path, box: xc.Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in pieces whose check was interrupted goes on with its run, and is read again for that."""
    aim(monkeypatch, box)
    monkeypatch.setattr(parquet, "ROWS", 7)
    xc.check(posts(30), "id", client=quick(box))
    save(posts(), "a.parquet")
    box.script("create", "return-401")
    assert main(["check", "a.parquet", "id", "--max-age", "24h"]) == 1
    assert main(["check", "a.parquet", "id", "--max-age", "24h", "-o", "b.parquet"]) == 0
    assert sorted(xc.runs()["ids"]) == [10, 30]
    assert statuses(pd.read_parquet("b.parquet")) == box.expected(posts()["id"])["status"].tolist()


@pytest.mark.usefixtures("silent")
def test_a_file_that_grew_is_another_check(here: Path, box: xc.Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unfinished run of the first pieces of a file is none to go on with: the last rows would never be sent."""
    aim(monkeypatch, box)
    monkeypatch.setattr(parquet, "ROWS", 10)
    box.script("create", "return-401")
    for rows, ended in ((20, 1), (40, 0)):
        save(posts(rows), "a.parquet")
        assert main(["check", "a.parquet", "id", "--max-age", "24h", "-o", "b.parquet"]) == ended
    assert sorted(xc.runs()["ids"]) == [20, 40]
    assert statuses(pd.read_parquet("b.parquet")) == box.expected(posts()["id"])["status"].tolist()


@pytest.mark.usefixtures("silent")
@pytest.mark.filterwarnings("ignore:The inplace keyword:DeprecationWarning")
def test_dask_frames_reuse_too(box: xc.Sandbox) -> None:
    """The new IDs of a Dask frame are sent, each partition gets both; all fresh, nobody is asked."""
    dd = pytest.importorskip("dask.dataframe")
    pytest.importorskip("xcompliance_pd.dask_frames")
    xc.check(posts(30), "id", client=quick(box))
    frame = dd.from_pandas(posts(), npartitions=3)
    truth = box.expected(posts()["id"])["status"].tolist()
    checked = frame.compliance.check("id", client=quick(box), max_age="24h")
    assert checked["compliance_status"].compute().tolist() == truth
    spent = requests(box)
    again = frame.compliance.check("id", client=nobody(box), max_age="24h").compute()
    assert statuses(again) == truth
    assert len(set(runs_of(again))) == 2
    assert requests(box) == spent
    with pytest.raises(InputError, match="nothing to submit"):
        frame.compliance.submit("id", client=quick(box), max_age="24h")


@pytest.mark.filterwarnings("ignore:The inplace keyword:DeprecationWarning")
def test_dask_frames_are_told_what_was_lost(box: xc.Sandbox) -> None:
    """An index that lied is told at the call, its rows are unchecked; a file that changes later is an error."""
    dd = pytest.importorskip("dask.dataframe")
    pytest.importorskip("xcompliance_pd.dask_frames")
    run = runs_of(xc.check(posts(30), "id", client=quick(box)))[0]
    forge(run, posts()["id"])
    frame = dd.from_pandas(posts(), npartitions=3)
    truth = box.expected(posts()["id"])["status"].tolist()
    with pytest.warns(ComplianceWarning) as told:
        checked = frame.compliance.check("id", client=nobody(box), max_age="24h")
    assert any("1 batches of earlier runs" in str(warning.message) for warning in told)
    assert statuses(checked.compute()) == truth[:30] + ["unchecked"] * 10
    path = folder(run) / "results-1.ndjson"
    path.write_bytes(path.read_bytes().replace(b"delete", b"DELETE"))
    with pytest.raises(xc.LedgerError, match="was changed"):
        checked.compute()
