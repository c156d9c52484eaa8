"""HTTP plumbing that both hosts share: listening, bodies read whole, one place that sends."""

from __future__ import annotations

import os
import socket
import socketserver
import sys
import threading
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from .refusals import Refusal

if TYPE_CHECKING:
    from .faults import Script
    from .service import Service

HOST = "127.0.0.1"
_DISCARD = 8 * 2**20  # a body too large to accept but small enough to read, so that the client hears the refusal


Headers = list[tuple[str, str]]


def by_length(body: bytes) -> tuple[Headers, bytes]:
    """Tell where the body ends by a Content-Length."""
    return [("Content-Length", str(len(body)))], body


def whole(handler: Handler, data: bytes) -> None:
    """Send all of it."""
    handler.wfile.write(data)


@dataclass(frozen=True)
class Reply:
    """An answer.

    Attributes
    ----------
    status : int
    headers : list of (str, str)
        All but those that tell where the body ends.
    body : bytes
    framing : callable
        Body -> the headers that tell its end, and its bytes on the wire.
    sending : callable
        What becomes of the answer's bytes.
    """

    status: int
    headers: Headers
    body: bytes = b""
    framing: Callable[[bytes], tuple[Headers, bytes]] = by_length
    sending: Callable[[Handler, bytes], None] = whole


class Listener(ThreadingHTTPServer):
    """One host on a loopback port. It knows its live connections, so that it can end them."""

    daemon_threads = True
    request_queue_size = 64
    allow_reuse_address = os.name != "nt"  # on Windows it would let two servers share a port

    def __init__(self, port: int, handler: type[Handler], service: Service, token: str, script: Script) -> None:
        self.service = service
        self.token = token
        self.script = script
        self._live: set[socket.socket] = set()
        self._live_lock = threading.Lock()
        super().__init__((HOST, port), handler)
        self.url = f"http://{HOST}:{self.server_port}"
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), name=f"sandbox-{handler.__name__}")
        self._thread.daemon = True

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # HTTPServer's own looks the host's name up, which can take seconds
        self.server_name, self.server_port = HOST, self.server_address[1]

    def begin(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Close the port and every live connection."""
        if self._thread.is_alive():
            self.shutdown()
        self.server_close()
        with self._live_lock:
            for connection in self._live:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # the other side was first

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._live_lock:
            self._live.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._live_lock:
            self._live.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):  # a connection that broke is no error of this server
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """Reads one request whole, has it answered, sends the answer."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Listener
    product: str  # the Server header

    @abstractmethod
    def answer(self, body: bytes, arrived: float) -> Reply:
        """Answer the request that arrived at that moment, or raise a Refusal."""

    @abstractmethod
    def operation(self) -> str | None:
        """Return what the request is: create, get, list, cancel, upload, download, or None for nothing of these."""

    @abstractmethod
    def body_max(self) -> int:
        """Return how many bytes the request's body may have."""

    @abstractmethod
    def refusal(self, status: int, code: str, text: str) -> Refusal:
        """Return a refusal in the manner of this host."""

    def parse_request(self) -> bool:
        """Read the head. One that breaks off raises, where Python takes the connection's end for the head's."""
        reading, lines = self.rfile, [b"\n"]

        def readline(limit: int) -> bytes:
            lines.append(reading.readline(limit))
            return lines[-1]

        self.rfile = SimpleNamespace(readline=readline)  # type: ignore[assignment]
        try:
            parsed = super().parse_request()
        finally:
            self.rfile = reading
        if parsed and lines[-1] not in (b"\r\n", b"\n"):
            raise ConnectionAbortedError("the request's head ended early")
        return parsed

    def begin(self) -> None:
        """Forget the request before: one handler serves all requests of a connection."""

    def refused(self, refusal: Refusal) -> Reply:
        return Reply(refusal.status, [("Content-Type", refusal.content_type), *refusal.headers], refusal.body())

    def exchange(self) -> None:
        self.begin()
        arrived = self.server.service.clock()
        try:
            body = self._read_body()
            self._check_host()
        except Refusal as refusal:
            self.send(self.refused(refusal))
        else:
            self.server.script.play(self, body, partial(self._answered, arrived))

    def _answered(self, arrived: float, body: bytes) -> Reply:
        try:
            return self.answer(body, arrived)
        except Refusal as refusal:
            return self.refused(refusal)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = do_TRACE = exchange

    def _read_body(self) -> bytes:
        """Return the whole body. A connection that ends early raises, so half a body never counts."""
        lengths = self.headers.get_all("Content-Length", [])
        if "Transfer-Encoding" in self.headers or (not lengths and self.command in ("PUT", "POST")):
            self.close_connection = True
            raise self.refusal(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")
        if not lengths:
            return b""
        if len(set(lengths)) > 1 or not (lengths[0].isascii() and lengths[0].isdigit()):
            self.close_connection = True
            raise self.refusal(400, "InvalidArgument", "The Content-Length header is not one whole number.")
        length = int(lengths[0])
        most = self.body_max()
        if length > most:
            self.close_connection = True
            if length <= _DISCARD:
                self.rfile.read(length)
            raise self.refusal(413, "EntityTooLarge", f"The body may have at most {most} bytes.")
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionAbortedError("the request ended early")
        return body

    def _check_host(self) -> None:
        """Refuse foreign names: a web page whose own name was pointed at 127.0.0.1 must get nothing."""
        port = self.server.server_port
        if self.headers.get_all("Host") not in ([f"{HOST}:{port}"], [f"localhost:{port}"]):
            self.close_connection = True
            raise self.refusal(421, "MisdirectedRequest", f"This server answers to {HOST}:{port} only.")

    def send(self, reply: Reply) -> None:
        """Send an answer; Server and Date are added unless it has its own."""
        framing, body = reply.framing(reply.body)
        headers = [("Server", self.version_string()), ("Date", self.date_time_string())]
        own = {name.lower() for name, _ in reply.headers}
        headers = [header for header in headers if header[0].lower() not in own] + reply.headers + framing
        if self.close_connection:
            headers.append(("Connection", "close"))
        phrase = self.responses.get(reply.status, ("",))[0]
        lines = [f"{self.protocol_version} {reply.status} {phrase}", *(f"{name}: {text}" for name, text in headers)]
        head = "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1")
        reply.sending(self, head if self.command == "HEAD" else head + body)

    def version_string(self) -> str:
        return self.product

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return the moment for a Date header, by the service's own clock."""
        return formatdate(self.server.service.clock() if timestamp is None else timestamp, usegmt=True)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the request line of a signed URL is a secret."""
