"""A disk that fails at the n-th operation: a clear error, nothing lost, and the same check ends well afterwards.

The operations are those that change the ledger's disk, counted where the package meets the system: making a file or
folder, writing (half of the bytes arrive), syncing, renaming. Reading has its own tests in ``test_ledger``.
"""

from __future__ import annotations

import errno
import io
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support import quick

import xcompliance_pd as xc
from xcompliance_pd.sandbox import Server

IDS = [str(1212092628029698048 + n * 4_194_304_007) for n in range(24)]
FRAME = pd.DataFrame({"id": IDS})


class Disk:
    """Counts operations beneath a folder; from `at` on they fail, `times` in a row."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.failed = 0
        self.failing = ""  # the operation that failed first
        self._home = str(home)
        self._at, self._times, self._code = 0, 0, 0
        disk, opened = self, os.open

        def opening(path: Any, flags: int, *rest: Any, **options: Any) -> int:
            if flags & os.O_EXCL and str(path).startswith(disk._home):
                disk.work()
            return opened(path, flags, *rest, **options)

        class File(io.BufferedRandom):
            def write(self, data: Any) -> int:
                if disk.due():
                    super().write(data[: len(data) // 2])
                    self.flush()
                disk.work()
                return super().write(data)

        def fdopen(handle: int, mode: str = "r", *rest: Any, **options: Any) -> Any:
            return File(io.FileIO(handle, "r+b")) if mode == "w+b" else open(handle, mode, *rest, **options)

        def counted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
            def wrapped(first: Any, *rest: Any, **options: Any) -> Any:
                if isinstance(first, int) or str(first).startswith(disk._home):
                    disk.work(name)
                return function(first, *rest, **options)

            return wrapped

        monkeypatch.setattr(os, "open", opening)
        monkeypatch.setattr(os, "fdopen", fdopen)
        for name, function in (("fsync", lambda handle: None), ("replace", os.replace), ("mkdir", os.mkdir)):
            monkeypatch.setattr(os, name, counted(name, function))  # without power cuts a sync need not be waited for

    def plan(self, at: int, times: int, code: int) -> None:
        self.count, self.failed, self.failing = 0, 0, ""
        self._at, self._times, self._code = at, times, code

    def due(self) -> bool:
        return self._at <= self.count + 1 < self._at + self._times

    def work(self, name: str = "") -> None:
        due = self.due()
        self.count += 1
        if due:
            self.failing = self.failing or name
            self.failed += 1
            raise OSError(self._code, os.strerror(self._code))


@pytest.fixture
def far() -> Iterator[Server]:
    with Server(complete_after=1, rate_limits=(10**6,) * 3) as server:
        yield server


def files(home: Path) -> dict[str, bytes]:
    """Return the files of a ledger that mean something: not temporary ones, nor locks."""
    spare = (".tmp", ".part")
    paths = [path for path in home.rglob("*") if path.is_file() and path.suffix not in spare and path.name != "lock"]
    return {str(path.relative_to(home)): path.read_bytes() for path in paths}


FOREVER = 10**9


@pytest.mark.parametrize(
    ("code", "times", "batches"),
    [
        (errno.ENOSPC, 1, 1),
        (errno.ENOSPC, FOREVER, 1),
        (errno.EIO, 1, 1),
        (errno.EROFS, FOREVER, 1),
        (errno.ENOSPC, 1, 3),
    ],
    ids=["full once", "full", "an error", "read-only", "full once, three batches"],
)
def test_a_disk_that_fails_at_any_operation(
    far: Server, code: int, times: int, batches: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For every operation of a check (every third of three batches): an error that says what and where, then the
    truth, and one job a batch.

    What the ledger held before the failure is there after it, unchanged but for the record that was being replaced.
    """
    disk = Disk(tmp_path, monkeypatch)
    batch_size = len(IDS) // batches
    truth = far.expected(IDS)["status"].astype(str).tolist()
    disk.plan(0, 0, 0)
    xc.check(FRAME, "id", client=quick(far, home=tmp_path / "dry", batch_size=batch_size))
    operations = disk.count
    assert operations > 30
    places = range(1, operations + 1, batches)
    print(f"{len(places)} of {operations} operations")
    for at in places:
        home, before = tmp_path / str(at), len(far.service.jobs)
        client = quick(far, home=home, batch_size=batch_size)
        disk.plan(at, times, code)
        said = ""
        try:
            checked = xc.check(FRAME, "id", client=client)
        except xc.LedgerError as error:
            said = str(error)
        else:
            assert checked["compliance_status"].astype(str).tolist() == truth
            assert disk.failing == "mkdir"  # of a folder that is there already
        assert not said or (os.strerror(code) in said and "Nothing was deleted" in said)
        assert disk.failed, f"operation {at} of {operations} never came"
        left = files(home) if home.exists() else {}
        disk.plan(0, 0, 0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", xc.ComplianceWarning)  # "continuing the unfinished run", where there is one
            again = quick(far, home=home, batch_size=batch_size)
            runs = again.runs()
            ended = len(runs) and runs["state"].iloc[0] == "done"
            run = again.open_run(runs.index[0]) if ended else xc.submit(FRAME, "id", client=again)
            checked = xc.join(FRAME, "id", run)
        assert checked["compliance_status"].astype(str).tolist() == truth
        assert len(far.service.jobs) - before == batches, f"surplus jobs after operation {at}"
        now = files(home)
        assert all(now.get(name) == data for name, data in left.items() if not name.endswith("run.json"))
        assert len(again.runs()) == 1


def test_a_full_disk_stops_a_background_run_with_the_same_error(
    far: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run in the background has nobody to raise to: the error is its exception, and on the card."""
    disk = Disk(tmp_path, monkeypatch)
    far.service.processing_seconds = 3600
    run = xc.submit(FRAME, "id", client=quick(far, home=tmp_path / "home", poll_interval=0.01))
    disk.plan(disk.count + 5, FOREVER, errno.ENOSPC)
    thread = run._thread
    assert thread is not None
    thread.join(20)
    assert isinstance(run.exception(), xc.LedgerError)
    assert run.status == "stopped"
    assert "No space left" in run.snapshot().note
    disk.plan(0, 0, 0)
    far.service.processing_seconds = 0
    checked = xc.join(FRAME, "id", run)
    assert checked["compliance_status"].notna().all()
    assert len(far.service.jobs) == 1
