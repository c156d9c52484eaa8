"""X's own SDK (xdk) does whole jobs with the sandbox. It is generated from X's OpenAPI description, which does not
know the two byte steps, so these go through requests, as in X's samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import xdk
from peers.exchange import assert_as_ours, download, ids_file, looked_until_complete, upload
from xdk.compliance.models import CreateJobsRequest

import xcompliance_pd as xc


@pytest.fixture
def client(box: xc.Sandbox) -> Iterator[xdk.Client]:
    """The SDK's client with its own setting for the address."""
    client = xdk.Client(base_url=box.url, bearer_token=box.token)
    yield client
    client.session.close()


@pytest.mark.parametrize("type", ["tweets", "users"])
def test_a_whole_job_ends_as_ours_does(type: str, client: xdk.Client, box: xc.Sandbox, tmp_path: Path) -> None:
    """Create, upload, look, list and download with the SDK give the very records that our client finds."""
    job = client.compliance.create_jobs(CreateJobsRequest(type=type, name="panel")).data
    assert (job.status, job.name, job.type, job.resumable) == ("created", "panel", type, False)
    upload(job.upload_url, ids_file(tmp_path, type))

    def look() -> dict[str, Any]:
        return client.compliance.get_jobs_by_id(job.id).data.model_dump()

    done = looked_until_complete(look)
    listed = client.compliance.get_jobs(type=type, status="complete").data
    assert [(each.id, each.status) for each in listed] == [(job.id, "complete")]
    assert_as_ours(download(done["download_url"]), box, type)


def test_every_answer_fits_the_sdks_models(client: xdk.Client) -> None:
    """No answer of the sandbox has a member that X's models do not name."""
    made = client.compliance.create_jobs(CreateJobsRequest(type="tweets"))
    found = client.compliance.get_jobs_by_id(made.data.id)
    listed = client.compliance.get_jobs(type="tweets")
    for model in (made, made.data, found, found.data, listed, listed.meta, *listed.data):
        assert model.model_extra == {}
    assert listed.meta.result_count == 1


def test_fields_are_what_was_asked_for(client: xdk.Client) -> None:
    """`compliance_job_fields` reaches the sandbox as X's parameter: a field that was not asked for stays away."""
    made = client.compliance.create_jobs(CreateJobsRequest(type="tweets"), compliance_job_fields=["id", "status"]).data
    assert made.status == "created"
    assert made.resumable is None
    seen = client.compliance.get_jobs_by_id(made.id, compliance_job_fields=["resumable"]).data
    assert seen.resumable is False


def test_an_empty_list_is_no_job(client: xdk.Client) -> None:
    """The SDK reads a list without `data` as no jobs."""
    answer = client.compliance.get_jobs(type="users")
    assert answer.data is None
    assert answer.meta.result_count == 0


@pytest.mark.parametrize(("dialect", "status"), [("gcs", 200), ("xapi", 400)])
def test_resumable_uploads_are_there_in_the_older_dialect_only(dialect: str, status: int) -> None:
    """The SDK can still ask for a resumable upload; the newer dialect answers 400, as X did in September 2026."""
    request = CreateJobsRequest(type="tweets", resumable=True)
    with xc.Sandbox(dialect=dialect) as box:
        jobs = xdk.Client(base_url=box.url, bearer_token=box.token).compliance
        if status == 200:
            assert jobs.create_jobs(request).data.resumable is True
        else:
            with pytest.raises(requests.HTTPError, match=str(status)):
                jobs.create_jobs(request)


@pytest.mark.parametrize("fault", ["return-429", "return-503"])
def test_refusals_are_errors(fault: str, client: xdk.Client, box: xc.Sandbox) -> None:
    """The SDK does not try again: a 429 or a 503 once is an HTTPError with that status, and the next call is fine."""
    box.script("create", fault)
    with pytest.raises(requests.HTTPError) as caught:
        client.compliance.create_jobs(CreateJobsRequest(type="tweets"))
    assert str(caught.value.response.status_code) in fault
    box.assert_all_fired()
    assert client.compliance.create_jobs(CreateJobsRequest(type="tweets")).data.status == "created"


def test_the_sdks_session_is_not_for_signed_urls(tmp_path: Path) -> None:
    """A fact to know: once used, the SDK's session adds the token to whatever it sends, also to storage.

    The sandbox refuses that and counts it; a plain requests.put of the same file is taken.
    """
    with xc.Sandbox(dialect="gcs") as box:
        client = xdk.Client(base_url=box.url, bearer_token=box.token)
        job = client.compliance.create_jobs(CreateJobsRequest(type="tweets")).data
        path = ids_file(tmp_path, "tweets")
        with path.open("rb") as file, client.session:
            answer = client.session.put(job.upload_url, data=file, headers={"Content-Type": "text/plain"}, timeout=10)
        assert answer.status_code == 400
        assert box.service.authorized_byte_requests == 1
        upload(job.upload_url, path)
        assert box.service.jobs[0].upload is not None
