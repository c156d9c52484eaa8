"""The API host of the older dialect: bearer, routes, rate limits, JSON, and the headers of the recorded answers."""

from __future__ import annotations

import gzip
import hmac
import json
import re
import secrets
import time
from collections.abc import Callable, Iterable
from urllib.parse import parse_qs, urlsplit

from ..protocol import JOBS_PATH
from .openapi import OPENAPI_PATH, describe
from .refusals import Problem, Refusal, invalid_request, not_allowed, plain_problem
from .service import Allowance, Resource
from .wire import Handler, Reply

Act = Callable[[], Resource]

_HEADERS = [  # recorded 2021-10 and 2022-05
    ("Content-Disposition", "attachment; filename=json.json"),
    ("Cache-Control", "no-cache, no-store, max-age=0"),
    ("x-access-level", "read"),
    ("Strict-Transport-Security", "max-age=631138519"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "SAMEORIGIN"),
    ("X-XSS-Protection", "0"),
]
_GZIP = re.compile(r"(?:^|,)\s*gzip\s*(?:;\s*q=(?!0(?:\.0*)?\s*(?:,|$))[0-9.]+\s*)?(?:,|$)", re.IGNORECASE)


class ApiHandler(Handler):
    """Answers for api.x.com."""

    product = "tsa_b"
    version = "2.166"  # recorded: 2.27 and 2.42; 2.166 is the last spec of this dialect
    newer = False

    def body_max(self) -> int:
        return 64 * 1024

    def begin(self) -> None:
        self._started = time.monotonic()
        self._allowance: Allowance | None = None

    def operation(self) -> str | None:
        path = urlsplit(self.path).path
        if path == JOBS_PATH:
            return {"POST": "create", "GET": "list"}.get(self.command)
        return "get" if self.command == "GET" and path.startswith(f"{JOBS_PATH}/") else None

    def methods(self, path: str) -> tuple[str, ...]:
        """Return what the path of a job or of all jobs takes."""
        return ("GET", "POST") if path == JOBS_PATH else ("GET",)

    def answer(self, body: bytes, arrived: float) -> Reply:
        if self.command == "GET" and urlsplit(self.path).path == OPENAPI_PATH:
            service = self.server.service
            told = json.dumps(describe(service.dialect, self.server.url, service.storage_url), indent=1)
            return self._json(200, "application/json; charset=utf-8", told.encode())
        self._check_bearer()
        operation, act = self._route(body)
        self._allowance = self.server.service.spend(operation)
        if not self._allowance.granted:
            raise plain_problem(429, "Too Many Requests")
        return self._json(200, "application/json; charset=utf-8", json.dumps(act()).encode())

    def _check_bearer(self) -> None:
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "oauth":  # recorded on another app-only endpoint, with the two spaces
            raise plain_problem(
                403,
                "Unsupported Authentication",
                "Authenticating with OAuth 1.0a User Context is forbidden for this endpoint.  "
                "Supported authentication types are [OAuth 2.0 Application-Only].",
                "unsupported-authentication",
            )
        if scheme.lower() != "bearer" or not hmac.compare_digest(token.strip().encode(), self.server.token.encode()):
            raise plain_problem(401, "Unauthorized")

    def _route(self, body: bytes) -> tuple[str, Act]:
        """Return the operation's name and what to do for it."""
        service, address, operation = self.server.service, urlsplit(self.path), self.operation()
        query = parse_qs(address.query, keep_blank_values=True)
        if operation == "create":
            return operation, lambda: service.create(query, self._read_json(body))
        if operation == "list":
            return operation, lambda: service.list(query)
        if operation == "get":
            return operation, lambda: service.get(address.path.removeprefix(f"{JOBS_PATH}/"), query)
        if operation == "cancel":
            return operation, lambda: service.cancel(address.path.removeprefix(f"{JOBS_PATH}/"), query)
        if address.path == JOBS_PATH or address.path.startswith(f"{JOBS_PATH}/"):
            raise not_allowed(self.methods(address.path))
        raise plain_problem(404, "Not Found")

    def _read_json(self, body: bytes) -> object:
        # The docs ask for this header; what its absence is answered with is a guess.
        if self.headers.get_content_type() != "application/json":
            raise invalid_request("The Content-Type header must be application/json", "Content-Type")
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise invalid_request("The request body is not valid JSON", "body") from None

    def refusal(self, status: int, code: str, text: str) -> Problem:
        return plain_problem(status, code, text)

    def refused(self, refusal: Refusal) -> Reply:
        return self._json(refusal.status, refusal.content_type, refusal.body(self.newer), refusal.headers)

    def _json(self, status: int, content_type: str, body: bytes, more: Iterable[tuple[str, str]] = ()) -> Reply:
        elapsed = int(1000 * (time.monotonic() - self._started))
        headers = [("Content-Type", content_type), ("api-version", self.version), *_HEADERS, *more]
        headers += [("x-response-time", str(elapsed)), ("x-connection-hash", secrets.token_hex(32))]
        if (allowance := self._allowance) is not None:
            headers += [
                ("x-rate-limit-limit", str(allowance.limit)),
                ("x-rate-limit-remaining", str(allowance.remaining)),
                ("x-rate-limit-reset", str(allowance.reset)),
            ]
        if _GZIP.search(self.headers.get("Accept-Encoding", "")):
            headers.append(("Content-Encoding", "gzip"))
            body = gzip.compress(body, compresslevel=1)
        return Reply(status, headers, body)
