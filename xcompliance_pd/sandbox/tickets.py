"""The newer dialect's byte URLs: on the API's own origin, with one opaque token as the credential.

What X's tokens look like is not known, and a client must treat the URL as opaque; here a token is a keyed hash of job,
direction and end.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Literal

from ..protocol import JOBS_PATH
from .signing import Signer

Direction = Literal["upload", "download"]


@dataclass(frozen=True)
class Tickets(Signer):
    """Makes and checks the tokens with one random key.

    Examples
    --------
    >>> tickets = Tickets(b"key")
    >>> url = tickets.link("https://api.x.com", "17", "upload", 1_790_000_900)
    >>> url.partition("?token=")[0]
    'https://api.x.com/2/compliance/jobs/17/upload'
    >>> token = url.partition("?token=")[2]
    >>> tickets.fits(token, "17", "upload", 1_790_000_900), tickets.fits(token, "17", "download", 1_790_000_900)
    (True, False)
    """

    def link(self, origin: str, job_id: str, direction: Direction, until: int) -> str:
        """Return the URL that allows one direction of one job's bytes until that second."""
        return f"{origin}{JOBS_PATH}/{job_id}/{direction}?token={self._token(job_id, direction, until)}"

    def fits(self, token: str, job_id: str, direction: Direction, until: int) -> bool:
        """Whether it is the token of that URL, whatever the time is."""
        return hmac.compare_digest(self._token(job_id, direction, until).encode(), token.encode())

    def _token(self, job_id: str, direction: Direction, until: int) -> str:
        return self._sign(f"{direction} {job_id} {until}")
