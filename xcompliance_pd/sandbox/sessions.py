"""Uploads in parts: what Google's storage keeps of a session until the last part has come.

Description: https://cloud.google.com/storage/docs/performing-resumable-uploads. That X's own signed URLs opened such
sessions is in its docs (the page "integrate" of batch compliance, 2024 and 2025); no session on X's buckets is
recorded.
"""

from __future__ import annotations

import re
import secrets
import threading
from dataclasses import dataclass, field

from .refusals import StorageError

PART = 256 * 1024  # bytes; parts but the last are multiples of it
_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)", re.ASCII)


@dataclass
class _Session:
    """What one session has."""

    job_id: str
    data: bytearray = field(default_factory=bytearray, repr=False)
    whole: bool = False


@dataclass(frozen=True)
class Part:
    """What a request to a session says it brings: `last` is its last byte's place, `total` the size of all, if said."""

    first: int | None
    last: int | None
    total: int | None


def part(content_range: str | None, size: int) -> Part:
    """Return what a Content-Range says of a body; without one the body is all there is.

    Examples
    --------
    >>> part("bytes 262144-300000/300001", 37857)
    Part(first=262144, last=300000, total=300001)
    >>> part("bytes */300001", 0)
    Part(first=None, last=None, total=300001)
    """
    if content_range is None:
        return Part(0, size - 1, size)
    match = _RANGE.fullmatch(content_range)
    total = None if match is None or match[3] == "*" else int(match[3])
    if match is not None and match[1] is None and not size:
        return Part(None, None, total)
    if match is not None and match[1] is not None:
        first, last = int(match[1]), int(match[2])
        if last - first + 1 == size > 0 and (total is None or last < total):
            return Part(first, last, total)
    raise StorageError(400, "InvalidArgument", "Invalid argument.", Details="Content-Range")  # guess


class Sessions:
    """All sessions of a storage; safe to call from many threads."""

    def __init__(self) -> None:
        self._sessions: dict[str, _Session] = {}
        self._lock = threading.Lock()

    def start(self, job_id: str) -> str:
        """Return the ID of a new session. One that was begun before for the same job stays as it is."""
        with self._lock:
            upload_id = secrets.token_urlsafe(48)
            self._sessions[upload_id] = _Session(job_id)
            return upload_id

    def take(self, upload_id: str, job_id: str, brought: Part, body: bytes) -> tuple[int, bytes | None]:
        """Keep what a request brings, and return how many bytes there are, and all of them once they are whole.

        Bytes that are there already are skipped. What would leave a hole is not kept; nor is, of a part that is not the
        last, what goes beyond a multiple of 256 KiB (both are guesses; the answer says in any case what is kept).
        """
        with self._lock:
            session = self._sessions.get(upload_id)
            if session is None or session.job_id != job_id:
                raise StorageError(
                    404, "NoSuchUpload", "The requested upload was not found."
                )  # guess: 410 is as likely
            if brought.first is not None and not session.whole and brought.first <= len(session.data):
                session.data += body[len(session.data) - brought.first :]
                if brought.total is None or len(session.data) < brought.total:
                    del session.data[len(session.data) // PART * PART :]
            session.whole |= brought.total is not None and len(session.data) == brought.total
            return len(session.data), bytes(session.data) if session.whole else None
