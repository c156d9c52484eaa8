"""An upload in parts, which goes on where the service says that it stands: a cut costs one part, not the whole file.

The job's signed URL opens a *session*, whose own URL takes the parts:
https://cloud.google.com/storage/docs/performing-resumable-uploads. That URL is a credential, so it is kept in memory
only: a process that starts anew opens another session with the job's URL, from the first byte on, and the old one is
never finished. A session that is still there is asked what it has before anything more is sent, so no part is ever
missing between two others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from . import protocol
from .errors import LedgerError, Unavailable, UnexpectedResponse
from .protocol import Answer, Secret
from .transport import FileBody, Transport

PART = 8 << 20  # bytes; all but the last must be multiples of 256 KiB, and 8 MiB is what Google's page advises at least
STUCK_MAX = 3  # parts in a row of which nothing new has arrived
_WHAT = "Uploading the IDs"


class Upload:
    """One job's upload in parts.

    Parameters
    ----------
    transport : Transport
    path : Path
        The ID file.
    size : int
        Its bytes.

    Attributes
    ----------
    left : bool
        Whether the last byte was handed over, for good, as far as is known.
    touched : bool
        Whether the latest `send` handed over anything.
    """

    def __init__(self, transport: Transport, path: Path, size: int) -> None:
        self._transport = transport
        self._path = path
        self._size = size
        self._session: Secret | None = None
        self._sent = 0  # bytes that the session may have at most
        self._proved: dict[int, str] = {}  # where a part ended -> SHA-256 of all that was sent up to there
        self.left = False
        self.touched = False

    def send(self, url: Secret, leaving: Callable[[str], object], cut: Callable[[], object]) -> Answer:
        """Send what the service has not got, and return its answer to the last part, as a 200.

        Parameters
        ----------
        url : Secret
            The job's upload URL.
        leaving : callable
            Called with the SHA-256 of the whole file before its last byte leaves; raises if that must not be.
        cut : callable
            Called when the last byte had left and the service says that it lacks some.
        """
        self.touched = False
        if self._session is None:
            self._session, at = self._opened(url), 0
        else:
            answer = self._transport.put(self._session, None, f"bytes */{self._size}")
            if answer.status in (200, 201):
                return self._whole(answer)
            at = self._kept(answer)
        furthest, stuck = at, 0
        sha256 = self._read(at)
        while stuck < STUCK_MAX and at < self._size:
            end = min(at + PART, self._size)
            last = end == self._size
            body = FileBody(self._path, leaving if last else lambda sha256: None, at, end, sha256)
            self.touched, self.left, self._sent = True, False, max(self._sent, end)
            try:
                answer = self._transport.put(self._session, body, f"bytes {at}-{end - 1}/{self._size}")
            finally:
                self.left = last and body.left
            if answer.status in (200, 201):
                return self._whole(answer)
            at = self._kept(answer)
            if last:
                self.left = False
                cut()
            sha256 = body.sha256 if at == end else self._read(at)
            if at == end:
                self._proved[end] = sha256.hexdigest()
            stuck = 0 if at > furthest else stuck + 1
            furthest = max(furthest, at)
        self._session = None
        raise Unavailable("The upload does not get on. It is begun anew.", retryable=True)

    def _opened(self, url: Secret) -> Secret:
        answer = self._transport.start(url)
        if answer.status != 201:
            protocol.decipher_bytes(_WHAT, answer.status, answer.headers, answer.body)
        location = answer.headers.get("location")
        if not location:
            raise UnexpectedResponse(f"{_WHAT}: the answer names no session. Ask again later.", retryable=True)
        self._sent, self.left = 0, False
        self._proved.clear()
        return Secret(location)

    def _whole(self, answer: Answer) -> Answer:
        if not self.left:
            self._session = None
            raise UnexpectedResponse(
                f"{_WHAT}: the service says that it has all of the file, which was not sent. It is begun anew.",
                status=answer.status,
                retryable=True,
            )
        return replace(answer, status=200)

    def _kept(self, answer: Answer) -> int:
        """Return how many bytes the session has, which is never more than it was sent."""
        if answer.status in (404, 410):
            self._session = None
            raise Unavailable(
                f"{_WHAT}: the session is gone (HTTP {answer.status}). Another is begun.",
                status=answer.status,
                retryable=True,
            )
        if answer.status != 308:
            protocol.decipher_bytes(_WHAT, answer.status, answer.headers, answer.body)
        kept = protocol.stored_bytes(answer.headers)
        if kept is None or kept > self._sent:
            self._session = None
            raise UnexpectedResponse(
                f"{_WHAT}: the service says that it has what was never sent. It is begun anew.",
                status=answer.status,
                retryable=True,
            )
        return kept

    def _read(self, upto: int) -> hashlib._Hash:
        """Return the SHA-256 of the file up to there, if that is what was sent."""
        sha256, at = hashlib.sha256(), 0
        for end in [*sorted(place for place in self._proved if place <= upto), upto]:
            with self._path.open("rb") as file:
                file.seek(at)
                while at < end and (piece := file.read(min(1 << 20, end - at))):
                    sha256.update(piece)
                    at += len(piece)
            if self._proved.get(end, sha256.hexdigest()) != sha256.hexdigest():
                raise LedgerError(
                    f"{self._path} was changed while it was uploaded, so this run proves nothing any more. "
                    "Check the IDs again with fresh=True."
                )
        return sha256
