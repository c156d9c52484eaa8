"""X's side as a state machine: jobs, limits, uploads, results. No HTTP; the handlers translate.

::

    created --upload--> in_progress --> complete
       |                     `--------> failed
       `--no upload in 15 minutes--> expired
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
from .exact import exact_id
from .refusals import Problem, StorageError, invalid_request, plain_problem
from .signing import Signer

if TYPE_CHECKING:
    from .fates import Fates

UPLOAD_SECONDS = 900  # upload_expires_at - created_at in every recording
DOWNLOAD_SECONDS = 604_800  # download_expires_at - created_at in every recording
WINDOW_SECONDS = 900  # it opens at the first request, not on the clock's quarter hours (recorded 2021-10)
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
        Requests per 15 minutes to create, get and list.

    Attributes
    ----------
    requests : Counter
        Requests that were granted (answered 200 or 206), by operation: create, get, list, upload, download.
    authorized_byte_requests : int
        Requests to the storage host that carried an Authorization header, where none belongs.
    storage_url : str
        Where the signed URLs point; set by the server when it listens.
    """

    def __init__(
        self,
        fates: Fates,
        clock: Callable[[], float] = time.time,
        complete_after: int = 2,
        processing_seconds: float = 0,
        seed: int = 0,
        rate_limits: tuple[int, int, int] = (150, 150, 150),
    ) -> None:
        self.fates = fates
        self.clock = clock
        self.signer = Signer()
        self.storage_url = ""
        self.requests: Counter[str] = Counter()
        self.authorized_byte_requests = 0
        self._complete_after = complete_after
        self.processing_seconds = processing_seconds
        self._seed = seed
        self._random = Random(seed)
        self._windows = dict(zip(("create", "get", "list"), map(_Window, rate_limits), strict=True))
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
        fields = _fields(_single(query, (_FIELDS_PARAMETER,)))
        type, name = _read_body(body)
        with self._lock:
            now = self.clock()
            # guess: a job that still waits for its upload blocks too (the harsh reading of "one concurrent job
            # per job type"), and so do status 409 and the body; the detail is the spec's ConflictProblem text.
            active = (JobStatus.CREATED, JobStatus.IN_PROGRESS)
            if any(job.type is type and self._status(job, now) in active for job in self._jobs.values()):
                detail = "You cannot create a new job if one is already in progress."
                raise plain_problem(409, "Conflict", detail, "conflict")
            # The job's ID is a snowflake of its moment, created_at that moment's second (recorded 2021-10).
            self._last_id = max(self._last_id + 1, snowflake(int(now * 1000)) + 1)
            job = Job(str(self._last_id), len(self._jobs), type, name, int(now))
            self._jobs[job.id] = job
            self.requests["create"] += 1
            return self._shuffled({"data": self._show(job, fields, now)})

    def get(self, job_id: str, query: Query) -> Resource:
        """GET /2/compliance/jobs/{id}."""
        fields = _fields(_single(query, (_FIELDS_PARAMETER,)))
        if not JOB_ID.fullmatch(job_id):
            raise invalid_request(f"The `id` query parameter value [{job_id}] is not valid", "id", job_id)
        with self._lock:
            job, now = self._jobs.get(job_id), self.clock()
            if job is None:  # guess: neither status nor body is recorded for an unknown job
                raise Problem(
                    404,
                    "Not Found Error",
                    f"Could not find compliance_job with id: [{job_id}].",
                    "resource-not-found",
                    {"parameter": "id", "value": job_id, "resource_id": job_id, "resource_type": "compliance_job"},
                )
            self._look(job)
            self.requests["get"] += 1
            return self._shuffled({"data": self._show(job, fields, now)})

    def list(self, query: Query) -> Resource:
        """GET /2/compliance/jobs."""
        values = _single(query, ("type", "status", _FIELDS_PARAMETER))
        fields = _fields(values)
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

    def fail(self, job_id: str, error: str | None = None) -> None:
        """End a job as ``failed``, with or without a reason. No real failure is recorded."""
        with self._lock:
            job = self._jobs[job_id]
            job.failed, job.error = True, error

    # ----------------------------------------------------------------- the storage host

    def refuse_authorization(self) -> StorageError:
        """Count a credential that was sent where none belongs, and return the refusal (guess: its status and code)."""
        with self._lock:
            self.authorized_byte_requests += 1
        return StorageError(
            400,
            "InvalidArgument",
            "Invalid argument.",
            Details="Only one authentication mechanism is allowed: the signed URL is the credential.",
        )

    def upload(self, path: str, data: bytes) -> Blob:
        """PUT to a submission path whose signature was checked: this starts the job."""
        with self._lock:
            job, now = self._job_at(path), self.clock()
            blob = self._store(data, now)
            # guess: a second PUT is stored, hence answered with its own hashes, but the job reads the first.
            if job.upload is None and not job.failed:
                job.upload = blob
            self.requests["upload"] += 1
            return blob

    def download(self, path: str) -> Blob:
        """GET from a delivery path whose signature was checked. The results are made once."""
        with self._lock:
            job, now = self._job_at(path), self.clock()
            if job.upload is None or self._status(job, now) is not JobStatus.COMPLETE:
                # guess: 403 AccessDenied if X's signer may not list the bucket
                raise StorageError(404, "NoSuchKey", "The specified key does not exist.")
            if job.result is None:
                job.result = self._store(self._results(job, job.upload.data), job.completed_at or now)
            self.requests["download"] += 1
            return job.result

    # ----------------------------------------------------------------- inside; the lock is held

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
        headers = {"content-type": UPLOAD_CONTENT_TYPE}
        path = f"/{_BUCKETS[job.type]}/{job.id}/%s/{_OWNER}_{job.id}"
        storage, born = self.storage_url, job.created_at
        resource: Resource = {
            "id": job.id,
            "type": job.type.value,
            "status": self._status(job, now).value,
            "resumable": False,
            "created_at": _second(born),
            "upload_url": self.signer.url(storage, path % "submission", "PUT", headers, born, UPLOAD_SECONDS),
            "upload_expires_at": _second(born + UPLOAD_SECONDS),
            "download_url": self.signer.url(storage, path % "delivery", "GET", {}, born, DOWNLOAD_SECONDS),
            "download_expires_at": _second(born + DOWNLOAD_SECONDS),
        }
        if job.name is not None:  # the key is absent when no name was given (recorded 2021-10)
            resource["name"] = job.name
        shown = {key: value for key, value in resource.items() if key in fields}
        if job.failed and job.error is not None:  # docs of 2024: only with "failed"; never recorded, in no spec
            shown["error"] = job.error
        return self._shuffled(shown)

    def _shuffled(self, members: Resource) -> Resource:
        """The order of JSON keys differed from answer to answer (recorded 2021-10)."""
        items = list(members.items())
        self._random.shuffle(items)
        return dict(items)

    def _job_at(self, path: str) -> Job:
        return self._jobs[path.split("/")[2]]

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


def _fields(values: Mapping[str, str]) -> frozenset[str]:
    """Return the job's keys to show: all of them by default (recorded).

    guess: with the parameter exactly those asked for, and ``id``, as other v2 objects keep theirs.
    """
    text = values.get(_FIELDS_PARAMETER)
    if text is None:
        return frozenset(_FIELDS)
    names = text.split(",")
    for name in names:
        _one_of(_FIELDS_PARAMETER, name, _FIELDS)
    if len(set(names)) < len(names):  # openapi.json: uniqueItems
        raise invalid_request(f"The `{_FIELDS_PARAMETER}` query parameter repeats a value", _FIELDS_PARAMETER, text)
    return frozenset(names) | {"id"}


def _read_body(body: object) -> tuple[JobType, str | None]:
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
    if resumable is not False:
        # X refused true with 400 "not supported" in September 2026; no session on X's buckets is recorded.
        raise invalid_request("The `resumable` field value is not supported", "resumable", str(resumable))
    return JobType(type), name
