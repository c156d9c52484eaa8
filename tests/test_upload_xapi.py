"""Uploads and downloads that the newer dialect refuses: whole runs, in time that passes only while the client waits."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from support import quick

import xcompliance_pd as xc
from xcompliance_pd.lifecycle import Phase
from xcompliance_pd.protocol import JobType, Secret
from xcompliance_pd.run import Run
from xcompliance_pd.runner import Clock
from xcompliance_pd.sandbox import Server
from xcompliance_pd.transport import FileBody, Transport

IDS = [str(1212092628029698048 + n * 4_194_304_007) for n in range(30)]
FRAME = pd.DataFrame({"id": IDS})


class Time:
    """The time of both sides."""

    def __init__(self) -> None:
        self.now = 1_790_000_000.0

    def clock(self) -> Clock:
        return Clock(lambda: self.now, lambda: self.now, self._pause)

    def _pause(self, stop: object, seconds: float) -> bool:
        self.now += max(seconds, 0.001)  # less would be lost in rounding
        return False


def planned(far: Server, time: Time) -> Run:
    client = xc.Client(far.token, far.url, clock=time.clock())
    run, _ = client.start([np.array(IDS, dtype=np.int64)], JobType.TWEETS)
    assert run is not None
    return run


def step_to(phase: Phase, run: Run, time: Time) -> None:
    while run.record.batches[0].phase is not phase:
        time.now += run._runner.advance(run.id).wait or 0.0


def statuses(run: Run) -> list[str]:
    return FRAME.compliance.join("id", run, partial=True)["compliance_status"].tolist()  # type: ignore[no-any-return]


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def truth() -> list[str]:
    with Server(dialect="xapi") as server:
        return server.expected(IDS)["status"].tolist()  # type: ignore[no-any-return]


def test_a_second_upload_is_needless_and_the_first_is_believed(time: Time, truth: list[str]) -> None:
    """The answer to a whole upload is lost and a look lags behind; the second is refused with 409, the first counts."""
    with Server(dialect="xapi", clock=lambda: time.now) as far:
        far.script("upload", "drop-after")
        far.script("get", {"mutate": {"status": "created"}})
        run = planned(far, time).wait()
        far.assert_all_fired()
        assert (run.record.batches[0].uploads, run.record.batches[0].upload_proof) == (2, "status")
        assert statuses(run) == truth
        assert len(far.service.jobs) == 1


def test_a_cut_upload_that_was_taken_is_not_believed_for_a_409(
    time: Time, truth: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The far side took a file that broke off on our side; the 409 to the whole one must not make it ours."""
    put = Transport.put

    def cutting(self: Transport, url: Secret, body: FileBody) -> object:
        monkeypatch.setattr(Transport, "put", put)
        far.service.upload(far.service.jobs[0].id, IDS[0].encode() + b"\n")
        raise xc.Unavailable("the connection broke", retryable=True)

    with Server(dialect="xapi", clock=lambda: time.now) as far:
        monkeypatch.setattr(Transport, "put", cutting)
        far.script("get", {"mutate": {"status": "created"}})
        far.script("create", "ok", "ok")
        run = planned(far, time).wait()
        far.assert_all_fired()
        assert statuses(run) == truth
        assert len(far.service.jobs) == 2, "the job with the cut file was given up"
        assert run.record.batches[0].past_jobs == (far.service.jobs[0].id,)


def test_an_upload_that_comes_too_late_means_a_new_job(
    time: Time, truth: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The window closes while the upload is under way: 403 by the service's clock, a look, and another job."""
    put = Transport.put

    def late(self: Transport, url: Secret, body: FileBody) -> object:
        monkeypatch.setattr(Transport, "put", put)
        time.now += 900
        return put(self, url, body)

    with Server(dialect="xapi", clock=lambda: time.now) as far:
        monkeypatch.setattr(Transport, "put", late)
        run = planned(far, time).wait()
        assert statuses(run) == truth
        assert len(far.service.jobs) == 2
        assert [job.upload is None for job in far.service.jobs] == [True, False]


def test_the_service_s_clock_tells_what_is_too_late(time: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal in time is told at once, though our own clock is a day ahead."""
    with Server(dialect="xapi", clock=lambda: time.now - 86_400) as far:
        far.script("upload", "return-403")
        run = planned(far, time)
        with pytest.raises(xc.Refused, match="HTTP 403"):
            run.wait()
        assert len(far.service.jobs) == 1


def test_results_after_seven_days_are_gone(time: Time) -> None:
    """A process that slept for a week asks for the job again, is refused again, and says that the results are gone."""
    with Server(dialect="xapi", complete_after=1, clock=lambda: time.now) as far:
        run = planned(far, time)
        step_to(Phase.READY, run, time)
        time.now += 7 * 86_400
        run.wait()
        assert run.record.batches[0].phase is Phase.DEAD
        with pytest.raises(xc.JobError, match="its results are gone"):
            run.raise_if_dead()
        assert statuses(run) == ["unchecked"] * 30


def test_a_download_url_that_aged_is_asked_for_anew(time: Time, truth: list[str]) -> None:
    """If the job then has a younger URL, that one serves; here X keeps its results longer than it said."""
    with Server(dialect="xapi", complete_after=1, clock=lambda: time.now) as far:
        run = planned(far, time)
        step_to(Phase.READY, run, time)
        time.now += 7 * 86_400
        far.script("download", "return-403")
        far.script("get", {"mutate": {"download_expires_at": "2027-01-01T00:00:00.000Z"}})
        far.service.jobs[0].created_at += 86_400  # so are its tokens, by now
        run.wait()
        far.assert_all_fired()
        assert statuses(run) == truth


def test_the_setting_that_sends_the_token_sends_it_to_no_other_host() -> None:
    """With `bearer_on_byte_paths` uploads and downloads at a storage of another origin work, and see no token."""
    with Server(complete_after=1) as far:
        checked = FRAME.compliance.check("id", client=quick(far, bearer_on_byte_paths=True))
        assert checked["compliance_status"].tolist() == far.expected(IDS)["status"].tolist()
        assert far.service.authorized_byte_requests == 0
    with Server(dialect="xapi", complete_after=1, bearer_on_byte_paths=True) as own:
        checked = FRAME.compliance.check("id", client=quick(own, bearer_on_byte_paths=True))
        assert checked["compliance_status"].tolist() == own.expected(IDS)["status"].tolist()
        assert own.service.authorized_byte_requests == 2
