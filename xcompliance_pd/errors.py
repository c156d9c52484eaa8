"""The exception tree, split by whose fault it is: ours to fix, the remote side's, the job's, the disk's.

Every message ends with what to do next. No message, attribute or traceback of these classes may hold a
token, a signed URL or its query string; whoever raises from a network exception does so ``from None``.
"""

from __future__ import annotations

from typing import Any


class ComplianceWarning(UserWarning):
    """Something the reader of a result must know: invalid rows, unproved rows, a continued run."""


class ComplianceError(Exception):
    """Root of every error this package raises on purpose.

    Parameters
    ----------
    message : str
        One or two sentences; the last one says what to do next.
    run_id : str, optional
        The run it happened in. The run stays in the ledger and can be continued with
        ``xc.open_run(run_id)``.

    Examples
    --------
    >>> from xcompliance_pd import ComplianceError
    >>> ComplianceError("The ledger is full. Free some space.", run_id="tweets-20260102-ab12cd").run_id
    'tweets-20260102-ab12cd'
    """

    def __init__(self, message: str, *, run_id: str | None = None) -> None:
        super().__init__(message)
        self.run_id = run_id


class InputError(ComplianceError, ValueError):
    """The column, file, argument or setting cannot be used; nothing was sent."""


class RemoteError(ComplianceError):
    """An answer of the service, or its absence.

    Attributes
    ----------
    status : int or None
        HTTP status; None when there was no answer.
    code : str or None
        The service's own word for it: the last part of a problem type, or a storage error code.
    retryable : bool
        Whether the same request may be sent again later.
    retry_at : float or None
        Server time (seconds since the epoch) before which asking again is pointless.
    sent : bool
        False only when it is certain that the request never left this machine.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        retryable: bool = False,
        retry_at: float | None = None,
        sent: bool = True,
        run_id: str | None = None,
    ) -> None:
        super().__init__(message, run_id=run_id)
        self.status = status
        self.code = code
        self.retryable = retryable
        self.retry_at = retry_at
        self.sent = sent


class AuthError(RemoteError):
    """No token, or one that the service does not accept for this endpoint (401, 403)."""


class RateLimited(RemoteError):
    """429: wait until `retry_at`."""


class Unavailable(RemoteError):
    """No connection, a broken connection, a time-out, or a 5xx answer."""


class Refused(RemoteError):
    """The service understood and said no (other 4xx answers)."""


class UnexpectedResponse(RemoteError):
    """An answer that is not what the protocol describes: HTML, a redirect, JSON without its parts."""


class JobError(ComplianceError):
    """A job failed, expired, or its results are gone.

    Attributes
    ----------
    run : Run or None
        The run, whose other batches may have ended well:
        ``df.compliance.join(column, error.run, partial=True)``.
    """

    def __init__(self, message: str, *, run_id: str | None = None, run: Any = None) -> None:
        super().__init__(message, run_id=run_id)
        self.run = run


class WaitTimeout(ComplianceError, TimeoutError):
    """Waiting ended before the job did (deadline or request budget); the remote job goes on."""


class LedgerError(ComplianceError):
    """What is on disk cannot be read, written, or is in another process's hands."""
