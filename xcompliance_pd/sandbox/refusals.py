"""The two families of refusals: problem+json from the API host, XML from the storage host."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

# The address that real bodies still carried in 2025, although the spec has moved to api.x.com since.
_PROBLEMS = "https://api.twitter.com/2/problems/"


class Refusal(Exception):
    """An answer other than 200, raised where the reason is found and sent by the handler."""

    content_type: str

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status

    def body(self) -> bytes:
        """Return the bytes of the answer."""
        raise NotImplementedError


class Problem(Refusal):
    """A refusal of the API host (RFC 7807)."""

    content_type = "application/problem+json"

    def __init__(
        self, status: int, title: str, detail: str, kind: str | None = None, more: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(status, detail)
        address = "about:blank" if kind is None else _PROBLEMS + kind
        self.members = {"title": title, "detail": detail, "type": address, **(more or {})}

    def body(self) -> bytes:
        return json.dumps(self.members).encode()


def plain_problem(status: int, title: str, detail: str | None = None, kind: str | None = None) -> Problem:
    """Return a problem that says its status in the body too, as v2 does for 401, 403 and 429."""
    return Problem(status, title, detail or title, kind, {"status": status})


def invalid_request(message: str, parameter: str, *values: str) -> Problem:
    """Return the 400 of v2 (recorded 2025 on other v2 paths: it has no ``status`` member)."""
    return Problem(
        400,
        "Invalid Request",
        "One or more parameters to your request was invalid.",
        "invalid-request",
        {"errors": [{"parameters": {parameter: list(values)}, "message": message}]},
    )


class StorageError(Refusal):
    """A refusal of the storage host (cloud.google.com/storage/docs/xml-api/reference-status)."""

    content_type = "application/xml; charset=UTF-8"

    def __init__(self, status: int, code: str, message: str, **elements: str) -> None:
        super().__init__(status, message)
        self.elements = {"Code": code, "Message": message, **elements}

    def body(self) -> bytes:
        inside = "".join(f"<{name}>{escape(text)}</{name}>" for name, text in self.elements.items())
        return f"<?xml version='1.0' encoding='UTF-8'?><Error>{inside}</Error>".encode()
