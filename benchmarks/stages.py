"""Time the package's stages one by one, in one process; ``pipeline.py --stages`` calls this.

Each round goes through all of them once, and through what no way around them could avoid: a copy of the upload's bytes,
a sort of the IDs, and the upload through a bare socket. What slows the machine then slows all.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
from far_side import BATCH, FarSide

from xcompliance_pd import ids as id_rules
from xcompliance_pd import protocol, results, verdicts
from xcompliance_pd.outcome import PIECE
from xcompliance_pd.protocol import Job, JobType, Secret
from xcompliance_pd.transport import FileBody, Transport

COPY, SORT, BARE = "copy of the upload's bytes", "np.sort of the IDs", "upload, bare socket"


def measure(far: FarSide, folder: Path, rounds: int, kinds: Iterable[str] = ("str", "object")) -> dict[str, float]:
    """Return the median seconds of each stage. Columns of text, `kinds`, are parsed besides the one of integers."""
    frame = pd.DataFrame({"id": np.load(far.posts)})
    columns = {"int64": frame["id"], **{kind: frame["id"].astype(str).astype(kind) for kind in kinds}}
    ids = id_rules.parse(columns["int64"], "id")
    unique = ids.unique()
    path = folder / "ids.txt"
    with path.open("wb") as file:
        file.writelines(id_rules.encode(unique))
    data = path.read_bytes()
    target = bytearray(data)
    wire = Transport(far.url, lambda: Secret(far.token), (10, 60), None)

    def new() -> Job:
        request = protocol.create_job(JobType.TWEETS, "stages")
        return protocol.parse_job(protocol.decipher(request, wire.send(request)))

    def upload(job: Job) -> None:
        assert job.upload_url is not None  # noqa: S101
        wire.put(job.upload_url, FileBody(path))

    done = new()
    upload(done)
    assert done.download_url is not None  # noqa: S101
    found = bytearray()
    wire.get(done.download_url, found.extend, 1 << 40)
    body = bytes(found)
    del found
    pieces = [body[start : start + PIECE] for start in range(0, len(body), PIECE)]
    table = results.read(pieces).findings
    sent = [part.ids for part in id_rules.batches([unique], BATCH)]
    batch = np.searchsorted([part[-1] for part in sent], table["id"])
    covered = [
        verdicts.Covered(part, table[batch == number].reset_index(drop=True), True, None, "run")
        for number, part in enumerate(sent)
    ]

    def copy() -> None:
        target[:] = data

    def encode() -> None:
        for _ in id_rules.encode(unique):
            pass

    acts: dict[str, Callable[[], object]] = {COPY: copy, SORT: lambda: np.sort(ids.values)}
    for kind, column in columns.items():
        acts[f"parse and unique, {kind}"] = lambda column=column: id_rules.parse(column, "id").unique()
    acts["encode"] = encode
    acts[BARE] = lambda: _bare(new(), data)
    acts["upload"] = lambda: upload(new())
    acts["download"] = lambda: wire.get(done.download_url, len, 1 << 40)
    acts["read results"] = lambda: results.read(pieces)
    acts["join"] = lambda: verdicts.join(ids, covered)
    seconds: dict[str, list[float]] = {name: [] for name in acts}
    for _ in range(rounds):
        for name, act in acts.items():
            began = time.perf_counter()
            act()
            seconds[name].append(time.perf_counter() - began)
    wire.close()
    return {name: median(each) for name, each in seconds.items()} | {"lines": len(table)}


def _bare(job: Job, data: bytes) -> None:
    """Upload without a client: the fastest that this far side can be sent to."""
    assert job.upload_url is not None  # noqa: S101
    parts = urlsplit(job.upload_url.reveal())
    with socket.create_connection((parts.hostname, parts.port), timeout=60) as connection:
        connection.sendall(f"PUT {parts.path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n".encode())
        for start in range(0, len(data), 1 << 20):
            connection.sendall(memoryview(data)[start : start + (1 << 20)])
        connection.recv(1 << 16)


def lines(found: dict[str, float], rows: int) -> list[list[str]]:
    """Return the stages as rows of a table: name, ns a row, and in copies and sorts."""
    return [
        [
            name,
            f"{1e9 * seconds / rows:.1f}",
            f"{seconds / found[COPY]:.1f}",
            f"{seconds / found[SORT]:.2f}",
        ]
        for name, seconds in found.items()
        if name != "lines"
    ]
