"""The plain way to a table of findings, one line and one Python object at a time: what the fast one must agree with."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from xcompliance_pd import results
from xcompliance_pd.protocol import ACTIONS, GEO_REASONS, REASONS
from xcompliance_pd.results import COLUMNS, Results


def read(data: bytes) -> Results:
    """Read a whole file as `results.read` does, each line by `results._record` alone."""
    rows, bad, lines = [], [], 0
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        lines += 1
        try:
            rows.append(results._record(line))
        except ValueError as error:
            bad.append((number, str(error)))
    return Results(table(rows), lines, tuple(bad[: results.BAD_KEPT]), len(bad))


def table(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    columns = dict(zip(COLUMNS, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(COLUMNS, ())
    found = pd.DataFrame(
        {
            "id": np.array(columns["id"], dtype=np.int64),
            "action": words(columns["action"], ACTIONS),
            "reason": words(columns["reason"], REASONS),
            "created_at": times(columns["created_at"]),
            "redacted_at": times(columns["redacted_at"]),
        }
    )
    for name in ("error", "extra"):
        found[name] = pd.Series(list(columns[name]), dtype=object)
    return found


def words(values: Any, known: tuple[str, ...]) -> pd.Categorical:
    values = [None if pd.isna(word) else word for word in values]
    unknown = sorted({word for word in values if word is not None} - set(known))
    return pd.Categorical(values, categories=pd.Index([*known, *unknown], dtype=object))


def times(values: tuple[datetime | None, ...]) -> pd.DatetimeIndex:
    naive = [None if value is None else value.replace(tzinfo=None) for value in values]
    return pd.DatetimeIndex(np.array(naive, dtype="datetime64[us]")).tz_localize("UTC")


def concat(tables: list[pd.DataFrame]) -> pd.DataFrame:
    merged = pd.concat([each.astype({"action": object, "reason": object}) for each in tables], ignore_index=True)
    for name, known in (("action", ACTIONS), ("reason", REASONS)):
        merged[name] = words(merged[name], known)
    return merged


def decisive(findings: pd.DataFrame) -> pd.DataFrame:
    """Return the first record of each ID by severity, then time, then place."""

    def severity(row: Any) -> int:
        if row.action is None and row.reason is None and row.error is not None:
            return 4
        if row.reason in GEO_REASONS or row.action == "scrub_geo":
            return 1
        return {"delete": 0, "rehydrate": 2}.get(row.action, 3)

    never = pd.Timestamp.max.tz_localize("UTC")
    best: dict[int, tuple[Any, ...]] = {}
    for label, row in zip(findings.index, findings.astype(object).itertuples(), strict=True):
        row = row._replace(**{name: None for name in ("action", "reason", "error") if pd.isna(getattr(row, name))})
        rank = (severity(row), never if pd.isna(row.redacted_at) else row.redacted_at, label)
        best[row.id] = min(best.get(row.id, rank), rank)
    return findings.loc[sorted(label for *_, label in best.values())]
