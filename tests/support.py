"""What several test modules use."""

from __future__ import annotations

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
