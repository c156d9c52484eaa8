"""The fault proxy does what it says, at the byte it says, and tells when it did not."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import requests
from fault_proxy import Action, Fault, FaultProxy, certificate
from support import RawServer, answer

WORDS = b"0123456789"


class Echo:
    """Sends back what comes, and notes what came and how each connection ended."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []
        self.ended = threading.Event()
        self.reset = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.place = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                end, _ = self._listener.accept()
            except OSError:
                return
            with end:
                try:
                    while piece := end.recv(65536):
                        self.seen.append(piece)
                        end.sendall(piece)
                except ConnectionError:
                    self.reset = True
                self.ended.set()

    @property
    def text(self) -> bytes:
        return b"".join(self.seen)


@contextmanager
def through(*faults: Fault) -> Iterator[tuple[Echo, FaultProxy, socket.socket]]:
    with closing(Echo()) as echo, FaultProxy(echo.place, *faults) as proxy:
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as client:
            yield echo, proxy, client


def received(client: socket.socket, most: int = 1000) -> tuple[bytes, str]:
    """Return what comes, up to `most` bytes, and how it ended."""
    got = b""
    try:
        while len(got) < most:
            piece = client.recv(most - len(got))
            if not piece:
                return got, "fin"
            got += piece
    except ConnectionResetError:
        return got, "rst"
    except TimeoutError:
        return got, "silence"
    return got, "open"


def test_without_faults_every_byte_passes() -> None:
    """Both ways, over several exchanges, which are told apart; nothing is left to consume."""
    with through() as (echo, proxy, client):
        for word in (b"first", b"second"):
            client.sendall(word)
            assert received(client, len(word)) == (word, "open")
        client.shutdown(socket.SHUT_WR)
        assert received(client) == (b"", "fin")
        assert echo.text == b"firstsecond"
        assert [bytes(exchange.request) for exchange in proxy.exchanges] == [b"first", b"second"]
        assert [bytes(exchange.response) for exchange in proxy.exchanges] == [b"first", b"second"]
        proxy.assert_all_consumed()


@pytest.mark.parametrize("at", [0, 1, 9])
def test_a_response_is_cut_or_reset_at_its_byte(at: int) -> None:
    """The bytes before it arrive, the rest does not, and the ending is FIN or RST."""
    for action, ending in (("cut", "fin"), ("reset", "rst")):
        with through(Fault("response", action, at)) as (_, proxy, client):  # type: ignore[arg-type]
            client.sendall(WORDS)
            got, how = received(client)
            assert how == ending
            assert got == WORDS[:at] or (ending == "rst" and WORDS.startswith(got))  # RST may overtake what came
            proxy.assert_all_consumed()


@pytest.mark.parametrize("action", ["cut", "reset"])
def test_a_request_is_cut_or_reset_at_its_byte(action: Action) -> None:
    """The far side gets the bytes before it and then the same ending as the client."""
    with through(Fault("request", action, 4)) as (echo, proxy, client):
        client.sendall(WORDS)
        assert received(client)[1] == {"cut": "fin", "reset": "rst"}[action]
        assert echo.ended.wait(5)
        assert WORDS[:4].startswith(echo.text)
        assert echo.text == WORDS[:4] or echo.reset
        proxy.assert_all_consumed()


def test_a_stall_ends_with_a_cut() -> None:
    """Nothing comes while it lasts."""
    with through(Fault("response", "stall", 3, seconds=0.3)) as (_, proxy, client):
        client.sendall(WORDS)
        assert received(client, 3) == (WORDS[:3], "open")
        client.settimeout(0.1)
        assert received(client) == (b"", "silence")
        client.settimeout(5)
        assert received(client) == (b"", "fin")
        proxy.assert_all_consumed()


def test_a_drop_swallows_the_rest() -> None:
    """What follows is read and gone; then comes the end."""
    with through(Fault("request", "drop", 3, seconds=0.1)) as (echo, proxy, client):
        client.sendall(WORDS)
        client.sendall(WORDS)
        assert received(client)[1] == "fin"
        assert echo.ended.wait(5)
        assert echo.text == WORDS[:3]
        proxy.assert_all_consumed()


def test_a_delay_loses_nothing() -> None:
    """All bytes come, those from its byte on later."""
    with through(Fault("response", "delay", 3, seconds=0.2)) as (_, proxy, client):
        began = time.monotonic()
        client.sendall(WORDS)
        assert received(client, 3) == (WORDS[:3], "open")
        assert received(client, 7) == (WORDS[3:], "open")
        assert time.monotonic() - began >= 0.2
        proxy.assert_all_consumed()


def test_slices_are_small() -> None:
    """The far side gets the head at once and the rest in pieces of the size asked for."""
    with through(Fault("request", "slice", 4, size=2, seconds=0.03)) as (echo, proxy, client):
        client.sendall(WORDS)
        assert received(client, 10) == (WORDS, "open")
        assert echo.text == WORDS
        assert len(echo.seen) >= 3
        proxy.assert_all_consumed()


def test_one_byte_is_corrupted() -> None:
    """Its bits are turned, all others stay."""
    with through(Fault("response", "corrupt", 4, mask=0x01)) as (_, proxy, client):
        client.sendall(WORDS)
        assert received(client, 10) == (b"0123556789", "open")
        proxy.assert_all_consumed()


@pytest.mark.parametrize(
    "fault",
    [
        Fault("response", "cut", 10),
        Fault("request", "reset", 99),
        Fault("response", "corrupt", 0, match=b"other"),
        Fault("response", "corrupt", 0, times=2),
    ],
    ids=["behind the end", "far behind", "no such request", "not often enough"],
)
def test_a_fault_that_did_not_happen_is_reported(fault: Fault) -> None:
    """Its byte never came, no request matched, or it happened too seldom."""
    with through(fault) as (_, proxy, client):
        client.sendall(WORDS)
        assert received(client, 10)[1] == "open"
        assert proxy.unconsumed() == [fault]
        with pytest.raises(AssertionError, match="never happened"):
            proxy.assert_all_consumed()


def test_faults_go_to_the_requests_that_they_match() -> None:
    """In order, each as often as it says, counted from the start of its own exchange."""
    faults = [Fault("response", "corrupt", 1, b"b", times=2, mask=0x20), Fault("response", "corrupt", 0, mask=0x20)]
    with through(*faults) as (_, proxy, client):
        for word, comes in ((b"bbb", b"bBb"), (b"aaa", b"Aaa"), (b"bbb", b"bBb"), (b"bbb", b"bbb")):
            client.sendall(word)
            assert received(client, 3) == (comes, "open")
        proxy.assert_all_consumed()


@pytest.mark.parametrize("notify", [True, False])
def test_tls_is_cut_with_and_without_a_goodbye(notify: bool, tmp_path: Path) -> None:
    """Between client and proxy; a client that looks can tell close_notify from a bare FIN."""
    context, authority = certificate(tmp_path)
    trusting = ssl.create_default_context(cafile=authority)
    with (
        closing(Echo()) as echo,
        FaultProxy(echo.place, Fault("response", "cut", 4, notify=notify), tls=context) as proxy,
    ):
        plain = socket.create_connection(("127.0.0.1", proxy.port), timeout=5)
        with trusting.wrap_socket(plain, server_hostname="127.0.0.1", suppress_ragged_eofs=False) as client:
            client.sendall(WORDS)
            assert client.recv(4) == WORDS[:4]
            if notify:
                assert client.recv(1) == b""
            else:
                with pytest.raises(ssl.SSLEOFError):
                    client.recv(1)
        assert echo.text == WORDS
        proxy.assert_all_consumed()


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_http_goes_through(secure: bool, tmp_path: Path) -> None:
    """A whole answer passes; cut in its body it is an error of requests."""
    context, authority = certificate(tmp_path)
    with RawServer(answer(b"whole", Content_Length="5")) as server:
        with FaultProxy(server.url, tls=context if secure else None) as proxy:
            assert requests.get(proxy.url, verify=authority, timeout=5).text == "whole"
            head = len(proxy.exchanges[0].response) - 5
            proxy.arm(Fault("response", "cut", head + 3))
            with pytest.raises(requests.exceptions.ChunkedEncodingError):
                requests.get(proxy.url, verify=authority, timeout=5)
            proxy.assert_all_consumed()
