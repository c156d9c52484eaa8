"""twarc does whole jobs with the sandbox: by its library, and by its command, which uploads, waits and downloads."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result
from peers.exchange import IDS, assert_as_ours, download, ids_file, looked_until_complete, upload
from peers.hosts import redirected, redirected_sessions

import xcompliance_pd as xc

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it needs pkg_resources, which tells of its end
    from twarc import Twarc2, command2

Command = Callable[..., Result]


@pytest.fixture
def client(box: xc.Sandbox) -> Iterator[Twarc2]:
    """twarc's client; it has no setting for the address, so its session is redirected."""
    client = Twarc2(bearer_token=box.token)
    redirected(client.client, box.url)
    yield client
    client.client.close()


@pytest.fixture
def command(box: xc.Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs `twarc2 compliance-job ...`. Its minute between two looks passes at once."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("requests.Session", redirected_sessions(box.url))
    monkeypatch.setattr(command2, "time", SimpleNamespace(sleep=lambda seconds: None))

    def run(*arguments: Any) -> Result:
        begin = ["--bearer-token", box.token, "--log", str(tmp_path / "twarc.log"), "compliance-job"]
        return CliRunner().invoke(command2.twarc2, [*begin, *map(str, arguments)])

    return run


@pytest.mark.parametrize("type", ["tweets", "users"])
def test_a_whole_job_by_the_library(type: str, client: Twarc2, box: xc.Sandbox, tmp_path: Path) -> None:
    """twarc's three calls, with requests for the files, give the very records that our client finds."""
    job = client.compliance_job_create(type, "panel")["data"]
    assert (job["status"], job["name"], job["type"]) == ("created", "panel", type)
    upload(job["upload_url"], ids_file(tmp_path, type))
    done = looked_until_complete(lambda: client.compliance_job_get(job["id"])["data"])
    listed = client.compliance_job_list(type, "complete")["data"]
    assert [(each["id"], each["status"]) for each in listed] == [(job["id"], "complete")]
    assert_as_ours(download(done["download_url"]), box, type)


@pytest.mark.parametrize("type", ["tweets", "users"])
def test_a_whole_job_by_the_command(type: str, command: Command, box: xc.Sandbox, tmp_path: Path) -> None:
    """`twarc2 compliance-job create` alone leaves the very records that our client finds in its output file."""
    done = command("create", type, ids_file(tmp_path, type), tmp_path / "out.json", "--job-name", "panel")
    assert done.exit_code == 0, done.output
    assert box.service.requests["upload"] == 1
    assert box.service.authorized_byte_requests == 0
    assert_as_ours((tmp_path / "out.json").read_text().splitlines(), box, type)


def test_the_steps_one_by_one(command: Command, box: xc.Sandbox, tmp_path: Path) -> None:
    """create --no-wait, list, get and download are answered as twarc expects, and download waits for the job."""
    command("create", "tweets", ids_file(tmp_path, "tweets"), "--no-wait")
    job = box.service.jobs[0]
    listed = json.loads(command("list", "tweets", "--json-output").stdout)
    assert [each["id"] for each in listed] == [job.id]
    assert json.loads(command("get", job.id, "--json-output").stdout)["data"]["type"] == "tweets"
    assert command("download", job.id, tmp_path / "out.json").exit_code == 0
    assert_as_ours((tmp_path / "out.json").read_text().splitlines(), box, "tweets")


def test_an_empty_list_is_taken_for_an_error(client: Twarc2) -> None:
    """A fact of twarc: a list without `data`, which is how X says that there is no job, raises a ValueError.

    The sandbox stays with what was seen of X; twarc was written when the list was told otherwise.
    """
    with pytest.raises(ValueError, match="Unknown response from twitter"):
        client.compliance_job_list("users", None)


def test_refusals_are_errors(client: Twarc2, box: xc.Sandbox) -> None:
    """A second job of the type, an unknown job and a 503 are ValueErrors that tell the status."""
    client.compliance_job_create("tweets", None)
    with pytest.raises(ValueError, match="409"):
        client.compliance_job_create("tweets", None)
    with pytest.raises(ValueError, match="404"):
        client.compliance_job_get("1446017776678801409")
    box.script("create", "return-503")
    with pytest.raises(ValueError, match="503"):
        client.compliance_job_create("users", None)
    box.assert_all_fired()


def test_what_the_download_answers_is_the_output(command: Command, box: xc.Sandbox, tmp_path: Path) -> None:
    """A fact of twarc: the status of a download is not looked at, so a 503's text is what the output file holds."""
    box.script("download", "return-503")
    done = command("create", "tweets", ids_file(tmp_path, "tweets"), tmp_path / "out.json")
    box.assert_all_fired()
    assert done.exit_code == 0
    text = (tmp_path / "out.json").read_text()
    assert "503" in text or "ServiceUnavailable" in text
    assert not any(id in text for id in IDS["tweets"])


def test_an_upload_that_was_refused_is_waited_for(command: Command, box: xc.Sandbox, tmp_path: Path) -> None:
    """A fact of twarc: the status of an upload is not looked at, so the command waits for a job that never got IDs."""
    box.script("upload", "return-503")
    box.script("get", "ok", "ok", "ok", {"mutate": {"status": "expired"}})
    done = command("create", "tweets", ids_file(tmp_path, "tweets"), tmp_path / "out.json")
    box.assert_all_fired()
    assert "Job status is expired" in done.output
    assert box.service.jobs[0].upload is None
    assert not (tmp_path / "out.json").exists()
