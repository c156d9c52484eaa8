"""`Sandbox`: the local service with a ready client, for trying everything without an account, and for tests."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterable
from typing import Any

import pandas as pd

from .client import Client
from .sandbox import Server
from .sandbox.faults import Fault

POLL_INTERVAL = 0.1  # seconds; a local job is done in an instant


class Sandbox:
    """A local HTTP service that speaks X's batch compliance protocol; its verdicts are invented.

    Run IDs of a sandbox begin with ``sandbox-``, so that no invented verdict passes for a real one. Its client
    keeps its runs in a temporary folder that goes when this object goes.

    Parameters
    ----------
    findings : DataFrame or iterable of str, optional
        What to report: columns `id`, `action`, `reason`, `created_at`, `redacted_at`, or result lines. Without it
        each ID's fate is drawn from its digits and `seed`, with the shares that a study of 785,000 posts found.
    dialect : {"gcs", "xapi"}
        The protocol as X's quick start describes it, with the files on Google's storage; or that of September 2026,
        with the files on the API's own host, more words in the results, and jobs that can be cancelled.
    complete_after : int
        At which status request after the upload a job is complete.
    processing_seconds : float
        How long a job takes at least.
    seed : int
    port : int
        0 picks a free one.

    Attributes
    ----------
    url : str
        The base URL.
    token : str
        The only token that it accepts.
    client : Client
        A client for it.

    Examples
    --------
    >>> import pandas as pd, xcompliance_pd as xc
    >>> posts = pd.DataFrame({"id": ["1212092628029698048", "1212092628029698049"]})
    >>> with xc.Sandbox() as box:
    ...     checked = posts.compliance.check("id", client=box.client)
    ...     truth = box.expected(posts["id"], "tweets")
    >>> checked["compliance_status"].tolist() == truth["status"].tolist()
    True
    """

    def __init__(
        self,
        findings: pd.DataFrame | Iterable[str] | None = None,
        dialect: str = "gcs",
        complete_after: int = 2,
        processing_seconds: float = 0,
        seed: int = 0,
        port: int = 0,
    ) -> None:
        self._server = Server(findings, dialect, complete_after, processing_seconds, seed, port)
        self._home = tempfile.mkdtemp(prefix="xcompliance-sandbox-")
        weakref.finalize(self, shutil.rmtree, self._home, ignore_errors=True)
        self._client: Client | None = None

    @property
    def url(self) -> str:
        return self._server.url

    @property
    def token(self) -> str:
        return self._server.token

    @property
    def service(self) -> Any:
        """The far side's state: which jobs were made, which requests came."""
        return self._server.service

    @property
    def client(self) -> Client:
        if self._client is None or self._client.base_url != self.url:
            self._client = Client(self.token, self.url, home=self._home, poll_interval=POLL_INTERVAL)
        return self._client

    def expected(self, ids: Iterable[object], type: str = "tweets") -> pd.DataFrame:
        """Return the truth, one row a value: `status`, `action`, `reason`, `created_at`, `redacted_at`."""
        return self._server.expected(ids, type)

    def script(self, operation: str, *faults: Fault) -> None:
        """Play faults to the coming requests of an operation, one fault a request, in this order.

        Parameters
        ----------
        operation : {"create", "get", "list", "cancel", "upload", "download"}
        *faults : str, dict or list
            What ``help("xcompliance_pd.sandbox.faults")`` lists; ``"ok"`` lets a request through.

        Examples
        --------
        >>> import pandas as pd, xcompliance_pd as xc
        >>> posts = pd.DataFrame({"id": ["1212092628029698048"]})
        >>> with xc.Sandbox(findings=[]) as box:
        ...     box.script("create", "drop-after")  # the job is made, but the answer is lost
        ...     checked = posts.compliance.check("id", client=box.client)
        ...     box.assert_all_fired()
        >>> checked["compliance_status"].tolist(), len(box.service.jobs)
        (['compliant'], 1)
        """
        self._server.script(operation, *faults)

    def assert_all_fired(self) -> None:
        """Raise AssertionError if a scripted fault has met no request, or changed nothing."""
        self._server.assert_all_fired()

    def start(self) -> Sandbox:
        """Start serving; for notebooks, where a ``with`` block spans one cell only."""
        self._server.start()
        return self

    def stop(self) -> None:
        """Stop serving. Runs that have ended can still be joined."""
        self._server.stop()

    def __enter__(self) -> Sandbox:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"Sandbox({self._server!r})"
