"""Faults on demand: what a network, a proxy or the service itself may do to one request, told as small data.

`Server.script` keeps a queue for each operation (create, get, list, cancel, start, upload, download) and plays one
fault a request; an upload in parts is started once, and each part is an upload. A fault is a rule, or a list of rules,
each applied to what the one before left; it can be kept as JSON. A rule is ``"name"``, ``"name:argument"`` or
``{"name": argument}``. There are three kinds:

* An *answer* stands in the place of the host's own: ``return-503``. With ``-after`` the host does its work first and
  its answer is lost (``drop-after``: the job is made, nobody hears of it); ``-before`` is the same as neither.
* A *change* spoils the host's own answer: ``cut:17``, ``["bare", "chunked"]``.
* An *arrival* spoils the request before the host sees it: ``keep:100``.

`ANSWERS`, `CHANGES` and `ARRIVALS` are the tables of all rules; ``"ok"`` is the fault without any. A rule that
would change nothing (a cut behind the end, say) is a misfire, and `Script.assert_all_fired` tells of it: a test
whose fault did not happen proves nothing. In lines, ``$id`` stands for the ID of the first record.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import random
import re
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, TypeVar

from ..errors import InputError
from .blobs import Blob
from .wire import Handler, Headers, Reply, whole

OPERATIONS = ("create", "get", "list", "cancel", "start", "upload", "download")
HOLD = 60.0  # seconds that a stalled answer waits for the client to give up

Fault = str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]]
Deed = Callable[[bytes], Reply]
_T = TypeVar("_T")


class Misfire(Exception):
    """A rule found nothing to spoil."""


@dataclass(frozen=True)
class Call:
    """One request as a rule sees it; `deed` is the host's own work and answer, or what earlier rules made of it."""

    handler: Handler
    body: bytes
    deed: Deed

    def reply(self) -> Reply:
        return self.deed(self.body)

    def under(self, rule: Rule) -> Call:
        return replace(self, deed=lambda body: rule(replace(self, body=body)))


Rule = Callable[[Call], Reply]


class Script:
    """Queues of faults, one for each operation; safe to call from many threads."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[tuple[Fault, list[Rule]]]] = {operation: deque() for operation in OPERATIONS}
        self._misfires: list[str] = []
        self._lock = threading.Lock()

    def add(self, operation: str, *faults: Fault) -> None:
        """Put faults at the end of an operation's queue."""
        if operation not in OPERATIONS:
            raise InputError(f"There is no operation {operation!r}. Use one of {', '.join(OPERATIONS)}.")
        parsed = [(fault, parse(fault)) for fault in faults]
        with self._lock:
            self._queues[operation].extend(parsed)

    def play(self, handler: Handler, body: bytes, deed: Deed) -> None:
        """Answer a request as the next fault of its operation has it. Every request of both hosts comes here."""
        queue = self._queues.get(handler.operation() or "")
        with self._lock:
            fault, rules = queue.popleft() if queue else ("ok", [])
        call = Call(handler, body, deed)
        for rule in rules:
            call = call.under(rule)
        try:
            handler.send(call.reply())
        except Misfire as error:
            handler.close_connection = True
            with self._lock:
                self._misfires.append(f"{fault!r} of {handler.operation()} changed nothing: {error}")

    def assert_all_fired(self) -> None:
        """Raise AssertionError unless every fault met its request and changed something."""
        with self._lock:
            told = [f"{fault!r} of {name} met no request" for name, queue in self._queues.items() for fault, _ in queue]
            told += self._misfires
        if told:
            raise AssertionError("; ".join(told))


def parse(fault: Fault) -> list[Rule]:
    """Return a fault's rules; InputError names what is not known.

    Examples
    --------
    >>> len(parse("ok")), len(parse("return-503")), len(parse(["bare", {"truncate": -5}]))
    (0, 1, 2)
    """
    if fault == "ok":
        return []
    parts = [fault] if isinstance(fault, str | Mapping) else list(fault)
    return [_rule(name, argument) for part in parts for name, argument in _named(part)]


def _named(part: str | Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    if isinstance(part, Mapping):
        return part.items()
    name, _, argument = part.partition(":")
    return [(name, argument)]


def _rule(name: str, argument: Any) -> Rule:
    stem = name.removesuffix("-before").removesuffix("-after")
    tables: list[tuple[Mapping[str, tuple[Any, Callable[[Any], Any]]], Callable[[str, Any, Any], Rule], str]] = [
        (ARRIVALS, _arrives, name),
        (CHANGES, _changes, name),
        (ANSWERS, _answers, stem),
    ]
    for table, make, key in tables:
        if key in table:
            function, read = table[key]
            try:
                return make(name, function, read(argument) if isinstance(argument, str) else argument)
            except ValueError:
                raise InputError(f"Fault {name!r} cannot read its argument {argument!r}. Correct it.") from None
    known = ", ".join(sorted([*ARRIVALS, *CHANGES, *ANSWERS]))
    raise InputError(f"There is no fault {name!r}. Use one of {known}.")


def _arrives(name: str, function: Callable[[bytes, Any], bytes], value: Any) -> Rule:
    return lambda call: call.deed(_other(name, call.body, function(call.body, value)))


def _changes(name: str, function: Callable[[Reply, Any], Reply], value: Any) -> Rule:
    def rule(call: Call) -> Reply:
        own = call.reply()
        return _other(name, own, function(own, value))

    return rule


def _answers(name: str, function: Callable[[Handler, Any], Reply], value: Any) -> Rule:
    def rule(call: Call) -> Reply:
        if name.endswith("-after"):
            call.reply()
        return function(call.handler, value)

    return rule


def _other(name: str, before: _T, after: _T) -> _T:
    if before == after:
        raise Misfire(name)
    return after


# --------------------------------------------------------------------- how answers break off


def _close(handler: Handler) -> None:
    handler.close_connection = True


def _abort(handler: Handler) -> None:
    """Close with RST, at once and for good: closing later would send FIN first."""
    handler.close_connection = True
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(handler.connection.detach())


def _hold(seconds: float) -> Callable[[Handler], None]:
    def hold(handler: Handler) -> None:
        handler.close_connection = True
        handler.connection.settimeout(seconds)
        try:
            handler.connection.recv(1)
        except OSError:
            pass  # the time is over, or the client is gone

    return hold


def _broken(upto: int, end: Callable[[Handler], None]) -> Callable[[Handler, bytes], None]:
    """Send so many of the answer's bytes (negative: all but so many), then end the connection."""

    def sending(handler: Handler, data: bytes) -> None:
        if data[:upto] == data:
            raise Misfire(f"the answer has {len(data)} bytes")
        handler.wfile.write(data[:upto])
        end(handler)

    return sending


def _then_close(handler: Handler, data: bytes) -> None:
    whole(handler, data)
    handler.close_connection = True


def _slowly(handler: Handler, data: bytes) -> None:
    size = max(len(data) // 20, 1)
    for start in range(0, len(data), size):
        handler.wfile.write(data[start : start + size])
        time.sleep(0.001)


# --------------------------------------------------------------------- answers in place of the host's own


def _return(status: HTTPStatus) -> Callable[[Handler, str], Reply]:
    def answer(handler: Handler, code: str) -> Reply:
        """A refusal in the manner of the host; the argument is its code or title."""
        return handler.refused(handler.refusal(status.value, code or status.phrase, status.phrase))

    return answer


def _redirect(status: HTTPStatus) -> Callable[[Handler, str], Reply]:
    def answer(handler: Handler, _: str) -> Reply:
        return Reply(status.value, [("Location", f"http://{handler.headers['Host']}/elsewhere")])

    return answer


_PAGE = b"<!DOCTYPE html>\n<html><head><title>Log in</title></head>\n<body>Accept the terms to go on.</body></html>\n"


def _html(handler: Handler, _: str) -> Reply:
    """The log-in page of a captive portal."""
    return Reply(200, [("Content-Type", "text/html; charset=utf-8")], _PAGE)


def _empty(handler: Handler, _: str) -> Reply:
    return Reply(200, [("Content-Type", "application/json")])


def _text(handler: Handler, text: str) -> Reply:
    """200 with this text, said to be JSON."""
    return Reply(200, [("Content-Type", "application/json")], text.encode("utf-8", "surrogatepass"))


def _echo(handler: Handler, status: int) -> Reply:
    """A refusal that repeats the request's credentials, as SignatureDoesNotMatch does (cloud.google.com docs)."""
    said = f"{handler.command} {handler.path} {handler.headers.get('Authorization', '')}"
    return handler.refused(handler.refusal(status, HTTPStatus(status).phrase, said))


def _too_many(handler: Handler, reset: str) -> Reply:
    """429, with a rate-limit window that ends in so many seconds, or when the argument says."""
    reply = _return(HTTPStatus.TOO_MANY_REQUESTS)(handler, "")
    seconds = re.fullmatch(r"[+-]?\d+", reset)
    moment = str(int(handler.server.service.clock()) + int(reset)) if seconds else reset
    limits = {"x_rate_limit_limit": "150", "x_rate_limit_remaining": "0", "x_rate_limit_reset": moment}
    return replace(reply, headers=_with(reply.headers, **limits))


def _silent(end: Callable[[Handler], None]) -> Reply:
    return Reply(200, [], sending=_broken(0, end))


ANSWERS: dict[str, tuple[Callable[[Handler, Any], Reply], Callable[[Any], Any]]] = {
    **{f"return-{status.value}": (_return(status), str) for status in HTTPStatus if status >= 200},
    **{f"redirect-{status.value}": (_redirect(status), str) for status in HTTPStatus if 300 <= status < 400},
    "return-html": (_html, str),
    "return-empty": (_empty, str),
    "return-json": (_text, str),
    "echo": (_echo, int),
    "too-many": (_too_many, str),
    "drop": (lambda handler, _: _silent(_close), str),  # the connection closes without an answer
    "reset": (lambda handler, _: _silent(_abort), str),  # or breaks
    "stall": (lambda handler, seconds: _silent(_hold(seconds)), float),  # or hangs
}


# --------------------------------------------------------------------- changes of what arrives

ARRIVALS: dict[str, tuple[Callable[[bytes, Any], bytes], Callable[[Any], Any]]] = {
    "keep": (lambda body, size: body[:size], int),  # the rest of the request's body is lost, unnoticed
}


# --------------------------------------------------------------------- changes of any answer


def _with(headers: Headers, **changed: str | None) -> Headers:
    """Return the headers with some replaced; None removes. An underscore stands for a dash."""
    new = {name.replace("_", "-"): text for name, text in changed.items()}
    kept = [(name, text) for name, text in headers if name.lower() not in new]
    return kept + [(name, text) for name, text in new.items() if text is not None]


def _headers(reply: Reply, changed: Mapping[str, str | None]) -> Reply:
    """Other headers; null removes one."""
    return replace(reply, headers=_with(reply.headers, **{name.lower(): text for name, text in changed.items()}))


def _status(reply: Reply, status: int) -> Reply:
    return replace(reply, status=status)


def _date(reply: Reply, moment: str) -> Reply:
    """A Date: seconds since the epoch, or what the argument says."""
    return replace(
        reply, headers=_with(reply.headers, date=formatdate(int(moment), usegmt=True) if moment.isdigit() else moment)
    )


def _chunks(body: bytes) -> tuple[Headers, bytes]:
    size = max(len(body) // 3, 1)
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    coded = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in [*pieces, b""])
    return [("Transfer-Encoding", "chunked")], coded


def _claim(reply: Reply, more: int) -> Reply:
    """A Content-Length that is so many bytes too large (or, negative, too small); then the end."""
    return replace(
        reply,
        framing=lambda body: ([("Content-Length", str(len(body) + more))], body),
        sending=_then_close,
    )


# --------------------------------------------------------------------- changes of the API's answers


def _json(reply: Reply, edit: Callable[[dict[str, Any]], dict[str, Any]]) -> Reply:
    if reply.status != 200:
        raise Misfire(f"the answer is {reply.status}")
    packed = ("Content-Encoding", "gzip") in reply.headers
    before = json.loads(gzip.decompress(reply.body) if packed else reply.body)
    after = edit(before)
    if after == before:
        raise Misfire("the answer says so anyway")
    body = json.dumps(after).encode()
    return replace(reply, body=gzip.compress(body) if packed else body)


def _merged(members: Mapping[str, Any], changed: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in {**members, **changed}.items() if value is not None}


def _mutate(reply: Reply, changed: Mapping[str, Any]) -> Reply:
    """Other members of the job (in a list: of the newest); null removes one."""

    def edit(answer: dict[str, Any]) -> dict[str, Any]:
        data = answer.get("data")
        if isinstance(data, list):
            return {**answer, "data": [_merged(data[0], changed), *data[1:]]}
        if data is None:
            raise Misfire("the answer holds no job")
        return {**answer, "data": _merged(data, changed)}

    return _json(reply, edit)


def _envelope(reply: Reply, changed: Mapping[str, Any]) -> Reply:
    """Other members of the answer around the job or the list."""
    return _json(reply, lambda answer: _merged(answer, changed))


def _list_too(reply: Reply, job: Mapping[str, Any]) -> Reply:
    """One more job in the list."""

    def edit(answer: dict[str, Any]) -> dict[str, Any]:
        data = [dict(job), *answer.get("data", [])]
        return {**answer, "data": data, "meta": {"result_count": len(data)}}

    return _json(reply, edit)


# --------------------------------------------------------------------- changes of the storage's answers


def _found(reply: Reply) -> Reply:
    if reply.status != 200:
        raise Misfire(f"the answer is {reply.status}")
    return reply


def _bare(reply: Reply, _: str) -> Reply:
    """No x-goog header at all, as a service other than Google's storage would answer."""
    return replace(
        _found(reply), headers=[header for header in reply.headers if not header[0].lower().startswith("x-goog-")]
    )


def _prove(reply: Reply, _: str) -> Reply:
    """Headers that prove the changed body: the service really holds it."""
    crc32c, size = Blob(reply.body, 0, 0).crc32c, str(len(reply.body))
    headers = _with(reply.headers, x_goog_hash=f"crc32c={crc32c}", x_goog_stored_content_length=size)
    return replace(reply, headers=headers)


def _hash(reply: Reply, word: str) -> Reply:
    """Another x-goog-hash: none, wrong, wrong-md5 (beside the right crc32c), md5 (the right one alone), or this."""
    blob = Blob(_found(reply).body, 0, 0)
    own = [text for name, text in reply.headers if name == "x-goog-hash"]
    crc32c = next((text for text in own if text.startswith("crc32c=")), f"crc32c={blob.crc32c}")
    md5 = next((text for text in own if text.startswith("md5=")), f"md5={base64.b64encode(blob.md5).decode()}")
    words = {"none": None, "wrong": "crc32c=AAAAAA==", "wrong-md5": f"{crc32c},md5={'A' * 22}==", "md5": md5}
    return replace(reply, headers=_with(reply.headers, x_goog_hash=words.get(word, word)))


def _body(function: Callable[[bytes, Any], bytes]) -> Callable[[Reply, Any], Reply]:
    def change(reply: Reply, argument: Any) -> Reply:
        return replace(reply, body=function(_found(reply).body, argument))

    return change


def _flip(body: bytes, at: int) -> bytes:
    """One bit of one byte is another."""
    return body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]


_ID = re.compile(rb'("id":)"(\d+)"')


def _first(body: bytes) -> tuple[bytes, bytes, bytes]:
    """Return the first record's line, its ID, and the other lines."""
    line, _, rest = body.partition(b"\n")
    match = _ID.search(line)
    if match is None:
        raise Misfire("there is no record")
    return line, match[2], rest


def _filled(text: str, id: bytes) -> bytes:
    return text.encode("utf-8", "surrogatepass").replace(b"$id", id) + b"\n"


def _line(body: bytes, text: str) -> bytes:
    """One more line, this text; ``\\xNN`` in it is that byte."""
    raw = re.sub(rb"\\x([0-9a-f]{2})", lambda match: bytes.fromhex(match[1].decode()), _filled(text, _first(body)[1]))
    return body + raw


def _swap_line(body: bytes, text: str) -> bytes:
    """This text instead of the first record."""
    _, id, rest = _first(body)
    return _filled(text, id) + rest


def _long_line(body: bytes, size: int) -> bytes:
    return _line(body, '{"id":"$id","x":"' + "x" * size + '"}')


def _deep_line(body: bytes, depth: int) -> bytes:
    return _line(body, '{"id":"$id","x":' + "[" * depth + "]" * depth + "}")


def _lose_line(body: bytes, _: str) -> bytes:
    return _first(body)[2]


def _double_line(body: bytes, _: str) -> bytes:
    line, _id, rest = _first(body)
    return line + b"\n" + rest + line + b"\n"


def _number_ids(body: bytes, _: str) -> bytes:
    return _ID.sub(rb"\1\2", body)


def _float_ids(body: bytes, _: str) -> bytes:
    return _ID.sub(rb"\1\2.0", body)


def _other_ids(body: bytes, _: str) -> bytes:
    """The results of another job: each ID's last digit but one is another."""
    return _ID.sub(lambda match: b'%b"%d"' % (match[1], int(match[2]) + 30), body)


def _shuffled(body: bytes, seed: int) -> bytes:
    lines = body.splitlines(keepends=True)
    random.Random(seed).shuffle(lines)
    return b"".join(lines)


def _gzip(reply: Reply, _: str) -> Reply:
    """The object is stored packed, and sent as it is stored."""
    headers = {"content_encoding": "gzip", "x_goog_stored_content_encoding": "gzip"}
    packed = gzip.compress(_found(reply).body, mtime=0)
    return _prove(replace(reply, body=packed, headers=_with(reply.headers, **headers)), "")


def _bomb(reply: Reply, size: int) -> Reply:
    """A small packed object that becomes large."""
    return _gzip(replace(_found(reply), body=b" " * size), "")


def _transcoded(reply: Reply, _: str) -> Reply:
    """The object is stored packed, but unpacked on its way (cloud.google.com/storage/docs/transcoding)."""
    headers = _with(_gzip(reply, "").headers, content_encoding=None)
    return replace(reply, headers=headers, framing=_chunks)


CHANGES: dict[str, tuple[Callable[[Reply, Any], Reply], Callable[[Any], Any]]] = {
    # any answer
    "headers": (_headers, json.loads),
    "status": (_status, int),
    "date": (_date, str),
    "chunked": (lambda reply, _: replace(reply, framing=_chunks), str),
    "close": (lambda reply, _: replace(reply, framing=lambda body: ([], body), sending=_then_close), str),
    "claim": (_claim, int),
    "cut": (lambda reply, upto: replace(reply, sending=_broken(upto, _close)), int),
    "cut-reset": (lambda reply, upto: replace(reply, sending=_broken(upto, _abort)), int),
    "cut-stall": (lambda reply, upto: replace(reply, sending=_broken(upto, _hold(HOLD))), int),
    "hang-up": (lambda reply, _: replace(reply, sending=_then_close), str),  # after the answer, without a word
    "slow": (lambda reply, _: replace(reply, sending=_slowly), str),
    # the API's
    "mutate": (_mutate, json.loads),
    "envelope": (_envelope, json.loads),
    "list-too": (_list_too, json.loads),
    # the storage's
    "bare": (_bare, str),
    "prove": (_prove, str),
    "hash": (_hash, str),
    "truncate": (_body(lambda body, size: body[:size]), int),
    "flip": (_body(_flip), int),
    "line": (_body(_line), str),
    "swap-line": (_body(_swap_line), str),
    "long-line": (_body(_long_line), int),
    "deep-line": (_body(_deep_line), int),
    "lose-line": (_body(_lose_line), str),
    "double-line": (_body(_double_line), str),
    "shuffled": (_body(_shuffled), int),
    "number-ids": (_body(_number_ids), str),
    "float-ids": (_body(_float_ids), str),
    "other-ids": (_body(_other_ids), str),
    "gzip": (_gzip, str),
    "bomb": (_bomb, int),
    "transcoded": (_transcoded, str),
}
