"""What a run's finished batches say: read from the ledger, and checked again before it is believed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from . import ids as id_rules
from . import results, verdicts
from .digest import unpack
from .errors import LedgerError
from .ids import IdColumn
from .ledger import Ledger
from .lifecycle import Batch, Phase, RunRecord
from .results import Results
from .verdicts import Covered

PIECE = 1 << 16  # bytes given to the reader at once; a gzip member's rest is copied, so large pieces are slow


def covered(ledger: Ledger, run: RunRecord) -> Iterator[Covered]:
    """Yield what each finished batch says, one at a time.

    Raises
    ------
    LedgerError
        A file is gone, or is not what was verified.
    """
    return (_covered(ledger, run, batch) for batch in run.batches if batch.phase is Phase.DONE)


def join(ledger: Ledger, run: RunRecord, ids: IdColumn, part: int) -> pd.DataFrame:
    """Return the verdict columns for one part of a dataset, with one batch in memory at a time.

    Parameters
    ----------
    ledger : Ledger
    run : RunRecord
    ids : IdColumn
        The part's column as parsed, length n.
    part : int
        Its number, from 0, when the run was made: where to look first. Elsewhere is looked only for IDs that are not
        there, so another number, or a dataset cut otherwise, costs time and nothing else.

    Returns
    -------
    DataFrame
        As :func:`xcompliance_pd.verdicts.join` gives it.
    """
    left, found = ids.unique(), []
    batches = [batch for batch in run.batches if batch.phase is Phase.DONE]
    for batch in sorted(batches, key=lambda batch: not batch.first_part <= part <= batch.last_part):
        if not len(left):
            break
        whole = _covered(ledger, run, batch)
        place = verdicts.locate(whole.ids, left)
        own = left[place >= 0]
        if len(own):
            about = verdicts.locate(own, whole.findings["id"].to_numpy()) >= 0
            found.append(
                Covered(own, whole.findings[about].reset_index(drop=True), whole.proved, whole.checked_at, whole.run)
            )
        left = left[place < 0]
    return verdicts.join(ids, found)


def _covered(ledger: Ledger, run: RunRecord, batch: Batch) -> Covered:
    parsed, error = parse(ledger.read_results(run.id, batch), batch.results_coding, size_max(batch))
    if batch.proved and (error or parsed.bad_count):
        raise LedgerError(
            f"The results of {run.id} were verified once but cannot be read now. Check the IDs again with fresh=True.",
            run_id=run.id,
        )
    return Covered(
        ids=id_rules.decode(ledger.read_ids(run.id, batch)),
        findings=parsed.findings,
        proved=batch.proved,
        checked_at=None if batch.checked_at is None else datetime.fromtimestamp(batch.checked_at, UTC),
        run=run.id,
    )


def size_max(batch: Batch) -> int:
    """Return how many bytes a batch's results may have, packed or not: some thirty documented lines for each ID."""
    return (1 << 20) + 4096 * batch.ids


def parse(data: bytes, coding: str, limit: int) -> tuple[Results, str | None]:
    """Parse a result file; what a damaged one still gives is kept, with the reason why there is no more."""
    error: list[str] = []
    pieces = (data[start : start + PIECE] for start in range(0, len(data), PIECE))

    def blocks() -> Iterator[bytes]:
        try:
            yield from unpack(pieces, coding, limit)
        except ValueError as problem:
            error.append(str(problem))

    return results.read(blocks()), error[0] if error else None


def reconcile(findings: pd.DataFrame, sent: id_rules.Ints) -> tuple[int, int, int]:
    """Return how many distinct IDs of ours have a verdict, how many only an error, and how many records are foreign."""
    inside = verdicts.locate(sent, findings["id"].to_numpy()) >= 0
    judged = results.judged(findings).to_numpy(dtype=bool)
    listed = findings["id"][inside & judged].nunique()
    return listed, findings["id"][inside].nunique() - listed, int(np.count_nonzero(~inside))
