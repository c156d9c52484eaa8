"""X's batch compliance protocol as pure data and functions: words, paths, requests, answers.

Sources, named beside each fact:

* [quickstart] https://docs.x.com/x-api/compliance/batch-compliance/quickstart
* [spec] https://github.com/xdevplatform/docs/blob/main/openapi.json (2.166 and 2.167)
* [policy] https://docs.x.com/developer-terms/policy
* [gcs] https://cloud.google.com/storage/docs/xml-api/reference-status and .../reference-headers
* [410] https://github.com/xdevplatform/docs/pull/410 (September 2026), of which the text could be read

Facts marked "guess" are stated by no source and wait for a check against the real service.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, NoReturn
from urllib.parse import urlsplit

from .errors import (
    AuthError,
    InputError,
    RateLimited,
    Refused,
    RemoteError,
    Unavailable,
    UnexpectedResponse,
)

DEFAULT_BASE_URL = "https://api.x.com"  # [spec] servers
JOBS_PATH = "/2/compliance/jobs"  # [spec] paths
JOB_NAME_MAX = 64  # [spec] ComplianceJobName.maxLength
UPLOAD_CONTENT_TYPE = "text/plain"  # [quickstart] step 2; signed, so byte-exact
UPLOAD_MAX = 2**30  # bytes of a single PUT [410]; the older dialect names no limit
ID_MAX = 2**63 - 1  # IDs are unsigned 63-bit integers: https://docs.x.com/fundamentals/x-ids

BASE_URL_VARIABLE = "XCOMPLIANCE_API_URL"
# X's Python SDK and samples use the first and last: https://github.com/xdevplatform/Twitter-API-v2-sample-code
TOKEN_VARIABLES = ("X_BEARER_TOKEN", "TWITTER_BEARER_TOKEN", "BEARER_TOKEN")

# [quickstart] result tables; "scrub_geo" and "rehydrate" as actions, "geo_scrubbed" and "tweet_edited" as
# reasons were added in September 2026. The order is the one that tables and charts show.
ACTIONS = ("delete", "scrub_geo", "rehydrate")
REASONS = (
    "deleted",
    "suspended",
    "protected",
    "deactivated",
    "bounced",
    "scrub_geo",
    "geo_scrubbed",
    "tweet_edited",
)
# A record with one of these reasons asks for the geo fields to go, whatever its action word says.
GEO_REASONS = frozenset({"scrub_geo", "geo_scrubbed"})

JOB_ID = re.compile(r"[0-9]{1,19}")  # [spec] JobId.pattern


class JobType(StrEnum):
    """What the uploaded IDs are ([spec] ComplianceJobType)."""

    TWEETS = "tweets"
    USERS = "users"


class JobStatus(StrEnum):
    """Where X's job stands ([spec] ComplianceJobStatus)."""

    CREATED = "created"
    IN_PROGRESS = "in_progress"
    COMPLETE = "complete"
    FAILED = "failed"
    EXPIRED = "expired"


def job_type(word: str) -> JobType:
    """Return the job type for ``tweets``, ``users``, or ``posts``, today's word for tweets."""
    if word == "posts":
        return JobType.TWEETS
    try:
        return JobType(word)
    except ValueError:
        raise InputError(
            f"type={word!r} is no kind of compliance job. Use type='tweets' for post IDs or type='users' for user IDs."
        ) from None


class Secret:
    """A token or signed URL that no repr, format, pickle or comparison gives away."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret('***')"

    def __str__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._text.encode(), other._text.encode())

    __hash__ = None  # type: ignore[assignment]  # a secret is never a key

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled or copied")


# --------------------------------------------------------------------------- requests


@dataclass(frozen=True, slots=True)
class Request:
    """One request to the API host; `operation` is the word under which it is counted."""

    operation: str
    method: str
    path: str
    query: Mapping[str, str]
    body: Mapping[str, Any] | None = None


def create_job(type: JobType, name: str, resumable: bool = False) -> Request:
    """[quickstart] step 1. `name` (64 characters at most) is how a job whose answer was lost is found again.

    [spec] `resumable` asks for an upload URL that opens a session. X refused it with 400 in September 2026 (reported).
    """
    if not 0 < len(name) <= JOB_NAME_MAX:
        raise InputError(f"A job's name has 1 to {JOB_NAME_MAX} characters, not {len(name)}. Use a shorter label.")
    asked = {"resumable": True} if resumable else {}
    return Request("create", "POST", JOBS_PATH, {}, {"type": type.value, "name": name, **asked})


def get_job(job_id: str) -> Request:
    """[quickstart] step 3. The answer also carries both signed URLs anew."""
    if not JOB_ID.fullmatch(job_id):
        raise InputError(f"{job_id[:40]!r} is not a job ID: those have 1 to 19 digits.")
    return Request("get", "GET", f"{JOBS_PATH}/{job_id}", {})


def list_jobs(type: JobType) -> Request:
    """[spec] getComplianceJobs: `type` is required; there is no pagination."""
    return Request("list", "GET", JOBS_PATH, {"type": type.value})


def cancel_job(job_id: str) -> Request:
    """[410] An unfinished job becomes ``failed``, and a new one of its type can be created; prose, in no spec read.

    A job of the older dialect cannot be cancelled ([spec] 2.167 has no DELETE): then the answer is a 4xx. What the
    answer holds is not known, so it tells nothing of the job: ask for it.

    Examples
    --------
    >>> request = cancel_job("1372966999991541762")
    >>> request.method, request.path
    ('DELETE', '/2/compliance/jobs/1372966999991541762')
    """
    return Request("cancel", "DELETE", get_job(job_id).path, {})


# --------------------------------------------------------------------------- answers


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer: status, headers (lower-case names, repeated ones joined by ", "), body."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)  # it may hold signed URLs, and verbose tracebacks print local variables


@dataclass(frozen=True, slots=True)
class Received:
    """What is known of a streamed answer after its last byte; the hashes are over the raw bytes."""

    status: int
    headers: Mapping[str, str]
    length: int
    crc32c: bytes
    md5: bytes
    sha256: str
    last_byte: bytes
    broken: bool = False  # the connection broke before the body's end


@dataclass(frozen=True, slots=True)
class Job:
    """X's job. Only `id`, `type` and `status` are certain to be there ([spec] 2.167 makes all optional)."""

    id: str
    type: str
    status: str
    name: str | None = None
    created_at: datetime | None = None
    upload_url: Secret | None = None
    upload_expires_at: datetime | None = None
    download_url: Secret | None = None
    download_expires_at: datetime | None = None
    error: str | None = None
    resumable: bool | None = None


@dataclass(frozen=True, slots=True)
class RateLimit:
    """``x-rate-limit-*`` of one answer; `reset` is server time in seconds since the epoch."""

    limit: int
    remaining: int
    reset: float


def rate_limit(headers: Mapping[str, str]) -> RateLimit | None:
    """Return the answer's rate limit, or None when a header is missing or no number."""
    try:
        limit, remaining, reset = (int(headers[f"x-rate-limit-{part}"]) for part in ("limit", "remaining", "reset"))
        return RateLimit(limit, remaining, float(reset))
    except (KeyError, ValueError, OverflowError):
        return None


def server_time(headers: Mapping[str, str]) -> float | None:
    """Return the answer's Date in seconds since the epoch, or None."""
    try:
        moment = parsedate_to_datetime(headers["date"])
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (KeyError, ValueError, TypeError, OverflowError):
        return None


_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?(?:Z|\+00:00)", re.ASCII)


def parse_time(text: str) -> datetime:
    """Parse either time format that X writes: ``...T12:22:39.022Z`` or ``...T03:37:59+00:00``.

    Raises ValueError for anything else.
    """
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError("not a time as X writes it")
    moment = datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
    return moment.replace(microsecond=int((match[2] or "0").ljust(6, "0")))


# A signature or token that a server echoes would be one long run of these characters; so are the IDs of some runs.
_LONG = re.compile(
    r"((?:sandbox-)?(?:tweets|users)-[0-9]{8}-[0-9a-f]{8}(?:-attached)?\b(?![%_\-.+/=~]))|[A-Za-z0-9%_\-.+/=~]{32,}"
)
_QUERY = re.compile(r"\?\S+")


def redact(text: str, limit: int = 300) -> str:
    """Make foreign text fit for an error message: printable, short, without queries or long tokens."""
    clean = "".join(c if c.isprintable() else " " for c in text[: 8 * limit])
    clean = _LONG.sub(lambda match: match[1] or "[redacted]", _QUERY.sub("?[redacted]", clean))
    return clean if len(clean) <= limit else clean[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _problem(body: bytes) -> tuple[str | None, str]:
    """Return (code, text) of an error body of either family ([spec] Error and Problem)."""
    data = _json_object(body)
    if data is None:
        return None, ""
    errors = data.get("errors")
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    parts = [data.get("title"), data.get("detail"), first.get("message"), data.get("message")]
    text = ": ".join(dict.fromkeys(p for p in parts if isinstance(p, str) and p))
    kind = data.get("type")
    code = kind.rsplit("/", 1)[-1] if isinstance(kind, str) else ""
    return code if _PROBLEM.fullmatch(code) else None, redact(text)


_PROBLEM = re.compile(r"[A-Za-z0-9:-]{1,64}")
_XML_CODE = re.compile(rb"<Code>([A-Za-z0-9]{1,64})</Code>")

_NOT_APP_ONLY = (
    "These endpoints take an app-only Bearer token of an app whose plan includes batch compliance. "
    "Check the token under 'Keys and tokens' in X's developer console."
)


def _error(
    what: str, status: int, headers: Mapping[str, str], code: str | None, text: str, *, token_used: bool
) -> RemoteError:
    """The one place that turns an HTTP status into an exception."""
    said = f"{what}: HTTP {status}" + (f" {code}" if code and not text else "") + (f" ({text})" if text else "") + "."
    if 300 <= status < 400:
        return UnexpectedResponse(f"{said} Redirects are never followed; check the base URL.", status=status, code=code)
    if status in (401, 403) and token_used:
        return AuthError(f"{said} {_NOT_APP_ONLY}", status=status, code=code)
    if status == 429:
        limits = rate_limit(headers)
        return RateLimited(
            f"{said} The next request is possible when the window ends; run the same call again to go on.",
            status=status,
            code=code,
            retryable=True,
            retry_at=limits.reset if limits else None,
        )
    if status == 408 or status >= 500:
        return Unavailable(f"{said} Try again later.", status=status, code=code, retryable=True)
    if 400 <= status < 500:
        return Refused(f"{said} The same request will be refused again.", status=status, code=code)
    return UnexpectedResponse(f"{said} Only 200 is documented here.", status=status, code=code, retryable=True)


_DOING = {
    "create": "Creating the job",
    "get": "Asking for the job",
    "list": "Listing the jobs",
    "cancel": "Cancelling the job",
}


def decipher(request: Request, answer: Answer) -> dict[str, Any]:
    """Return the JSON object of a 200 answer of the API host; raise for everything else.

    How a cancellation is answered is not known, so 204, and nothing at all, will do for one (guess); then it is {}.
    """
    what = _DOING[request.operation]
    if request.operation == "cancel" and answer.status in (200, 204) and not answer.body:
        return {}
    if answer.status != 200:
        raise _error(what, answer.status, answer.headers, *_problem(answer.body), token_used=True)
    length = answer.headers.get("content-length")
    whole = length is None or "content-encoding" in answer.headers or length == str(len(answer.body))
    data = _json_object(answer.body) if whole else None
    if data is None:
        kind = redact(answer.headers.get("content-type", "no content type"), 60)
        raise UnexpectedResponse(
            f"{what}: the answer is not whole JSON ({kind}, {len(answer.body)} bytes). "
            "A proxy or login page in between would do that; check the network.",
            status=200,
            retryable=True,
        )
    return data


def decipher_bytes(what: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Raise unless an upload or download was answered with 200.

    Storage errors are XML; their ``StringToSign`` and ``CanonicalRequest`` repeat the signed query, so only
    the ``<Code>`` is ever shown ([gcs]).
    """
    if status == 200:
        return
    match = _XML_CODE.search(body)
    code, text = (match[1].decode("ascii"), "") if match else _problem(body)
    error = _error(what, status, headers, code, text, token_used=False)
    if status == 401 and not match:  # [410] leaves open whether the API's own byte paths want the token as well
        error.args = (f"{error} If X wants the token there as well, pass xc.Client(bearer_on_byte_paths=True).",)
    raise error


def parse_job(answer: Mapping[str, Any]) -> Job:
    """Return the job in an answer; raise UnexpectedResponse when it has no usable id, type or status."""
    return _job(answer.get("data"))


def _job(data: Any) -> Job:
    if not isinstance(data, dict):
        raise UnexpectedResponse("The answer holds no job. Ask again later.", status=200, retryable=True)
    job_id, kind, status = data.get("id"), data.get("type"), data.get("status")
    if not (isinstance(job_id, str) and JOB_ID.fullmatch(job_id) and isinstance(kind, str) and isinstance(status, str)):
        raise UnexpectedResponse(
            "The answer holds a job without a usable id, type or status. Ask again later.", status=200, retryable=True
        )

    def text(key: str) -> str | None:
        value = data.get(key)
        return value if isinstance(value, str) else None

    def moment(key: str) -> datetime | None:
        try:
            return parse_time(text(key) or "")
        except ValueError:
            return None

    def secret(key: str) -> Secret | None:
        value = text(key)
        return Secret(value) if value else None

    resumable = data.get("resumable")
    return Job(
        id=job_id,
        type=kind,
        status=status,
        name=text("name"),
        created_at=moment("created_at"),
        upload_url=secret("upload_url"),
        upload_expires_at=moment("upload_expires_at"),
        download_url=secret("download_url"),
        download_expires_at=moment("download_expires_at"),
        error=redact(text("error") or "") or None,  # [REF2024 docs] a string; in no spec version
        resumable=resumable if isinstance(resumable, bool) else None,  # recorded, also before [spec] named it
    )


def parse_jobs(answer: Mapping[str, Any]) -> list[Job]:
    """Return the jobs of a list answer, if it is sure to be the whole list.

    An empty list has no ``data`` key ([spec] minItems 1), only ``meta`` with a count of 0; ``meta`` itself was absent
    in 2021. An answer with errors, or whose count differs, may lack a job of ours, so it is no list.
    """
    jobs, meta = answer.get("data"), answer.get("meta")
    count = meta.get("result_count") if isinstance(meta, dict) else None
    empty = jobs is None and count == 0
    if "errors" in answer or not (isinstance(jobs, list) or empty) or (count is not None and count != len(jobs or [])):
        raise UnexpectedResponse("The list of jobs is not whole. Ask again later.", status=200, retryable=True)
    return [_job(job) for job in jobs or []]


_STORED = re.compile(r"bytes=0-([0-9]{1,18})")


def stored_bytes(headers: Mapping[str, str]) -> int | None:
    """Return how many bytes a session has, from its 308; without a Range it has none, and None makes no sense.

    https://cloud.google.com/storage/docs/performing-resumable-uploads#status-check

    Examples
    --------
    >>> stored_bytes({"range": "bytes=0-262143"}), stored_bytes({})
    (262144, 0)
    """
    text = headers.get("range")
    match = _STORED.fullmatch(text or "")
    return 0 if text is None else int(match[1]) + 1 if match else None


def stored_hashes(headers: Mapping[str, str]) -> dict[str, bytes] | None:
    """Return ``{"crc32c": ..., "md5": ...}`` of ``x-goog-hash``, {} without the header, None if it makes no sense.

    The header may come twice (joined by a comma); values are base64, crc32c is big-endian ([gcs]).
    """
    text = headers.get("x-goog-hash")
    if text is None:
        return {}
    hashes: dict[str, bytes] = {}
    for part in text.split(","):
        name, _, value = part.strip().partition("=")
        size = {"crc32c": 4, "md5": 16}.get(name)
        if size is None:
            continue
        try:
            raw = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            return None
        if len(raw) != size or hashes.setdefault(name, raw) != raw:  # a second value must not hide the first
            return None
    return hashes or None


# --------------------------------------------------------------------------- addresses


def is_loopback(url: str) -> bool:
    """Whether the URL's host is this machine, by name or address."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


# Nothing that two URL parsers might read differently: no user, no backslash, no other scripts' dots.
_NETLOC = re.compile(r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(:[0-9]{1,5})?")


def base_url(text: str) -> str:
    """Return the API's base URL without a trailing slash; https, or http on loopback only."""
    try:
        parts = urlsplit(text.strip())
        odd = not _NETLOC.fullmatch(parts.netloc) or parts.port == 0 or parts.query or parts.fragment
        secure = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(text.strip()))
    except ValueError:
        odd, secure = True, False
    if odd or not secure:
        raise InputError(
            "The base URL must look like https://api.x.com (plain http only for a sandbox on this machine). "
            f"Check base_url= and {BASE_URL_VARIABLE}."
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def check_byte_url(url: Secret, api: str) -> None:
    """Raise unless bytes may go to a signed URL: a server names it, so it is not trusted.

    Allowed are https on Google's storage hosts and on the API's own host; plain http only from loopback to
    loopback. X names both kinds ([quickstart]; docs of September 2026).
    """
    host, allowed = _place(url, api)
    if not allowed:
        raise UnexpectedResponse(
            f"The service named {redact(host, 60)!r} as the place for the file, which is neither X's API host nor "
            "Google's storage, so nothing was sent there. Report this if it persists."
        )


def _place(url: Secret, api: str) -> tuple[str, bool]:
    """Return a signed URL's host and whether bytes may go there."""
    try:
        parts = urlsplit(url.reveal())
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "an address nobody can read", False
    if not _NETLOC.fullmatch(parts.netloc) or not re.fullmatch(r"[\x21-\x7e]+", url.reveal()):
        return host, False
    if is_loopback(api):
        return host, is_loopback(url.reveal()) and parts.scheme in ("http", "https")
    storage = host == "storage.googleapis.com" or host.endswith(".storage.googleapis.com")
    return host, parts.scheme == "https" and (storage or host == urlsplit(api).hostname) and port in (None, 443)
