"""Do one step: ask the lifecycle what a run needs, do that one thing, write down what came of it.

Whoever wants a run to go on calls `advance` again: the caller's thread, a background thread, another process
after a crash. There is no other control flow, and nothing here waits.
"""

from __future__ import annotations

import dataclasses
import hashlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from . import ids as id_rules
from . import lifecycle, outcome, protocol, resumable
from .digest import Grade, damage, grade, hashes_agree
from .errors import AuthError, ComplianceError, JobError, Refused, RemoteError, UnexpectedResponse, WaitTimeout
from .ids import Ints
from .ledger import Ledger
from .lifecycle import Batch, RunRecord, Snapshot, Step
from .outcome import Held
from .protocol import Job, RateLimit
from .transport import FileBody, Transport
from .verdicts import Covered

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Clock:
    """The one clock: wall time for records, monotonic time for waits, and the wait itself. Tests pass their own."""

    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    pause: Callable[[threading.Event, float], bool] = threading.Event.wait


@dataclass(frozen=True, slots=True)
class Tick:
    """What one step left behind. `wait` is in seconds; None when the run has ended."""

    snapshot: Snapshot
    wait: float | None


class Runner:
    """Performs the steps of runs of one ledger against one service.

    Parameters
    ----------
    ledger : Ledger
    transport : Transport
    poll_interval : float
        Seconds before the first look at a job; the wait grows from there.
    max_requests : int
        Requests to the API that one run may make in all.
    clock : Clock
    resumable_above : int, optional
        Bytes above which a batch is uploaded in parts, if the service lets it; none is without it.
    """

    def __init__(
        self,
        ledger: Ledger,
        transport: Transport,
        poll_interval: float,
        max_requests: int,
        clock: Clock,
        resumable_above: int | None = None,
    ) -> None:
        self.ledger = ledger
        self.clock = clock
        self._transport = transport
        self._first = poll_interval
        self._max_requests = max_requests
        # By run, of the latest only, for runs of posts and of users go on side by side, each in its own thread:
        self._kept: dict[str, dict[int, Ints]] = {}  # the IDs of the batches of runs that were just made
        self._held: dict[str, dict[int, Held]] = {}  # what was read of the batches that got results
        self._resumable_above = resumable_above
        self._plain_only = False  # the service has refused a resumable job
        self._uploads: dict[str, resumable.Upload] = {}  # by job; their URLs are in memory only, too
        self._jobs: dict[str, Job] = {}  # as last seen, with their URLs: in memory only
        self._limits: dict[str, RateLimit | None] = {}
        self._server: tuple[float, float] | None = None  # (server's time, our monotonic time then)

    def keep(self, run_id: str, batches: Sequence[Ints]) -> None:
        """Keep the IDs of a run that was just made, so that its files need not be read; until it is joined."""
        self._kept[run_id] = dict(enumerate(batches, 1))
        _trim(self._kept)

    def drop(self, run_id: str) -> None:
        """Forget what is in memory of a run."""
        self._kept.pop(run_id, None)
        self._held.pop(run_id, None)

    def server_now(self) -> float:
        """Return the server's time: its last Date plus the time since; our own clock before any answer."""
        if self._server is None:
            return self.clock.now()
        date, then = self._server
        return date + (self.clock.monotonic() - then)

    def snapshot(self, run_id: str, *, stopped: str | None = None) -> Snapshot:
        return self._snapshot(self.ledger.load(run_id), stopped)

    def _snapshot(self, run: RunRecord, stopped: str | None = None) -> Snapshot:
        return lifecycle.snapshot(run, self.clock.now(), self.server_now(), self._max_requests, stopped=stopped)

    def cancel(self, run_id: str) -> None:
        """Write down that a run is to end; whoever drives it does the rest, by `advance`."""
        self.ledger.save(lifecycle.cancel(self.ledger.load(run_id)))

    def advance(self, run_id: str) -> Tick:
        """Perform the most urgent step of a run and record it.

        Raises
        ------
        RemoteError
            The service said something that waiting does not cure. The run stays as it is and can be continued.
        WaitTimeout
            The request budget is spent.
        LedgerError
            The disk cannot be read or written.
        """
        run = self.ledger.load(run_id)
        batch, step, wait = lifecycle.choose(run, self.clock.now(), self.server_now(), self._jobs, self._uploads)
        if batch is None:
            return self._tick(run, wait)
        caught: ComplianceError | None = None
        try:
            run = self._do(run, batch, step)
        except ComplianceError as error:
            # Without traceback and context: local variables down there hold answers, whose URLs are credentials.
            caught = error.with_traceback(None)
            caught.__context__ = None
        if isinstance(caught, RemoteError):
            run, caught = self._failed(caught, run_id, batch.number, step)
        if caught is not None:
            raise caught
        return self._tick(run, 0.0)

    def _failed(
        self, error: RemoteError, run_id: str, number: int, step: Step
    ) -> tuple[RunRecord, ComplianceError | None]:
        """Record a failed step; return the run, and the error if waiting does not cure it."""
        run = self.ledger.load(run_id)
        batch = run.batches[number - 1]
        self._jobs.pop(batch.job_id or "", None)  # look again before the next try
        after, stop = lifecycle.on_error(
            batch,
            step,
            error,
            now=self.clock.now(),
            server_now=self.server_now(),
            first=self._first,
            sandbox=run.sandbox,
            at_stake=any(b.job_id for b in run.batches),
        )
        run = self._save(run, after)
        return run, self._explained(error, run) if stop else None

    def _tick(self, run: RunRecord, wait: float | None) -> Tick:
        return Tick(self._snapshot(run), None if run.ended else wait)

    def _save(self, run: RunRecord, batch: Batch) -> RunRecord:
        run = run.with_batch(batch)
        if run.ended and run.ended_at is None:
            run = dataclasses.replace(run, ended_at=self.clock.now())
        self.ledger.save(run)
        over = [batch.job_id] if batch.phase in lifecycle.ENDED else []
        for job_id in (*over, *batch.past_jobs[-1:]):
            self._uploads.pop(job_id or "", None)
            self._jobs.pop(job_id or "", None)  # its URLs are credentials that nobody needs any more
        return run

    # ----------------------------------------------------------------- steps

    def _do(self, run: RunRecord, batch: Batch, step: Step) -> RunRecord:
        if step is Step.CREATE:
            return self._create(run, batch)
        if step is Step.ADOPT:
            return self._adopt(run, batch)
        if step is Step.UPLOAD:
            return self._upload(run, batch)
        if step is Step.REPLAN:
            return self._save(run, lifecycle.replan(batch))
        if step is Step.CANCEL:
            return self._cancel(run, batch)
        if step is Step.END:
            return self._save(run, lifecycle.end(batch))
        if step is Step.DOWNLOAD:
            return self._download(run, batch)
        return self._look(run, batch)

    def _create(self, run: RunRecord, batch: Batch) -> RunRecord:
        in_parts = self._wants_parts(batch)
        request = protocol.create_job(run.type, lifecycle.job_name(run, batch), in_parts)
        # The ID file must be whole before a job, with its 15 minutes, exists.
        self.ledger.check_ids(run.id, batch)
        planned, batch = batch, lifecycle.creating(batch)
        try:
            run, job = self._call(run.with_batch(batch), request, protocol.parse_job)
        except Refused as error:
            if not in_parts or error.status != 400:
                raise
            self._plain_only = True  # as X did in September 2026; asked again without, it may say yes
            return self._save(self.ledger.load(run.id), planned)
        made = None if job.created_at is None else job.created_at.timestamp()
        if made is not None and abs(self.server_now() - made) > 60:
            # A job that was made just now tells the server's time better than a Date that some proxy wrote.
            self._server = (made, self.clock.monotonic())
        return self._saw(run, batch, job)

    def _wants_parts(self, batch: Batch) -> bool:
        above = self._resumable_above
        return above is not None and batch.ids_bytes > above and not self._plain_only

    def _adopt(self, run: RunRecord, batch: Batch) -> RunRecord:
        run, jobs = self._call(run, protocol.list_jobs(run.type), protocol.parse_jobs)
        name = lifecycle.job_name(run, batch)
        mine = lifecycle.ours(jobs, name)
        if mine is not None:
            return self._saw(run, batch, mine)
        foreign = lifecycle.blocking(jobs)
        scarce = lifecycle.spread(self._limits.get("list"), self.server_now())
        wait = max(lifecycle.delay(2 * self._first, batch.looks, lifecycle.OUTAGE_MAX), scarce)
        if foreign is None:
            return self._save(run, lifecycle.not_listed(batch, self.clock.now(), wait))
        age = self._age(foreign)
        return self._save(run, lifecycle.blocked(batch, foreign.id + age, self.clock.now(), wait))

    def _age(self, job: Job) -> str:
        if job.created_at is None:
            return ""
        return f" (created {max(self.server_now() - job.created_at.timestamp(), 0) / 60:.0f} minutes ago)"

    def _cancel(self, run: RunRecord, batch: Batch) -> RunRecord:
        job = self._jobs.pop(batch.job_id or "")  # whatever the answer is, the job itself is asked for next
        if (batch.cancels or 0) >= lifecycle.CANCELS_MAX:
            self.ledger.save(lifecycle.keep(run))
            raise UnexpectedResponse(
                f"X was asked {batch.cancels} times to cancel job {job.id} and still shows it as "
                f"{protocol.redact(job.status, 20)!r}, so it is let go on.",
                status=200,
            )
        run = run.with_batch(lifecycle.cancelling(batch))
        try:
            run, _ = self._call(run, protocol.cancel_job(job.id), lambda answer: None)
        except Refused as error:
            if error.status in (404, 405):
                self.ledger.save(lifecycle.keep(self.ledger.load(run.id)))
                raise Refused(
                    f"This service cannot cancel jobs (HTTP {error.status}), so nothing was changed: job {job.id} goes "
                    "on, or expires if it has no IDs yet.",
                    status=error.status,
                    code=error.code,
                ) from None
            if error.status != 409:  # it was over already
                raise
        return self.ledger.load(run.id)

    def _look(self, run: RunRecord, batch: Batch) -> RunRecord:
        run, job = self._call(run, protocol.get_job(batch.job_id or ""), protocol.parse_job)
        return self._saw(run, batch, job)

    def _saw(self, run: RunRecord, batch: Batch, job: Job) -> RunRecord:
        """Record what an answer showed of a batch's job, and when to look again."""
        scarce = lifecycle.spread(self._limits.get("get"), self.server_now())
        wait = max(lifecycle.delay(self._first, batch.looks), scarce)
        name = lifecycle.job_name(run, batch)
        after = lifecycle.on_job(batch, job, run.type, name, self.clock.now(), wait)
        self._jobs[job.id] = job
        return self._save(run, after)

    def _upload(self, run: RunRecord, batch: Batch) -> RunRecord:
        url = self._url(batch, "upload_url")
        begun = lifecycle.uploading(batch)
        run = self._save(run, begun)
        left = run.with_batch(lifecycle.upload_left(begun))

        def leaving(sha256: str) -> None:
            self.ledger.same_ids(run.id, batch, sha256)  # what goes out is what was planned
            self.ledger.save(left)

        with self.ledger.reading_ids(run.id, batch) as path:
            body = self._in_parts(batch, path) or FileBody(path, leaving)
        try:
            if isinstance(body, resumable.Upload):
                answer = body.send(url, leaving, lambda: self.ledger.save(run))
            else:
                answer = self._transport.put(url, body)
            self._heard(answer.headers)
            protocol.decipher_bytes("Uploading the IDs", answer.status, answer.headers, answer.body)
        except RemoteError as error:
            # Nothing sent changes nothing. A whole file whose answer was lost, or a 5xx, may well have been stored;
            # half a file, or one that was refused, must not be taken for ours if the job moves on.
            refused = error.status is not None and 400 <= error.status < 500
            nothing_sent = not error.sent or (isinstance(body, resumable.Upload) and not body.touched)
            if nothing_sent and not refused:
                self._save(run, batch)
            elif refused:
                after = lifecycle.upload_refused(batch, error.status, error.code, self.server_now())
                self._save(run, after)
            elif not body.left:
                self._save(run, begun)
            raise
        run, batch = left, lifecycle.upload_left(begun)
        agree = self._upload_agrees(run, batch, answer.headers)
        self._jobs.pop(batch.job_id or "", None)
        if agree is False:
            # The job may run on the damaged IDs already, so nothing of it can be believed.
            return self._save(run, lifecycle.replan(batch))
        proof = "hash" if agree else "answer"
        date = protocol.server_time(answer.headers)
        wait = lifecycle.delay(self._first, 0)
        return self._save(run, lifecycle.uploaded(batch, proof, date, self.clock.now(), wait))

    def _in_parts(self, batch: Batch, path: Path) -> resumable.Upload | None:
        """Return the upload in parts of a batch's job, if its URL is for one."""
        job = self._jobs[batch.job_id or ""]
        if not (self._wants_parts(batch) if job.resumable is None else job.resumable):
            return None
        return self._uploads.setdefault(job.id, resumable.Upload(self._transport, path, batch.ids_bytes))

    def _upload_agrees(self, run: RunRecord, batch: Batch, headers: Mapping[str, str]) -> bool | None:
        length = headers.get("x-goog-stored-content-length")
        if length is not None and length != str(batch.ids_bytes):
            return False
        md5 = hashlib.md5(usedforsecurity=False)
        if "md5" in (protocol.stored_hashes(headers) or {}):  # else nobody asks for it
            self.ledger.check_ids(run.id, batch, md5.update)
        return hashes_agree(headers, bytes.fromhex(batch.ids_crc32c), md5.digest())

    def _download(self, run: RunRecord, batch: Batch) -> RunRecord:
        url = self._url(batch, "download_url")
        wait = lifecycle.delay(self._first, batch.downloads)
        with self.ledger.receiving(run.id, batch.number) as incoming:
            received = self._transport.get(url, incoming.write, outcome.size_max(batch))
            self._heard(received.headers)
            last = batch.downloads + 1 >= lifecycle.DOWNLOADS_MAX
            why = damage(received)
            found = Grade.UNPROVED if why else grade(received)
            coding = received.headers.get("content-encoding", "identity").lower()
            parsed, unpack_error = outcome.parse(incoming.read(), coding, outcome.size_max(batch))
            why = why or unpack_error
            if unpack_error:
                found = Grade.UNPROVED
            # Chunks, and an empty body, are weak evidence: one stray answer would clear a whole batch.
            weak = found is Grade.FRAMED or (found is Grade.LENGTH and not received.length)
            if weak and batch.framed_sha256 != received.sha256:
                if not last:
                    after = lifecycle.on_damage(batch, "a second download must be identical", self.clock.now(), wait)
                    return self._save(run, dataclasses.replace(after, framed_sha256=received.sha256))
                found, why = Grade.UNPROVED, "no two downloads were identical"
            if found is Grade.UNPROVED:
                why = why or "the answer carried neither a checksum nor a length"
            sent = self._sent(run, batch)
            listed, undecided, foreign = outcome.reconcile(parsed.findings, sent)
            odd = found is not Grade.HASH and (parsed.bad_count or foreign)
            if (found is Grade.UNPROVED or odd) and not last:
                why = why or "some of its lines make no sense"
                return self._save(run, lifecycle.on_damage(batch, why, self.clock.now(), wait))
            after = lifecycle.on_results(
                batch,
                grade=found,
                sha256=received.sha256,
                size=received.length,
                coding=coding,
                lines=parsed.lines,
                listed=listed,
                undecided=undecided,
                bad_lines=parsed.bad_count,
                foreign=foreign,
                why=why,
            )
            incoming.keep()
        run = self._save(run, after)
        if run.batches[-1].last_part:
            return run  # a dataset that came in several parts need not fit into memory
        self._held.setdefault(run.id, {})[batch.number] = Held(sent, parsed.findings)
        _trim(self._held)
        return run

    def _sent(self, run: RunRecord, batch: Batch) -> Ints:
        """Return the IDs of a batch, after checking that its file still is what was planned."""
        kept = self._kept.get(run.id, {}).get(batch.number)
        if kept is None:
            return id_rules.decode(self.ledger.read_ids(run.id, batch))
        self.ledger.check_ids(run.id, batch)
        return kept

    # ----------------------------------------------------------------- exchanges

    def _call(
        self, run: RunRecord, request: protocol.Request, parse: Callable[[dict[str, Any]], _T]
    ) -> tuple[RunRecord, _T]:
        """Send a request to the API; it is counted on disk before it is sent, because it may cost money."""
        if run.requests_spent >= self._max_requests:
            raise WaitTimeout(
                f"The budget of {self._max_requests} requests for this run is spent. X may charge for each request; "
                f"to go on, open it with a client that has more: xc.open_run({run.id!r}, xc.Client(max_requests=...)).",
                run_id=run.id,
            )
        run = run.count(request.operation)
        self.ledger.save(run)
        answer = self._transport.send(request)
        self._heard(answer.headers)
        self._limits[request.operation] = protocol.rate_limit(answer.headers)
        return run, parse(protocol.decipher(request, answer))

    def _heard(self, headers: Mapping[str, str]) -> None:
        date = protocol.server_time(headers)
        if date is not None:
            self._server = (date, self.clock.monotonic())

    def _url(self, batch: Batch, which: str) -> protocol.Secret:
        url = getattr(self._jobs[batch.job_id or ""], which)
        if url is None:
            raise UnexpectedResponse(f"The service's answer has no {which}. Ask again later.", retryable=True)
        return url  # type: ignore[no-any-return]

    @staticmethod
    def _explained(error: RemoteError, run: RunRecord) -> RemoteError:
        """Return the error with the run's ID and the way on."""
        error.run_id = run.id
        said = str(error)
        if run.sandbox and isinstance(error, AuthError):
            said += " A sandbox takes only its own token: use client=box.client."
        elif run.sandbox and error.status is None:
            said += (
                " The sandbox of this run is no longer there, and its jobs went with it. "
                "Start one with xc.Sandbox() and check again."
            )
        else:
            said += f" Nothing is lost: xc.open_run({run.id!r}) goes on from here."
        error.args = (said,)
        return error

    # ----------------------------------------------------------------- what a run has found

    def covered(self, run: RunRecord) -> list[Covered]:
        """Return what each finished batch says; files are checked again before they are believed."""
        held = self._held.get(run.id, {})
        self.drop(run.id)  # whoever asks again is slower, and nobody holds it for good
        return list(outcome.covered(self.ledger, run, held))

    @staticmethod
    def dead(run: RunRecord) -> JobError | None:
        """Return the error for a run whose batches did not all end well."""
        if not run.dead:
            return None
        first = run.dead[0]
        job = f" (job {first.job_id})" if first.job_id else ""
        return JobError(
            f"{len(run.dead)} of {len(run.batches)} batches of {run.id} failed; batch {first.number}"
            f"{job}: {first.reason}. Their rows are unchecked: join(column, run, partial=True) attaches "
            "the rest; check again with fresh=True for a new try (on the command line resume --partial, check "
            "--fresh).",
            run_id=run.id,
        )


def _trim(by_run: dict[str, Any]) -> None:
    """Leave the latest two runs: as many as one check makes."""
    for run_id in list(by_run)[:-2]:
        by_run.pop(run_id, None)
