"""What becomes of an ID when the caller said: findings as a frame, or as result lines to be sent verbatim."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from ..errors import InputError
from ..protocol import JobType
from .exact import exact_id, is_missing

_KEYS = ("id", "action", "created_at", "redacted_at", "reason")  # their order in a line (recorded 2021-11)
_GEO = ("scrub_geo", "geo_scrubbed")


class Given:
    """Fates from findings.

    Parameters
    ----------
    findings : DataFrame, str, bytes, or iterable of str or bytes
        A frame's missing values leave the key out of the record; columns beyond X's five become extra keys.
        Lines are sent byte for byte.
    """

    def __init__(self, findings: pd.DataFrame | str | bytes | Iterable[str | bytes]) -> None:
        self._by_id: dict[int, list[dict[str, Any] | bytes]] = {}
        self._strays: list[dict[str, Any] | bytes] = []
        for finding in _rows(findings) if isinstance(findings, pd.DataFrame) else _lines(findings):
            id = exact_id(_record(finding, JobType.TWEETS).get("id"))
            place = self._strays if id is None else self._by_id.setdefault(id, [])
            place.append(finding)

    def lines(self, ids: Iterable[int], type: JobType) -> list[bytes]:
        """Return the lines of the findings that name one of the IDs."""
        return [_line(finding, type) for id in ids for finding in self._by_id.get(int(id), ())]

    def strays(self, type: JobType) -> list[bytes]:
        """Return the lines that name no ID; every job's results end with them."""
        return [_line(finding, type) for finding in self._strays]

    def verdicts(self, ids: Iterable[int], type: JobType) -> pd.DataFrame:
        """Return status, action, reason and both times, one row for each ID in order."""
        rows = [self._verdict(int(id), type) for id in ids]
        table = pd.DataFrame(rows, columns=["status", "action", "reason", "created_at", "redacted_at"], dtype=object)
        for column in ("created_at", "redacted_at"):
            table[column] = pd.Series([_moment(text) for text in table[column]], dtype="datetime64[us, UTC]")
        return table

    def _verdict(self, id: int, type: JobType) -> tuple[Any, ...]:
        records = [_record(finding, type) for finding in self._by_id.get(id, ())]
        if not records:
            return "compliant", None, None, None, None
        record = min(records, key=_rank)  # min keeps the first of equals
        action, reason = record.get("action"), record.get("reason")
        times = record.get("created_at"), _gone(record)
        if action is None and reason is None and "error" in record:
            return "unchecked", None, record["error"], *times
        return "action_required", action, reason, *times


def _rank(record: Mapping[str, Any]) -> tuple[int, bool, pd.Timestamp]:
    """Order the findings of one ID: the most severe first, then the earliest redaction.

    guess: X announced a priority rule in September 2026; its text was not to be had.
    """
    action, reason = record.get("action"), record.get("reason")
    if action == "delete" and reason not in _GEO:
        severity = 0
    elif action == "scrub_geo" or reason in _GEO:
        severity = 1
    else:
        severity = 2 if action == "rehydrate" else 3
    redacted = _moment(_gone(record))
    return severity, redacted is None, redacted or pd.Timestamp(0, tz="UTC")


def _gone(record: Mapping[str, Any]) -> Any:
    """Return the time of redaction under either of its names; null is none."""
    return next((record[key] for key in ("redacted_at", "deleted_at") if record.get(key) is not None), None)


def _moment(text: Any) -> pd.Timestamp | None:
    if not isinstance(text, str):
        return None
    moment = pd.to_datetime(text, format="ISO8601", utc=True, errors="coerce")
    return None if pd.isna(moment) else moment


def _rows(findings: pd.DataFrame) -> list[dict[str, Any]]:
    if "id" not in findings.columns:
        raise InputError("The findings have no column 'id'. Name the column of IDs 'id'.")
    order = [key for key in _KEYS if key in findings.columns]
    order += [key for key in findings.columns if key not in _KEYS]
    columns = [findings[key].tolist() for key in order]
    return [
        {str(key): value for key, value in zip(order, row, strict=True) if not is_missing(value)}
        for row in zip(*columns, strict=True)
    ]


def _lines(findings: str | bytes | Iterable[str | bytes]) -> list[bytes]:
    if isinstance(findings, str | bytes):
        whole = findings.encode() if isinstance(findings, str) else findings
        return [line for line in whole.split(b"\n") if line.strip()]
    lines = list(findings) if isinstance(findings, Iterable) else [None]
    if not all(isinstance(line, str | bytes) for line in lines):
        raise InputError("findings must be a DataFrame, or result lines as text or bytes. Pass one of these.")
    return [line.encode() if isinstance(line, str) else bytes(line) for line in lines if line is not None]


def _record(finding: dict[str, Any] | bytes, type: JobType) -> dict[str, Any]:
    """Return the finding as a reader of its line would see it; {} for a line that is no JSON object."""
    try:
        record = json.loads(_line(finding, type))
    except (ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def _line(finding: dict[str, Any] | bytes, type: JobType) -> bytes:
    if isinstance(finding, bytes):
        return finding
    record = {key: _plain(value, type) for key, value in finding.items()}
    record |= {"id": str(record["id"])} if isinstance(record.get("id"), int) else {}
    return json.dumps(record, separators=(",", ":"), ensure_ascii=False, default=str).encode()


def _plain(value: Any, type: JobType) -> Any:
    if isinstance(value, date | np.datetime64):  # a datetime is a date, and a Timestamp is a datetime
        moment = pd.Timestamp(value)
        moment = moment.tz_localize("UTC") if moment.tzinfo is None else moment.tz_convert("UTC")
        if type is JobType.USERS:
            return moment.strftime("%Y-%m-%dT%H:%M:%S+00:00")
        return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
    return value.item() if isinstance(value, np.generic) else value
