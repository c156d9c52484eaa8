"""A check-up of the service: one tiny job, and every assumption about X's protocol held against what came.

The job is a run like any other; only its transport keeps what it sees. What is printed is made of counts, words,
hosts and names of headers and keys, each cleaned as foreign text is, so that it can be pasted into a bug report.
docs/protocol.md says where each assumption is from.
"""

from __future__ import annotations

import itertools
import json
import platform
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from . import digest, lifecycle, protocol, results
from .client import Client
from .digest import Grade
from .errors import InputError, JobError, RemoteError, UnexpectedResponse, WaitTimeout
from .ids import Ints
from .lifecycle import Phase, Snapshot
from .protocol import ACTIONS, REASONS, Answer, JobStatus, JobType, Received, Request, Secret, redact
from .transport import FileBody, Transport

# Of the sample results in step 4 of https://docs.x.com/x-api/compliance/batch-compliance/quickstart
EXAMPLE_POSTS = ("1265324480517361664", "1263926741774581761")
LISTS = 2  # requests beside those of the run: one list of each type
LOOKS_MAX = 60  # requests that the run may make: at one look a minute, more than the slowest tiny job recorded took
PATIENCE = 1800.0  # seconds; 20 posts took 22 minutes once (recorded in November 2021)

HELD, NOT_SEEN, DIFFERENT = "held", "not seen", "different"
NOT_TRIED = (
    "HEAD of a byte URL, another content type, a second upload, a late one, a second job of the type, lines that are "
    "no IDs, resumable uploads, cancelling: they might cost a job, or a ban"
)

_JOB_KEYS = {"id", "type", "status", "created_at", "upload_url", "upload_expires_at", "download_url"}
_JOB_KEYS |= {"download_expires_at", "name", "resumable"}
_TIMES = ("created_at", "upload_expires_at", "download_expires_at")
_RECORD_KEYS = {"id", "action", "reason", "created_at", "redacted_at", "deleted_at", "error"}
_ORDER = (JobStatus.CREATED, JobStatus.IN_PROGRESS, JobStatus.COMPLETE)
# Of byte URLs; all else in them may tell whose they are, or open them.
_PATH_WORDS = {"twttr-tweet-compliance", "twttr-user-compliance", "submission", "delivery"}
_PATH_WORDS |= {"", "2", "compliance", "jobs", "upload", "download"}
_QUERY_WORDS = {
    f"x-goog-{word}" for word in ("algorithm", "credential", "date", "expires", "signedheaders", "signature")
}
_QUERY_WORDS |= {"token", "expires", "signature", "googleaccessid"}
_SNOWFLAKE_EPOCH = 1288834974.657  # seconds: https://docs.x.com/fundamentals/x-ids


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and what came back."""

    operation: str
    status: int | None  # None: no answer
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    url: Secret | None = None
    received: Received | None = None


class Witness(Transport):
    """A transport that keeps what it sees, in memory only."""

    def __init__(self, *settings: Any) -> None:
        super().__init__(*settings)
        self.seen: list[Exchange] = []

    def send(self, request: Request) -> Answer:
        return self._kept(request.operation, None, lambda: super(Witness, self).send(request))

    def put(self, url: Secret, body: FileBody | None, content_range: str | None = None) -> Answer:
        return self._kept("upload", url, lambda: super(Witness, self).put(url, body, content_range))

    def get(self, url: Secret, sink: Callable[[bytes], Any], size_max: int) -> Received:
        pieces: list[bytes] = []

        def both(piece: bytes) -> None:
            pieces.append(piece)
            sink(piece)

        try:
            received = super().get(url, both, size_max)
        except RemoteError as error:
            self.seen.append(Exchange("download", error.status, url=url))
            raise
        self.seen.append(Exchange("download", 200, received.headers, b"".join(pieces), url, received))
        return received

    def _kept(self, operation: str, url: Secret | None, exchange: Callable[[], Answer]) -> Answer:
        try:
            answer = exchange()
        except RemoteError as error:
            self.seen.append(Exchange(operation, error.status, url=url))
            raise
        self.seen.append(Exchange(operation, answer.status, answer.headers, answer.body, url))
        return answer


class Finding(NamedTuple):
    """What came of one assumption; `verdict` is one of HELD, NOT_SEEN, DIFFERENT."""

    name: str
    claim: str
    verdict: str
    seen: str


@dataclass(frozen=True)
class Checkup:
    """The findings, and what the report's head says."""

    findings: tuple[Finding, ...]
    base_url: str
    places: str
    requests: Mapping[str, int]
    trouble: str | None
    at: float

    @property
    def clean(self) -> bool:
        return all(finding.verdict != DIFFERENT for finding in self.findings)

    def __str__(self) -> str:
        """Return the report; no IDs, URLs, tokens or signatures are in it."""
        moment = f"{datetime.fromtimestamp(self.at, UTC):%Y-%m-%d %H:%M} UTC"
        asked = ", ".join(f"{word} {count}" for word, count in sorted(self.requests.items()))
        made = f"xcompliance-pd {version('xcompliance-pd')}, Python {platform.python_version()}"
        lines = [
            f"xcompliance doctor, {moment}, {made}",
            f"service: {self.base_url}; files: {self.places}",
            f"requests: {asked or 'none'}",
            *([f"trouble: {self.trouble}"] if self.trouble else []),
            "",
        ]
        for found in sorted(self.findings, key=lambda found: (HELD, NOT_SEEN, DIFFERENT).index(found.verdict)):
            lines.append(f"{found.verdict:<10} {found.name:<16} {found.claim}")
            if found.seen and found.verdict != NOT_SEEN:
                lines.append(f"{'':<27} seen: {found.seen}")
        counts = Counter(found.verdict for found in self.findings)
        total = ", ".join(f"{counts[word]} {word}" for word in (HELD, NOT_SEEN, DIFFERENT))
        return "\n".join([*lines, "", f"not tried: {NOT_TRIED}.", f"{total}."])


def cost() -> str:
    """Say how many requests a check-up makes; X may charge for each."""
    least = lifecycle.requests_needed(1) + LISTS
    return f"at least {least} requests to the API, {LOOKS_MAX + LISTS} at the most"


def examine(
    client: Client, ids: Ints, type: JobType, watch: Callable[[Snapshot], None] = lambda snapshot: None
) -> Checkup:
    """Run one job of these IDs and hold what came against every assumption.

    Parameters
    ----------
    client : Client
    ids : ndarray of int64
        Distinct, ascending.
    type : JobType
    watch : callable
        As in :meth:`xcompliance_pd.Run.wait`.

    Raises
    ------
    AuthError
        There is no token, so nothing was sent.
    """
    own, witness = client.over(Witness, LOOKS_MAX)
    other = next(kind for kind in JobType if kind is not type)
    trouble, name = None, ""
    try:
        own.jobs(other)
        run, _ = own.start([ids], type, label="doctor", fresh=True)
        if run is None:
            raise InputError("There is no ID to make a job of. Name one or two.")
        name = lifecycle.job_name(run.record, run.record.batches[0])
        try:
            run.wait(PATIENCE, watch=watch)
            run.raise_if_dead()
        finally:
            if all(batch.phase in (*lifecycle.ENDED, Phase.PLANNED) for batch in run.record.batches):
                run.discard()  # the run only: what X has of the job stays there
        own.jobs(type)
    except (RemoteError, JobError, WaitTimeout) as error:
        if not any(each.status for each in witness.seen):
            raise  # nobody answered at all, so there is nothing to report
        trouble = _clean(str(error))
    evidence = Evidence(witness.seen, client.base_url, frozenset(ids.tolist()), type, name)
    found = [Finding(each.name, each.claim, *_judged(each, evidence)) for each in ASSUMPTIONS]
    asked = Counter(each.operation for each in witness.seen)
    return Checkup(tuple(found), client.base_url, evidence.places(), asked, trouble, client.clock.now())


# --------------------------------------------------------------------------- what was seen


class Evidence:
    """The exchanges of a check-up, and the questions that assumptions ask of them.

    Parameters
    ----------
    exchanges : sequence of Exchange
    base_url : str
    ids : frozenset of int
        What was sent.
    type : JobType
    name : str
        What our job is called, but for later attempts.
    """

    def __init__(
        self, exchanges: Sequence[Exchange], base_url: str, ids: frozenset[int], type: JobType, name: str
    ) -> None:
        self.exchanges = list(exchanges)
        self.base_url = base_url
        self.ids = ids
        self.type = type
        self.name = name
        self.answers = [(e, _object(e.body)) for e in exchanges if e.operation in ("create", "get", "list")]
        told = [(e, data) for e, data in self.answers if e.status == 200 and data is not None]
        self.ours = [
            data["data"] for e, data in told if e.operation in ("create", "get") and isinstance(data.get("data"), dict)
        ]
        self.lists = [data for e, data in told if e.operation == "list"]

    def of(self, *operations: str, answered: bool = True) -> list[Exchange]:
        """Return the exchanges of operations; only those answered with 200, unless told otherwise."""
        return [e for e in self.exchanges if e.operation in operations and (e.status == 200 or not answered)]

    def urls(self) -> list[Secret]:
        """Return the byte URLs that our job's answers named."""
        texts = [job.get(key) for job in self.ours for key in ("upload_url", "download_url")]
        return [Secret(text) for text in texts if isinstance(text, str)]

    def stored_apart(self, url: Secret | None) -> bool:
        """Whether a byte URL is of another origin than the API, as Google's storage is."""
        if url is None:
            return False
        parts, api = urlsplit(url.reveal()), urlsplit(self.base_url)
        return (parts.scheme, parts.netloc) != (api.scheme, api.netloc)

    def places(self) -> str:
        """Say where the byte URLs lead, by scheme, host and the shape of path and query."""
        return ", ".join(dict.fromkeys(map(_shape, self.urls()))) or "not seen"

    def parsed(self) -> list[tuple[Exchange, results.Results]]:
        """Return what each download says."""
        read = []
        for each in self.of("download"):
            coding = each.headers.get("content-encoding", "identity").lower()
            try:
                blocks = list(digest.unpack([each.body], coding))
            except ValueError:
                blocks = [each.body]
            read.append((each, results.read(blocks)))
        return read


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _shape(url: Secret) -> str:
    """Return a URL's origin, path and parameters' names, with a star for every word that may not be harmless."""
    origin = _origin(url)
    try:
        parts = urlsplit(url.reveal())
    except ValueError:
        return origin
    path = "/".join(part if part in _PATH_WORDS else "*" for part in parts.path.split("/"))
    keys = [key if key.lower() in _QUERY_WORDS else "*" for key, _ in parse_qsl(parts.query, keep_blank_values=True)]
    return f"{origin}{path} ({', '.join(dict.fromkeys(keys))})"


def _origin(url: Secret) -> str:
    try:
        parts = urlsplit(url.reveal())
        return redact(f"{parts.scheme}://{parts.hostname}", 80)
    except ValueError:
        return "an address nobody can read"


# --------------------------------------------------------------------------- assumptions

Verdict = tuple[bool | None, str]  # None: it was not seen


class Assumption(NamedTuple):
    """Something that this package relies on, and how to see whether it holds."""

    name: str
    claim: str
    look: Callable[[Evidence], Verdict]


def _judged(assumption: Assumption, evidence: Evidence) -> tuple[str, str]:
    try:
        held, seen = assumption.look(evidence)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        held, seen = False, f"an answer of a form that nobody expected ({type(error).__name__})"
    return {True: HELD, None: NOT_SEEN, False: DIFFERENT}[held], _clean(seen)


def _clean(text: str) -> str:
    """Make foreign text fit for a report that is shown to others: no secret, and no ID of a post, user or job."""
    return re.sub("[0-9]{9,}", "*", redact(text, 400))


def _all(cases: Iterable[tuple[bool, str]]) -> Verdict:
    """Return the verdict over several looks at one thing: with what differed, or else with what was seen."""
    listed = list(cases)
    wrong = [seen for held, seen in listed if not held]
    counts = Counter(wrong or [seen for _, seen in listed])
    told = ", ".join(word if count == 1 else f"{word} ({count} times)" for word, count in counts.items() if word)
    return (not wrong if listed else None), told


def _status(evidence: Evidence) -> Verdict:
    exchanges = evidence.of("create", "get", "list", answered=False)
    return _all((e.status == 200, f"{e.operation} {e.status or 'no answer'}") for e in exchanges)


def _json(evidence: Evidence) -> Verdict:
    def kind(e: Exchange) -> str:
        return e.headers.get("content-type", "no content type")

    cases = [(e, data) for e, data in evidence.answers if e.status == 200]
    return _all((data is not None and kind(e).startswith("application/json"), kind(e)) for e, data in cases)


def _date(evidence: Evidence) -> Verdict:
    exchanges = [e for e in evidence.exchanges if e.status == 200]
    return _all(
        (protocol.server_time(e.headers) is not None, f"{e.operation}{'' if 'date' in e.headers else ' without'}")
        for e in exchanges
    )


def _limits(evidence: Evidence) -> Verdict:
    def names(e: Exchange) -> str:
        return ", ".join(sorted(name for name in e.headers if "rate-limit" in name)) or "none"

    return _all((protocol.rate_limit(e.headers) is not None, names(e)) for e in evidence.of("create", "get", "list"))


def _window(evidence: Evidence) -> Verdict:
    cases = []
    for each in evidence.of("create", "get", "list"):
        limit, now = protocol.rate_limit(each.headers), protocol.server_time(each.headers)
        if limit is not None and now is not None:
            left = limit.reset - now
            cases.append((limit.limit == 150 and -5 <= left <= 905, f"{each.operation} {limit.limit} a window"))
    return _all(cases)


def _envelope(evidence: Evidence) -> Verdict:
    told = [data for e, data in evidence.answers if e.status == 200 and data is not None]
    return _all((set(data) <= {"data", "meta"}, ", ".join(sorted(data))) for data in told)


def _job_certain(evidence: Evidence) -> Verdict:
    def good(job: dict[str, Any]) -> bool:
        texts = all(isinstance(job.get(key), str) for key in ("id", "type", "status"))
        return texts and protocol.JOB_ID.fullmatch(job["id"]) is not None and job["type"] == evidence.type

    return _all((good(job), f"type {job.get('type')}") for job in evidence.ours)


def _job_keys(evidence: Evidence) -> Verdict:
    def odd(job: dict[str, Any]) -> str:
        missing, more = sorted(_JOB_KEYS - set(job)), sorted(set(job) - _JOB_KEYS - {"error"})
        return "; ".join([*(f"no {key}" for key in missing), *(f"also {key}" for key in more)])

    return _all((not odd(job), odd(job) or "all of them") for job in evidence.ours)


def _job_id(evidence: Evidence) -> Verdict:
    cases = []
    for job in evidence.ours:
        made = protocol.parse_time(job["created_at"]).timestamp()
        apart = (int(job["id"]) >> 22) / 1000 + _SNOWFLAKE_EPOCH - made
        cases.append((-1 < apart < 2, f"{apart:.0f} s apart"))
    return _all(cases)


def _job_name(evidence: Evidence) -> Verdict:
    return _all((job.get("name") == evidence.name, "as given" if job.get("name") else "none") for job in evidence.ours)


def _job_times(evidence: Evidence) -> Verdict:
    cases = []
    for key in _TIMES:
        for job in evidence.ours:
            text = str(job.get(key))
            try:
                protocol.parse_time(text)
                cases.append((True, re.sub("[0-9]", "9", text)))
            except ValueError:
                cases.append((False, f"{key} {re.sub('[0-9]', '9', text)}"))
    return _all(cases)


def _life(key: str, seconds: int) -> Callable[[Evidence], Verdict]:
    def look(evidence: Evidence) -> Verdict:
        lives = [(protocol.parse_time(j[key]) - protocol.parse_time(j["created_at"])) for j in evidence.ours]
        return _all((life.total_seconds() == seconds, f"{life.total_seconds():.0f} s") for life in lives)

    return look


def _words(evidence: Evidence) -> Verdict:
    return _all((job["status"] in tuple(JobStatus), str(job["status"])) for job in evidence.ours)


def _order(evidence: Evidence) -> Verdict:
    if not evidence.ours:
        return None, ""
    path = [word for word, _ in itertools.groupby(job["status"] for job in evidence.ours)]
    return path == [word for word in _ORDER if word in path] and path[0] == JobStatus.CREATED, " -> ".join(path)


def _complete(evidence: Evidence) -> Verdict:
    if not evidence.ours:
        return None, ""
    last = evidence.ours[-1]
    return last["status"] == JobStatus.COMPLETE, f"{last['status']} {last.get('error', '')}".strip()


def _url_place(evidence: Evidence) -> Verdict:
    cases = []
    for url in evidence.urls():
        try:
            protocol.check_byte_url(url, evidence.base_url)
            cases.append((True, _origin(url)))
        except UnexpectedResponse:
            cases.append((False, _origin(url)))
    return _all(cases)


def _upload(evidence: Evidence) -> Verdict:
    uploads = evidence.of("upload", answered=False)
    return _all((e.status == 200 and not e.body, f"{e.status}, {len(e.body)} bytes") for e in uploads)


def _upload_hashes(evidence: Evidence) -> Verdict:
    return _all(_named_hashes(evidence, e, {"crc32c", "md5"}) for e in evidence.of("upload"))


def _named_hashes(evidence: Evidence, each: Exchange, wanted: set[str]) -> tuple[bool, str]:
    """Whether an answer names the checksums that its place names: Google's storage does, X's host does not."""
    named = protocol.stored_hashes(each.headers)
    seen = "unreadable" if named is None else ", ".join(sorted(named)) or "none"
    apart = evidence.stored_apart(each.url)
    right = named is not None and (wanted <= set(named) if apart else not named)
    return right, f"{seen} by {'the storage' if apart else 'the API host'}"


def _result(evidence: Evidence) -> Verdict:
    downloads = evidence.of("download", answered=False)
    return _all(
        (e.status == 200, f"{e.status or 'no answer'} {e.headers.get('content-type', 'no content type')}")
        for e in downloads
    )


def _result_type(evidence: Evidence) -> Verdict:
    kinds = [e.headers.get("content-type", "no content type") for e in evidence.of("download")]
    return _all((kind == "application/octet-stream", kind) for kind in kinds)


def _result_grade(evidence: Evidence) -> Verdict:
    cases = []
    for each in evidence.of("download"):
        if each.received is not None:
            found = digest.grade(each.received)
            wanted = Grade.HASH if evidence.stored_apart(each.url) else Grade.LENGTH
            why = digest.damage(each.received)
            cases.append((found is wanted, str(found) + (f" ({why})" if why else "")))
    return _all(cases)


def _result_lines(evidence: Evidence) -> Verdict:
    return _all(
        (
            not read.bad_count and (not e.body or e.received is None or e.received.last_byte == b"\n"),
            "; ".join(what for _, what in read.bad) or "whole lines",
        )
        for e, read in evidence.parsed()
        if e.headers.get("content-encoding", "identity") == "identity"
    )


def _records(evidence: Evidence) -> list[dict[str, Any]]:
    lines = [line for e in evidence.of("download") for line in e.body.splitlines() if line.strip()]
    return [data for data in map(_object, lines) if data is not None]


def _record_keys(evidence: Evidence) -> Verdict:
    def odd(record: dict[str, Any]) -> str:
        return ", ".join(sorted(set(record) - _RECORD_KEYS))

    return _all((not odd(record), odd(record)) for record in _records(evidence))


def _record_words(evidence: Evidence) -> Verdict:
    def words(record: dict[str, Any]) -> str:
        return "/".join(str(record[key]) for key in ("action", "reason", "error") if record.get(key) is not None)

    def known(record: dict[str, Any]) -> bool:
        return record.get("action") in (*ACTIONS, None) and record.get("reason") in (*REASONS, None)

    return _all((known(record), words(record)) for record in _records(evidence))


def _record_times(evidence: Evidence) -> Verdict:
    cases = []
    for record in _records(evidence):
        for key in ("created_at", "redacted_at", "deleted_at"):
            if record.get(key) is not None:
                shape = re.sub("[0-9]", "9", str(record[key]))
                try:
                    protocol.parse_time(record[key])
                    cases.append((True, shape))
                except (ValueError, TypeError):
                    cases.append((False, f"{key} {shape}"))
    return _all(cases)


def _record_ids(evidence: Evidence) -> Verdict:
    found = [id for _, read in evidence.parsed() for id in read.findings["id"].tolist()]
    return _all((id in evidence.ids, "sent" if id in evidence.ids else "not sent") for id in found)


def _list_count(evidence: Evidence) -> Verdict:
    cases = []
    for listed in evidence.lists:
        count, told = len(listed.get("data") or []), (listed.get("meta") or {}).get("result_count")
        cases.append((told == count, f"{count} jobs, result_count {told}"))
    return _all(cases)


def _list_empty(evidence: Evidence) -> Verdict:
    empty = [listed for listed in evidence.lists if not listed.get("data")]
    return _all(
        ("data" not in listed and listed == {"meta": {"result_count": 0}}, ", ".join(sorted(listed)))
        for listed in empty
    )


def _list_order(evidence: Evidence) -> Verdict:
    orders = [[int(job["id"]) for job in listed.get("data") or []] for listed in evidence.lists]
    return _all(
        (ids == sorted(ids, reverse=True), "newest first" if ids == sorted(ids, reverse=True) else "another order")
        for ids in orders
        if len(ids) > 1
    )


def _list_ours(evidence: Evidence) -> Verdict:
    if not evidence.ours or len(evidence.lists) < LISTS:
        return None, ""
    own = evidence.ours[-1]["id"]
    found = [job for job in evidence.lists[-1].get("data") or [] if job.get("id") == own]
    return len(found) == 1 and found[0].get("name") == evidence.name, f"{len(found)} times"


ASSUMPTIONS = (
    Assumption("answer.status", "The API answers 200 to create, get and list.", _status),
    Assumption("answer.json", "The API's answers are JSON objects, of the type application/json.", _json),
    Assumption("answer.envelope", "They hold data, and lists also meta, and nothing else.", _envelope),
    Assumption("answer.date", "Every answer, also of a byte URL, has a Date.", _date),
    Assumption("limits.headers", "Every answer of the API tells limit, remaining and reset.", _limits),
    Assumption("limits.window", "It is 150 requests in 15 minutes for each operation.", _window),
    Assumption("job.certain", "A job has an id of 1 to 19 digits, the type asked for, and a status.", _job_certain),
    Assumption("job.keys", "A job has all documented keys, and no others.", _job_keys),
    Assumption("job.id", "The job's ID tells the time of its creation.", _job_id),
    Assumption("job.name", "The job bears the name that it was given.", _job_name),
    Assumption("job.times", "Its times are of a form that is understood.", _job_times),
    Assumption("job.status", "Its status is one of the five words.", _words),
    Assumption("job.order", "It is created, then in progress, then complete.", _order),
    Assumption("job.end", "A tiny job ends complete.", _complete),
    Assumption("url.place", "Byte URLs are https, on Google's storage or the API's own host.", _url_place),
    Assumption("url.upload", "The upload URL lives for 15 minutes.", _life("upload_expires_at", 900)),
    Assumption("url.download", "The download URL lives for 7 days.", _life("download_expires_at", 604_800)),
    Assumption("upload.answer", "An upload as text/plain is answered with 200 and nothing.", _upload),
    Assumption("upload.hashes", "Google's storage names CRC-32C and MD5 of it, X's host neither.", _upload_hashes),
    Assumption("result.answer", "The results come with 200.", _result),
    Assumption("result.type", "They are of the type application/octet-stream.", _result_type),
    Assumption("result.evidence", "Google's storage proves them by checksum, X's host by length.", _result_grade),
    Assumption("result.lines", "Every line can be read, and the last one has its end.", _result_lines),
    Assumption("record.keys", "A record has documented keys only.", _record_keys),
    Assumption("record.words", "Its action and reason are documented words.", _record_words),
    Assumption("record.times", "Its times are of a form that is understood.", _record_times),
    Assumption("record.ids", "Records are only about IDs that were sent.", _record_ids),
    Assumption("list.count", "A list tells how many jobs it holds.", _list_count),
    Assumption("list.empty", "An empty list has no data, only the count 0.", _list_empty),
    Assumption("list.order", "Lists begin with the newest job.", _list_order),
    Assumption("list.ours", "A job that has just been made is listed, once, with its name.", _list_ours),
)
