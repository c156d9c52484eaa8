"""Processes that are killed at the n-th point of a run, and what the next ones make of it.

A *point* is a place where a process may die and leave something behind: around every file that is made, written,
synced, renamed or removed; around every folder; around every lock; and around every exchange, namely before it is
sent, in the middle of an upload, after it was sent and before its answer is read, after the head of the answer, and
after its end. The points are counted at the edges, inside the child only, so that the package is what it is.

A *nursery* is a process that has imported everything and has neither thread nor socket. It forks the children, so
that a child costs milliseconds, shares no connection with anybody, and dies of a real SIGKILL. The far side is the
sandbox, in the process of the test.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import filelock
import pandas as pd
import requests
import urllib3.connection

import xcompliance_pd as xc
import xcompliance_pd.cli  # everything that a child may need is there before it is born
from xcompliance_pd import ledger, lifecycle, run, transport
from xcompliance_pd.sandbox import Server

FIRST = 1212092628029698048
IDS: list[str | None] = [str(FIRST + n * 4_194_304_007) for n in range(24)]
ROWS = pd.Series([*IDS, IDS[3], None, IDS[0]], index=range(100, 127), name="id")  # duplicates and a gap
COLUMNS = ("status", "action", "reason", "created_at", "redacted_at")
HANG = 30  # seconds after which a child counts as hung
PER_SERVER = 25  # cases that share a far side; its list of jobs grows with each

Json = dict[str, Any]


# --------------------------------------------------------------------------- in the child


class Points:
    """Counts the points that a process passes; at the one that was asked for, the process is no more."""

    def __init__(self, kill_at: int | None, locks: Path) -> None:
        self.names: list[str] = []
        self._kill_at = kill_at
        self._locks = os.open(locks, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        self._on = True

    def reach(self, name: str) -> None:
        if self._on:
            self.names.append(name)
            if len(self.names) == self._kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    def stop(self) -> None:
        self._on = False

    def log(self, sign: str, path: str) -> None:
        """Write down that a lock is held from now on, or was held until now: one write, so lines never mix."""
        os.write(self._locks, f"{sign} {os.getpid()} {os.path.dirname(path)}\n".encode())


def _around(points: Points, name: Callable[..., str | None], original: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function with a point before it and one after it, unless its name is None."""

    def wrapped(*arguments: Any, **options: Any) -> Any:
        what = name(*arguments, **options)
        if what is None:
            return original(*arguments, **options)
        points.reach(f"before {what}")
        result = original(*arguments, **options)
        points.reach(f"after {what}")
        return result

    return wrapped


class _Torn(io.BufferedRandom):
    """A file whose every write reaches the disk in two halves, with a point between them."""

    points: Points

    def write(self, data: Any) -> int:
        half = len(data) // 2
        super().write(data[:half])
        self.flush()
        self.points.reach("half written")
        return half + super().write(data[half:])


def _plain(path: Any) -> str:
    """Return the name of a file without its random part."""
    parts = os.path.basename(os.fspath(path)).split(".")
    return ".".join(part for part in parts if len(part) != 8)


def watch_files(points: Points) -> None:
    """Put points around everything that changes the disk."""
    opened = os.open

    def opening(path: Any, flags: int, *rest: Any, **options: Any) -> int:
        handle = opened(path, flags, *rest, **options)
        if flags & os.O_EXCL:
            points.reach(f"made {_plain(path)}")
        return handle

    def fdopen(handle: int, mode: str = "r", *rest: Any, **options: Any) -> Any:
        if mode != "w+b":
            return open(handle, mode, *rest, **options)
        file = _Torn(io.FileIO(handle, "r+b"))
        file.points = points
        return file

    os.open = opening
    os.fdopen = fdopen
    os.fsync = _around(points, lambda handle: "fsync", os.fsync)
    os.replace = _around(points, lambda old, new, **_: f"rename to {_plain(new)}", os.replace)
    os.mkdir = _around(points, lambda path, *_, **__: "mkdir", os.mkdir)
    os.unlink = _around(points, lambda path, **_: f"unlink {_plain(path)}", os.unlink)
    os.rmdir = _around(points, lambda path, **_: "rmdir", os.rmdir)


def watch_locks(points: Points) -> None:
    """Put points around taking and freeing a lock, and write down who holds it when."""
    acquire, release = filelock.BaseFileLock.acquire, filelock.BaseFileLock.release

    def acquiring(self: Any, *arguments: Any, **options: Any) -> Any:
        points.reach("before lock")
        proxy = acquire(self, *arguments, **options)
        points.log("+", self.lock_file)
        points.reach("after lock")
        return proxy

    def releasing(self: Any, *arguments: Any, **options: Any) -> None:
        if not self.is_locked:
            return release(self, *arguments, **options)
        points.log("-", self.lock_file)
        points.reach("before unlock")
        release(self, *arguments, **options)
        points.reach("after unlock")
        return None

    filelock.BaseFileLock.acquire = acquiring
    filelock.BaseFileLock.release = releasing


def watch_wire(points: Points) -> None:
    """Put points into every exchange."""
    request, exchange = requests.Session.request, transport.Transport._exchange
    getresponse, pieces = urllib3.connection.HTTPConnection.getresponse, transport.FileBody.__iter__

    def requesting(self: Any, method: str, url: str, **options: Any) -> Any:
        points.reach(f"before {method}")
        return request(self, method, url, **options)

    def exchanging(self: Any, session: Any, method: str, *rest: Any, **options: Any) -> Any:
        answer = exchange(self, session, method, *rest, **options)
        points.reach(f"{method} answered")
        return answer

    def answering(self: Any) -> Any:
        points.reach("sent")
        response = getresponse(self)
        points.reach("head of the answer")
        return response

    def sending(self: Any) -> Iterator[bytes]:
        for piece in pieces(self):
            half = len(piece) // 2
            yield piece[:half]
            points.reach("half uploaded")
            yield piece[half:]

    requests.Session.request = requesting
    transport.Transport._exchange = exchanging
    urllib3.connection.HTTPConnection.getresponse = answering
    transport.FileBody.__iter__ = sending


def create_again() -> None:
    """Break the rule that a lost answer to a create is looked for in X's list: a batch found CREATING creates again."""
    decide = lifecycle.next_step

    def careless(batch: Any, *rest: Any) -> Any:
        step = decide(batch, *rest)
        return lifecycle.Step.CREATE if step is lifecycle.Step.ADOPT else step

    lifecycle.next_step = careless


def late_record() -> None:
    """Break the rule that CREATING is on disk before the request leaves: the batch is still PLANNED there."""
    save = ledger.Ledger.save

    def saving(self: ledger.Ledger, record: lifecycle.RunRecord) -> None:
        for batch in record.batches:
            if batch.phase is lifecycle.Phase.CREATING:
                record = record.with_batch(replace(batch, phase=lifecycle.Phase.PLANNED))
        save(self, record)

    ledger.Ledger.save = saving


def two_drivers() -> None:
    """Break the rule of one driver at a time: every process has a lock of its own."""
    drive_lock = ledger.Ledger.drive_lock
    ledger.Ledger.drive_lock = lambda self, run_id: filelock.FileLock(
        f"{drive_lock(self, run_id).lock_file}.{os.getpid()}", mode=0o600, timeout=0
    )


MUTANTS = {"create_again": create_again, "late_record": late_record, "two_drivers": two_drivers}


def texts(table: pd.DataFrame, prefix: str = "") -> list[list[str | None]]:
    """Return verdicts as texts, row by row, so that frames of two processes can be compared."""
    chosen = table[[prefix + name for name in COLUMNS]].astype(object)
    return [[None if pd.isna(value) else str(value) for value in row] for row in chosen.to_numpy()]


def live(order: Json) -> None:
    """Be one child: go on with what the ledger has, and write down the frame that comes of it."""
    signal.alarm(HANG)
    warnings.simplefilter("ignore")
    os.environ["XCOMPLIANCE_PROGRESS"] = "none"
    run.FOLLOW = 0.02  # seconds; a follower looks often, so that there is more to go wrong
    if order["mutant"]:
        MUTANTS[order["mutant"]]()
    client = xc.Client(
        order["token"], order["url"], order["home"], batch_size=order["batch_size"], poll_interval=0.0, max_requests=200
    )
    points = Points(order["kill_at"], Path(order["locks"]))
    table = client.runs()
    if order["delay"]:
        time.sleep(order["delay"])
    watch_files(points)
    watch_locks(points)
    watch_wire(points)
    frame = ROWS.to_frame()
    if len(table) and (order["reopen"] or table["state"].iloc[0] != "unfinished"):
        checked = frame.compliance.join("id", client.open_run(table.index[0]))
    else:
        checked = frame.compliance.check("id", client=client)
    points.stop()
    result = {
        "points": points.names,
        "rows": texts(checked, "compliance_"),
        "index": checked.index.tolist(),
        "run": checked["compliance_run"].dropna().unique().tolist(),
        "checked_at": [None if pd.isna(t) else t.timestamp() for t in checked["compliance_checked_at"]],
    }
    Path(order["out"]).write_text(json.dumps(result))


def warm_up(order: Json) -> None:
    """Check something once, so that whatever is imported or built late is there before the first child is born."""
    os.environ["XCOMPLIANCE_PROGRESS"] = "none"
    client = xc.Client(order["token"], order["url"], order["home"], poll_interval=0.0)
    texts(ROWS.head(3).to_frame().compliance.check("id", client=client), "compliance_")
    client._runner._transport.close()
    gc.collect()
    gc.freeze()


def nursery() -> None:
    """Read lines of orders, fork a child for each order of a line, and answer with how they ended."""
    warm_up(json.loads(sys.stdin.readline()))
    print("ready", flush=True)
    for line in sys.stdin:
        children = []
        for order in json.loads(line):
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    with open(order["errors"], "w") as errors:
                        os.dup2(errors.fileno(), 2)
                        os.dup2(errors.fileno(), 1)
                    live(order)
                    code = 0
                except BaseException:
                    sys.excepthook(*sys.exc_info())  # to the file
                finally:
                    os._exit(code)
            children.append(child)
        ends = {}
        while len(ends) < len(children):
            child, status = os.wait()
            ends[child] = os.waitstatus_to_exitcode(status)
        print(json.dumps([ends[child] for child in children]), flush=True)


# --------------------------------------------------------------------------- in the test


@dataclass
class Outcome:
    """What came of one case.

    Attributes
    ----------
    kills : int
        Children that died of SIGKILL.
    surplus : int
        Jobs at the far side beyond one a batch of each run.
    strays : int
        Temporary files in the run's folder that nobody will ever read.
    wrong : list of str
        What is not as it must be, besides surplus jobs; nothing, if all is well.
    """

    kills: int = 0
    runs: int = 0
    jobs: int = 0
    surplus: int = 0
    strays: int = 0
    points: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def right(self) -> bool:
        return not self.wrong and not self.surplus


class Kills:
    """A far side, a nursery, and a new ledger for each case.

    Parameters
    ----------
    batches : int
        Of each run.
    mutant : str, optional
        A rule to break in the children (`MUTANTS`).
    lenient : bool
        Whether the far side makes a second job of a type while one is active. X's words leave open whether a job
        that still waits for its upload counts, so no rule of ours may lean on it.
    """

    def __init__(self, batches: int, mutant: str | None = None, lenient: bool = False, complete_after: int = 1) -> None:
        self._batch_size = -(-len(IDS) // batches)
        self._batches = batches
        self._mutant = mutant
        self._lenient = lenient
        self._complete_after = complete_after
        self._server: Server | None = None
        self._left = 0

    def __enter__(self) -> Kills:
        memory = "/dev/shm"  # what a killed process wrote is there without a sync, so no disk need be waited for
        self._root = Path(tempfile.mkdtemp(prefix="kills-", dir=memory if os.access(memory, os.W_OK) else None))
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "XCOMPLIANCE_HOME": str(self._root / "nobody's")}
        command = [sys.executable, "-W", "ignore", __file__]
        self._nursery = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._number = 0
        self._far()
        self._say(self._order(self._home(), 0))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._nursery.stdin
        assert self._nursery.stdout
        self._nursery.stdin.close()
        self._nursery.wait(2 * HANG)
        self._nursery.stdout.close()
        self._end_server()
        shutil.rmtree(self._root, ignore_errors=True)

    def _end_server(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None

    def _far(self) -> Server:
        if self._server is None or self._left == 0:
            self._end_server()
            self._server = Server(complete_after=self._complete_after, rate_limits=(10**6,) * 3).start()
            self._threads = threading.active_count()
            self._truth = texts(self._server.expected(ROWS))
            self._left = PER_SERVER
            if self._lenient:
                _allow_several(self._server)
        self._left -= 1
        return self._server

    def _say(self, order: object) -> str:
        assert self._nursery.stdin
        assert self._nursery.stdout
        self._nursery.stdin.write(json.dumps(order) + "\n")
        self._nursery.stdin.flush()
        return self._nursery.stdout.readline()

    def _fork(self, orders: list[Json]) -> list[int]:
        ends: list[int] = json.loads(self._say(orders))
        if self._lenient:  # what was sent before a death takes effect before the next child is born
            end = time.monotonic() + HANG
            while threading.active_count() > self._threads and time.monotonic() < end:
                time.sleep(0.001)
        return ends

    def _order(self, home: Path, child: int, **more: Any) -> Json:
        assert self._server
        return {
            "token": self._server.token,
            "url": self._server.url,
            "home": str(home / "home"),
            "batch_size": self._batch_size,
            "mutant": self._mutant,
            "locks": str(home / "locks"),
            "errors": str(home / f"errors-{child}"),
            "out": str(home / f"out-{child}"),
            "kill_at": None,
            "reopen": False,
            "delay": 0.0,
            **more,
        }

    def case(self, *kill_at: int) -> Outcome:
        """Kill one child after the other at these points, each going on where the last one died; then let one finish.

        Every other time a child goes on by its run's ID instead of the same check. A child that ends before its
        point ends the case.
        """
        server, home = self._far(), self._home()
        outcome, before = Outcome(), len(server.service.jobs)
        for child, point in enumerate([*kill_at, None]):
            reopen = (self._number + child) % 2 == 1
            (end,) = self._fork([self._order(home, child, kill_at=point, reopen=reopen)])
            if end != -signal.SIGKILL or point is None:
                break
            outcome.kills += 1
        self._judge(outcome, server, home, [(child, end)], before)
        return outcome

    def crowd(self, delays: Sequence[float], kill_at: int | None = None) -> Outcome:
        """Start the same check in several processes at once; the first one may be killed, and one more ends it all."""
        server, home = self._far(), self._home()
        outcome, before = Outcome(), len(server.service.jobs)
        orders = [self._order(home, child, delay=delay) for child, delay in enumerate(delays)]
        orders[0]["kill_at"] = kill_at
        ends = self._fork(orders)
        if ends[0] == -signal.SIGKILL and kill_at is not None:
            outcome.kills = 1
            (ends[0],) = self._fork([self._order(home, 0)])
        self._judge(outcome, server, home, list(enumerate(ends)), before)
        return outcome

    def _home(self) -> Path:
        self._number += 1
        home = self._root / str(self._number)
        home.mkdir()
        return home

    def _judge(
        self, outcome: Outcome, server: Server, home: Path, ends: Sequence[tuple[int, int]], before: int
    ) -> None:
        jobs = server.service.jobs[before:]
        wrong = outcome.wrong
        table = xc.runs(home / "home")
        outcome.runs, outcome.jobs = len(table), len(jobs)
        outcome.surplus = len(jobs) - self._batches * outcome.runs
        if outcome.surplus < 0:
            wrong.append("a batch has no job")
        if len({job.name for job in jobs}) != len(jobs) or not all(str(job.name).startswith("xcpd-") for job in jobs):
            wrong.append("jobs of the same name")
        if not (table["state"] == "done").all():
            wrong.append(f"a run is {table['state'].tolist()}")
        for child, end in ends:
            if end != 0:
                wrong.append(f"a child ended with {end}: {(home / f'errors-{child}').read_text()[-600:]}")
                continue
            result = json.loads((home / f"out-{child}").read_text())
            outcome.points = result["points"]
            if result["rows"] != self._truth or result["index"] != ROWS.index.tolist():
                wrong.append("the frame is not the truth")
            latest = max(job.upload.stored_at for job in jobs if job.upload)
            checked = [(moment, row[0]) for moment, row in zip(result["checked_at"], result["rows"], strict=True)]
            if any(moment is None for moment, status in checked if status != "unchecked"):
                wrong.append("a verdict without a time")
            if any(moment > latest + 1 for moment, _ in checked if moment is not None):
                wrong.append("checked_at is later than the last upload")
        wrong += drivers((home / "locks").read_text().splitlines())
        wrong += self._leftovers(outcome, home / "home", server.token)
        shutil.rmtree(home)
        if not outcome.right:
            self._left = 0  # whatever is still active there must not touch the next case

    def _leftovers(self, outcome: Outcome, home: Path, token: str) -> list[str]:
        wrong = []
        for path in sorted(home.rglob("*")):
            if path.is_dir():
                if path.parent.name == "runs" and not (path / "run.json").exists():
                    wrong.append("half a run is left")
                continue
            data = path.read_bytes()
            if token.encode() in data or b"X-Goog-" in data:
                wrong.append(f"a credential in {path.name}")
            if path.stat().st_mode & 0o077:
                wrong.append(f"others may read {path.name}")
            outcome.strays += path.suffix in (".tmp", ".part")
        return wrong


def drivers(lines: Sequence[str]) -> list[str]:
    """Return what is wrong with a log of locks: two that hold the same one at a time.

    A holder that was killed never says that it is through; the system frees its lock, and it writes nothing more.
    """
    holder: dict[str, str] = {}
    gone: set[str] = set()
    for line in lines:
        sign, process, path = line.split(" ", 2)
        if process in gone:
            return [f"two processes held {os.path.basename(path)} at a time"]
        if sign == "+":
            if path in holder:
                gone.add(holder[path])
            holder[path] = process
        elif holder.pop(path, None) != process:
            return [f"two processes held {os.path.basename(path)} at a time"]
    return []


def _allow_several(server: Server) -> None:
    """Let the far side make a job of a type while another is active."""
    service = server.service
    strict = service.create

    def create(query: Any, body: object) -> Any:
        with service._lock:
            earlier, service._jobs = service._jobs, {}
            try:
                return strict(query, body)
            finally:
                service._jobs = {**earlier, **service._jobs}

    service.create = create  # type: ignore[method-assign]


def sample_pairs(points: int, count: int, seed: int) -> list[tuple[int, int]]:
    """Return pairs of points: anywhere, then anywhere in what is left of the run, and a little beyond."""
    chance = random.Random(seed)
    firsts = [chance.randint(1, points) for _ in range(count)]
    return [(first, chance.randint(1, max(points - first, 0) + 10)) for first in firsts]


def every_pair(kills: Kills, firsts: Iterable[int]) -> Iterator[tuple[tuple[int, int], Outcome]]:
    """Run every pair: for each first point, every second one until the second child ends unharmed."""
    for first in firsts:
        second = 0
        while True:
            second += 1
            outcome = kills.case(first, second)
            yield (first, second), outcome
            if outcome.kills < 2:
                break


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        nursery()
