"""A TCP proxy on loopback that breaks a connection at an exact byte, and says whether it did.

It knows no HTTP. An *exchange* is what a client says and what comes back, until the client speaks again; bytes are
counted from the start of an exchange, each direction for itself. TLS, if asked for, is spoken with the client only.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import trustme

PIECE = 1 << 16
LINGER_NONE = struct.pack("ii", 1, 0)  # closing sends RST

Direction = Literal["request", "response"]
Action = Literal["cut", "reset", "stall", "drop", "delay", "slice", "corrupt"]
Ending = Literal["cut", "reset"]


@dataclass(eq=False)
class Fault:
    """What to do to an exchange when byte `at` (from 0) of a direction comes by; the bytes before it pass.

    cut      end both sides with FIN; over TLS without close_notify, unless `notify`
    reset    end both sides with RST
    stall    let nothing more pass for `seconds`, then cut
    drop     swallow the rest until the sender is silent for `seconds`, then cut
    delay    wait `seconds`, then go on
    slice    forward this byte and all that follow in pieces of `size`, `seconds` apart
    corrupt  xor this byte with `mask`

    `match` must be in the first bytes of the request; `times` is how many exchanges it is for.
    """

    direction: Direction
    action: Action
    at: int
    match: bytes = b""
    times: int = 1
    seconds: float = 0.0
    size: int = 1
    mask: int = 0xFF
    notify: bool = False
    given: int = 0  # exchanges that it was given to
    fired: int = 0  # exchanges in which its byte came by


@dataclass(eq=False)
class Exchange:
    """What both sides sent, as it reached the proxy."""

    request: bytearray = field(default_factory=bytearray)
    response: bytearray = field(default_factory=bytearray)


class FaultProxy:
    """Forwards connections to `target`, a URL or "host:port", and breaks them as its faults say.

    `url` is where it listens and `exchanges` what it saw. Each exchange gets the first fault that matches it and was
    not yet given out `times` times.
    """

    def __init__(self, target: str, *faults: Fault, tls: ssl.SSLContext | None = None) -> None:
        place = urlsplit(target if "//" in target else f"//{target}")
        self.target = (place.hostname or "127.0.0.1", place.port or 80)
        self.exchanges: list[Exchange] = []
        self.faults: list[Fault] = list(faults)
        self.closing = threading.Event()
        self._tls = tls
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def arm(self, *faults: Fault) -> None:
        """Forget the faults and the exchanges so far; queue these faults instead."""
        with self._lock:
            self.faults, self.exchanges = list(faults), []

    def unconsumed(self) -> list[Fault]:
        """Return the faults that did not happen as often as they should have."""
        with self._lock:
            return [fault for fault in self.faults if fault.fired < fault.times]

    def assert_all_consumed(self) -> None:
        """Raise AssertionError, naming them, if any fault did not happen: a test of it would prove nothing."""
        left = self.unconsumed()
        assert not left, f"these faults never happened: {left}"

    def __enter__(self) -> FaultProxy:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept; closing alone does not
        self._listener.close()
        self._thread.join(5)

    def begin(self, first: bytes) -> tuple[Exchange, Fault | None]:
        """Note a new exchange and give it a fault, if one is due."""
        with self._lock:
            exchange = Exchange()
            self.exchanges.append(exchange)
            due = (fault for fault in self.faults if fault.given < fault.times and fault.match in first)
            fault = next(due, None)
            if fault is not None:
                fault.given += 1
            return exchange, fault

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client, socket.create_connection(self.target) as far:
            for end in (client, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is None:
                _Link(self, client, far).run()
            else:
                with self._tls.wrap_socket(client, server_side=True) as secure:
                    _Link(self, secure, far).run()


class _Link:
    """One connection. One thread serves both directions, because a TLS object must not be used by two."""

    def __init__(self, proxy: FaultProxy, client: socket.socket, far: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._far = far
        self._exchange: Exchange | None = None
        self._fault: Fault | None = None
        self._fired = False

    def run(self) -> None:
        sources: list[socket.socket] = [self._client, self._far]
        while not self._proxy.closing.is_set():
            held = isinstance(self._client, ssl.SSLSocket) and self._client in sources and self._client.pending()
            for source in [self._client] if held else select.select(sources, [], [], 0.2)[0]:
                data = source.recv(PIECE)
                ending: Ending | None = None
                if data:
                    ending = self._pass("request" if source is self._client else "response", data)
                elif source is self._client:
                    sources.remove(source)
                    self._far.shutdown(socket.SHUT_WR)
                else:
                    ending = "cut"
                if ending is not None:
                    notify = self._fault.notify if self._fault is not None and self._fired else True
                    return self._end(ending, notify)

    def _pass(self, direction: Direction, data: bytes) -> Ending | None:
        """Forward what came, as the exchange's fault allows; return how the connection is to end, if now."""
        if self._exchange is None or (direction == "request" and self._exchange.response):
            (self._exchange, self._fault), self._fired = self._proxy.begin(data), False
        sink = self._far if direction == "request" else self._client
        seen = self._exchange.request if direction == "request" else self._exchange.response
        place = 0 if self._fault is None else max(self._fault.at - len(seen), 0)
        seen += data
        fault = self._fault
        if fault is None or fault.direction != direction or place >= len(data):
            sink.sendall(data)
            return None
        sink.sendall(data[:place])
        first, self._fired = not self._fired, True
        fault.fired += first
        return self._act(fault, first, sink, data[place:])

    def _act(self, fault: Fault, first: bool, sink: socket.socket, rest: bytes) -> Ending | None:
        if fault.action in ("cut", "reset"):
            return "cut" if fault.action == "cut" else "reset"
        if fault.action == "stall":
            self._proxy.closing.wait(fault.seconds)
            return "cut"
        if fault.action == "drop":
            source = self._client if sink is self._far else self._far
            source.settimeout(fault.seconds or 0.02)
            with contextlib.suppress(TimeoutError):
                while source.recv(PIECE):
                    pass
            return "cut"
        if fault.action == "slice":
            for start in range(0, len(rest), fault.size):
                sink.sendall(rest[start : start + fault.size])
                time.sleep(fault.seconds)
            return None
        if first and fault.action == "delay":
            self._proxy.closing.wait(fault.seconds)
        if first and fault.action == "corrupt":
            rest = bytes([rest[0] ^ fault.mask]) + rest[1:]
        sink.sendall(rest)
        return None

    def _end(self, ending: Ending, notify: bool) -> None:
        if ending == "reset":
            for end in (self._client, self._far):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NONE)
                end.close()
            return
        self._far.close()
        finish(self._client, notify)


def finish(client: socket.socket, notify: bool) -> None:
    """Send FIN, over TLS with or without close_notify before it, and wait until the client closes too.

    Closing with something unread would be a reset.
    """
    with contextlib.suppress(OSError, ValueError):
        if notify and isinstance(client, ssl.SSLSocket):
            client.settimeout(0)
            with contextlib.suppress(ssl.SSLWantReadError):
                client.unwrap()
        client.shutdown(socket.SHUT_WR)
        client.settimeout(2)
        while client.recv(PIECE):
            pass


def certificate(folder: Path) -> tuple[ssl.SSLContext, str]:
    """Return a server's TLS context for 127.0.0.1 and the path of the CA file that a client must trust."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    path = folder / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return context, str(path)
