"""The panels for a notebook, under the names for users, with the default client filled in."""

from __future__ import annotations

from . import client as default
from .client import Client
from .errors import InputError
from .widgets import browser
from .widgets.monitor import JobMonitor
from .widgets.summary_panel import SummaryPanel

__all__ = ["JobMonitor", "RunBrowser", "SummaryPanel"]


class RunBrowser(browser.RunBrowser):
    """Browse every run of this machine: find it, watch it, resume it, forget it. No request is made before a resume.

    As the last line of a cell it is two outputs: a plain list, which stays in the saved notebook, and the controls.
    ``browser.panel`` is the controls alone, for a layout of one's own.

    Parameters
    ----------
    client : Client, optional
        Whose ledger and service; for a sandbox ``box.client``. Otherwise the ledger of ``xc.runs()``, and for each
        run a client of the service that it was made against.

    Examples
    --------
    >>> import pandas as pd, xcompliance_pd as xc
    >>> posts = pd.DataFrame({"id": ["1212092628029698048"]})
    >>> with xc.Sandbox(findings=[]) as box:
    ...     run = xc.submit(posts, "id", client=box.client, label="panel").wait()
    ...     xc.RunBrowser(box.client)
    1 run in the ledger: 1 done
    """

    def __init__(self, client: Client | None = None) -> None:
        if client is not None and not isinstance(client, Client):
            raise InputError(
                f"client= needs a Client, not {client.__class__.__name__}. "
                "Use client=xc.Client(...), or client=box.client for a sandbox called box."
            )
        super().__init__(default if client is None else client)
