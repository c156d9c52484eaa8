"""Thousands of requests that schemathesis draws from the sandbox's own description, and what comes back.

It sends what the description allows, and what it does not, and judges each answer by rules that nobody here wrote: no
5xx, no status, type or body that is not described, nothing wrong accepted, nothing right refused, no way around the
credential. Half of the allowed requests are led to a job that exists, with its own token or signature, so that uploads
are stored, results made and jobs cancelled.
"""

from __future__ import annotations

from collections import Counter
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks
from schemathesis.specs.openapi.checks import positive_data_acceptance

from xcompliance_pd.protocol import JOBS_PATH
from xcompliance_pd.sandbox import Server
from xcompliance_pd.sandbox.wire import Handler

EXAMPLES = 220  # of each operation and mode; with the repetitions without a credential some 6,500 in all
LEAST = {"gcs": 2_000, "xapi": 3_000}

load_all_checks()


@pytest.fixture
def arrived(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Requests that a sandbox read, by method."""
    counts: Counter[str] = Counter()
    read = Handler._read_body

    def reading(handler: Handler) -> bytes:
        counts[handler.command] += 1
        return read(handler)

    monkeypatch.setattr(Handler, "_read_body", reading)
    return counts


class Leader:
    """Leads a request to a job that exists."""

    def __init__(self, server: Server) -> None:
        self._service = server.service

    def lead(self, case: Any) -> None:
        if case.operation.path == JOBS_PATH:
            for job in self._service.jobs[-2:]:
                self._service.fail(job.id)  # so that creating is not always a conflict
            return
        upload = case.operation.path.endswith(("/upload", "/submission/{object}"))
        job = self._job(resumable=upload and case.operation.method.upper() == "POST")
        if case.operation.path.endswith(("/download", "/delivery/{object}")):
            self._service.upload(job["id"], b"20\n")
        address = urlsplit(job["upload_url" if upload else "download_url"])
        case.path_parameters = {**case.path_parameters, "id": job["id"]}
        if "{bucket}" in case.operation.path:
            _, bucket, _id, _kind, name = address.path.split("/")
            case.path_parameters |= {"bucket": bucket, "object": name}
        if address.query and case.query and set(case.query) >= {name for name, _ in parse_qsl(address.query)}:
            case.query = {**case.query, **dict(parse_qsl(address.query))}

    def _job(self, resumable: bool) -> dict[str, Any]:
        """Return the newest job; a new one when it is over and its results were downloaded, or is of the other kind."""
        jobs = self._service.jobs
        if not jobs or jobs[-1].failed or jobs[-1].result is not None or jobs[-1].resumable != resumable:
            for job in jobs[-2:]:
                self._service.fail(job.id)
            kind = {"resumable": True} if resumable else {}
            return self._service.create({}, {"type": "tweets", **kind})["data"]  # type: ignore[no-any-return]
        return self._service.get(jobs[-1].id, {})["data"]  # type: ignore[no-any-return]


class Barrage:
    """Sends what is drawn, and counts what is answered; raises what schemathesis finds wrong."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._leader = Leader(server)
        self.answers: Counter[int] = Counter()
        self.succeeded: Counter[str] = Counter()

    def fire(self, operation: Any, mode: GenerationMode, number: int) -> None:
        @seed(number)
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode), led=st.booleans())
        def send(case: Any, led: bool) -> None:
            if led and mode is GenerationMode.POSITIVE:
                self._leader.lead(case)
            self._send(case)

        send()

    def _send(self, case: Any) -> None:
        stored = "{bucket}" in case.operation.path
        answer = case.call(base_url=self._server.storage_url if stored else self._server.url)
        # No schema says what a signature covers and when it ends, so most signed requests that look right are not.
        case.validate_response(answer, excluded_checks=[positive_data_acceptance] if stored else [])
        self.answers[answer.status_code] += 1
        self.succeeded[case.operation.label] += answer.status_code in (200, 201)


def described(server: Server) -> list[Any]:
    """Return the operations that a sandbox describes; the API's own get its token."""
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    bearer = f"Bearer {server.token}"

    @schema.auth().skip_for(path_regex="/(upload|download)$|bucket")
    class _Bearer:
        def get(self, case: Any, context: Any) -> str:
            return bearer

        def set(self, case: Any, text: str, context: Any) -> None:
            case.headers["Authorization"] = text

    return [result.ok() for result in schema.get_all_operations()]


@pytest.mark.parametrize("fault", ["return-500", "return-html", "return-json:[]", "return-201"])
def test_a_breach_is_found(fault: str) -> None:
    """A server error, a page, JSON of another shape or a status nobody described, in each tenth answer, is told."""
    with Server(complete_after=1, rate_limits=(10**9,) * 3) as server:
        server.script("get", *(["ok"] * 9 + [fault]) * 100)
        (operation,) = [each for each in described(server) if each.label == f"GET {JOBS_PATH}/{{id}}"]
        with pytest.raises(schemathesis.core.failures.FailureGroup):
            Barrage(server).fire(operation, GenerationMode.POSITIVE, 0)


@pytest.mark.parametrize("dialect", ["gcs", "xapi"])
def test_requests_drawn_from_the_description(
    dialect: str, arrived: Counter[str], record_property: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Thousands of requests, right and wrong: no 5xx, no breach of the description; and each operation succeeds too."""
    with Server(dialect=dialect, complete_after=1, rate_limits=(10**9,) * 3) as server:
        barrage, operations = Barrage(server), described(server)
        for number, operation in enumerate(operations):
            for mode in GenerationMode:
                barrage.fire(operation, mode, number)
        assert len(server.service.jobs) > 10
    total, answers = arrived.total(), dict(sorted(barrage.answers.items()))
    record_property("requests", total)
    with capsys.disabled():
        print(f"\n{dialect}: {total:,} requests to {len(operations)} operations, answered {answers}")
    assert total >= LEAST[dialect]
    assert max(answers) < 500
    assert all(barrage.succeeded[operation.label] for operation in operations), barrage.succeeded
