"""The check-up: clean reports of a truthful service, and every assumption found out when the service is otherwise."""

from __future__ import annotations

import functools
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import RawServer, answer, quick

import xcompliance_pd as xc
from xcompliance_pd import client, doctor
from xcompliance_pd.cli import main
from xcompliance_pd.doctor import DIFFERENT, HELD, NOT_SEEN
from xcompliance_pd.protocol import BASE_URL_VARIABLE, TOKEN_VARIABLES, JobType

DIALECTS = ("gcs", "xapi")

IDS = np.array([1212092628029698048, 1212092632223002055], dtype=np.int64)
LINES = [
    f'{{"id":"{IDS[0]}","action":"delete","created_at":"2019-08-10T12:22:39.022Z","reason":"suspended"}}',
]


@pytest.fixture
def told(dialect: str) -> Any:
    with xc.Sandbox(findings=LINES, dialect=dialect) as box:
        yield box


def examined(box: xc.Sandbox, type: JobType = JobType.TWEETS) -> doctor.Checkup:
    return doctor.examine(quick(box), IDS, type)


def verdicts(found: doctor.Checkup) -> dict[str, str]:
    return {each.name: each.verdict for each in found.findings}


def test_a_truthful_service_is_clean(told: xc.Sandbox) -> None:
    """On both dialects every assumption holds but the one that needs two jobs in a list; it says what it cost."""
    found = examined(told)
    assert found.clean
    assert {name for name, verdict in verdicts(found).items() if verdict != HELD} == {"list.order"}
    assert verdicts(found)["list.order"] == NOT_SEEN
    assert found.trouble is None
    served = dict(told.service.requests)
    assert dict(found.requests) == {word: served[word] for word in ("create", "get", "list", "upload", "download")}
    assert xc.runs().empty
    again = examined(told)
    assert verdicts(again)["list.order"] == HELD


def test_users(told: xc.Sandbox) -> None:
    """A job of users is examined as one of posts is."""
    assert examined(told, JobType.USERS).clean


def lie(operation: str, *faults: Any) -> tuple[str, tuple[Any, ...]]:
    return operation, faults


def extra(line: str) -> Any:
    return [{"line": line}, "prove"]


# What makes each assumption fail. A pair is of (gcs, xapi).
LIES: dict[str, Any] = {
    "answer.status": lie("get", "return-503"),
    "answer.json": lie("create", {"headers": {"Content-Type": "text/plain"}}),
    "answer.envelope": lie("get", {"envelope": {"includes": {"x": 1}}}),
    "answer.date": lie("upload", "date:never"),
    "limits.headers": lie("get", {"headers": {"x-rate-limit-reset": None}}),
    "limits.window": lie("list", {"headers": {"x-rate-limit-limit": "15"}}),
    "job.certain": lie("get", {"mutate": {"type": "users"}}),
    "job.keys": lie("get", {"mutate": {"resumable": None, "color": "red"}}),
    "job.id": lie("get", {"mutate": {"created_at": "2021-01-06T18:40:40.000Z"}}),
    "job.name": lie("get", {"mutate": {"name": None}}),
    "job.times": lie("get", {"mutate": {"download_expires_at": "in a week"}}),
    "job.status": lie("get", {"mutate": {"status": "queued"}}),
    "job.order": lie("get", "ok", {"mutate": {"status": "created"}}),
    "job.end": lie("get", {"mutate": {"status": "failed", "error": "too bad"}}),
    "url.place": lie("create", {"mutate": {"upload_url": "https://files.example/put?sig=0123456789abcdef"}}),
    "url.upload": lie("get", {"mutate": {"upload_expires_at": "2099-01-06T18:40:40.000Z"}}),
    "url.download": lie("get", {"mutate": {"download_expires_at": "2099-01-06T18:40:40.000Z"}}),
    "upload.answer": lie("upload", "status:201"),
    "upload.hashes": [lie("upload", "bare"), lie("upload", "hash:crc32c=AAAAAA==")],
    "result.answer": lie("download", "return-503"),
    "result.type": lie("download", {"headers": {"Content-Type": "text/csv"}}),
    "result.evidence": [lie("download", "bare"), lie("download", "chunked")],
    "result.lines": lie("download", ["line:no JSON", "prove"]),
    "record.keys": lie("download", extra('{"id":"$id","action":"delete","more":1}')),
    "record.words": lie("download", extra('{"id":"$id","action":"burn"}')),
    "record.times": lie("download", extra('{"id":"$id","action":"delete","created_at":"soon"}')),
    "record.ids": lie("download", extra('{"id":"77","action":"delete"}')),
    "list.count": lie("list", "ok", {"envelope": {"meta": {"result_count": 7}}}),
    "list.empty": lie("list", {"envelope": {"data": []}}),
    "list.order": lie("list", "ok", {"list-too": {"id": "12", "type": "tweets", "status": "expired"}}),
    "list.ours": lie("list", "ok", {"mutate": {"name": "another"}}),
}


def test_every_assumption_has_a_lie() -> None:
    """No assumption is there that cannot fail."""
    assert [each.name for each in doctor.ASSUMPTIONS] == list(LIES)


@pytest.mark.parametrize("name", list(LIES))
def test_a_lie_is_found_out(told: xc.Sandbox, dialect: str, name: str) -> None:
    """A service that is otherwise in one respect gets a report that says so, names what was seen, and is not clean."""
    which = LIES[name]
    operation, faults = which[DIALECTS.index(dialect)] if isinstance(which, list) else which
    told.script(operation, *faults)
    found = examined(told)
    told.assert_all_fired()
    assert verdicts(found)[name] == DIFFERENT, str(found)
    assert not found.clean
    assert re.search(rf"^different +{re.escape(name)} .*\n +seen: .+", str(found), re.MULTILINE)
    assert not re.search("[0-9]{9,}", str(found))  # no ID
    # One lie does not bring down the rest.
    assert sum(verdict == DIFFERENT for verdict in verdicts(found).values()) <= 6


def test_the_report_holds_no_secret_and_no_id(told: xc.Sandbox) -> None:
    """Neither token nor signature, nor an ID of a post or job, nor a value of a URL is in the report or its parts."""
    told.script("get", {"mutate": {"status": "Bearer " + told.token, "x" * 50: 1}})
    found = examined(told)
    told.script(
        "create", {"mutate": {"upload_url": f"https://files.example/{told.token}/a?{told.token}&b={told.token}"}}
    )
    other = examined(told)
    jobs = told.service.jobs
    for text in (str(found), repr(found), str(other), repr(other)):
        assert told.token not in text
        assert not any(str(id) in text for id in IDS)
        assert not any(job.id in text for job in jobs)
        assert "Signature=" not in text
        assert "token=" not in text
    assert "files.example" in str(other)
    assert "Exchange" not in repr(found)
    witness = quick(told).over(doctor.Witness, 9)[1]
    witness.seen.append(
        doctor.Exchange("get", 200, {"x": told.token}, told.token.encode(), xc.client.Secret(told.token))
    )
    assert told.token not in repr(witness.seen)


def test_a_refusal_is_reported_and_leaves_no_run(told: xc.Sandbox) -> None:
    """A service that refuses the job is told of, with its status; no run is left behind."""
    told.script("create", "return-403")
    found = examined(told)
    assert verdicts(found)["answer.status"] == DIFFERENT
    assert found.trouble is not None
    assert "403" in found.trouble
    assert verdicts(found)["job.keys"] == NOT_SEEN
    told.script("list", "return-404")
    assert "list 404" in str(examined(told))
    assert xc.runs().empty


def test_answers_of_any_form_are_survived(told: xc.Sandbox) -> None:
    """Whatever a service puts in the place of a job, a list or a time is reported, and is no crash."""
    for operation, fault in (
        ("get", {"mutate": {"created_at": 7}}),
        ("get", {"mutate": {"status": ["complete"]}}),
        ("create", {"envelope": {"data": "job"}}),
        ("list", {"envelope": {"data": [7]}}),
        ("list", {"envelope": {"meta": [7]}}),
        ("list", 'return-json:{"data":{"id":[]}}'),
        ("get", "return-json:[]"),
        ("download", extra('{"id":"$id","action":["x"],"created_at":{}}')),
    ):
        told.script(operation, fault)
        assert not examined(told).clean


def test_nobody_there_is_an_error() -> None:
    """Where nobody answers there is nothing to report; without a token nothing is sent."""
    with pytest.raises(xc.Unavailable):
        doctor.examine(xc.Client("token", "http://127.0.0.1:9"), IDS, JobType.TWEETS)
    with pytest.raises(xc.AuthError):
        doctor.examine(xc.Client(base_url="http://127.0.0.1:9"), IDS, JobType.TWEETS)
    assert xc.runs().empty


# --------------------------------------------------------------------- the command


def test_the_command_against_the_sandbox(capsys: pytest.CaptureFixture[str], dialect: str) -> None:
    """`xcompliance doctor --sandbox` needs no account, asks nothing, and ends with 0."""
    assert main(["doctor", "--sandbox", "--dialect", dialect]) == 0
    shown = capsys.readouterr().out
    assert "30 held, 1 not seen, 0 different." in shown
    assert "not tried: HEAD" in shown


@pytest.fixture
def aimed(told: xc.Sandbox, monkeypatch: pytest.MonkeyPatch) -> xc.Sandbox:
    monkeypatch.setenv(BASE_URL_VARIABLE, told.url)
    monkeypatch.setenv(TOKEN_VARIABLES[0], told.token)
    monkeypatch.setattr(client, "Client", functools.partial(xc.Client, poll_interval=0.0))
    return told


@pytest.mark.parametrize("reply", ["", "n\n", "what?\n"])
def test_it_asks_before_it_costs_anything(
    aimed: xc.Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], reply: str
) -> None:
    """It says what it will cost, and without a yes it sends nothing."""
    monkeypatch.setattr("sys.stdin", io.StringIO(reply))
    assert main(["doctor"]) == 1
    shown = capsys.readouterr().out
    assert "one job of 2 IDs" in shown
    assert "at least 4 requests to the API, 62 at the most" in shown
    assert not aimed.service.requests


def test_a_yes_and_a_difference(
    aimed: xc.Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After a yes it runs, with the two posts of X's documentation or the IDs given; a difference is status 3."""
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert main(["doctor"]) == 0
    assert sorted(aimed.service.jobs[0].upload.data.split()) == sorted(id.encode() for id in doctor.EXAMPLE_POSTS)
    aimed.script("get", {"headers": {"x-rate-limit-limit": "15"}})
    assert main(["doctor", "--yes", "--type", "users", "20", "21"]) == 3
    assert aimed.service.jobs[1].upload.data == b"20\n21\n"
    assert re.search(r"different +limits.window .*\n +seen: get 15 a window", capsys.readouterr().out)


@pytest.mark.parametrize("arguments", [["--type", "users"], ["2O"], ["--yes", "1.2e18"]])
def test_ids_are_settled_first(aimed: xc.Sandbox, arguments: list[str]) -> None:
    """Users need IDs of the caller's, and what is no ID is refused; nothing is sent."""
    assert main(["doctor", *arguments]) == 1
    assert not aimed.service.requests


def test_a_page_of_html_is_no_service(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A login page in between is reported as what it is, not as a service."""
    with RawServer(answer(b"<html>Log in</html>", content_type="text/html")) as page:
        monkeypatch.setenv(BASE_URL_VARIABLE, page.url)
        monkeypatch.setenv(TOKEN_VARIABLES[0], "token")
        assert main(["doctor", "--yes"]) == 3
    shown = capsys.readouterr().out
    assert "trouble: Listing the jobs: the answer is not whole JSON" in shown
    assert "seen: text/html" in shown


def test_the_documentation_names_every_assumption() -> None:
    """docs/protocol.md and the doctor are about the same assumptions."""
    text = (Path(__file__).parents[1] / "docs" / "protocol.md").read_text()
    named = set(re.findall(r"`((?:answer|limits|job|url|upload|result|record|list)\.[a-z]+)`", text))
    assert named == {each.name for each in doctor.ASSUMPTIONS}
