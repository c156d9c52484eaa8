"""The sandbox over real HTTP, held against what was recorded from X's service and against its own truth."""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlsplit

import google_crc32c
import numpy as np
import pandas as pd
import pytest
import requests

from xcompliance_pd.errors import InputError
from xcompliance_pd.sandbox import Server
from xcompliance_pd.sandbox.blobs import Blob

JOBS = "/2/compliance/jobs"
PLAIN = {"Content-Type": "text/plain"}
DAY = 86_400
START = 1_790_000_000.25  # the fake clock's first moment: a quarter into a second, to see it floored
TWEETS = [int(n) for n in np.random.default_rng(7).integers(10**17, 2 * 10**18, 400)]
USERS = [int(n) for n in np.random.default_rng(8).integers(10**3, 10**9, 200)] + TWEETS[:200]
TWEET_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
USER_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00"


class Clock:
    """A clock that a test moves."""

    def __init__(self, now: float = START) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Caller:
    """A plain client: the test's own, so that the package's cannot agree with the sandbox by accident."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.api = requests.Session()
        self.bytes = requests.Session()
        self.api.trust_env = self.bytes.trust_env = False
        self.api.headers["Authorization"] = f"Bearer {server.token}"

    def post(self, body: Any, **more: Any) -> requests.Response:
        return self.api.post(self.server.url + JOBS, json=body, **more)

    def create(self, type: str = "tweets", **more: Any) -> dict[str, Any]:
        answer = self.post({"type": type, **more})
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def get(self, job_id: str, **query: str) -> requests.Response:
        return self.api.get(f"{self.server.url}{JOBS}/{job_id}", params=query)

    def status(self, job: dict[str, Any]) -> str:
        return self.get(job["id"]).json()["data"]["status"]

    def list(self, **query: str) -> requests.Response:
        return self.api.get(self.server.url + JOBS, params=query)

    def put(self, job: dict[str, Any], data: bytes, headers: dict[str, str] | None = None) -> requests.Response:
        return self.bytes.put(job["upload_url"], data=data, headers=PLAIN if headers is None else headers)

    def download(self, job: dict[str, Any], headers: dict[str, str] | None = None) -> requests.Response:
        return self.bytes.get(job["download_url"], headers=headers)

    def results(self, ids: list[Any], type: str = "tweets") -> bytes:
        job = self.create(type)
        assert self.put(job, "".join(f"{id}\n" for id in ids).encode()).status_code == 200
        while self.status(job) != "complete":
            pass
        return self.download(job).content

    def close(self) -> None:
        self.api.close()
        self.bytes.close()


@contextlib.contextmanager
def running(**settings: Any) -> Iterator[tuple[Server, Caller]]:
    with Server(**settings) as server:
        caller = Caller(server)
        try:
            yield server, caller
        finally:
            caller.close()


def raw(url: str, request: bytes) -> bytes:
    """Send bytes on a bare socket, close the sending half, return the whole answer."""
    with socket.create_connection((urlsplit(url).hostname, urlsplit(url).port), timeout=5) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def problem(answer: requests.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.json()


def storage_error(answer: requests.Response, status: int) -> dict[str, str | None]:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/xml; charset=UTF-8"
    assert answer.content.startswith(b"<?xml version='1.0' encoding='UTF-8'?><Error><Code>")
    return {child.tag: child.text for child in ET.fromstring(answer.content)}


def crc32c(data: bytes) -> str:
    return "crc32c=" + base64.b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode()


def records(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data.split(b"\n") if line.strip()]


# --------------------------------------------------------------------- the life of a job


def test_life_of_a_job() -> None:
    """created -> in_progress -> complete, with the keys, times and URLs of the recorded answers."""
    with running(clock=Clock()) as (server, caller):
        job = caller.create(name="panel")
        assert set(job) == {
            *("id", "type", "name", "status", "resumable", "created_at"),
            *("upload_url", "upload_expires_at", "download_url", "download_expires_at"),
        }
        assert (job["type"], job["name"], job["status"], job["resumable"]) == ("tweets", "panel", "created", False)
        assert job["created_at"] == "2026-09-21T14:13:20.000Z"
        assert job["upload_expires_at"] == "2026-09-21T14:28:20.000Z"
        assert job["download_expires_at"] == "2026-09-28T14:13:20.000Z"
        assert re.fullmatch(r"[0-9]{1,19}", job["id"])
        assert ((int(job["id"]) >> 22) + 1288834974657) / 1000 == START

        assert caller.status(job) == "created"
        answer = caller.put(job, b"20\n")
        assert (answer.status_code, answer.content) == (200, b"")
        first, second = caller.get(job["id"]).json()["data"], caller.get(job["id"]).json()["data"]
        assert (first["status"], second["status"]) == ("in_progress", "complete")
        assert {**second, "status": "created"} == job  # the URLs and all else are returned unchanged
        assert caller.download(job).status_code == 200
        assert server.service.requests == {"create": 1, "get": 3, "upload": 1, "download": 1}
        assert [made.id for made in server.service.jobs] == [job["id"]]


def test_name_is_absent_when_not_given() -> None:
    """A job without a name has no such key; one of 64 characters is echoed."""
    with running() as (_, caller):
        assert "name" not in caller.create()
        assert caller.create("users", name="n" * 64)["name"] == "n" * 64


@pytest.mark.parametrize(("type", "bucket"), [("tweets", "twttr-tweet-compliance"), ("users", "twttr-user-compliance")])
def test_url_anatomy(type: str, bucket: str) -> None:
    """Both URLs have the recorded path and parameters, and point at another port than the API."""
    with running(clock=Clock()) as (server, caller):
        job = caller.create(type)
        for key, kind, expires, headers in [
            ("upload_url", "submission", "900", "content-type;host"),
            ("download_url", "delivery", "604800", "host"),
        ]:
            parts = urlsplit(job[key])
            assert f"{parts.scheme}://{parts.netloc}" == server.storage_url != server.url
            assert re.fullmatch(rf"/{bucket}/{job['id']}/{kind}/\d+_{job['id']}", parts.path)
            query = parse_qs(parts.query)
            assert list(query) == [
                f"X-Goog-{name}"
                for name in ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature")
            ]
            assert query["X-Goog-Algorithm"] == ["GOOG4-RSA-SHA256"]
            assert query["X-Goog-Date"] == ["20260921T141320Z"]
            assert query["X-Goog-Credential"][0].endswith("/20260921/auto/storage/goog4_request")
            assert (query["X-Goog-Expires"], query["X-Goog-SignedHeaders"]) == ([expires], [headers])
            assert re.fullmatch(r"[0-9a-f]{512}", query["X-Goog-Signature"][0])


@pytest.mark.parametrize(("after", "seen"), [(0, 1), (1, 1), (2, 2), (4, 4)])
def test_complete_after_counts_looks_since_the_upload(after: int, seen: int) -> None:
    """Looks before the upload do not count; the K-th one after it shows complete, and 0 is like 1."""
    with running(complete_after=after) as (_, caller):
        job = caller.create()
        assert {caller.status(job) for _ in range(3)} == {"created"}
        caller.put(job, b"20\n")
        statuses = [caller.status(job) for _ in range(seen)]
        assert statuses == ["in_progress"] * (seen - 1) + ["complete"]


def test_lists_count_as_looks() -> None:
    """Polling with the list alone ends too, also with status=complete."""
    with running() as (_, caller):
        job = caller.create()
        caller.put(job, b"20\n")
        assert "data" not in caller.list(type="tweets", status="complete").json()
        assert caller.list(type="tweets", status="complete").json()["data"][0]["status"] == "complete"


def test_processing_seconds_must_pass_too() -> None:
    """With processing_seconds no number of looks completes a job early."""
    clock = Clock()
    with running(clock=clock, processing_seconds=60, complete_after=1) as (_, caller):
        job = caller.create()
        caller.put(job, b"20\n")
        clock.now += 59
        assert {caller.status(job) for _ in range(3)} == {"in_progress"}
        assert storage_error(caller.download(job), 404)["Code"] == "NoSuchKey"
        clock.now += 1
        assert caller.status(job) == "complete"


def test_job_without_upload_expires() -> None:
    """At exactly 15 minutes the job is expired, stays listed, and no longer blocks a new one."""
    clock = Clock()
    with running(clock=clock) as (_, caller):
        job = caller.create()
        clock.now = int(START) + 899.9
        assert caller.status(job) == "created"
        clock.now = int(START) + 900
        assert caller.status(job) == "expired"
        assert caller.create()["status"] == "created"
        assert [j["status"] for j in caller.list(type="tweets").json()["data"]] == ["created", "expired"]


def test_failed_job_tells_its_error_only_when_there_is_one() -> None:
    """``error`` is a key of failed jobs, and only if a reason was given."""
    with running() as (server, caller):
        tweets, users = caller.create("tweets"), caller.create("users")
        server.service.fail(tweets["id"], "the file is empty")
        server.service.fail(users["id"])
        shown = caller.get(tweets["id"]).json()["data"]
        assert (shown["status"], shown["error"]) == ("failed", "the file is empty")
        assert caller.list(type="users", status="failed").json()["data"][0].keys() == users.keys()
        assert storage_error(caller.download(tweets), 404)["Code"] == "NoSuchKey"


def test_one_active_job_per_type() -> None:
    """A created or running job of the type is in the way (409), one of the other type or a finished one is not."""
    with running(complete_after=1) as (server, caller):
        job = caller.create("tweets")
        caller.create("users")
        for _ in range(2):
            assert problem(caller.post({"type": "tweets"}), 409) == {
                "title": "Conflict",
                "detail": "You cannot create a new job if one is already in progress.",
                "type": "https://api.twitter.com/2/problems/conflict",
                "status": 409,
            }
            caller.put(job, b"20\n")
        assert caller.status(job) == "complete"
        caller.create("tweets")
        assert server.service.requests["create"] == 3  # refused ones are not counted


def test_only_one_of_many_simultaneous_creates_wins() -> None:
    """Sixteen threads, one job."""
    with running() as (server, _):

        def create(_: int) -> int:
            caller = Caller(server)
            try:
                return caller.post({"type": "tweets"}).status_code
            finally:
                caller.close()

        with ThreadPoolExecutor(16) as pool:
            assert sorted(pool.map(create, range(16))) == [200] + [409] * 15
        assert len(server.service.jobs) == 1


# --------------------------------------------------------------------- the API host


def test_api_headers() -> None:
    """A 200 carries every recorded header, and a Date by the sandbox's clock."""
    with running(clock=Clock()) as (_, caller):
        headers = caller.post({"type": "tweets"}).headers
        recorded = {
            "content-type": "application/json; charset=utf-8",
            "content-encoding": "gzip",
            "content-disposition": "attachment; filename=json.json",
            "cache-control": "no-cache, no-store, max-age=0",
            "x-access-level": "read",
            "server": "tsa_b",
            "strict-transport-security": "max-age=631138519",
            "x-content-type-options": "nosniff",
            "x-frame-options": "SAMEORIGIN",
            "x-xss-protection": "0",
            "x-rate-limit-limit": "150",
            "x-rate-limit-remaining": "149",
            "x-rate-limit-reset": str(int(START) + 900),
            "date": "Mon, 21 Sep 2026 14:13:20 GMT",
        }
        assert {name: headers.get(name) for name in recorded} == recorded
        assert headers["x-response-time"].isdigit()
        assert re.fullmatch(r"[0-9a-f]+", headers["x-connection-hash"])
        assert re.fullmatch(r"2\.\d+", headers["api-version"])
        assert not [name for name in headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize(
    ("accept", "coded"),
    [
        ("gzip", True),
        ("deflate, GZIP;q=0.5", True),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip;q=0.0, br", False),
    ],
)
def test_gzip_only_for_those_who_take_it(accept: str, coded: bool) -> None:
    """Content-Encoding follows Accept-Encoding, and Content-Length counts the bytes on the wire."""
    with running() as (server, _):
        request = (
            f"GET {JOBS}?type=tweets HTTP/1.1\r\nHost: {urlsplit(server.url).netloc}\r\n"
            f"Authorization: Bearer {server.token}\r\nAccept-Encoding: {accept}\r\n\r\n"
        )
        head, _, body = raw(server.url, request.encode()).partition(b"\r\n\r\n")
        assert (b"Content-Encoding: gzip" in head) is coded
        assert f"Content-Length: {len(body)}".encode() in head
        assert json.loads(gzip.decompress(body) if coded else body) == {"meta": {"result_count": 0}}


def test_key_order_varies() -> None:
    """The same job is not always shown with its keys in the same order."""
    with running() as (_, caller):
        job = caller.create()
        assert len({tuple(caller.get(job["id"]).json()["data"]) for _ in range(5)}) > 1


def test_rate_limit_and_window() -> None:
    """Each endpoint has its own window, opened by its first request; 429 tells the reset; then it opens anew."""
    clock = Clock()
    with running(clock=clock, rate_limits=(150, 2, 1)) as (server, caller):
        job = caller.create()
        clock.now += 10
        reset = str(int(START + 10) + 900)
        left = [caller.get(job["id"]).headers["x-rate-limit-remaining"] for _ in range(2)]
        assert left == ["1", "0"]
        clock.now += 500
        refused = caller.get(job["id"])
        assert problem(refused, 429) == {
            "title": "Too Many Requests",
            "detail": "Too Many Requests",
            "type": "about:blank",
            "status": 429,
        }
        limits = {name: refused.headers[f"x-rate-limit-{name}"] for name in ("limit", "remaining", "reset")}
        assert limits == {"limit": "2", "remaining": "0", "reset": reset}
        assert server.service.requests["get"] == 2
        assert caller.list(type="tweets").status_code == 200
        clock.now = int(reset) - 0.5
        assert caller.get(job["id"]).status_code == 429
        clock.now = int(reset)
        again = caller.get(job["id"])
        assert (again.status_code, again.headers["x-rate-limit-reset"]) == (200, str(int(reset) + 900))


@pytest.mark.parametrize("authorization", [None, "Bearer wrong", "Bearer ", "Basic eDp5", "Bearer \xe9"])
def test_unauthorized(authorization: str | None) -> None:
    """Without the token: 401, no rate-limit headers, nothing made."""
    with running() as (server, _):
        headers = {"Content-Type": "application/json", **({"Authorization": authorization} if authorization else {})}
        encoded = {name: value.encode("latin-1") for name, value in headers.items()}
        with requests.Session() as session:
            session.trust_env = False
            answer = session.post(server.url + JOBS, data='{"type":"tweets"}', headers=encoded)
        assert problem(answer, 401) == {
            "title": "Unauthorized",
            "detail": "Unauthorized",
            "type": "about:blank",
            "status": 401,
        }
        assert "x-rate-limit-limit" not in answer.headers
        assert server.service.jobs == []


def test_only_the_bearer_scheme_counts() -> None:
    """The right token behind another scheme is 401 too; the scheme's case does not matter."""
    with running() as (server, caller):
        caller.api.headers["Authorization"] = f"Basic {server.token}"
        problem(caller.list(type="tweets"), 401)
        caller.api.headers["Authorization"] = f"bearer {server.token}"
        assert caller.list(type="tweets").status_code == 200


def test_user_context_is_unsupported() -> None:
    """OAuth 1.0a gets the recorded 403."""
    with running() as (_, caller):
        caller.api.headers["Authorization"] = 'OAuth oauth_consumer_key="k"'
        body = problem(caller.list(type="tweets"), 403)
        assert body["title"] == "Unsupported Authentication"
        assert "endpoint.  Supported authentication types are [OAuth 2.0 Application-Only]." in body["detail"]


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({}, "type"),
        ({"type": "posts"}, "type"),
        ({"type": ["tweets"]}, "type"),
        ({"type": "tweets", "name": "n" * 65}, "name"),
        ({"type": "tweets", "name": 5}, "name"),
        ({"type": "tweets", "name": None}, "name"),
        ({"type": "tweets", "job_name": "old"}, "job_name"),
        ({"type": "tweets", "resumable": "yes"}, "resumable"),
        (["tweets"], "body"),
    ],
)
def test_invalid_bodies(body: Any, parameter: str) -> None:
    """What the spec does not allow in a create request is 400 and makes no job; the parameter is named."""
    with running() as (server, caller):
        answer = problem(caller.post(body), 400)
        assert answer["title"] == "Invalid Request"
        assert answer["detail"] == "One or more parameters to your request was invalid."
        assert answer["type"] == "https://api.twitter.com/2/problems/invalid-request"
        assert list(answer["errors"][0]["parameters"]) == [parameter]
        assert answer["errors"][0]["message"]
        assert server.service.jobs == []


def test_resumable_false_is_allowed() -> None:
    """The default may be spelled out."""
    with running() as (_, caller):
        assert caller.create(resumable=False)["resumable"] is False


def test_body_must_be_json_and_say_so() -> None:
    """Another Content-Type, or no JSON, is 400."""
    with running() as (server, caller):
        url = server.url + JOBS
        problem(caller.api.post(url, data='{"type":"tweets"}', headers=PLAIN), 400)
        problem(caller.api.post(url, data='{"type":', headers={"Content-Type": "application/json"}), 400)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", "The `type` query parameter can not be empty"),
        ("type=posts", "The `type` query parameter value [posts] is not one of [tweets,users]"),
        (
            "type=tweets&status=expired",
            "The `status` query parameter value [expired] is not one of [created,in_progress,failed,complete]",
        ),
        ("type=tweets&status=", "The `status` query parameter value [] is not one of [created,"),
        ("type=tweets&start_time=x", "The query parameter [start_time] is not one of [type,status,"),
        ("type=tweets&type=users", "The `type` query parameter must be given once"),
        ("type=tweets&compliance_job.fields=id,nope", "`compliance_job.fields` query parameter value [nope]"),
        ("type=tweets&compliance_job.fields=", "`compliance_job.fields` query parameter value []"),
        ("type=tweets&compliance_job.fields=id,id", "repeats a value"),
    ],
)
def test_invalid_queries(query: str, message: str) -> None:
    """A list wants its type and takes only what the spec names, each once."""
    with running() as (server, caller):
        answer = problem(caller.api.get(f"{server.url}{JOBS}?{query}"), 400)
        assert message in answer["errors"][0]["message"]


def test_routes() -> None:
    """Unknown paths and jobs are 404, IDs that are none 400, other methods 405 (this dialect has no cancel)."""
    with running() as (server, caller):
        job = caller.create()
        unknown = problem(caller.get("123"), 404)
        assert unknown["type"].endswith("/resource-not-found")
        assert unknown["resource_id"] == "123"
        problem(caller.get("abc"), 400)
        problem(caller.get("1" * 20), 400)
        problem(caller.api.get(server.url + "/2/tweets"), 404)
        problem(caller.api.delete(f"{server.url}{JOBS}/{job['id']}"), 405)
        problem(caller.api.put(server.url + JOBS, json={}), 405)
        assert caller.api.head(server.url + JOBS).status_code == 405
        assert caller.status(job) == "created"


def test_body_cap_of_the_api() -> None:
    """64 KiB is the most the API reads; the refusal arrives."""
    with running() as (_, caller):
        answer = problem(caller.post({"type": "tweets", "name": "n" * 5_000_000}), 413)
        assert answer["status"] == 413
        assert caller.create()["status"] == "created"


def test_list_filters_and_order() -> None:
    """Newest first, one type, one status, with a count; without jobs there is no ``data``."""
    with running(complete_after=1) as (_, caller):
        assert caller.list(type="tweets").json() == {"meta": {"result_count": 0}}
        first = caller.create()
        caller.put(first, b"20\n")
        caller.status(first)
        second = caller.create()
        caller.create("users")
        whole = caller.list(type="tweets").json()
        assert [job["id"] for job in whole["data"]] == [second["id"], first["id"]]
        assert whole["meta"] == {"result_count": 2}
        assert [job["id"] for job in caller.list(type="tweets", status="created").json()["data"]] == [second["id"]]
        assert caller.list(type="tweets", status="failed").json() == {"meta": {"result_count": 0}}


@pytest.mark.parametrize("dialect", ["gcs", "xapi"])
def test_fields(dialect: str) -> None:
    """With compliance_job.fields those are shown, and what the dialect's spec requires, on all three endpoints."""
    required = {"id", "type", "status", "created_at", "upload_url", "download_url"}
    required |= {"upload_expires_at", "download_expires_at"}
    with running(dialect=dialect) as (server, caller):
        query = {"compliance_job.fields": "status,upload_url"}
        made = caller.post({"type": "tweets", "name": "n"}, params=query).json()["data"]
        assert made.keys() == (required if dialect == "gcs" else {"id", "status", "upload_url"})
        assert caller.get(made["id"], **query).json()["data"] == made
        assert caller.list(type="tweets", **query).json()["data"] == [made]
        assert server.service.jobs[0].name == "n"


# --------------------------------------------------------------------- uploads


def test_upload_headers_prove_what_is_stored() -> None:
    """Two x-goog-hash headers and the MD5 as etag, as recorded; all of them fit the bytes sent."""
    data = b"20\n21\n"
    with running(clock=Clock()) as (_, caller):
        answer = caller.put(caller.create(), data)
        md5 = hashlib.md5(data)
        assert answer.raw.headers.getlist("x-goog-hash") == [
            crc32c(data),
            "md5=" + base64.b64encode(md5.digest()).decode(),
        ]
        wanted = {
            "etag": f'"{md5.hexdigest()}"',
            "content-length": "0",
            "content-type": "text/html; charset=UTF-8",
            "server": "UploadServer",
            "x-goog-metageneration": "1",
            "x-goog-stored-content-length": str(len(data)),
            "x-goog-stored-content-encoding": "identity",
            "vary": "Origin",
            "date": "Mon, 21 Sep 2026 14:13:20 GMT",
        }
        assert {name: answer.headers.get(name) for name in wanted} == wanted
        assert int(answer.headers["x-goog-generation"]) == int(START * 1_000_000)
        assert answer.headers["x-guploader-uploadid"]


@pytest.mark.parametrize("kind", ["text/plain; charset=utf-8", "text/plain;charset=utf-8", "TEXT/PLAIN", "text/csv"])
def test_content_type_is_signed_byte_for_byte(kind: str) -> None:
    """Any other Content-Type breaks the signature, and nothing is stored."""
    with running() as (server, caller):
        job = caller.create()
        error = storage_error(caller.put(job, b"20\n", {"Content-Type": kind}), 403)
        assert error["Code"] == "SignatureDoesNotMatch"
        assert error["StringToSign"].startswith("GOOG4-RSA-SHA256\n")
        assert error["CanonicalRequest"].startswith("PUT\n/twttr-tweet-compliance/")
        assert f"content-type:{kind}\n" in error["CanonicalRequest"]
        assert (caller.status(job), server.service.requests["upload"]) == ("created", 0)


def test_missing_content_type() -> None:
    """A signed header that is not sent is the other error."""
    with running() as (_, caller):
        error = storage_error(caller.put(caller.create(), b"20\n", {}), 400)
        assert (error["Code"], error["ParameterName"]) == ("MalformedSecurityHeader", "content-type")
        assert error["Details"] == "Header was included in signedheaders, but not in the request."


def test_changed_requests_do_not_match() -> None:
    """Another method, path, parameter or signature is 403; no signature at all is AccessDenied."""
    with running() as (_, caller):
        job = caller.create()
        url, send = job["upload_url"], caller.bytes.request
        flipped = url[:-1] + ("0" if url[-1] != "0" else "1")
        for method, changed in [
            ("POST", url),
            ("GET", url),
            ("DELETE", url),
            ("PUT", flipped),
            ("PUT", url.replace("X-Goog-Expires=900", "X-Goog-Expires=9000")),
            ("PUT", url.replace("/submission/", "/delivery/")),
            ("PUT", url + "&x=1"),
            ("PUT", job["download_url"]),
        ]:
            answer = send(method, changed, data=b"20\n", headers=PLAIN)
            assert storage_error(answer, 403)["Code"] == "SignatureDoesNotMatch", (method, changed)
        bare = url.partition("?")[0]
        assert storage_error(send("PUT", bare, data=b"20\n", headers=PLAIN), 403)["Code"] == "AccessDenied"
        broken = re.sub(r"X-Goog-Date=\w+", "X-Goog-Date=yesterday", url)
        assert storage_error(send("PUT", broken, data=b"20\n", headers=PLAIN), 400)["Code"] == "InvalidArgument"
        assert caller.status(job) == "created"


def test_urls_expire() -> None:
    """The upload URL ends 900 s and the download URL 7 days after X-Goog-Date, to the second."""
    clock = Clock()
    with running(clock=clock, complete_after=0) as (_, caller):
        late, job = caller.create("users"), caller.create()
        clock.now = int(START) + 899.9
        assert caller.put(job, b"20\n").status_code == 200
        clock.now = int(START) + 900
        error = storage_error(caller.put(late, b"20\n"), 400)
        assert (error["Code"], error["Message"]) == ("ExpiredToken", "The provided token has expired.")
        assert error["Details"] == "Request signature expired at: 2026-09-21T14:28:20+00:00"
        assert caller.status(late) == "expired"
        clock.now = int(START) + 7 * DAY - 0.1
        assert caller.download(job).status_code == 200
        clock.now = int(START) + 7 * DAY
        assert storage_error(caller.download(job), 400)["Code"] == "ExpiredToken"
        assert caller.status(job) == "complete"


def test_authorization_has_no_place_on_the_byte_paths() -> None:
    """A bearer sent along with the bytes is refused and counted."""
    with running() as (server, caller):
        job = caller.create()
        leak = {"Authorization": f"Bearer {server.token}"}
        assert storage_error(caller.put(job, b"20\n", PLAIN | leak), 400)["Code"] == "InvalidArgument"
        assert storage_error(caller.download(job, leak), 400)["Code"] == "InvalidArgument"
        assert server.service.authorized_byte_requests == 2
        assert caller.status(job) == "created"


@pytest.mark.parametrize("job_id", ["419", "job"])
def test_a_session_that_nobody_opened_is_not_found(job_id: str) -> None:
    """An upload ID that was never given out gets 404, for a job that exists and for one that does not."""
    with running() as (server, caller):
        job = caller.create()
        path = urlsplit(job["upload_url"]).path.replace(job["id"], job["id"] if job_id == "job" else job_id)
        for content_range in ({}, {"Content-Range": "bytes */9"}):
            answer = requests.put(f"{server.storage_url}{path}?upload_id=9", headers=content_range, timeout=5)
            assert storage_error(answer, 404)["Code"] == "NoSuchUpload"


def test_second_upload_changes_nothing() -> None:
    """guess: a later PUT is answered for its own bytes, but the job keeps the first."""
    with running(findings='{"id":"20"}\n{"id":"21"}', complete_after=0) as (_, caller):
        job = caller.create()
        caller.put(job, b"20\n")
        assert crc32c(b"21\n") in caller.put(job, b"21\n").headers["x-goog-hash"]
        assert records(caller.download(job).content) == [{"id": "20"}]


def test_length_is_required() -> None:
    """Chunked bodies and bodies without a length are 411, one above 1 GiB is 413 before it is sent."""
    with running() as (server, caller):
        job = caller.create()
        assert storage_error(caller.put(job, iter([b"20\n"])), 411)["Code"] == "MissingContentLength"
        parts = urlsplit(job["upload_url"])
        head = f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: text/plain\r\n"
        for length, status in [("", 411), ("Content-Length: 1073741825\r\n", 413), ("Content-Length: -1\r\n", 400)]:
            answer = raw(server.storage_url, f"{head}{length}\r\n".encode())
            assert answer.startswith(f"HTTP/1.1 {status} ".encode()), answer
            assert b"Connection: close" in answer
        problem(caller.api.post(server.url + JOBS, data=iter([b"{}"])), 411)


def test_truncated_upload_stores_nothing() -> None:
    """A connection that ends before Content-Length bytes gets no answer, and the job still waits."""
    with running() as (server, caller):
        job = caller.create()
        parts = urlsplit(job["upload_url"])
        head = (
            f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            "Content-Type: text/plain\r\nContent-Length: 1000\r\n\r\n20\n21\n"
        )
        assert raw(server.storage_url, head.encode()) == b""
        assert (caller.status(job), server.service.requests["upload"]) == ("created", 0)
        assert caller.put(job, b"20\n").status_code == 200


def test_a_head_that_breaks_off_is_no_request() -> None:
    """A connection that ends within the headers gets no answer and changes nothing, wherever it ends."""
    with running() as (server, caller):
        job = caller.create()
        head = (
            f"GET {JOBS}/{job['id']} HTTP/1.1\r\nHost: {urlsplit(server.url).netloc}\r\n"
            f"Authorization: Bearer {server.token}\r\n\r\n"
        ).encode()
        before = server.service.requests["get"]
        for end in range(head.index(b"\n"), len(head)):  # a first line that is cut is refused as nonsense
            assert raw(server.url, head[:end]) == b"", end
        assert server.service.requests["get"] == before
        assert raw(server.url, head).startswith(b"HTTP/1.1 200 ")


# --------------------------------------------------------------------- faults on demand


def test_one_fault_a_request_of_its_operation() -> None:
    """Faults are played in order, each to one request of its operation and to no other; then the host is itself."""
    with running(clock=Clock()) as (server, caller):
        server.script("get", "return-503", "ok", "too-many:900")
        server.script("list", "return-html")
        job = caller.create()
        with pytest.raises(AssertionError, match=r"return-503.*return-html.*met no request"):
            server.assert_all_fired()
        seen = [caller.get(job["id"]) for _ in range(4)]
        assert [answer.status_code for answer in seen] == [503, 200, 429, 200]
        assert int(seen[2].headers["x-rate-limit-reset"]) == int(START) + 900
        assert caller.list(type="tweets").text.startswith("<!DOCTYPE")
        server.assert_all_fired()


@pytest.mark.parametrize(("fault", "jobs"), [("drop", 0), ("drop-before", 0), ("drop-after", 1), ("reset-after", 1)])
def test_a_lost_answer_may_have_done_its_work(fault: str, jobs: int) -> None:
    """Before or after the host's own work: the caller hears nothing either way."""
    with running() as (server, caller):
        server.script("create", fault)
        with pytest.raises(requests.ConnectionError):
            caller.create()
        assert len(server.service.jobs) == jobs


def test_rules_of_one_fault_build_on_each_other() -> None:
    """Each rule spoils what the one before left: a cut to whole lines, without headers that give it away."""
    with running(complete_after=1) as (server, caller):
        job = caller.create()
        caller.put(job, "".join(f"{id}\n" for id in TWEETS).encode())
        caller.status(job)
        server.script("download", ["lose-line", "bare"], ["lose-line", "prove"], ["bare", "chunked"], "cut:-5")
        bare, proved, chunked = (caller.download(job) for _ in range(3))
        with pytest.raises(requests.RequestException):
            caller.download(job)
        whole = caller.download(job)
        assert bare.content == proved.content
        assert whole.content.endswith(bare.content)
        assert not any(name.startswith("x-goog") for name in bare.headers)
        assert proved.headers["x-goog-hash"] == crc32c(proved.content)
        assert (chunked.headers["Transfer-Encoding"], chunked.content) == ("chunked", whole.content)


@pytest.mark.parametrize("fault", ["cut:100000", {"mutate": {"resumable": False}}, "lose-line"])
def test_a_fault_that_changes_nothing_is_told(fault: Any) -> None:
    """A rule without effect is a misfire, so no test passes because its fault did not happen."""
    with running() as (server, caller):
        job = caller.create()
        server.script("get", fault)
        with contextlib.suppress(requests.ConnectionError):
            caller.get(job["id"])
        with pytest.raises(AssertionError, match=r"changed nothing|met no request"):
            server.assert_all_fired()


def test_scripts_are_checked_when_they_are_written() -> None:
    """An unknown operation, fault or argument is refused at once, with what there is."""
    for operation, fault, said in [("put", "drop", "upload"), ("get", "dorp", "drop"), ("get", "cut:x", "argument")]:
        with pytest.raises(InputError, match=said):
            Server().script(operation, fault)


# --------------------------------------------------------------------- results


@pytest.mark.parametrize(("type", "ids", "moment"), [("tweets", TWEETS, TWEET_TIME), ("users", USERS, USER_TIME)])
def test_result_lines(type: str, ids: list[int], moment: str) -> None:
    """Keys and their order, the two time formats, redacted_at with "deleted" only, action always delete."""
    with running() as (_, caller):
        found = records(caller.results(ids, type))
    assert len(found) > 80
    assert {record["reason"] for record in found} >= {"deleted", "suspended", "protected"}
    for record in found:
        deleted = ["redacted_at"] if record["reason"] == "deleted" else []
        assert list(record) == ["id", "action", "created_at", *deleted, "reason"]
        assert record["action"] == "delete"
        assert re.fullmatch(moment, record["created_at"])
        if deleted:
            assert re.fullmatch(moment, record["redacted_at"])
            assert record["redacted_at"] > record["created_at"]
        born = pd.Timestamp(((int(record["id"]) >> 22) + 1288834974657), unit="ms", tz="UTC")
        if type == "tweets":
            assert pd.Timestamp(record["created_at"]) == born
        elif int(record["id"]) > 10**15:
            assert abs((pd.Timestamp(record["created_at"]) - born).total_seconds()) < 1


def test_results_are_shuffled_with_one_blank_line() -> None:
    """Another order than the upload's, one blank line after record 2; the same seed repeats both."""
    bodies = []
    for _ in range(2):
        with running(seed=3) as (_, caller):
            bodies.append(caller.results(TWEETS))
    body = bodies[0]
    lines = body.split(b"\n")
    assert [n for n, line in enumerate(lines) if not line] == [2, len(lines) - 1]
    order = [TWEETS.index(int(record["id"])) for record in records(body)]
    assert order != sorted(order)
    assert len(set(order)) == len(order)
    assert bodies[1] == body


def test_download_headers() -> None:
    """The recorded headers of a composed object: crc32c without md5, octet-stream without charset, no coding."""
    clock = Clock()
    with running(clock=clock, complete_after=1) as (server, caller):
        job = caller.create()
        caller.put(job, "\n".join(map(str, TWEETS)).encode())
        clock.now += 60
        caller.status(job)
        clock.now += 60
        answer = caller.download(job)
        size = str(len(answer.content))
        wanted = {
            "content-type": "application/octet-stream",
            "content-length": size,
            "content-encoding": None,
            "x-goog-stored-content-encoding": "identity",
            "x-goog-stored-content-length": size,
            "x-goog-component-count": "20",
            "x-goog-hash": crc32c(answer.content),
            "x-goog-generation": str(int((START + 60) * 1_000_000)),
            "x-goog-metageneration": "1",
            "x-goog-storage-class": "STANDARD",
            "last-modified": "Mon, 21 Sep 2026 14:14:20 GMT",
            "x-goog-expiration": "Mon, 05 Oct 2026 14:14:20 GMT",
            "accept-ranges": "bytes",
            "cache-control": "private, max-age=0",
            "server": "UploadServer",
        }
        assert {name: answer.headers.get(name) for name in wanted} == wanted
        assert re.fullmatch(r'"-C[A-Za-z0-9+/]+=*"', answer.headers["etag"])
        again = caller.download(job)
        assert (again.content, again.headers["etag"]) == (answer.content, answer.headers["etag"])
        assert server.service.requests["download"] == 2


def test_etag_of_a_composed_object() -> None:
    """The rule gives the recorded etag for the recorded generation."""
    assert Blob(b"", 0.0, 1637092969313366).composite_etag == '"-CNbomcfWnfQCEAE="'


def test_ranges() -> None:
    """First-last, open and suffix ranges are 206; outside the object 416; several, or nonsense, the whole."""
    with running(complete_after=0) as (_, caller):
        job = caller.create()
        caller.put(job, "\n".join(map(str, TWEETS)).encode())
        whole = caller.download(job).content
        size = len(whole)
        for text, part in [
            ("bytes=0-9", whole[:10]),
            ("bytes=100-", whole[100:]),
            ("bytes=-7", whole[-7:]),
            (f"bytes={size - 1}-{size + 5}", whole[-1:]),
            (f"bytes=-{size + 1}", whole),
        ]:
            answer = caller.download(job, {"Range": text})
            start = size - len(part) if text != "bytes=0-9" else 0
            assert (answer.status_code, answer.content) == (206, part), text
            assert answer.headers["content-range"] == f"bytes {start}-{start + len(part) - 1}/{size}"
            assert answer.headers["x-goog-hash"] == crc32c(whole)
        for text in (f"bytes={size}-", "bytes=-0"):
            answer = caller.download(job, {"Range": text})
            assert storage_error(answer, 416)["Code"] == "InvalidRange"
            assert answer.headers["content-range"] == f"bytes */{size}"
        for text in ("bytes=0-1,5-6", "bytes=9-3", "lines=0-1", "bytes=-"):
            answer = caller.download(job, {"Range": text})
            assert (answer.status_code, answer.content) == (200, whole), text


def test_empty_result() -> None:
    """When nothing is listed the file has no byte, and a range of it cannot be had."""
    with running(findings=[], complete_after=0) as (_, caller):
        job = caller.create()
        caller.put(job, b"20\n")
        answer = caller.download(job)
        assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "0")
        assert answer.headers["x-goog-hash"] == "crc32c=AAAAAA=="
        assert caller.download(job, {"Range": "bytes=0-"}).status_code == 416


def test_odd_upload_lines() -> None:
    """Blank lines are skipped, CRLF is read, duplicates are reported once, what is no ID gets an error record."""
    with running(findings='{"id":"20"}\n{"id":"21"}', complete_after=0) as (_, caller):
        job = caller.create()
        caller.put(job, b"20\r\n\n21\n20\n\r\nnot_a_valid_id\n007\n 21\n9223372036854775808\n\xff\nnot_a_valid_id")
        found = records(caller.download(job).content)
    bad = ["not_a_valid_id", "007", " 21", "9223372036854775808", "\ufffd"]
    wanted = [{"id": "20"}, {"id": "21"}, *({"id": text, "error": "invalid_id"} for text in bad)]
    assert sorted(found, key=str) == sorted(wanted, key=str)


def test_findings_frame() -> None:
    """A frame decides: missing values leave the key out, times take the type's format, other columns become keys."""
    frame = pd.DataFrame(
        {
            "reason": ["deleted", "geo_scrubbed", None, "x"],
            "id": ["20", "21", "22", "99"],
            "action": ["delete", "scrub_geo", None, "y"],
            "created_at": pd.to_datetime(["2020-01-02 03:04:05.678", None, None, None]),
            "redacted_at": ["verbatim", None, None, None],
            "note": [None, 5, None, None],
        }
    )
    with running(findings=frame) as (_, caller):
        tweets, users = caller.results([20, 21, 22, 23]), caller.results([20], "users")
    first = b'{"id":"20","action":"delete","created_at":"2020-01-02T03:04:05.678Z"'
    assert first + b',"redacted_at":"verbatim","reason":"deleted"}' in tweets.split(b"\n")
    assert {"id": "21", "action": "scrub_geo", "reason": "geo_scrubbed", "note": 5.0} in records(tweets)
    assert {"id": "22"} in records(tweets)
    assert len(records(tweets)) == 3
    assert records(users)[0]["created_at"] == "2020-01-02T03:04:05+00:00"


def test_findings_frame_takes_ids_as_numbers() -> None:
    """Whole-number IDs are written as text, to the last digit; a frame without IDs is refused."""
    with running(findings=pd.DataFrame({"id": [2**63 - 1], "action": ["delete"]})) as (_, caller):
        assert records(caller.results([2**63 - 1])) == [{"id": "9223372036854775807", "action": "delete"}]
    with pytest.raises(InputError, match="'id'"):
        Server(findings=pd.DataFrame({"tweet": [1]}))
    for wrong in (5, [5], [{"id": "20"}], [None]):
        with pytest.raises(InputError, match="DataFrame"):
            Server(findings=wrong)


def test_findings_lines_are_verbatim() -> None:
    """Lines are sent byte for byte for the IDs they name; one that names none ends every result."""
    lines = [
        '{ "id" : "20",  "action":"new_word", "extra":{"a":[1]} }',
        b'{"id":21,"action":null}',
        b'{"id":"20","action":"delete"}',
        b'{"id":"99","action":"delete"}',
        b"\xff\xfe not json",
        '{"error":"no id here"}',
    ]
    with running(findings=lines) as (_, caller):
        body, other = caller.results([20, 21]), caller.results([50])
    got = [line for line in body.split(b"\n") if line]
    assert sorted(got[:3]) == sorted([str(lines[0]).encode(), lines[1], lines[2]])
    assert got[3:] == [b"\xff\xfe not json", b'{"error":"no id here"}']
    assert other == b'\xff\xfe not json\n{"error":"no id here"}\n\n'


# --------------------------------------------------------------------- the truth


@pytest.mark.parametrize(("type", "ids"), [("tweets", TWEETS), ("users", USERS)])
def test_expected_agrees_with_the_downloaded_lines(type: str, ids: list[int]) -> None:
    """The truth, and the lines that went over the wire read independently, say the same of every ID."""
    with running() as (server, caller):
        found = {record["id"]: record for record in records(caller.results(ids, type))}
        truth = server.expected(pd.Series(ids, index=ids), type)
    assert 0 < len(found) < len(ids)
    for id, row in truth.iterrows():
        record = found.get(str(id))
        if record is None:
            assert (row["status"], row["action"], row["reason"]) == ("compliant", None, None)
            assert pd.isna(row["created_at"])
        else:
            assert row["status"] == "action_required"
            assert (row["action"], row["reason"]) == (record["action"], record["reason"])
            assert row["created_at"] == pd.Timestamp(record["created_at"])
        if record is None or "redacted_at" not in record:
            assert pd.isna(row["redacted_at"])
        else:
            assert row["redacted_at"] == pd.Timestamp(record["redacted_at"])


def test_shares_and_seeds() -> None:
    """A million made-up IDs fall into the published shares; another seed gives other fates."""
    ids = np.arange(10**6, dtype=np.int64) * 1000 + 10**18
    shares = Server().expected(ids)["reason"].value_counts(normalize=False) / len(ids) * 100
    wanted = {"suspended": 25.33, "deleted": 13.91, "protected": 2.93, "deactivated": 0.04}
    assert shares.to_dict() == pytest.approx(wanted, abs=0.15)
    few = ids[:1000]
    assert Server().expected(few).equals(Server().expected(few))
    assert not Server().expected(few).equals(Server(seed=1).expected(few))
    assert not Server().expected(few).equals(Server().expected(few, "users"))


def test_fates_of_posts_and_users_are_independent() -> None:
    """The same number as a post ID and as a user ID meets two fates: a quarter of the suspended are both."""
    ids = np.arange(20_000, dtype=np.int64) * 1000 + 10**18
    posts, users = (Server().expected(ids, type)["reason"].eq("suspended") for type in ("tweets", "users"))
    assert (posts & users).sum() / posts.sum() == pytest.approx(0.2533, abs=0.03)


def test_expected_of_missing_and_invalid_values() -> None:
    """Missing is unchecked; anything that is not exactly an ID is invalid; the Series' index is kept."""
    missing = [None, float("nan"), pd.NA, pd.NaT]
    invalid = [True, 20.0, "020", " 20", "20 ", "20\n", "", "0", 0, -1, "٢٠", 2**63, str(2**63), "1e3", b"20", [20]]
    valid = [20, "20", np.int64(20), np.uint64(20), 2**63 - 1]
    values = pd.Series(missing + invalid + valid, dtype=object, index=range(100, 125))
    with_findings = Server(findings='{"id":"20","action":"delete"}').expected(values)
    assert with_findings.index.tolist() == list(range(100, 125))
    assert with_findings["status"].tolist() == (
        ["unchecked"] * 4 + ["invalid"] * 16 + ["action_required"] * 4 + ["compliant"]
    )
    assert list(with_findings.columns) == ["status", "action", "reason", "created_at", "redacted_at"]
    assert with_findings["reason"].tolist() == [None] * 25
    assert Server().expected([]).empty
    assert Server(findings=[]).expected(pd.Series([], dtype="int64")).empty
    with pytest.raises(InputError):
        Server().expected([20], "lists")


def line(action: str | None, reason: str | None, redacted: str | None = None) -> str:
    record = {"id": "20", "action": action, "reason": reason, "redacted_at": redacted}
    return json.dumps({key: value for key, value in record.items() if value is not None})


@pytest.mark.parametrize(
    ("lines", "chosen"),
    [
        ([line("rehydrate", "tweet_edited"), line("delete", "scrub_geo"), line("delete", "deleted")], 2),
        ([line("other", "other"), line("rehydrate", "tweet_edited"), line("scrub_geo", "geo_scrubbed")], 2),
        ([line("rehydrate", "tweet_edited"), line("delete", "geo_scrubbed")], 1),
        ([line("other", "geo_scrubbed"), line("delete", None)], 1),
        ([line("other", "other"), line("rehydrate", None)], 1),
        ([line("delete", "a"), line("delete", "b", "2021-01-01T00:00:00.000Z")], 1),
        (
            [line("delete", "a", "2021-01-02T00:00:00+00:00"), line("delete", "b", "2021-01-01T00:00:00.000Z")],
            1,
        ),
        ([line("delete", "a"), line("delete", "b")], 0),
    ],
)
def test_severity_of_several_findings(lines: list[str], chosen: int) -> None:
    """delete, then geo, then rehydrate, then the rest; then the earliest redaction; then the first."""
    row = Server(findings=lines).expected(["20"]).iloc[0]
    wanted = json.loads(lines[chosen])
    assert row["status"] == "action_required"
    assert (row["action"], row["reason"]) == (wanted.get("action"), wanted.get("reason"))


def test_error_record_is_unchecked() -> None:
    """A record that holds only an error proves nothing about its ID."""
    truth = Server(findings=['{"id":"20","error":"internal"}', '{"id":"21","error":"x","reason":"deleted"}'])
    table = truth.expected([20, 21])
    assert table["status"].tolist() == ["unchecked", "action_required"]
    assert table["reason"].tolist() == ["internal", "deleted"]


# --------------------------------------------------------------------- the server itself


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example:{port}", ""])
def test_foreign_hosts_get_nothing(host: str) -> None:
    """A page whose name was rebound to 127.0.0.1 is refused on both ports, before its token counts."""
    with running() as (server, _):
        for url in (server.url, server.storage_url):
            name = host.format(port=urlsplit(url).port)
            request = f"GET {JOBS}?type=tweets HTTP/1.1\r\nHost: {name}\r\nAuthorization: Bearer {server.token}\r\n\r\n"
            assert raw(url, request.encode()).startswith(b"HTTP/1.1 421 ")
        assert server.service.requests["list"] == 0


def test_localhost_is_a_name_of_the_api() -> None:
    """localhost works for the API; the signed URLs are bound to the host they were signed for."""
    with running() as (server, caller):
        port = urlsplit(server.url).port
        answer = caller.api.get(f"{server.url}{JOBS}?type=tweets", headers={"Host": f"localhost:{port}"})
        assert answer.status_code == 200
        job = caller.create()
        other = {**PLAIN, "Host": f"localhost:{urlsplit(server.storage_url).port}"}
        assert storage_error(caller.put(job, b"20\n", other), 403)["Code"] == "SignatureDoesNotMatch"


def test_connections_are_kept_and_carry_no_state_over() -> None:
    """One connection serves many requests, and a refusal does not show the limits of the request before."""
    with running() as (server, _):
        connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=5)
        with contextlib.closing(connection):
            seen = []
            for token in (server.token, "wrong", server.token):
                connection.request("GET", f"{JOBS}?type=tweets", headers={"Authorization": f"Bearer {token}"})
                answer = connection.getresponse()
                answer.read()
                seen.append((answer.status, answer.getheader("x-rate-limit-remaining"), connection.sock.getsockname()))
        assert [entry[:2] for entry in seen] == [(200, "149"), (401, None), (200, "148")]
        assert len({entry[2] for entry in seen}) == 1


def test_stop_closes_and_start_goes_on() -> None:
    """stop() ends live connections and may be repeated; after start() the same jobs answer, at working URLs."""
    server = Server(complete_after=1)
    caller = Caller(server.start())
    assert server.start() is server
    job = caller.create()
    idle = socket.create_connection(("127.0.0.1", urlsplit(server.url).port), timeout=5)
    half = f"GET {JOBS} HTTP/1.1\r\n".encode()
    idle.sendall(half)
    old = server.url
    while len(server._running()[0]._live) < 2:  # the keep-alive one of `caller` and the idle one
        time.sleep(0.005)
    server.stop()
    server.stop()
    with contextlib.closing(idle), contextlib.suppress(ConnectionResetError):
        assert idle.recv(1) == b""
    with pytest.raises(requests.ConnectionError):
        caller.api.get(f"{old}{JOBS}?type=tweets")
    with pytest.raises(InputError, match="start"):
        _ = server.url
    with server:
        again = caller.get(job["id"]).json()["data"]
        assert (again["id"], again["status"]) == (job["id"], "created")
        assert caller.put(again, b"20\n").status_code == 200
        assert caller.status(again) == "complete"
        assert caller.download(again).status_code == 200
    caller.close()


def test_port_taken() -> None:
    """The error names the port and the way out, and leaves nothing listening."""
    with Server() as first:
        port = urlsplit(first.url).port
        with pytest.raises(InputError, match=rf"{port}.*port=0"):
            Server(port=port).start()
    with Server(port=port) as second:
        assert second.url == f"http://127.0.0.1:{port}"


@pytest.mark.parametrize(
    "settings", [{"dialect": "gopher"}, {"bearer_on_byte_paths": True}, {"port": 70_000}, {"port": -1}]
)
def test_settings_that_cannot_be(settings: dict[str, Any]) -> None:
    """A dialect that nobody speaks, a token for the storage, or no port, is refused at once."""
    with pytest.raises(InputError, match=r"gcs|xapi|port=0"):
        Server(**settings)


def test_repr_hides_the_token() -> None:
    """Neither the server's nor its parts' repr shows the token, also while it runs."""
    with Server() as server:
        assert server.token not in repr(server) + repr(vars(server.service)) + repr(server.service.jobs)
        assert server.url in repr(server)
    assert "stopped" in repr(server)


def test_says_nothing_on_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    """No request, refusal or broken connection is logged: request lines hold signatures."""
    with running() as (server, caller):
        caller.put(caller.create(), b"20\n")
        caller.get("abc")
        raw(server.storage_url, b"PUT / HTTP/1.1\r\nContent-Length: 5\r\n\r\nx")
        raw(server.url, b"nonsense\r\n\r\n")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_command(number: signal.Signals) -> None:
    """python -m xcompliance_pd.sandbox prints what to export, serves with it, and ends with 0 when told to."""
    command = [sys.executable, "-m", "xcompliance_pd.sandbox", "--complete-after", "1", "--seed", "5"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            text = "".join(process.stdout.readline() for _ in range(3))
            exports = dict(re.findall(r"^export (\w+)=(\S+)$", text, re.MULTILINE))
            assert set(exports) == {"XCOMPLIANCE_API_URL", "X_BEARER_TOKEN"}
            with requests.Session() as session:
                session.trust_env = False
                answer = session.get(
                    exports["XCOMPLIANCE_API_URL"] + JOBS,
                    params={"type": "users"},
                    headers={"Authorization": "Bearer " + exports["X_BEARER_TOKEN"]},
                )
            assert answer.json() == {"meta": {"result_count": 0}}
            process.send_signal(number)
            rest = process.communicate(timeout=10)
        finally:
            process.kill()
    assert (process.returncode, rest) == (0, ("", ""))


def test_command_with_a_port_that_is_taken() -> None:
    """The command says so in one line and ends with 2."""
    with Server() as server:
        command = [sys.executable, "-m", "xcompliance_pd.sandbox", "--port", str(urlsplit(server.url).port)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert "port=0" in ended.stderr
    assert "Traceback" not in ended.stderr
