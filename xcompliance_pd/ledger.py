"""The disk: one folder per run, written so that a crash at any moment loses nothing.

    HOME/runs/RUN_ID/run.json            what the run is and where each batch stands (replaced atomically)
                     ids-N.txt           what batch N uploads, one ID a line
                     results-N.ndjson    its result file as received, once verified
                     decided-N.i64       the IDs of batch N that have a verdict: only a hint, made anew if it is lost
                     applied.jsonl       what was done with its verdicts, one record a line, see `audit`
                     lock                held by the process that drives the run

A run that was forgotten has neither IDs nor results any more; its record, its lock and applied.jsonl stay.

No token and no URL is ever written here. Folders are 0700, files 0600: lists of IDs are research data.
"""

from __future__ import annotations

import collections.abc
import contextlib
import dataclasses
import hashlib
import json
import os
import secrets
import shutil
import types
import typing
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import filelock
import google_crc32c
import numpy as np
import platformdirs

from . import audit, freshness, lifecycle
from .digest import Digest, Grade
from .errors import LedgerError
from .ids import Ints, Slice, encode
from .lifecycle import RUN_ID, Batch, Phase, RunRecord
from .protocol import JobType

HOME_VARIABLE = "XCOMPLIANCE_HOME"
SCHEMA = 1
PIECE = 1 << 20  # bytes of a file in memory at once while it is only checked
APPLIED = "applied.jsonl"
STAYS = frozenset({"run.json", APPLIED, "lock"})  # of a run that is forgotten; all else goes, whatever it is
PEEKS, PEEK = 16, 1 << 10  # places of an ID file that a look into it reads, and bytes at each: some fifty IDs


def default_home() -> Path:
    """Return the ledger's folder: XCOMPLIANCE_HOME, else the user's state folder."""
    named = os.environ.get(HOME_VARIABLE)
    return Path(named).expanduser() if named else platformdirs.user_state_path("xcompliance_pd", appauthor=False)


class Incoming:
    """A result file on its way in."""

    def __init__(self, part: Path, final: Path) -> None:
        self._part = part
        self._final = final
        self._file = _open_new(part)
        self.write: Callable[[bytes], Any] = self._file.write

    def read(self) -> bytes:
        """Return what has come so far."""
        self._file.flush()
        return self._part.read_bytes()

    def keep(self) -> None:
        """Give the file its name, for good: only a verified file, or the best that could be had, gets here."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._part.replace(self._final)
        _sync_folder(self._final.parent)

    def close(self) -> None:
        self._file.close()
        self._part.unlink(missing_ok=True)


class Ledger:
    """Runs on disk.

    Parameters
    ----------
    home : path, optional
        The ledger's folder; made on the first write.
    """

    def __init__(self, home: str | os.PathLike[str] | None = None) -> None:
        self.home = default_home() if home is None else Path(home).expanduser()
        self._runs = self.home / "runs"

    # ----------------------------------------------------------------- run records

    def run_ids(self) -> list[str]:
        """Return the IDs of all runs, oldest first as far as their names tell."""
        if not self._runs.is_dir():
            return []
        with _disk_errors(self._runs):
            names = [path.name for path in self._runs.iterdir() if RUN_ID.fullmatch(path.name)]
        return sorted(name for name in names if (self._runs / name / "run.json").exists())

    @contextlib.contextmanager
    def making(self, record: RunRecord, batches: Iterable[Slice]) -> Iterator[RunRecord]:
        """Write the ID files of a new run. It exists once the caller has saved what it is given, so it is whole then.

        Parameters
        ----------
        record : RunRecord
            Without batches.
        batches : iterable of Slice
            The IDs of each batch. They may take long to come, so other processes are not kept waiting.

        Yields
        ------
        RunRecord
            With a PLANNED batch for each ID file. Unless it is saved, the files go away.
        """
        folder = self.folder(record.id)
        lock = filelock.FileLock(folder / "lock", mode=0o600, timeout=0)
        with self.planning(), _disk_errors(folder):
            self._runs.mkdir(mode=0o700, exist_ok=True)
            folder.mkdir(mode=0o700)
            lock.acquire()  # tells that somebody is at it: a folder without a record would be swept away
        try:
            whole = hashlib.sha256()
            planned = [self._plan(record.id, number, batch, whole) for number, batch in enumerate(batches, 1)]
            ids = sum(batch.ids for batch in planned)
            yield dataclasses.replace(record, batches=tuple(planned), ids=ids, ids_sha256=whole.hexdigest())
        finally:
            if not (folder / "run.json").exists():
                shutil.rmtree(folder, ignore_errors=True)  # half a run is no run: nothing was sent yet
            lock.release()

    def _plan(self, run_id: str, number: int, batch: Slice, whole: hashlib._Hash) -> Batch:
        """Write one ID file."""
        path, digest = self.ids_path(run_id, number), Digest()
        whole.update(np.ascontiguousarray(batch.ids, dtype="<i8").data)
        with _disk_errors(path), _new_file(path) as file:
            for block in encode(batch.ids):
                file.write(block)
                digest.update(block)
        crc32c = digest.crc32c.hex()
        return Batch(number, len(batch.ids), digest.sha256, crc32c, digest.length, batch.first, batch.last)

    def save(self, record: RunRecord) -> None:
        """Replace a run's record: temporary file, fsync, rename, fsync of the folder."""
        folder = self.folder(record.id)
        with _disk_errors(folder):
            temporary = folder / f"run.json.{secrets.token_hex(4)}.tmp"
            try:
                with _new_file(temporary) as file:
                    file.write(_written(record))
                temporary.replace(folder / "run.json")
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
            _sync_folder(folder)

    def load(self, run_id: str) -> RunRecord:
        """Read a run's record."""
        path = self.folder(run_id) / "run.json"
        try:
            data = json.loads(path.read_bytes())
        except FileNotFoundError:
            raise LedgerError(_no_such_run(run_id, self.home), run_id=run_id) from None
        except OSError as error:
            raise LedgerError(
                f"{path} cannot be read ({error.strerror}). Check its permissions.", run_id=run_id
            ) from None
        except (ValueError, RecursionError):
            raise LedgerError(_damaged(path), run_id=run_id) from None
        schema = data.get("schema") if isinstance(data, dict) else None
        if isinstance(schema, int) and schema > SCHEMA:
            raise LedgerError(
                f"{path} was written by a newer version of xcompliance-pd. Upgrade to open this run.", run_id=run_id
            )
        try:
            record = _record(data)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise LedgerError(_damaged(path), run_id=run_id) from None
        if record.id != run_id or not _sound(record):
            raise LedgerError(_damaged(path), run_id=run_id)
        return record

    def readable(self) -> list[RunRecord]:
        """Return the records of all runs that can be read."""
        records = []
        for run_id in self.run_ids():
            with contextlib.suppress(LedgerError):
                records.append(self.load(run_id))
        return records

    def forget(self, run_id: str, now: float) -> None:
        """Delete what a run has of IDs and results; its record stays. Asks nobody; the caller holds the lock.

        The record says so first: after a crash amid it the run is whole, or forgotten. Whatever is left of a forgotten
        one is deleted when it is forgotten again, or when any other run is made or driven.
        """
        self.save(lifecycle.forgotten(self.load(run_id), now))
        self._clear(self.folder(run_id))

    def _clear(self, folder: Path) -> None:
        with _disk_errors(folder):
            for path in _going(folder):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
            _sync_folder(folder)

    def discard(self, run_id: str) -> None:
        """Delete a run's folder, with its record. Asks nobody; the caller holds the lock."""
        folder = self.folder(run_id)
        with _disk_errors(folder):
            (folder / "run.json").unlink(missing_ok=True)  # first, so that half a run is no run
            shutil.rmtree(folder)

    # ----------------------------------------------------------------- what was done with a run's verdicts

    def has(self, run_id: str) -> bool:
        """Whether there is such a run; it need not be readable."""
        path = self.folder(run_id) / "run.json"
        with _disk_errors(path):
            return path.exists()

    def applied(self, run_id: str) -> list[dict[str, Any]]:
        """Return the records of what was done with a run's verdicts, oldest first, as they stand in the file."""
        path = self.folder(run_id) / APPLIED
        with _disk_errors(path):
            return audit.read(path.read_bytes()) if path.exists() else []

    def record_applied(self, run_id: str, entry: audit.Record, rows: int) -> None:
        """Append a record to a run's chain, for good.

        Parameters
        ----------
        run_id : str
        entry : mapping
            From :func:`xcompliance_pd.audit.entry`.
        rows : int
            How many rows name the run.
        """
        path = self.folder(run_id) / APPLIED
        with self.planning(), _disk_errors(path), _appending(path) as file:  # planning: no two at once
            written = file.read()
            torn = written[written.rfind(b"\n") + 1 :]
            if torn and audit.read(torn) == [{}]:  # it was never written to its end
                file.truncate(len(written) - len(torn))
                written, torn = written[: -len(torn)], b""
            records = audit.read(written)
            previous = records[-1].get("sha256") if records else None
            file.seek(len(written))
            file.write((b"\n" if torn else b"") + audit.line(audit.sealed(entry, run_id, rows, previous)))

    # ----------------------------------------------------------------- files of a batch

    def folder(self, run_id: str) -> Path:
        if not isinstance(run_id, str) or not RUN_ID.fullmatch(run_id):
            raise LedgerError(f"{str(run_id)[:60]!r} is not a run ID; xc.runs() lists them.")
        return self._runs / run_id

    def ids_path(self, run_id: str, number: int) -> Path:
        return self.folder(run_id) / f"ids-{number}.txt"

    def read_ids(self, run_id: str, batch: Batch) -> bytes:
        """Return a batch's ID file, after checking that it still is what was planned."""
        return self._checked(self.ids_path(run_id, batch.number), batch.ids_sha256, run_id)

    @contextlib.contextmanager
    def reading_ids(self, run_id: str, batch: Batch) -> Iterator[Path]:
        """Give the path of a batch's ID file to whoever reads it himself; if it is gone, that is said as always."""
        path = self.ids_path(run_id, batch.number)
        with _reading(path, run_id):
            yield path

    def same_ids(self, run_id: str, batch: Batch, sha256: str) -> None:
        """Check that what was read of a batch's ID file is what was planned, by its SHA-256."""
        _unchanged(self.ids_path(run_id, batch.number), sha256, batch.ids_sha256, run_id)

    def check_ids(self, run_id: str, batch: Batch, take: Callable[[bytes], object] = lambda piece: None) -> None:
        """Check that a batch's ID file still is what was planned, reading it in pieces, which `take` gets, too.

        By its CRC32C, which takes a tenth of the time: whatever leaves this machine, or is believed, is compared by its
        SHA-256 then.
        """
        path, digest = self.ids_path(run_id, batch.number), google_crc32c.Checksum()
        with _reading(path, run_id), path.open("rb") as file:
            while piece := file.read(PIECE):
                digest.update(piece)
                take(piece)
        _unchanged(path, digest.digest().hex(), batch.ids_crc32c, run_id)

    def peek_ids(self, run_id: str, batch: Batch) -> Iterator[bytes]:
        """Yield some whole lines from several places of a batch's ID file. They are not checked: only for a guess."""
        path = self.ids_path(run_id, batch.number)
        with _reading(path, run_id), path.open("rb", buffering=0) as file:
            for start in range(0, batch.ids_bytes, max(batch.ids_bytes // PEEKS, PEEK)):
                file.seek(start)
                piece = file.read(PEEK)
                yield piece[piece.find(b"\n") + 1 if start else 0 : piece.rfind(b"\n") + 1]

    def read_results(self, run_id: str, batch: Batch) -> bytes:
        """Return a batch's result file, after checking that it still is what was verified."""
        return self._checked(self._results_path(run_id, batch.number), batch.results_sha256 or "", run_id)

    def _checked(self, path: Path, sha256: str, run_id: str) -> bytes:
        with _reading(path, run_id):
            data = path.read_bytes()
        _unchanged(path, hashlib.sha256(data).hexdigest(), sha256, run_id)
        return data

    def _results_path(self, run_id: str, number: int) -> Path:
        return self.folder(run_id) / f"results-{number}.ndjson"

    def read_index(self, run_id: str, batch: Batch) -> Ints | None:
        """Return the IDs that a batch's index names, mapped from disk; None if there is none that fits its files.

        It is a hint to be fast: the batch's files are looked for, but not read. What is put on a row is not from here.
        """
        files = {self.ids_path(run_id, batch.number): batch.ids_bytes}
        files[self._results_path(run_id, batch.number)] = batch.results_bytes or 0
        try:
            if any(path.stat().st_size != size for path, size in files.items()):
                return None
            data = np.memmap(self._index_path(run_id, batch.number), dtype=np.uint8, mode="r")
        except (OSError, ValueError):  # an empty file cannot be mapped
            return None
        return freshness.read_index(np.asarray(data), batch)

    def write_index(self, run_id: str, batch: Batch, ids: Ints | None) -> None:
        """Replace a batch's index, or take it away. If the disk does not let us, the next look is slower, no more."""
        path = self._index_path(run_id, batch.number)
        temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
        with contextlib.suppress(OSError):
            for left in path.parent.glob(f"{path.name}.*.tmp"):
                left.unlink()  # by a process that was killed; one that is still at it makes its index another time
            if ids is None:
                path.unlink(missing_ok=True)
                return
            try:
                with _open_new(temporary) as file:  # without fsync: the checksum tells what a power failure left
                    file.writelines(freshness.index(ids, batch))
                temporary.replace(path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise

    def _index_path(self, run_id: str, number: int) -> Path:
        return self.folder(run_id) / f"decided-{number}.i64"

    @contextlib.contextmanager
    def receiving(self, run_id: str, number: int) -> Iterator[Incoming]:
        """Give a file for a download: a ``.part`` that goes away unless it is kept."""
        final = self._results_path(run_id, number)
        part = final.with_name(f"{final.name}.{secrets.token_hex(4)}.part")
        with _disk_errors(final):
            incoming = Incoming(part, final)
            try:
                yield incoming
            finally:
                incoming.close()

    # ----------------------------------------------------------------- locks

    @contextlib.contextmanager
    def planning(self) -> Iterator[None]:
        """Hold the ledger while a run is looked up or saved, so that two processes make one run, not two."""
        with _disk_errors(self.home):
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
            with filelock.FileLock(self.home / "lock", mode=0o600):
                self._sweep()
                yield

    def _sweep(self) -> None:
        """Remove what a killed process left half-made or half-forgotten; whoever is at it holds the run's lock."""
        if not self._runs.is_dir():
            return
        for folder in self._runs.iterdir():
            if RUN_ID.fullmatch(folder.name) and (self._half_made(folder) or self._half_forgotten(folder)):
                lock = filelock.FileLock(folder / "lock", mode=0o600, timeout=0)
                with contextlib.suppress(filelock.Timeout, FileNotFoundError), lock:
                    if self._half_made(folder):
                        shutil.rmtree(folder, ignore_errors=True)
                    else:
                        self._clear(folder)

    @staticmethod
    def _half_made(folder: Path) -> bool:
        return not (folder / "run.json").exists()

    def _half_forgotten(self, folder: Path) -> bool:
        with contextlib.suppress(LedgerError, FileNotFoundError):
            return bool(_going(folder)) and self.load(folder.name).forgotten_at is not None
        return False

    def take(self, lock: filelock.BaseFileLock) -> bool:
        """Take a run's drive lock, unless another process holds it, and remove what killed processes left half-made."""
        folder = Path(lock.lock_file).parent
        with _disk_errors(folder):
            try:
                lock.acquire(timeout=0)
            except filelock.Timeout:
                return False
            for path in folder.iterdir():
                if path.suffix in (".tmp", ".part"):
                    path.unlink(missing_ok=True)
        with self.planning():
            pass  # it sweeps
        return True

    def drive_lock(self, run_id: str) -> filelock.BaseFileLock:
        """Return the lock that the one process driving a run holds; the system frees it when the process dies."""
        folder = self.folder(run_id)
        if not folder.is_dir():
            raise LedgerError(_no_such_run(run_id, self.home), run_id=run_id)
        return filelock.FileLock(folder / "lock", mode=0o600, timeout=0)


def _record(data: dict[str, Any]) -> RunRecord:
    data = dict(data)
    schema = data.pop("schema")
    if type(schema) is not int or schema != SCHEMA:
        raise ValueError("no schema of ours")
    data["type"] = JobType(data["type"])
    data["reused"] = _texts(data.get("reused", []))
    data["batches"] = tuple(map(_batch, data["batches"]))
    return RunRecord(**data)


def _batch(data: dict[str, Any]) -> Batch:
    data["phase"] = Phase(data["phase"])
    data["grade"] = None if data["grade"] is None else Grade(data["grade"])
    data["past_jobs"] = _texts(data["past_jobs"])
    return Batch(**data)


def _texts(value: object) -> tuple[Any, ...]:
    if not isinstance(value, list):  # tuple() would take a text or an object apart
        raise TypeError("that is no list")
    return tuple(value)


def _check(hint: Any) -> Callable[[object], bool]:
    """Return what tells whether a value from JSON is of an annotated type; floats are times, up to the year 9999."""
    kinds = frozenset(typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,))
    if typing.get_origin(hint) is tuple:
        each = _check(typing.get_args(hint)[0])
        return lambda value: type(value) is tuple and all(map(each, value))
    if typing.get_origin(hint) is collections.abc.Mapping:
        count = _check(int)
        return lambda value: type(value) is dict and all(map(count, value.values()))
    if float in kinds:
        others = kinds - {float}
        return lambda value: (
            (type(value) in (int, float) and 0 <= value < 253_402_300_800)  # type: ignore[operator]
            or type(value) in others
        )
    return lambda value: type(value) in kinds  # exactly: to isinstance, True is an int


# By the class and the name of a field: records are read so often that this is worked out once.
_CHECKS = {
    kind: [(name, _check(hint)) for name, hint in typing.get_type_hints(kind).items()] for kind in (RunRecord, Batch)
}


def _sound(record: RunRecord) -> bool:
    """Whether every field is what its annotation says, and the batches are counted from 1."""
    numbers = [batch.number for batch in record.batches]
    parts: list[RunRecord | Batch] = [record, *record.batches]
    typed = all(fits(getattr(part, name)) for part in parts for name, fits in _CHECKS[type(part)])
    return typed and numbers == list(range(1, len(numbers) + 1)) and len(numbers) > 0


def _written(record: RunRecord) -> bytes:
    """Return a record as JSON for people, too: a line for each field and each batch."""
    fields = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    batches = ",\n  ".join(json.dumps(_plain(batch)) for batch in record.batches)
    lines = [f'"schema": {SCHEMA}']
    lines += [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in fields.items() if name != "batches"]
    return ("{\n " + ",\n ".join([*lines, f'"batches": [\n  {batches}\n ]']) + "\n}\n").encode()


def _plain(batch: Batch) -> dict[str, Any]:
    return {field.name: getattr(batch, field.name) for field in dataclasses.fields(batch)}


def _going(folder: Path) -> list[Path]:
    """Return the files of a run that go when it is forgotten."""
    return [path for path in folder.iterdir() if path.name not in STAYS]


def _open_new(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_NOFOLLOW", 0), 0o600), "w+b")


@contextlib.contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    with _open_new(path) as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def _appending(path: Path) -> Iterator[BinaryIO]:
    """Give a file that is made if need be, to be read and added to; when this ends, it is on the disk."""
    handle = os.open(path, os.O_CREAT | os.O_RDWR | getattr(os, "O_NOFOLLOW", 0), 0o600)
    with os.fdopen(handle, "r+b") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":  # pragma: no cover - Windows cannot open a folder
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LedgerError(
            f"The ledger at {path} cannot be used ({error.strerror or type(error).__name__}). "
            f"Free some space or check its permissions; {HOME_VARIABLE} names another folder. Nothing was deleted."
        ) from None


@contextlib.contextmanager
def _reading(path: Path, run_id: str) -> Iterator[None]:
    with _disk_errors(path):
        try:
            yield
        except FileNotFoundError:
            raise LedgerError(
                f"{path} is gone, so this run proves nothing any more. Check the IDs again with fresh=True.",
                run_id=run_id,
            ) from None


def _unchanged(path: Path, found: str, written: str, run_id: str) -> None:
    if found != written:
        raise LedgerError(
            f"{path} was changed after it was written, so this run proves nothing any more. "
            "Check the IDs again with fresh=True.",
            run_id=run_id,
        )


def _no_such_run(run_id: str, home: Path) -> str:
    if run_id.startswith("sandbox-"):
        return (
            f"There is no run {run_id} in {home}. It was made with a sandbox: box.client.open_run({run_id!r}) opens it "
            "while that sandbox is there; its runs go when it goes. Start one with xc.Sandbox() and check again."
        )
    return f"There is no run {run_id} in {home}. xc.runs() lists the runs; {HOME_VARIABLE} names another ledger."


def _damaged(path: Path) -> str:
    return f"{path} is damaged; nothing was deleted. Move its folder away and check the IDs again."
