"""The sandbox's published description is X's own with what is added marked, and both sides keep to it.

``contract/facts.json`` holds the facts of X's openapi.json as data, and under ``beyond`` what the sandbox's description
has that X's has not, with how it is known. Here the two are compared part by part.
"""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests
from contract_rules import Contract, contract

from xcompliance_pd import protocol
from xcompliance_pd.protocol import JobType
from xcompliance_pd.sandbox import Server, service
from xcompliance_pd.sandbox.dialects import Dialect
from xcompliance_pd.sandbox.openapi import describe

HERE = Path(__file__).parent
FACTS: dict[str, Any] = json.loads((HERE / "contract" / "facts.json").read_text())
KINDS = ("operations", "parameters", "schemas")
HOWS = {"recorded", "prose", "reported", "guess"}


def published(dialect: Dialect) -> dict[str, dict[str, Any]]:
    """Return the parts of the description, as a sandbox sends it."""
    with Server(dialect=dialect) as server, requests.Session() as session:
        session.trust_env = False
        told = session.get(f"{server.url}/openapi.json").json()
    return parts_of(told)


def parts_of(told: dict[str, Any]) -> dict[str, dict[str, Any]]:
    operations = {
        f"{method} {path}": operation
        for path, methods in told["paths"].items()
        for method, operation in methods.items()
        if method != "servers"
    }
    return {"operations": operations, **{kind: told["components"][kind] for kind in KINDS[1:]}}


PUBLISHED = {dialect: published(dialect) for dialect in Dialect}


def expected(dialect: Dialect) -> dict[str, dict[str, Any]]:
    """Return X's facts with what stands under ``beyond``."""
    parts = {kind: copy.deepcopy(FACTS[dialect][kind]) for kind in KINDS}
    for addition in FACTS[dialect]["beyond"]:
        node: Any = parts
        *way, last = addition["at"]
        for step in way:
            node = node[step]
        if isinstance(node, list):
            node.insert(last, addition["value"])
        else:
            node[last] = addition["value"]
    return parts


def bare(node: Any) -> Any:
    """Return a description without its prose, and with lists whose order says nothing in one order."""
    if isinstance(node, dict):
        clean = {key: bare(value) for key, value in node.items() if key not in ("description", "x-source")}
        for key in ("required", "oneOf", "enum"):
            if isinstance(clean.get(key), list):
                clean[key] = sorted(clean[key], key=str)
        return clean
    return [bare(item) for item in node] if isinstance(node, list) else node


NAMES = [(dialect, kind, name) for dialect in Dialect for kind in KINDS for name in expected(dialect)[kind]]


@pytest.mark.parametrize(("dialect", "kind", "name"), NAMES)
def test_each_part_is_as_X_describes_it(dialect: Dialect, kind: str, name: str) -> None:
    """Paths, parameters, enums, required keys, patterns and limits are X's, but for the additions that are listed."""
    assert bare(PUBLISHED[dialect][kind][name]) == bare(expected(dialect)[kind][name])


@pytest.mark.parametrize("dialect", Dialect)
def test_nothing_else_is_published(dialect: Dialect) -> None:
    """No operation, parameter or schema is described that the facts do not hold."""
    assert {kind: set(PUBLISHED[dialect][kind]) for kind in KINDS} == {
        kind: set(expected(dialect)[kind]) for kind in KINDS
    }


@pytest.mark.parametrize("dialect", Dialect)
def test_every_addition_says_how_it_is_known(dialect: Dialect) -> None:
    """What goes beyond X's spec is graded, with its reason in the facts and marked in the description."""
    for addition in FACTS[dialect]["beyond"]:
        assert addition["how"] in HOWS
        assert addition["why"]
        node: Any = PUBLISHED[dialect]
        for step in addition["at"]:
            node = node[step]
        if isinstance(node, dict) and "$ref" not in node:
            assert node["x-source"] == addition["how"], addition["at"]
    room = [addition for addition in FACTS[dialect]["beyond"] if isinstance(addition["value"], dict | list)]
    marks = len(re.findall('"x-source"', json.dumps(PUBLISHED[dialect])))
    assert marks == sum("$ref" not in addition["value"] for addition in room), "a mark without an addition"


WRONG = [
    (Dialect.GCS, ("schemas", "ComplianceJobStatus", "enum"), ["created", "complete"]),
    (Dialect.GCS, ("schemas", "ComplianceJob", "required"), ["id"]),
    (Dialect.GCS, ("schemas", "ComplianceJobName", "maxLength"), 65),
    (Dialect.XAPI, ("schemas", "CreateComplianceJobsRequest", "additionalProperties"), True),
    (Dialect.XAPI, ("operations", "get /2/compliance/jobs", "parameters", 0, "required"), False),
    (Dialect.XAPI, ("operations", "get /2/compliance/jobs/{id}", "parameters", 0, "schema", "pattern"), "^[0-9]+$"),
    (Dialect.XAPI, ("operations", "get /2/compliance/jobs", "security"), []),
    (Dialect.XAPI, ("parameters", "ComplianceJobFieldsParameter", "schema", "minItems"), 0),
]


@pytest.mark.parametrize(("dialect", "at", "value"), WRONG)
def test_a_description_that_differs_is_found(dialect: Dialect, at: tuple[Any, ...], value: Any) -> None:
    """One word, number or key that is not X's makes the comparison fail."""
    parts: Any = copy.deepcopy(PUBLISHED[dialect])
    node = parts
    for step in at[:-1]:
        node = node[step]
    assert node[at[-1]] != value
    node[at[-1]] = value
    assert bare(parts[at[0]][at[1]]) != bare(expected(dialect)[at[0]][at[1]])


def test_limits() -> None:
    """Lifetimes, the size of an upload, the length of a name and the status of a conflict are the facts'."""
    limits = {name: fact["value"] for name, fact in FACTS["limits"].items()}
    assert limits["upload_seconds"] == service.UPLOAD_SECONDS
    assert limits["download_seconds"] == service.DOWNLOAD_SECONDS
    assert limits["upload_bytes"] == protocol.UPLOAD_MAX
    assert limits["name_characters"] == protocol.JOB_NAME_MAX
    assert protocol.DEFAULT_BASE_URL == FACTS["gcs"]["server"] == FACTS["xapi"]["server"]
    for dialect in Dialect:
        with Server(dialect=dialect) as server, requests.Session() as session:
            session.trust_env = False
            session.headers["Authorization"] = f"Bearer {server.token}"
            url = server.url + protocol.JOBS_PATH
            statuses = [session.post(url, json={"type": "tweets"}).status_code for _ in range(2)]
        assert statuses == [200, limits["conflict_status"]]


# --------------------------------------------------------------------- requests and answers


@pytest.mark.parametrize("dialect", Dialect)
def test_the_clients_words_are_xs(dialect: Dialect) -> None:
    """Types, statuses, the name's length and the shape of an ID are one and the same in the client and in the facts."""
    listing = {p.get("name"): p for p in FACTS[dialect]["operations"]["get /2/compliance/jobs"]["parameters"]}
    assert listing["type"]["schema"]["enum"] == list(JobType)
    assert FACTS["gcs"]["schemas"]["ComplianceJobStatus"]["enum"] == [
        *("created", "in_progress", "failed", "complete", "expired")
    ]
    assert set(protocol.JobStatus) == set(FACTS["gcs"]["schemas"]["ComplianceJobStatus"]["enum"])
    assert f"^{protocol.JOB_ID.pattern}$" == FACTS["gcs"]["schemas"]["JobId"]["pattern"]


HEADERS = {"authorization": "Bearer t"}
JSON = {**HEADERS, "content-type": "application/json"}
JOBS = protocol.JOBS_PATH
UPLOAD = f"{JOBS}/17/upload?token=t"
OLDER = "/twttr-tweet-compliance/17/submission/1_17?X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Credential=a%2F20260101"
OLDER += "%2Fauto%2Fstorage%2Fgoog4_request&X-Goog-Date=20260101T000000Z&X-Goog-Expires=900"
OLDER += f"&X-Goog-SignedHeaders=content-type%3Bhost&X-Goog-Signature={'0' * 512}"
PLAIN = {"content-type": "text/plain"}

REQUESTS: list[tuple[str, str, str, dict[str, str], bytes, str]] = [
    ("both", "GET", f"{JOBS}?type=tweets", HEADERS, b"", ""),
    ("both", "GET", f"{JOBS}?type=users&status=failed&compliance_job.fields=id,name", HEADERS, b"", ""),
    ("both", "POST", JOBS, JSON, b'{"type":"users","name":"n"}', ""),
    ("both", "GET", f"{JOBS}/17", HEADERS, b"", ""),
    ("xapi", "DELETE", f"{JOBS}/17", HEADERS, b"", ""),
    ("xapi", "PUT", UPLOAD, PLAIN, b"20\n", ""),
    ("xapi", "PUT", UPLOAD, {"content-type": "application/octet-stream"}, b"20\n", ""),
    ("gcs", "PUT", OLDER, PLAIN, b"20\n", ""),
    ("both", "GET", JOBS, HEADERS, b"", "'type' is missing"),
    ("both", "GET", f"{JOBS}?type=posts", HEADERS, b"", "'type' breaks 'enum'"),
    ("both", "GET", f"{JOBS}?type=tweets&type=users", HEADERS, b"", "'type' is given 2 times"),
    ("both", "GET", f"{JOBS}?type=tweets&status=expired", HEADERS, b"", "'status' breaks 'enum'"),
    ("both", "GET", f"{JOBS}?type=tweets&start_time=0", HEADERS, b"", "'start_time' is no parameter"),
    ("both", "GET", f"{JOBS}?type=tweets&compliance_job.fields=id,id", HEADERS, b"", "breaks 'uniqueItems'"),
    ("both", "GET", f"{JOBS}?type=tweets", {}, b"", "there is no credential"),
    ("both", "GET", f"{JOBS}?type=tweets", {"authorization": "Basic eDp5"}, b"", "no Bearer token"),
    ("both", "GET", f"{JOBS}?type=tweets", HEADERS, b"{}", "there is a body"),
    ("both", "GET", f"{JOBS}/abc", HEADERS, b"", "'id' breaks 'pattern'"),
    ("both", "GET", f"{JOBS}/{'1' * 20}", HEADERS, b"", "'id' breaks 'pattern'"),
    ("both", "PATCH", f"{JOBS}/17", HEADERS, b"", "not described"),
    ("both", "POST", JOBS, JSON, b'{"name":"n"}', "the body breaks 'required'"),
    ("both", "POST", JOBS, JSON, b'{"type":"tweets","job_name":"n"}', "breaks 'additionalProperties'"),
    ("both", "POST", JOBS, JSON, b'{"type":"tweets","name":"' + b"n" * 65 + b'"}', "breaks 'maxLength'"),
    ("xapi", "POST", JOBS, JSON, b'{"type":"tweets","resumable":true}', "breaks 'enum'"),
    ("both", "POST", JOBS, JSON, b"{", "no JSON"),
    ("both", "POST", JOBS, {**JSON, "content-type": "text/json"}, b"{}", "content type 'text/json'"),
    ("gcs", "DELETE", f"{JOBS}/17", HEADERS, b"", "not described"),
    ("gcs", "PUT", OLDER, {**PLAIN, **HEADERS}, b"20\n", "there is a credential"),
    ("gcs", "PUT", OLDER, {"content-type": "text/plain; charset=utf-8"}, b"20\n", "content type"),
    ("gcs", "PUT", OLDER[:-1], PLAIN, b"20\n", "'X-Goog-Signature' breaks 'pattern'"),
    ("xapi", "PUT", UPLOAD.partition("?")[0], PLAIN, b"20\n", "'token' is missing"),
    ("xapi", "PUT", UPLOAD, {"content-type": "text/csv"}, b"20\n", "content type 'text/csv'"),
    ("xapi", "GET", UPLOAD, {}, b"", "not described"),
]


@pytest.mark.parametrize(("which", "method", "target", "headers", "body", "said"), REQUESTS)
def test_the_contract_judges_requests(
    which: str, method: str, target: str, headers: dict[str, str], body: bytes, said: str
) -> None:
    """A request that fits has no breach; of one that does not the breach is named, without any value of it."""
    for dialect in Dialect if which == "both" else [Dialect(which)]:
        breaches = contract(dialect).breaches(method, target, headers, body)
        if said:
            assert any(said in breach for breach in breaches)
        else:
            assert breaches == []


@pytest.mark.parametrize("dialect", Dialect)
def test_the_sandboxs_answers_keep_the_contract(dialect: Dialect) -> None:
    """In the life of a job, and for requests that are refused, every answer is one that is described."""
    told = contract(dialect)
    seen: list[tuple[str, int]] = []
    with Server(dialect=dialect, complete_after=1) as server, requests.Session() as session:
        session.trust_env = False
        bearer = {"Authorization": f"Bearer {server.token}"}

        def ask(method: str, url: str, **more: Any) -> requests.Response:
            answer = session.request(method, url, **more)
            headers = {name.lower(): text for name, text in answer.headers.items()}
            breaches = told.answer_breaches(
                method, answer.request.path_url, answer.status_code, headers, answer.content
            )
            assert breaches == [], (method, url.partition("?")[0], answer.status_code)
            seen.append((method, answer.status_code))
            return answer

        jobs = server.url + JOBS
        ask("GET", f"{jobs}?type=tweets", headers=bearer)
        job = ask("POST", jobs, headers=bearer, json={"type": "tweets", "name": "n"}).json()["data"]
        ask("POST", jobs, headers=bearer, json={"type": "tweets"})
        ask("POST", jobs, headers=bearer, json={"type": "tweets", "resumable": True})
        ask("POST", jobs, json={"type": "tweets"})
        ask("GET", f"{jobs}/{job['id']}?compliance_job.fields=name", headers=bearer)
        ask("GET", f"{jobs}/17", headers=bearer)
        ask("GET", f"{jobs}/abc", headers=bearer)
        ask("GET", job["download_url"])
        ask("PUT", job["upload_url"][:-1] + "g", data=b"20\n", headers={"Content-Type": "text/plain"})
        ask("PUT", job["upload_url"], data=b"20\n", headers={"Content-Type": "text/plain"})
        ask("GET", f"{jobs}/{job['id']}", headers=bearer)
        ask("GET", f"{jobs}?type=tweets", headers=bearer)
        ask("GET", job["download_url"])
        server.service.fail(ask("POST", jobs, headers=bearer, json={"type": "users"}).json()["data"]["id"], "no reason")
        ask("GET", f"{jobs}?type=users", headers=bearer)
        if dialect is Dialect.XAPI:
            ask("DELETE", f"{jobs}/{job['id']}", headers=bearer)
            free = ask("POST", jobs, headers=bearer, json={"type": "tweets"}).json()["data"]
            ask("DELETE", f"{jobs}/{free['id']}", headers=bearer)
    assert {status for _, status in seen} >= {200, 400, 401, 403, 404, 409}


def test_an_answer_that_breaks_the_contract_is_found() -> None:
    """A status, a type and a body that are not described are each told."""
    told = contract(Dialect.GCS)
    kind = {"content-type": "application/json"}
    job = {"id": "17", "type": "tweets", "status": "done"}
    for status, headers, body, said in [
        (201, kind, b"{}", "status 201"),
        (200, {"content-type": "text/html"}, b"", "content type 'text/html'"),
        (200, kind, json.dumps({"data": job}).encode(), "breaks 'enum' at ['data', 'status']"),
        (200, kind, json.dumps({"data": job}).encode(), "breaks 'required' at ['data']"),
    ]:
        assert said in str(told.answer_breaches("GET", f"{JOBS}/17", status, headers, body))


PLANTED = """
import sys
import contract_rules
from xcompliance_pd import protocol
from xcompliance_pd.protocol import Request, Secret
from xcompliance_pd.sandbox import Server
from xcompliance_pd.transport import Transport

def test_of_a_client():
    with Server(dialect="xapi") as server:
        wire = Transport(server.url, lambda: Secret(server.token), (5.0, 5.0))
        wire.send(protocol.list_jobs(protocol.JobType.TWEETS))
        if {wrong}:
            wire.send(Request("list", "GET", protocol.JOBS_PATH, {{"type": "tweets", "start_time": "0"}}))
"""


@pytest.mark.parametrize("wrong", [False, True])
def test_a_wrong_request_of_the_client_fails_the_session(wrong: bool, tmp_path: Path) -> None:
    """A session whose tests all pass fails when the client sent one request that is not described, and names it."""
    (tmp_path / "conftest.py").write_text(
        "import contract_rules\n\ndef pytest_configure(config):\n    contract_rules.watch(config)\n"
    )
    (tmp_path / "test_planted.py").write_text(PLANTED.format(wrong=wrong))
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-o",
        f"pythonpath={HERE}",
        str(tmp_path),
    ]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert "1 passed" in ended.stdout
    assert ended.returncode == int(wrong)
    assert ("contract: 2 requests" if wrong else "contract: 1 requests") in ended.stdout
    assert ("xapi: getComplianceJobs: 'start_time' is no parameter of it (1 times)" in ended.stdout) is wrong


def test_the_description_needs_no_credential() -> None:
    """/openapi.json is the sandbox's own and open to all; it names where it is spoken."""
    for dialect in Dialect:
        with Server(dialect=dialect) as server, requests.Session() as session:
            session.trust_env = False
            told = session.get(f"{server.url}/openapi.json").json()
            assert told == describe(dialect, server.url, server.storage_url)
            assert Contract(told).operation("GET", JOBS) is not None
            assert server.token not in json.dumps(told)
