"""What every peer's test does around the peer: the IDs, the byte steps that X leaves to requests, the comparison."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import requests

import xcompliance_pd as xc

COUNT = 400
IDS = {
    "tweets": (1_212_092_628_029_698_048 + np.arange(COUNT) * 4_194_304_007).astype(str).tolist(),
    "users": (2_000 + np.arange(COUNT) * 7).astype(str).tolist(),
}
DIALECTS = ("gcs", "xapi")
LOOKS_MAX = 20

Record = tuple[str | None, ...]


def ids_file(folder: Path, type: str) -> Path:
    """Return a file with one ID a line, as X asks for it."""
    path = folder / "ids.txt"
    path.write_text("".join(f"{id}\n" for id in IDS[type]))
    return path


def upload(url: str, path: Path) -> None:
    """PUT the file as X's samples do."""
    with path.open("rb") as file:
        requests.put(url, data=file, headers={"Content-Type": "text/plain"}, timeout=10).raise_for_status()


def download(url: str) -> list[str]:
    """GET the result lines as X's samples do."""
    answer = requests.get(url, timeout=10)
    answer.raise_for_status()
    return answer.text.splitlines()


def looked_until_complete(look: Callable[[], Any]) -> Any:
    """Return the job as soon as it is complete."""
    for _ in range(LOOKS_MAX):
        job = look()
        if job["status"] == "complete":
            return job
    raise AssertionError(f"after {LOOKS_MAX} looks the job is {job['status']}")


def assert_as_ours(lines: list[str], box: xc.Sandbox, type: str) -> None:
    """Assert that these result lines say what our own client finds and says about the same IDs, record by record."""
    theirs = sorted(map(_said, (json.loads(line) for line in lines if line)))
    frame = pd.DataFrame({"id": IDS[type]})
    run = xc.submit(frame, "id", type=type, client=box.client)
    ours = sorted(map(_found, run.result().to_dict("records")))
    assert theirs == ours
    checked = xc.join(frame, "id", run)
    listed = {record[0] for record in theirs}
    assert 0 < len(listed) < COUNT
    assert set(checked.loc[checked["compliance_status"] != "compliant", "id"]) == listed


def _said(record: dict[str, Any]) -> Record:
    times = (record.get("created_at"), record.get("redacted_at") or record.get("deleted_at"))
    words = tuple(record.get(key) for key in ("action", "reason", "error"))
    return _texts(record["id"], *words, *map(_moment, times))


def _found(record: dict[str, Any]) -> Record:
    times = (record["created_at"], record["redacted_at"])
    return _texts(record["id"], record["action"], record["reason"], record["error"], *map(_moment, times))


def _moment(value: Any) -> str | None:
    return None if pd.isna(value) else str(pd.Timestamp(value).tz_convert("UTC").floor("ms"))


def _texts(*values: Any) -> Record:
    """Sortable: what is missing is an empty text."""
    return tuple("" if pd.isna(value) else str(value) for value in values)
