"""Every mistake of the first ten minutes: one error, a short message that ends in a next step, and nothing lost."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sysconfig
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from support import quick

import xcompliance_pd as xc
from xcompliance_pd import tables
from xcompliance_pd.cli import main
from xcompliance_pd.ledger import HOME_VARIABLE
from xcompliance_pd.protocol import BASE_URL_VARIABLE, TOKEN_VARIABLES
from xcompliance_pd.widgets.live import VARIABLE as PROGRESS

FIRST = 1212092628029698048
CANARY = "AAAAcanary0token"
LONGEST = 400
POSTS = pd.DataFrame({"id": [str(FIRST), str(FIRST + 1)], "text": ["a", "b"]})
DIRTY = pd.DataFrame({"id": [str(FIRST), "1.2E+18", " 12 ", "abc", "https://x.com/somebody/status/12" + "3" * 60]})


class Mistake(NamedTuple):
    """What a newcomer does, the error it must be, what it must name, and the next step it must tell."""

    name: str
    do: Callable[[xc.Sandbox], object]
    error: type[Exception]
    names: str
    then: str


def check(frame: Any, column: Any = "id", **options: Any) -> Callable[[xc.Sandbox], object]:
    return lambda box: frame.compliance.check(column, client=quick(box), **options)


def with_client(**settings: Any) -> Callable[[xc.Sandbox], object]:
    return lambda box: POSTS.compliance.check("id", client=xc.Client(**settings))


def with_variable(name: str, value: str, do: Callable[[xc.Sandbox], object]) -> Callable[[xc.Sandbox], object]:
    def run(box: xc.Sandbox) -> object:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(name, value)
            return do(box)

    return run


def with_file(name: str, content: str | None, do: Callable[[Path, xc.Sandbox], object]) -> Callable[..., object]:
    """Do something with a file in the test's folder; None makes a folder of that name."""

    def run(box: xc.Sandbox) -> object:
        path = Path(os.environ[HOME_VARIABLE]).parent / name
        path.mkdir() if content is None else path.write_text(content)
        return do(path, box)

    return run


def checked_before(box: xc.Sandbox) -> object:
    frame = POSTS.assign(compliance_status="compliant", compliance_run="tweets-20260102-0123abcd")
    return frame.compliance.check("id", client=quick(box))


def read_without_header(path: Path, box: xc.Sandbox) -> object:
    return pd.read_csv(path, dtype=str).compliance.check("id", client=quick(box))


def read_with_blank_cell(path: Path, box: xc.Sandbox) -> object:
    return pd.read_csv(path).compliance.check("id", client=quick(box))


def home_below_a_file(path: Path, box: xc.Sandbox) -> object:
    return with_variable(HOME_VARIABLE, str(path / "home"), check(POSTS))(box)


def taken_port(box: xc.Sandbox) -> object:
    return xc.Sandbox(port=int(box.url.rpartition(":")[2])).start()


def after_stop(box: xc.Sandbox) -> object:
    other = xc.Sandbox().start()
    other.stop()
    return other.client


TOKEN = "token in token= is empty or holds spaces"
USERS_OR_TWEETS = "Say type='users', or type='tweets'"
BASE = ("base URL must look like https://api", f"Check base_url= and {BASE_URL_VARIABLE}")
NOT_CHECKED = "Use the frame that check\\(\\) or join\\(\\) returned"
FLOAT = r'Read the source again with dtype={"id": str}'

MISTAKES = [
    Mistake("no token", with_client(), xc.AuthError, ".*".join(TOKEN_VARIABLES), r"with xc\.Sandbox\(\) as box"),
    Mistake("token of two words", with_client(token=f"Bearer {CANARY}"), xc.InputError, TOKEN, "Copy it again"),
    Mistake("token of two lines", with_client(token=f"{CANARY}\n{CANARY}"), xc.InputError, TOKEN, "Copy it again"),
    Mistake(
        "token of two words in a variable",
        with_variable(TOKEN_VARIABLES[0], f"{CANARY} {CANARY}", with_client()),
        xc.InputError,
        TOKEN_VARIABLES[0],
        "Copy it again",
    ),
    Mistake("wrong column", check(POSTS, "ids"), xc.InputError, "no column 'ids'", "Did you mean 'id'"),
    Mistake("quite wrong column", check(POSTS, "zzz"), xc.InputError, "columns are 'id', 'text'", "Name the column"),
    Mistake("column left out", lambda box: xc.check(POSTS), xc.InputError, "column", r"for example check\('id'\)"),
    Mistake("column as a list", check(POSTS, ["id"]), xc.InputError, "not by a list", r"check\('id'\)"),
    Mistake("column as a Series", check(POSTS, POSTS["id"]), xc.InputError, "not by a Series", r"check\('id'\)"),
    Mistake(
        "a list", lambda box: xc.check(["1"], client=quick(box)), xc.InputError, "not in a list", r"pd\.Series\(ids"
    ),
    Mistake(
        "a Series with a column",
        lambda box: xc.check(POSTS["id"], "id", client=quick(box)),
        xc.InputError,
        "its own column",
        "leave the column name out",
    ),
    Mistake(
        "the sandbox as client",
        lambda box: POSTS.compliance.check("id", client=box),
        xc.InputError,
        "not Sandbox",
        r"client=box\.client",
    ),
    Mistake("IDs as floats", check(pd.DataFrame({"id": [1.0, 1.2e18, None]})), xc.InputError, "position 1", FLOAT),
    Mistake(
        "CSV with a blank cell",
        with_file("a.csv", f"id,n\n{FIRST},a\n,b\n{FIRST + 1},c\n", read_with_blank_cell),
        xc.InputError,
        "position 0, 2",
        FLOAT,
    ),
    Mistake(
        "submit of nothing",
        lambda box: pd.DataFrame({"id": [None]}).compliance.submit("id", client=quick(box)),
        xc.InputError,
        "holds no ID",
        "Check the column's name",
    ),
    Mistake(
        "file without header",
        with_file("a.csv", f"{FIRST},a\n{FIRST + 1},b\n", read_without_header),
        xc.InputError,
        f"columns are '{FIRST}', 'a'",
        r"pd\.read_csv\(path, header=None, dtype=str\)",
    ),
    Mistake("type tweet", check(POSTS, type="tweet"), xc.InputError, "type='tweet'", "Use type='tweets'"),
    Mistake("type user", check(POSTS, type="user"), xc.InputError, "type='user'", "or type='users'"),
    Mistake(
        "users by name",
        check(POSTS.rename(columns={"id": "author_id"}), "author_id"),
        xc.InputError,
        "'author_id' looks like user IDs",
        USERS_OR_TWEETS,
    ),
    Mistake(
        "users by value",
        check(pd.DataFrame({"id": np.arange(20, 40)})),
        xc.InputError,
        "100% of the IDs in column 'id'",
        USERS_OR_TWEETS,
    ),
    Mistake("on_invalid typo", check(POSTS, on_invalid="rais"), xc.InputError, "'rais'", "Use on_invalid='mark' or"),
    Mistake(
        "raise on dirty rows",
        check(DIRTY, on_invalid="raise"),
        xc.InputError,
        r"4 of 5 rows .*row 1: '1\.2E\+18' \(scientific notation\).*and 1 more.*Nothing was sent",
        r"\.compliance\.problems\('id'\)",
    ),
    Mistake(
        "checked before", checked_before, xc.InputError, "compliance_status, compliance_run exist", "overwrite=True"
    ),
    Mistake("sandbox not started: client", lambda box: xc.Sandbox().client, xc.InputError, "is stopped", r"start\(\)"),
    Mistake("sandbox not started: url", lambda box: xc.Sandbox().url, xc.InputError, "is stopped", r"Call start\(\)"),
    Mistake("sandbox stopped", after_stop, xc.InputError, "sandbox is stopped", r"Call start\(\)"),
    Mistake("port taken", taken_port, xc.InputError, r"Port \d+ cannot be used", "Use port=0"),
    Mistake("http abroad", with_client(token=CANARY, base_url="http://api.x.com"), xc.InputError, *BASE),
    Mistake("base URL is nonsense", with_client(token=CANARY, base_url="nonsense"), xc.InputError, *BASE),
    Mistake("base URL with a token", with_client(base_url=f"https://a.test/?token={CANARY}"), xc.InputError, *BASE),
    Mistake("no such run", lambda box: xc.open_run("tweets-20260102-0123abcd"), xc.LedgerError, "no run", r"xc\.runs"),
    Mistake("no run ID", lambda box: xc.open_run("my run"), xc.LedgerError, "'my run'", r"xc\.runs\(\) lists them"),
    Mistake(
        "sandbox run of an earlier kernel",
        lambda box: xc.open_run("sandbox-tweets-20260102-0123abcd"),
        xc.LedgerError,
        "made with a sandbox",
        r"xc\.Sandbox\(\)",
    ),
    Mistake("join with a word", lambda box: POSTS.compliance.join("id", "x"), xc.InputError, "a run", r"xc\.open_run"),
    Mistake("join with a frame", lambda box: POSTS.compliance.join("id", POSTS), xc.InputError, "a run", r"xc\.runs"),
    Mistake("summary too early", lambda box: POSTS.compliance.summary(), xc.InputError, "no column", NOT_CHECKED),
    Mistake("chart too early", lambda box: POSTS.compliance.plot.reasons(), xc.InputError, "no column", NOT_CHECKED),
    Mistake("flagged too early", lambda box: POSTS.compliance.flagged(), xc.InputError, "no column", "Run check first"),
    Mistake("no such file", lambda box: tables.read("none.csv"), xc.InputError, "none.csv", "Check the path"),
    Mistake(
        "a folder",
        with_file("a.csv", None, lambda path, box: tables.read(path)),
        xc.InputError,
        "folder",
        "Name a file",
    ),
    Mistake(
        "a folder as Parquet",
        with_file("a.parquet", None, lambda path, box: tables.read(path)),
        xc.InputError,
        "is a folder",
        "Name a file",
    ),
    Mistake(
        "a spreadsheet",
        with_file("a.xlsx", "PK", lambda path, box: tables.read(path)),
        xc.InputError,
        "a.xlsx",
        "export as CSV with the ID column formatted as text",
    ),
    Mistake(
        "progress nonsense",
        with_variable(PROGRESS, "loud", check(POSTS)),
        xc.InputError,
        "'loud'",
        "Use auto, notebook",
    ),
    Mistake(
        "home below a file",
        with_file("taken", "", home_below_a_file),
        xc.LedgerError,
        "Not a directory",
        f"{HOME_VARIABLE} names another folder",
    ),
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=[mistake.name for mistake in MISTAKES])
def test_one_error_with_a_next_step_and_nothing_sent(box: xc.Sandbox, mistake: Mistake) -> None:
    """One exception of the right kind and no warning; short, on one line, it ends in the next step; no job is made."""
    with pytest.raises(mistake.error) as caught:
        mistake.do(box)
    message = str(caught.value)
    is_clear(message, box)
    assert isinstance(caught.value, xc.ComplianceError)
    assert re.search(mistake.names, message), message
    step = re.search(mistake.then, message)
    assert step, message
    assert not box.service.requests
    assert xc.runs().empty


def is_clear(message: str, box: xc.Sandbox) -> None:
    assert len(message) <= LONGEST, len(message)
    assert "\n" not in message
    assert CANARY not in message
    assert box.token not in message
    assert not re.search(r"https?://\S*\?", message), "a URL's query"


# --------------------------------------------------------------------------- warnings: the rest of the data goes on


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([], "nothing was sent"),
        ([None, None], "nothing was sent"),
        ([np.nan, np.nan], "nothing was sent"),
        (["a", "b"], "2 of 2 rows"),
        (DIRTY["id"], "4 of 5 rows"),
    ],
    ids=["empty", "all missing", "all NaN", "text", "dirty"],
)
def test_one_warning_and_all_rows_there(box: xc.Sandbox, values: Any, said: str) -> None:
    """A column with few or no IDs is one short warning; every row comes back, none of them called compliant wrongly."""
    frame = pd.DataFrame({"id": pd.Series(values, dtype=None if len(values) else object)})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        checked = frame.compliance.check("id", client=quick(box))
    (warning,) = caught
    assert said in str(warning.message)
    assert warning.category is xc.ComplianceWarning
    assert warning.filename.endswith("test_mistakes.py")
    is_clear(str(warning.message), box)
    assert checked["compliance_status"].tolist() == box.expected(frame["id"])["status"].tolist()


# --------------------------------------------------------------------------- the service is not what it should be


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def test_a_service_that_is_not_there(box: xc.Sandbox) -> None:
    """A closed port is soon an error that names the address; the run is kept, without a job."""
    port = closed_port()
    started = time.monotonic()
    with pytest.raises(xc.Unavailable, match=f"127.0.0.1:{port} does not accept connections") as caught:
        POSTS.compliance.check("id", client=xc.Client(CANARY, f"http://127.0.0.1:{port}", poll_interval=0.01))
    assert time.monotonic() - started < 5
    is_clear(str(caught.value), box)
    assert "Check the network and the base URL" in str(caught.value)
    assert xc.runs()["state"].tolist() == ["unfinished"]


def test_a_token_that_is_refused(box: xc.Sandbox) -> None:
    """A wrong token is told once, at the first request, and the right one continues the same run."""
    with pytest.raises(xc.AuthError, match="HTTP 401") as caught:
        POSTS.compliance.check("id", client=xc.Client(CANARY, box.url))
    is_clear(str(caught.value), box)
    assert "Check the token" in str(caught.value)
    assert sum(box.service.requests.values()) <= 1
    with pytest.warns(xc.ComplianceWarning, match="Continuing"):
        checked = POSTS.compliance.check("id", client=quick(box))
    assert checked["compliance_status"].tolist() == box.expected(POSTS["id"])["status"].tolist()
    assert len(xc.runs()) == 1


def test_a_time_out_tells_how_to_go_on(box: xc.Sandbox) -> None:
    """The words of a time-out, run as they stand, finish the same job."""
    box.service.processing_seconds = 3600
    with pytest.raises(xc.WaitTimeout) as caught:
        POSTS.compliance.check("id", client=quick(box, poll_interval=0.05), timeout=0.3)
    is_clear(str(caught.value), box)
    step = re.search(r"Go on: xc\.open_run\('(\S+)'\)\.wait\(\)$", str(caught.value))
    assert step is not None
    box.service.processing_seconds = 0
    run = xc.open_run(step[1], quick(box)).wait(30)
    assert POSTS.compliance.join("id", run)["compliance_status"].notna().all()
    assert box.service.requests["create"] == 1


def test_a_sandbox_that_was_stopped_meanwhile(box: xc.Sandbox) -> None:
    """A run whose sandbox went away says so soon, and how to start again; doing that gives the truth."""
    other = xc.Sandbox(processing_seconds=3600).start()
    run = POSTS.compliance.submit("id", client=quick(other, poll_interval=0.01))
    with pytest.raises(xc.WaitTimeout):
        run.wait(0.1)
    other.stop()
    with pytest.raises(xc.Unavailable, match=r"sandbox of this run is no longer there.*Start one with xc\.Sandbox\(\)"):
        run.wait(10)
    is_clear(str(run.exception()), box)
    checked = POSTS.compliance.check("id", client=quick(box))
    assert checked["compliance_status"].tolist() == box.expected(POSTS["id"])["status"].tolist()


def test_runs_that_ended_outlive_their_sandbox() -> None:
    """After stop, the verdicts of a run that ended can still be put on rows."""
    with xc.Sandbox(complete_after=1) as box:
        run = POSTS.compliance.submit("id", client=box.client).wait(30)
    joined = POSTS.compliance.join("id", run)
    assert joined["compliance_status"].tolist() == box.expected(POSTS["id"])["status"].tolist()


# --------------------------------------------------------------------------- the same on the command line


COMMANDS = [
    (["check", "none.csv"], "no such file", "Check the path"),
    (["check", "folder.csv"], "folder", "Name a file"),
    (["check", "a.xlsx"], "a.xlsx", "export as CSV"),
    (["check", "a.csv"], "2 columns", "Name the one with the IDs"),
    (["check", "a.csv", "ids"], "no column 'ids'", "Choose one of its columns"),
    (["check", "a.csv", "id"], "no Bearer token", "--sandbox"),
    (["check", "a.csv", "author_id", "--sandbox"], "looks like user IDs", USERS_OR_TWEETS),
    (["resume", "my run"], "'my run'", "lists them"),
]


@pytest.mark.parametrize(("arguments", "names", "then"), COMMANDS)
def test_the_command_line_says_it_as_well(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    names: str,
    then: str,
) -> None:
    """The same mistakes on the command line: status 1, one short message on standard error, nothing else."""
    monkeypatch.chdir(tmp_path)
    Path("folder.csv").mkdir()
    Path("a.xlsx").write_text("PK")
    Path("a.csv").write_text(f"id,author_id\n{FIRST},20000\n")
    assert main(arguments) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("xcompliance: ")
    assert len(err.splitlines()[0]) <= LONGEST
    assert len(err.splitlines()) <= 2
    assert re.search(names, err), err
    assert re.search(then, err), err
    assert xc.runs().empty


def test_a_mistake_is_no_traceback(tmp_path: Path) -> None:
    """In a real process too, a mistake is one line."""
    script = Path(sysconfig.get_path("scripts"), "xcompliance")
    ended = subprocess.run(
        [script, "check", "none.csv"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "xcompliance: none.csv: there is no such file. Check the path.\n"
