"""What a run's finished batches say: read from the ledger, and checked again before it is believed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
import pandas as pd

from . import freshness, results, verdicts
from . import ids as id_rules
from .digest import unpack
from .errors import LedgerError
from .ids import IdColumn, Ints
from .ledger import Ledger
from .lifecycle import Batch, Phase, RunRecord, batch_name, remembered
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
        own = left[verdicts.locate(whole.ids, left) >= 0]
        if not len(own):
            continue
        spot = verdicts.locate(own, whole.findings["id"].to_numpy())
        findings = whole.findings[spot >= 0].reset_index(drop=True)
        found.append(Covered(own, findings, whole.proved, whole.checked_at, whole.run))
        # Where this batch proves nothing, another that holds the ID, too, may list it or prove its absence.
        settled = own if whole.proved else id_rules.distinct(own[spot[spot >= 0]])
        left = left[verdicts.locate(settled, left) < 0]
    unseen = left[
        verdicts.locate(id_rules.distinct(np.concatenate([left[:0], *(part.ids for part in found)])), left) < 0
    ]
    return verdicts.join(ids, [*found, *again(ledger, run.reused, unseen, strict=True)])


def decided(ledger: Ledger, run: RunRecord, batch: Batch) -> Ints:
    """Return the IDs of which a finished batch has a verdict, by its index, which is made anew unless it fits.

    A hint: whatever is put on a row is read from the batch's own files.

    Raises
    ------
    LedgerError
        There is no index, and a file that it could be made of is gone, or is not what was verified.
    """
    ids = ledger.read_index(run.id, batch)
    if ids is None:
        ids = _decided(_covered(ledger, run, batch))
        ledger.write_index(run.id, batch, ids)
    return ids


def _decided(whole: Covered) -> Ints:
    return freshness.decided(whole.ids, whole.findings, whole.proved)


def again(ledger: Ledger, reused: Sequence[str], ids: Ints, *, strict: bool = False) -> Iterator[Covered]:
    """Yield what batches of earlier runs say of some IDs, each ID by the first batch that has a verdict of it.

    Parameters
    ----------
    ledger : Ledger
    reused : sequence of str
        The batches, by name, the newest first.
    ids : ndarray of int64
        Ascending, distinct.
    strict : bool
        Raise for a batch whose files changed, because nobody is there to be warned of the rows that it leaves.

    Yields
    ------
    Covered
        Of the IDs that a batch's files prove something of, whatever its index says. A batch that is gone or changed
        says nothing, and its index is taken away or corrected, so that whoever asks next sends those IDs.
    """
    left, place = np.ones(len(ids), dtype=np.bool_), np.arange(len(ids))
    for run, batch in named(ledger, reused):
        try:
            hint = place[verdicts.within(ids, decided(ledger, run, batch))]
            hint = hint[left[hint]]
            if not len(hint):
                continue
            whole = _covered(ledger, run, batch)
        except LedgerError:
            ledger.write_index(run.id, batch, None)
            if strict:
                raise
            continue
        proved = _decided(whole)
        hint, hinted = hint[verdicts.within(ids[hint], proved)], len(hint)
        if len(hint) < hinted:
            ledger.write_index(run.id, batch, proved)
        own, left[hint] = ids[hint], False
        about = verdicts.locate(own, whole.findings["id"].to_numpy()) >= 0
        yield replace(whole, ids=own, findings=whole.findings[about].reset_index(drop=True))


def named(ledger: Ledger, names: Sequence[str]) -> Iterator[tuple[RunRecord, Batch]]:
    """Yield the finished batches that go by these names, as far as they are there."""
    runs: dict[str, RunRecord | None] = {}
    for name in names:
        run_id, _, number = name.partition("/")
        if run_id not in runs:
            try:
                runs[run_id] = ledger.load(run_id)
            except LedgerError:  # it was forgotten
                runs[run_id] = None
        run = runs[run_id]
        if run is not None:
            yield from ((run, b) for b in run.batches if str(b.number) == number and b.phase is Phase.DONE)


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
    run : str or None
        The run's ID; None if all is reused.
    batches : tuple of int
        The numbers of the batches that speak. Those that end later do not, so that reading again gives the same.
    reused : tuple of str
        Batches of earlier runs that speak for other IDs, by name, the newest first.
    lost : tuple of str
        Those that were to speak, but are gone, or do not prove what their index said. Rows of theirs are unchecked.
    actions, reasons : tuple of str
        Every word that the columns can hold: the known ones in their order, then others that these batches hold.
    """

    home: str
    run: str | None
    batches: tuple[int, ...]
    reused: tuple[str, ...]
    lost: tuple[str, ...]
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
        for run_id in self.runs():
            self._seen(ledger, run_id)
        if self.run is None:
            return self._same_categories(
                verdicts.join(ids, list(again(ledger, self.reused, ids.unique(), strict=True)))
            )
        record = ledger.load(self.run)
        chosen = tuple(batch for batch in record.batches if batch.number in self.batches)
        if [batch.number for batch in chosen if batch.phase is Phase.DONE] != list(self.batches):
            raise LedgerError(
                f"Run {self.run} in {self.home} is not the one that was joined. Join it again.", run_id=self.run
            )
        chosen_record = replace(record, batches=chosen, reused=self.reused)
        return self._same_categories(join(ledger, chosen_record, ids, part))

    def runs(self) -> tuple[str, ...]:
        """Return the runs that rows may name, in the order of their category."""
        own = [] if self.run is None else [self.run]
        return tuple(dict.fromkeys([*own, *(name.partition("/")[0] for name in self.reused)]))

    def _seen(self, ledger: Ledger, run_id: str) -> None:
        if not os.path.isdir(ledger.folder(run_id)):  # Path.is_dir raises where a folder above may not be entered
            raise LedgerError(
                f"The results of {run_id} cannot be seen from here: there is no folder {ledger.folder(run_id)}. "
                "Every process that computes verdicts reads them from the ledger: put it on a disk that all workers "
                "share and where they are the same user, xc.Client(home=...), and keep it until all is computed.",
                run_id=run_id,
            )

    def blank(self) -> pd.DataFrame:
        """Return the verdict columns without rows."""
        none = IdColumn(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.uint8))
        return self._same_categories(verdicts.join(none, []))

    def _same_categories(self, table: pd.DataFrame) -> pd.DataFrame:
        for name, words in (("action", self.actions), ("reason", self.reasons), ("run", self.runs())):
            used = table[name].cat.remove_unused_categories().cat.categories
            if not set(used) <= set(words):  # else a word would become a missing value
                raise LedgerError(
                    f"The results of {', '.join(self.runs())} hold other words than when they were joined. "
                    "Join them again.",
                    run_id=self.run,
                )
            table[name] = table[name].cat.set_categories(pd.Index(words, dtype=object))
        return table


def source(ledger: Ledger, run: RunRecord | None, reused: Sequence[str] = ()) -> Source:
    """Return where the verdicts of a run are; its finished batches are read and checked, one at a time.

    Parameters
    ----------
    ledger : Ledger
    run : RunRecord or None
        None if nothing was sent.
    reused : sequence of str
        What speaks instead, then.

    Raises
    ------
    LedgerError
        A file is gone, or is not what was verified. Of batches that are reused, such ones are left out.
    """
    names = tuple(reused) if run is None else run.reused
    actions: set[str] = set()
    reasons: set[str] = set()
    errors: set[str] = set()

    def note(batch: Covered) -> None:
        own = batch.findings[verdicts.locate(batch.ids, batch.findings["id"].to_numpy()) >= 0]
        actions.update(own["action"].dropna().unique())
        reasons.update(own["reason"].dropna().unique())
        errors.update(own["error"][~results.judged(own)].dropna().unique())

    for whole in () if run is None else covered(ledger, run):
        note(whole)
    there, whole_ones = [], []
    for earlier, batch in named(ledger, names):
        try:
            whole = _covered(ledger, earlier, batch)
        except LedgerError:
            ledger.write_index(earlier.id, batch, None)
            continue
        note(whole)
        there.append(batch_name(earlier, batch))
        proved, index = _decided(whole), ledger.read_index(earlier.id, batch)
        if index is None or np.array_equal(index, proved):
            whole_ones.append(batch_name(earlier, batch))
        else:
            ledger.write_index(earlier.id, batch, proved)
    return Source(
        str(ledger.home.absolute()),
        None if run is None else run.id,
        () if run is None else tuple(batch.number for batch in run.batches if batch.phase is Phase.DONE),
        tuple(there),
        tuple(name for name in names if name not in whole_ones),
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
