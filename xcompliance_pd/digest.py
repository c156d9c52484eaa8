"""How much an answer proves: running hashes over its raw bytes, and the grade of evidence they give.

X reports only the IDs that need action, so a lost byte reads as "compliant". Grades, best first:

``hash``      the server's checksum of the stored object matches the bytes received
``length``    exact ``Content-Length``, no content coding, no transfer coding, a whole last line
``framed``    a properly ended chunked answer; counts only when a second download is identical
``given``     nothing speaks against it, but the list of IDs, or the result, is not what was seen here to be exchanged:
              it was given by the user, and holds on that word
``unproved``  anything less: what it lists may be used, what it does not list proves nothing

Headers: https://cloud.google.com/storage/docs/xml-api/reference-headers. X's results are composite objects
and carry crc32c but no md5 (recorded in November 2021).
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum

import google_crc32c

from .protocol import Received, stored_hashes

MEMBERS_MAX = 1000  # of gzip; a composed object has at most 32 parts
UNPACKED_MAX = 4 << 30  # bytes; a result line has some 140, so this is 30 million findings in one batch


class Grade(StrEnum):
    HASH = "hash"
    LENGTH = "length"
    FRAMED = "framed"
    GIVEN = "given"
    UNPROVED = "unproved"


class Digest:
    """Length, crc32c, sha256 and, if it is asked for, md5 of bytes that pass by.

    Parameters
    ----------
    md5 : bool
        It takes longer than all the rest together, so leave it out where no server names one: then it is ``b""``.

    Examples
    --------
    >>> digest = Digest()
    >>> digest.update(b"123456789")
    >>> digest.length, digest.crc32c.hex()
    (9, 'e3069283')
    """

    def __init__(self, md5: bool = False) -> None:
        self.length = 0
        self.last_byte = b""
        self._crc32c = google_crc32c.Checksum()
        self._md5 = hashlib.md5(usedforsecurity=False) if md5 else None
        self._sha256 = hashlib.sha256()

    def update(self, block: bytes) -> None:
        if block:
            self.length += len(block)
            self.last_byte = block[-1:]
            self._crc32c.update(block)
            if self._md5 is not None:
                self._md5.update(block)
            self._sha256.update(block)

    @property
    def crc32c(self) -> bytes:
        return bytes(self._crc32c.digest())

    @property
    def md5(self) -> bytes:
        return b"" if self._md5 is None else self._md5.digest()

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()

    def received(self, status: int, headers: Mapping[str, str], broken: bool = False) -> Received:
        return Received(status, headers, self.length, self.crc32c, self.md5, self.sha256, self.last_byte, broken)


def hashes_agree(headers: Mapping[str, str], crc32c: bytes, md5: bytes) -> bool | None:
    """Compare every hash the server names with ours: True all equal, False any different, None none named.

    A header that cannot be read counts as different, and so does an md5 that was not computed.
    """
    theirs = stored_hashes(headers)
    if theirs is None:
        return False
    if not theirs:
        return None
    ours = {"crc32c": crc32c, "md5": md5}
    return all(ours[name] == value for name, value in theirs.items())


def damage(received: Received) -> str | None:
    """Say why a 200 answer cannot be the whole object, or None when nothing contradicts that.

    Examples
    --------
    >>> digest = Digest()
    >>> digest.update(b"half a li")
    >>> damage(digest.received(200, {"content-length": "20"}))
    'it ended after 9 of 20 bytes'
    """
    headers = received.headers
    coding = headers.get("content-encoding", "identity")
    length = headers.get("content-length")
    if received.broken:
        return f"the connection broke after {received.length} bytes"
    if length is not None and length != str(received.length):
        return f"it ended after {received.length} of {length[:20]} bytes"
    stored_coding = headers.get("x-goog-stored-content-encoding", coding)
    if stored_coding != coding:
        # Unpacked on the way ("decompressive transcoding"): neither length nor hash describe these bytes.
        return f"it was stored as {stored_coding[:20]} but sent as {coding[:20]}"
    stored_length = headers.get("x-goog-stored-content-length")
    if stored_length is not None and stored_length != str(received.length):
        return f"it has {received.length} bytes, the stored object {stored_length[:20]}"
    if hashes_agree(headers, received.crc32c, received.md5) is False:
        return "its checksum differs from the server's"
    if coding not in ("identity", "gzip"):
        return f"its content coding {coding[:20]!r} is not known"
    return None


def grade(received: Received) -> Grade:
    """Return the evidence that an undamaged answer carries.

    Examples
    --------
    >>> digest = Digest()
    >>> digest.update(b'{"id":"1"}\\n')
    >>> str(grade(digest.received(200, {"content-length": "11"}))), str(grade(digest.received(200, {})))
    ('length', 'unproved')
    """
    headers = received.headers
    if damage(received) is not None:
        return Grade.UNPROVED
    if hashes_agree(headers, received.crc32c, received.md5):
        return Grade.HASH
    whole_line = received.last_byte == b"\n" or received.length == 0
    if headers.get("content-encoding", "identity") != "identity" or not whole_line:
        return Grade.UNPROVED
    if "transfer-encoding" in headers:
        return Grade.FRAMED if headers["transfer-encoding"] == "chunked" else Grade.UNPROVED
    # A cut inside the headers reads as 200 with an empty body, so an empty answer needs its length spelled out.
    return Grade.LENGTH if "content-length" in headers else Grade.UNPROVED


def unpack(blocks: Iterable[bytes], coding: str, limit: int = UNPACKED_MAX) -> Iterator[bytes]:
    """Yield the blocks as they were before content coding; ValueError if cut, damaged or over `limit` bytes.

    gzip may hold several members; each must reach its end, and nothing may follow the last.
    """
    if coding == "identity":
        yield from blocks
        return
    total, members, member = 0, 1, zlib.decompressobj(31)
    began = False
    for block in blocks:
        data = block
        while data:
            if member.eof:
                member, members = zlib.decompressobj(31), members + 1
                if members > MEMBERS_MAX:
                    raise ValueError(f"it has over {MEMBERS_MAX} gzip members")
            began = True
            try:
                out = member.decompress(data, 1 << 20)
            except zlib.error:
                raise ValueError("the gzip data are damaged") from None
            total += len(out)
            if total > limit:
                raise ValueError(f"unpacked it is over {limit} bytes")
            if out:
                yield out
            data = member.unused_data if member.eof else member.unconsumed_tail
    while began and not member.eof:  # what a full output buffer held back
        try:
            out = member.decompress(b"", 1 << 20)
        except zlib.error:
            raise ValueError("the gzip data are damaged") from None
        if not out:
            raise ValueError("the gzip data end too early")
        total += len(out)
        if total > limit:
            raise ValueError(f"unpacked it is over {limit} bytes")
        yield out
    if not began:
        raise ValueError("the gzip data end too early")
