"""Cut everywhere: after every byte of what the service answers, and all along what it is sent.

Each test notes how many cases it ran (``record_property``, and a line that ``pytest -rP`` shows). *Silent* is a cut
answer that was taken as proof of absence although it was not the whole result: a wrong verdict that nobody notices.
"""

from __future__ import annotations

import base64
import dataclasses
import gzip
import hashlib
import logging
import os
import socket
import ssl
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import google_crc32c
import numpy as np
import pandas as pd
import pytest
from fault_proxy import LINGER_NONE, PIECE, Fault, FaultProxy, certificate, finish

import xcompliance_pd as xc
from xcompliance_pd import digest, ids, lifecycle, protocol
from xcompliance_pd.digest import Grade
from xcompliance_pd.ledger import Ledger
from xcompliance_pd.lifecycle import Phase, RunRecord, Step
from xcompliance_pd.protocol import Job, JobType, Secret
from xcompliance_pd.runner import Clock, Runner
from xcompliance_pd.sandbox import Server
from xcompliance_pd.transport import FileBody, Transport

Note = Callable[[str, object], None]

IDS = [str(1212092628029698048 + n * 4_194_304_007) for n in range(40)]
MANY = [str(1212092628029698048 + n * 4_194_304_007) for n in range(3072)]  # 60 KiB of lines
LISTED = b"".join(b'{"id":"%s","action":"delete","reason":"deleted"}\n' % text.encode() for text in IDS[:4])
ENDINGS = {False: ("fin", "rst"), True: ("fin", "notify", "rst")}  # over TLS: FIN alone, or after close_notify


@pytest.fixture(autouse=True)
def _no_log(caplog: pytest.LogCaptureFixture) -> None:
    """urllib3 logs each header that it cannot read, with a traceback: thousands here."""
    caplog.set_level(logging.ERROR, "urllib3.connection")


@pytest.fixture(autouse=True)
def _no_power_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here only connections break, so nothing has to wait for the disk: half of the time."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, str]:
    return certificate(tmp_path_factory.mktemp("tls"))


class Cutter:
    """Answers every connection with the first `cut` bytes of `answer`, then ends it as `ending` says."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.answer, self.cut, self.ending = b"", 0, "fin"
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http{'s' if context else ''}://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Cutter:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with (
                suppress(OSError),
                self._context.wrap_socket(plain, server_side=True) if self._context else plain as end,
            ):
                self._answer(end)

    def _answer(self, end: socket.socket) -> None:
        request = b""
        while b"\r\n\r\n" not in request and (piece := end.recv(PIECE)):
            request += piece
        head, _, body = request.partition(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        while len(body) < length and (piece := end.recv(PIECE)):
            body += piece
        end.sendall(self.answer[: self.cut])
        if self.ending == "rst":
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NONE)
        else:
            finish(end, self.ending == "notify")


def cuts(cutter: Cutter, answer: bytes, endings: Iterable[str]) -> Iterator[int]:
    """Set the cutter to every cut of an answer, in every way."""
    cutter.answer = answer
    for ending in endings:
        for cut in range(len(answer)):
            cutter.cut, cutter.ending = cut, ending
            yield cut


def hash_header(stored: bytes) -> str:
    return "crc32c=" + base64.b64encode(google_crc32c.Checksum(stored).digest()).decode()


def result_answer(framing: str, hashed: bool, long: bool, sizes: str = "%x") -> tuple[bytes, bytes]:
    """Return a result as the storage service would send it, and the bytes it holds; the framing's header is late."""
    stored = gzip.compress(LISTED, mtime=0) if framing == "gzip" else LISTED
    headers = ["Date: Fri, 05 Nov 2021 12:00:00 GMT", "Content-Type: application/octet-stream"]
    if long:
        headers += [
            'ETag: "-CKjIoe2rgfQCEBQ="',
            "Last-Modified: Fri, 05 Nov 2021 11:59:02 GMT",
            "X-GUploader-UploadID: " + "ADPycdv" * 16,
            "Cache-Control: private, max-age=0",
        ]
    if hashed:
        headers += [
            "x-goog-generation: 1636113542137896",
            f"x-goog-stored-content-encoding: {'gzip' if framing == 'gzip' else 'identity'}",
            f"x-goog-stored-content-length: {len(stored)}",
            f"x-goog-hash: {hash_header(stored)}",
            "x-goog-component-count: 20",
        ]
    body = stored
    if framing == "chunked":
        headers += ["Transfer-Encoding: chunked"]
        lines = stored.splitlines(keepends=True)  # chunks that end with a line are the hardest to tell apart
        pieces = [lines[0], lines[1] + lines[2][:9], lines[2][9:], *lines[3:], b""]
        body = b"".join((sizes % len(piece)).encode() + b"\r\n" + piece + b"\r\n" for piece in pieces)
    elif framing != "close":
        headers += ["Content-Encoding: gzip"] if framing == "gzip" else []
        headers += [f"Content-Length: {len(stored)}"]
    headers += ["Server: UploadServer"]
    return "\r\n".join(["HTTP/1.1 200 OK", *headers, "", ""]).encode() + body, stored


class Judge:
    """Downloads until the real runner accepts or gives up, and says what it took for proved."""

    def __init__(self, home: Path, cutter: Cutter, ca: str | None = None) -> None:
        self._ledger = Ledger(home)
        self.transport = Transport(cutter.url, lambda: Secret("none"), (5.0, 5.0), ca)
        self._runner = Runner(self._ledger, self.transport, 0.0, 10, Clock())
        run_id = lifecycle.run_id(JobType.TWEETS, "20260101", "0123abcd", sandbox=True)
        record = RunRecord(run_id, JobType.TWEETS, cutter.url, 0.0, 0, "", ())
        with self._ledger.making(record, ids.batches([np.array(IDS, dtype=np.int64)], len(IDS))) as record:
            self._ledger.save(record)
        batch = dataclasses.replace(record.batches[0], phase=Phase.READY, job_id="1", upload_proof="hash", uploads=1)
        self._ready = record.with_batch(batch)
        self.url = Secret(f"{cutter.url}/o")
        self._job = Job("1", "tweets", "complete", None, None, None, None, self.url, None, None)

    def grade(self) -> Grade:
        """Return the grade of one download."""
        received = self.transport.get(self.url, lambda block: None, 10**6)
        return Grade.UNPROVED if digest.damage(received) else digest.grade(received)

    def proved(self) -> str | None:
        """Return the hash of what the runner accepts as the whole result, or None; it gets the same cut every time."""
        run = self._ready
        self._runner._jobs["1"] = self._job
        while run.batches[0].phase is not Phase.DONE:
            try:
                run = self._runner._do(run, run.batches[0], Step.DOWNLOAD)
            except xc.RemoteError:
                return None
        return run.batches[0].results_sha256 if run.batches[0].proved else None


def sweep_results(judge: Judge, cutter: Cutter, answer: bytes, stored: bytes, endings: Iterable[str]) -> Counter[str]:
    """Cut an answer after every byte. A cut without a grade cannot be proved; all others go to the runner."""
    whole, seen = hashlib.sha256(stored).hexdigest(), Counter[str]()
    for cut in cuts(cutter, answer, endings):
        seen["cases"] += 1
        try:
            if judge.grade() is Grade.UNPROVED:
                seen["unproved"] += 1
                continue
        except xc.RemoteError:
            seen["refused"] += 1
            continue
        accepted = judge.proved()
        kind = "not accepted" if accepted is None else "whole" if accepted == whole else "silent"
        seen[kind] += 1
        if kind == "silent":
            print(f"silent: {cutter.ending} after byte {cut}, ...{answer[max(cut - 30, 0) : cut]!r}")
    return seen


def report(note: Note, what: str, seen: Counter[str]) -> None:
    for name, count in sorted(seen.items()):
        note(f"{what}: {name}", count)
    print(f"{what}: {dict(sorted(seen.items()))}")


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_no_cut_result_is_taken_for_whole(
    secure: bool, tls: tuple[ssl.SSLContext, str], tmp_path: Path, record_property: Note
) -> None:
    """Every byte x length, chunked, to the connection's end, gzip x with and without checksum x every ending.

    Plain: FIN and RST. TLS, with shorter headers: FIN with and without close_notify, and RST. A second download gets
    the same cut. Only cuts behind the last byte of the result itself may be accepted; whole answers are.
    """
    total = Counter[str]()
    with Cutter(tls[0] if secure else None) as cutter:
        judge = Judge(tmp_path / "judge", cutter, tls[1])
        for framing in ("length", "chunked", "close", "gzip"):
            for hashed in (True, False):
                answer, stored = result_answer(framing, hashed, long=not secure)
                cutter.answer, cutter.cut, cutter.ending = answer, len(answer), "notify" if secure else "fin"
                provable = hashed or framing in ("length", "chunked")
                assert (judge.proved() is not None) is provable, (framing, hashed)
                seen = sweep_results(judge, cutter, answer, stored, ENDINGS[secure])
                assert seen["cases"] == len(answer) * len(ENDINGS[secure])
                assert seen["whole"] <= (12 if framing == "chunked" else 0)
                total += seen
    report(record_property, f"results, {'TLS' if secure else 'plain'}", total)
    assert total["silent"] == 0
    assert total["cases"] >= 11_000


def test_numbers_with_leading_zeros(tls: tuple[ssl.SSLContext, str], tmp_path: Path, record_property: Note) -> None:
    """Chunk sizes and a Content-Length with leading zeros: a cut behind the zeros is no end and no length."""
    total = Counter[str]()
    with Cutter() as cutter:
        judge = Judge(tmp_path / "judge", cutter, tls[1])
        for hashed in (True, False):
            for framing in ("chunked", "length"):
                answer, stored = result_answer(framing, hashed, long=False, sizes="%06x")
                answer = answer.replace(b"Content-Length: ", b"Content-Length: 000")
                total += sweep_results(judge, cutter, answer, stored, ENDINGS[False])
    report(record_property, "results, padded numbers", total)
    assert total["silent"] == 0
    assert total["cases"] >= 4_000


# --------------------------------------------------------------------------- whole checks through proxies


class World:
    """A sandbox with a proxy before each of its hosts."""

    def __init__(self, box: Server, api: FaultProxy, storage: FaultProxy, ca: str | None) -> None:
        self.box, self.api, self.storage, self._ca = box, api, storage, ca

    def arm(self, *faults: Fault) -> None:
        """Queue faults; which proxy has to play them is told by what they match."""
        byte_paths = (b"PUT /", b"GET /twttr-")
        self.storage.arm(*(fault for fault in faults if fault.match in byte_paths))
        self.api.arm(*(fault for fault in faults if fault.match not in byte_paths))

    def check(self, frame: pd.DataFrame, home: Path, **settings: object) -> tuple[pd.DataFrame | None, int]:
        """Check a frame with a new ledger; return the outcome, or None for a clear error, and how many jobs it took."""
        before = len(self.box.service.jobs)
        options: dict[str, object] = {"poll_interval": 0.0, "http_timeout": (5.0, 5.0), "ca_bundle": self._ca}
        client = xc.Client(self.box.token, self.api.url, home=home, **{**options, **settings})  # type: ignore[arg-type]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", xc.ComplianceWarning)  # of rows that stay unchecked: they are counted
                checked = xc.check(frame, "id", client=client)
        except xc.ComplianceError:
            return None, len(self.box.service.jobs) - before
        return checked, len(self.box.service.jobs) - before

    def learn(self, home: Path) -> dict[str, bytes]:
        """Return an answer of each kind: from a run that goes well, and from one whose create is lost."""
        learnt: dict[str, bytes] = {}
        for number, faults in enumerate(([Fault("response", "cut", 0, CREATE)], [])):
            self.arm(*faults)
            self.check(frame(IDS), home / str(number))
            self.api.assert_all_consumed()
            for exchange in [*self.api.exchanges, *self.storage.exchanges]:
                name = next(name for name, match in MATCH.items() if match in exchange.request)
                learnt[name] = bytes(exchange.response)
        return learnt


CREATE, LIST, GET = b"POST /2/compliance/jobs", b"GET /2/compliance/jobs?", b"GET /2/compliance/jobs/"
SPARE = 4  # bytes by which an answer may be shorter another time: it tells milliseconds
MATCH = {"create": CREATE, "list": LIST, "get": GET, "upload": b"PUT /", "download": b"GET /twttr-"}


def frame(ids: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"id": ids})


@contextmanager
def world(tls: tuple[ssl.SSLContext, str] | None = None) -> Iterator[World]:
    context, ca = tls or (None, None)
    with (
        Server(complete_after=1, rate_limits=(10**9, 10**9, 10**9)) as box,
        FaultProxy(box.url, tls=context) as api,
        FaultProxy(box.storage_url, tls=context) as storage,
    ):
        assert box._listeners is not None
        for listener, proxy in zip(box._listeners, (api, storage), strict=True):
            listener.server_port = proxy.port  # the Host that it answers to
        box.service.storage_url = storage.url
        yield World(box, api, storage, ca)


class Tally:
    """Compares each outcome with the truth."""

    def __init__(self, far: World, ids: list[str]) -> None:
        self.seen = Counter[str]()
        self._truth = far.box.expected(ids)
        self.frame = frame(ids)
        assert {"compliant", "action_required"} <= set(self._truth["status"])

    def take(self, outcome: tuple[pd.DataFrame | None, int], why: object) -> None:
        checked, jobs = outcome
        self.seen["cases"] += 1
        self.seen["surplus jobs"] += jobs - 1
        if checked is None:
            self.seen["errors"] += 1
            print("error:", why)
            return
        status = checked["compliance_status"].astype(object)
        same = status.to_numpy() == self._truth["status"].astype(object).to_numpy()
        for name in ("action", "reason"):
            ours, theirs = checked[f"compliance_{name}"].astype(object), self._truth[name].astype(object)
            same = same & (ours.fillna("").to_numpy() == theirs.fillna("").to_numpy())
        unchecked = (status == "unchecked").to_numpy()
        kind = "truth" if same.all() else "unchecked rows" if (same | unchecked).all() else "silent"
        self.seen[kind] += 1
        if kind == "silent" or jobs != 1:
            print(f"{kind}, {jobs} jobs:", why)


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_whole_checks_with_cut_results(
    secure: bool, tls: tuple[ssl.SSLContext, str], tmp_path: Path, record_property: Note
) -> None:
    """Every 97th byte of the sandbox's own result answer x every ending, once and at every download.

    Cut once, the frame is the truth. Cut always, what is listed may be used and the rest is unchecked, never compliant.
    """
    with world(tls if secure else None) as far:
        once, always = Tally(far, IDS), Tally(far, IDS)
        size = len(far.learn(tmp_path / "dry")["download"]) - SPARE
        for at in range(0, size, 97):
            for ending in ENDINGS[secure]:
                for tally, times in ((once, 1), (always, lifecycle.DOWNLOADS_MAX)):
                    action = "reset" if ending == "rst" else "cut"
                    far.arm(Fault("response", action, at, b"GET /twttr-", times, notify=ending == "notify"))
                    home = tmp_path / f"{at}-{ending}-{times}"
                    tally.take(far.check(tally.frame, home), (at, ending, times))
                    far.storage.assert_all_consumed()
    report(record_property, "whole checks, result cut once", once.seen)
    report(record_property, "whole checks, result always cut", always.seen)
    assert once.seen["truth"] == once.seen["cases"] == len(range(0, size, 97)) * len(ENDINGS[secure])
    assert always.seen["silent"] == always.seen["truth"] == 0
    assert once.seen["surplus jobs"] == always.seen["surplus jobs"] == 0


# --------------------------------------------------------------------------- the answers of the API and to the upload


def outcome(judge: Judge, name: str, body: FileBody) -> tuple[object, ...]:
    """Do one exchange and return what the run's next step depends on: see `lifecycle.on_error`, `Runner._upload`."""
    try:
        if name == "upload":
            answer = judge.transport.put(judge.url, body)
            protocol.decipher_bytes("Uploading", answer.status, answer.headers, answer.body)
            agree = judge._runner._upload_agrees(judge._ready, judge._ready.batches[0], answer.headers)
            return ("answered", agree)
        requests = {
            "create": protocol.create_job(JobType.TWEETS, "n"),
            "get": protocol.get_job("1"),
            "list": protocol.list_jobs(JobType.TWEETS),
        }
        parse = protocol.parse_jobs if name == "list" else protocol.parse_job
        parse(protocol.decipher(requests[name], judge.transport.send(requests[name])))
        return ("answered",)
    except xc.RemoteError as error:
        return (type(error).__name__, error.status, error.code, error.sent, error.retryable, body.left)


def test_cut_answers_make_no_second_job_and_no_wrong_verdict(tmp_path: Path, record_property: Note) -> None:
    """Every byte x {FIN, RST} of the answers to create, get, list and upload: some 17,000 cuts.

    First each cut as one exchange: a cut answer to an API request is never understood. Then, as whole checks, the first
    cut that leads to each different outcome, and every 61st byte x {FIN, RST}: the frame is the truth, and there is one
    job. Only an upload's answer that is cut within a hash or length may cost a new job, for it reads as a mismatch.
    """
    exchanges, costly = Counter[str](), set[tuple[str, int, str]]()
    places: dict[str, dict[tuple[int, str], object]] = {}
    with world() as far:
        answers, tally = far.learn(tmp_path / "dry"), Tally(far, IDS)
        for name in ("create", "get", "list", "upload"):
            answer = answers[name]
            end = len(answer) - SPARE
            with Cutter() as cutter:
                judge = Judge(tmp_path / name, cutter)
                body = FileBody(judge._ledger.ids_path(judge._ready.id, 1))
                cutter.answer, cutter.cut, cutter.ending = answer, len(answer), "fin"
                assert outcome(judge, name, body) == (("answered", True) if name == "upload" else ("answered",))
                first: dict[tuple[object, ...], tuple[int, str]] = {}
                for cut in cuts(cutter, answer, ENDINGS[False]):
                    result = outcome(judge, name, body)
                    exchanges["cases"] += 1
                    exchanges[f"{name} understood"] += name != "upload" and result[0] == "answered"
                    first.setdefault((*result, cutter.ending), (cut, cutter.ending))
                    if result == ("answered", False):
                        costly.add((name, cut, cutter.ending))
            stride = {(at, ending): None for ending in ENDINGS[False] for at in range(0, end, 61)}
            places[name] = {**{place: result for result, place in first.items() if place[0] < end}, **stride}
        for name, chosen in places.items():
            for at, ending in chosen:
                fault = Fault("response", "reset" if ending == "rst" else "cut", at, MATCH[name])
                lost = [Fault("response", "cut", 0, CREATE)] if name == "list" else []
                far.arm(*lost, fault)
                tally.take(far.check(tally.frame, tmp_path / f"{name}-{at}-{ending}"), (name, at, ending))
                (far.storage if name == "upload" else far.api).assert_all_consumed()
    exchanges["may cost a job"] = len(costly)
    report(record_property, "answers, one exchange each", exchanges)
    report(record_property, "answers, whole checks", tally.seen)
    assert exchanges["cases"] > 16_000
    assert not any(exchanges[f"{name} understood"] for name in places)
    assert tally.seen["truth"] == tally.seen["cases"] == sum(map(len, places.values()))
    ran = {(name, at, ending) for name, chosen in places.items() for at, ending in chosen}
    assert tally.seen["surplus jobs"] == len(costly & ran)


# --------------------------------------------------------------------------- the upload


def test_no_part_of_an_upload_counts(tmp_path: Path, record_property: Note) -> None:
    """60 KiB of IDs, broken at every second KiB by FIN, RST and a stall longer than the client waits.

    The file goes out again, whole and to the same job; the frame is the truth.
    """
    with world() as far:
        tally = Tally(far, MANY)
        places = [1024 * n for n in range(1, 60, 2)]
        for at in places:
            for action in ("cut", "reset", "stall"):
                far.arm(Fault("request", action, at, b"PUT /", seconds=1.0))
                timeout = (5.0, 0.25 if action == "stall" else 5.0)
                tally.take(far.check(tally.frame, tmp_path / f"{at}-{action}", http_timeout=timeout), (at, action))
                far.storage.assert_all_consumed()
        lines = b"".join(sorted(text.encode() + b"\n" for text in MANY))
        assert all(job.upload is not None and len(job.upload.data) == len(lines) for job in far.box.service.jobs)
    report(record_property, "upload bodies", tally.seen)
    assert tally.seen["truth"] == tally.seen["cases"] == 3 * len(places)
    assert tally.seen["surplus jobs"] == 0
