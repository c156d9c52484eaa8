"""Stored objects, with the words by which storage proves what it holds."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from functools import cached_property

import google_crc32c


@dataclass(frozen=True)
class Blob:
    """Bytes as stored once; another write makes another generation.

    Attributes
    ----------
    data : bytes
    stored_at : float
        Seconds since the epoch.
    generation : int
        Microseconds since the epoch (recorded 2021-11: it equals ``last-modified``).
    """

    data: bytes = field(repr=False)
    stored_at: float
    generation: int

    @cached_property
    def crc32c(self) -> str:
        """The checksum as ``x-goog-hash`` has it: base64 of four bytes, the highest first."""
        return base64.b64encode(google_crc32c.value(self.data).to_bytes(4, "big")).decode()

    @cached_property
    def md5(self) -> bytes:
        return hashlib.md5(self.data, usedforsecurity=False).digest()

    @property
    def composite_etag(self) -> str:
        """The etag of an object composed of parts: generation (field 1) and metageneration 1 (field 2), encoded.

        The rule was read off the recorded pair 1637092969313366, "-CNbomcfWnfQCEAE=" (2021-11).
        """
        message = b"\x08" + _varint(self.generation) + b"\x10\x01"
        return f'"-{base64.b64encode(message).decode()}"'


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])
