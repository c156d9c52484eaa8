"""X's side as a state machine: jobs, limits, uploads, results. No HTTP; the handlers translate.

::

    created --upload--> in_progress --> complete
       |                     `--------> failed
       |--no upload in 15 minutes--> expired
       `--cancelled, as may be what is in_progress--> failed      (the newer dialect only)
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np

from ..protocol import JOB_ID, JOB_NAME_MAX, UPLOAD_CONTENT_TYPE, JobStatus, JobType
from .blobs import Blob
from .chance import Ints, snowflake
from .dialects import Dialect
from .exact import exact_id
from .refusals import invalid_request, not_authorized, not_found, plain_problem
from .sessions import Sessions
from .signing import Signer
from .tickets import Direction, Tickets

if TYPE_CHECKING:
    from .fates import Fates

UPLOAD_SECONDS = 900  # upload_expires_at - created_at in every recording
DOWNLOAD_SECONDS = 604_800  # download_expires_at - created_at in every recording; "about" both in the newer dialect
WINDOW_SECONDS = 900  # it opens at the first request, not on the clock's quarter hours (recorded 2021-10)
_LIVES: Mapping[Direction, int] = {"upload": UPLOAD_SECONDS, "download": DOWNLOAD_SECONDS}
_ACTIVE = (JobStatus.CREATED, JobStatus.IN_PROGRESS)
_BUCKETS = {JobType.TWEETS: "twttr-tweet-compliance", JobType.USERS: "twttr-user-compliance"}  # recorded 2021-10
_OWNER = "1000000000000000001"  # the app owner's user ID is part of every path (recorded 2021-10)

_FIELDS = (
    "created_at",
    "download_expires_at",
    "download_url",
    "id",
    "name",
    "resumable",
    "status",
    "type",
    "upload_expires_at",
    "upload_url",
)
_FIELDS_PARAMETER = "compliance_job.fields"
# What is shown whatever fields are asked for. openapi.json 2.166 requires these of every ComplianceJob; 2.167 requires
# nothing, and that the ID stays, as that of other v2 objects does, is a guess.
_ALWAYS = {
    Dialect.GCS: frozenset(_FIELDS) - {"name", "resumable"},
    Dialect.XAPI: frozenset({"id"}),
}
_LIST_STATUSES = ("created", "in_progress", "failed", "complete")  # no "expired": openapi.json, getComplianceJobs
_BODY_KEYS = ("name", "resumable", "type")

Query = Mapping[str, Sequence[str]]
Resource = dict[str, Any]


@dataclass
class Job:
    """One job. `looks` counts the status requests since the upload; `completed_at` is set by the last of them."""

    id: str
    ordinal: int
    type: JobType
    name: str | None
    created_at: int
    resumable: bool = False
    upload: Blob | None = None
    looks: int = 0
    completed_at: float | None = None
    result: Blob | None = None
    failed: bool = False
    error: str | None = None


@dataclass(frozen=True)
class Allowance:
    """``x-rate-limit-*`` as one answer tells it; `granted` is False for a 429."""

    limit: int
    remaining: int
    reset: int
    granted: bool


@dataclass
class _Window:
    limit: int
    reset: int = 0
    used: int = 0


class Service:
    """The compliance service, safe to call from many threads.

    Parameters
    ----------
    fates : Fates
        What becomes of each ID.
    clock : callable
        Seconds since the epoch.
    complete_after : int
        At which status request after the upload the job is complete: 2 means that the first one still answers
        ``in_progress``; 0 means complete without any. A list counts for every job of its type.
    processing_seconds : float
        How long after the upload a job is complete at the earliest.
    seed : int
        Seed of the shuffles (result lines, JSON keys).
    rate_limits : tuple of int
        Requests per 15 minutes to create, get and list; to cancel as to create (guess).
    dialect : Dialect

    Attributes
    ----------
    requests : Counter
        Requests that were granted (answered 200 or 206), by operation: create, get, list, cancel, upload, download.
    authorized_byte_requests : int
        Requests to the byte paths that carried an Authorization header, where by default none belongs.
    storage_url : str
        Where the byte URLs point; set by the server when it listens.
    bearer_on_byte_paths : bool
        Whether the bytes of the newer dialect want the bearer token too; set by the server.
    """

    def __init__(
        self,
        fates: Fates,
        clock: Callable[[], float] = time.time,
        complete_after: int = 2,
        processing_seconds: float = 0,
        seed: int = 0,
        rate_limits: tuple[int, int, int] = (150, 150, 150),
        dialect: Dialect = Dialect.GCS,
    ) -> None:
        self.fates = fates
        self.clock = clock
        self.dialect = dialect
        self.signer = Signer()
        self._tickets = Tickets()
        self.sessions = Sessions()
        self.storage_url = ""
        self.bearer_on_byte_paths = False
        self.requests: Counter[str] = Counter()
        self.authorized_byte_requests = 0
        self._complete_after = complete_after
        self.processing_seconds = processing_seconds
        self._seed = seed
        self._random = Random(seed)
        limits = (*rate_limits, rate_limits[0])
        self._windows = dict(zip(("create", "get", "list", "cancel"), map(_Window, limits), strict=True))
        self._jobs: dict[str, Job] = {}
        self._last_id = 0
        self._last_generation = 0
        self._lock = threading.RLock()

    @property
    def jobs(self) -> list[Job]:
        """The jobs made, oldest first."""
        with self._lock:
            return list(self._jobs.values())

    # ----------------------------------------------------------------- the API host

    def spend(self, operation: str) -> Allowance:
        """Count one request to an endpoint against its own window."""
        with self._lock:
            window, now = self._windows[operation], int(self.clock())
            if now >= window.reset:
                window.reset, window.used = now + WINDOW_SECONDS, 0
            granted = window.used < window.limit
            window.used += granted
            return Allowance(window.limit, window.limit - window.used, window.reset, granted)

    def create(self, query: Query, body: object) -> Resource:
        """POST /2/compliance/jobs."""
        fields = self._fields(_single(query, (_FIELDS_PARAMETER,)))
        type, name, resumable = _read_body(body, self.dialect)
        with self._lock:
            now = self.clock()
            # guess: a job that still waits for its upload blocks too (the harsh reading of "one concurrent job
            # per job type"), and so does the body; the detail is the spec's ConflictProblem text. The status is a
            # guess in the older dialect; in the newer one pull request 410 names it.
            if any(job.type is type and self._status(job, now) in _ACTIVE for job in self._jobs.values()):
                detail = "You cannot create a new job if one is already in progress."
                raise plain_problem(409, "Conflict", detail, "conflict")
            # The job's ID is a snowflake of its moment, created_at that moment's second (recorded 2021-10).
            self._last_id = max(self._last_id + 1, snowflake(int(now * 1000)) + 1)
            job = Job(str(self._last_id), len(self._jobs), type, name, int(now), resumable)
            self._jobs[job.id] = job
            self.requests["create"] += 1
            return self._shuffled({"data": self._show(job, fields, now)})

    def get(self, job_id: str, query: Query) -> Resource:
        """GET /2/compliance/jobs/{id}."""
        fields = self._fields(_single(query, (_FIELDS_PARAMETER,)))
        with self._lock:
            job, now = self._known(job_id), self.clock()
            self._look(job)
            self.requests["get"] += 1
            return self._shuffled({"data": self._show(job, fields, now)})

    def list(self, query: Query) -> Resource:
        """GET /2/compliance/jobs."""
        values = _single(query, ("type", "status", _FIELDS_PARAMETER))
        fields = self._fields(values)
        if "type" not in values:
            raise invalid_request("The `type` query parameter can not be empty", "type")
        _one_of("type", values["type"], tuple(JobType))
        if "status" in values:
            _one_of("status", values["status"], _LIST_STATUSES)
        with self._lock:
            now, shown = self.clock(), []
            for job in reversed(self._jobs.values()):  # newest first (recorded 2021-10)
                if job.type == values["type"]:
                    self._look(job)
                    if values.get("status") in (None, self._status(job, now)):
                        shown.append(self._show(job, fields, now))
            self.requests["list"] += 1
            # An empty list has no "data" (openapi.json: minItems 1; reported 2026-09).
            data = {"data": shown} if shown else {}
            return self._shuffled({**data, "meta": {"result_count": len(shown)}})

    def cancel(self, job_id: str, query: Query) -> Resource:
        """DELETE /2/compliance/jobs/{id}: a job that has not finished becomes failed (pull request 410).

        guess: it is answered with the job, without a reason; and one that has finished is refused, and stays as it is.
        """
        _single(query, ())
        with self._lock:
            job, now = self._known(job_id), self.clock()
            if self._status(job, now) not in _ACTIVE:
                raise plain_problem(409, "Conflict", "The job has finished already.", "conflict")
            job.failed = True
            self.requests["cancel"] += 1
            return self._shuffled({"data": self._show(job, frozenset(_FIELDS), now)})

    def fail(self, job_id: str, error: str | None = None) -> None:
        """End a job as ``failed``, with or without a reason. No real failure is recorded."""
        with self._lock:
            job = self._jobs[job_id]
            job.failed, job.error = True, error

    # ----------------------------------------------------------------- the bytes

    def count_authorization(self) -> None:
        """Count a credential that was sent along with the bytes."""
        with self._lock:
            self.authorized_byte_requests += 1

    def admit(self, job_id: str, direction: Direction, token: str, now: float) -> None:
        """Let a request of the newer dialect to its bytes, or raise.

        guess: all of its refusals; that a late token is refused like a wrong one; that a job takes one upload.
        """
        with self._lock:
            job = self._known(job_id)
            until = job.created_at + _LIVES[direction]
            if not self._tickets.fits(token, job.id, direction, until):
                raise not_authorized(f"The token does not allow this {direction}.")
            if now >= until:
                raise not_authorized(f"The token for this {direction} has expired.")
            if direction == "upload" and self._status(job, now) is not JobStatus.CREATED:
                raise plain_problem(409, "Conflict", "The job takes no upload any more.", "conflict")

    def expired(self, job_id: str) -> bool:
        """Whether a job got no IDs in time; a job that does not exist did not."""
        with self._lock:
            job = self._jobs.get(job_id)
            return job is not None and self._status(job, self.clock()) is JobStatus.EXPIRED

    def upload(self, job_id: str, data: bytes) -> Blob:
        """Take the IDs of a job, whose URL was checked: this starts it."""
        with self._lock:
            job, now = self._jobs[job_id], self.clock()
            blob = self._store(data, now)
            # guess: a second PUT is stored, hence answered with its own hashes, but the job reads the first.
            if job.upload is None and not job.failed:
                job.upload = blob
            self.requests["upload"] += 1
            return blob

    def download(self, job_id: str) -> Blob | None:
        """Return the results of a job, whose URL was checked; None if there are none. They are made once."""
        with self._lock:
            job, now = self._jobs[job_id], self.clock()
            if job.upload is None or self._status(job, now) is not JobStatus.COMPLETE:
                return None
            if job.result is None:
                job.result = self._store(self._results(job, job.upload.data), job.completed_at or now)
            self.requests["download"] += 1
            return job.result

    # ----------------------------------------------------------------- inside; the lock is held

    def _known(self, job_id: str) -> Job:
        if not JOB_ID.fullmatch(job_id):
            raise invalid_request(f"The `id` query parameter value [{job_id}] is not valid", "id", job_id)
        if job_id not in self._jobs:
            raise not_found(job_id)
        return self._jobs[job_id]

    def _fields(self, values: Mapping[str, str]) -> frozenset[str]:
        """Return the job's keys to show: all of them by default (recorded)."""
        asked = _fields(values)
        return frozenset(_FIELDS) if asked is None else asked | _ALWAYS[self.dialect]

    def _look(self, job: Job) -> None:
        job.looks += job.upload is not None

    def _status(self, job: Job, now: float) -> JobStatus:
        if job.failed:
            return JobStatus.FAILED
        if job.completed_at is not None:
            return JobStatus.COMPLETE
        if job.upload is None:
            return JobStatus.EXPIRED if now >= job.created_at + UPLOAD_SECONDS else JobStatus.CREATED
        if job.looks < self._complete_after or now < job.upload.stored_at + self.processing_seconds:
            return JobStatus.IN_PROGRESS
        job.completed_at = now
        return JobStatus.COMPLETE

    def _show(self, job: Job, fields: frozenset[str], now: float) -> Resource:
        """Return the job as the API shows it. The URLs and their dates never change, also when expired (recorded)."""
        born = job.created_at
        upload, download = self._urls(job)
        resource: Resource = {
            "id": job.id,
            "type": job.type.value,
            "status": self._status(job, now).value,
            "resumable": job.resumable,
            "created_at": _second(born),
            "upload_url": upload,
            "upload_expires_at": _second(born + UPLOAD_SECONDS),
            "download_url": download,
            "download_expires_at": _second(born + DOWNLOAD_SECONDS),
        }
        if job.name is not None:  # the key is absent when no name was given (recorded 2021-10)
            resource["name"] = job.name
        shown = {key: value for key, value in resource.items() if key in fields}
        if job.failed and job.error is not None:  # docs of 2024: only with "failed"; never recorded, in no spec
            shown["error"] = job.error
        return self._shuffled(shown)

    def _urls(self, job: Job) -> tuple[str, str]:
        storage, born = self.storage_url, job.created_at
        if self.dialect is Dialect.XAPI:
            link = self._tickets.link
            return (
                link(storage, job.id, "upload", born + UPLOAD_SECONDS),
                link(storage, job.id, "download", born + DOWNLOAD_SECONDS),
            )
        path, headers = f"/{_BUCKETS[job.type]}/{job.id}/%s/{_OWNER}_{job.id}", {"content-type": UPLOAD_CONTENT_TYPE}
        method = "PUT"
        if job.resumable:  # the signed headers of docs of 2024, page "integrate"
            method, headers = "POST", {**headers, "content-length": "0", "x-goog-resumable": "start"}
        return (
            self.signer.url(storage, path % "submission", method, headers, born, UPLOAD_SECONDS),
            self.signer.url(storage, path % "delivery", "GET", {}, born, DOWNLOAD_SECONDS),
        )

    def _shuffled(self, members: Resource) -> Resource:
        """The order of JSON keys differed from answer to answer (recorded 2021-10)."""
        items = list(members.items())
        self._random.shuffle(items)
        return dict(items)

    def _store(self, data: bytes, now: float) -> Blob:
        self._last_generation = max(self._last_generation + 1, int(now * 1_000_000))
        return Blob(data, now, self._last_generation)

    def _results(self, job: Job, uploaded: bytes) -> bytes:
        ids, malformed = read_upload(uploaded)
        lines = self.fates.lines(ids, job.type)
        # guess: the record of a line that is no ID; such a line does not fail the job (reported 2026-09)
        lines += [json.dumps({"id": text, "error": "invalid_id"}, separators=(",", ":")).encode() for text in malformed]
        Random(f"{self._seed} {job.ordinal}").shuffle(lines)  # the order is not the upload's (recorded 2021-11)
        lines += self.fates.strays(job.type)
        if len(lines) >= 2:  # one blank line after the second record, in both recorded files (2021-11)
            lines.insert(2, b"")
        return b"".join(line + b"\n" for line in lines)


def read_upload(data: bytes) -> tuple[Ints, list[str]]:
    """Return the distinct IDs and the distinct lines that are none, both in order.

    guess: blank lines are skipped, CRLF is accepted, an ID that comes twice is reported once.
    """
    lines = dict.fromkeys(line.removesuffix(b"\r") for line in data.split(b"\n"))
    lines.pop(b"", None)
    texts = [line.decode(errors="replace") for line in lines]
    ids = [exact_id(text) for text in texts]
    known = np.array([id for id in ids if id is not None], dtype=np.int64)
    return known, [text for text, id in zip(texts, ids, strict=True) if id is None]


def _second(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


# --------------------------------------------------------------------- reading requests


def _single(query: Query, allowed: tuple[str, ...]) -> dict[str, str]:
    """Return the query's values; unknown and repeated parameters are refused."""
    for name, values in query.items():
        if name not in allowed:
            message = f"The query parameter [{name}] is not one of [{','.join(allowed)}]"
            raise invalid_request(message, name, *values)
        if len(values) > 1:  # openapi.json: one value each; the text is a guess
            raise invalid_request(f"The `{name}` query parameter must be given once", name, *values)
    return {name: values[0] for name, values in query.items()}


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        message = f"The `{name}` query parameter value [{value}] is not one of [{','.join(allowed)}]"
        raise invalid_request(message, name, value)


def _fields(values: Mapping[str, str]) -> frozenset[str] | None:
    """Return the job's keys that are asked for, None if nobody asks."""
    text = values.get(_FIELDS_PARAMETER)
    if text is None:
        return None
    names = text.split(",")
    for name in names:
        _one_of(_FIELDS_PARAMETER, name, _FIELDS)
    if len(set(names)) < len(names):  # openapi.json: uniqueItems
        raise invalid_request(f"The `{_FIELDS_PARAMETER}` query parameter repeats a value", _FIELDS_PARAMETER, text)
    return frozenset(names)


def _read_body(body: object, dialect: Dialect) -> tuple[JobType, str | None, bool]:
    """Check a create request against openapi.json (CreateComplianceJobsRequest); the messages are guesses."""
    if not isinstance(body, dict):
        raise invalid_request("The request body must be a JSON object", "body")
    for key in body:
        if key not in _BODY_KEYS:  # additionalProperties: false
            raise invalid_request(f"The body field [{key}] is not one of [{','.join(_BODY_KEYS)}]", key)
    type, name, resumable = body.get("type"), body.get("name"), body.get("resumable", False)
    if type not in tuple(JobType):
        raise invalid_request("The `type` field must be one of [tweets,users]", "type", str(type))
    if "name" in body and not (isinstance(name, str) and len(name) <= JOB_NAME_MAX):
        raise invalid_request(f"The `name` field must be text of at most {JOB_NAME_MAX} characters", "name", str(name))
    if not isinstance(resumable, bool) or (resumable and dialect is Dialect.XAPI):
        # X refused true with 400 "not supported" in September 2026.
        raise invalid_request("The `resumable` field value is not supported", "resumable", str(resumable))
    return JobType(type), name, resumable
