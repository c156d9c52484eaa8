"""The rules of a run's life, as pure functions."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcompliance_pd import lifecycle as life
from xcompliance_pd.digest import Grade
from xcompliance_pd.errors import AuthError, RateLimited, Refused, Unavailable, UnexpectedResponse
from xcompliance_pd.lifecycle import Batch, Phase, RunRecord, Step
from xcompliance_pd.protocol import Job, JobStatus, JobType, RateLimit

T0 = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NOW = T0.timestamp()
BATCH = Batch(1, 10, "0" * 64, "00000000", 200)


def job(status: str = "created", **more: object) -> Job:
    facts = {"created_at": T0, "upload_expires_at": T0 + timedelta(minutes=15), **more}
    return Job(id="77", type="tweets", status=status, **facts)  # type: ignore[arg-type]


def saw(batch: Batch, seen: Job) -> Batch:
    return life.on_job(batch, seen, JobType.TWEETS, "ours", NOW, 5.0)


def run(*batches: Batch) -> RunRecord:
    return RunRecord("tweets-20260102-0badcafe", JobType.TWEETS, "https://api.x.com", NOW, 10, "0" * 64, batches)


def failed(batch: Batch, step: Step, error: Exception, **more: object) -> tuple[Batch, bool]:
    facts = {"now": NOW, "server_now": NOW, "first": 5.0, "sandbox": False, "at_stake": True, **more}
    return life.on_error(batch, step, error, **facts)  # type: ignore[arg-type]


OPEN = saw(life.creating(BATCH), job())
SUBMITTED = life.uploaded(OPEN, "hash", NOW + 3, NOW, 5.0)
READY = saw(SUBMITTED, job("complete"))


def test_the_whole_life() -> None:
    """A batch goes from planned to done by the steps of the table, and each step is what it needs next."""
    assert life.next_step(BATCH, NOW, NOW, True, None) is Step.CREATE
    assert OPEN.phase is Phase.OPEN
    assert life.next_step(OPEN, NOW, NOW, True, job()) is Step.UPLOAD
    assert SUBMITTED.phase is Phase.SUBMITTED
    assert life.next_step(SUBMITTED, NOW, NOW, True, job()) is Step.WAIT
    assert life.next_step(SUBMITTED, NOW + 6, NOW, True, job()) is Step.LOOK
    assert READY.phase is Phase.READY
    assert life.next_step(READY, NOW, NOW, True, job("complete")) is Step.DOWNLOAD
    done = results(READY, Grade.HASH)
    assert done.phase is Phase.DONE
    assert done.proved
    assert life.next_step(done, NOW, NOW, True, None) is Step.NONE


def results(batch: Batch, grade: Grade, bad: int = 0, foreign: int = 0) -> Batch:
    return life.on_results(
        batch,
        grade=grade,
        sha256="",
        size=0,
        coding="identity",
        lines=0,
        listed=0,
        undecided=0,
        bad_lines=bad,
        foreign=foreign,
    )


@pytest.mark.parametrize(
    ("grade", "bad", "foreign", "proved"),
    [
        (Grade.HASH, 0, 0, True),
        (Grade.LENGTH, 0, 0, True),
        (Grade.FRAMED, 0, 0, True),
        (Grade.UNPROVED, 0, 0, False),
        (Grade.HASH, 1, 0, False),
        (Grade.HASH, 0, 1, False),
    ],
)
def test_what_proves_absence(grade: Grade, bad: int, foreign: int, proved: bool) -> None:
    """Only a graded file whose every line was read and is about our IDs proves that absence is compliance."""
    assert results(READY, grade, bad, foreign).proved is proved


@pytest.mark.parametrize("phase", [Phase.OPEN, Phase.READY])
def test_without_urls_in_memory_the_job_is_asked_for(phase: Phase) -> None:
    """A new process holds no URL, because none is on disk, so it looks before it uploads or downloads."""
    batch = OPEN if phase is Phase.OPEN else READY
    assert life.next_step(batch, NOW, NOW, True, None) is Step.LOOK


def test_creating_on_disk_means_look_for_the_name() -> None:
    """A batch found in CREATING is never created again before X's list was asked."""
    assert life.next_step(life.creating(BATCH), NOW, NOW, True, None) is Step.ADOPT


def test_one_active_job_per_type() -> None:
    """A second batch is not created while another holds the slot, and is as soon as that one is ready."""
    second = replace(BATCH, number=2)
    assert life.choose(run(SUBMITTED, second), NOW, NOW, {}) == (None, Step.WAIT, 5.0)
    assert life.choose(run(READY, second), NOW, NOW, {"77": job("complete")})[:2] == (second, Step.CREATE)


def test_a_closing_upload_window_means_a_new_job_three_at_most() -> None:
    """15 minutes after its creation a job without upload is given up; after three the batch is dead."""
    late = NOW + 15 * 60 - 5
    batch = OPEN
    names = set()
    for attempt in (1, 2):
        names.add(life.job_name(run(batch), batch))
        assert life.next_step(batch, late, late, True, job()) is Step.REPLAN
        batch = life.replan(batch)
        assert (batch.phase, batch.attempt, batch.job_id) == (Phase.PLANNED, attempt + 1, None)
        batch = saw(life.creating(batch), job())
    names.add(life.job_name(run(batch), batch))
    batch = life.replan(batch)
    assert batch.phase is Phase.DEAD
    assert "smaller batch_size" in str(batch.reason)
    assert len(names) == 3


def test_the_window_is_judged_by_the_servers_clock() -> None:
    """A local clock that is a day ahead does not close the window."""
    assert life.next_step(OPEN, NOW + 86_400, NOW, True, job()) is Step.UPLOAD


def test_a_lost_upload_answer_is_recovered_and_dated_early() -> None:
    """If the job moved on, the upload had arrived; the check is dated by the job's creation, never later."""
    left = life.upload_left(life.uploading(OPEN))
    batch = life.on_job(left, job("in_progress"), JobType.TWEETS, "ours", NOW + 86_400, 5.0)  # resumed a day later
    assert (batch.phase, batch.upload_proof, batch.checked_at) == (Phase.SUBMITTED, "status", NOW)


def test_a_confirmed_upload_keeps_its_time() -> None:
    """Later looks do not move checked_at."""
    assert saw(SUBMITTED, job("complete")).checked_at == NOW + 3


def test_unknown_status_keeps_looking() -> None:
    """A status that X may add later neither ends nor repeats a job."""
    assert saw(SUBMITTED, job("paused")).phase is Phase.SUBMITTED
    fresh = saw(life.creating(BATCH), job("pending"))
    assert fresh.phase is Phase.OPEN
    assert life.next_step(fresh, NOW + 6, NOW, True, job("pending")) is Step.LOOK


@pytest.mark.parametrize("status", ["in_progress", "complete"])
def test_a_job_that_runs_on_no_file_or_half_a_file_of_ours_is_given_up(status: str) -> None:
    """If the job moved on though our upload was never made, or is known to be cut, its results prove nothing."""
    for batch in (OPEN, life.uploading(OPEN), life.creating(BATCH)):
        after = saw(batch, job(status))
        assert (after.phase, after.attempt, after.proved) == (Phase.PLANNED, 2, False)


def test_a_job_is_missed_twice_before_another_is_made() -> None:
    """One list without our job may be late; only a second one some time later says that there is none."""
    once = life.not_listed(life.creating(BATCH), NOW, 5.0)
    assert (once.phase, once.look_at) == (Phase.CREATING, NOW + 5.0)
    assert life.not_listed(once, NOW, 5.0).phase is Phase.PLANNED


def test_waiting_behind_anothers_job_is_no_outage() -> None:
    """The row of failures ends where another's job explains them, and not where the list explains nothing."""
    tried = replace(BATCH, phase=Phase.CREATING, failures=4, failing_since=NOW - 9, looks=2)
    blocked, missed = life.blocked(tried, "1", NOW, 20.0), life.not_listed(tried, NOW, 20.0)
    assert (blocked.failures, blocked.failing_since) == (0, None)
    assert (missed.failures, missed.failing_since) == (4, NOW - 9)
    assert blocked.looks == missed.looks == 3, "the looks are counted, so that the waits grow"
    assert blocked.look_at == missed.look_at == NOW + 20.0


def test_looks_between_failed_transfers_do_not_end_the_row() -> None:
    """A download that fails again and again waits longer each time, though the looks in between succeed."""
    batch, waits = READY, []
    for _ in range(4):
        batch, stop = failed(batch, Step.DOWNLOAD, Unavailable("503", status=503, retryable=True))
        waits.append((batch.look_at or 0) - NOW)
        batch = saw(batch, job("complete"))
        assert not stop
    assert waits == [5.0, 7.5, 11.25, 16.875]


def test_a_clock_set_back_blocks_nothing() -> None:
    """A wait that ends days from now was not planned by this clock, so it is over."""
    batch = replace(SUBMITTED, look_at=NOW + 3 * 86_400)
    assert life.next_step(batch, NOW, NOW, True, None) is Step.LOOK


@pytest.mark.parametrize("answer", [replace(job(), id="78"), replace(job(), type="users"), job(name="somebody's")])
def test_an_answer_about_another_job_is_refused(answer: Job) -> None:
    """The answer for another ID, type or name changes nothing."""
    with pytest.raises(UnexpectedResponse, match="nothing of it was used"):
        saw(OPEN, answer)


def test_failed_says_why() -> None:
    """X's reason for a failed job is kept."""
    batch = saw(SUBMITTED, job("failed", error="too many IDs"))
    assert (batch.phase, batch.reason) == (Phase.DEAD, "X says it failed: too many IDs")


def test_a_job_on_a_cut_file_is_cancelled_and_not_only_left() -> None:
    """In a run that is to end, a job that runs on half a file of ours is still active, so it is cancelled as well."""
    (wanted,) = life.cancel(run(life.uploading(OPEN))).batches
    seen = saw(wanted, job("in_progress"))
    assert seen.phase in life.ACTIVE
    assert life.next_step(seen, NOW, NOW, True, job("in_progress")) is Step.CANCEL
    complete = saw(life.cancelling(seen), job("complete"))
    assert complete.phase is Phase.PLANNED, "its results prove nothing"
    assert life.next_step(complete, NOW, NOW, True, None) is Step.END
    assert life.end(complete).reason == life.CANCELLED


def test_what_was_never_sent_is_ended_last() -> None:
    """While a job is still active the service may turn out not to cancel, and then nothing is to be changed."""
    record = life.cancel(run(SUBMITTED, replace(BATCH, number=2)))
    assert life.choose(record, NOW, NOW, {"77": job("in_progress")})[1] is Step.CANCEL
    waits = record.with_batch(replace(record.batches[0], look_at=NOW + 5))
    assert life.choose(waits, NOW, NOW, {})[1] is Step.WAIT
    over = record.with_batch(saw(life.cancelling(record.batches[0]), job("failed")))
    batch, step, _ = life.choose(over, NOW, NOW, {})
    assert (batch and batch.number, step) == (2, Step.END)
    assert life.keep(record).batches[1] == replace(BATCH, number=2)


@given(st.sampled_from(list(Phase)), st.sampled_from(list(JobStatus)))
def test_no_status_makes_a_batch_done(phase: Phase, status: JobStatus) -> None:
    """DONE is reached through a result file only, whatever X's status says."""
    if phase in (Phase.PLANNED, Phase.DONE, Phase.DEAD):
        assert phase not in life.BY_STATUS
    else:
        assert life.BY_STATUS[phase][status] is not Phase.DONE


AMBIGUOUS = [
    Unavailable("cut", retryable=True),
    Unavailable("500", status=500, retryable=True),
    UnexpectedResponse("html", status=200, retryable=True),
    UnexpectedResponse("another job", status=200),
    Refused("conflict", status=409),
]
CLEAR = [
    Unavailable("refused", retryable=True, sent=False),
    RateLimited("429", status=429, retryable=True),
    Refused("400", status=400),
    AuthError("401", status=401),
]


@pytest.mark.parametrize("error", AMBIGUOUS, ids=str)
def test_an_ambiguous_create_is_never_repeated_blindly(error: Exception) -> None:
    """If a job may exist, the batch stays CREATING, whose next step is to look for its name."""
    after, _ = failed(life.creating(BATCH), Step.CREATE, error)
    assert after.phase is Phase.CREATING


@pytest.mark.parametrize("error", CLEAR, ids=str)
def test_a_create_that_surely_made_nothing_may_be_repeated(error: Exception) -> None:
    """If nothing left this machine, or the service itself said no, no job exists."""
    after, _ = failed(life.creating(BATCH), Step.CREATE, error)
    assert after.phase is Phase.PLANNED


def test_auth_errors_stop_at_once_and_lose_nothing() -> None:
    """A refused token stops the run; the batch stays where it was, without a wait."""
    after, stop = failed(SUBMITTED, Step.LOOK, AuthError("401", status=401))
    assert stop
    assert (after.phase, after.look_at) == (Phase.SUBMITTED, None)


def test_an_outage_is_waited_out() -> None:
    """Looking for a running job never gives up by itself; the waits grow and are capped."""
    batch, waits = SUBMITTED, []
    for _ in range(40):
        batch, stop = failed(batch, Step.LOOK, Unavailable("down", retryable=True))
        assert not stop
        waits.append((batch.look_at or 0) - NOW)
    assert waits[:3] == [5.0, 7.5, 11.25]
    assert waits[-1] == 300.0
    assert batch.failing_since == NOW


def test_a_wrong_address_is_told_soon() -> None:
    """Without any job at stake five failed connections end the wait."""
    batch = BATCH
    stops = []
    for _ in range(5):
        error = Unavailable("refused", retryable=True, sent=False)
        batch, stop = failed(life.creating(batch), Step.CREATE, error, at_stake=False)
        stops.append(stop)
    assert stops == [False] * 4 + [True]


def test_a_rate_limit_waits_for_the_window_by_server_time() -> None:
    """The wait is the rest of the server's window, and at most one window."""
    error = RateLimited("429", status=429, retryable=True, retry_at=NOW + 100)
    assert failed(SUBMITTED, Step.LOOK, error, server_now=NOW + 40)[0].look_at == NOW + 60
    far = RateLimited("429", status=429, retryable=True, retry_at=NOW + 1e9)
    assert failed(SUBMITTED, Step.LOOK, far)[0].look_at == NOW + 900
    past = RateLimited("429", status=429, retryable=True, retry_at=NOW - 100)
    once = failed(SUBMITTED, Step.LOOK, past)[0]
    assert (once.look_at, failed(once, Step.LOOK, past)[0].look_at) == (NOW + 5.0, NOW + 7.5)


def test_expired_upload_url_means_a_look_and_then_a_new_job() -> None:
    """ExpiredToken cannot be cured with the same job, but an earlier upload may have arrived, so it looks first."""
    expired = Refused("400", status=400, code="ExpiredToken")
    after, stop = failed(OPEN, Step.UPLOAD, expired)
    assert (after.phase, after.attempt, stop) == (Phase.OPEN, 1, False)
    after, stop = failed(saw(after, job()), Step.UPLOAD, expired)
    assert (after.phase, after.attempt, stop) == (Phase.PLANNED, 2, False)


LATE = NOW + 15 * 60
FORBIDDEN = Refused("403", status=403, code="not-authorized-for-resource")


def test_an_upload_refused_after_the_window_is_a_late_one() -> None:
    """A service without the storage's words: a 4xx after the end of the URL, by the server's clock, means a new job."""
    after, stop = failed(OPEN, Step.UPLOAD, FORBIDDEN, server_now=LATE)
    assert (after.phase, after.attempt, stop) == (Phase.OPEN, 1, False)
    after, stop = failed(saw(after, job()), Step.UPLOAD, FORBIDDEN, server_now=LATE)
    assert (after.phase, after.attempt, stop) == (Phase.PLANNED, 2, False)
    assert failed(OPEN, Step.UPLOAD, FORBIDDEN, server_now=LATE - 1)[1], "in time it is told at once"
    lost = Unavailable("503", status=503, retryable=True)
    assert failed(replace(OPEN, byte_failures=1), Step.UPLOAD, lost, server_now=LATE)[0].phase is Phase.OPEN


def test_a_conflict_on_upload_means_a_look_and_then_a_new_job() -> None:
    """409 says that the job has its file: look; if it waits all the same, the fifth 409 in a row ends it."""
    batch = OPEN
    for _ in range(life.FAILURES_MAX - 1):
        batch, stop = failed(batch, Step.UPLOAD, Refused("409", status=409, code="conflict"))
        batch = saw(batch, job())
        assert (batch.phase, batch.attempt, stop) == (Phase.OPEN, 1, False)
    batch, stop = failed(batch, Step.UPLOAD, Refused("409", status=409))
    assert (batch.phase, batch.attempt, stop) == (Phase.PLANNED, 2, False)


@pytest.mark.parametrize(
    ("refusal", "at"), [((409, "conflict"), NOW), ((400, "ExpiredToken"), NOW), ((403, None), LATE), ((400, None), NOW)]
)
def test_what_a_refused_upload_says_of_the_one_before(refusal: tuple[int, str | None], at: float) -> None:
    """One that came too late, or second, leaves the first one as it was; any other is the latest, and was refused."""
    whole, cut = life.upload_left(life.uploading(OPEN)), life.uploading(OPEN)
    needless = refusal != (400, None)
    assert life.upload_refused(OPEN, *refusal, at).upload_cut, "there was none before"
    assert life.upload_refused(cut, *refusal, at).upload_cut, "a cut one is never believed"
    assert life.upload_refused(whole, *refusal, at).upload_cut is not needless


def test_results_refused_after_their_end_are_gone() -> None:
    """A 4xx to a download after the end of its URL is asked for anew, five times; then the results are gone."""
    batch = saw(SUBMITTED, job("complete", download_expires_at=T0 + timedelta(days=7)))
    assert failed(batch, Step.DOWNLOAD, FORBIDDEN, server_now=NOW + 7 * 86_400 - 1)[1], "in time it is told at once"
    for _ in range(life.DOWNLOADS_MAX):
        batch, stop = failed(batch, Step.DOWNLOAD, FORBIDDEN, server_now=NOW + 7 * 86_400)
        assert not stop
    assert (batch.phase, batch.reason) == (Phase.DEAD, "its results are gone (X keeps them for seven days)")


def test_missing_results_are_never_no_findings() -> None:
    """A result that is not there ends as DEAD after five tries, not as an empty result."""
    batch = READY
    for _ in range(5):
        batch, stop = failed(batch, Step.DOWNLOAD, Refused("404", status=404, code="NoSuchKey"))
        assert not stop
    assert batch.phase is Phase.DEAD
    assert not batch.proved


@given(st.text(max_size=200), st.integers(1, 10**6), st.integers(1, 3))
def test_job_names_fit_and_are_distinct(label: str, number: int, attempt: int) -> None:
    """A name has at most 64 characters and differs between batches and attempts, whatever the label."""
    batch = replace(BATCH, number=number, attempt=attempt)
    record = replace(run(batch), label=label)
    name = life.job_name(record, batch)
    assert 0 < len(name) <= 64
    assert name.isascii()
    assert name != life.job_name(record, replace(batch, attempt=attempt + 1))
    assert name != life.job_name(record, replace(batch, number=number + 1))


def test_scarce_requests_are_spread() -> None:
    """With Basic's five requests in 15 minutes the looks are spread over the window; with plenty they are not."""
    assert life.spread(RateLimit(5, 4, NOW + 900), NOW) == 225.0
    assert life.spread(RateLimit(5, 0, NOW + 300), NOW) == 300.0
    assert life.spread(RateLimit(150, 120, NOW + 900), NOW) == 0.0


def test_snapshot_counts_what_is_unproved() -> None:
    """The screen shows how many IDs stay unchecked, and why."""
    shown = life.snapshot(run(replace(results(READY, Grade.UNPROVED), listed=4, reason="it was cut")), NOW, NOW, 500)
    assert (shown.state, shown.unproved, shown.listed) == ("done", 6, 4)
    assert "it was cut" in shown.note
