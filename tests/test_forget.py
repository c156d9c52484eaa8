"""A run that was forgotten has neither IDs nor results, keeps its counts, and is never joined, continued or reused."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support import quick

import xcompliance_pd as xc
from xcompliance_pd import cli, lifecycle
from xcompliance_pd.ledger import STAYS, Ledger

IDS = [str(1212092628029698048 + number * 4_194_304_007) for number in range(7)]
FRAME = pd.DataFrame({"id": IDS})
LINES = [f'{{"id":"{IDS[2]}","action":"delete","reason":"suspended"}}']


@pytest.fixture
def far() -> Iterator[xc.Sandbox]:
    with xc.Sandbox(findings=LINES, complete_after=1) as box:
        yield box


@pytest.fixture
def run(far: xc.Sandbox) -> xc.Run:
    return FRAME.compliance.submit("id", client=quick(far, batch_size=4), label="panel").wait(30)


def folder(run: xc.Run) -> Path:
    return Ledger().folder(run.id)


def unfinished(far: xc.Sandbox) -> xc.Run:
    """A run whose job X has, and which nobody drives."""
    far.service.processing_seconds = 3600
    run = FRAME.compliance.submit("id", client=quick(far))
    end = time.monotonic() + 30
    while not far.service.requests["get"]:
        assert time.monotonic() < end
    run.stop(30)
    return run


def names(run: xc.Run) -> set[str]:
    return {path.name for path in folder(run).iterdir()}


# --------------------------------------------------------------------------- what goes, and what stays


def test_ids_and_results_go_and_the_counts_stay(run: xc.Run) -> None:
    """No file is left but the record, the lock and what was applied; whatever else lay there is gone, too."""
    before = run.record
    for name in ("known-1.i64", "run.json.0123.tmp", "notes about IDs"):
        (folder(run) / name).write_text(IDS[0])
    (folder(run) / "sub").mkdir()
    (folder(run) / "sub" / "ids-1.txt").write_text(IDS[0])
    (folder(run) / "applied.jsonl").write_text("")
    run.forget()
    assert names(run) <= STAYS == {"run.json", "applied.jsonl", "lock"}
    assert names(run) >= {"run.json", "applied.jsonl"}
    assert run.record == dataclasses.replace(before, forgotten_at=run.record.forgotten_at)
    assert run.record.forgotten_at is not None
    assert run.record.forgotten_at >= before.ended_at
    row = xc.runs().loc[run.id]
    assert row[["state", "ids", "batches", "batches_done", "listed", "label"]].tolist() == [
        "forgotten",
        7,
        2,
        2,
        1,
        "panel",
    ]


def test_what_stays_tells_no_id(run: xc.Run) -> None:
    """No ID stands in any file that is left."""
    run.forget()
    for path in folder(run).iterdir():
        assert not [number for number in IDS if number in path.read_text()]


def test_a_link_goes_and_not_what_it_points_to(run: xc.Run, tmp_path: Path) -> None:
    """A link in the folder is deleted itself: what lies elsewhere is not this run's."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kept").write_text("kept")
    (folder(run) / "link").symlink_to(tmp_path / "elsewhere")
    run.forget()
    assert "link" not in names(run)
    assert (tmp_path / "elsewhere" / "kept").read_text() == "kept"


def test_the_words_of_x_go(far: xc.Sandbox) -> None:
    """Why X says that a job failed is X's own text, which may name an ID: of the reason only our words stay."""
    far.script("get", {"mutate": {"status": "failed", "error": f"line 1: {IDS[0]}"}})
    run = FRAME.compliance.submit("id", client=quick(far))
    with pytest.raises(xc.JobError):
        run.result(30)
    before = (folder(run) / "run.json").read_text()
    run.forget()
    text = (folder(run) / "run.json").read_text()
    assert "X says it failed" in text
    assert "line 1" not in text
    assert IDS[0] not in text
    assert "line 1" in before, "else this test would show nothing"


def test_an_older_record_loads(run: xc.Run) -> None:
    """A record from before runs could be forgotten has no such field, and is that of a run that was not."""
    path = folder(run) / "run.json"
    record = json.loads(path.read_text())
    del record["forgotten_at"]
    path.write_text(json.dumps(record))
    assert xc.open_run(run.id).record.forgotten_at is None
    assert xc.runs()["state"].tolist() == ["done"]


@pytest.mark.parametrize("wrong", ["yesterday", -1, True, 1e15, [1]])
def test_a_strange_time_of_forgetting_is_damage(run: xc.Run, wrong: object) -> None:
    """A record whose new field is no time is told to be damaged, as with any other field."""
    path = folder(run) / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "forgotten_at": wrong}))
    with pytest.raises(xc.LedgerError, match="damaged"):
        xc.open_run(run.id)


# --------------------------------------------------------------------------- what is refused then

USES: dict[str, Callable[[xc.Run], Any]] = {
    "join": lambda run: FRAME.compliance.join("id", run),
    "join partial": lambda run: FRAME.compliance.join("id", run, partial=True),
    "result": lambda run: run.result(),
    "wait": lambda run: run.wait(),
    "start": lambda run: run.start(),
    "cancel": lambda run: run.cancel(),
    "cancel later": lambda run: run.cancel(timeout=0),
    "covered": lambda run: run.covered(),
    "source": lambda run: run.source(),
    "await": lambda run: asyncio.run(awaited(run)),
}


async def awaited(run: xc.Run) -> xc.Run:
    return await run


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("done", [True, False])
def test_a_forgotten_run_is_refused(far: xc.Sandbox, use: str, done: bool) -> None:
    """Whatever needs its IDs or results says when it was forgotten and what to do; X is asked nothing."""
    run = FRAME.compliance.submit("id", client=quick(far)).wait(30) if done else unfinished(far)
    run.forget()
    asked = sum(far.service.requests.values())
    for handle in (run, xc.open_run(run.id, quick(far))):
        with pytest.raises(
            xc.LedgerError, match=r"was forgotten on \d{4}-\d\d-\d\d \d\d:\d\d UTC.*Check the IDs again"
        ):
            USES[use](handle)
    assert sum(far.service.requests.values()) == asked
    assert names(run) <= STAYS


def test_a_frame_in_pieces_is_refused(run: xc.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """So is `xcompliance resume`, on a table that passes in pieces as on one in memory."""
    run.forget()
    for suffix in ("parquet", "csv"):
        path = tmp_path / f"posts.{suffix}"
        FRAME.to_parquet(path) if suffix == "parquet" else FRAME.to_csv(path, index=False)
        for option in ([], ["--partial"]):
            assert cli.main(["resume", run.id, str(path), "id", "-o", str(tmp_path / f"out.{suffix}"), *option]) == 1
            assert f"Run {run.id} was forgotten on" in capsys.readouterr().err
    assert not list(tmp_path.glob("out.*"))


def test_a_worker_that_comes_too_late_is_told(run: xc.Run) -> None:
    """A Dask worker that reads the ledger after the run was forgotten gets the same words, not a missing file."""
    source = run.source()
    run.forget()
    again = dataclasses.replace(source)
    with pytest.raises(xc.LedgerError, match="was forgotten"):
        again.verdicts(_ids(), None)


def _ids() -> Any:
    from xcompliance_pd import ids as id_rules

    return id_rules.parse(FRAME["id"], "id")


def test_it_has_ended_and_can_be_looked_at(far: xc.Sandbox) -> None:
    """An unfinished run counts as ended; status, record, repr and card still tell what it was."""
    run = unfinished(far)
    run.forget()
    again = xc.open_run(run.id, quick(far))
    assert again.done()
    assert again.status == "forgotten"
    assert again.exception() is None
    assert again.record.ended_at == again.record.forgotten_at
    assert "forgotten: No result  Its IDs and results were deleted on" in repr(again)
    assert "Forgotten" in (again._repr_html_() or "")
    assert "open_run" not in repr(again) + (again._repr_html_() or "")


def test_the_card_still_counts(run: xc.Run) -> None:
    """The card of a run that had ended says what X listed, and claims nothing of the rest."""
    run.forget()
    assert "X listed 1 of 7 IDs" in repr(run)
    assert "compliant" not in repr(run)


def test_who_follows_it_is_told(far: xc.Sandbox) -> None:
    """Whoever waits for a run that somebody else drives, and then forgets, hears that, and not that it ended."""
    run = unfinished(far)
    ledger, follower = Ledger(), xc.open_run(run.id, quick(far))
    following, heard = threading.Event(), list[BaseException]()
    follower.add_watch(lambda snapshot: following.set())

    def wait() -> None:
        try:
            follower.wait(30)
        except xc.ComplianceError as error:
            heard.append(error)

    thread = threading.Thread(target=wait)
    with ledger.drive_lock(run.id):
        thread.start()
        assert following.wait(30)
        ledger.forget(run.id, 1_800_000_000.0)
    thread.join(30)
    assert [type(error) for error in heard] == [xc.LedgerError]
    assert "was forgotten on 2027-01-15 08:00 UTC" in str(heard[0])


def test_check_never_continues_it(far: xc.Sandbox) -> None:
    """The same IDs are a new run, with a job of its own, although the forgotten one had not ended."""
    run = unfinished(far)
    run.forget()
    far.service.processing_seconds = 0
    checked = FRAME.compliance.check("id", client=quick(far))  # no warning: nothing is continued
    assert far.service.requests["create"] == 2
    assert set(checked["compliance_run"]) == set(xc.runs().index) - {run.id}


def test_no_step_is_ever_due() -> None:
    """The lifecycle itself has nothing to do for a forgotten run, whatever its batches wait for."""
    batch = lifecycle.Batch(1, 1, "", "", 20)
    record = lifecycle.RunRecord("tweets-20261123-0123abcd", "tweets", "http://x", 1.0, 1, "", (batch,))  # type: ignore[arg-type]
    assert lifecycle.choose(record, 2.0, 2.0, {})[1] is lifecycle.Step.CREATE
    gone = lifecycle.forgotten(record, 3.0)
    assert lifecycle.choose(gone, 4.0, 4.0, {}) == (None, lifecycle.Step.NONE, None)
    assert gone.ended
    assert (gone.forgotten_at, gone.ended_at) == (3.0, 3.0)
    assert lifecycle.forgotten(gone, 9.0) is gone, "the first time counts"


def test_its_job_is_still_known_and_can_be_attached(run: xc.Run, far: xc.Sandbox) -> None:
    """X's list names the forgotten run; its job may be attached again by who has the IDs, and is that run's then."""
    job = xc.jobs(client=quick(far))
    assert job["run"].tolist() == [run.id, run.id]
    sent = FRAME["id"].iloc[:4]
    with pytest.raises(xc.InputError, match="is one of run"):
        xc.attach(job["id"].iloc[-1], sent=sent, client=quick(far))
    run.forget()
    assert xc.jobs(client=quick(far))["run"].tolist() == [run.id, run.id]
    again = xc.attach(job["id"].iloc[-1], sent=sent, client=quick(far))
    assert again.wait(30).result()["id"].tolist() == [IDS[2]]
    assert xc.jobs(client=quick(far))["run"].tolist() == [run.id, again.id]


# --------------------------------------------------------------------------- crashes and locks

KILLED = """
import os, sys, xcompliance_pd as xc
from pathlib import Path
left = int(sys.argv[2])
def counted(real):
    def call(*arguments, **more):
        global left
        if left == 0:
            os._exit(7)
        left -= 1
        return real(*arguments, **more)
    return call
Path.replace, Path.unlink, os.fsync = map(counted, (Path.replace, Path.unlink, os.fsync))
xc.open_run(sys.argv[1]).forget()
"""


def test_a_crash_leaves_it_whole_or_forgotten(run: xc.Run, tmp_path: Path) -> None:
    """Killed before any write of `forget`: the run is whole and can be joined, or it is forgotten and gets emptied."""
    truth = FRAME.compliance.join("id", xc.open_run(run.id))
    whole, states = names(run), []
    kept = tmp_path / "kept"
    shutil.copytree(folder(run), kept)
    for left in range(40):
        shutil.rmtree(folder(run))
        shutil.copytree(kept, folder(run))
        ended = subprocess.run([sys.executable, "-c", KILLED, run.id, str(left)], check=False, env=os.environ)
        if ended.returncode == 0:
            break
        assert ended.returncode == 7
        again = xc.open_run(run.id)
        states.append(again.status)
        if again.status == "done":
            assert {name for name in names(run) if not name.endswith(".tmp")} == whole
            pd.testing.assert_frame_equal(FRAME.compliance.join("id", again), truth)
        else:
            with pytest.raises(xc.LedgerError, match="was forgotten"):
                FRAME.compliance.join("id", again)
            when = again.record.forgotten_at
            if left % 2:
                again.forget()
            else:
                with Ledger().planning():
                    pass  # whoever makes or drives any other run
            assert names(run) <= STAYS
            assert xc.open_run(run.id).record.forgotten_at == when
    else:
        raise AssertionError("it never came to its end")
    assert states == sorted(states), "done first, then forgotten"
    assert set(states) == {"done", "forgotten"}


def test_whoever_forgets_is_not_swept_up(run: xc.Run) -> None:
    """While somebody holds a run's lock, nobody else deletes its files, even if it is marked already."""
    ledger = Ledger()
    ledger.save(lifecycle.forgotten(run.record, 1.0))
    with ledger.drive_lock(run.id):
        with ledger.planning():
            pass
        assert "ids-1.txt" in names(run)
    with ledger.planning():
        pass
    assert "ids-1.txt" not in names(run)


def test_a_disk_that_fails_amid_it_is_told(run: xc.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that cannot be deleted is a LedgerError; the run is forgotten, and the next try ends it."""
    unlink = Path.unlink

    def stuck(path: Path, missing_ok: bool = False) -> None:
        if path.name == "ids-2.txt":
            raise OSError(5, "Input/output error")
        unlink(path, missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", stuck)
        with pytest.raises(xc.LedgerError, match="Input/output error"):
            run.forget()
        assert run.status == "forgotten"
        assert "ids-2.txt" in names(run)
    run.forget()
    assert names(run) <= STAYS


def test_a_damaged_record_is_not_forgotten(run: xc.Run) -> None:
    """Counts that cannot be read cannot be kept: nothing is deleted, and the error says so."""
    (folder(run) / "run.json").write_text("{")
    with pytest.raises(xc.LedgerError, match="damaged; nothing was deleted"):
        run.forget()
    assert "ids-1.txt" in names(run)


# --------------------------------------------------------------------------- where it is said


def test_the_command_line_forgets(run: xc.Run, capsys: pytest.CaptureFixture[str]) -> None:
    """`xcompliance forget RUN` says what stays; `xcompliance runs` lists the run as forgotten, with its counts."""
    assert cli.main(["forget", run.id]) == 0
    told = capsys.readouterr().out
    assert "Deleted the IDs and results" in told
    assert "its counts, times, checksums and label" in told
    assert names(run) <= STAYS
    assert cli.main(["runs"]) == 0
    listed = capsys.readouterr().out
    assert "forgotten" in listed
    assert "panel" in listed
    assert cli.main(["forget", "tweets-20261123-0123abcd"]) == 1
    assert "There is no run" in capsys.readouterr().err


def test_the_report_says_when(run: xc.Run, tmp_path: Path) -> None:
    """A page made after a run was forgotten still tells its provenance, and when it was forgotten."""
    checked = FRAME.compliance.join("id", run)
    run.forget()
    checked.compliance.report(tmp_path / "r.html", run)
    page = (tmp_path / "r.html").read_text()
    assert "Its IDs and results were deleted on" in page
    assert run.record.ids_sha256 in page
