"""What several test modules use."""

from __future__ import annotations

import re
import socket
import threading
from typing import Any, Protocol

import xcompliance_pd as xc


class Far(Protocol):
    """A sandbox or a bare server of it."""

    @property
    def url(self) -> str: ...
    @property
    def token(self) -> str: ...


def quick(far: Far, **settings: Any) -> xc.Client:
    """Return a client of the far side that never waits, with the ledger of the test's own home."""
    return xc.Client(far.token, far.url, **{"poll_interval": 0.0, **settings})


class RawServer:
    """A server on loopback that answers each connection with the next bytes it was given, then closes.

    `seen` holds the head of each request. The last answer is repeated.
    """

    def __init__(self, *answers: bytes) -> None:
        self._answers = list(answers)
        self.seen: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> RawServer:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)  # wakes accept; closing alone does not
        self._socket.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(10)
                head, _, body = self._read_until(connection, b"\r\n\r\n").partition(b"\r\n\r\n")
                length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
                missing = int(length[1]) - len(body) if length else 0
                while missing > 0 and (piece := connection.recv(65536)):
                    missing -= len(piece)  # all of it, so that closing is no reset
                self.seen.append(head + b"\r\n\r\n")
                connection.sendall(self._answers.pop(0) if len(self._answers) > 1 else self._answers[0])
                connection.shutdown(socket.SHUT_WR)

    @staticmethod
    def _read_until(connection: socket.socket, end: bytes) -> bytes:
        data = b""
        while end not in data and (piece := connection.recv(65536)):
            data += piece
        return data


def answer(body: bytes = b"", status: str = "200 OK", **headers: str) -> bytes:
    """Return an HTTP answer; an underscore in a header's name stands for a dash."""
    headers = {"Connection": "close", **headers}  # else the client may use a connection that is about to end
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body
