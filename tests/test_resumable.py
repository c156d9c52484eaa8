"""Uploads in parts: a cut costs a part, no part is ever missing, and half a file is never taken for the whole."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import xcompliance_pd as xc
from xcompliance_pd import lifecycle, resumable
from xcompliance_pd.lifecycle import Phase
from xcompliance_pd.protocol import JobType, Secret
from xcompliance_pd.run import Run
from xcompliance_pd.runner import Clock
from xcompliance_pd.sandbox import Server
from xcompliance_pd.transport import FileBody, Transport

IDS = 1212092628029698048 + np.arange(60_000) * 4_194_304_007  # 1,200,000 bytes: five parts
FRAME = pd.DataFrame({"id": IDS})
PARTS = 5


class Died(BaseException):
    """What a test raises in the place of a killed process."""


class Time:
    """The time of both sides."""

    def __init__(self) -> None:
        self.now = 1_790_000_000.0

    def clock(self) -> Clock:
        return Clock(lambda: self.now, lambda: self.now, self._pause)

    def _pause(self, stop: threading.Event, seconds: float) -> bool:
        self.now += max(seconds, 0.001)
        return stop.is_set()


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resumable, "PART", 256 * 1024)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The requests with bytes, in order: "start", or the Content-Range of a part."""
    seen: list[str] = []
    start, put = Transport.start, Transport.put

    def starting(self: Transport, url: Secret) -> Any:
        seen.append("start")
        return start(self, url)

    def putting(self: Transport, url: Secret, body: FileBody | None, content_range: str | None = None) -> Any:
        seen.append(content_range or "whole")
        return put(self, url, body, content_range)

    monkeypatch.setattr(Transport, "start", starting)
    monkeypatch.setattr(Transport, "put", putting)
    return seen


def planned(far: Server, time: Time, **settings: Any) -> Run:
    settings = {"resumable_above": 500_000, "poll_interval": 5.0, **settings}
    run, _ = xc.Client(far.token, far.url, clock=time.clock(), **settings).start([IDS], JobType.TWEETS)
    assert run is not None
    return run


def is_the_truth(run: Run, far: Server) -> None:
    statuses = FRAME.compliance.join("id", run)["compliance_status"].astype(str)
    assert (statuses.to_numpy() == far.expected(IDS)["status"].astype(str).to_numpy()).all()
    assert all(batch.proved for batch in run.record.batches)


def ids_file(run: Run) -> Path:
    return run._runner.ledger.ids_path(run.id, 1)


def test_a_file_goes_in_parts(time: Time, sent: list[str]) -> None:
    """One session, its parts one after the other in multiples of 256 KiB; the whole is proved by its checksum."""
    with Server(clock=lambda: time.now) as far:
        run = planned(far, time).wait()
        is_the_truth(run, far)
        assert sent[:3] == ["start", "bytes 0-262143/1200000", "bytes 262144-524287/1200000"]
        assert len(sent) == 1 + PARTS
        assert run.record.batches[0].upload_proof == "hash"
        assert far.service.jobs[0].resumable
        assert far.service.jobs[0].upload is not None
        assert far.service.jobs[0].upload.data == ids_file(run).read_bytes()
        assert far.service.authorized_byte_requests == 0


def test_a_small_file_goes_at_once(time: Time, sent: list[str]) -> None:
    """Below the limit, and without one, nobody asks for a resumable job."""
    with Server(clock=lambda: time.now) as far:
        planned(far, time, resumable_above=1_200_000).wait()
        planned(far, time, resumable_above=None).wait()
        assert sent == ["whole", "whole"]
        assert not any(job.resumable for job in far.service.jobs)


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize(
    "fault", ["drop-before", "drop-after", "reset-before", "return-503", "return-503-after", "cut:9"]
)
def test_a_cut_costs_a_part(time: Time, sent: list[str], fault: str, part: int) -> None:
    """Whatever happens to one part, the same session goes on from what has arrived, and the file is whole."""
    with Server(clock=lambda: time.now) as far:
        far.script("upload", *["ok"] * part, fault)
        run = planned(far, time).wait()
        far.assert_all_fired()
        is_the_truth(run, far)
        assert sent.count("start") == 1
        assert len(far.service.jobs) == 1
        last_lost = part == PARTS - 1 and fault in ("drop-after", "return-503-after", "cut:9")
        assert last_lost or sent[part + 2] == "bytes */1200000", "it asks before it goes on"
        assert len(sent) <= 1 + PARTS + 2


@pytest.mark.parametrize("fault", ["drop-before", "drop-after", "return-503", "return-429", "return-200"])
def test_a_session_that_could_not_be_opened_is_opened_again(time: Time, sent: list[str], fault: str) -> None:
    """A second session is another one: nothing was sent to the first."""
    with Server(clock=lambda: time.now) as far:
        far.script("start", fault)
        run = planned(far, time).wait()
        far.assert_all_fired()
        is_the_truth(run, far)
        assert sent.count("start") == 2
        assert len(far.service.jobs) == 1


def test_a_service_that_refuses_resumable_jobs_gets_the_file_at_once(time: Time, sent: list[str]) -> None:
    """The newer dialect answers 400: the job is made without it, and the next batches do not ask again."""
    with Server(dialect="xapi", clock=lambda: time.now) as far:
        run = planned(far, time, batch_size=30_000).wait()
        statuses = FRAME.compliance.join("id", run)["compliance_status"].astype(str)
        assert (statuses.to_numpy() == far.expected(IDS)["status"].astype(str).to_numpy()).all()
        assert sent == ["whole", "whole"]
        assert run.record.requests["create"] == 3
        assert len(far.service.jobs) == 2


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("after", [False, True], ids=["before it is sent", "after it was answered"])
def test_a_process_that_dies_between_parts(time: Time, monkeypatch: pytest.MonkeyPatch, part: int, after: bool) -> None:
    """The session's URL died with it, so another session begins with the first byte; no byte of it is on disk."""
    put, seen = Transport.put, []

    def dying(self: Transport, url: Secret, *rest: Any) -> Any:
        seen.append(url.reveal())
        if len(seen) == part + 1 and not after:
            raise Died
        answer = put(self, url, *rest)
        if len(seen) == part + 1:
            raise Died
        return answer

    with Server(clock=lambda: time.now) as far:
        run = planned(far, time)
        with monkeypatch.context() as patch:
            patch.setattr(Transport, "put", dying)
            with pytest.raises(Died):
                run.wait()
        upload_id = seen[0].partition("upload_id=")[2]
        assert upload_id
        for path in run._runner.ledger.home.rglob("*"):
            assert not path.is_file() or upload_id not in path.read_text(errors="replace")
        arrived = part == PARTS - 1 and after
        assert run.record.batches[0].upload_cut is not arrived
        again = xc.Client(far.token, far.url, clock=time.clock(), resumable_above=500_000).open_run(run.id).wait()
        is_the_truth(again, far)
        assert len(far.service.jobs) == 1


@pytest.mark.parametrize(
    "lie",
    [
        {"headers": {"range": "bytes=0-999999"}},  # what was never sent
        {"headers": {"range": "bytes=0-x"}},
        ["status:200", {"headers": {"range": None}}],  # whole, after one part
        "return-410",
        "return-404",
    ],
    ids=str,
)
def test_a_session_that_tells_what_cannot_be_is_begun_anew(time: Time, sent: list[str], lie: Any) -> None:
    """Bytes that were not sent are never skipped: the session is left, and another gets the file from its start."""
    with Server(clock=lambda: time.now) as far:
        far.script("upload", "ok", lie)
        run = planned(far, time).wait()
        far.assert_all_fired()
        is_the_truth(run, far)
        assert sent.count("start") == 2
        assert sent[sent.index("start", 1) + 1] == "bytes 0-262143/1200000"
        assert len(far.service.jobs) == 1


def test_a_service_that_loses_what_it_had_gets_it_again(time: Time, sent: list[str]) -> None:
    """It says that it has less than before: what is missing is sent again, with no hole."""
    with Server(clock=lambda: time.now) as far:
        far.script("upload", "ok", "ok", {"headers": {"range": "bytes=0-262143"}})
        run = planned(far, time).wait()
        far.assert_all_fired()
        is_the_truth(run, far)
        assert sent[3:5] == ["bytes 524288-786431/1200000", "bytes 262144-524287/1200000"]
        assert sent.count("start") == 1


def test_an_upload_that_does_not_get_on_is_begun_anew(time: Time, sent: list[str]) -> None:
    """Three parts of which nothing arrives end the session, not the run."""
    with Server(clock=lambda: time.now) as far:
        far.script("upload", *[{"headers": {"range": None}}] * resumable.STUCK_MAX)
        run = planned(far, time).wait()
        far.assert_all_fired()
        is_the_truth(run, far)
        assert sent[: resumable.STUCK_MAX + 2].count("bytes 0-262143/1200000") == resumable.STUCK_MAX
        assert sent.count("start") == 2


def test_a_whole_file_of_which_the_service_lacks_some_is_not_believed(
    time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last byte had left, and the answer says that there is less: if the job then moves on, it is given up."""
    put, count = Transport.put, 0

    def dying(self: Transport, url: Secret, *rest: Any) -> Any:
        nonlocal count
        count += 1
        if count > PARTS:
            raise Died
        return put(self, url, *rest)

    with Server(clock=lambda: time.now) as far:
        far.script("upload", *["ok"] * (PARTS - 1), ["status:308", {"headers": {"range": "bytes=0-1048575"}}])
        run = planned(far, time)
        with monkeypatch.context() as patch:
            patch.setattr(Transport, "put", dying)
            with pytest.raises(Died):
                run.wait()
        assert run.record.batches[0].upload_cut
        run = xc.Client(far.token, far.url, clock=time.clock()).open_run(run.id).wait()
        far.assert_all_fired()
        is_the_truth(run, far)
        assert len(far.service.jobs) == 2


def test_the_answer_to_the_last_part_is_asked_for_again(time: Time, sent: list[str]) -> None:
    """It was lost, and the job lags behind: the session says that it is whole, with its checksums."""
    with Server(clock=lambda: time.now) as far:
        far.script("upload", *["ok"] * (PARTS - 1), "drop-after")
        far.script("get", {"mutate": {"status": "created"}})
        run = planned(far, time).wait()
        far.assert_all_fired()
        is_the_truth(run, far)
        assert sent[-1] == "bytes */1200000"
        assert run.record.batches[0].upload_proof == "hash"
        assert len(far.service.jobs) == 1


@pytest.mark.parametrize("place", [0, 600_000, 1_199_990])
@pytest.mark.parametrize("cut", [False, True])
def test_a_file_that_changes_meanwhile_never_becomes_whole(
    time: Time, monkeypatch: pytest.MonkeyPatch, place: int, cut: bool
) -> None:
    """One digit of the file is another after the second part: the last byte never leaves, and the run stops."""
    put, count = Transport.put, 0

    def changing(self: Transport, url: Secret, *rest: Any) -> Any:
        nonlocal count
        count += 1
        answer = put(self, url, *rest)
        if count == 2:
            data = bytearray(ids_file(run).read_bytes())
            data[place] ^= 1
            ids_file(run).write_bytes(data)
            if cut:
                raise xc.Unavailable("the connection broke", retryable=True)
        return answer

    with Server(clock=lambda: time.now) as far:
        run = planned(far, time)
        monkeypatch.setattr(Transport, "put", changing)
        with pytest.raises(xc.LedgerError, match="was changed"):
            run.wait()
        if place == 0 and not cut:  # those bytes had left before, as they were planned
            assert far.service.jobs[0].upload is not None
            assert far.service.jobs[0].upload.data.startswith(str(IDS[0]).encode())
        else:
            assert far.service.jobs[0].upload is None
            assert run.record.batches[0].upload_cut


def test_a_part_that_was_damaged_when_it_left_is_not_forgotten(time: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is whole again when the upload goes on after a cut, but what had left before was not: the run stops."""
    put, count = Transport.put, 0

    def changing(self: Transport, url: Secret, *rest: Any) -> Any:
        nonlocal count
        count += 1
        if count in (1, 2):
            data = bytearray(ids_file(run).read_bytes())
            data[0] ^= 1  # damaged for the first part, mended for the second
            ids_file(run).write_bytes(data)
        answer = put(self, url, *rest)
        if count == 2:
            raise xc.Unavailable("the connection broke", retryable=True)
        return answer

    with Server(clock=lambda: time.now) as far:
        run = planned(far, time)
        monkeypatch.setattr(Transport, "put", changing)
        with pytest.raises(xc.LedgerError, match="was changed while it was uploaded"):
            run.wait()
        assert far.service.jobs[0].upload is None


def test_a_session_outlives_the_window_if_the_job_does(time: Time) -> None:
    """After 15 minutes no session can be opened, but one that is open is gone on with; X says if the job is over."""
    late = 1_790_000_000.0 + 900
    batch = lifecycle.Batch(1, 10, "0" * 64, "00000000", 200, phase=Phase.OPEN, job_id="77", upload_expires_at=late)
    job = lifecycle.Job("77", "tweets", "created")
    assert lifecycle.next_step(batch, late, late, True, job) is lifecycle.Step.REPLAN
    assert lifecycle.next_step(batch, late, late, True, job, True) is lifecycle.Step.UPLOAD
    with Server(clock=lambda: time.now) as far:  # here it is over
        far.script("upload", "ok", "ok", "drop", *["return-503"] * 3)
        far.script("get", "ok", "too-many:890")
        run = planned(far, time).wait()
        is_the_truth(run, far)
        assert [job.upload is None for job in far.service.jobs] == [True, False]


def test_urls_of_ended_uploads_are_forgotten(time: Time) -> None:
    """No session is kept once its job has the file."""
    with Server(clock=lambda: time.now) as far:
        run = planned(far, time, batch_size=30_000).wait()
        assert run._runner._uploads == {}
