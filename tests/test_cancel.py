"""Cancelling a run: what X says of the job decides, whatever became of the request; nothing is claimed unproved."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import pytest
from support import quick

import xcompliance_pd as xc
from xcompliance_pd.lifecycle import CANCELLED, CANCELS_MAX, Batch, Phase
from xcompliance_pd.protocol import JobType, Request
from xcompliance_pd.run import Run
from xcompliance_pd.sandbox import Server
from xcompliance_pd.transport import Transport

IDS = [str(1212092628029698048 + n * 4_194_304_007) for n in range(30)]
FRAME = pd.DataFrame({"id": IDS})
HOUR = 3600.0


class Died(BaseException):
    """What a test raises in the place of a killed process."""


@pytest.fixture
def far() -> Iterator[Server]:
    """The newer dialect, whose jobs do not end by themselves."""
    with Server(dialect="xapi", processing_seconds=HOUR, complete_after=1) as server:
        yield server


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the API is asked for, in order."""
    operations: list[str] = []
    send = Transport.send

    def noting(self: Transport, request: Request) -> object:
        operations.append(request.operation)
        return send(self, request)

    monkeypatch.setattr(Transport, "send", noting)
    return operations


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "it never happened"
        threading.Event().wait(0.005)


def planned(far: Server, batch_size: int = 30) -> Run:
    """A run that nobody drives yet."""
    run, _ = quick(far, batch_size=batch_size, poll_interval=0.01).start(
        [np.array(IDS, dtype=np.int64)], JobType.TWEETS
    )
    assert run is not None
    return run


def processing(far: Server, batch_size: int = 30) -> Run:
    """A run that its background thread drives, while X works on its first job."""
    run = planned(far, batch_size).start()
    until(lambda: run.record.batches[0].phase is Phase.SUBMITTED)
    return run


def dies(monkeypatch: pytest.MonkeyPatch, operation: str, after: bool) -> None:
    """From now on a request of this operation ends the process, before it leaves or after it was answered."""
    send = Transport.send

    def sending(self: Transport, request: Request) -> object:
        if request.operation != operation:
            return send(self, request)
        if after:
            send(self, request)
        raise Died

    monkeypatch.setattr(Transport, "send", sending)


def statuses(run: Run) -> list[str]:
    return FRAME.compliance.join("id", run, partial=True)["compliance_status"].tolist()  # type: ignore[no-any-return]


def reasons(run: Run) -> list[tuple[Phase, str | None]]:
    return [(batch.phase, batch.reason) for batch in run.record.batches]


GONE = (Phase.DEAD, CANCELLED)


def test_cancel_ends_the_job_and_what_was_not_sent(far: Server, asked: list[str]) -> None:
    """The job is cancelled and then asked for; two batches are never sent; no row of theirs is compliant."""
    run = processing(far, 10)
    run.stop()
    asked.clear()
    assert run.cancel() is run
    assert reasons(run) == [GONE] * 3
    assert asked[-2:] == ["cancel", "get"]
    assert [job.failed for job in far.service.jobs] == [True]
    assert statuses(run) == ["unchecked"] * 30
    assert "Batch 1 was cancelled." in run.snapshot().note
    with pytest.raises(xc.JobError, match=r"batch 1 .*: cancelled"):
        FRAME.compliance.join("id", run)


def test_what_is_finished_stays_joinable(far: Server) -> None:
    """A batch that was done before the cancellation keeps its verdicts, which are the truth."""
    far.service.processing_seconds = 0.0
    run = planned(far, 10)

    def watch(snapshot: object) -> None:
        if run.record.batches[0].phase is Phase.READY:
            far.service.processing_seconds = HOUR  # the second job takes its time

    run.add_watch(watch)
    run.start()
    until(lambda: [batch.phase for batch in run.record.batches[:2]] == [Phase.DONE, Phase.SUBMITTED])
    run.cancel()
    assert reasons(run)[1:] == [GONE] * 2
    assert statuses(run) == far.expected(IDS)["status"].tolist()[:10] + ["unchecked"] * 20


def test_a_service_that_cannot_cancel_changes_nothing() -> None:
    """The older dialect answers 405: that is said, the record is as before, and the run ends as it would have."""
    with Server(processing_seconds=HOUR, complete_after=1) as far:
        run = processing(far, 10)
        with pytest.raises(
            xc.Refused, match=r"cannot cancel jobs \(HTTP 405\), so nothing was changed: job \d+ goes on"
        ):
            run.cancel()
        assert [batch.phase for batch in run.record.batches] == [Phase.SUBMITTED, Phase.PLANNED, Phase.PLANNED]
        assert [batch.cancels for batch in run.record.batches] == [None] * 3
        far.service.processing_seconds = 0.0
        assert statuses(run.wait(20)) == far.expected(IDS)["status"].tolist()
        assert len(far.service.jobs) == 3


def test_a_job_that_was_over_already_gives_its_results(far: Server) -> None:
    """X refuses to cancel a complete job with 409: its results are the truth, as if nobody had cancelled."""
    run = processing(far)
    run.stop()
    far.service.processing_seconds = 0.0
    far.service.get(far.service.jobs[0].id, {})  # the look at which it becomes complete
    run.cancel()
    assert statuses(run) == far.expected(IDS)["status"].tolist()
    assert far.service.requests["cancel"] == 0


@pytest.mark.parametrize(
    "fault",
    ["drop-before", "drop-after", "return-503", "return-503-after", "cut:17", "return-html-after", "too-many:1"],
)
def test_a_lost_answer_means_look(far: Server, asked: list[str], fault: str) -> None:
    """Whatever became of the request: a look tells, the job is cancelled once, and no other is made."""
    far.script("cancel", fault)
    run = processing(far)
    run.cancel(20)
    far.assert_all_fired()
    assert reasons(run) == [GONE]
    assert [job.failed for job in far.service.jobs] == [True]
    assert far.service.requests["cancel"] == 1
    assert "get" in asked[asked.index("cancel") :]


@pytest.mark.parametrize("after", [False, True], ids=["before the request", "after the answer"])
@pytest.mark.parametrize("complete", [False, True])
def test_a_process_that_dies_amid_it(far: Server, monkeypatch: pytest.MonkeyPatch, after: bool, complete: bool) -> None:
    """The intent is on disk before the request; another process looks, and finds the job cancelled, active or done."""
    run = processing(far)
    run.stop()
    with monkeypatch.context() as patch:
        dies(patch, "cancel", after)
        with pytest.raises(Died):
            run.cancel()
    assert run.record.batches[0].cancels == 1
    if complete:
        far.service.processing_seconds = 0.0
    again = quick(far, poll_interval=0.01).open_run(run.id).wait(20)
    if complete and not after:
        assert statuses(again) == far.expected(IDS)["status"].tolist()
    else:
        assert reasons(again) == [GONE]
        assert far.service.jobs[0].failed
    assert len(far.service.jobs) == 1


def test_a_job_of_which_nothing_is_known_is_found_and_cancelled(far: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process died after the job was made and before its answer was read: the list tells which one to cancel."""
    run = planned(far)
    with monkeypatch.context() as patch:
        dies(patch, "create", after=True)
        with pytest.raises(Died):
            run.wait()
    again = quick(far, poll_interval=0.01).open_run(run.id).cancel(20)
    assert reasons(again) == [GONE]
    assert [job.failed for job in far.service.jobs] == [True]


@pytest.mark.parametrize("dialect", ["gcs", "xapi"])
def test_a_run_that_was_never_sent_asks_nobody(dialect: str, asked: list[str]) -> None:
    """Without a job there is nothing to ask for, whether or not the service could cancel."""
    with Server(dialect=dialect) as far:
        run = planned(far, 10).cancel()
        assert reasons(run) == [GONE] * 3
        assert asked == []


def test_a_foreign_job_is_never_cancelled(far: Server) -> None:
    """Our run, which waits behind somebody else's job, ends; theirs goes on."""
    foreign = far.service.create({}, {"type": "tweets", "name": "somebody else's"})["data"]["id"]
    run = planned(far).start()
    until(lambda: foreign in run.snapshot().note)
    run.cancel(20)
    assert reasons(run) == [GONE]
    assert [job.failed for job in far.service.jobs] == [False]
    assert far.service.requests["cancel"] == 0


def test_what_another_process_drives_is_not_cancelled(far: Server) -> None:
    """Only who holds the run may cancel it; the other is told so, nothing is sent, and the run goes on."""
    run = processing(far)
    other = quick(far).open_run(run.id)
    with pytest.raises(xc.LedgerError, match=r"Another process drives .* not cancelled"):
        other.cancel()
    assert run.record.batches[0].cancels is None
    assert run.status in ("running", "waiting")
    assert far.service.requests["cancel"] == 0
    run.stop()
    assert reasons(other.cancel(20)) == [GONE]


def test_a_job_that_will_not_end_is_let_go_on(far: Server) -> None:
    """X says yes to every request and does nothing: that is told after three, and the run ends with the truth."""
    far.script("cancel", *["return-200"] * CANCELS_MAX)
    run = processing(far)
    with pytest.raises(xc.UnexpectedResponse, match=r"asked 3 times to cancel job .* 'in_progress'"):
        run.cancel(20)
    far.assert_all_fired()
    far.service.processing_seconds = 0.0
    assert statuses(run.wait(20)) == far.expected(IDS)["status"].tolist()


def test_with_no_timeout_the_background_thread_does_it(far: Server) -> None:
    """The call returns at once; the thread that drives the run cancels it."""
    run = processing(far)
    thread = run._thread
    begun = time.monotonic()
    assert run.cancel(timeout=0) is run
    assert time.monotonic() - begun < 0.5
    assert run._thread is thread
    until(run.done)
    assert reasons(run) == [GONE]


def test_cancelling_what_has_ended_changes_nothing(far: Server, asked: list[str]) -> None:
    """A run that is done stays done, with its results."""
    far.service.processing_seconds = 0.0
    run = planned(far).wait()
    before, asked[:] = run.record, []
    assert run.cancel().record == before
    assert asked == []
    assert statuses(run) == far.expected(IDS)["status"].tolist()


def test_the_request_is_counted_and_costs_no_more_than_allowed(far: Server) -> None:
    """DELETE counts against the budget of the run like any other request."""
    run = processing(far)
    run.stop()
    spent = run.record.requests_spent
    with pytest.raises(xc.WaitTimeout, match=f"budget of {spent} requests"):
        quick(far, max_requests=spent).open_run(run.id).cancel()
    assert far.service.requests["cancel"] == 0
    quick(far).open_run(run.id).cancel(20)
    assert run.record.requests["cancel"] == 1


def test_a_failure_of_x_s_own_is_no_cancellation(far: Server) -> None:
    """A job that had failed before anybody asked to cancel it keeps X's reason."""
    run = processing(far)
    run.stop()
    far.service.fail(far.service.jobs[0].id, "too many IDs")
    fresh = quick(far).open_run(run.id)  # has not seen the job, so it looks before it cancels
    assert reasons(fresh.cancel(20)) == [(Phase.DEAD, "X says it failed: too many IDs")]


def test_records_of_earlier_versions_are_not_to_be_cancelled() -> None:
    """A batch is cancelled only if its record says so."""
    assert Batch(1, 10, "0" * 64, "00000000", 200).cancels is None
