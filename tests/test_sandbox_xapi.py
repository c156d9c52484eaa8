"""The sandbox's newer dialect over real HTTP: bytes on the API's own origin, tokens, problems, and cancelling."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pandas as pd
import pytest
import requests
from test_sandbox import DAY, JOBS, PLAIN, START, Caller, Clock, problem, raw, records

from xcompliance_pd import digest, results
from xcompliance_pd.sandbox import Server

POSTS = [int(n) for n in np.random.default_rng(9).integers(10**17, 2 * 10**18, 4_000)]
PEOPLE = [int(n) for n in np.random.default_rng(10).integers(10**3, 10**9, 4_000)]
NEWER = "https://api.x.com/2/problems/"


@contextlib.contextmanager
def running(**settings: object) -> Iterator[tuple[Server, Caller]]:
    with Server(dialect="xapi", **settings) as server:  # type: ignore[arg-type]
        caller = Caller(server)
        try:
            yield server, caller
        finally:
            caller.close()


def cancel(caller: Caller, job_id: str, **query: str) -> requests.Response:
    return caller.api.delete(f"{caller.server.url}{JOBS}/{job_id}", params=query)


# --------------------------------------------------------------------- the bytes


def test_byte_urls_are_of_the_api_itself() -> None:
    """Both URLs are paths of the job on the API's own origin with one token, other for each job and direction."""
    with running(clock=Clock()) as (server, caller):
        seen = set()
        for job in (caller.create("tweets"), caller.create("users")):
            for key, direction in (("upload_url", "upload"), ("download_url", "download")):
                address, _, query = job[key].partition("?")
                assert address == f"{server.url}{JOBS}/{job['id']}/{direction}"
                assert list(parse_qs(query)) == ["token"]
                seen.add(query)
            assert job["upload_expires_at"] == "2026-09-21T14:28:20.000Z"
            assert job["download_expires_at"] == "2026-09-28T14:13:20.000Z"
        assert len(seen) == 4
        assert server.storage_url == server.url


@pytest.mark.parametrize("kind", ["text/plain", "application/octet-stream", "text/plain; charset=utf-8"])
def test_life_of_a_job(kind: str) -> None:
    """created -> in_progress -> complete; the byte answers have a length, no checksum and none of Google's headers."""
    with running(findings=['{"id":"20","action":"delete"}']) as (server, caller):
        job = caller.create(name="panel")
        assert (job["status"], job["name"], job["resumable"]) == ("created", "panel", False)
        put = caller.put(job, b"20\n21\n", {"Content-Type": kind})
        assert (put.status_code, put.content, put.headers["content-length"]) == (200, b"", "0")
        assert [caller.status(job), caller.status(job)] == ["in_progress", "complete"]
        got = caller.download(job)
        assert (got.status_code, got.content) == (200, b'{"id":"20","action":"delete"}\n')
        assert got.headers["content-length"] == str(len(got.content))
        assert set(put.headers) == {"Server", "Date", "Content-Length"}
        assert set(got.headers) == {"Server", "Date", "Content-Length", "Content-Type"}
        assert server.service.requests == {"create": 1, "get": 2, "upload": 1, "download": 1}


def test_what_opens_nothing() -> None:
    """Without a token, with another's, the other direction's or two it is 403, and nothing is stored."""
    with running() as (server, caller):
        job, other = caller.create("tweets"), caller.create("users")
        bare = job["upload_url"].partition("?")[0]
        token = urlsplit(job["upload_url"]).query
        for query in (
            "",
            "?token=",
            "?token=nonsense",
            "?" + urlsplit(other["upload_url"]).query,
            "?" + urlsplit(job["download_url"]).query,
            f"?{token}&{token}",
            f"?{token[:-1]}",
        ):
            answer = problem(caller.bytes.put(bare + query, data=b"20\n", headers=PLAIN), 403)
            assert answer["type"] == NEWER + "not-authorized-for-resource"
        assert caller.status(job) == "created"
        assert server.service.requests["upload"] == 0


def test_tokens_end() -> None:
    """The upload's token ends after 900 s and the download's after seven days, to the second."""
    clock = Clock()
    with running(clock=clock, complete_after=0) as (_, caller):
        late, job = caller.create("users"), caller.create("tweets")
        clock.now = int(START) + 899.9
        assert caller.put(job, b"20\n").status_code == 200
        clock.now = int(START) + 900
        assert "expired" in problem(caller.put(late, b"20\n"), 403)["detail"]
        assert caller.status(late) == "expired"
        clock.now = int(START) + 7 * DAY - 0.1
        assert caller.download(job).status_code == 200
        clock.now = int(START) + 7 * DAY
        assert "expired" in problem(caller.download(job), 403)["detail"]


def test_no_results_yet() -> None:
    """Before the job is complete there is nothing to download: 404, whose type the client knows."""
    with running() as (_, caller):
        job = caller.create()
        for _look in range(2):
            assert problem(caller.download(job), 404)["type"] == NEWER + "resource-not-found"
            caller.bytes.put(job["upload_url"], data=b"20\n", headers=PLAIN)


def test_one_upload_for_a_job() -> None:
    """guess: a job that runs takes no second file."""
    with running() as (server, caller):
        job = caller.create()
        assert caller.put(job, b"20\n").status_code == 200
        problem(caller.put(job, b"21\n"), 409)
        assert server.service.jobs[0].upload.data == b"20\n"


def test_refused_uploads() -> None:
    """Above 1 GiB: 413 before a byte is sent; without a length 411; of another type, or none, 415."""
    with running() as (server, caller):
        job = caller.create()
        parts = urlsplit(job["upload_url"])
        head = f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: text/plain\r\n"
        for length, status in [("Content-Length: 1073741825\r\n", 413), ("", 411), ("Content-Length: -1\r\n", 400)]:
            answer = raw(server.url, f"{head}{length}\r\n".encode())
            assert answer.startswith(f"HTTP/1.1 {status} ".encode())
            assert b"Content-Type: application/problem+json\r\n" in answer
        for kind in ({}, {"Content-Type": "text/csv"}, {"Content-Type": "application/x-www-form-urlencoded"}):
            problem(caller.put(job, b"20\n", kind), 415)
        assert problem(caller.post({"type": "users", "name": "n" * 100_000}), 413)["status"] == 413
        assert caller.status(job) == "created"


def test_half_an_upload_stores_nothing() -> None:
    """A connection that ends before Content-Length bytes gets no answer, and the job still waits."""
    with running() as (server, caller):
        job = caller.create()
        parts = urlsplit(job["upload_url"])
        head = f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        assert raw(server.url, f"{head}Content-Type: text/plain\r\nContent-Length: 9\r\n\r\n20\n".encode()) == b""
        assert (caller.status(job), server.service.requests["upload"]) == ("created", 0)


def test_a_bearer_along_with_the_bytes_is_counted() -> None:
    """The token of the URL is the sole credential: another one changes nothing, but the sandbox remembers it."""
    with running(complete_after=0) as (server, caller):
        job = caller.create()
        leak = {"Authorization": f"Bearer {server.token}"}
        assert caller.put(job, b"20\n", PLAIN | leak).status_code == 200
        assert caller.download(job, leak).status_code == 200
        assert server.service.authorized_byte_requests == 2


def test_a_sandbox_that_wants_the_bearer_too() -> None:
    """With bearer_on_byte_paths both credentials are needed, and either alone is refused."""
    with running(complete_after=0, bearer_on_byte_paths=True) as (server, caller):
        job = caller.create()
        both = {"Authorization": f"Bearer {server.token}"}
        problem(caller.put(job, b"20\n"), 401)
        problem(caller.put(job, b"20\n", PLAIN | {"Authorization": "Bearer wrong"}), 401)
        bare = job["upload_url"].partition("?")[0]
        problem(caller.bytes.put(bare, data=b"20\n", headers=PLAIN | both), 403)
        assert caller.put(job, b"20\n", PLAIN | both).status_code == 200
        problem(caller.download(job), 401)
        assert caller.download(job, both).status_code == 200


# --------------------------------------------------------------------- the API


def test_an_unfinished_job_is_cancelled() -> None:
    """DELETE makes a created or running job failed, without a reason, and its type is free again."""
    with running() as (server, caller):
        for upload in (False, True):
            job = caller.create()
            if upload:
                caller.put(job, b"20\n")
                assert caller.status(job) == "in_progress"
            answer = cancel(caller, job["id"])
            assert answer.status_code == 200
            assert answer.json()["data"] == {**job, "status": "failed"}
            assert (caller.status(job), "error" in answer.json()["data"]) == ("failed", False)
            problem(caller.put(job, b"20\n"), 409)
            problem(caller.download(job), 404)
        assert caller.create()["status"] == "created"
        assert server.service.requests["cancel"] == 2
        assert [made["status"] for made in caller.list(type="tweets").json()["data"]] == ["created", "failed", "failed"]


def test_what_cannot_be_cancelled() -> None:
    """A job that is over is 409 and stays as it is; an unknown one 404; no job's ID 400; without the token 401."""
    with running(complete_after=0) as (server, caller):
        done, gone = caller.create("tweets"), caller.create("users")
        caller.put(done, b"20\n")
        assert cancel(caller, gone["id"]).status_code == 200
        for job, status in ((done, "complete"), (gone, "failed")):
            assert problem(cancel(caller, job["id"]), 409)["type"] == "about:blank"
            assert caller.status(job) == status
        problem(cancel(caller, "123"), 404)
        problem(cancel(caller, "abc"), 400)
        problem(cancel(caller, gone["id"], force="yes"), 400)
        del caller.api.headers["Authorization"]
        problem(cancel(caller, done["id"]), 401)
        assert server.service.requests["cancel"] == 1


def test_a_lost_answer_to_a_cancellation() -> None:
    """Lost before, the job is as it was; lost after, it is failed, and the same request again is a conflict."""
    with running() as (server, caller):
        job = caller.create()
        server.script("cancel", "drop-before", "drop-after")
        for status in ("created", "failed"):
            with pytest.raises(requests.ConnectionError):
                cancel(caller, job["id"])
            assert caller.status(job) == status
        problem(cancel(caller, job["id"]), 409)
        server.assert_all_fired()


def test_methods_and_their_names() -> None:
    """A path that exists answers another method with 405 and the methods it takes."""
    with running() as (server, caller):
        job = caller.create()
        for path, method, allowed in [
            (JOBS, "DELETE", "GET, POST"),
            (f"{JOBS}/{job['id']}", "PUT", "GET, DELETE"),
            (f"{JOBS}/{job['id']}/upload", "GET", "PUT"),
            (f"{JOBS}/{job['id']}/upload", "DELETE", "PUT"),
            (f"{JOBS}/{job['id']}/download", "TRACE", "GET"),
        ]:
            answer = caller.api.request(method, server.url + path, data=b"")
            problem(answer, 405)
            assert answer.headers["Allow"] == allowed
        assert caller.status(job) == "created"


def test_second_active_job() -> None:
    """A second active job of a type is 409; of the other type it is not."""
    with running() as (_, caller):
        caller.create("tweets")
        caller.create("users")
        answer = problem(caller.post({"type": "tweets"}), 409)
        assert answer["detail"] == "You cannot create a new job if one is already in progress."


def test_refusals_are_of_the_newer_form() -> None:
    """resumable is refused with 400 and its name; problems have the newer address; an empty list has no data."""
    with running() as (server, caller):
        refused = problem(caller.post({"type": "tweets", "resumable": True}), 400)
        assert (refused["type"], refused["parameter"]) == (NEWER + "invalid-request", "resumable")
        assert "errors" not in refused
        assert problem(caller.get("123"), 404)["type"] == NEWER + "resource-not-found"
        assert caller.list(type="tweets").json() == {"meta": {"result_count": 0}}
        assert server.service.jobs == []


# --------------------------------------------------------------------- results


@pytest.mark.parametrize(("type", "ids"), [("tweets", POSTS), ("users", PEOPLE)])
def test_the_newer_words_are_met(type: str, ids: list[int]) -> None:
    """Geo scrubbing, edits, errors, null and renamed times, and several records for one ID all occur."""
    with running(complete_after=1) as (_, caller):
        found = records(caller.results(ids, type))
    words = Counter((record.get("action"), record.get("reason"), record.get("error")) for record in found)
    newer = [("scrub_geo", "geo_scrubbed", None), ("rehydrate", "tweet_edited", None)]
    for word in [(None, None, "invalid_id"), *(newer if type == "tweets" else [])]:
        assert words[word] > 0
    assert sum("redacted_at" in record and record["redacted_at"] is None for record in found) > 10
    assert sum("deleted_at" in record for record in found) > 10
    often = {id: count for id, count in Counter(record["id"] for record in found).items() if count > 1}
    assert len(often) > 10
    assert all(set(record) == {"id", "error"} for record in found if "error" in record)


@pytest.mark.parametrize(("type", "ids"), [("tweets", POSTS), ("users", PEOPLE)])
def test_the_truth_is_what_the_lines_say(type: str, ids: list[int]) -> None:
    """Of the records of each ID, read here by rules of this test's own, the truth tells the most severe."""
    rank = {"delete": 0, "scrub_geo": 1, "rehydrate": 2, None: 9}
    with running(complete_after=1) as (server, caller):
        found = records(caller.results(ids, type))
        truth = server.expected(pd.Series(ids, index=ids), type)
    best: dict[str, dict[str, str]] = {}
    for record in sorted(
        found, key=lambda r: (rank[r.get("action")], not (r.get("redacted_at") or r.get("deleted_at")))
    ):
        best.setdefault(record["id"], record)
    for id, row in truth.iterrows():
        record = best.get(str(id))
        if record is None:
            assert row["status"] == "compliant"
            continue
        assert row["status"] == ("unchecked" if "error" in record else "action_required")
        assert (row["action"], row["reason"]) == (record.get("action"), record.get("reason") or record.get("error"))
        gone = record.get("redacted_at") or record.get("deleted_at")
        assert pd.isna(row["redacted_at"]) if gone is None else row["redacted_at"] == pd.Timestamp(gone)


def test_the_truth_of_given_lines_knows_both_names_of_a_time() -> None:
    """deleted_at is the time of redaction where redacted_at is null or absent, also for choosing among several."""
    day = "2026-09-{:02d}T00:00:00.000Z"
    lines = [
        {"id": "20", "action": "delete", "reason": "deleted", "deleted_at": day.format(2)},
        {"id": "21", "action": "delete", "reason": "a", "redacted_at": None, "deleted_at": day.format(9)},
        {"id": "21", "action": "delete", "reason": "b", "redacted_at": day.format(8)},
    ]
    truth = Server(findings=map(json.dumps, lines), dialect="xapi").expected([20, 21])
    assert truth["redacted_at"].tolist() == [pd.Timestamp(day.format(2)), pd.Timestamp(day.format(8))]
    assert truth["reason"].tolist() == ["deleted", "b"]


def test_the_older_words_meet_the_same_ids() -> None:
    """Both dialects agree on every ID that the older one lists; the newer one lists more."""
    older, newer = (Server(dialect=dialect).expected(POSTS) for dialect in ("gcs", "xapi"))
    listed = older["status"] == "action_required"
    pd.testing.assert_frame_equal(older[listed], newer[listed])
    assert (newer["status"] != "compliant").sum() > listed.sum()


def test_results_without_a_checksum_are_proved_by_their_length() -> None:
    """What the headers prove is the grade `length`, for a file with lines."""
    with running(complete_after=0) as (_, caller):
        job = caller.create()
        caller.put(job, b"".join(b"%d\n" % id for id in POSTS))
        answer = caller.download(job)
        seen = digest.Digest()
        seen.update(answer.content)
        headers = {name.lower(): value for name, value in answer.headers.items()}
        assert digest.grade(seen.received(200, headers)) is digest.Grade.LENGTH
        assert results.read([answer.content]).bad_count == 0


@pytest.mark.parametrize("fault", ["bare", "lose-line", {"hash": "wrong"}, "cut:-5", "return-503", "echo:403"])
def test_faults_are_played_here_too(fault: object) -> None:
    """Scripted faults meet the byte paths of this dialect; one without anything to spoil is told."""
    with running(complete_after=0, findings=['{"id":"20"}']) as (server, caller):
        job = caller.create()
        caller.put(job, b"20\n")
        server.script("download", fault)  # type: ignore[arg-type]
        with contextlib.suppress(requests.RequestException):
            caller.download(job)
        if fault == "bare":
            with pytest.raises(AssertionError, match="changed nothing"):
                server.assert_all_fired()
        else:
            server.assert_all_fired()


def test_command_speaks_it() -> None:
    """python -m xcompliance_pd.sandbox --dialect xapi serves the newer dialect."""
    command = [sys.executable, "-m", "xcompliance_pd.sandbox", "--dialect", "xapi"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            text = "".join(process.stdout.readline() for _ in range(3))
            (url,) = re.findall(r"^export XCOMPLIANCE_API_URL=(\S+)$", text, re.MULTILINE)
            with requests.Session() as session:
                session.trust_env = False
                told = json.loads(session.get(f"{url}/openapi.json").content)
            assert f"{JOBS}/{{id}}/upload" in told["paths"]
        finally:
            process.terminate()
            process.wait(10)
