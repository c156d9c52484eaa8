"""The truth: what becomes of each ID, and what a user's rows should therefore read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from ..protocol import JobType, job_type
from .chance import Chance, Ints
from .dialects import Dialect
from .exact import exact_id, is_missing
from .given import Given

Findings = pd.DataFrame | str | bytes | Iterable[str | bytes] | None


class Fates:
    """Decides which IDs are listed in a job's results, and how.

    Parameters
    ----------
    findings : DataFrame, str, bytes, or iterable of str or bytes, optional
        What to say: a frame with a column ``id`` and any of ``action``, ``reason``, ``created_at``,
        ``redacted_at`` (others become extra keys), or result lines, which are sent verbatim for the IDs they
        name; a line that names no ID ends every job's results. Without findings a hash decides.
    seed : int
        The seed of that hash.
    dialect : Dialect
        Whose words the hash may choose.

    Examples
    --------
    >>> from xcompliance_pd.sandbox.fates import Fates
    >>> truth = Fates('{"id":"20","action":"delete","reason":"deleted"}')
    >>> truth.expected([20, 21, None])["status"].tolist()
    ['action_required', 'compliant', 'unchecked']
    """

    def __init__(self, findings: Findings = None, seed: int = 0, dialect: Dialect = Dialect.GCS) -> None:
        self._given = None if findings is None else Given(findings)
        self._chance = Chance(seed, dialect)

    def lines(self, ids: Ints, type: JobType) -> list[bytes]:
        """Return the result lines of the IDs that are listed."""
        return self._chance.lines(ids, type) if self._given is None else self._given.lines(ids.tolist(), type)

    def strays(self, type: JobType) -> list[bytes]:
        """Return the lines that end every job's results, whatever was uploaded."""
        return [] if self._given is None else self._given.strays(type)

    def expected(self, ids: Iterable[Any], type: str = JobType.TWEETS) -> pd.DataFrame:
        """Return what each row should read after a finished check.

        Parameters
        ----------
        ids : iterable
            Whole numbers, digit texts, missing values, anything. A Series' index is kept.
        type : str
            ``tweets`` or ``users``.

        Returns
        -------
        DataFrame
            ``status`` (compliant, action_required, unchecked for a missing value, invalid for what is not
            exactly an ID), ``action``, ``reason`` (None where there is none), ``created_at``, ``redacted_at``.
        """
        rows = list(ids)
        exact = [exact_id(value) for value in rows]
        valid = np.array([id is not None for id in exact], dtype=bool)
        known = np.array([id for id in exact if id is not None], dtype=np.int64)
        kind = job_type(type)
        verdicts = (self._chance if self._given is None else self._given).verdicts(known, kind)
        table = verdicts.set_index(np.flatnonzero(valid)).reindex(range(len(rows)))
        table["status"] = (
            table["status"].astype(object).where(valid, ["unchecked" if is_missing(v) else "invalid" for v in rows])
        )
        for column in ("action", "reason"):
            table[column] = table[column].astype(object).where(table[column].notna(), None)
        table.index = ids.index if isinstance(ids, pd.Series) else pd.RangeIndex(len(rows))
        return table
