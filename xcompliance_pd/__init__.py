"""Bring a pandas dataset of X (Twitter) posts or users into compliance.

Importing this package registers ``df.compliance`` and ``series.compliance``; everything else is loaded when it is
first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import accessor
from .errors import (
    AuthError,
    ComplianceError,
    ComplianceWarning,
    InputError,
    JobError,
    LedgerError,
    RateLimited,
    Refused,
    RemoteError,
    Unavailable,
    UnexpectedResponse,
    WaitTimeout,
)

if TYPE_CHECKING:
    from .applying import policy
    from .client import Client, attach, jobs, open_run, runs
    from .copies import clean_file
    from .differences import diff
    from .frames import check, explode_ids, join, stale, submit
    from .local_service import Sandbox
    from .panels import JobMonitor, RunBrowser, SummaryPanel
    from .run import Run
    from .saved import SavedResults, read_results

_LATER = {
    "check": "frames",
    "submit": "frames",
    "join": "frames",
    "stale": "frames",
    "diff": "differences",
    "explode_ids": "frames",
    "clean_file": "copies",
    "policy": "applying",
    "Client": "client",
    "Run": "run",
    "runs": "client",
    "open_run": "client",
    "jobs": "client",
    "attach": "client",
    "read_results": "saved",
    "SavedResults": "saved",
    "Sandbox": "local_service",
    "JobMonitor": "panels",
    "RunBrowser": "panels",
    "SummaryPanel": "panels",
}

__all__ = [
    "check",
    "submit",
    "join",
    "stale",
    "diff",
    "explode_ids",
    "clean_file",
    "policy",
    "Client",
    "Run",
    "runs",
    "open_run",
    "jobs",
    "attach",
    "read_results",
    "SavedResults",
    "Sandbox",
    "JobMonitor",
    "RunBrowser",
    "SummaryPanel",
    "ComplianceError",
    "InputError",
    "RemoteError",
    "AuthError",
    "RateLimited",
    "Unavailable",
    "Refused",
    "UnexpectedResponse",
    "JobError",
    "WaitTimeout",
    "LedgerError",
    "ComplianceWarning",
]

accessor.register()


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(f".{_LATER[name]}", __name__), name)
    if name == "__version__":
        from importlib.metadata import version

        return version("xcompliance-pd")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
