"""What is done by the verdicts of a frame, and the record of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import version

import pandas as pd

from . import asking, audit, cleaning, summary, terms
from .asking import PREFIX
from .client import Client
from .errors import ComplianceError, InputError
from .ledger import Ledger
from .run import Run
from .runner import Clock


def apply(
    frame: pd.DataFrame, plan: cleaning.Plan, choices: Mapping[str, str], client: Client | None = None
) -> pd.DataFrame:
    """Carry out a plan on a checked frame, warn of what it leaves open, and put on record what was done.

    Parameters
    ----------
    frame : DataFrame
    plan : Plan
        See :func:`xcompliance_pd.cleaning.plan`.
    choices : mapping of str to str
        The options that the plan does not hold, for the record.
    client : Client, optional
        Whose ledger gets the record; otherwise that of ``xc.runs()``. The clean frame is the same with any.
    """
    access = None if client is None else asking.client_of(client)
    clean = cleaning.cleaned(frame, plan)
    if note := plan.note():
        asking.warn(note)
    put_on_record(
        lambda: named_runs(frame, plan.prefix),
        access,
        lambda **facts: audit.entry(frame, clean, plan, choices, **facts),
        "frame",
    )
    return clean


def named_runs(frame: pd.DataFrame, prefix: str = PREFIX) -> dict[str, int]:
    """Return the runs that the rows name, and how many rows name each."""
    if prefix + "run" not in frame.columns:
        return {}
    return {str(run): int(rows) for run, rows in summary.runs(frame, prefix)["rows"].items()}


def put_on_record(
    runs: Callable[[], Mapping[str, int]], client: Client | None, entry: Callable[..., audit.Record], what: str
) -> None:
    """Add a record to each run that the rows name; where that cannot be, warn, because what was made is good.

    Parameters
    ----------
    runs : callable
        Returns runs, and how many rows name each.
    client : Client or None
        Whose ledger gets the record.
    entry : callable
        Makes the record, of the time and the software's version; only called if a run is there.
    what : str
        What was made, a frame or a file.
    """
    ledger, clock = (Ledger(), Clock()) if client is None else (client.ledger, client.clock)
    try:
        named = runs()
        ours = [run for run in named if ledger.has(run)]
        if ours:
            made = entry(now=clock.now(), software=f"xcompliance-pd {version('xcompliance-pd')}")
            for run in ours:
                ledger.record_applied(run, made, named[run])
    except ComplianceError as error:
        asking.warn(f"The clean {what} is whole, but what was done is not on record. {error}")
        return
    strange = [run for run in named if run not in ours and not run.startswith("sandbox-")]  # theirs go with the sandbox
    if strange:
        more = f" and {len(strange) - 3:,} more" if len(strange) > 3 else ""
        asking.warn(
            f"What was done is not on record for {', '.join(strange[:3])}{more}, which {ledger.home} does not hold. "
            "Use client=xc.Client(home=...) with the ledger it was made in, or keep the list of changes."
        )


def policy(data: pd.DataFrame | Run | None = None, *, prefix: str = PREFIX) -> str:
    """Say what X's terms ask of those who store its content, and what this package does and does not do about it.

    In plain words and with links; no legal advice. No request is made.

    Parameters
    ----------
    data : DataFrame or Run, optional
        A checked frame, or a run: then also what was found, and what is on record as done by its verdicts. Of a frame's
        runs, the records in the ledger of ``xc.runs()`` are taken.
    prefix : str
        The prefix given to :func:`check` or :func:`join`.

    Returns
    -------
    str
        To be printed.

    Raises
    ------
    InputError
        `data` is neither, or has no verdicts.

    Examples
    --------
    >>> import pandas as pd, xcompliance_pd as xc
    >>> posts = pd.DataFrame({"id": ["1212092628029698048", "1212092628029698049"]})
    >>> with xc.Sandbox(findings=['{"id":"1212092628029698048","action":"delete","reason":"deleted"}']) as box:
    ...     checked = posts.compliance.check("id", client=box.client)
    >>> print(xc.policy(checked)[-104:])
    What was found, in rows
      1 compliant
      1 to be deleted
    <BLANKLINE>
    What was done
      nothing that is on record here
    <BLANKLINE>
    """
    if data is None:
        return terms.policy()
    if isinstance(data, Run):
        snapshot = data.snapshot()
        found = {"in the run": snapshot.ids, "listed by X": snapshot.listed or 0}
        unknown = snapshot.unproved + snapshot.undecided
        found |= {terms.FOUND["kept: unchecked"]: unknown} if unknown else {}
        return terms.policy(found, terms.done(data.applied()), "IDs")
    if not isinstance(data, pd.DataFrame):
        raise InputError(f"policy() takes a checked DataFrame or a run, not a {data.__class__.__name__}.")
    counts = cleaning.plan(data, prefix=prefix).counts()
    ledger = Ledger()
    named = summary.runs(data, prefix).index if prefix + "run" in data.columns else ()
    records = [audit.table(ledger.applied(run), run) for run in map(str, named) if ledger.has(run)]
    return terms.policy(
        {terms.FOUND[change]: rows for change, rows in counts.items()},
        list(dict.fromkeys(line for table in records for line in terms.done(table))),  # one for all runs of a frame
    )
