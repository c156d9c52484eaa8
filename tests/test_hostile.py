"""A far side that cuts, lies, stalls and floods: no compliance without proof, no second job, no leak, no hang."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import json
import logging
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from typing import Any, BinaryIO

import google_crc32c
import numpy as np
import pandas as pd
import pytest
import requests
from support import answer, quick

import xcompliance_pd as xc
from xcompliance_pd import protocol
from xcompliance_pd.ledger import Ledger
from xcompliance_pd.protocol import JobType, Secret
from xcompliance_pd.run import Run
from xcompliance_pd.runner import Clock
from xcompliance_pd.transport import Transport

pytestmark = pytest.mark.filterwarnings("ignore::xcompliance_pd.ComplianceWarning")

TOKEN = "canary-token-0123456789"
SIGNATURE = "canary-signature-0123456789"
FIRST = 1446017776678801409
IDS = np.array([FIRST, FIRST + 1])
FRAME = pd.DataFrame({"id": IDS})
MANY = pd.DataFrame({"id": FIRST + np.arange(400_000)})  # 8 MB to upload: more than the sockets of both sides hold
FINDING = b'{"id":"%d","action":"delete","reason":"deleted"}\n' % FIRST
TRUTH = ["action_required", "compliant"]
PATIENCE = 10.0  # seconds; no wait of this file is longer


@dataclass
class Call:
    """One request, its body not yet read."""

    operation: str  # create, list, get, put or download
    job: str
    count: int  # which of its operation this is, from 1
    token: str | None
    length: int
    stream: BinaryIO = field(repr=False)
    connection: socket.socket = field(repr=False)

    def read(self, size: int | None = None) -> bytes:
        return self.stream.read(self.length if size is None else size)

    def cut(self) -> None:
        """Reset the connection."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.stream.close()
        self.connection.close()


Script = Callable[["HostileX", Call], "bytes | dict[str, Any] | None"]


class HostileX:
    """X on loopback, driven by hand: each operation follows its script, or behaves as X does.

    A script gets the server and the call, and returns the answer: bytes as they are, a dict as JSON, or None if it
    has dealt with the connection itself, which is then closed. Findings are FINDING for every job.
    """

    token = TOKEN

    def __init__(self, **scripts: Script) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self.calls: list[Call] = []
        self.stored: dict[str, bytes] = {}
        self.sent = 0  # bytes that `flood` got rid of
        self._scripts = scripts
        self._guard = threading.Lock()
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen(50)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> HostileX:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(PATIENCE)

    def count(self, operation: str) -> int:
        return sum(call.operation == operation for call in self.calls)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                connection.settimeout(PATIENCE)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream, contextlib.suppress(OSError, ValueError):
            method, target, _ = stream.readline().decode().split(" ", 2)
            headers: dict[str, str] = {}
            while line := stream.readline().strip():
                name, _, value = line.decode().partition(":")
                headers[name.lower()] = value.strip()
            path = target.split("?")[0]
            last = path.rsplit("/", 1)[-1]
            if path.startswith("/store/"):
                operation = {"PUT": "put", "GET": "download"}[method]
            else:
                operation = "create" if method == "POST" else "list" if last == "jobs" else "get"
            with self._guard:
                token = headers.get("authorization", "").removeprefix("Bearer ") or None
                length = int(headers.get("content-length", 0))
                call = Call(operation, last, self.count(operation) + 1, token, length, stream, connection)
                self.calls.append(call)
            reply = self._scripts.get(operation, HostileX.usual)(self, call)
            if reply is not None:
                connection.sendall(reply if isinstance(reply, bytes) else as_json(reply))
                connection.shutdown(socket.SHUT_WR)
                connection.settimeout(0.05)
                while connection.recv(65536):  # what is left of the request, so that closing is no reset
                    pass

    # ----------------------------------------------------------------- what X would do

    def usual(self, call: Call) -> bytes:
        body = call.read()
        if call.operation == "create":
            asked = json.loads(body)
            return as_json({"data": self.make(asked["name"], asked["type"])})
        if call.operation == "get":
            return as_json({"data": self.view(call.job)})
        if call.operation == "list":
            jobs = [self.view(job) for job in self.jobs]
            return as_json({"meta": {"result_count": len(jobs)}, **({"data": jobs} if jobs else {})})
        if call.operation == "put":
            self.stored[call.job] = body
            self.jobs[call.job]["status"] = "complete"
            return stored()
        return stored(FINDING, x_goog_hash=crc32c(FINDING))

    def make(self, name: str | None, type: str = "tweets", status: str = "created") -> dict[str, Any]:
        job = str(1500000000000000001 + len(self.jobs))
        self.jobs[job] = {"id": job, "type": type, "status": status, **({"name": name} if name else {})}
        return self.view(job)

    def view(self, job: str) -> dict[str, Any]:
        def moment(seconds: float) -> str:
            return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() + seconds))

        url = f"{self.url}/store/{job}?X-Goog-Signature={SIGNATURE}"
        times = {"created_at": moment(0), "upload_expires_at": moment(900), "download_expires_at": moment(604800)}
        return {**self.jobs[job], **times, "upload_url": url, "download_url": url}

    def flood(self, call: Call, piece: bytes, most: int) -> None:
        """Send until nobody reads any more, or `most` bytes are out."""
        with contextlib.suppress(OSError):
            while self.sent < most:
                self.sent += call.connection.send(piece)


def stored(body: bytes = b"", **headers: str) -> bytes:
    """Return what the storage answers, with its Date and exact length."""
    return answer(body, Date=formatdate(usegmt=True), Content_Length=str(len(body)), **headers)


def as_json(data: dict[str, Any]) -> bytes:
    return stored(json.dumps(data).encode(), Content_Type="application/json")


def chunked(body: bytes) -> bytes:
    frame = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    return answer(frame, Transfer_Encoding="chunked")


def crc32c(body: bytes) -> str:
    return "crc32c=" + base64.b64encode(google_crc32c.Checksum(body).digest()).decode()


def never(x: HostileX, call: Call) -> dict[str, Any]:
    """A job that stays in progress."""
    return {"data": {**x.view(call.job), "status": "in_progress"}}


def begun(client: xc.Client) -> Run:
    """A run on disk that nobody drives."""
    return client.start([IDS], JobType.TWEETS)[0]


def checked(x: HostileX, frame: pd.DataFrame = FRAME, **settings: Any) -> tuple[xc.ComplianceError | None, list[str]]:
    """Check, whatever comes of it; return the error, and the statuses that the run gives in the end."""
    client, error = quick(x, **{"max_requests": 40, **settings}), None
    try:
        xc.check(frame, "id", client=client)
    except xc.ComplianceError as problem:
        error = problem
    run = client.open_run(client.runs().index[0])
    return error, xc.join(frame, "id", run, partial=True)["compliance_status"].tolist()


def batch(x: HostileX) -> Any:
    """The one batch of the one run."""
    client = quick(x)
    return client.open_run(client.runs().index[0]).record.batches[0]


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.005)


def aside(function: Callable[[], Any]) -> Future[Any]:
    """Call it in a daemon thread, so that a call that never returns fails a test and does not hold it."""
    future: Future[Any] = Future()

    def work() -> None:
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return future


class Ahead:
    """A clock whose waits pass at once."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.clock = Clock(lambda: time.time() + self.ahead, lambda: time.monotonic() + self.ahead, self._pause)

    def _pause(self, stop: threading.Event, seconds: float) -> bool:
        self.ahead += seconds
        return stop.is_set()


def told(error: BaseException) -> str:
    """Return all that an error and the package's own frames in its tracebacks tell, local variables too."""
    package, texts = Path(xc.__file__).parent, []
    chain: list[BaseException | None] = [error]
    while chain:
        link = chain.pop()
        if link is None:
            continue
        chain += [link.__cause__, link.__context__]
        texts += [str(link), repr(link), repr(vars(link))]
        for frame in traceback.TracebackException.from_exception(link, capture_locals=True).stack:
            if Path(frame.filename).is_relative_to(package):
                texts += [frame.line or "", *(frame.locals or {}).values()]
    return "\n".join(texts)


# --------------------------------------------------------------------------- uploads


def test_a_200_to_half_an_upload_confirms_nothing() -> None:
    """The service answers 200 after an eighth of the body and closes, and the job is complete: nothing is compliant."""

    def early(x: HostileX, call: Call) -> None:
        x.stored[call.job] = call.read(1 << 20)
        x.jobs[call.job]["status"] = "complete"
        call.connection.sendall(stored())
        call.cut()

    with HostileX(put=early) as x:
        error, statuses = checked(x, MANY)
        assert isinstance(error, xc.JobError)
        assert set(statuses) == {"unchecked"}
        assert batch(x).upload_proof is None
        assert all(len(body) == 1 << 20 for body in x.stored.values())
        assert (x.count("create"), x.count("download")) == (3, 0)


def test_a_job_that_moved_on_with_a_cut_upload_is_given_up() -> None:
    """The connection breaks amid the upload, yet the job says complete: a new job, three in all, then JobError."""

    def cut(x: HostileX, call: Call) -> None:
        call.read(1 << 20)
        x.jobs[call.job]["status"] = "complete"
        call.cut()

    with HostileX(put=cut) as x:
        error, statuses = checked(x, MANY)
        assert isinstance(error, xc.JobError)
        assert set(statuses) == {"unchecked"}
        assert len({job["name"] for job in x.jobs.values()}) == len(x.jobs) == 3
        assert x.count("download") == 0


def test_after_a_cut_upload_a_new_job_gives_the_truth() -> None:
    """Only the first upload is cut, and its job says complete: the verdicts come from a second job."""

    def cut_once(x: HostileX, call: Call) -> bytes | None:
        if call.count > 1:
            return x.usual(call)
        call.read(1 << 20)
        x.jobs[call.job]["status"] = "complete"
        call.cut()
        return None

    with HostileX(put=cut_once) as x:
        error, statuses = checked(x, MANY)
        assert error is None
        assert statuses[:2] == TRUTH
        _, second = x.jobs
        assert [call.job for call in x.calls if call.operation == "download"] == [second]
        assert len(x.stored[second]) == 20 * len(MANY)


@pytest.mark.parametrize(
    "headers",
    [
        {"x_goog_hash": crc32c(b"other bytes\n")},
        {"x_goog_hash": "crc32c=?"},
        {"x_goog_stored_content_length": "20"},
    ],
)
def test_a_job_that_got_other_bytes_is_never_used(headers: dict[str, str]) -> None:
    """The answer to the upload names another hash or length: that job's results are never even fetched."""

    def other(x: HostileX, call: Call) -> bytes:
        usual = x.usual(call)
        return stored(b"", **headers) if call.count == 1 else usual

    with HostileX(
        put=other,
        download=lambda x, call: stored(x_goog_hash=crc32c(b"")) if call.job == min(x.jobs) else x.usual(call),
    ) as x:
        error, statuses = checked(x)
        assert (error, statuses) == (None, TRUTH)
        assert [call.job for call in x.calls if call.operation == "download"] == [max(x.jobs)]
        assert len(x.jobs) == 2


# --------------------------------------------------------------------------- other people's jobs


def test_a_create_answer_about_another_job_is_refused() -> None:
    """Creating is answered with somebody else's finished job: nothing of it is used."""
    with HostileX(create=lambda x, call: {"data": x.make("somebody else's", status="complete")}) as x:
        error, statuses = checked(x)
        assert isinstance(error, xc.UnexpectedResponse)
        assert statuses == ["unchecked"] * 2
        assert x.count("download") == 0


def test_a_finished_job_without_a_name_is_not_believed() -> None:
    """Creating is answered with finished jobs that bear no name: what never got our file proves nothing."""
    with HostileX(create=lambda x, call: {"data": x.make(None, status="complete")}) as x:
        error, statuses = checked(x)
        assert isinstance(error, xc.JobError)
        assert statuses == ["unchecked"] * 2
        assert (x.count("create"), x.count("put"), x.count("download")) == (3, 0, 0)


def test_a_job_that_completes_without_our_upload_is_given_up() -> None:
    """After a restart the open job is complete although nothing was uploaded: the verdicts come from a new job."""
    with HostileX() as x:
        client = quick(x)
        client._runner.advance(begun(client).id)
        (stray,) = x.jobs.values()
        stray["status"] = "complete"
        error, statuses = checked(x)
        assert (error, statuses) == (None, TRUTH)
        assert set(x.stored) == {max(x.jobs)} != {stray["id"]}
        assert [call.job for call in x.calls if call.operation == "download"] == [max(x.jobs)]


@pytest.mark.parametrize("change", [{"name": "somebody else's"}, {"id": "1599999999999999999"}, {"type": "users"}])
def test_a_look_at_another_job_is_refused(change: dict[str, str]) -> None:
    """A look is answered with a finished job of another name, ID or type: nothing of it is used."""
    with HostileX(get=lambda x, call: {"data": {**x.view(call.job), **change}}) as x:
        error, statuses = checked(x)
        assert isinstance(error, xc.UnexpectedResponse)
        assert statuses == ["unchecked"] * 2
        assert x.count("download") == 0


# --------------------------------------------------------------------------- results


def test_one_empty_answer_clears_nobody() -> None:
    """Once the download is an empty 200 without a hash, then it is the real result: the rows get the truth."""

    def empty_once(x: HostileX, call: Call) -> bytes:
        return stored() if call.count == 1 else x.usual(call)

    with HostileX(download=empty_once) as x:
        assert checked(x) == (None, TRUTH)
        assert x.count("download") == 2


def test_two_empty_answers_are_believed() -> None:
    """Two identical empty results with a length of 0 mean that nothing was found, and are graded by length."""
    with HostileX(download=lambda x, call: stored()) as x:
        assert checked(x) == (None, ["compliant"] * 2)
        assert x.count("download") == 2
        assert str(batch(x).grade) == "length"


def test_a_chunked_result_needs_an_identical_second_one() -> None:
    """Two identical chunked downloads give the truth, graded framed."""
    with HostileX(download=lambda x, call: chunked(FINDING)) as x:
        assert checked(x) == (None, TRUTH)
        assert x.count("download") == 2
        assert str(batch(x).grade) == "framed"


def test_chunked_results_that_differ_prove_nothing() -> None:
    """Chunked downloads that are never the same twice: what they list is used, the rest stays unchecked."""

    def differing(x: HostileX, call: Call) -> bytes:
        return chunked(FINDING * call.count)

    with HostileX(download=differing) as x:
        assert checked(x) == (None, ["action_required", "unchecked"])
        assert not batch(x).proved
        assert x.count("download") == 5


@pytest.mark.parametrize(
    ("body", "coding"),
    [
        (b"\n" * (8 << 20), None),
        (gzip.compress((b" " * 1023 + b"\n") * (8 << 10)), "gzip"),
        (gzip.compress(b"") * 1200, "gzip"),
    ],
    ids=["newlines", "packed blank lines", "gzip members"],
)
def test_bombs_are_refused(body: bytes, coding: str | None) -> None:
    """A result far larger than its IDs can need, or of a thousand gzip members, proves nothing, hash or not."""
    headers = {"x_goog_hash": crc32c(body), **({"Content_Encoding": coding} if coding else {})}
    with HostileX(download=lambda x, call: stored(body, **headers)) as x:
        error, statuses = checked(x)
        assert coding or isinstance(error, xc.UnexpectedResponse)
        assert statuses == ["unchecked"] * 2


# --------------------------------------------------------------------------- one job, not two


@pytest.mark.parametrize(
    "lie",
    [
        {"errors": [{"title": "Internal Error", "type": "about:blank"}]},
        {"errors": [{"title": "Internal Error", "type": "about:blank"}], "meta": {"result_count": 0}},
        {"meta": {"result_count": 1}},
        {"meta": {"result_count": 2}, "data": []},
        {},
    ],
    ids=["errors", "errors and a count", "count without jobs", "jobs missing", "nothing"],
)
@pytest.mark.parametrize("lasting", [False, True])
def test_a_list_that_is_not_whole_makes_no_second_job(lie: dict[str, Any], lasting: bool) -> None:
    """A job was made but the answer was lost; X's list, which should tell, tells nothing: exactly one job is made."""

    def lost(x: HostileX, call: Call) -> bytes | None:
        made = x.usual(call)
        return None if call.count == 1 else made

    with HostileX(create=lost, list=lambda x, call: lie if lasting or call.count < 3 else x.usual(call)) as x:
        error, statuses = checked(x)
        assert len(x.jobs) == x.count("create") == 1
        if lasting:
            assert isinstance(error, xc.UnexpectedResponse)
            assert statuses == ["unchecked"] * 2
        else:
            assert (error, statuses) == (None, TRUTH)


def test_one_list_without_our_job_makes_no_second_job() -> None:
    """X's list lags: a job whose answer was lost is in the second list only, and no other is made."""

    def lost(x: HostileX, call: Call) -> None:
        x.usual(call)

    with HostileX(
        create=lost, list=lambda x, call: {"meta": {"result_count": 0}} if call.count == 1 else x.usual(call)
    ) as x:
        assert checked(x) == (None, TRUTH)
        assert len(x.jobs) == 1


# --------------------------------------------------------------------------- waiting


def test_stop_ends_a_waiting_result_with_an_error() -> None:
    """`stop` while `result` waits for the background thread: WaitTimeout, not an empty table."""
    with HostileX(get=never) as x:
        run, waiting = begun(quick(x, poll_interval=0.01)).start(), threading.Event()
        look = run.snapshot
        run.snapshot = lambda: waiting.set() or look()  # type: ignore[method-assign,func-returns-value]
        result = aside(run.result)
        assert waiting.wait(PATIENCE)
        run.stop()
        with pytest.raises(xc.WaitTimeout, match=r"stopped; its job goes on.*open_run"):
            result.result(PATIENCE)


def test_stop_ends_a_driving_join_with_an_error() -> None:
    """`stop` while `join` itself drives the run: WaitTimeout, not unchecked rows that pass for an answer."""
    with HostileX(get=never) as x:
        run = begun(quick(x, poll_interval=0.01))
        joined = aside(lambda: xc.join(FRAME, "id", run))
        until(lambda: x.count("get"))
        run.stop()
        with pytest.raises(xc.WaitTimeout, match="stopped"):
            joined.result(PATIENCE)


def test_a_callback_may_ask_for_the_result() -> None:
    """A done callback, called by the background thread, calls `result` and gets it."""
    gate, found = threading.Event(), []

    def gated(x: HostileX, call: Call) -> bytes:
        gate.wait(PATIENCE)
        return x.usual(call)

    with HostileX(get=gated) as x:
        run = begun(quick(x)).start()
        called: Future[Any] = Future()
        run.add_done_callback(lambda ended: called.set_result(ended.result()))
        gate.set()
        found = called.result(PATIENCE)
        assert found["id"].tolist() == [str(FIRST)]


def test_callbacks_wait_for_the_end() -> None:
    """A callback on a run that was opened but that nobody drives is not called at once, but once, when it has ended."""
    with HostileX() as x:
        client, states = quick(x), []
        run = client.open_run(begun(client).id)
        run.add_done_callback(lambda ended: states.append(ended.done()))
        assert states == []
        run.wait(PATIENCE)
        assert states == [True]


def test_stop_then_start_while_a_request_hangs() -> None:
    """`start` after `stop` takes over although the stopped thread still waits for an answer: it ends, the run too."""
    gate, finish = threading.Event(), threading.Event()

    def slow(x: HostileX, call: Call) -> bytes | dict[str, Any]:
        gate.wait(PATIENCE)
        return x.usual(call) if finish.is_set() else never(x, call)

    with HostileX(get=slow) as x:
        run = begun(quick(x, poll_interval=0.01)).start()
        until(lambda: x.count("get"))
        first, told_to = run._thread, run._stop
        assert first is not None
        stopping = aside(run.stop)
        until(told_to.is_set)
        run.start()
        gate.set()
        until(lambda: not first.is_alive())
        assert run.status in ("running", "waiting")
        finish.set()
        aside(lambda: run.wait(PATIENCE)).result(PATIENCE)
        stopping.result(PATIENCE)
        assert run.status == "done"
        assert x.count("create") == 1


def test_an_abandoned_await_holds_no_loop() -> None:
    """`asyncio.wait_for(run, ...)` times out while the job hangs, and the loop closes at once."""

    async def impatient(run: Run) -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(run, 0.1)

    with HostileX(get=never) as x:
        run = begun(quick(x, poll_interval=0.01))
        try:
            began = time.monotonic()
            aside(lambda: asyncio.run(impatient(run))).result(PATIENCE)
            assert time.monotonic() - began < 5
            assert not run.done()
        finally:
            run.stop()


def test_failing_downloads_wait_longer_each_time() -> None:
    """Downloads answered with 503, though each look in between succeeds: the waits grow, and nothing is compliant."""
    far, moments = Ahead(), []

    def down(x: HostileX, call: Call) -> bytes:
        moments.append(far.clock.monotonic())
        return answer(status="503 Service Unavailable", Content_Length="0")

    with HostileX(download=down) as x:
        error, statuses = checked(x, poll_interval=5.0, clock=far.clock)
        assert isinstance(error, xc.Unavailable)
        assert statuses == ["unchecked"] * 2
    waits = np.diff(moments)
    assert len(waits) >= 3
    assert (waits[1:] > 1.3 * waits[:-1]).all()


def test_a_rate_limit_whose_window_is_over_backs_off() -> None:
    """429 again and again, its reset long past: the waits grow from a second on."""
    far, moments = Ahead(), []

    def limited(x: HostileX, call: Call) -> bytes:
        moments.append(far.clock.monotonic())
        if call.count > 6:
            return x.usual(call)
        limits = {"x_rate_limit_limit": "150", "x_rate_limit_remaining": "0", "x_rate_limit_reset": "1000000000"}
        return stored(b"{}", **limits).replace(b"200 OK", b"429 Too Many Requests", 1)

    with HostileX(create=limited) as x:
        assert checked(x, clock=far.clock) == (None, TRUTH)
        assert len(x.jobs) == 1
    waits = np.diff(moments)
    assert len(waits) == 6
    assert waits[0] >= 1
    assert (waits[1:] > 1.3 * waits[:-1]).all()


# --------------------------------------------------------------------------- redirects that flood


@pytest.mark.parametrize("operation", ["create", "put", "download"])
def test_the_body_of_a_redirect_is_not_unpacked_whole(operation: str) -> None:
    """A 302 whose small gzip body unpacks to 96 MiB costs no such memory, and ends the check soon."""
    bomb = gzip.compress(b"\0" * (96 << 20), 1)

    def redirect(x: HostileX, call: Call) -> bytes:
        call.read()
        headers = {"Location": "/elsewhere", "Content_Encoding": "gzip", "Content_Length": str(len(bomb))}
        return answer(bomb, "302 Found", **headers)

    with HostileX(**{operation: redirect}) as x:
        tracemalloc.start()
        try:
            began = time.monotonic()
            error, statuses = checked(x)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert isinstance(error, xc.RemoteError)
        assert statuses == ["unchecked"] * 2
        assert peak < 64 << 20
        assert time.monotonic() - began < PATIENCE


def test_the_endless_body_of_a_redirect_is_not_read() -> None:
    """A 302 with a body that does not end: reading stops at the limit of an answer."""

    def endless(x: HostileX, call: Call) -> None:
        call.read()
        call.connection.sendall(answer(status="302 Found", Location="/elsewhere"))
        x.flood(call, bytes(1 << 20), 128 << 20)

    with HostileX(create=endless) as x:
        error, _ = checked(x)
        assert isinstance(error, xc.UnexpectedResponse)
        assert x.sent < 64 << 20


# --------------------------------------------------------------------------- where requests go


def test_hosts_that_two_parsers_read_differently_are_refused() -> None:
    """No signed URL and no base URL with a backslash, a user or a host beyond ASCII is ever asked for."""
    odd = [
        "https://evil.example\\.storage.googleapis.com/b/o",
        "https://evil.example\\@storage.googleapis.com/b/o",
        "https://storage.googleapis.com\\@evil.example/b/o",
        "https://user@storage.googleapis.com/o",
        "https://:pw@storage.googleapis.com/o",
        "https://@storage.googleapis.com/o",
        "https://evil.example\N{IDEOGRAPHIC FULL STOP}storage.googleapis.com/o",
        "https://evil.example\N{FULLWIDTH FULL STOP}storage.googleapis.com/o",
        "https://evil\N{LATIN SMALL LETTER E WITH ACUTE}.storage.googleapis.com/o",
    ]
    for url in odd:
        with pytest.raises(xc.UnexpectedResponse, match="nothing was sent"):
            protocol.check_byte_url(Secret(url), "https://api.x.com")
    for url in ("http://evil.example\\@127.0.0.1/o", "http://127.0.0.1\\@evil.example/o", "http://@127.0.0.1/o"):
        with pytest.raises(xc.UnexpectedResponse, match="nothing was sent"):
            protocol.check_byte_url(Secret(url), "http://127.0.0.1:8080")
    for url in (
        "https://evil.example\\.api.x.com",
        "https://api.x.com\\@evil.example",
        "http://evil.example\\@127.0.0.1",
        "https://me@api.x.com",
        "https://:pw@api.x.com",
        "https://@api.x.com",
        "https://api\N{IDEOGRAPHIC FULL STOP}x.com",
        "https://\N{CYRILLIC SMALL LETTER A}pi.x.com",
    ):
        with pytest.raises(xc.InputError, match=r"https://api\.x\.com"):
            protocol.base_url(url)


def test_the_token_of_the_environment_stays_with_its_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run in the ledger that names another address does not get the environment's token; nothing is sent there."""
    monkeypatch.setenv("X_BEARER_TOKEN", TOKEN)
    with HostileX() as x:
        run = begun(quick(x))
        with pytest.raises(xc.AuthError, match="not where the token in the environment belongs"):
            xc.open_run(run.id).wait(PATIENCE)
        assert x.calls == []
        monkeypatch.setenv(protocol.BASE_URL_VARIABLE, x.url)
        again = xc.open_run(run.id).start()
        until(lambda: x.count("create"))
        again.stop()
        assert x.calls[0].token == TOKEN


def test_a_proxy_does_not_come_between_us_and_a_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    """With HTTP_PROXY set to a dead port, a check against this machine goes the direct way."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        proxy = f"http://127.0.0.1:{closed.getsockname()[1]}"
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, proxy)
    with HostileX() as x:
        assert checked(x) == (None, TRUTH)


def test_the_ca_bundle_of_the_client_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """REQUESTS_CA_BUNDLE does not replace ca_bundle on either session; without ca_bundle it counts."""
    seen: list[object] = []

    def send(self: requests.adapters.HTTPAdapter, request: object, **options: object) -> None:
        seen.append(options["verify"])
        raise requests.ConnectionError

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
    environment, ours = (str(tmp_path / name) for name in ("environment.pem", "ours.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", environment)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    for given in (ours, None):
        wire = Transport("https://api.x.com", lambda: Secret(TOKEN), (1.0, 1.0), given)
        with pytest.raises(xc.Unavailable):
            wire.send(protocol.list_jobs(JobType.TWEETS))
        with pytest.raises(xc.Unavailable):
            wire.get(Secret("https://storage.googleapis.com/o"), print, 10)
    assert seen == [ours, ours, environment, environment]


# --------------------------------------------------------------------------- secrets


def test_a_malformed_header_does_not_log_the_signature(caplog: pytest.LogCaptureFixture) -> None:
    """urllib3 warns of a header line without a colon and names the URL: the log holds no signature and no token."""

    def malformed(x: HostileX, call: Call) -> bytes:
        return x.usual(call).replace(b"\r\nDate:", b"\r\nthis is no header\r\nDate:", 1)

    def malformed_result(x: HostileX, call: Call) -> bytes:
        return x.usual(call).replace(b"\r\n\r\n", b"\r\nthis is no header\r\nX-A: b\r\n\r\n", 1)

    caplog.set_level(logging.DEBUG)
    with HostileX(put=malformed, download=malformed_result) as x:
        checked(x)
        assert (x.count("put"), x.count("download")) == (1, 1)
    assert "urllib3.connection" in {record.name for record in caplog.records}
    assert "Failed to parse headers" in caplog.text
    assert SIGNATURE not in caplog.text
    assert TOKEN not in caplog.text


def test_an_answer_that_is_no_job_stays_out_of_tracebacks() -> None:
    """A job without its status, but with signed URLs: no local variable of the package's frames holds a signature."""

    def halved(x: HostileX, call: Call) -> dict[str, Any]:
        job = x.view(call.job)
        del job["status"]
        return {"data": job}

    with HostileX(get=halved) as x:
        error, statuses = checked(x)
        assert isinstance(error, xc.UnexpectedResponse)
        assert statuses == ["unchecked"] * 2
        text = told(error)
        assert error.run_id is not None
        assert error.run_id in text
        assert SIGNATURE not in text
        assert TOKEN not in text
    assert SIGNATURE not in repr(protocol.Answer(200, {}, SIGNATURE.encode()))


def test_a_full_disk_after_a_create_keeps_its_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The record cannot be saved once the job is there: LedgerError, no secret told, and later no second job."""
    save = Ledger.save
    full: list[str] = []

    def saving(self: Ledger, record: Any) -> None:
        if not full and record.batches and record.batches[0].job_id:
            full.append(record.id)
            try:
                raise OSError(28, "No space left on device")
            except OSError:
                raise xc.LedgerError("The disk is full. Free some space.") from None
        save(self, record)

    monkeypatch.setattr(Ledger, "save", saving)
    with HostileX() as x:
        with pytest.raises(xc.LedgerError) as caught:
            xc.check(FRAME, "id", client=quick(x))
        assert full
        text = told(caught.value)
        assert SIGNATURE not in text
        assert TOKEN not in text
        assert checked(x) == (None, TRUTH)
        assert len(x.jobs) == 1


@pytest.mark.parametrize("where", ["argument", "environment"])
def test_a_refused_token_stays_out_of_tracebacks(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token with the word Bearer before it is refused, and neither error nor local variables hold it."""
    monkeypatch.setenv("X_BEARER_TOKEN", f"Bearer {TOKEN}")
    with pytest.raises(xc.InputError, match="without the word Bearer") as caught:
        begun(xc.Client(f"Bearer {TOKEN}" if where == "argument" else None, "http://127.0.0.1:1"))
    assert TOKEN not in told(caught.value)


@pytest.mark.parametrize("kind", ["a\x1b[31mb", "a\r\nb", "a b", "a" * 65, "\N{RIGHT-TO-LEFT OVERRIDE}a"])
def test_a_problem_type_is_shown_only_if_it_is_a_word(kind: str) -> None:
    """Control characters in a problem's type reach neither the message nor the code."""
    body = json.dumps({"type": f"https://api.x.com/2/problems/{kind}"}).encode()
    with HostileX(create=lambda x, call: answer(body, "400 Bad Request", Content_Length=str(len(body)))) as x:
        error, _ = checked(x)
        assert isinstance(error, xc.Refused)
        assert str(error).isprintable()
        assert kind not in str(error)
        assert error.code is None


# --------------------------------------------------------------------------- the disk


def home(x: HostileX) -> Path:
    return quick(x)._ledger.home / "runs"


@pytest.mark.parametrize("text", ["", "[]", "[" * 100_000, '{"schema": 1}', '{"schema": 2}'])
def test_a_damaged_record_of_another_run_blocks_nothing(text: str) -> None:
    """Whatever another run's record has become, a check works, and the list of runs shows it as unreadable."""
    with HostileX() as x:
        other = home(x) / "sandbox-tweets-20200101-00000000"
        other.mkdir(parents=True)
        (other / "run.json").write_text(text)
        xc.check(FRAME, "id", client=quick(x))
        assert quick(x).runs().loc[other.name, "state"] == "unreadable"
        assert quick(x).runs()["state"].value_counts().to_dict() == {"unreadable": 1, "done": 1}
        assert (other / "run.json").read_text() == text


@pytest.mark.parametrize(
    "change",
    [None, {"requests": None}, {"batches": []}, {"created_at": "x"}, {"requests": {"create": "1"}}, {"ids": None}],
    ids=["deep nesting", "no requests", "no batches", "no time", "requests that are text", "no number of IDs"],
)
def test_damaged_records_are_refused(change: dict[str, Any] | None) -> None:
    """A record that is not what was written is a LedgerError wherever it is read, and unreadable in the list."""
    with HostileX() as x:
        xc.check(FRAME, "id", client=quick(x))
        (run_id,) = quick(x).runs().index
        path = home(x) / run_id / "run.json"
        whole = json.loads(path.read_text())
        path.write_text("[" * 100_000 if change is None else json.dumps({**whole, **change}))
        with pytest.raises(xc.LedgerError, match="damaged; nothing was deleted"):
            quick(x).open_run(run_id)
        assert quick(x).runs()["state"].tolist() == ["unreadable"]


def test_a_copied_folder_is_no_other_run() -> None:
    """A run's folder copied under another run's name is refused there, and still good where it was."""
    with HostileX() as x:
        xc.check(FRAME, "id", client=quick(x))
        (run_id,) = quick(x).runs().index
        copy = run_id[:-8] + "deadbeef"
        shutil.copytree(home(x) / run_id, home(x) / copy)
        with pytest.raises(xc.LedgerError, match="damaged"):
            quick(x).open_run(copy)
        assert xc.join(FRAME, "id", quick(x).open_run(run_id))["compliance_status"].tolist() == TRUTH


def test_a_label_that_is_no_text_is_refused() -> None:
    """label=2026 is an InputError before anything is written or sent."""
    with HostileX() as x:
        with pytest.raises(xc.InputError, match="label is text"):
            xc.check(FRAME, "id", client=quick(x), label=2026)  # type: ignore[arg-type]
        assert not home(x).exists()
        assert x.calls == []


# --------------------------------------------------------------------------- numbers and times


def test_wide_floats_are_no_better_than_float64() -> None:
    """A column of long doubles beyond 2**53 may have lost digits as float64 already, so it is refused."""
    lost = pd.DataFrame({"id": np.array([2**53 + 2, FIRST - 1], dtype=np.longdouble)})
    with HostileX() as x:
        with pytest.raises(xc.InputError):
            xc.check(lost, "id", type="users", client=quick(x))
        assert x.calls == []


@pytest.fixture
def new_york() -> Iterator[None]:
    if not hasattr(time, "tzset"):
        pytest.skip("this system cannot change its time zone")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "America/New_York")
        time.tzset()
        yield
    time.tzset()


def test_a_date_without_a_zone_is_utc(new_york: None) -> None:
    """A Date that ends in -0000 means UTC, wherever we are."""
    assert time.timezone == 5 * 3600
    moments = {protocol.server_time({"date": f"Tue, 16 Nov 2021 20:02:49 {zone}"}) for zone in ("-0000", "GMT")}
    assert moments == {1637092969.0}


@pytest.mark.parametrize("status", ["503 Service Unavailable", "408 Request Timeout", "429 Too Many Requests"])
def test_an_error_to_half_an_upload_confirms_nothing(status: str) -> None:
    """An error answer after an eighth of the body, and the job says complete: nothing is compliant."""

    def early(x: HostileX, call: Call) -> None:
        call.read(1 << 20)
        x.jobs[call.job]["status"] = "complete"
        call.connection.sendall(answer(status=status, Content_Length="0"))
        call.cut()

    with HostileX(put=early) as x:
        assert "compliant" not in checked(x, MANY)[1]


def test_a_kernel_killed_amid_an_upload_confirms_nothing() -> None:
    """SIGKILL while the body goes out, and the job says complete: its results are not believed, a new job is made."""
    amid, killed = threading.Event(), threading.Event()

    def hang(x: HostileX, call: Call) -> bytes | None:
        if call.count > 1:
            return x.usual(call)
        call.read(1 << 20)
        amid.set()
        killed.wait(10)
        call.cut()
        return None

    code = (
        "import sys, numpy as np, pandas as pd, xcompliance_pd as xc\n"
        f"frame = pd.DataFrame({{'id': {FIRST} + np.arange(400_000)}})\n"
        "xc.check(frame, 'id', client=xc.Client('t', sys.argv[1]))"
    )
    with HostileX(put=hang) as x:
        process = subprocess.Popen([sys.executable, "-c", code, x.url])
        assert amid.wait(20)
        process.kill()
        process.wait(10)
        killed.set()
        for job in x.jobs.values():
            job["status"] = "complete"
        statuses = checked(x, MANY)[1]
        assert len(x.jobs) == 2 or "compliant" not in statuses


def test_stop_ends_an_await_with_an_error() -> None:
    """`stop` while somebody awaits the run raises WaitTimeout there, as it does from wait."""
    with HostileX(get=never) as x:
        run = begun(quick(x, poll_interval=0.01))

        async def main() -> xc.Run:
            return await run

        waiting = aside(lambda: asyncio.run(main()))
        until(lambda: x.count("get"))
        run.stop()
        with pytest.raises(xc.WaitTimeout):
            waiting.result(10)


@pytest.mark.parametrize(
    ("where", "field", "value"),
    [
        ("run", "created_at", 1e300),
        ("run", "created_at", float("nan")),
        ("run", "created_at", True),
        ("run", "ended_at", "x"),
        ("run", "label", 5),
        ("batch", "ids", "x"),
        ("batch", "listed", "a"),
        ("batch", "job_id", 5),
        ("batch", "downloads", None),
        ("batch", "proved", 1),
        ("batch", "checked_at", "x"),
        ("batch", "checked_at", 1e300),
    ],
)
def test_fields_of_the_wrong_kind_are_a_damaged_record(where: str, field: str, value: object) -> None:
    """A record whose fields are not what they have to be is refused on opening, and breaks no list of runs."""
    with HostileX() as x:
        xc.check(FRAME, "id", client=quick(x))
        (run_id,) = quick(x).runs().index
        path = home(x) / run_id / "run.json"
        record = json.loads(path.read_text())
        (record["batches"][0] if where == "batch" else record)[field] = value
        path.write_text(json.dumps(record))
        with pytest.raises(xc.LedgerError, match="damaged"):
            quick(x).open_run(run_id)
        assert quick(x).runs().loc[run_id, "state"] == "unreadable"
