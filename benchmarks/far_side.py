"""A far side that is never the bottleneck: synthetic posts, and a service that has its results ready.

    with FarSide(1_000_000, 0.1, folder) as far:        # a process of its own
        ids = np.load(far.posts)                        # random order, 5 % of the rows repeat an ID
        ...                                             # far.url, far.token; far.truth is what must come out

It speaks as much of X's protocol as a client needs that meets no error: create a job, PUT the IDs, look, GET the
results, with Content-Length, Date and a crc32c. A job is complete as soon as its IDs are there. Uploads are not read,
only hashed: one as large as all distinct IDs gets all results, a smaller one is taken for one of the sorted batches
that the package sends. Whether a client was right is seen in what it puts on the rows.

    with FarSideByHash(0.1, folder) as far:         # far.url, far.token

takes any IDs: a hash of each, `fate`, tells whether it is listed, so the truth need not be held by anybody. It reads
each upload, makes its results then, and keeps them on disk.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import google_crc32c
import numpy as np
from numpy.typing import NDArray

BATCH = 2_000_000  # IDs of a batch, as the client has it by default
PIECE = 1 << 18  # bytes of an upload read at once
FIRST_SNOWFLAKE, LAST_SNOWFLAKE = 29_700_859_247, 1_874_000_000_000_000_000  # November 2010 to January 2025


class FarSide:
    """The service in a process of its own, from ``with`` to its end; its dataset is written to `folder` first."""

    def __init__(self, rows: int, listed: float, folder: Path) -> None:
        self.posts = folder / "posts.npy"
        self._command = [sys.executable, __file__, str(rows), str(listed), str(self.posts)]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603
        assert self._process.stdout is not None  # noqa: S101
        said = json.loads(self._process.stdout.readline())
        self.url: str = said["url"]
        self.token: str = said["token"]
        self.truth: dict[str, list[int]] = said["truth"]  # of each action, how many rows and the sum of their IDs
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()  # closes its standard input, for which it waits


class FarSideByHash(FarSide):
    """The service that takes any IDs, in a process of its own; results are kept in `folder`."""

    def __init__(self, listed: float, folder: Path) -> None:
        self._command = [sys.executable, __file__, "by-hash", str(listed), str(folder)]

    @property
    def pid(self) -> int:
        return self._process.pid


# --------------------------------------------------------------------------- the dataset and its results


def fate(ids: NDArray[np.int64], share: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which IDs are listed, and which of them ask for the geo fields instead of a deletion."""
    mixed = (ids.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(11)
    chance = mixed.astype(np.float64) * 2.0**-53
    return chance < share, chance < 0.03 * share


def posts(rows: int, chance: np.random.Generator) -> NDArray[np.int64]:
    """Return made-up post IDs in random order: 5 % repeat another one, 0.5 % are from before November 2010."""
    ids = chance.integers(FIRST_SNOWFLAKE, LAST_SNOWFLAKE, rows)
    old = chance.random(rows) < 0.005
    ids[old] = chance.integers(20, FIRST_SNOWFLAKE, int(old.sum()))
    again = chance.random(rows) < 0.05
    ids[again] = chance.choice(ids, int(again.sum()))
    return ids


def lines(
    ids: NDArray[np.int64], chance: np.random.Generator, geo: NDArray[np.bool_] | None = None
) -> tuple[bytes, NDArray[np.bool_]]:
    """Return result lines as X documents them, and which of them ask for the geo fields instead of a deletion."""
    if geo is None:
        geo = chance.random(len(ids)) < 0.03
    reasons = chance.choice(np.array([b"deleted", b"suspended", b"protected"]), len(ids), p=[0.5, 0.35, 0.15])
    days = np.datetime64("2010-11-04T00:00:00.000") + chance.integers(0, 2**38, (2, len(ids)))
    created, redacted = (np.datetime_as_string(each, unit="ms").astype("S23") for each in days)
    dated = chance.random(len(ids)) < 0.8  # "not all compliance events will include the redacted_at field"
    columns: list[Any] = [
        b'{"id":"',
        ids.astype("S19"),
        b'","action":"',
        np.where(geo, b"scrub_geo", b"delete"),
        b'","created_at":"',
        created,
        np.where(dated, b'Z","redacted_at":"', b""),
        np.where(dated, redacted, b""),
        b'Z","reason":"',
        np.where(geo, b"scrub_geo", reasons),
        b'"}\n',
    ]
    fields = [(str(n), np.asarray(column).dtype) for n, column in enumerate(columns)]
    table = np.empty(len(ids), dtype=fields)
    for (name, _), column in zip(fields, columns, strict=True):
        table[name] = column
    raw = table.view(np.uint8)  # fixed widths, filled up with zeros
    return raw[raw != 0].tobytes(), geo


def results(
    ids: NDArray[np.int64], share: float, chance: np.random.Generator
) -> tuple[list[int], list[bytes], dict[str, list[int]], int]:
    """Return the first ID and the results of each batch, the truth about all rows, and how large all IDs are."""
    ordered = np.sort(ids)
    first = np.flatnonzero(np.diff(ordered, prepend=0))
    unique, rows = ordered[first], np.diff(first, append=len(ordered))
    starts, bodies = [], []
    truth = {"delete": [0, 0], "scrub_geo": [0, 0]}
    for start in range(0, len(unique), BATCH):
        batch = unique[start : start + BATCH]
        listed = start + chance.permutation(np.flatnonzero(chance.random(len(batch)) < share))
        parts = []
        for some in np.array_split(listed, len(listed) // PIECE + 1):
            body, geo = lines(unique[some], chance)
            parts.append(body)
            for action, chosen in (("delete", some[~geo]), ("scrub_geo", some[geo])):
                truth[action][0] += int(rows[chosen].sum())
                truth[action][1] += int((unique[chosen] * rows[chosen]).sum())
        starts.append(int(batch[0]))
        bodies.append(b"".join(parts))
    size = sum(int((unique >= 10**power).sum()) for power in range(19)) + len(unique)
    return starts, bodies, {action: [count, total % 2**64] for action, (count, total) in truth.items()}, size


# --------------------------------------------------------------------------- the service


class Service(ThreadingHTTPServer):
    """What the handlers share: jobs, results, and what is needed to tell which results an upload gets."""

    daemon_threads = True

    def __init__(self, starts: list[int], bodies: list[bytes], size: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.starts, self.bodies, self.size = starts, bodies, size
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.token = secrets.token_urlsafe(32)
        self.jobs: dict[str, dict[str, Any]] = {}
        self.found: dict[str, list[bytes]] = {}

    def create(self, wanted: dict[str, Any]) -> dict[str, Any]:
        now = datetime.now(UTC)
        number = str(1_425_543_269_983_784_962 + len(self.jobs))
        signature = secrets.token_hex(64)
        self.jobs[number] = {
            "id": number,
            "status": "created",
            "resumable": False,
            **wanted,
            "created_at": _time(now),
            "upload_url": f"{self.url}/submission/{number}?X-Goog-Signature={signature}",
            "upload_expires_at": _time(now + timedelta(minutes=15)),
            "download_url": f"{self.url}/delivery/{number}?X-Goog-Signature={signature}",
            "download_expires_at": _time(now + timedelta(days=7)),
        }
        return self.jobs[number]

    def upload(self, number: str, head: bytes, size: int, pieces: Iterator[bytes]) -> str:
        """Take the IDs in, and return their checksum."""
        checksum = _crc32c(pieces)
        first = int(re.match(rb"[0-9]+", head)[0])  # type: ignore[index]
        batch = int(np.searchsorted(self.starts, first, side="right")) - 1
        self.found[number] = self.bodies if size >= self.size else self.bodies[batch : batch + 1]
        self.jobs[number]["status"] = "complete"
        return checksum

    def results(self, number: str) -> list[bytes]:
        return self.found[number]


class ServiceByHash(Service):
    """Decides by a hash of each ID."""

    def __init__(self, share: float, folder: Path) -> None:
        super().__init__([], [], 0)
        self.share, self.folder = share, folder

    def upload(self, number: str, head: bytes, size: int, pieces: Iterator[bytes]) -> str:
        body = b"".join(pieces)
        ids = np.fromstring(body, dtype=np.int64, sep="\n")
        listed, geo = fate(ids, self.share)
        chance = np.random.default_rng(len(self.jobs))
        with (self.folder / number).open("wb") as file:
            for some in np.array_split(np.flatnonzero(listed), len(ids) // PIECE + 1):
                file.write(lines(ids[some], chance, geo[some])[0])
        self.jobs[number]["status"] = "complete"
        return _crc32c([body])

    def results(self, number: str) -> list[bytes]:
        return [(self.folder / number).read_bytes()]


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _crc32c(pieces: Iterator[bytes] | list[bytes]) -> str:
    checksum = google_crc32c.Checksum()
    for piece in pieces:
        checksum.update(piece)
    return f"crc32c={base64.b64encode(checksum.digest()).decode()}"


class Handler(BaseHTTPRequestHandler):
    """Both hosts in one."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or every small answer may wait 40 ms for an acknowledgement
    server: Service

    def do_POST(self) -> None:
        wanted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._json(self.server.create(wanted))

    def do_GET(self) -> None:
        place, _, number = self.path.partition("?")[0].rpartition("/")
        if place == "/delivery":
            bodies = self.server.results(number)
            self._answer("application/octet-stream", bodies, ("x-goog-hash", _crc32c(bodies)))
        else:
            self._json(self.server.jobs[number])

    def do_PUT(self) -> None:
        number = self.path.partition("?")[0].rpartition("/")[2]
        size = int(self.headers["Content-Length"])
        head = self.rfile.read(min(size, PIECE))

        def pieces() -> Iterator[bytes]:
            yield head
            left = size - len(head)
            while left:
                piece = self.rfile.read(min(left, PIECE))
                left -= len(piece)
                yield piece

        checksum = self.server.upload(number, head, size, pieces())
        self._answer("text/html", [], ("x-goog-hash", checksum), ("x-goog-stored-content-length", str(size)))

    def _json(self, job: dict[str, Any]) -> None:
        if self.headers["Authorization"] != f"Bearer {self.server.token}":
            self.send_error(401)
            return
        self._answer("application/json", [json.dumps({"data": job}).encode()])

    def _answer(self, kind: str, bodies: list[bytes], *headers: tuple[str, str]) -> None:
        self.send_response(200)
        size = str(sum(map(len, bodies)))
        for name, value in (("Content-Type", kind), ("Content-Length", size), *headers):
            self.send_header(name, value)
        self.end_headers()
        for body in bodies:
            self.connection.sendall(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def main() -> None:
    """Write the dataset, say where the service is and what the truth is, and serve until standard input ends."""
    if sys.argv[1] == "by-hash":
        _serve(ServiceByHash(float(sys.argv[2]), Path(sys.argv[3])), {})
        return
    rows, share, path = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
    chance = np.random.default_rng(1)
    ids = posts(rows, chance)
    np.save(path, ids)
    starts, bodies, truth, size = results(ids, share, chance)
    del ids
    _serve(Service(starts, bodies, size), truth)


def _serve(service: Service, truth: dict[str, list[int]]) -> None:
    print(json.dumps({"url": service.url, "token": service.token, "truth": truth}), flush=True)
    threading.Thread(target=service.serve_forever, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
