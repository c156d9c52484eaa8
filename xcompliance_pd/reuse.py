"""Which IDs need not be sent, because a batch of an earlier run proved something of them lately enough."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from . import freshness, outcome, verdicts
from . import ids as id_rules
from .errors import LedgerError
from .ids import Ints
from .ledger import Ledger
from .lifecycle import Batch, RunRecord, attached_job, batch_name
from .outcome import Source
from .protocol import JobType
from .verdicts import Covered


class Reuse:
    """Tells fresh IDs from those that are to be sent, and remembers which batches speak for the fresh ones.

    Attributes
    ----------
    max_age : float
        Seconds.
    run : str or None
        The unfinished run for whose IDs this was settled earlier; None if it is settled now.
    behind : float
        Seconds that the clock lags behind what the service has said before; 0 if it does not.
    ids, fresh : int
        How many IDs it was asked about, and how many of them are fresh.
    """

    def __init__(
        self,
        ledger: Ledger,
        batches: Sequence[tuple[RunRecord, Batch]],
        max_age: float,
        run: RunRecord | None = None,
        behind: float = 0.0,
    ) -> None:
        self._ledger = ledger
        self._batches = list(batches)
        self._decided: dict[int, Ints] = {}  # mapped from disk, not in memory
        self._used: set[int] = set()
        self.max_age = max_age
        self.run = None if run is None else run.id
        self._most = None if run is None else run.ids
        self.behind = behind
        self.ids = self.fresh = 0

    def left(self, ids: Ints) -> Ints:
        """Return which of some distinct ascending IDs are to be sent, in the same order."""
        fresh = self._fresh(ids)
        self.ids += len(ids)
        self.fresh += int(np.count_nonzero(fresh))
        return ids[~fresh]

    @property
    def other(self) -> bool:
        """Whether more IDs are to be sent than the unfinished run has, so that they are not the same."""
        return self._most is not None and self.ids - self.fresh > self._most

    def _fresh(self, ids: Ints) -> npt.NDArray[np.bool_]:
        fresh, left = np.zeros(len(ids), dtype=np.bool_), len(ids)
        for number in range(len(self._batches)):
            if not left:
                break
            place = verdicts.within(ids, self._of(number))
            if more := int(np.count_nonzero(~fresh[place])):
                fresh[place] = True
                left -= more
                self._used.add(number)
        return fresh

    def _of(self, number: int) -> Ints:
        if number not in self._decided:
            try:
                self._decided[number] = outcome.decided(self._ledger, *self._batches[number])
            except LedgerError:  # a batch whose files are gone or changed proves nothing
                self._decided[number] = np.empty(0, dtype=np.int64)
        return self._decided[number]

    @property
    def batches(self) -> tuple[str, ...]:
        """The batches that speak for the fresh IDs, by name, the newest first."""
        return tuple(batch_name(*self._batches[number]) for number in sorted(self._used))

    def told(self) -> str:
        """Say how much is reused, and how much is sent."""
        left = self.ids - self.fresh
        some = f"{self.fresh:,} of {self.ids:,}" if left else f"All {self.ids:,}"
        then = "" if self.run is None else " of the time when this check was begun"
        return (
            f"{some} IDs were proved within {freshness.told(self.max_age)}{then} and are reused; "
            f"{f'{left:,}' if left else 'nothing'} {'are' if left > 1 else 'is'} sent."
        )

    def answers(self, several: Sequence[Ints]) -> list[Covered]:
        """Return what the batches say of the IDs in arrays, each distinct and ascending, of which none was sent."""
        return list(outcome.again(self._ledger, self.batches, id_rules.union(several)))

    def source(self) -> Source:
        """Return where the verdicts are, for processes that have no client, or that read a part at a time."""
        return outcome.source(self._ledger, None, self.batches)


def of_now(ledger: Ledger, base_url: str, type: JobType, max_age: float, moment: float) -> Reuse:
    """Return what may be reused at a moment of the service's time."""
    runs = ledger.readable()
    behind = freshness.latest(runs, base_url) - moment
    speaking = freshness.speaking(runs, base_url, type, max_age, moment)
    return Reuse(ledger, speaking, max_age, behind=behind if behind > freshness.TOLERANCE else 0.0)


def of_unfinished(ledger: Ledger, base_url: str, type: JobType, max_age: float, moment: float) -> Iterator[Reuse]:
    """Yield what unfinished runs reuse, the newest run first, for whoever goes on with one.

    What was fresh when a run was begun stays so for it; else a check that was interrupted would find some IDs too old
    by now, and begin anew. A run that was begun longer ago than `max_age`, or that let its verdicts be older, is none
    to go on with.

    Parameters
    ----------
    ledger : Ledger
    base_url : str
    type : JobType
    max_age : float
        Seconds.
    moment : float
        The time by our own clock.
    """
    runs = [
        run
        for run in ledger.readable()
        if (run.base_url, run.type) == (base_url, type)
        and not run.ended
        and attached_job(run) is None
        and run.max_age <= max_age
        and run.created_at >= moment - max_age
    ]
    for run in sorted(runs, key=lambda run: run.created_at, reverse=True):
        yield Reuse(ledger, list(outcome.named(ledger, run.reused)), max_age, run)
