"""The life of a run and its batches: every phase, step and transition, and nothing that touches the world.

Theory. A *run* is one check of one set of IDs; it is cut into *batches*; each batch is sent as one *job* of X's.
`next_step` says what a batch needs now; the runner does just that one thing and hands what came back to one
of the `on_...` functions here, which return the batch as it stands then. What a batch is, is what its record
on disk says, so a process may die between any two exchanges and another carries on.

    PLANNED -> CREATING -> OPEN -> SUBMITTED -> READY -> DONE          or DEAD, with its reason

========== ========= ==================================================== =================================
phase      step      what came back                                       next phase
========== ========= ==================================================== =================================
PLANNED    CREATE    (written down before the request is sent)            CREATING
CREATING   CREATE    a job                                                by its status
           CREATE    no: surely not sent, 429, a 4xx but 409              PLANNED
           CREATE    a lost answer, 5xx, 409, no JSON (a job may exist)   CREATING
           ADOPT     a job in X's list that bears our name                by its status
           ADOPT     no such job, twice                                   PLANNED, later if a foreign job is active
OPEN       UPLOAD    200, and the hashes agree where given                SUBMITTED
           UPLOAD    200, but other hashes: the job got damaged IDs       PLANNED, a new job
           UPLOAD    anything else                                        OPEN, and LOOK before trying again
           UPLOAD    too late, or 409 again and again, and it still waits PLANNED, a new job
           REPLAN    the upload window has closed                         PLANNED, a new job (3 at most), or DEAD
any        LOOK      a job                                                by its status (`BY_STATUS`)
any        LOOK      it moved on, but our upload was cut or never made    PLANNED, a new job
READY      DOWNLOAD  a whole result                                       DONE
           DOWNLOAD  damaged 5 times, or proof is not to be had           DONE, but unproved
           DOWNLOAD  the results are gone                                 DEAD
any        CANCEL    anything: only a LOOK says what came of it           the same, then LOOK
PLANNED    END       nothing of a run that is to be cancelled is active   DEAD
========== ========= ==================================================== =================================

Cancelling is an intent on disk (`Batch.cancels`) before it is a request, so whoever drives the run next goes on with
it. Only a look says what came of it: a job that had ended well meanwhile is downloaded as ever.

Creating is the one request that must not be repeated blindly: CREATING is on disk before it, and only a batch
found in CREATING looks for a job with its name. No URL is ever written down: asking for the job gives fresh ones.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from .digest import Grade
from .errors import LedgerError, RateLimited, RemoteError, UnexpectedResponse
from .protocol import JOB_NAME_MAX, Job, JobStatus, JobType, RateLimit, redact

ATTEMPTS_MAX = 3  # jobs for one batch
CANCELS_MAX = 3  # requests to cancel one job
DOWNLOADS_MAX = 5  # downloads of one result
FAILURES_MAX = 5  # failures in a row while nothing is at stake, or while a sandbox does not answer
WAIT_MAX = 900.0  # seconds; a rate-limit window (https://docs.x.com/x-api/fundamentals/rate-limits)
OUTAGE_MAX = 300.0  # seconds between two tries while the service does not answer
POLL_MAX = 60.0  # seconds between looks at a job, unless the rate limit asks for more
UPLOAD_MARGIN = 10.0  # seconds before the upload window closes at which a new job is the better choice
SCARCE = 5  # requests left in the window from which on they are spread over the rest of it


class Phase(StrEnum):
    PLANNED = "planned"
    CREATING = "creating"
    OPEN = "open"
    SUBMITTED = "submitted"
    READY = "ready"
    DONE = "done"
    DEAD = "dead"


ENDED: Final = frozenset({Phase.DONE, Phase.DEAD})
ACTIVE: Final = frozenset({Phase.CREATING, Phase.OPEN, Phase.SUBMITTED})  # hold X's one slot per job type


class Step(StrEnum):
    """What a batch may need, most urgent first: an upload window is short, results wait for days."""

    CANCEL = "cancel"
    UPLOAD = "upload"
    REPLAN = "replan"
    ADOPT = "adopt"
    CREATE = "create"
    LOOK = "look"
    DOWNLOAD = "download"
    END = "end"
    WAIT = "wait"
    NONE = "none"


_URGENCY: Final = {step: rank for rank, step in enumerate(Step)}

_C, _I, _D, _F, _E = JobStatus.CREATED, JobStatus.IN_PROGRESS, JobStatus.COMPLETE, JobStatus.FAILED, JobStatus.EXPIRED

# (our phase, X's status) -> our phase. A status that is not here leaves the phase as it is.
# https://docs.x.com/x-api/compliance/batch-compliance/quickstart (step 3) names the five statuses.
BY_STATUS: Final[Mapping[Phase, Mapping[JobStatus, Phase]]] = {
    Phase.CREATING: {
        _C: Phase.OPEN,
        _I: Phase.SUBMITTED,
        _D: Phase.READY,
        _F: Phase.DEAD,
        _E: Phase.PLANNED,
    },
    Phase.OPEN: {
        _C: Phase.OPEN,
        _I: Phase.SUBMITTED,  # an upload whose answer was lost
        _D: Phase.READY,
        _F: Phase.DEAD,
        _E: Phase.PLANNED,
    },
    Phase.SUBMITTED: {
        _C: Phase.SUBMITTED,  # the service lags behind its own 200
        _I: Phase.SUBMITTED,
        _D: Phase.READY,
        _F: Phase.DEAD,
        _E: Phase.PLANNED,
    },
    Phase.READY: {
        _C: Phase.READY,
        _I: Phase.SUBMITTED,
        _D: Phase.READY,
        _F: Phase.DEAD,
        _E: Phase.DEAD,  # results are kept for seven days
    },
}


@dataclass(frozen=True, slots=True)
class Batch:
    """One slice of a run, sent as one job. Times are seconds since the epoch."""

    number: int  # from 1
    ids: int
    ids_sha256: str  # of the ID file, hex
    ids_crc32c: str
    ids_bytes: int
    first_part: int = 0  # of the dataset whose IDs are in this batch: partitions or row groups, from 0
    last_part: int = 0
    phase: Phase = Phase.PLANNED
    attempt: int = 1  # which job this is
    job_id: str | None = None
    past_jobs: tuple[str, ...] = ()  # jobs that expired before they got the file
    job_created_at: float | None = None  # server time
    upload_expires_at: float | None = None  # server time
    download_expires_at: float | None = None  # server time
    uploads: int = 0  # begun
    upload_cut: bool = False  # the latest upload broke off before its end, or was refused
    upload_proof: str | None = None  # "hash", "answer" (200 without hashes), "status" (the job moved on), or ATTACHED
    checked_at: float | None = None  # server time of the confirmed upload
    looks: int = 0  # at this job, or at the list while there is none
    downloads: int = 0
    unlisted: int = 0  # how often X's whole list of jobs did not hold ours
    look_at: float | None = None  # our clock: not before this
    failures: int = 0  # retryable ones of requests to the API, in a row
    byte_failures: int = 0  # of uploads and downloads, in a row; a look in between does not end the row
    failing_since: float | None = None
    blocked_by: str | None = None  # a foreign active job of this type
    grade: Grade | None = None
    proved: bool = False
    framed_sha256: str | None = None  # of a chunked download that waits for an identical second one
    results_sha256: str | None = None
    results_bytes: int | None = None
    results_coding: str = "identity"
    lines: int | None = None
    listed: int | None = None  # distinct IDs of this batch with a verdict
    undecided: int = 0  # distinct IDs of this batch with a record, but none that is a verdict
    bad_lines: int = 0
    foreign: int = 0  # records for IDs that were not sent
    reason: str | None = None  # why it is dead or unproved
    cancels: int | None = None  # requests to cancel its job, begun; None unless it is to be cancelled


CANCELLED = "cancelled"  # the reason of a batch that was


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What the ledger holds of a run."""

    id: str
    type: JobType
    base_url: str
    created_at: float
    ids: int
    ids_sha256: str  # of all IDs, eight bytes each, lowest first: what makes two runs the same check
    batches: tuple[Batch, ...]
    ended_at: float | None = None
    label: str | None = None
    requests: Mapping[str, int] = field(default_factory=dict)
    max_age: float = 0.0  # seconds that a verdict might be old when this check began; younger ones are reused
    reused: tuple[str, ...] = ()  # the batches that they are from, as `batch_name` gives them, the newest first
    forgotten_at: float | None = None  # our clock; from then on there are neither IDs nor results

    @property
    def ended(self) -> bool:
        return self.forgotten_at is not None or all(batch.phase in ENDED for batch in self.batches)

    @property
    def dead(self) -> tuple[Batch, ...]:
        return tuple(batch for batch in self.batches if batch.phase is Phase.DEAD)

    @property
    def requests_spent(self) -> int:
        return sum(self.requests.values())

    @property
    def sandbox(self) -> bool:
        return self.id.startswith("sandbox-")

    def with_batch(self, batch: Batch) -> RunRecord:
        return replace(self, batches=tuple(batch if b.number == batch.number else b for b in self.batches))

    def count(self, operation: str) -> RunRecord:
        return replace(self, requests={**self.requests, operation: self.requests.get(operation, 0) + 1})


RUN_ID = re.compile(r"(sandbox-)?(tweets|users)-[0-9]{8}-[0-9a-f]{8}(-attached)?")
ATTACHED = "attached"  # the upload proof of a job that was made elsewhere: nobody here saw what was uploaded
ATTACHED_SUFFIX = "-attached"  # of the run's ID, so that its verdicts tell it wherever they go


def run_id(type: JobType, day: str, token: str, sandbox: bool) -> str:
    """Return a run's ID; `day` is YYYYMMDD, `token` 8 random hex digits. It tells type, day and sandbox at a glance."""
    return f"{'sandbox-' if sandbox else ''}{type}-{day}-{token}"


def batch_name(run: RunRecord, batch: Batch) -> str:
    """Return what a later check calls a batch that it reuses."""
    return f"{run.id}/{batch.number}"


def job_name(run: RunRecord, batch: Batch) -> str:
    """Return the name by which this batch's job is found again; the same for every try of one attempt."""
    key = hashlib.sha256(f"{run.id}/{run.ids_sha256}".encode()).hexdigest()[:12]
    name = f"xcpd-{key}-{batch.number}-{batch.attempt}"
    label = re.sub(r"[^A-Za-z0-9 ._-]", "_", run.label or "")
    return f"{name} {label}"[:JOB_NAME_MAX].rstrip()


# --------------------------------------------------------------------------- deciding


def next_step(
    batch: Batch, now: float, server_now: float, slot_free: bool, job: Job | None, in_parts: bool = False
) -> Step:
    """Say what a batch needs now.

    Parameters
    ----------
    batch : Batch
    now, server_now : float
        Our clock and the server's, seconds since the epoch.
    slot_free : bool
        Whether no other batch of the run holds the one slot that X gives to a job type.
    job : Job or None
        The job as the last answer showed it, if this process has seen it: only that holds URLs.
    in_parts : bool
        Whether an upload in parts was begun. Its session outlives the window in which it was to be opened; whether the
        job does, X says.

    Returns
    -------
    Step
    """
    if batch.phase in ENDED:
        return Step.NONE
    if batch.phase is Phase.PLANNED and batch.cancels is not None:
        return Step.END if slot_free else Step.WAIT  # last: if the service cannot cancel, nothing is to be changed
    # A wait longer than any we would plan means that our clock was set back.
    if batch.look_at is not None and now < batch.look_at <= now + WAIT_MAX:
        return Step.WAIT
    if batch.phase is Phase.PLANNED:
        return Step.CREATE if slot_free else Step.WAIT
    if batch.phase is Phase.CREATING:
        return Step.ADOPT
    if batch.cancels is not None and batch.phase in ACTIVE and job is not None:
        return Step.CANCEL
    if batch.phase is Phase.SUBMITTED or job is None:
        return Step.LOOK
    if batch.phase is Phase.READY:
        return Step.DOWNLOAD
    if job.status != JobStatus.CREATED:
        return Step.LOOK
    closes = batch.upload_expires_at
    closing = closes is not None and server_now > closes - UPLOAD_MARGIN and not in_parts
    return Step.REPLAN if closing else Step.UPLOAD


def choose(
    run: RunRecord, now: float, server_now: float, jobs: Mapping[str, Job], in_parts: Container[str] = ()
) -> tuple[Batch | None, Step, float | None]:
    """Return the run's most urgent (batch, step, None); or, with nothing to do now, (None, WAIT, seconds).

    A run that has ended gives (None, NONE, None). `in_parts` are the jobs whose upload in parts was begun.
    """
    if run.forgotten_at is not None:
        return None, Step.NONE, None
    active = {batch.number for batch in run.batches if batch.phase in ACTIVE}
    steps = [
        (next_step(batch, now, server_now, not active - {batch.number}, jobs.get(job), job in in_parts), batch)
        for batch in run.batches
        for job in [batch.job_id or ""]
    ]
    step, batch = min(steps, key=lambda pair: _URGENCY[pair[0]])
    if step is Step.NONE:
        return None, step, None
    if step is Step.WAIT:
        # A batch that waits for the slot may have a time in the past, which is no time to come back at.
        due = [b.look_at for s, b in steps if s is Step.WAIT and b.look_at is not None and b.look_at > now]
        return None, step, min(max(min(due, default=now) - now, 0.0), WAIT_MAX)
    return batch, step, None


def delay(first: float, count: int, longest: float = POLL_MAX) -> float:
    """Return seconds to wait before try number `count` (from 0): `first`, growing by half each time.

    Examples
    --------
    >>> [delay(5.0, n) for n in (0, 1, 2, 50)]
    [5.0, 7.5, 11.25, 60.0]
    """
    return min(first * 1.5 ** min(count, 50), longest)


def spread(limit: RateLimit | None, server_now: float) -> float:
    """Return the wait that the rate limit asks for: none while plenty is left, else the rest of the window in parts.

    Examples
    --------
    >>> spread(RateLimit(150, 149, 1900.0), 1000.0), spread(RateLimit(5, 4, 1900.0), 1000.0)
    (0.0, 225.0)
    """
    if limit is None or limit.remaining > SCARCE:
        return 0.0
    left = min(max(limit.reset - server_now, 0.0), WAIT_MAX)
    return left / max(limit.remaining, 1)


# --------------------------------------------------------------------------- transitions


def creating(batch: Batch) -> Batch:
    return replace(batch, phase=Phase.CREATING, look_at=None, blocked_by=None)


def _epoch(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def on_job(batch: Batch, job: Job, type: JobType, name: str, now: float, wait: float) -> Batch:
    """Return the batch after its job was seen, on creation, in the list, or by a look.

    Raises
    ------
    UnexpectedResponse
        The answer is about a job of another ID, type or name: nothing of it can be used.
    """
    other = job.name not in (None, name) and batch.upload_proof != ATTACHED  # whose name is somebody else's
    if batch.job_id not in (None, job.id) or job.type != type or other:
        raise UnexpectedResponse(
            f"The service answered with another job ({job.id}, type {redact(job.type, 20)!r}) than the one asked for "
            f"({batch.job_id or 'a new one'}, type {str(type)!r}), so nothing of it was used. Report this if it "
            "persists.",
            status=200,
        )
    fresh = batch.job_id is None
    seen = replace(
        batch,
        job_id=job.id,
        job_created_at=_epoch(job.created_at) if fresh else batch.job_created_at,
        upload_expires_at=_epoch(job.upload_expires_at) or batch.upload_expires_at,
        download_expires_at=_epoch(job.download_expires_at) or batch.download_expires_at,
        looks=0 if fresh else batch.looks + 1,
        failures=0,
        failing_since=batch.failing_since if batch.byte_failures else None,
        unlisted=0,
        blocked_by=None,
    )
    try:
        status = JobStatus(job.status)
    except ValueError:
        # A job of ours exists, whatever its unknown status means: look again, never create a second one.
        return replace(seen, phase=Phase.OPEN if seen.phase is Phase.CREATING else seen.phase, look_at=now + wait)
    phase = BY_STATUS[seen.phase].get(status, seen.phase)
    if phase is Phase.PLANNED:
        return replan(seen)
    if batch.cancels is not None and phase in ACTIVE:
        # Not the place to replan: a job that is still active has to be cancelled, whatever it runs on.
        return replace(seen, phase=phase, look_at=now + wait if batch.cancels else None)
    if phase is Phase.DEAD and status is _F and batch.cancels:
        return replace(seen, phase=phase, look_at=None, reason=CANCELLED)
    if phase is Phase.DEAD:
        why = "its results are gone (X keeps them for seven days)" if status is _E else "X says it failed"
        return replace(seen, phase=phase, look_at=None, reason=why + (f": {job.error}" if job.error else ""))
    if phase in (Phase.SUBMITTED, Phase.READY) and seen.upload_proof is None and (seen.upload_cut or not seen.uploads):
        # The job runs on a file that we know was cut, or never sent: what it does not list proves nothing.
        return replan(seen)
    if phase in (Phase.SUBMITTED, Phase.READY) and seen.upload_proof is None:
        # The answer to our upload was lost, but the job moved on. It may have done so long ago, so the time of
        # the check is the latest that is surely not too late: the job's creation.
        seen = replace(seen, upload_proof="status", checked_at=seen.job_created_at)
    return replace(seen, phase=phase, look_at=now + wait if phase is Phase.SUBMITTED else None)


def not_listed(batch: Batch, now: float, wait: float) -> Batch:
    """X's list holds no job of our name: seen twice, some time apart, the request to create it made none."""
    seen = replace(batch, looks=batch.looks + 1)
    if batch.unlisted == 0:
        return replace(seen, unlisted=1, look_at=now + wait)
    return replace(seen, phase=Phase.PLANNED, unlisted=0, look_at=None)


def blocked(batch: Batch, by: str, now: float, wait: float) -> Batch:
    """Somebody else's job of this type is active; X allows one at a time. It is waited for, never touched."""
    return replace(
        batch,
        phase=Phase.PLANNED,
        looks=batch.looks + 1,
        failures=0,  # the service is there; its patience is not the patience for outages
        failing_since=None,
        blocked_by=by,
        look_at=now + wait,
    )


def uploading(batch: Batch) -> Batch:
    """Written down before the first byte leaves: until more is known, what the service got may be cut."""
    return replace(batch, uploads=batch.uploads + 1, upload_cut=True)


def upload_left(batch: Batch) -> Batch:
    """Written down before the last byte leaves: from here on only the answer can be lost."""
    return replace(batch, upload_cut=False)


def upload_refused(batch: Batch, status: int | None, code: str | None, server_now: float) -> Batch:
    """An upload was refused; `batch` is as it was before it.

    If only because there was one already, or because it came too late, then what an earlier one did still stands.
    """
    needless = status == 409 or upload_is_late(batch, status, code, server_now)
    return replace(
        batch, uploads=batch.uploads + 1, upload_cut=batch.upload_cut if needless and batch.uploads else True
    )


def upload_is_late(batch: Batch, status: int | None, code: str | None, server_now: float) -> bool:
    """Whether an upload was refused because its URL is too old."""
    return code == URL_EXPIRED or _refused_after(batch.upload_expires_at, status, server_now)


def _refused_after(end: float | None, status: int | None, server_now: float) -> bool:
    """Whether a 4xx came after the end of a URL: how the newer dialect refuses one is not known."""
    refused = status is not None and 400 <= status < 500 and status not in (408, 429)
    return refused and end is not None and server_now >= end


def uploaded(batch: Batch, proof: str, server_date: float | None, now: float, wait: float) -> Batch:
    """The upload was answered with 200, and with our hashes where it named any."""
    return replace(
        batch,
        phase=Phase.SUBMITTED,
        upload_proof=proof,
        checked_at=server_date if server_date is not None else batch.job_created_at,
        failures=0,
        byte_failures=0,
        failing_since=None,
        look_at=now + wait,
    )


def cancel(run: RunRecord) -> RunRecord:
    """The user wants an end of it: no batch is sent any more, and X's active jobs are cancelled."""
    return replace(
        run,
        batches=tuple(b if b.phase in ENDED else replace(b, cancels=b.cancels or 0, look_at=None) for b in run.batches),
    )


def keep(run: RunRecord) -> RunRecord:
    """The run goes on after all: the service cannot cancel."""
    return replace(run, batches=tuple(b if b.phase in ENDED else replace(b, cancels=None) for b in run.batches))


def cancelling(batch: Batch) -> Batch:
    """Written down before the request leaves: from here on a job that X says has failed was cancelled."""
    return replace(batch, cancels=(batch.cancels or 0) + 1)


def end(batch: Batch) -> Batch:
    """No job of this batch exists, and none is to be made."""
    return replace(batch, phase=Phase.DEAD, look_at=None, blocked_by=None, reason=CANCELLED)


def forgotten(run: RunRecord, now: float) -> RunRecord:
    """The user wants the IDs and results gone. What is left are counts, times, checksums and the names of jobs.

    A batch's reason loses what follows its first colon: there X's own words are quoted, which may name an ID.
    """
    if run.forgotten_at is not None:
        return run
    batches = tuple(replace(b, reason=b.reason and b.reason.partition(":")[0]) for b in run.batches)
    return replace(run, batches=batches, forgotten_at=now, ended_at=run.ended_at if run.ended_at is not None else now)


def remembered(run: RunRecord) -> RunRecord:
    """Return a run that was not forgotten.

    Raises
    ------
    LedgerError
        It was: nothing can be joined or continued any more.
    """
    if run.forgotten_at is None:
        return run
    raise LedgerError(
        f"Run {run.id} was forgotten {_on(run.forgotten_at)}: its IDs and results were deleted, and only its counts "
        "are left. Check the IDs again.",
        run_id=run.id,
    )


def _on(moment: float) -> str:
    return f"on {datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M} UTC"


def attached(batch: Batch, job: Job) -> Batch:
    """A job that was made elsewhere is ours to follow; that it got these IDs holds on the word of whoever says so.

    The job's creation is the latest time that is surely not after the upload.
    """
    created = _epoch(job.created_at)
    return replace(
        batch,
        phase=Phase.SUBMITTED,
        job_id=job.id,
        job_created_at=created,
        checked_at=created,
        upload_expires_at=_epoch(job.upload_expires_at),
        download_expires_at=_epoch(job.download_expires_at),
        upload_proof=ATTACHED,
    )


def attached_job(run: RunRecord) -> str | None:
    """Return the job of a run that was made elsewhere; None if the run makes its jobs itself."""
    return next((batch.job_id for batch in run.batches if batch.upload_proof == ATTACHED), None)


def replan(batch: Batch) -> Batch:
    """The job expired without our file, or got a damaged one: the batch needs a new job, three at most.

    In the place of an attached job none is made: that was not asked for.
    """
    if batch.upload_proof == ATTACHED:
        why = "it has expired: nothing was uploaded in time, or its results are gone"
        return replace(batch, phase=Phase.DEAD, look_at=None, reason=why)
    if batch.attempt >= ATTEMPTS_MAX:
        why = f"{ATTEMPTS_MAX} jobs ended without a whole upload; a smaller batch_size needs less time"
        return replace(batch, phase=Phase.DEAD, look_at=None, reason=why)
    return replace(
        batch,
        phase=Phase.PLANNED,
        attempt=batch.attempt + 1,
        past_jobs=(*batch.past_jobs, batch.job_id) if batch.job_id else batch.past_jobs,
        job_id=None,
        job_created_at=None,
        upload_expires_at=None,
        download_expires_at=None,
        uploads=0,
        upload_cut=False,
        upload_proof=None,
        checked_at=None,
        looks=0,
        downloads=0,
        framed_sha256=None,
        byte_failures=0,
        failing_since=None,
        look_at=None,
    )


def on_damage(batch: Batch, why: str, now: float, wait: float) -> Batch:
    """A download was damaged, or a second one is needed: try again later."""
    return replace(batch, downloads=batch.downloads + 1, reason=why, look_at=now + wait)


def on_results(
    batch: Batch,
    *,
    grade: Grade,
    sha256: str,
    size: int,
    coding: str,
    lines: int,
    listed: int,
    undecided: int,
    bad_lines: int,
    foreign: int,
    why: str | None = None,
) -> Batch:
    """The result file is in the ledger. Only a graded file whose every line was understood proves absence."""
    if bad_lines:
        why = why or f"{bad_lines} of its lines cannot be read"
    if foreign:
        why = why or f"{foreign} of its records are for IDs that were not sent"
    if batch.upload_proof == ATTACHED and grade is not Grade.UNPROVED:
        # However whole the results are, absence holds on somebody's word; of a wrong word they can show nothing else.
        if not listed:
            why = why or "it lists none of the IDs, so nothing shows that they are those that were uploaded"
        grade = Grade.UNPROVED if why else Grade.GIVEN
    return replace(
        batch,
        phase=Phase.DONE,
        look_at=None,
        failures=0,
        byte_failures=0,
        failing_since=None,
        downloads=batch.downloads + 1,
        grade=grade,
        proved=grade is not Grade.UNPROVED and not bad_lines and not foreign,
        results_sha256=sha256,
        results_bytes=size,
        results_coding=coding,
        lines=lines,
        listed=listed,
        undecided=undecided,
        bad_lines=bad_lines,
        foreign=foreign,
        reason=why,
    )


def results_gone(batch: Batch) -> Batch:
    return replace(batch, phase=Phase.DEAD, look_at=None, reason="its results are gone (X keeps them for seven days)")


# What the storage service answers when a signed URL is too old, and when there is no object:
# https://cloud.google.com/storage/docs/xml-api/reference-status
URL_EXPIRED = "ExpiredToken"
NO_OBJECT = frozenset({"NoSuchKey", "resource-not-found"})


def on_error(
    batch: Batch,
    step: Step,
    error: RemoteError,
    *,
    now: float,
    server_now: float,
    first: float,
    sandbox: bool,
    at_stake: bool,
) -> tuple[Batch, bool]:
    """Return the batch after a failed step, and whether the run must stop and tell the user.

    Parameters
    ----------
    batch : Batch
        As written down before the step.
    now, server_now : float
        Our clock and the server's, seconds since the epoch.
    first : float
        Seconds; the shortest wait.
    sandbox : bool
        A sandbox that does not answer is gone for good; a service on the network comes back.
    at_stake : bool
        Whether the run has a job already. Without one, a user with a wrong address should hear of it soon.
    """
    bytewise = step in (Step.UPLOAD, Step.DOWNLOAD)
    failures = (batch.byte_failures if bytewise else batch.failures) + 1
    later = replace(
        batch,
        failures=batch.failures if bytewise else failures,
        byte_failures=failures if bytewise else batch.byte_failures,
        failing_since=batch.failing_since if batch.failing_since is not None else now,
        look_at=now + delay(first, failures - 1, OUTAGE_MAX),
    )
    halted = replace(batch, failures=0, byte_failures=0, failing_since=None, look_at=None)
    lasting = failures >= (2 if sandbox and not error.sent else FAILURES_MAX)
    if isinstance(error, RateLimited):
        phase = Phase.PLANNED if step is Step.CREATE else batch.phase
        left = error.retry_at - server_now if error.retry_at is not None else 0.0
        if left > 0:  # the window ends by itself: no failure
            return replace(batch, phase=phase, look_at=now + min(left, WAIT_MAX)), False
        return replace(later, phase=phase, look_at=now + delay(max(first, 1.0), failures - 1, WAIT_MAX)), False
    if step is Step.CREATE:
        if error.status == 409 or error.code == "conflict":
            # Still CREATING: the list tells whether the other job is ours. The service is there, so no outage.
            return replace(later, failing_since=batch.failing_since), False
        # Only an answer of the service itself, or the certainty that nothing left, means that no job was made.
        none_made = not error.sent or not (error.retryable or isinstance(error, UnexpectedResponse))
        phase = Phase.PLANNED if none_made else Phase.CREATING
        stop = not error.retryable or (lasting and (sandbox or (none_made and not at_stake)))
        return replace(halted if stop else later, phase=phase), stop
    if step is Step.UPLOAD and upload_is_late(batch, error.status, error.code, server_now):
        # An earlier upload may have arrived: look first. If the job still waits, the window has closed.
        return (replan(batch) if batch.byte_failures else later), False
    if step is Step.UPLOAD and error.status == 409:
        # guess: the job has got its one upload. If it goes on waiting all the same, another job is tried.
        return (replan(batch) if failures >= FAILURES_MAX else later), False
    late = error.code == URL_EXPIRED or _refused_after(batch.download_expires_at, error.status, server_now)
    if step is Step.DOWNLOAD and (late or error.code in NO_OBJECT):
        if batch.downloads + 1 >= DOWNLOADS_MAX:
            return results_gone(batch), False
        return replace(batch, downloads=batch.downloads + 1, look_at=later.look_at), False
    stop = not error.retryable or (lasting and (sandbox or isinstance(error, UnexpectedResponse)))
    return (halted if stop else later), stop


# --------------------------------------------------------------------------- showing

STAGES = ("prepared", "uploaded", "processing", "downloaded", "verified", "joined")

_STAGE: Final[Mapping[Phase, int]] = {
    Phase.PLANNED: 0,
    Phase.CREATING: 0,
    Phase.OPEN: 0,
    Phase.SUBMITTED: 2,
    Phase.READY: 2,
    Phase.DONE: 4,
    Phase.DEAD: 4,
}


# Requests to the API that a batch needs from here if all goes well: to create its job, and to see it complete.
# Byte transfers go to the storage service and are none.
_REQUESTS: Final[Mapping[Phase, int]] = {Phase.PLANNED: 2, Phase.CREATING: 2, Phase.OPEN: 1, Phase.SUBMITTED: 1}


def requests_needed(batches: int) -> int:
    """Return how many requests to the API a run of so many batches needs at the least."""
    return batches * _REQUESTS[Phase.PLANNED]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run at one moment, for the screen: numbers and words, no IDs, no secrets.

    Attributes
    ----------
    stage : str
        One of `STAGES`: how far the slowest batch is.
    state : str
        "running", "waiting", "done", "failed", "stopped" or "forgotten".
    elapsed, next_look, upload_window : float
        Seconds.
    requests, requests_ahead, max_requests : int
        Requests to the API: made, still needed at the least, allowed. X may charge for each.
    listed : int or None
        IDs that X listed so far; None before any result.
    unproved : int
        IDs whose absence from the results could not be proved.
    undecided : int
        IDs of which the results say only that there was an error; counted where absence is proved.
    """

    run_id: str
    type: str
    label: str | None
    sandbox: bool
    stage: str
    state: str
    ids: int
    batches: int
    batches_done: int
    batches_dead: int
    requests: int
    requests_ahead: int
    max_requests: int
    elapsed: float
    next_look: float | None
    upload_window: float | None
    listed: int | None
    unproved: int
    grades: tuple[str, ...]
    note: str
    undecided: int = 0


def snapshot(
    run: RunRecord, now: float, server_now: float, max_requests: int, *, stopped: str | None = None
) -> Snapshot:
    """Return what the screen shows of a run; `stopped` says why nobody drives it any more."""
    batches = run.batches
    waits = [b.look_at - now for b in batches if b.phase not in ENDED and b.look_at is not None and b.look_at > now]
    windows = [
        b.upload_expires_at - server_now
        for b in batches
        if b.phase is Phase.OPEN and b.upload_expires_at is not None and b.upload_expires_at > server_now
    ]
    listed = [b.listed for b in batches if b.listed is not None]
    if run.forgotten_at is not None:
        state = "forgotten"
    elif run.ended:
        state = "failed" if run.dead else "done"
    elif stopped is not None:
        state = "stopped"
    else:
        state = "waiting" if waits else "running"
    return Snapshot(
        run_id=run.id,
        type=str(run.type),
        label=run.label,
        sandbox=run.sandbox,
        stage=STAGES[min((_STAGE[b.phase] for b in batches), default=0)],
        state=state,
        ids=run.ids,
        batches=len(batches),
        batches_done=sum(b.phase is Phase.DONE for b in batches),
        batches_dead=len(run.dead),
        requests=run.requests_spent,
        requests_ahead=sum(_REQUESTS.get(b.phase, 0) for b in batches),
        max_requests=max_requests,
        elapsed=max((run.ended_at or now) - run.created_at, 0.0),
        next_look=min(waits, default=None),
        upload_window=min(windows, default=None),
        listed=sum(listed) if listed else None,
        unproved=sum(b.ids - (b.listed or 0) for b in batches if b.phase is Phase.DONE and not b.proved),
        undecided=sum(b.undecided for b in batches if b.phase is Phase.DONE and b.proved),
        grades=tuple(sorted({str(b.grade) for b in batches if b.grade is not None})),
        note=stopped if stopped and state == "stopped" else _note(run),
    )


def _note(run: RunRecord) -> str:
    if run.forgotten_at is not None:
        return f"Its IDs and results were deleted {_on(run.forgotten_at)}; its counts are left."
    return next((text for text in map(_batch_note, run.batches) if text), "")


def _batch_note(batch: Batch) -> str:
    which = f"Batch {batch.number}"
    if batch.phase is Phase.DEAD and batch.reason == CANCELLED:
        return f"{which} was cancelled."
    if batch.phase is Phase.DEAD:
        return f"{which} failed: {batch.reason}."
    if batch.phase is Phase.DONE:
        return "" if batch.proved else f"{which} proves nothing about IDs it does not list: {batch.reason}."
    if batch.cancels is not None and batch.phase in ACTIVE and batch.failing_since is None:
        return f"{which} is being cancelled."
    if batch.blocked_by is not None:
        return f"Waiting for job {batch.blocked_by}: X runs one job of a type at a time."
    if batch.failing_since is not None:
        since, tries = datetime.fromtimestamp(batch.failing_since, UTC), batch.failures + batch.byte_failures
        return f"The service is unreachable since {since:%H:%M} UTC ({tries} failed so far); still trying."
    if batch.phase is Phase.READY and batch.downloads:
        return f"{which}: downloading again, because {batch.reason}."
    return ""


def ours(jobs: Iterable[Job], name: str) -> Job | None:
    """Return the newest listed job that bears our name; the list has no dependable order."""
    named = [job for job in jobs if job.name == name]
    return max(named, key=lambda job: (len(job.id), job.id), default=None)


def blocking(jobs: Iterable[Job]) -> Job | None:
    """Return an active job of the listed type, if any: what X means by 'already in progress'."""
    active = [job for job in jobs if job.status in (JobStatus.CREATED, JobStatus.IN_PROGRESS)]
    return max(active, key=lambda job: (job.status == JobStatus.IN_PROGRESS, len(job.id), job.id), default=None)
