"""Start and stop: one or two listeners on loopback in front of one service."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ..errors import InputError
from .api import ApiHandler
from .dialects import Dialect, named
from .fates import Fates, Findings
from .faults import Fault, Script
from .service import Service
from .storage import StorageHandler
from .wire import HOST, Handler, Listener
from .xapi import XapiHandler

if TYPE_CHECKING:
    import pandas as pd


class Server:
    """The sandbox: X's batch compliance API on a port of this machine.

    In the older dialect the API and the storage of files have a port each, as they have a host each at X, so a client
    that sends its token along with the files is found out. ``/openapi.json`` describes what is spoken.

    Parameters
    ----------
    findings : DataFrame, str, bytes, or iterable of str or bytes, optional
        What the results say (see `Fates`); by default a hash decides.
    dialect : str
        ``gcs``, the protocol of X's quick start, or ``xapi``, that of September 2026 (see `sandbox.dialects`).
    complete_after : int
        At which status request after the upload a job is complete.
    processing_seconds : float
        How long after the upload a job is complete at the earliest.
    seed : int
        Seed of fates and shuffles.
    port : int
        Port of the API; 0 takes a free one.
    rate_limits : tuple of int
        Requests per 15 minutes to create, get and list.
    clock : callable
        Seconds since the epoch.
    bearer_on_byte_paths : bool
        Whether uploads and downloads want the bearer token beside their own: open in X's pull request 410, and never
        so in the dialect ``gcs``.

    Attributes
    ----------
    token : str
        The only bearer token that is accepted; random.
    service : Service
        The state: jobs and counts of requests.

    Examples
    --------
    >>> from xcompliance_pd.sandbox import Server
    >>> with Server() as server:
    ...     server.url.startswith("http://127.0.0.1:")
    True
    """

    def __init__(
        self,
        findings: Findings = None,
        dialect: str = "gcs",
        complete_after: int = 2,
        processing_seconds: float = 0,
        seed: int = 0,
        port: int = 0,
        rate_limits: tuple[int, int, int] = (150, 150, 150),
        clock: Callable[[], float] = time.time,
        bearer_on_byte_paths: bool = False,
    ) -> None:
        spoken = named(dialect)
        if bearer_on_byte_paths and spoken is Dialect.GCS:
            raise InputError("Google's storage takes no bearer token. Use dialect='xapi' with bearer_on_byte_paths.")
        if not 0 <= port <= 65535:
            raise InputError(f"{port} is not a port: those go from 0 to 65535. Use port=0 for a free one.")
        self.token = secrets.token_urlsafe(32)
        fates = Fates(findings, seed, spoken)
        self.service = Service(fates, clock, complete_after, processing_seconds, seed, rate_limits, spoken)
        self.service.bearer_on_byte_paths = bearer_on_byte_paths
        self._script = Script()
        self._port = port
        self._listeners: tuple[Listener, ...] | None = None  # the API's first; the bytes' last, maybe the same

    def start(self) -> Self:
        """Listen. After `stop` the jobs are still there; with ``port=0`` the port may be another one."""
        if self._listeners is not None:
            return self
        newer = self.service.dialect is Dialect.XAPI
        handlers: tuple[type[Handler], ...] = (XapiHandler,) if newer else (ApiHandler, StorageHandler)
        listeners: list[Listener] = []
        try:
            for handler, port in zip(handlers, (self._port, 0), strict=False):
                listeners.append(Listener(port, handler, self.service, self.token, self._script))
        except OSError as error:
            for listener in listeners:
                listener.end()
            raise InputError(
                f"Port {self._port} cannot be used ({error.strerror}). Use port=0 to take a free one."
            ) from None
        self._listeners = tuple(listeners)
        self.service.storage_url = self.storage_url
        for listener in self._listeners:
            listener.begin()
        return self

    def stop(self) -> None:
        """Close its ports and every connection; again does nothing."""
        listeners, self._listeners = self._listeners, None
        for listener in listeners or ():
            listener.end()

    @property
    def url(self) -> str:
        """The API's base URL."""
        return self._running()[0].url

    @property
    def storage_url(self) -> str:
        """Where the byte URLs point."""
        return self._running()[-1].url

    def expected(self, ids: Iterable[Any], type: str = "tweets") -> pd.DataFrame:
        """Return the truth for a user's rows (see `Fates.expected`)."""
        return self.service.fates.expected(ids, type)

    def script(self, operation: str, *faults: Fault) -> None:
        """Play faults to the coming requests of an operation, one fault a request, in this order.

        Parameters
        ----------
        operation : {"create", "get", "list", "cancel", "upload", "download"}
        *faults : str, dict or list
            What `xcompliance_pd.sandbox.faults` describes; ``"ok"`` lets a request through.

        Examples
        --------
        >>> from xcompliance_pd.sandbox import Server
        >>> server = Server()
        >>> server.script("get", "ok", "return-503", "too-many:900")
        """
        self._script.add(operation, *faults)

    def assert_all_fired(self) -> None:
        """Raise AssertionError if a scripted fault has met no request, or changed nothing."""
        self._script.assert_all_fired()

    def _running(self) -> tuple[Listener, ...]:
        if self._listeners is None:
            raise InputError("The sandbox is stopped. Call start(), or use it in a with statement.")
        return self._listeners

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        where = f"at {self.url}" if self._listeners else f"stopped, {HOST}"
        return f"<sandbox Server, dialect {self.service.dialect}, {where}>"
