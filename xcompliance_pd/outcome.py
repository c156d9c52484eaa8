"""What a run's finished batches say: read from the ledger, and checked again before it is believed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
import pandas as pd

from . import ids as id_rules
from . import results, verdicts
from .digest import unpack
from .errors import LedgerError
from .ids import IdColumn, Ints
from .ledger import Ledger
from .lifecycle import Batch, Phase, RunRecord, remembered
from .protocol import ACTIONS, REASONS
from .results import Results
from .verdicts import Covered

PIECE = 1 << 16  # bytes given to the reader at once; a gzip member's rest is copied, so large pieces are slow


class Held(NamedTuple):
    """What a process has read of a batch's files, after comparing them with their hashes, and has still in memory."""

    ids: Ints
    findings: pd.DataFrame


def covered(ledger: Ledger, run: RunRecord, held: dict[int, Held] | None = None) -> Iterator[Covered]:
    """Yield what each finished batch says, one at a time.

    Parameters
    ----------
    ledger : Ledger
    run : RunRecord
    held : dict, optional
        By the number of a batch, what was read when its results were verified.

    Raises
    ------
    LedgerError
        A file is gone, or is not what was verified; or the run was forgotten.
    """
    known = held or {}
    remembered(run)
    return (_covered(ledger, run, batch, known.get(batch.number)) for batch in run.batches if batch.phase is Phase.DONE)


def join(ledger: Ledger, run: RunRecord, ids: IdColumn, part: int | None) -> pd.DataFrame:
    """Return the verdict columns for one part of a dataset, with one batch in memory at a time.

    Parameters
    ----------
    ledger : Ledger
    run : RunRecord
    ids : IdColumn
        The part's column as parsed, length n.
    part : int or None
        Its number, from 0, when the run was made, if that is known: where to look first. Elsewhere is looked only for
        IDs that are not there, so another number, or a dataset cut otherwise, costs time and nothing else.

    Returns
    -------
    DataFrame
        As :func:`xcompliance_pd.verdicts.join` gives it.
    """
    left, found = ids.unique(), []
    for batch in _likely(ledger, remembered(run), left, part):
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


def _likely(ledger: Ledger, run: RunRecord, ids: Ints, part: int | None) -> Iterator[Batch]:
    """Yield every finished batch, first those that hold most of some IDs, as far as a look into their files tells."""

    def share(batch: Batch) -> float:
        some = np.concatenate([ids[:0], *map(_readable, ledger.peek_ids(run.id, batch))])
        place = np.minimum(np.searchsorted(ids, some), len(ids) - 1)
        return float((ids[place] == some).mean()) if len(ids) and len(some) else 0.0

    batches = [batch for batch in run.batches if batch.phase is Phase.DONE]
    near = [batch for batch in batches if part is not None and batch.first_part <= part <= batch.last_part]
    near = [batch for batch in near if share(batch)]  # a frame cut otherwise has other numbers
    yield from near
    yield from sorted((batch for batch in batches if batch not in near), key=share, reverse=True)


def _readable(lines: bytes) -> Ints:
    try:
        return id_rules.decode(lines)
    except ValueError:  # a damaged file, which whoever reads all of it refuses
        return np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Source:
    """Where the verdicts of a run are: plain data that may go to another process, with neither client nor token.

    Attributes
    ----------
    home : str
        The ledger's folder.
    run : str
        The run's ID.
    batches : tuple of int
        The numbers of the batches that speak. Those that end later do not, so that reading again gives the same.
    actions, reasons : tuple of str
        Every word that the columns can hold: the known ones in their order, then others that these batches hold.
    """

    home: str
    run: str
    batches: tuple[int, ...]
    actions: tuple[str, ...]
    reasons: tuple[str, ...]

    def verdicts(self, ids: IdColumn, part: int | None) -> pd.DataFrame:
        """Return the verdict columns for parsed IDs, whose categories are the same for any IDs; see `join`.

        Raises
        ------
        LedgerError
            The run's folder is not to be seen from here, or is not what it was.
        """
        ledger = Ledger(self.home)
        if not os.path.isdir(ledger.folder(self.run)):  # Path.is_dir raises where a folder above may not be entered
            raise LedgerError(
                f"The results of {self.run} cannot be seen from here: there is no folder {ledger.folder(self.run)}. "
                "Every process that computes verdicts reads them from the ledger: put it on a disk that all workers "
                "share and where they are the same user, xc.Client(home=...), and keep it until all is computed.",
                run_id=self.run,
            )
        record = ledger.load(self.run)
        chosen = tuple(batch for batch in record.batches if batch.number in self.batches)
        if [batch.number for batch in chosen if batch.phase is Phase.DONE] != list(self.batches):
            raise LedgerError(
                f"Run {self.run} in {self.home} is not the one that was joined. Join it again.", run_id=self.run
            )
        return self._same_categories(join(ledger, replace(record, batches=chosen), ids, part))

    def blank(self) -> pd.DataFrame:
        """Return the verdict columns without rows."""
        none = IdColumn(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.uint8))
        return self._same_categories(verdicts.join(none, []))

    def _same_categories(self, table: pd.DataFrame) -> pd.DataFrame:
        for name, words in (("action", self.actions), ("reason", self.reasons), ("run", (self.run,))):
            used = table[name].cat.remove_unused_categories().cat.categories
            if not set(used) <= set(words):  # else a word would become a missing value
                raise LedgerError(
                    f"The results of {self.run} hold other words than when they were joined. Join them again.",
                    run_id=self.run,
                )
            table[name] = table[name].cat.set_categories(pd.Index(words, dtype=object))
        return table


def source(ledger: Ledger, run: RunRecord) -> Source:
    """Return where the verdicts of a run are; its finished batches are read and checked, one at a time.

    Raises
    ------
    LedgerError
        A file is gone, or is not what was verified.
    """
    actions: set[str] = set()
    reasons: set[str] = set()
    errors: set[str] = set()
    for batch in covered(ledger, run):
        own = batch.findings[verdicts.locate(batch.ids, batch.findings["id"].to_numpy()) >= 0]
        actions |= set(own["action"].dropna().unique())
        reasons |= set(own["reason"].dropna().unique())
        errors |= set(own["error"][~results.judged(own)].dropna().unique())
    return Source(
        str(ledger.home.absolute()),
        run.id,
        tuple(batch.number for batch in run.batches if batch.phase is Phase.DONE),
        _words(actions, ACTIONS),
        _words(errors, _words(reasons, REASONS)),  # an error stands where a reason would
    )


def _words(found: set[str], known: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(results.words(found, known).categories)


def _covered(ledger: Ledger, run: RunRecord, batch: Batch, held: Held | None = None) -> Covered:
    held = held or _read(ledger, run, batch)
    return Covered(
        ids=held.ids,
        findings=held.findings,
        proved=batch.proved,
        checked_at=None if batch.checked_at is None else datetime.fromtimestamp(batch.checked_at, UTC),
        run=run.id,
    )


def _read(ledger: Ledger, run: RunRecord, batch: Batch) -> Held:
    parsed, error = parse(ledger.read_results(run.id, batch), batch.results_coding, size_max(batch))
    if batch.proved and (error or parsed.bad_count):
        raise LedgerError(
            f"The results of {run.id} were verified once but cannot be read now. Check the IDs again with fresh=True.",
            run_id=run.id,
        )
    return Held(id_rules.decode(ledger.read_ids(run.id, batch)), parsed.findings)


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


def reconcile(findings: pd.DataFrame, sent: Ints) -> tuple[int, int, int]:
    """Return how many distinct IDs of ours have a verdict, how many only an error, and how many records are foreign."""
    place = verdicts.locate(sent, findings["id"].to_numpy())
    judged = results.judged(findings).to_numpy(dtype=bool)
    named, told = np.zeros(len(sent), dtype=np.bool_), np.zeros(len(sent), dtype=np.bool_)
    named[place[place >= 0]] = True
    told[place[judged & (place >= 0)]] = True
    listed = int(np.count_nonzero(told))
    return listed, int(np.count_nonzero(named)) - listed, int(np.count_nonzero(place < 0))
