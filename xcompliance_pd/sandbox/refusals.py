"""The families of refusals: problem+json from the API host, in an older and a newer form, and XML from the storage."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

# The address that real bodies still carried in 2025; openapi.json 2.167 (August 2026) has the other.
_OLDER_PROBLEMS = "https://api.twitter.com/2/problems/"
_NEWER_PROBLEMS = "https://api.x.com/2/problems/"
# Of the kinds that are used here those that openapi.json 2.167 still names; "conflict" for one is gone.
NEWER_KINDS = ("invalid-request", "not-authorized-for-resource", "resource-not-found")


class Refusal(Exception):
    """An answer other than 200, raised where the reason is found and sent by the handler."""

    content_type: str
    headers: tuple[tuple[str, str], ...] = ()

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status

    def body(self, newer: bool = False) -> bytes:
        """Return the bytes of the answer, in the older or the newer dialect."""
        raise NotImplementedError


class Problem(Refusal):
    """A refusal of the API host (RFC 7807).

    Parameters
    ----------
    status : int
    title, detail : str
    kind : str, optional
        The last part of the problem's type; without it the type is ``about:blank``.
    more : mapping, optional
        Members beyond title, detail and type.
    newer : mapping, optional
        Those of the newer dialect, if they are others.
    """

    content_type = "application/problem+json"

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        kind: str | None = None,
        more: Mapping[str, Any] | None = None,
        newer: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(status, detail)
        self._said = {"title": title, "detail": detail}
        self._kind = kind
        self._more = more or {}
        self._newer = self._more if newer is None else newer

    def body(self, newer: bool = False) -> bytes:
        named = self._kind is not None and (not newer or self._kind in NEWER_KINDS)
        address = f"{_NEWER_PROBLEMS if newer else _OLDER_PROBLEMS}{self._kind}" if named else "about:blank"
        return json.dumps({**self._said, "type": address, **(self._newer if newer else self._more)}).encode()


def plain_problem(status: int, title: str, detail: str | None = None, kind: str | None = None) -> Problem:
    """Return a problem that says its status in the body too, as v2 does for 401, 403 and 429."""
    return Problem(status, title, detail or title, kind, {"status": status})


def invalid_request(message: str, parameter: str, *values: str) -> Problem:
    """Return the 400 of v2.

    Older: as recorded 2025 on other v2 paths, without a ``status`` member. Newer: openapi.json 2.167,
    InvalidRequestProblem, which has no list of errors but one parameter.
    """
    return Problem(
        400,
        "Invalid Request",
        "One or more parameters to your request was invalid.",
        "invalid-request",
        {"errors": [{"parameters": {parameter: list(values)}, "message": message}]},
        {"detail": message, "parameter": parameter, "value": ",".join(values), "status": 400},
    )


def not_found(job_id: str) -> Problem:
    """Return the 404 for an unknown job (guess: neither status nor body is recorded)."""
    return Problem(
        404,
        "Not Found Error",
        f"Could not find compliance_job with id: [{job_id}].",
        "resource-not-found",
        {"parameter": "id", "value": job_id, "resource_id": job_id, "resource_type": "compliance_job"},
    )


def not_authorized(detail: str) -> Problem:
    """Return the 403 for a token that opens nothing (guess: openapi.json 2.167 has the type, no source the case)."""
    return Problem(
        403,
        "Authorization Error",
        detail,
        "not-authorized-for-resource",
        {"resource_type": "compliance_job", "status": 403},
    )


def not_allowed(methods: tuple[str, ...]) -> Problem:
    """Return the 405 for a path that takes other methods; it names them, as RFC 9110 (15.5.6) wants."""
    problem = plain_problem(405, "Method Not Allowed")
    problem.headers = (("Allow", ", ".join(methods)),)
    return problem


class StorageError(Refusal):
    """A refusal of the storage host (cloud.google.com/storage/docs/xml-api/reference-status)."""

    content_type = "application/xml; charset=UTF-8"

    def __init__(self, status: int, code: str, message: str, **elements: str) -> None:
        super().__init__(status, message)
        self.elements = {"Code": code, "Message": message, **elements}

    def body(self, newer: bool = False) -> bytes:
        inside = "".join(f"<{name}>{escape(text)}</{name}>" for name, text in self.elements.items())
        return f"<?xml version='1.0' encoding='UTF-8'?><Error>{inside}</Error>".encode()
