"""The command line: a file goes in, the same rows with the truth beside them come out, and the exit status tells."""

from __future__ import annotations

import functools
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support import quick

import xcompliance_pd as xc
from xcompliance_pd import client, tables
from xcompliance_pd.cli import main
from xcompliance_pd.protocol import BASE_URL_VARIABLE, TOKEN_VARIABLES

FIRST = 1212092628029698048
SCRIPT = Path(sysconfig.get_path("scripts"), "xcompliance")
PNG = b"\x89PNG\r\n\x1a\n"


def posts(count: int = 40) -> pd.DataFrame:
    ids = (FIRST + np.arange(count, dtype=np.int64) * 4_194_304_007).astype(str)
    authors = (20_000 + 7 * np.arange(count)).astype(str)
    return pd.DataFrame({"id": ids, "author_id": authors, "text": [f'row {n}, "said"' for n in range(count)]})


def aim(monkeypatch: pytest.MonkeyPatch, box: xc.Sandbox) -> None:
    """Point the command line at a sandbox by its environment, as a user does, and let it look often."""
    monkeypatch.setenv(BASE_URL_VARIABLE, box.url)
    monkeypatch.setenv(TOKEN_VARIABLES[0], box.token)
    monkeypatch.setattr(client, "Client", functools.partial(xc.Client, poll_interval=0.0))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def save(frame: pd.DataFrame, name: str) -> None:
    path = Path(name)
    if path.suffix == ".parquet":
        frame.to_parquet(path, index=False)
    elif path.suffix == ".jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",", header=path.suffix != ".txt")


def is_the_truth(out: str, frame: pd.DataFrame, column: str, truth: pd.DataFrame) -> None:
    """Every row is there, in order, with its other cells as they were and the sandbox's verdict beside it."""
    written = tables.read(out).frame.astype(object)
    written = written.where(written.notna(), None)
    assert len(written) == len(frame)
    for name in frame.columns:
        assert written[name].tolist() == frame[name].tolist(), name
    for name in ("status", "action", "reason"):
        assert written[f"compliance_{name}"].tolist() == truth[name].tolist(), name
    for name in ("created_at", "redacted_at"):
        ours = pd.to_datetime(written[f"compliance_{name}"], utc=True, format="ISO8601")
        assert ((ours == truth[name]) | (ours.isna() & truth[name].isna())).all(), name
    listed = truth["status"] == "action_required"
    assert 0 < listed.sum() < len(listed)


# --------------------------------------------------------------------------- check


@pytest.mark.parametrize("type", ["tweets", "users"])
@pytest.mark.parametrize(("file", "out"), [("a.csv", "b.csv"), ("a.tsv", "b.tsv"), ("a.jsonl", "b.jsonl")])
def test_text_files(
    here: Path, box: xc.Sandbox, monkeypatch: pytest.MonkeyPatch, file: str, out: str, type: str
) -> None:
    """csv, tsv and jsonl keep every row and cell, and get the sandbox's truth, for posts and for users."""
    aim(monkeypatch, box)
    frame, column = posts(), "id" if type == "tweets" else "author_id"
    save(frame, file)
    assert main(["check", file, column, "--type", type, "-o", out]) == 0
    is_the_truth(out, frame, column, box.expected(frame[column], type))


def test_parquet(here: Path, box: xc.Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parquet with integer IDs goes in and out; the written file has real times."""
    pytest.importorskip("pyarrow")
    aim(monkeypatch, box)
    frame = posts().astype({"id": "int64"})
    save(frame, "a.parquet")
    assert main(["check", "a.parquet", "id", "-o", "b.parquet"]) == 0
    is_the_truth("b.parquet", frame, "id", box.expected(frame["id"], "tweets"))
    assert pd.read_parquet("b.parquet")["compliance_checked_at"].dt.tz is not None


def test_a_bare_list_needs_no_column(
    here: Path, box: xc.Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One ID a line: COLUMN is left out, the first line is no header, and a blank line stays a row."""
    aim(monkeypatch, box)
    ids = [*posts(9)["id"], None]
    Path("ids.txt").write_text("".join(f"{id or ''}\n" for id in [*ids, ids[0]]))
    assert main(["check", "ids.txt", "-o", "out.csv"]) == 0
    rows = pd.read_csv("out.csv", dtype={"1": str})
    assert [None if pd.isna(id) else id for id in rows["1"]] == [*ids, ids[0]]
    assert rows["compliance_status"].tolist() == box.expected([*ids, ids[0]])["status"].tolist()
    assert "there is no header" in capsys.readouterr().err


def test_a_table_without_header_takes_numbers(here: Path, box: xc.Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """COLUMN 2 of a file without header is its second column, and the first row is checked like the others."""
    aim(monkeypatch, box)
    frame = posts()[["id", "author_id"]]
    frame.to_csv("a.tsv", sep="\t", index=False, header=False)
    assert main(["check", "a.tsv", "2", "--type", "users", "-o", "b.tsv"]) == 0
    rows = pd.read_csv("b.tsv", sep="\t", dtype=str)
    assert rows["2"].tolist() == frame["author_id"].tolist()
    assert rows["compliance_status"].tolist() == box.expected(frame["author_id"], "users")["status"].tolist()


def test_sandbox_needs_no_account(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--sandbox works without a token, says that it is all invented, and invents what a sandbox of seed 0 does."""
    frame = posts()
    save(frame, "a.csv")
    assert main(["check", "a.csv", "id", "--sandbox", "-o", "b.csv"]) == 0
    is_the_truth("b.csv", frame, "id", xc.Sandbox().expected(frame["id"]))
    assert capsys.readouterr().out.startswith("SANDBOX: these verdicts are invented")
    assert xc.runs().empty


def test_progress_and_summary_do_not_mix(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The summary is on standard output with the right counts; progress, one line a stage, is on standard error."""
    monkeypatch.setenv("XCOMPLIANCE_PROGRESS", "auto")
    frame = posts()
    save(frame, "a.csv")
    truth = xc.Sandbox().expected(frame["id"])
    assert main(["check", "a.csv", "id", "--type", "tweets", "--sandbox"]) == 0
    out, err = capsys.readouterr()
    counts: dict[str, int] = {}
    for status, rows in re.findall(r"^ *(compliant|action_required|unchecked|invalid) .*?(\d+) +[\d.]+%$", out, re.M):
        counts[status] = counts.get(status, 0) + int(rows)
    assert counts == {"unchecked": 0, "invalid": 0, **truth["status"].value_counts().to_dict()}
    flagged = int((truth["status"] == "action_required").sum())
    assert [line.split("  ")[1] for line in err.splitlines()] == [
        "prepared",
        "processing",
        f"done: {flagged} of 40 IDs need action, {40 - flagged} proved compliant",
    ]


def test_posts_authors_and_references(
    here: Path, box: xc.Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """--author and --references ask what the dict and references= ask; without them one note tells of --author."""
    aim(monkeypatch, box)
    frame = posts().assign(quoted_id=[*posts()["id"][1:], None])
    save(frame, "a.csv")
    assert main(["check", "a.csv", "id", "--author", "author_id", "--references", "quoted_id", "-o", "b.csv"]) == 0
    written = pd.read_csv("b.csv", dtype=str)
    again = frame.compliance.check(
        {"id": "tweets", "author_id": "users"}, references=["quoted_id"], client=quick(box, home="other")
    )
    for name in ("status", "reason", "cause", "author_id_reason", "references"):
        ours = written[f"compliance_{name}"].fillna("").tolist()
        assert ours == again[f"compliance_{name}"].astype(object).fillna("").tolist(), name
    capsys.readouterr()
    assert main(["check", "a.csv", "id"]) == 0
    assert "--author" in capsys.readouterr().err
    assert main(["check", "a.csv", "id", "--author", "author_id", "--type", "users"]) == 1


READ_BACK = re.compile(
    r'^Read it back with: pd\.read_csv\("(?P<name>[^"]+)"(?P<tab>, sep="\\t")?'
    r", dtype=(?P<dtype>\{.*?\}|str), parse_dates=(?P<dates>\[.*?\])\)$",
    re.M,
)


@pytest.mark.parametrize("out", ["b.csv", "b.tsv"])
def test_the_printed_line_reads_the_file_back(here: Path, capsys: pytest.CaptureFixture[str], out: str) -> None:
    """The line names the ID columns as text and the time columns: read so, digits, times and counts survive."""
    frame = posts()
    frame.loc[3, "id"] = None  # without the dtype, pandas would make floats of the others
    save(frame, "a.csv")
    assert main(["check", "a.csv", "id", "--sandbox", "-o", out]) == 0
    found = READ_BACK.search(capsys.readouterr().out)
    assert found is not None
    back = pd.read_csv(
        found["name"],
        sep="\t" if found["tab"] else ",",
        dtype=json.loads(found["dtype"]),
        parse_dates=json.loads(found["dates"]),
    )
    assert back["id"].dropna().tolist() == frame["id"].dropna().tolist()
    assert back["author_id"].tolist() == frame["author_id"].tolist()
    assert str(back["compliance_checked_at"].dtype).endswith("UTC]")
    assert back.compliance.summary()["rows"].sum() == len(frame)
    naive = pd.read_csv(found["name"], sep="\t" if found["tab"] else ",")
    assert naive["id"].dtype == "float64", "the line would not be needed"


def test_plot_is_drawn(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--plot draws a picture and leaves pyplot alone."""
    save(posts(), "a.csv")
    assert main(["check", "a.csv", "id", "--sandbox", "--plot", "reasons.png"]) == 0
    assert Path("reasons.png").read_bytes().startswith(PNG)
    assert "Drew reasons.png." in capsys.readouterr().out


@pytest.mark.parametrize("type", ["tweets", "users"])
def test_report_is_written_with_the_run_s_record(
    here: Path, box: xc.Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], type: str
) -> None:
    """--report writes the page with job and checksums, over time for posts only, and replaces an old one."""
    aim(monkeypatch, box)
    frame, column = posts(), "id" if type == "tweets" else "author_id"
    save(frame, "a.csv")
    Path("r.html").write_text("old")
    assert main(["check", "a.csv", column, "--type", type, "--report", "r.html"]) == 0
    assert "Wrote r.html." in capsys.readouterr().out
    page = Path("r.html").read_text(encoding="utf-8")
    (run_id,) = xc.runs().index
    assert page.startswith("<!DOCTYPE html>")
    assert xc.open_run(run_id).record.batches[0].ids_sha256 in page
    assert page.count("<figure>") == (4 if type == "tweets" else 3)
    assert main(["resume", run_id, "a.csv", column, "--report", "again.html"]) == 0
    assert Path("again.html").read_text(encoding="utf-8").count("SHA-256") == page.count("SHA-256") == 3


def test_report_of_the_sandbox_command(here: Path) -> None:
    """--sandbox --report writes the page while the sandbox's ledger is there, and calls it all invented."""
    save(posts(), "a.csv")
    assert main(["check", "a.csv", "id", "--sandbox", "--report", "r.html"]) == 0
    page = Path("r.html").read_text(encoding="utf-8")
    assert "SANDBOX" in page
    assert "The run, as its ledger tells" in page


def test_report_of_a_column_without_ids(here: Path, box: xc.Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing was sent there is no run, and the report says that no row got a verdict."""
    aim(monkeypatch, box)
    save(pd.DataFrame({"id": ["none", "of", "these"]}), "a.csv")
    assert main(["check", "a.csv", "id", "--report", "r.html"]) == 0
    assert "No row got a verdict" in Path("r.html").read_text(encoding="utf-8")
    assert xc.runs().empty


def test_invalid_rows_are_written_and_told(
    here: Path, box: xc.Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Damaged rows are written as invalid, one note names them, and the status is 0: they were never sent."""
    aim(monkeypatch, box)
    frame = posts(5)
    frame.loc[1, "id"] = "1.21E+18"
    save(frame, "a.csv")
    assert main(["check", "a.csv", "id", "--type", "posts", "-o", "b.csv"]) == 0
    assert pd.read_csv("b.csv", dtype=str)["compliance_status"][1] == "invalid"
    err = capsys.readouterr().err
    assert err.count("note: ") == 1
    assert "1 of 5 rows in column 'id' hold no ID: row 1: '1.21E+18' (scientific notation)" in err


def test_an_existing_output_is_replaced_at_once(
    here: Path, box: xc.Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """OUT is a new file in the old one's place, with its mode; if writing fails, the old one stays and resume helps."""
    aim(monkeypatch, box)
    save(posts(), "a.csv")
    old = Path("b.csv")
    old.write_text("old")
    old.chmod(0o640)
    before = old.stat().st_ino
    with monkeypatch.context() as broken:
        broken.setattr(shutil, "copymode", _fails)  # just before the new file takes the old one's place
        assert main(["check", "a.csv", "id", "-o", "b.csv"]) == 1
    assert old.read_text() == "old"
    hint = re.search(r"^To go on: xcompliance (resume sandbox-\S+ a\.csv id -o b\.csv)$", capsys.readouterr().err, re.M)
    assert hint is not None
    assert main(hint[1].split()) == 0
    assert box.service.requests["create"] == 1
    assert len(pd.read_csv(old)) == 40
    assert old.stat().st_ino != before
    assert old.stat().st_mode & 0o777 == 0o640
    assert {path.name for path in here.iterdir()} == {"a.csv", "b.csv"}


def _fails(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_the_input_may_be_the_output_and_checked_again(here: Path, box: xc.Sandbox, monkeypatch: Any) -> None:
    """OUT may be FILE; a second check of it is refused before any request, unless --overwrite is given."""
    aim(monkeypatch, box)
    frame = posts()
    save(frame, "a.csv")
    assert main(["check", "a.csv", "id", "-o", "a.csv"]) == 0
    assert main(["check", "a.csv", "id", "-o", "a.csv"]) == 1
    assert box.service.requests["create"] == 1
    assert main(["check", "a.csv", "id", "-o", "a.csv", "--overwrite"]) == 0
    is_the_truth("a.csv", frame, "id", box.expected(frame["id"]))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-o", "nowhere/b.csv"], "The folder of nowhere/b.csv does not exist"),
        (["-o", "."], "is a folder|not supported"),
        (["-o", "b.xlsx"], r"b\.xlsx: files of this kind are not supported"),
        (["--plot", "nowhere/b.png"], "The folder of nowhere/b.png does not exist"),
        (["--plot", "b.doc"], "ends in .png, .pdf or .svg"),
        (["--report", "nowhere/b.html"], "The folder of nowhere/b.html does not exist"),
        (["--report", "b.pdf"], "ends in .html"),
    ],
)
def test_outputs_are_refused_before_any_request(
    here: Path,
    box: xc.Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    words: str,
) -> None:
    """An output that cannot be written is found out before anything is asked of the service."""
    aim(monkeypatch, box)
    save(posts(), "a.csv")
    assert main(["check", "a.csv", "id", *options]) == 1
    out, err = capsys.readouterr()
    assert re.search(words, err)
    assert out == ""
    assert not box.service.requests
    assert xc.runs().empty


# --------------------------------------------------------------------------- exit status


@pytest.mark.parametrize(
    "arguments",
    [[], ["chek"], ["check"], ["check", "a.csv", "id", "--type", "tweet"], ["resume"], ["sandbox", "--port", "x"]],
)
def test_wrong_usage_is_status_2(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    """What the command line does not understand ends with status 2 and the usage."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: xcompliance" in capsys.readouterr().err


def test_no_token_is_status_1(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a token one line says so, another names --sandbox, and nothing is written."""
    save(posts(), "a.csv")
    assert main(["check", "a.csv", "id", "-o", "b.csv"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("xcompliance: There is no Bearer token.")
    assert lines[1:] == ["Or add --sandbox to try this command without an account."]
    assert not Path("b.csv").exists()


def test_unproved_rows_are_status_3(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With one unreadable line of results, listed rows get their verdict and the others stay unchecked: status 3."""
    frame = posts(4)
    save(frame, "a.csv")
    lines = [f'{{"id":"{frame["id"][2]}","action":"delete","reason":"deleted"}}', "{broken"]
    with xc.Sandbox(findings=lines, complete_after=1) as box:
        aim(monkeypatch, box)
        assert main(["check", "a.csv", "id", "-o", "b.csv"]) == 3
        err = capsys.readouterr().err
        assert "note: 3 IDs stay unchecked" in err
        assert "cannot be read" in err
        (run_id,) = xc.runs().index
        assert main(["resume", run_id]) == 3
        assert main(["resume", run_id, "a.csv", "id"]) == 3
    assert pd.read_csv("b.csv")["compliance_status"].tolist() == [
        "unchecked",
        "unchecked",
        "action_required",
        "unchecked",
    ]


def test_a_reader_that_goes_away_is_no_error_message(here: Path) -> None:
    """`xcompliance runs | true` ends without a traceback."""
    reading, writing = os.pipe()
    os.close(reading)
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    ended = subprocess.run(
        [SCRIPT, "runs"], stdout=writing, stderr=subprocess.PIPE, timeout=60, env=buffered, check=False
    )
    os.close(writing)
    assert ended.returncode == 1
    assert ended.stderr == b""


# --------------------------------------------------------------------------- a real process


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Poll a condition that another process brings about."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        threading.Event().wait(0.02)


def test_the_installed_script(here: Path) -> None:
    """The installed `xcompliance` does a whole check in a process of its own."""
    frame = posts()
    save(frame, "a.csv")
    ended = subprocess.run(
        [SCRIPT, "check", "a.csv", "id", "--sandbox", "-o", "b.csv"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    is_the_truth("b.csv", frame, "id", xc.Sandbox().expected(frame["id"]))
    assert re.fullmatch(r"xcompliance-pd \d\S+\n", subprocess.check_output([SCRIPT, "--version"], text=True))


def test_ctrl_c_and_resume(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C ends with 130 and the command that goes on; that command finishes the same job and writes the truth."""
    frame = posts()
    save(frame, "a.csv")
    with xc.Sandbox(processing_seconds=3600, complete_after=0) as box:
        aim(monkeypatch, box)
        waiting = subprocess.Popen(
            [SCRIPT, "check", "a.csv", "id", "-o", "b.csv", "--report", "r.html"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            until(lambda: "processing" in _states(box))
            waiting.send_signal(signal.SIGINT)
            out, err = waiting.communicate(timeout=30)
        finally:
            waiting.kill()
        assert waiting.returncode == 130
        assert out == ""
        assert "Traceback" not in err
        assert "The job goes on" in err
        (run_id,) = xc.runs().index
        assert err.splitlines()[-1] == f"To go on: xcompliance resume {run_id} a.csv id -o b.csv --report r.html"
        assert box.token not in err
        assert not Path("b.csv").exists()

        box.service.processing_seconds = 0
        assert main(err.splitlines()[-1].split()[4:]) == 0
        assert box.service.requests["create"] == 1
        is_the_truth("b.csv", frame, "id", box.expected(frame["id"]))
    assert f"Wrote {len(frame)} rows to b.csv." in capsys.readouterr().out


def _states(box: xc.Sandbox) -> list[str]:
    return ["processing" if job.upload is not None else "open" for job in box.service.jobs]


@pytest.fixture(params=["gcs", "xapi"])
def served(request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    command = [SCRIPT, "sandbox", "--seed", "3", "--dialect", request.param]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_the_sandbox_command(served: subprocess.Popen[str]) -> None:
    """`xcompliance sandbox` prints what to export, answers a client that does so, and stops on Ctrl-C with status 0."""
    assert served.stdout is not None
    lines = [served.stdout.readline() for _ in range(3)]
    exports = dict(re.findall(r"^export (\w+)=(\S+)$", "".join(lines), re.M))
    assert set(exports) == {BASE_URL_VARIABLE, TOKEN_VARIABLES[0]}
    frame = posts()
    access = xc.Client(exports[TOKEN_VARIABLES[0]], exports[BASE_URL_VARIABLE], poll_interval=0.0)
    checked = frame.compliance.check("id", type="tweets", client=access)
    there = xc.Sandbox(seed=3, dialect=str(served.args[-1]))  # type: ignore[index]
    assert checked["compliance_status"].tolist() == there.expected(frame["id"])["status"].tolist()
    served.send_signal(signal.SIGINT)
    assert served.wait(30) == 0
    with pytest.raises(xc.Unavailable, match="does not accept connections"):
        frame.compliance.check("id", type="tweets", client=access)


# --------------------------------------------------------------------------- runs and resume


def test_runs(here: Path, box: xc.Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """`runs` tells how to make the first one; then it lists each run with type, label, state and counts."""
    assert main(["runs"]) == 0
    assert capsys.readouterr().out == "There are no runs yet. 'xcompliance check FILE COLUMN' makes one.\n"
    frame = posts(7)
    frame.compliance.check("id", type="tweets", client=quick(box), label="panel 2026")
    frame.compliance.check("author_id", type="users", client=quick(box))
    assert main(["runs"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^sandbox-tweets-\S+ +tweets +panel 2026 +done +7 ", out, re.M)
    assert re.search(r"^sandbox-users-\S+ +users +done +7 ", out, re.M)
    assert "http" not in out


def test_resume_without_file(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`resume RUN` finishes the job and says what came out; outputs without a file are refused."""
    frame = posts()
    with xc.Sandbox(processing_seconds=3600) as box:
        with pytest.raises(xc.WaitTimeout):
            frame.compliance.check("id", type="tweets", client=quick(box, poll_interval=0.05), timeout=0.1)
        (run_id,) = xc.runs().index
        box.service.processing_seconds = 0
        aim(monkeypatch, box)
        for output in (["-o", "b.csv"], ["--report", "r.html"]):
            assert main(["resume", run_id, *output]) == 1
            assert "Name the file that was checked" in capsys.readouterr().err
        assert main(["resume", run_id]) == 0
        assert box.service.requests["create"] == 1
        requests = sum(box.service.requests[operation] for operation in ("create", "get", "list"))
    flagged = int((box.expected(frame["id"])["status"] == "action_required").sum())
    assert capsys.readouterr().out == (
        f"{run_id}  done: {flagged} of 40 IDs need action, {40 - flagged} proved compliant"
        f"  {requests} requests made (SANDBOX, invented)\n"
    )


@pytest.mark.parametrize("run_id", ["nothing", "tweets-20260102-0123abcd"])
def test_resume_of_no_run(here: Path, capsys: pytest.CaptureFixture[str], run_id: str) -> None:
    """A run that does not exist is one line on standard error and status 1."""
    assert main(["resume", run_id]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert run_id in err


def test_a_reference_of_which_nothing_is_known_is_told_by_the_status(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit status 3, also if only what a row refers to is unchecked."""
    ids = posts(2)["id"].tolist()
    pd.DataFrame({"id": ids[:1], "quoted_id": ids[1:], "references": "a column of the user's"}).to_csv(
        "a.csv", index=False
    )
    error = f'{{"id":"{ids[1]}","error":"internal_error"}}'
    with xc.Sandbox(findings=[error], dialect="xapi", complete_after=1) as box:
        aim(monkeypatch, box)
        assert main(["check", "a.csv", "id", "--type", "tweets", "-o", "b.csv"]) == 0
        assert main(["check", "a.csv", "id", "--type", "tweets", "--references", "quoted_id", "-o", "c.csv"]) == 3


def test_resume_of_ids_of_which_only_an_error_came_is_told_by_the_status(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With and without the file."""
    ids = posts(1)["id"]
    ids.to_csv("a.csv", index=False)
    with xc.Sandbox(
        findings=[f'{{"id":"{ids[0]}","error":"internal_error"}}'], dialect="xapi", complete_after=1
    ) as box:
        aim(monkeypatch, box)
        run = xc.submit(ids, client=quick(box)).wait()
        assert main(["resume", run.id]) == 3
        assert main(["resume", run.id, "a.csv", "id"]) == 3


@pytest.mark.parametrize("reused", [True, False])
def test_the_way_on_after_a_failure_to_write(
    reused: bool, here: Path, box: xc.Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command that is named puts every verdict there, and sends nothing again: also if earlier ones were reused."""
    aim(monkeypatch, box)
    frame = posts(6)
    save(frame.head(3), "head.csv")
    save(frame, "all.csv")
    words = ["check", "all.csv", "id", "--type", "tweets", "--overwrite", "-o", "b.csv"]
    if reused:
        assert main(["check", "head.csv", "id", "--type", "tweets"]) == 0
        words += ["--max-age", "24h"]

    def fails(*arguments: object) -> None:
        raise xc.InputError("The disk is full.")

    with monkeypatch.context() as broken:
        broken.setattr(tables, "write", fails)
        assert main(words) == 1
    told = capsys.readouterr().err.partition("To go on")[2]
    if reused:
        assert told == ", run the same command again.\n"
    else:
        assert told == f": xcompliance resume {xc.runs().index[0]} all.csv id -o b.csv --overwrite\n"
        words = shlex.split(told.removeprefix(": xcompliance"))
    asked = box.service.requests.total()
    assert main(words) == 0
    assert box.service.requests.total() == asked
    is_the_truth("b.csv", frame, "id", box.expected(frame["id"]))


def test_a_reference_whose_name_does_not_tell_is_told(
    here: Path, box: xc.Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """COLUMN=KIND says what the posts of a column are to those of the rows; without it the message shows it."""
    aim(monkeypatch, box)
    save(posts(3).assign(parent=posts(3)["id"]), "a.csv")
    words = ["check", "a.csv", "id", "--type", "tweets", "-o", "b.csv", "--references"]
    assert main([*words, "parent"]) == 1
    assert "--references parent=retweeted" in capsys.readouterr().err
    assert main([*words, "parent=quoted"]) in (0, 3)
    assert pd.read_csv("b.csv")["compliance_references"].notna().all()
    assert main([*words[:5], "--author", "id"]) == 1
    assert "--author names the column of the posts itself" in capsys.readouterr().err
