"""tweepy does whole jobs with the sandbox. It has the three API calls; for the files it leaves its user to requests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import tweepy
from peers.exchange import assert_as_ours, download, ids_file, looked_until_complete, upload
from peers.hosts import redirected

import xcompliance_pd as xc


@pytest.fixture
def client(box: xc.Sandbox) -> Iterator[tweepy.Client]:
    """tweepy's client; it has no setting for the address, so its session is redirected."""
    client = tweepy.Client(box.token)
    redirected(client.session, box.url)
    yield client
    client.session.close()


@pytest.mark.parametrize("type", ["tweets", "users"])
def test_a_whole_job_ends_as_ours_does(type: str, client: tweepy.Client, box: xc.Sandbox, tmp_path: Path) -> None:
    """Create, upload, look, list and download with tweepy give the very records that our client finds."""
    job = client.create_compliance_job(type, name="panel").data
    assert (job["status"], job["name"], job["type"]) == ("created", "panel", type)
    upload(job["upload_url"], ids_file(tmp_path, type))
    done = looked_until_complete(lambda: client.get_compliance_job(job["id"]).data)
    listed = client.get_compliance_jobs(type).data
    assert [(each["id"], each["status"]) for each in listed] == [(job["id"], "complete")]
    assert_as_ours(download(done["download_url"]), box, type)


def test_the_comparison_has_teeth(client: tweepy.Client, box: xc.Sandbox, tmp_path: Path) -> None:
    """One record less, or one with another reason, is not what our client finds."""
    job = client.create_compliance_job("tweets").data
    upload(job["upload_url"], ids_file(tmp_path, "tweets"))
    looked_until_complete(lambda: client.get_compliance_job(job["id"]).data)
    lines = download(job["download_url"])
    other = lines[0].replace('"reason":"', '"reason":"not ')
    for wrong in (lines[1:], [other, *lines[1:]]):
        with pytest.raises(AssertionError):
            assert_as_ours(wrong, box, "tweets")


def test_an_empty_list_is_no_job(client: tweepy.Client) -> None:
    """tweepy reads a list without `data` as no jobs."""
    answer = client.get_compliance_jobs("users")
    assert answer.data is None
    assert answer.meta == {"result_count": 0}


def test_a_second_job_of_a_type_is_refused(client: tweepy.Client, box: xc.Sandbox) -> None:
    """The refusal is a 409 for tweepy, of which it reads the title; the other type is free."""
    client.create_compliance_job("tweets")
    with pytest.raises(tweepy.HTTPException, match="409 Conflict") as caught:
        client.create_compliance_job("tweets")
    assert caught.value.response.status_code == 409
    assert client.create_compliance_job("users").data["type"] == "users"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("return-400", tweepy.BadRequest),
        ("return-401", tweepy.Unauthorized),
        ("return-403", tweepy.Forbidden),
        ("return-404", tweepy.NotFound),
        ("return-503", tweepy.TwitterServerError),
    ],
)
def test_refusals_are_what_tweepy_calls_them(
    fault: str, error: type[Exception], client: tweepy.Client, box: xc.Sandbox
) -> None:
    """Each refusal that the sandbox plays has tweepy's own class for it."""
    box.script("create", fault)
    with pytest.raises(error):
        client.create_compliance_job("tweets")
    box.assert_all_fired()


def test_the_rate_limit_is_understood(client: tweepy.Client, box: xc.Sandbox) -> None:
    """tweepy reads from a 429 when the window ends, and told to wait it waits for it and goes on."""
    box.script("list", "too-many:-5", "too-many:-5")
    with pytest.raises(tweepy.TooManyRequests) as caught:
        client.get_compliance_jobs("tweets")
    assert caught.value.reset_time == int(caught.value.response.headers["x-rate-limit-reset"])
    client.wait_on_rate_limit = True
    assert client.get_compliance_jobs("tweets").data is None
    box.assert_all_fired()


def test_a_wrong_token_and_an_unknown_job_are_refused(client: tweepy.Client, box: xc.Sandbox) -> None:
    """Without the sandbox's token there is no answer but 401; a job that never was is a 404."""
    with pytest.raises(tweepy.NotFound):
        client.get_compliance_job("1446017776678801409")
    client.bearer_token = "another"
    with pytest.raises(tweepy.Unauthorized):
        client.get_compliance_jobs("tweets")
