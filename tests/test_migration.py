"""The snippets of docs/migration.md do what it says: each is run, in its order, against the sandbox."""

from __future__ import annotations

import re
import shlex
import time
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import requests

import xcompliance_pd as xc
from xcompliance_pd import client
from xcompliance_pd.cli import main
from xcompliance_pd.protocol import BASE_URL_VARIABLE, TOKEN_VARIABLES
from xcompliance_pd.runner import Clock

PAGE = (Path(__file__).parents[1] / "docs" / "migration.md").read_text()
SNIPPETS = re.findall(r"^```(python|sh)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
IDS = [str(1212092628029698048 + n * 4_194_304_007) for n in range(6)]
LINES = [f'{{"id":"{IDS[2]}","action":"delete","reason":"suspended"}}']


class Skipping:
    """A clock of which no time passes but what is waited for."""

    def __init__(self) -> None:
        self._skipped = 0.0

    def clock(self) -> Clock:
        def pause(event: Any, seconds: float) -> bool:
            self._skipped += seconds
            return bool(event.is_set())

        return Clock(lambda: time.time() + self._skipped, lambda: time.monotonic() + self._skipped, pause)


@pytest.fixture
def there(box: xc.Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A folder with files of curl's, a job of curl's, and an environment that leads to the sandbox."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(BASE_URL_VARIABLE, box.url)
    monkeypatch.setenv(TOKEN_VARIABLES[0], box.token)
    monkeypatch.setattr(client, "Clock", Skipping().clock)
    Path("ids.txt").write_text("\n".join([*IDS, ""]))
    Path("users.txt").write_text("20\n21\n")
    Path("results.ndjson").write_text("\n".join([*LINES, ""]))
    headers = {"Authorization": f"Bearer {box.token}"}
    made = requests.post(f"{box.url}/2/compliance/jobs", json={"type": "tweets"}, headers=headers, timeout=10)
    job = made.json()["data"]
    plain = {"Content-Type": "text/plain"}
    requests.put(job["upload_url"], data=Path("ids.txt").read_bytes(), headers=plain, timeout=10)
    posts = pd.DataFrame({"id": IDS, "author_id": [str(20 + n) for n in range(6)]})
    return {"xc": xc, "posts": posts, "job_id": job["id"]}


@pytest.fixture
def box() -> Any:
    with xc.Sandbox(findings=LINES, complete_after=1) as sandbox:
        yield sandbox


def test_every_snippet_runs(there: dict[str, Any], box: xc.Sandbox) -> None:
    """Python and shell alike; every table that comes out has the right verdicts, and curl's job was taken over."""
    outcomes = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", xc.ComplianceWarning)
        for language, text in SNIPPETS:
            if language == "sh":
                for command in text.splitlines():
                    program, *arguments = shlex.split(command)
                    assert (program, main(arguments)) == ("xcompliance", 0), command
            else:
                exec(text, there)
                outcomes.append(there["checked"]["compliance_status"].astype(str).tolist())
    wanted = ["action_required" if n == 2 else "compliant" for n in range(6)]
    assert outcomes == [wanted] * 4
    assert there["found"]["id"].tolist() == [IDS[2]]
    assert set(there["users"]["compliance_status"]) == {"compliant"}
    table = pd.read_csv("checked.csv", dtype=str)
    assert table["compliance_status"].tolist() == wanted
    assert len(pd.read_csv("users.csv")) == 2
    runs = xc.runs()
    assert sum(run.endswith("-attached") for run in runs.index) == 1
    assert set(runs["state"]) == {"done"}
    assert box.service.jobs[0].id == there["job_id"]


def test_without_sent_nothing_is_compliant(there: dict[str, Any]) -> None:
    """As the page says, a file alone leaves what it does not list unchecked."""
    with pytest.warns(xc.ComplianceWarning, match="5 rows stay unchecked"):
        checked = there["posts"].compliance.join("id", xc.read_results("results.ndjson"))
    assert set(checked["compliance_status"]) == {"action_required", "unchecked"}


@pytest.mark.parametrize("word", sorted(set(re.findall(r"`(xcompliance [^`]*)`", PAGE))))
def test_the_commands_in_tables_are_known(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A command that a table names is one that the parser takes."""
    _, command, *arguments = shlex.split(word)
    with pytest.raises(SystemExit) as ended:
        main([command, *arguments, "--help"])
    assert ended.value.code == 0
    assert f"usage: xcompliance {command}" in capsys.readouterr().out


def test_the_attributes_in_tables_exist(box: xc.Sandbox) -> None:
    """Every name after `xc.`, `run.` and `posts.compliance.` on the page is there."""
    run = xc.submit(pd.Series(IDS), client=box.client)
    compliance = pd.DataFrame({"id": IDS}).compliance
    named = re.findall(r"\b(xc|run|posts\.compliance)\.([a-z_]+)", PAGE)
    assert len(set(named)) >= 10
    for owner, name in named:
        assert hasattr({"xc": xc, "run": run, "posts.compliance": compliance}[owner], name), name
    run.wait()
