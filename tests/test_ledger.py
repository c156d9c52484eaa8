"""The disk: what is written, how, and what happens when it cannot be or was spoilt."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pandas as pd
import pytest
from support import quick

import xcompliance_pd as xc
from xcompliance_pd.ledger import Ledger

FRAME = pd.DataFrame({"id": ["1212092628029698048", "1212092628029698049"]})


@pytest.fixture
def finished(box: xc.Sandbox) -> xc.Run:
    return FRAME.compliance.submit("id", client=quick(box)).wait(30)


@pytest.fixture
def folder(finished: xc.Run, tmp_path: Path) -> Path:
    return tmp_path / "home" / "runs" / finished.id


def test_modes(folder: Path) -> None:
    """Folders are 0700 and files 0600: lists of IDs are research data."""
    for path in (folder.parents[1], folder.parent, folder):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name


def test_no_secret_on_disk(box: xc.Sandbox, folder: Path) -> None:
    """No file of the ledger holds the token, a signature or a storage URL."""
    for path in folder.iterdir():
        text = path.read_text()
        assert box.token not in text
        assert "X-Goog" not in text
        assert "/submission/" not in text


def test_nothing_temporary_is_left(folder: Path) -> None:
    """After a run only its record, IDs, results and lock are there."""
    assert {path.name for path in folder.iterdir()} - {"lock"} == {"run.json", "ids-1.txt", "results-1.ndjson"}


@pytest.mark.parametrize("name", ["ids-1.txt", "results-1.ndjson"])
@pytest.mark.parametrize("how", ["changed", "cut", "gone"])
def test_spoilt_files_prove_nothing(finished: xc.Run, folder: Path, name: str, how: str) -> None:
    """A changed, cut or deleted file of a finished run is an error, not a verdict.

    The first join takes what was verified during the run, and needs no file.
    """
    truth = FRAME.compliance.join("id", xc.open_run(finished.id))
    path = folder / name
    data = path.read_bytes()
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(data[:-1] if how == "cut" and data else data + b"\n")
    pd.testing.assert_frame_equal(FRAME.compliance.join("id", finished), truth)
    for run in (finished, xc.open_run(finished.id)):
        with pytest.raises(xc.LedgerError, match="fresh=True"):
            FRAME.compliance.join("id", run)


@pytest.mark.parametrize("how", ["changed", "cut", "gone"])
def test_spoilt_id_files_fail_the_check_in_pieces(
    finished: xc.Run, folder: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check that keeps no file in memory hands over the very bytes, in pieces, and notices what reading does."""
    monkeypatch.setattr("xcompliance_pd.ledger.PIECE", 7)
    ledger, path = Ledger(folder.parents[1]), folder / "ids-1.txt"
    batch = ledger.load(finished.id).batches[0]
    data, pieces = path.read_bytes(), list[bytes]()
    ledger.check_ids(finished.id, batch, pieces.append)
    assert b"".join(pieces) == data
    assert max(map(len, pieces)) == 7
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(data[:-1] if how == "cut" else b"2" + data[1:])
    with pytest.raises(xc.LedgerError, match="fresh=True"):
        ledger.check_ids(finished.id, batch)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"schema": 1}', '{"schema": 1, "type": "tweets"}', "\x00" * 100, '"text"']
)
def test_a_damaged_record_is_told_and_kept(finished: xc.Run, folder: Path, text: str) -> None:
    """A damaged run.json is an error that names the file; nothing is deleted, and other runs still list."""
    (folder / "run.json").write_text(text)
    with pytest.raises(xc.LedgerError, match=r"run\.json is damaged; nothing was deleted"):
        xc.open_run(finished.id)
    assert xc.runs().loc[finished.id, "state"] == "unreadable"
    assert (folder / "ids-1.txt").exists()


def test_a_newer_record_is_not_touched(finished: xc.Run, folder: Path) -> None:
    """A record of a newer version asks for an upgrade."""
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**record, "schema": 99}))
    with pytest.raises(xc.LedgerError, match="newer version"):
        xc.open_run(finished.id)


@pytest.mark.parametrize("schema", [0, True, 1.0, "1", None])
def test_a_record_of_no_schema_of_ours_is_damaged(finished: xc.Run, folder: Path, schema: object) -> None:
    """Only the number 1 is our schema: what merely equals it, or is older, is not read as a record of ours."""
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**record, "schema": schema}))
    with pytest.raises(xc.LedgerError, match=r"run\.json is damaged"):
        xc.open_run(finished.id)


@pytest.mark.parametrize("jobs", ["", "17", {"17": 1}])
def test_past_jobs_are_a_list_or_the_record_is_damaged(finished: xc.Run, folder: Path, jobs: object) -> None:
    """A text is not taken apart into jobs with an ID of one digit, nor an object into its keys."""
    record = json.loads((folder / "run.json").read_text())
    record["batches"][0]["past_jobs"] = jobs
    (folder / "run.json").write_text(json.dumps(record))
    with pytest.raises(xc.LedgerError, match=r"run\.json is damaged"):
        xc.open_run(finished.id)


def test_a_home_that_cannot_be_written(box: xc.Sandbox, tmp_path: Path) -> None:
    """If the ledger cannot be written, no job is created."""
    (tmp_path / "file").write_text("")
    with pytest.raises(xc.LedgerError, match="XCOMPLIANCE_HOME"):
        FRAME.compliance.check("id", client=quick(box, home=tmp_path / "file" / "home"))
    assert not box.service.requests


def test_a_full_disk_creates_no_job(box: xc.Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ENOSPC while the ID files are written leaves neither a run nor a job."""

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(xc.LedgerError, match="No space left"):
        FRAME.compliance.check("id", client=quick(box))
    assert not box.service.requests
    assert list((tmp_path / "home" / "runs").iterdir()) == []


def test_a_symlink_is_not_followed(tmp_path: Path) -> None:
    """A planted link under the name of a new file is an error, and its target stays."""
    target = tmp_path / "precious"
    target.write_text("kept")
    from xcompliance_pd.ledger import _open_new

    (tmp_path / "ids-1.txt").symlink_to(target)
    with pytest.raises(FileExistsError):
        _open_new(tmp_path / "ids-1.txt")
    assert target.read_text() == "kept"


@pytest.mark.parametrize("name", ["../../etc", "tweets-20260101-0badcafe/../x", "", "tweets"])
def test_run_ids_are_no_paths(name: str, tmp_path: Path) -> None:
    """Only a run ID as this package makes it gets near the file system."""
    with pytest.raises(xc.LedgerError, match="not a run ID"):
        Ledger(tmp_path).load(name)


def test_a_run_of_another_service_is_refused(finished: xc.Run) -> None:
    """A run cannot be continued against another service by mistake."""
    with pytest.raises(xc.InputError, match="made against"):
        xc.open_run(finished.id, xc.Client(token="t", base_url="https://api.x.com"))
