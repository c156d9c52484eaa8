"""The composition root: one `Client` holds the whole configuration and puts the floors together."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime

import pandas as pd

from . import ids as id_rules
from . import lifecycle, protocol
from .errors import AuthError, InputError, LedgerError
from .ids import Ints
from .ledger import Ledger
from .lifecycle import RunRecord
from .protocol import BASE_URL_VARIABLE, DEFAULT_BASE_URL, TOKEN_VARIABLES, JobType, Secret
from .run import Run
from .runner import Clock, Runner
from .transport import Transport


class Client:
    """Access to one compliance service and one ledger.

    Parameters
    ----------
    token : str, optional
        App-only Bearer token. Otherwise the first of X_BEARER_TOKEN, TWITTER_BEARER_TOKEN, BEARER_TOKEN that is
        set, looked up when the first request is due. It is never shown, logged or written.
    base_url : str, optional
        Otherwise XCOMPLIANCE_API_URL, otherwise https://api.x.com.
    home : path, optional
        The ledger's folder. Otherwise XCOMPLIANCE_HOME, otherwise the user's state folder.
    batch_size : int
        IDs per job. X documents no limit; the upload must be done within 15 minutes of the job's creation.
    poll_interval : float
        Seconds before the first look at a job; the wait grows to a minute, and as the rate limit asks.
    max_requests : int
        Requests to the API that one run may make in all; X may charge for each.
    http_timeout : (float, float)
        Seconds to connect, and between two pieces of an answer.
    ca_bundle : str, optional
        Path of a CA bundle, for networks that replace certificates.
    bearer_on_byte_paths : bool
        Send the token along with uploads and downloads whose URL is of `base_url`'s own scheme, host and port. X's
        documents of September 2026 leave open whether it wants that (https://github.com/xdevplatform/docs/pull/410).
    resumable_above : int, optional
        Bytes above which a batch is uploaded in parts, so that a broken connection costs 8 MB and not the whole. For a
        line that breaks often; 16_000_000 is a good choice, because a smaller file is two parts or less. Left out, no
        job is asked to be resumable: X refused that in September 2026, and a refusal may cost a request. A service that
        refuses gets the file in one request, as ever.

    Examples
    --------
    >>> import xcompliance_pd as xc
    >>> xc.Client(token="not-a-real-token")
    Client(base_url='https://api.x.com')
    """

    def __init__(
        self,
        token: str | None = None,
        base_url: str | None = None,
        home: str | os.PathLike[str] | None = None,
        batch_size: int = 2_000_000,
        poll_interval: float = 5.0,
        max_requests: int = 500,
        http_timeout: tuple[float, float] = (10.0, 60.0),
        ca_bundle: str | None = None,
        bearer_on_byte_paths: bool = False,
        resumable_above: int | None = None,
        *,
        clock: Clock | None = None,
    ) -> None:
        given = None if token is None else Secret(str(token))
        token = None  # verbose tracebacks print arguments
        counts = (batch_size, max_requests)
        if not all(isinstance(count, int) and count > 0 for count in counts) or not poll_interval >= 0:
            raise InputError("batch_size and max_requests are whole numbers from 1, poll_interval is at least 0.")
        self.base_url = protocol.base_url(base_url or os.environ.get(BASE_URL_VARIABLE) or DEFAULT_BASE_URL)
        self._given = None if given is None else _clean_token(given, "token=")
        self._environment = True
        self._batch_size = batch_size
        self._max_requests = max_requests
        self.clock = clock or Clock()
        self._ledger = Ledger(home)
        transport = Transport(self.base_url, self._token, http_timeout, ca_bundle, bearer_on_byte_paths)
        self._runner = Runner(self._ledger, transport, poll_interval, max_requests, self.clock, resumable_above)

    def __repr__(self) -> str:
        return f"Client(base_url={self.base_url!r})"

    def _token(self) -> Secret:
        if self._given is not None:
            return self._given
        if not self._environment:
            raise AuthError(
                f"This run was made against {self.base_url}, which is not where the token in the environment belongs. "
                f"Pass client=xc.Client(token=..., base_url={self.base_url!r}), or client=box.client for a sandbox.",
                sent=False,
            )
        for name in TOKEN_VARIABLES:
            if os.environ.get(name):
                return _clean_token(Secret(os.environ[name]), name)
        raise AuthError(
            "There is no Bearer token. Set one of the environment variables "
            f"{', '.join(TOKEN_VARIABLES)}, or pass xc.Client(token=...); to try everything without an account, "
            "use the sandbox: with xc.Sandbox() as box: df.compliance.check('id', client=box.client)",
            sent=False,
        )

    # ----------------------------------------------------------------- runs

    def start(
        self, parts: Iterable[Ints], type: JobType, *, label: str | None = None, fresh: bool = False, keep: bool = False
    ) -> tuple[Run | None, bool]:
        """Return the run for these IDs, and whether it is an unfinished one that is continued; None if there is no ID.

        Parameters
        ----------
        parts : iterable of ndarray of int64
            The distinct IDs, ascending, of each part of the dataset: of a frame, or of each of its partitions. They
            are written to disk as they come; if they end in an error, nothing is left of the run.
        type : JobType
        label : str, optional
            For people; also part of the job's name at X.
        fresh : bool
            Make a new run even if there is an unfinished one.
        keep : bool
            Keep the IDs in memory until they are joined, to spare reading them; if they are there anyway.

        Raises
        ------
        AuthError
            There is no token. Nothing was written.
        InputError
            `max_requests` cannot suffice. Nothing was sent.
        """
        self._token()
        if not isinstance(label, str | None):
            raise InputError(f"A label is text, not {label.__class__.__name__}. Put it in quotes.")
        now = self.clock.now()
        day, sandbox = datetime.fromtimestamp(now, UTC).strftime("%Y%m%d"), protocol.is_loopback(self.base_url)
        record = RunRecord(
            id=lifecycle.run_id(type, day, secrets.token_hex(4), sandbox),
            type=type,
            base_url=self.base_url,
            created_at=now,
            ids=0,
            ids_sha256="",
            batches=(),
            label=label,
        )
        batches: Iterable[id_rules.Slice] = id_rules.batches(parts, self._batch_size)
        kept = list(batches) if keep else []
        with self._ledger.making(record, kept or batches) as made:
            if not made.batches:
                return None, False
            with self._ledger.planning():
                same = None if fresh else self._unfinished(made)
                if same is not None:
                    return Run(same, self._runner), True
                needed = lifecycle.requests_needed(len(made.batches))
                if needed > self._max_requests:
                    raise InputError(
                        f"{len(made.batches):,} batches need at least {needed:,} requests, and max_requests="
                        f"{self._max_requests} allows fewer. Allow more: xc.Client(max_requests=...), or send larger "
                        "batches: batch_size=..."
                    )
                self._ledger.save(made)
                self._runner.keep(made.id, [batch.ids for batch in kept])
        return Run(record.id, self._runner), False

    def _unfinished(self, made: RunRecord) -> str | None:
        """Return the newest unfinished run of the same IDs, type and service."""
        wanted = (made.ids_sha256, made.ids, made.type, made.base_url)
        same = [
            record
            for record in self._ledger.readable()
            if (record.ids_sha256, record.ids, record.type, record.base_url) == wanted and not record.ended
        ]
        return max(same, key=lambda record: record.created_at).id if same else None

    def open_run(self, run_id: str) -> Run:
        """Return a run of this client's ledger. No request is made.

        Raises
        ------
        LedgerError
            There is no such run.
        InputError
            The run was made against another service.
        """
        record = self._ledger.load(run_id)
        if record.base_url != self.base_url:
            raise InputError(
                f"Run {run_id} was made against {record.base_url}, this client is for {self.base_url}. "
                f"Leave client= out, or use xc.Client(base_url={record.base_url!r})."
            )
        return Run(run_id, self._runner)

    def runs(self) -> pd.DataFrame:
        """Return the runs in the ledger, newest first. No request is made.

        Returns
        -------
        DataFrame
            Index `run`; `type`, `label`, `state`, `ids`, `batches`, `batches_done`, `listed` (IDs that X listed),
            `requests`, `created_at` (UTC), `base_url`.
        """
        rows = [self._row(run_id) for run_id in self._ledger.run_ids()]
        table = pd.DataFrame(rows, columns=["run", *_RUN_COLUMNS]).set_index("run")
        table["created_at"] = pd.to_datetime(table["created_at"], unit="s", utc=True).dt.floor("s")
        return table.sort_values("created_at", ascending=False, kind="stable")

    def _row(self, run_id: str) -> tuple[object, ...]:
        try:
            record = self._ledger.load(run_id)
        except LedgerError:
            return (run_id, None, None, "unreadable", 0, 0, 0, 0, 0, float("nan"), None)
        return (
            record.id,
            str(record.type),
            record.label,
            _state(record),
            record.ids,
            len(record.batches),
            sum(batch.phase is lifecycle.Phase.DONE for batch in record.batches),
            sum(batch.listed or 0 for batch in record.batches),
            record.requests_spent,
            record.created_at,
            record.base_url,
        )


_RUN_COLUMNS = (
    "type",
    "label",
    "state",
    "ids",
    "batches",
    "batches_done",
    "listed",
    "requests",
    "created_at",
    "base_url",
)


def _state(record: RunRecord) -> str:
    if not record.ended:
        return "unfinished"
    return "failed" if record.dead else "done"


def _clean_token(token: Secret, where: str) -> Secret:
    """Check a token before it gets near a header; its text is in no message."""
    if not re.fullmatch(r"[\x21-\x7e]+", token.reveal().strip()):
        raise InputError(
            f"The token in {where} is empty or holds spaces or other characters that no token has. "
            "Copy it again, without the word Bearer."
        )
    return Secret(token.reveal().strip())


def runs(home: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """Return the runs in the ledger as a DataFrame, newest first; see :meth:`Client.runs`. Needs no token.

    Examples
    --------
    >>> import tempfile, xcompliance_pd as xc
    >>> with tempfile.TemporaryDirectory() as home:
    ...     len(xc.runs(home))
    0
    """
    return Client(home=home).runs()


def open_run(run_id: str, client: Client | None = None) -> Run:
    """Return a run from the ledger, to be continued, joined or forgotten. Needs no token until it is continued.

    Parameters
    ----------
    run_id : str
        As ``xc.runs()`` lists it.
    client : Client, optional
        Otherwise one for the service that the run was made against.

    Raises
    ------
    LedgerError
        There is no such run, or it cannot be read.

    Examples
    --------
    >>> import pandas as pd, xcompliance_pd as xc
    >>> posts = pd.DataFrame({"id": ["1212092628029698048"]})
    >>> with xc.Sandbox(findings=[]) as box:
    ...     run_id = xc.submit(posts, "id", client=box.client).id
    ...     xc.open_run(run_id, box.client).wait().status  # in another kernel, say
    'done'
    """
    if client is None:
        client = Client(base_url=Ledger().load(run_id).base_url)
        # The environment's token is for the environment's service, not for any address in a file.
        client._environment = client.base_url in (DEFAULT_BASE_URL, Client().base_url)
    return client.open_run(run_id)
