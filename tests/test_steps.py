"""Single steps: X's own list of jobs, and jobs that were made elsewhere and are taken over."""

from __future__ import annotations

import re
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import requests
from support import quick

import xcompliance_pd as xc
from xcompliance_pd.cli import main
from xcompliance_pd.lifecycle import RUN_ID
from xcompliance_pd.protocol import BASE_URL_VARIABLE, TOKEN_VARIABLES, redact

DIALECTS = ("gcs", "xapi")

IDS = [str(1212092628029698048 + n * 4_194_304_007) for n in range(8)]
POSTS = pd.DataFrame({"id": [*IDS, "1212092628029000001", None]})
LINES = [f'{{"id":"{id}","action":"delete","reason":"suspended"}}' for id in (IDS[1], IDS[5])]
STATUSES = ["action_required" if n in (1, 5) else "compliant" for n in range(8)] + ["unchecked"] * 2
PLAIN = {"Content-Type": "text/plain"}


def make(box: xc.Sandbox, type: str = "tweets", **body: Any) -> dict[str, Any]:
    """Make a job as curl does."""
    headers = {"Authorization": f"Bearer {box.token}"}
    answer = requests.post(f"{box.url}/2/compliance/jobs", json={"type": type, **body}, headers=headers, timeout=10)
    job: dict[str, Any] = answer.json()["data"]
    return job


def put(job: dict[str, Any], ids: list[str]) -> None:
    """Upload as curl does."""
    body = "".join(f"{id}\n" for id in ids).encode()
    assert requests.put(job["upload_url"], data=body, headers=PLAIN, timeout=10).status_code == 200


@pytest.fixture
def told(dialect: str) -> Any:
    """A sandbox that lists two of the IDs."""
    with xc.Sandbox(findings=LINES, dialect=dialect, complete_after=1) as box:
        yield box


def joined(run: xc.Run, data: pd.DataFrame = POSTS, **more: Any) -> pd.DataFrame:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", xc.ComplianceWarning)
        return data.compliance.join("id", run, **more)


def statuses(checked: pd.DataFrame) -> list[str]:
    return checked["compliance_status"].astype(str).tolist()


# --------------------------------------------------------------------- X's own list


def test_jobs_lists_what_x_has(box: xc.Sandbox) -> None:
    """Newest first, IDs as text, times in UTC, our run beside our job and none beside another's; one request."""
    mine = xc.submit(POSTS, "id", client=box.client).wait()
    other = make(box, name="panel")
    make(box, "users")
    before = box.service.requests["list"]
    listed = xc.jobs(client=box.client)
    assert box.service.requests["list"] == before + 1
    assert listed["id"].tolist() == [other["id"], mine.record.batches[0].job_id]
    assert listed["status"].tolist() == ["created", "complete"]
    assert listed["run"].tolist() == [None, mine.id]
    assert listed["name"].tolist()[0] == "panel"
    assert [str(dtype).partition("[")[0] for dtype in listed.dtypes[3:6]] == ["datetime64"] * 3
    assert listed["created_at"].dt.tz is not None
    assert (listed["upload_expires_at"] - listed["created_at"]).dt.total_seconds().tolist() == [900, 900]
    assert (listed["download_expires_at"] - listed["created_at"]).dt.days.tolist() == [7, 7]
    assert listed["resumable"].tolist() == [False, False]
    assert len(xc.jobs("users", client=box.client)) == 1


def test_jobs_by_status_and_none_at_all(box: xc.Sandbox) -> None:
    """A status keeps only jobs of it, also the one that X has no filter for; no job is an empty frame."""
    empty = xc.jobs(client=box.client)
    assert (len(empty), empty.columns.tolist()) == (0, xc.jobs("users", client=box.client).columns.tolist())
    job = make(box)
    box.service.fail(job["id"])
    assert xc.jobs(status="failed", client=box.client)["id"].tolist() == [job["id"]]
    assert xc.jobs(status="expired", client=box.client).empty


@pytest.mark.parametrize(("type", "status"), [("likes", None), ("tweets", "finished"), ("tweets", 3)])
def test_jobs_refuses_unknown_words(box: xc.Sandbox, type: str, status: Any) -> None:
    """A wrong type or status is refused before any request."""
    with pytest.raises(xc.InputError):
        xc.jobs(type, status, box.client)
    assert not box.service.requests["list"]


def test_no_url_of_a_job_is_shown(box: xc.Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    """Neither the frame nor the command line nor an error's traceback holds a URL or its secret."""
    job = make(box, name="a\x1b[31m name")
    secret = job["upload_url"].partition("?")[2]
    monkeypatch.setenv(BASE_URL_VARIABLE, box.url)
    monkeypatch.setenv(TOKEN_VARIABLES[0], box.token)
    assert main(["jobs"]) == 0
    shown = capsys.readouterr().out
    assert job["id"] in shown
    assert "\x1b" not in shown
    box.script("list", {"envelope": {"errors": [{"title": "x"}]}})
    with pytest.raises(xc.UnexpectedResponse) as caught:
        xc.jobs(client=box.client)
    caught.value.with_traceback(caught.value.__traceback__.tb_next)  # type: ignore[union-attr]  # without this test's own
    told = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "_ask" in told
    told += xc.jobs(client=box.client).to_csv()
    for text in (shown, told):
        assert secret not in text
        assert "http" not in text.replace(box.url, "")
    assert main(["jobs", "--type", "users"]) == 0
    assert "no job" in capsys.readouterr().out


# --------------------------------------------------------------------- a job that was made elsewhere


def test_attach_a_job_of_curl(told: xc.Sandbox) -> None:
    """A job made and fed elsewhere is waited for, downloaded, verified and joined, with a warning on whose word."""
    job = make(told, name="from curl")
    put(job, IDS)
    run = xc.attach(job["id"], sent=IDS, client=quick(told), label="panel")
    assert told.service.requests["get"] == 1
    with pytest.warns(xc.ComplianceWarning, match=r"6 IDs are called compliant on your word alone .*given") as warned:
        checked = POSTS.compliance.join("id", run)
    assert len(warned) == 1
    assert statuses(checked) == STATUSES
    assert set(checked["compliance_run"].dropna()) == {run.id}
    assert set(checked["compliance_checked_at"].dropna()) == {pd.Timestamp(job["created_at"])}
    batch = run.record.batches[0]
    assert (batch.upload_proof, str(batch.grade), batch.job_id) == ("attached", "given", job["id"])
    assert told.service.requests["create"] == 1
    assert told.service.requests["upload"] == 1
    assert "6 compliant on your word" in repr(run)
    assert "proved" not in repr(run).replace("unproved", "")


def test_an_attached_run_is_like_any_other(told: xc.Sandbox) -> None:
    """It is in the list of runs, X's list names it, another kernel opens it, its result is a table, it is forgotten."""
    job = make(told)
    put(job, IDS)
    run = xc.attach(job["id"], sent=pd.Series(IDS), type="posts", client=quick(told))
    assert RUN_ID.fullmatch(run.id)
    assert run.id in redact(f"Run {run.id}")
    again = xc.open_run(run.id, quick(told))
    assert again.wait().result()["id"].tolist() == [IDS[1], IDS[5]]
    assert xc.runs()["state"].to_dict() == {run.id: "done"}
    assert xc.jobs(client=quick(told))["run"].tolist() == [run.id]
    again.forget()
    assert xc.runs()["state"].to_dict() == {run.id: "forgotten"}


def test_what_is_said_of_it_claims_no_proof(told: xc.Sandbox, tmp_path: Path) -> None:
    """Sentence and report say that compliance holds on somebody's word, and still that a sandbox invented it."""
    job = make(told)
    put(job, IDS)
    run = xc.attach(job["id"], sent=IDS, client=quick(told))
    checked = joined(run)
    text = checked.compliance.sentence()
    assert "SANDBOX" in text
    assert "(job type tweets)" in text
    assert "Not proved is that 6 of the rows are compliant" in text
    checked.compliance.report(tmp_path / "report.html", run)
    page = (tmp_path / "report.html").read_text()
    assert "the job was made elsewhere" in page
    assert "That 6 rows are compliant rests on the word" in page


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_command_line_joins_it(
    told: xc.Sandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    """`xcompliance resume` puts an attached run's verdicts beside a file's rows, and says on whose word."""
    job = make(told)
    put(job, IDS)
    run = xc.attach(job["id"], sent=IDS, client=quick(told))
    file, out = tmp_path / f"posts.{suffix}", tmp_path / f"out.{suffix}"
    data = POSTS.head(8)
    data.to_csv(file, index=False) if suffix == "csv" else data.to_parquet(file, index=False)
    monkeypatch.setenv(BASE_URL_VARIABLE, told.url)
    monkeypatch.setenv(TOKEN_VARIABLES[0], told.token)
    assert main(["resume", run.id, str(file), "id", "-o", str(out)]) == 0
    assert "6 IDs are called compliant on your word alone" in capsys.readouterr().err
    checked = pd.read_csv(out, dtype=str) if suffix == "csv" else pd.read_parquet(out)
    assert statuses(checked) == STATUSES[:8]
    assert set(checked["compliance_run"].astype(str)) == {run.id}
    assert main(["resume", run.id]) == 0
    assert "6 compliant on your word" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("uploaded", "sent"),
    [
        (IDS, [IDS[1], *IDS[6:]]),  # the records of what was not named are foreign
        ([*IDS[:1], *IDS[2:5]], IDS),  # nothing is listed
        (IDS, ["20", "21", "22"]),  # a list of something else
    ],
)
def test_doubt_leaves_everything_unlisted_unchecked(told: xc.Sandbox, uploaded: list[str], sent: list[str]) -> None:
    """Records about other IDs than those sent, or no record at all: no row is compliant, and it is said."""
    job = make(told)
    put(job, uploaded)
    run = xc.attach(job["id"], sent=sent, client=quick(told))
    with pytest.warns(xc.ComplianceWarning, match="stay unchecked"):
        checked = POSTS.compliance.join("id", run)
    assert "compliant" not in statuses(checked)
    assert not run.record.batches[0].proved


@pytest.mark.parametrize("fault", ["truncate:60", "gzip-cut", "line:no JSON"])
def test_a_damaged_download_proves_nothing(told: xc.Sandbox, fault: str) -> None:
    """Someone's word for the upload cures no damage to the results."""
    job = make(told)
    put(job, IDS)
    rules = {"gzip-cut": ["gzip", "truncate:20", "prove"], "line:no JSON": ["line:no JSON", "prove"]}
    told.script("download", *[rules.get(fault, fault)] * 5)
    run = xc.attach(job["id"], sent=IDS, client=quick(told))
    checked = joined(run)
    assert "compliant" not in statuses(checked)


def test_no_job_is_made_in_the_place_of_an_expired_one(dialect: str) -> None:
    """A job without upload expires: the run fails, nothing is created or uploaded, and partial=True shows unchecked."""
    with xc.Sandbox(findings=LINES, dialect=dialect) as box:
        job = make(box)
        box.script("get", "ok", *[{"mutate": {"status": "expired"}}])
        run = xc.attach(job["id"], sent=IDS, client=quick(box))
        with pytest.raises(xc.JobError, match="it has expired: nothing was uploaded in time"):
            POSTS.compliance.join("id", run)
        assert (box.service.requests["create"], box.service.requests["upload"]) == (1, 0)
        assert set(statuses(joined(run, partial=True))) == {"unchecked"}


def test_a_failed_job_fails_the_run(told: xc.Sandbox) -> None:
    """What X says of the job is said of the run."""
    job = make(told)
    told.service.fail(job["id"], "too bad")
    run = xc.attach(job["id"], sent=IDS, client=quick(told))
    with pytest.raises(xc.JobError, match="too bad"):
        run.result()


def test_attaching_again_goes_on(told: xc.Sandbox) -> None:
    """The same cell run again continues the unfinished run; other IDs or another job make another one."""
    job, other = make(told), make(told, "users")
    put(job, IDS)
    run = xc.attach(job["id"], sent=IDS, client=quick(told))
    assert xc.attach(job["id"], sent=IDS[::-1], client=quick(told)).id == run.id
    assert xc.attach(job["id"], sent=IDS[:3], client=quick(told)).id != run.id
    assert xc.attach(other["id"], sent=IDS, client=quick(told)).type == "users"
    assert len(xc.runs()) == 3


def test_a_check_never_continues_an_attached_run(told: xc.Sandbox) -> None:
    """An unfinished attached run of the same IDs is no run of ours to go on with: check makes its own job."""
    job = make(told)
    put(job, IDS)
    attached = xc.attach(job["id"], sent=IDS, client=quick(told))
    requests_before = told.service.requests["create"]
    told.client.jobs()  # the job is seen to be complete, so that its slot is free
    checked = POSTS.head(8).compliance.check("id", client=quick(told))
    assert told.service.requests["create"] == requests_before + 1
    assert attached.id not in set(checked["compliance_run"])


def test_what_cannot_be_attached(told: xc.Sandbox) -> None:
    """Another type, a job of ours, an unknown one, a wrong ID, and no IDs are refused; no run is left behind."""
    job = make(told)
    mine = xc.submit(POSTS, "id", type="users", client=quick(told)).wait()
    cases: list[tuple[str, Any, dict[str, Any], Callable[[], Any] | str]] = [
        (job["id"], IDS, {"type": "users"}, "is about tweets, not users"),
        (str(mine.record.batches[0].job_id), IDS, {}, re.escape(f"xc.open_run('{mine.id}')")),
        ("12", IDS, {}, "404"),
        ("12; x", IDS, {}, "not a job ID"),
        (job["id"], [], {}, "There is no ID"),
        (job["id"], ["1.2e18"], {}, "no IDs"),
        (job["id"], IDS, {"label": 3}, "A label is text"),
        (job["id"], IDS, {"client": "me"}, "needs a Client"),
    ]
    for job_id, sent, more, words in cases:
        with pytest.raises(xc.ComplianceError, match=str(words)):
            xc.attach(job_id, sent=sent, **{"client": quick(told), **more})
    assert xc.runs().index.tolist() == [mine.id]


def test_a_job_of_another_id_is_not_attached(told: xc.Sandbox) -> None:
    """An answer about another job than the one named is no ground to attach anything."""
    job = make(told)
    told.script("get", {"mutate": {"id": "1372966999991541762"}})
    with pytest.raises(xc.InputError, match="another job"):
        xc.attach(job["id"], sent=IDS, client=quick(told))
    assert xc.runs().empty
