"""The composition root: one `Client` holds the whole configuration and puts the floors together."""

from __future__ import annotations

import copy
import dataclasses
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, TypeVar

import pandas as pd

from . import ids as id_rules
from . import lifecycle, protocol, saved
from .errors import AuthError, ComplianceError, InputError, LedgerError
from .ids import Ints
from .ledger import Ledger
from .lifecycle import RunRecord
from .protocol import BASE_URL_VARIABLE, DEFAULT_BASE_URL, TOKEN_VARIABLES, Job, JobStatus, JobType, Secret
from .reuse import Reuse, of_now, of_unfinished
from .run import Run
from .runner import Clock, Runner
from .transport import Transport

_T = TypeVar("_T")
_Wire = TypeVar("_Wire", bound=Transport)


class Client:
    """Access to one compliance service and one ledger.

    Parameters
    ----------
    token : str, optional
        App-only Bearer token. Otherwise the first of X_BEARER_TOKEN, TWITTER_BEARER_TOKEN, BEARER_TOKEN that is
        set, looked up when the first request is due. It is never shown, logged or written.
    base_url : str, optional
        Otherwise XCOMPLIANCE_API_URL, otherwise https://api.x.com.
    home : path, optional
        The ledger's folder. Otherwise XCOMPLIANCE_HOME, otherwise the user's state folder.
    batch_size : int
        IDs per job. X documents no limit; the upload must be done within 15 minutes of the job's creation.
    poll_interval : float
        Seconds before the first look at a job; the wait grows to a minute, and as the rate limit asks.
    max_requests : int
        Requests to the API that one run may make in all; X may charge for each.
    http_timeout : (float, float)
        Seconds to connect, and between two pieces of an answer.
    ca_bundle : str, optional
        Path of a CA bundle, for networks that replace certificates.
    bearer_on_byte_paths : bool
        Send the token along with uploads and downloads whose URL is of `base_url`'s own scheme, host and port. X's
        documents of September 2026 leave open whether it wants that (https://github.com/xdevplatform/docs/pull/410).
    resumable_above : int, optional
        Bytes above which a batch is uploaded in parts, so that a broken connection costs 8 MB and not the whole. For a
        line that breaks often; 16_000_000 is a good choice, because a smaller file is two parts or less. Left out, no
        job is asked to be resumable: X refused that in September 2026, and a refusal may cost a request. A service that
        refuses gets the file in one request, as ever.

    Examples
    --------
    >>> import xcompliance_pd as xc
    >>> xc.Client(token="not-a-real-token")
    Client(base_url='https://api.x.com')
    """

    def __init__(
        self,
        token: str | None = None,
        base_url: str | None = None,
        home: str | os.PathLike[str] | None = None,
        batch_size: int = 2_000_000,
        poll_interval: float = 5.0,
        max_requests: int = 500,
        http_timeout: tuple[float, float] = (10.0, 60.0),
        ca_bundle: str | None = None,
        bearer_on_byte_paths: bool = False,
        resumable_above: int | None = None,
        *,
        clock: Clock | None = None,
    ) -> None:
        given = None if token is None else Secret(str(token))
        token = None  # verbose tracebacks print arguments
        counts = (batch_size, max_requests)
        if not all(isinstance(count, int) and count > 0 for count in counts) or not poll_interval >= 0:
            raise InputError("batch_size and max_requests are whole numbers from 1, poll_interval is at least 0.")
        self.base_url = protocol.base_url(base_url or os.environ.get(BASE_URL_VARIABLE) or DEFAULT_BASE_URL)
        self._given = None if given is None else _clean_token(given, "token=")
        self._environment = True
        self._batch_size = batch_size
        self._max_requests = max_requests
        self.clock = clock or Clock()
        self._ledger = Ledger(home)
        self._wire = (self.base_url, self._token, http_timeout, ca_bundle, bearer_on_byte_paths)
        self._poll_interval = poll_interval
        self._resumable_above = resumable_above
        self._transport = Transport(*self._wire)
        self._runner = self._runner_over(self._transport, max_requests)

    def _runner_over(self, transport: Transport, max_requests: int) -> Runner:
        return Runner(self._ledger, transport, self._poll_interval, max_requests, self.clock, self._resumable_above)

    @property
    def ledger(self) -> Ledger:
        """The runs on disk."""
        return self._ledger

    def __repr__(self) -> str:
        return f"Client(base_url={self.base_url!r})"

    def _token(self) -> Secret:
        if self._given is not None:
            return self._given
        if not self._environment:
            raise AuthError(
                f"This run was made against {self.base_url}, which is not where the token in the environment belongs. "
                f"Pass client=xc.Client(token=..., base_url={self.base_url!r}), or client=box.client for a sandbox.",
                sent=False,
            )
        for name in TOKEN_VARIABLES:
            if os.environ.get(name):
                return _clean_token(Secret(os.environ[name]), name)
        raise AuthError(
            "There is no Bearer token. Set one of the environment variables "
            f"{', '.join(TOKEN_VARIABLES)}, or pass xc.Client(token=...); to try everything without an account, "
            "use the sandbox: with xc.Sandbox() as box: df.compliance.check('id', client=box.client)",
            sent=False,
        )

    # ----------------------------------------------------------------- runs

    def start(
        self,
        parts: Iterable[Ints],
        type: JobType,
        *,
        label: str | None = None,
        fresh: bool = False,
        keep: bool = False,
        reuse: Reuse | None = None,
    ) -> tuple[Run | None, bool]:
        """Return the run for these IDs, and whether it is an unfinished one that is continued; None if there is no ID.

        Parameters
        ----------
        parts : iterable of ndarray of int64
            The distinct IDs, ascending, of each part of the dataset: of a frame, or of each of its partitions. They
            are written to disk as they come; if they end in an error, nothing is left of the run.
        type : JobType
        label : str, optional
            For people; also part of the job's name at X.
        fresh : bool
            Make a new run even if there is an unfinished one.
        keep : bool
            Keep the IDs in memory until they are joined, to spare reading them; if they are there anyway.
        reuse : Reuse, optional
            Sorts out the IDs that need not be sent; one of `reuses`. None is returned, too, if it was settled for a
            run that is not the one for the IDs that are left.

        Raises
        ------
        AuthError
            There is no token. Nothing was written.
        InputError
            `max_requests` cannot suffice. Nothing was sent.
        """
        if reuse is None:
            self._token()
        else:
            parts = self._to_send(parts, reuse)
        if not isinstance(label, str | None):
            raise InputError(f"A label is text, not {label.__class__.__name__}. Put it in quotes.")
        now = self.clock.now()
        day, sandbox = datetime.fromtimestamp(now, UTC).strftime("%Y%m%d"), protocol.is_loopback(self.base_url)
        record = RunRecord(
            id=lifecycle.run_id(type, day, secrets.token_hex(4), sandbox),
            type=type,
            base_url=self.base_url,
            created_at=now,
            ids=0,
            ids_sha256="",
            batches=(),
            label=label,
        )
        batches: Iterable[id_rules.Slice] = id_rules.batches(parts, self._batch_size)
        kept = list(batches) if keep else []
        with self._ledger.making(record, kept or batches) as made:
            if not made.batches or (reuse is not None and reuse.other):
                return None, False
            if reuse is not None:
                made = dataclasses.replace(made, max_age=reuse.max_age, reused=reuse.batches)
            with self._ledger.planning():
                same = None if fresh else self._unfinished(made, only=None if reuse is None else reuse.run)
                if same is not None:
                    return Run(same, self._runner), True
                if reuse is not None and reuse.run is not None:
                    return None, False
                needed = lifecycle.requests_needed(len(made.batches))
                if needed > self._max_requests:
                    raise InputError(
                        f"{len(made.batches):,} batches need at least {needed:,} requests, and max_requests="
                        f"{self._max_requests} allows fewer. Allow more: xc.Client(max_requests=...), or send larger "
                        "batches: batch_size=..."
                    )
                self._ledger.save(made)
                self._runner.keep(made.id, [batch.ids for batch in kept])
        return Run(record.id, self._runner), False

    def _to_send(self, parts: Iterable[Ints], reuse: Reuse) -> Iterator[Ints]:
        """Yield the IDs of each part that are to be sent; only if there are any a token is needed."""
        for part in map(reuse.left, parts):
            if reuse.other:
                return  # nobody needs the rest
            if len(part):
                self._token()
            yield part

    def reuses(self, type: JobType, max_age: float) -> Iterator[Reuse]:
        """Yield what `start` is to be tried with, one after the other until there is a run or none is needed.

        First what each unfinished run reuses, because going on with one costs nothing; then what may be reused now.
        """
        yield from of_unfinished(self._ledger, self.base_url, type, max_age, self.clock.now())
        yield self.reusable(type, max_age)

    def reusable(self, type: JobType, max_age: float) -> Reuse:
        """Return what may be reused now. No request is made."""
        return of_now(self._ledger, self.base_url, type, max_age, self._runner.server_now())

    def _unfinished(self, made: RunRecord, attached: str | None = None, only: str | None = None) -> str | None:
        """Return the newest unfinished run of the same IDs, type and service, and of the same attached job, or none.

        With `only` it must be that run. For a check that reuses verdicts, it must reuse the same, and be young enough.
        """

        def fits(record: RunRecord) -> bool:
            if only is not None:
                return record.id == only
            begun = made.created_at - record.created_at
            return not made.max_age or (
                record.reused == made.reused and record.max_age <= made.max_age and begun <= made.max_age
            )

        wanted = (made.ids_sha256, made.ids, made.type, made.base_url)
        same = [
            record
            for record in self._ledger.readable()
            if (record.ids_sha256, record.ids, record.type, record.base_url) == wanted
            and lifecycle.attached_job(record) == attached
            and not record.ended
            and fits(record)
        ]
        return max(same, key=lambda record: record.created_at).id if same else None

    def open_run(self, run_id: str) -> Run:
        """Return a run of this client's ledger. No request is made.

        Raises
        ------
        LedgerError
            There is no such run.
        InputError
            The run was made against another service.
        """
        record = self._ledger.load(run_id)
        if record.base_url != self.base_url:
            raise InputError(
                f"Run {run_id} was made against {record.base_url}, this client is for {self.base_url}. "
                f"Leave client= out, or use xc.Client(base_url={record.base_url!r})."
            )
        return Run(run_id, self._runner)

    def runs(self) -> pd.DataFrame:
        """Return the runs in the ledger, newest first. No request is made.

        Returns
        -------
        DataFrame
            Index `run`; `type`, `label`, `state` (unfinished, done, failed, forgotten or unreadable), `ids`, `batches`,
            `batches_done`, `listed` (IDs that X listed), `requests`, `created_at` (UTC), `base_url`.
        """
        rows = [self._row(run_id) for run_id in self._ledger.run_ids()]
        table = pd.DataFrame(rows, columns=["run", *_RUN_COLUMNS]).set_index("run")
        table["created_at"] = pd.to_datetime(table["created_at"], unit="s", utc=True).dt.floor("s")
        return table.sort_values("created_at", ascending=False, kind="stable")

    def _row(self, run_id: str) -> tuple[object, ...]:
        try:
            record = self._ledger.load(run_id)
        except LedgerError:
            return (run_id, None, None, "unreadable", 0, 0, 0, 0, 0, float("nan"), None)
        return (
            record.id,
            str(record.type),
            record.label,
            _state(record),
            record.ids,
            len(record.batches),
            sum(batch.phase is lifecycle.Phase.DONE for batch in record.batches),
            sum(batch.listed or 0 for batch in record.batches),
            record.requests_spent,
            record.created_at,
            record.base_url,
        )

    def over(self, kind: Callable[..., _Wire], max_requests: int) -> tuple[Client, _Wire]:
        """Return a client of the same service and ledger over another kind of transport, and that transport."""
        other, transport = copy.copy(self), kind(*self._wire)
        other._max_requests = max_requests
        other._transport = transport
        other._runner = self._runner_over(transport, max_requests)
        return other, transport

    # ----------------------------------------------------------------- X's own list

    def jobs(self, type: str = "tweets", status: str | None = None) -> pd.DataFrame:
        """Return X's own list of jobs; see :func:`xcompliance_pd.jobs`. It costs one request."""
        kind = protocol.job_type(type)
        if status is not None and status not in tuple(JobStatus):
            raise InputError(f"status={status!r} is no status of a job. Those are {', '.join(JobStatus)}.")
        listed = self._ask(protocol.list_jobs(kind), protocol.parse_jobs)
        # X's list has no filter for "expired" ([spec] getComplianceJobs), so all filtering is done here.
        wanted = [job for job in listed if status in (None, job.status)]
        wanted.sort(key=lambda job: (len(job.id), job.id), reverse=True)  # the list has no dependable order
        ours = self._own_jobs(kind)
        rows = [
            (
                job.id,
                job.name,
                job.status,
                job.created_at,
                job.upload_expires_at,
                job.download_expires_at,
                job.resumable,
                ours.get(job.id) or ours.get(job.name or ""),
            )
            for job in wanted
        ]
        table = pd.DataFrame(rows, columns=list(_JOB_COLUMNS), dtype=object).astype({"resumable": "boolean"})
        for name in ("created_at", "upload_expires_at", "download_expires_at"):
            table[name] = pd.to_datetime(table[name], utc=True)
        return table

    def _own_jobs(self, type: JobType) -> dict[str, str]:
        """Return the run of each job that this ledger knows, by the job's ID and by the name that we gave it."""
        found: dict[str, str] = {}
        # A job may be of two runs, if it was attached: a run that was forgotten is named only for want of another.
        for record in sorted(self._ledger.readable(), key=lambda record: record.forgotten_at is None):
            if (record.base_url, record.type) != (self.base_url, type):
                continue
            for batch in record.batches:
                known = [*batch.past_jobs, batch.job_id]
                if batch.upload_proof != lifecycle.ATTACHED:
                    known.append(lifecycle.job_name(record, batch))
                found.update({word: record.id for word in known if word})
        return found

    def _ask(self, request: protocol.Request, parse: Callable[[dict[str, Any]], _T]) -> _T:
        """Make one request that belongs to no run."""
        try:
            return parse(protocol.decipher(request, self._transport.send(request)))
        except ComplianceError as error:
            # Without traceback and context: local variables down there hold answers, whose URLs are credentials.
            caught = error.with_traceback(None)
            caught.__context__ = None
        raise caught

    def attach(self, job_id: str, sent: Any, *, type: str | None = None, label: str | None = None) -> Run:
        """Take over a job made elsewhere; see :func:`xcompliance_pd.attach`. It costs one request."""
        ids = saved.sent_ids(sent)
        if not isinstance(label, str | None):
            raise InputError(f"A label is text, not {label.__class__.__name__}. Put it in quotes.")
        given = None if type is None else protocol.job_type(type)
        job = self._ask(protocol.get_job(str(job_id)), protocol.parse_job)
        kind = self._attachable(job, str(job_id), given)
        now = self.clock.now()
        day, sandbox = datetime.fromtimestamp(now, UTC).strftime("%Y%m%d"), protocol.is_loopback(self.base_url)
        record = RunRecord(
            id=lifecycle.run_id(kind, day, secrets.token_hex(4), sandbox) + lifecycle.ATTACHED_SUFFIX,
            type=kind,
            base_url=self.base_url,
            created_at=now,
            ids=0,
            ids_sha256="",
            batches=(),
            label=label,
        ).count("get")
        with self._ledger.making(record, id_rules.batches([ids], len(ids))) as made, self._ledger.planning():
            batch = lifecycle.attached(made.batches[0], job)
            same = self._unfinished(made, job.id)
            if same is not None:
                return Run(same, self._runner)
            self._ledger.save(made.with_batch(batch))
        return Run(record.id, self._runner)

    def _attachable(self, job: Job, job_id: str, given: JobType | None) -> JobType:
        """Return the type of a job that may be attached."""
        if job.id != job_id or job.type not in tuple(JobType):
            raise InputError(f"X answered with another job than {job_id}, so nothing was attached. Check its ID.")
        if given is not None and job.type != given:
            raise InputError(
                f"X says that job {job_id} is about {job.type}, not {given}. Leave type= out, or check it."
            )
        kind = JobType(job.type)
        ours = self._own_jobs(kind)
        own = ours.get(job.id) or ours.get(job.name or "")
        gone = own is not None and self._ledger.load(own).forgotten_at is not None
        if own is not None and not gone and not own.endswith(lifecycle.ATTACHED_SUFFIX):
            raise InputError(f"Job {job_id} is one of run {own} already. Open that one: xc.open_run({own!r}).")
        return kind


_JOB_COLUMNS = (
    "id",
    "name",
    "status",
    "created_at",
    "upload_expires_at",
    "download_expires_at",
    "resumable",
    "run",
)

_RUN_COLUMNS = (
    "type",
    "label",
    "state",
    "ids",
    "batches",
    "batches_done",
    "listed",
    "requests",
    "created_at",
    "base_url",
)


def _state(record: RunRecord) -> str:
    if record.forgotten_at is not None:
        return "forgotten"
    if not record.ended:
        return "unfinished"
    return "failed" if record.dead else "done"


def _clean_token(token: Secret, where: str) -> Secret:
    """Check a token before it gets near a header; its text is in no message."""
    if not re.fullmatch(r"[\x21-\x7e]+", token.reveal().strip()):
        raise InputError(
            f"The token in {where} is empty or holds spaces or other characters that no token has. "
            "Copy it again, without the word Bearer."
        )
    return Secret(token.reveal().strip())


def runs(home: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """Return the runs in the ledger as a DataFrame, newest first; see :meth:`Client.runs`. Needs no token.

    Examples
    --------
    >>> import tempfile, xcompliance_pd as xc
    >>> with tempfile.TemporaryDirectory() as home:
    ...     len(xc.runs(home))
    0
    """
    return Client(home=home).runs()


def open_run(run_id: str, client: Client | None = None) -> Run:
    """Return a run from the ledger, to be continued, joined or forgotten. Needs no token until it is continued.

    Parameters
    ----------
    run_id : str
        As ``xc.runs()`` lists it.
    client : Client, optional
        Otherwise one for the service that the run was made against.

    Raises
    ------
    LedgerError
        There is no such run, or it cannot be read.

    Examples
    --------
    >>> import pandas as pd, xcompliance_pd as xc
    >>> posts = pd.DataFrame({"id": ["1212092628029698048"]})
    >>> with xc.Sandbox(findings=[]) as box:
    ...     run_id = xc.submit(posts, "id", client=box.client).id
    ...     xc.open_run(run_id, box.client).wait().status  # in another kernel, say
    'done'
    """
    if client is None:
        client = Client(base_url=Ledger().load(run_id).base_url)
        # The environment's token is for the environment's service, not for any address in a file.
        client._environment = client.base_url in (DEFAULT_BASE_URL, Client().base_url)
    return client.open_run(run_id)


def jobs(type: str = "tweets", status: str | None = None, client: Client | None = None) -> pd.DataFrame:
    """Return X's own list of jobs, newest first: of this app, also those made elsewhere. It costs one request.

    Parameters
    ----------
    type : {"tweets", "users", "posts"}
        X lists one type at a time.
    status : {"created", "in_progress", "complete", "failed", "expired"}, optional
        Only jobs of that status.
    client : Client, optional
        Otherwise ``Client()``.

    Returns
    -------
    DataFrame
        `id` (text), `name`, `status` (X's word), `created_at`, `upload_expires_at`, `download_expires_at` (UTC
        datetimes), `resumable`, and `run`: the run of this machine that the job belongs to, or None. No URL is in it.
        How far back X's list goes is not documented.

    Examples
    --------
    >>> import pandas as pd, xcompliance_pd as xc
    >>> with xc.Sandbox(findings=[]) as box:
    ...     run = xc.submit(pd.Series(["1212092628029698048"]), client=box.client).wait()
    ...     listed = xc.jobs(client=box.client)
    >>> listed["status"].tolist(), listed["run"].tolist() == [run.id]
    (['complete'], True)
    """
    return _client(client).jobs(type, status)


def attach(
    job_id: str,
    sent: Any,
    *,
    type: str | None = None,
    client: Client | None = None,
    label: str | None = None,
) -> Run:
    """Take over a job that was made elsewhere, with curl or twarc, say, after its IDs were uploaded there.

    It becomes a run like any other: wait for it, join it, open it again in another kernel. The job's results are
    downloaded and verified here. Its upload was not seen here, so that `sent` is what was uploaded holds on your word.

    Parameters
    ----------
    job_id : str
        As X gave it; ``xc.jobs()`` lists them.
    sent : path, Series, array or list
        The IDs that were uploaded, or the path of the file that was. IDs that were not uploaded would come out
        ``compliant``, because X would not list them.
    type : {"tweets", "users", "posts"}, optional
        If given, X must say the same of the job.
    client : Client, optional
        Otherwise ``Client()``.
    label : str, optional
        For people.

    Returns
    -------
    Run
        Its ID ends with ``-attached``. One of the same job and IDs that has not ended is continued.

    Raises
    ------
    InputError
        `sent` holds something that is no ID, the job is of another type, or it belongs to a run of this machine.
    Refused
        X knows no such job.

    Notes
    -----
    A row is ``compliant`` only if the job ended ``complete``, its results were verified whole, each record is about
    an ID in `sent`, and there is one such record at least; else what is not listed stays ``unchecked``. Even then the
    evidence is of the grade ``given``, not proved: `join` warns, and sentence and report say so. `checked_at` is the
    job's creation, the latest time that is surely not too late. A job to which nothing was uploaded expires, and the
    run fails; no job is ever made in its place.

    One request is made at once, to see the job; waiting makes more.

    Examples
    --------
    >>> import pandas as pd, tempfile, warnings, xcompliance_pd as xc
    >>> posts = pd.DataFrame({"id": ["1212092628029698048", "1212092628029698049"]})
    >>> lines = ['{"id":"1212092628029698048","action":"delete","reason":"suspended"}']
    >>> with xc.Sandbox(findings=lines) as box, tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")  # it says on whose word a row is compliant
    ...     elsewhere = xc.Client(box.token, box.url, home=folder, poll_interval=0.1)
    ...     run = xc.submit(posts, "id", client=elsewhere).wait()
    ...     job = xc.jobs(client=box.client)["id"][0]
    ...     run = xc.attach(job, sent=posts["id"], client=box.client)
    ...     checked = posts.compliance.join("id", run)
    >>> checked["compliance_status"].tolist(), run.id.endswith("-attached")
    (['action_required', 'compliant'], True)
    """
    return _client(client).attach(job_id, sent, type=type, label=label)


def _client(client: Client | None) -> Client:
    if client is not None and not isinstance(client, Client):
        raise InputError(f"client= needs a Client, not {client.__class__.__name__}. Use client=xc.Client(...).")
    return Client() if client is None else client
