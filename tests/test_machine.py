"""A machine that submits, steps, crashes and meets faults in any order, and must never call a listed row compliant.

The far side is the sandbox through real HTTP, with a clock that only the machine moves; the ledger is on disk; the
model is the table of truth. Between any two rules the invariants hold; at the end the faults stop, the clock goes
on, and every run whose files nobody touched must end, with the truth on every row that its batches prove.

The suite runs 200 examples of 30 steps, the same ones each time. ``XCOMPLIANCE_MACHINE=5000x60`` runs 5,000 random
examples of 60 steps instead.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import socketserver
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import pandas as pd
import pytest
import requests
import urllib3
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from requests.adapters import HTTPAdapter

import xcompliance_pd as xc
from xcompliance_pd import ids as id_rules
from xcompliance_pd import ledger as ledger_module
from xcompliance_pd import lifecycle, runner, verdicts
from xcompliance_pd.lifecycle import ENDED, RunRecord
from xcompliance_pd.lifecycle import Phase as Stage
from xcompliance_pd.protocol import JobType
from xcompliance_pd.sandbox import Server

IDS = [1212092628029698048 + n * 4_194_304_007 for n in range(10)]
LINES = [
    f'{{"id":"{IDS[1]}","action":"delete","reason":"deleted","created_at":"2019-01-01T00:00:00.000Z"}}',
    f'{{"id":"{IDS[4]}","action":"delete","reason":"suspended"}}',
    f'{{"id":"{IDS[5]}","action":"delete","reason":"scrub_geo"}}',
    f'{{"id":"{IDS[8]}","action":"delete","reason":"protected"}}',
]
LISTED = {1, 4, 5, 8}
START = 1_700_000_000.0
PARTS = [tuple(range(10)), (0, 1, 2, 3), (4, 8), (3,), (5,), (0, 2, 3, 6, 7, 9)]

# What may happen to a request: some things to any, some only to an upload or to a download.
ANY = ("lost after", "refused", "lost before", "return 503", "return 429", "no headers")
UPLOADS = ("altered upload", "cut upload", "cut upload taken", *ANY)
DOWNLOADS = ("line lost", "cut", "flipped", "no checksum", "line lost, no checksum", *ANY)
FAULTS = frozenset(UPLOADS + DOWNLOADS)


class World:
    """The far side, the one clock, and the faults that wait for a request."""

    far: Server

    def __init__(self) -> None:
        self.now = START
        self.skew = 0.0  # our clock less the service's
        # For the coming requests of any or of one operation: None, or which of those faults that may happen to it.
        self.faults: dict[str, list[int | None]] = {}
        self.met: Counter[str] = Counter()
        self.only: str | None = None  # the one fault of those that may happen, if any is named
        self.trouble: str | None = None  # the one kind of trouble, if any is named
        self.ready = b""
        self.replay_url = ""

    def clock(self) -> runner.Clock:
        return runner.Clock(lambda: self.now + self.skew, lambda: self.now, lambda event, seconds: False)


WORLD = World()


class Replay(socketserver.BaseRequestHandler):
    """Answers whatever is asked with the bytes that were laid ready, and closes."""

    def handle(self) -> None:
        head = b""
        while b"\r\n\r\n" not in head and (piece := self.request.recv(65536)):
            head += piece
        self.request.sendall(WORLD.ready)


class Wire(HTTPAdapter):
    """A network that does to each request what the next fault says."""

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self._inner = inner

    def close(self) -> None:
        self._inner.close()
        super().close()

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
        operation, may = "create" if request.method == "POST" else "look", ANY
        if "X-Goog-Signature" in (request.url or ""):
            operation, may = ("upload", UPLOADS) if request.method == "PUT" else ("download", DOWNLOADS)
        waiting = WORLD.faults.get(operation) or WORLD.faults.get("any")
        number = waiting.pop(0) if waiting else None
        fault = "" if number is None else may[number % len(may)]
        if fault and WORLD.only in may:
            fault = WORLD.only or ""
        WORLD.met[f"{operation}: {fault or 'whole'}"] += 1
        if fault == "refused":
            raise requests.ConnectionError(urllib3.exceptions.NewConnectionError(None, "refused"))  # type: ignore[arg-type]
        if fault == "lost before":
            raise _lost()
        if fault == "return 503":
            return self._made("503 Service Unavailable", {}, b"", options)
        if fault == "return 429":
            reset = {"x-rate-limit-reset": str(int(WORLD.now) + 400)}
            return self._made("429 Too Many Requests", reset, b"{}", options)
        if fault.endswith(("upload", "upload taken")):
            return self._bad_upload(request, fault, options)
        response = self._inner.send(request, **options)
        if not fault:
            return response
        body, headers = response.raw.read(decode_content=False), dict(response.headers)
        response.close()
        if fault == "lost after":
            raise _lost()
        if fault == "no headers":  # the connection broke inside them, which http.client takes for their end
            WORLD.ready = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
            return self._replayed(options)
        if fault == "cut":
            body = body[: len(body) // 2]
        if fault.startswith("line lost"):
            body = body[body.find(b"\n") + 1 :]
            headers["Content-Length"] = str(len(body))
        if fault == "flipped":
            body = body.replace(b"1", b"2", 1)
        if fault.endswith("no checksum"):
            headers = {name: value for name, value in headers.items() if not name.lower().startswith("x-goog-")}
        if fault == "line lost, no checksum":
            headers["Content-Length"] = str(len(body) + 1)  # what is stored is longer than what came
        return self._made(f"{response.status_code} {response.reason}", headers, body, options)

    def _bad_upload(self, request: Any, fault: str, options: dict[str, Any]) -> requests.Response:
        pieces = iter(request.body)
        data = next(pieces)
        if fault == "cut upload":  # the far side takes no body that ends too early
            raise _lost()
        if fault == "altered upload":
            data = (data + b"".join(pieces)).replace(b"1", b"2", 1)  # all of it left
        else:
            data = data[: data.find(b"\n") + 1]
        request = request.copy()
        request.body, request.headers["Content-Length"] = data, str(len(data))
        response = self._inner.send(request, **options)
        if fault == "altered upload":
            return response
        response.close()
        raise _lost()

    def _made(self, status: str, headers: dict[str, str], body: bytes, options: dict[str, Any]) -> requests.Response:
        headers = {"Date": formatdate(WORLD.now, usegmt=True), "Content-Length": str(len(body)), **headers}
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers.items()), "Connection: close"]
        WORLD.ready = "\r\n".join([*lines, "", ""]).encode() + body
        return self._replayed(options)

    def _replayed(self, options: dict[str, Any]) -> requests.Response:
        """Return the answer that was laid ready, as it reads after a real connection."""
        return self._inner.send(requests.Request("GET", WORLD.replay_url).prepare(), **options)  # type: ignore[no-any-return]


def _lost() -> requests.ConnectionError:
    return requests.ConnectionError(urllib3.exceptions.ProtocolError("the connection broke"))


class Driver:
    """A process: a client with nothing in its memory, and perhaps the lock of a run."""

    def __init__(self, home: Path, batch_size: int) -> None:
        self.client = xc.Client(
            WORLD.far.token, WORLD.far.url, home, batch_size, poll_interval=5.0, max_requests=10**6, clock=WORLD.clock()
        )
        self.runner = self.client._runner
        for session in (self.runner._transport._api, self.runner._transport._bytes):
            session.mount("http://", Wire(session.get_adapter(WORLD.far.url)))
        self.lock: filelock.BaseFileLock | None = None
        self.run_id = ""

    def die(self) -> None:
        """Be gone; the system frees the lock and closes the connections."""
        if self.lock is not None:
            self.lock.release()
        self.runner._transport.close()


seen: Counter[str] = Counter()  # what all examples together came across, to know that they came across much


@pytest.fixture(scope="module", autouse=True)
def _far_side() -> Iterator[None]:
    with Server(LINES, complete_after=1, rate_limits=(10**9,) * 3, clock=lambda: WORLD.now) as server:
        WORLD.far = server
        with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Replay) as replay:
            replay.daemon_threads = True
            WORLD.replay_url = f"http://127.0.0.1:{replay.server_address[1]}/"
            thread = threading.Thread(target=replay.serve_forever, args=(0.02,), daemon=True)
            thread.start()
            yield
            replay.shutdown()
            thread.join(5)


WHO = st.integers(0, 1)


class Machine(RuleBasedStateMachine):
    @initialize(
        batch_size=st.sampled_from([10, 5, 4]), processing=st.sampled_from([0, 20]), part=st.sampled_from(PARTS)
    )
    def begin(self, batch_size: int, processing: int, part: tuple[int, ...]) -> None:
        WORLD.now, WORLD.skew, WORLD.faults = WORLD.now + 10**6, 0.0, {}
        WORLD.far.service._jobs.clear()
        WORLD.far.service.processing_seconds = processing
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.root = Path(tempfile.mkdtemp(prefix="machine-", dir=memory))
        self.batch_size = batch_size
        self.drivers = [self.driver(), self.driver()]
        self.ledger = ledger_module.Ledger(self.root)
        self.wanted: dict[str, tuple[int, ...]] = {}  # run -> places in IDS
        self.touched: set[tuple[str, int]] = set()  # (run, batch) whose files were deleted or altered
        self.failed: set[str] = set()  # jobs that failed at the far side
        self.judged: dict[str, str] = {}  # run -> its finished batches when it was judged last
        self.loaded: dict[str, tuple[bytes, RunRecord]] = {}
        self.submit(0, part)
        self.take(0, 0)

    def driver(self) -> Driver:
        return Driver(self.root, self.batch_size)

    def names(self) -> list[str]:
        """Return the runs, the newest first."""
        return list(self.wanted)[::-1]

    def run_at(self, number: int) -> str:
        return self.names()[number % len(self.wanted)]

    def load(self, run_id: str) -> RunRecord:
        """Return what the ledger says of a run; it is read again when its file has changed."""
        data = (self.ledger.folder(run_id) / "run.json").read_bytes()
        if self.loaded.get(run_id, (b"", None))[0] != data:
            self.loaded[run_id] = data, self.ledger.load(run_id)
        return self.loaded[run_id][1]

    def ended(self, run_id: str) -> bool:
        """Whether there is nothing to do for a run, or nothing that can be done."""
        return any(name == run_id for name, _ in self.touched) or self.load(run_id).ended

    # ----------------------------------------------------------------- rules

    @rule(who=WHO, part=st.sampled_from(PARTS))
    def submit(self, who: int, part: tuple[int, ...]) -> None:
        """The same check continues its unfinished run; anything else makes a new one."""
        unfinished = [name for name, wanted in self.wanted.items() if wanted == part and not self.load(name).ended]
        if not unfinished and len(self.wanted) == 5:
            return
        run, continued = self.drivers[who].client.start([np.array([IDS[n] for n in part])], JobType.TWEETS)
        assert continued == bool(unfinished)
        assert (run.id in self.wanted) == continued
        self.wanted[run.id] = part

    @rule(who=WHO, number=st.integers(0, 5))
    def take(self, who: int, number: int) -> None:
        """The lock of a run is had by exactly one process."""
        run_id, me, other = self.run_at(number), self.drivers[who], self.drivers[1 - who]
        if me.lock is not None:
            me.lock.release()
            me.lock = None
        lock = self.ledger.drive_lock(run_id)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            assert other.lock is not None
            assert other.run_id == run_id
            seen["lock refused"] += 1
        else:
            assert other.lock is None or other.run_id != run_id
            me.lock, me.run_id = lock, run_id

    @rule(
        who=WHO,
        number=st.integers(0, 5),
        steps=st.integers(1, 8),
        patient=st.sampled_from([True, True, False]),
        operation=st.sampled_from(["any", "create", "upload", "download"]),
        faults=st.lists(st.integers(0, 10) | st.none(), min_size=1, max_size=4),
    )
    def step_with_faults(
        self, who: int, number: int, steps: int, patient: bool, operation: str, faults: list[int | None]
    ) -> None:
        WORLD.faults[operation] = faults
        self.step(who, number, steps, patient)

    @rule(who=WHO, number=st.integers(0, 5), steps=st.integers(1, 8), patient=st.sampled_from([True, True, False]))
    def step(self, who: int, number: int, steps: int, patient: bool) -> None:
        """Advance the run whose lock is held; a patient process waits as long as it is told to."""
        me, other = self.drivers[who], self.drivers[1 - who]
        if me.lock is None or self.ended(me.run_id):
            alive = [place for place, name in enumerate(self.names()) if not self.ended(name)]
            if not alive:
                self.submit(who, PARTS[number])
            self.take(who, alive[number % len(alive)] if alive else 0)
        me = me if me.lock else other
        for _ in range(steps):
            wait = self.advance(me)
            if wait is None or (wait > 0 and not patient):
                return
            WORLD.now += wait

    def advance(self, me: Driver) -> float | None:
        try:
            wait = me.runner.advance(me.run_id).wait
        except xc.LedgerError:
            assert any(run == me.run_id for run, _ in self.touched), "a ledger that nobody touched was refused"
            seen["touched file refused"] += 1
            return None
        except xc.ComplianceError as error:
            seen[type(error).__name__] += 1
            self.stopped = error
            return None
        return wait

    @rule(
        what=st.sampled_from(["crash", "crash", "time", "job", "file"]),
        who=WHO,
        number=st.integers(0, 5),
        again=st.booleans(),
        seconds=st.sampled_from([1.0, 20.0, 100.0, 890.0, 901.0, 86_400.0, 8 * 86_400.0]),
        skew=st.sampled_from([0.0, 0.0, -86_400.0, -30.0, 30.0, 86_400.0]),
        how=st.sampled_from(["no", "no", "no", "delete", "cut", "add"]),
    )
    def trouble(self, what: str, who: int, number: int, again: bool, seconds: float, skew: float, how: str) -> None:
        """Everything that is neither a request nor an answer; a rule of its own each would leave few steps."""
        what = WORLD.trouble or what
        if what == "crash":
            self.crash(who, number if again else None)
        elif what == "time":
            WORLD.now, WORLD.skew = WORLD.now + seconds, skew  # our own clock may be set wrong, or right again
        elif what == "job":
            self.job_fails(number)
        elif how != "no":
            self.touch(number, int(seconds), how)

    def crash(self, who: int, number: int | None = None) -> None:
        """Everything in memory is gone, the URLs too; the process may come back to a run at once."""
        self.drivers[who].die()
        self.drivers[who] = self.driver()
        seen["crash"] += 1
        if number is not None:
            self.take(who, number)

    def job_fails(self, number: int) -> None:
        alive = [job for job in WORLD.far.service.jobs if job.completed_at is None and not job.failed]
        if alive:
            job = alive[number % len(alive)]
            WORLD.far.service.fail(job.id)
            self.failed.add(job.id)

    def touch(self, number: int, batch: int, what: str) -> None:
        """Somebody deletes or alters a file, results if there are any."""
        run_id = self.run_at(number)
        batch = 1 + batch % len(self.ledger.load(run_id).batches)
        path = self.ledger._results_path(run_id, batch)
        if not path.exists():
            path = self.ledger.ids_path(run_id, batch)
        if not path.exists():
            return
        if what == "delete":
            path.unlink()
        else:
            data = path.read_bytes()
            shorter = data[: data.rstrip(b"\n").rfind(b"\n") + 1]  # by its last line
            path.write_bytes(shorter if what == "cut" and data else data + b"1\n")
        self.touched.add((run_id, batch))
        self.judged[run_id] = ""

    # ----------------------------------------------------------------- what always holds

    @invariant()
    def no_secret_is_on_disk(self) -> None:
        for path in self.root.rglob("*"):
            if path.is_file():
                data = path.read_bytes()
                assert WORLD.far.token.encode() not in data
                assert b"X-Goog-" not in data

    @invariant()
    def no_job_too_many(self) -> None:
        """A batch has a job for each attempt at most: one, and one for each that was given up."""
        names = Counter(job.name for job in WORLD.far.service.jobs)
        for run in map(self.load, self.wanted):
            for batch in run.batches:
                assert batch.attempt == 1 + len(batch.past_jobs)
                for attempt in range(1, batch.attempt + 1):
                    name = lifecycle.job_name(run, lifecycle.replace(batch, attempt=attempt))
                    assert names.pop(name, 0) <= 1, "two jobs of one name"
        assert not names, "jobs that no batch knows of"

    @invariant()
    def no_false_compliance(self) -> None:
        for run in map(self.load, self.wanted):
            state = str([batch for batch in run.batches if batch.phase is Stage.DONE])
            if self.judged.get(run.id, "[]") != state:
                self.judge(run)
            self.judged[run.id] = state

    def judge(self, run: RunRecord) -> pd.Series | None:
        """Compare what a run says with the truth; None if it refuses to say anything."""
        proved = self.proved(run)
        column = id_rules.parse(pd.Series(IDS), "id")
        try:
            table = verdicts.join(column, self.drivers[0].runner.covered(run))
        except xc.LedgerError:
            assert any(name == run.id for name, _ in self.touched), "a ledger that nobody touched was refused"
            seen["touched file refused"] += 1
            return None
        for place, status in enumerate(table["status"].astype(str)):
            assert status in ("compliant", "action_required", "unchecked")
            if status == "compliant":
                assert place not in LISTED, "a listed row reads compliant"
                assert place in proved, "compliant without a verified file"
            if status == "action_required":
                assert place in LISTED
            if place in proved:
                assert status == ("action_required" if place in LISTED else "compliant")
        return table["status"]

    def proved(self, run: RunRecord) -> set[int]:
        """Return the places in IDS that finished batches prove, by the files as they are and by the far side's jobs."""
        places: set[int] = set()
        jobs = {job.id: job for job in WORLD.far.service.jobs}
        for batch in run.batches:
            if batch.phase is not Stage.DONE or not batch.proved:
                continue
            with contextlib.suppress(FileNotFoundError):
                data = self.ledger._results_path(run.id, batch.number).read_bytes()
                ids = self.ledger.ids_path(run.id, batch.number).read_bytes()
                if (run.id, batch.number) in self.touched:
                    continue
                job = jobs[batch.job_id or ""]
                assert hashlib.sha256(data).hexdigest() == batch.results_sha256
                assert job.upload is not None
                assert job.upload.data == ids, "the job had other IDs"
                assert job.result is not None
                assert job.result.data == data, "these are not the job's results"
                assert batch.checked_at is not None
                assert batch.checked_at <= job.upload.stored_at, "checked_at is too late"
                places |= {IDS.index(int(line)) for line in ids.split()}
        return places

    # ----------------------------------------------------------------- how it ends

    def teardown(self) -> None:
        if not hasattr(self, "root"):
            return
        try:
            self.heal()
        finally:
            for driver in self.drivers:
                driver.die()
            shutil.rmtree(self.root, ignore_errors=True)

    def heal(self) -> None:
        """The faults stop: each run that nobody touched ends, and says the truth where it was not made to fail."""
        WORLD.faults, WORLD.skew = {}, 0.0
        for number in range(2):
            self.crash(number)
        me = self.drivers[0]
        for run_id in self.wanted:
            if any(name == run_id for name, _ in self.touched):
                seen["touched run"] += 1
                continue
            me.run_id = run_id
            for _ in range(200):
                if (wait := self.advance(me)) is None:
                    break
                WORLD.now += wait
            run = self.ledger.load(run_id)
            assert run.ended, f"it never ends: {getattr(self, 'stopped', None)!r} {run.batches}"
            status = self.judge(run)
            assert status is not None
            for batch in run.batches:
                assert batch.phase in ENDED
                told = batch.proved or batch.reason
                assert told, "a batch failed for no reason"
                seen["proved" if batch.proved else "unproved" if batch.phase is Stage.DONE else "dead"] += 1
                if batch.phase is Stage.DEAD and "X says it failed" in (batch.reason or ""):
                    assert batch.job_id in self.failed
            if all(batch.proved for batch in run.batches):
                asked = {place for place, word in enumerate(status) if word != "unchecked"}
                assert asked == set(self.wanted[run_id])
        self.no_job_too_many()
        self.no_secret_is_on_disk()


def examples(count: int, steps: int, **more: Any) -> settings:
    return settings(
        max_examples=count,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
        **more,
    )


def test_the_machine_keeps_its_promises() -> None:
    """Any order of steps, crashes, faults, clocks and touched files: no false compliance, no surplus job, no secret.

    What the examples came across is counted, because a promise that was never tried is not kept.
    """
    seen.clear()
    WORLD.met.clear()
    named = os.environ.get("XCOMPLIANCE_MACHINE")
    count, steps = map(int, named.split("x")) if named else (200, 30)
    chosen = (
        examples(count, steps, database=None)
        if named
        else examples(count, steps, derandomize=True, phases=[Phase.generate])
    )
    run_state_machine_as_test(Machine, settings=chosen)
    if os.environ.get("XCOMPLIANCE_MACHINE_TELL"):
        print(dict(seen), dict(WORLD.met))
    assert seen["proved"] > count / 2
    assert min(seen[what] for what in ("dead", "crash", "lock refused", "touched file refused")) >= count // 40
    met = {fault for fault in FAULTS if any(name.endswith(f": {fault}") for name in WORLD.met)}
    assert len(met) >= len(FAULTS) - 3, f"no request ever met {sorted(FAULTS - met)}"


def careless_create(monkeypatch: pytest.MonkeyPatch) -> None:
    decide = lifecycle.next_step

    def careless(*facts: Any) -> lifecycle.Step:
        step = decide(*facts)
        return lifecycle.Step.CREATE if step is lifecycle.Step.ADOPT else step

    monkeypatch.setattr(lifecycle, "next_step", careless)


def careless_download(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "damage", lambda received: None)
    monkeypatch.setattr(runner, "grade", lambda received: runner.Grade.HASH)


def careless_upload(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner.Runner, "_upload_agrees", lambda *facts: True)


def careless_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    on_job = lifecycle.on_job
    monkeypatch.setattr(
        lifecycle, "on_job", lambda batch, *facts: on_job(lifecycle.replace(batch, upload_cut=False), *facts)
    )


def careless_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        ledger_module.Ledger, "_checked", lambda self, path, sha256, run_id: path.read_bytes() if path.exists() else b""
    )


@pytest.mark.parametrize(
    ("mutant", "fault", "trouble"),
    [
        (careless_create, "lost after", None),
        (careless_download, "line lost", None),
        (careless_upload, "altered upload", None),
        (careless_cut, "cut upload taken", None),
        (careless_reading, None, "file"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_machine_notices_a_broken_rule(
    mutant: Callable[[pytest.MonkeyPatch], None],
    fault: str | None,
    trouble: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It has teeth: without one rule of safety, and with the fault that the rule is for, an invariant breaks soon."""
    mutant(monkeypatch)
    monkeypatch.setattr(WORLD, "only", fault)
    monkeypatch.setattr(WORLD, "trouble", trouble)
    chosen = examples(200, 30, derandomize=True, phases=[Phase.generate], report_multiple_bugs=False)
    with pytest.raises((AssertionError, BaseExceptionGroup)) as caught:
        run_state_machine_as_test(Machine, settings=chosen)
    assert isinstance(caught.value, AssertionError) or caught.group_contains(AssertionError)
