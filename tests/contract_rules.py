"""The contract as a judge of requests and answers, and a watch that shows it every request of the test run.

The contract is the description that a sandbox publishes at ``/openapi.json``; `test_contract.py` holds that against the
facts of X's own. `tests/conftest.py` starts the watch: it reads along what the package's client (User-Agent
``xcompliance-pd``) sends to any sandbox of the session, and one request that does not fit fails the session.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import jsonschema
import pytest
import watches

from xcompliance_pd.sandbox.dialects import Dialect
from xcompliance_pd.sandbox.openapi import describe
from xcompliance_pd.sandbox.refusals import Refusal
from xcompliance_pd.sandbox.wire import Handler

OURS = "xcompliance-pd"


class Contract:
    """One dialect's description.

    Parameters
    ----------
    told : dict
        The OpenAPI document.
    """

    def __init__(self, told: dict[str, Any]) -> None:
        self._told = told

    def operation(self, method: str, path: str) -> tuple[dict[str, Any], dict[str, str]] | None:
        """Return the described operation that a request is, and the values in its path."""
        for template, methods in self._told["paths"].items():
            match = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template), path)
            if match and method.lower() in methods:
                return methods[method.lower()], {name: unquote(text) for name, text in match.groupdict().items()}
        return None

    def breaches(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> list[str]:
        """Return what of a request does not fit; never a value of it, which may be a secret.

        `headers` has lower-case names.
        """
        parts = urlsplit(target)
        found = self.operation(method, parts.path)
        if found is None:
            return [f"{method} of a path that is not described"]
        operation, places = found
        given = parse_qsl(parts.query, keep_blank_values=True)
        breaches = [
            f"{name!r} is given {count} times" for name, count in Counter(k for k, _ in given).items() if count > 1
        ]
        known = {(p["in"], p["name"]): p for p in map(self._resolved, operation.get("parameters", []))}
        breaches += [f"{name!r} is no parameter of it" for name, _ in given if ("query", name) not in known]
        for (place, name), parameter in known.items():
            values = {"path": places, "header": headers}.get(place, dict(given))
            name = name.lower() if place == "header" else name
            if name not in values:
                breaches += [f"{name!r} is missing"] if parameter["required"] else []
                continue
            many = parameter["schema"].get("type") == "array"
            value = values[name].split(",") if many else values[name]
            breaches += [f"{name!r} {wrong}" for wrong in self.wrongs(parameter["schema"], value)]
        breaches += self._credential(operation["security"], headers)
        breaches += self._body(operation.get("requestBody"), headers, body)
        return [f"{operation['operationId']}: {breach}" for breach in breaches]

    def answer_breaches(
        self, method: str, target: str, status: int, headers: Mapping[str, str], body: bytes
    ) -> list[str]:
        """Return what of an answer does not fit."""
        found = self.operation(method, urlsplit(target).path)
        if found is None:
            return [f"{method} of a path that is not described"]
        answers = found[0]["responses"]
        described = answers.get(str(status), answers["default"] if status >= 400 else None)
        if described is None:
            return [f"status {status} is not described"]
        kind = headers.get("content-type", "").partition(";")[0]
        content = described.get("content", {})
        if not content:
            return [] if not body else ["there is a body"]
        if kind not in content:
            return [f"content type {kind!r}"]
        if not kind.endswith("json"):
            return []
        return self.wrongs(content[kind]["schema"], json.loads(body))

    def wrongs(self, schema: dict[str, Any], value: Any) -> list[str]:
        """Return how a value breaks a schema."""
        whole = {"allOf": [schema], "components": self._told["components"]}  # so that its references lead somewhere
        errors = jsonschema.Draft4Validator(whole).iter_errors(value)
        return [f"breaks {error.validator!r} at {list(error.absolute_path)}" for error in errors]

    def _resolved(self, node: dict[str, Any]) -> dict[str, Any]:
        if "$ref" not in node:
            return node
        kind, name = node["$ref"].split("/")[-2:]
        return self._told["components"][kind][name]  # type: ignore[no-any-return]

    @staticmethod
    def _credential(security: list[dict[str, Any]], headers: Mapping[str, str]) -> Iterator[str]:
        text = headers.get("authorization")
        if text is None:
            if security and {} not in security:
                yield "there is no credential"
        elif not security:
            yield "there is a credential"
        elif not re.fullmatch(r"Bearer [\x21-\x7e]+", text):
            yield "the credential is no Bearer token"

    def _body(self, described: dict[str, Any] | None, headers: Mapping[str, str], body: bytes) -> Iterator[str]:
        if described is None:
            if body:
                yield "there is a body"
            return
        kind = headers.get("content-type", "")
        if kind not in described["content"]:  # byte for byte: it may be signed
            yield f"content type {kind!r}"
        elif kind == "application/json":
            try:
                value = json.loads(body)
            except ValueError:
                yield "the body is no JSON"
            else:
                yield from (f"the body {wrong}" for wrong in self.wrongs(described["content"][kind]["schema"], value))


@cache
def contract(dialect: Dialect) -> Contract:
    """Return the contract of a dialect; where it is spoken makes no difference to it."""
    return Contract(describe(dialect, "http://127.0.0.1:1", "http://127.0.0.1:2"))


class Watch:
    """Judges every request of ours to a sandbox."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.breaches: Counter[str] = Counter()

    def begin(self) -> None:
        """Read along from now on."""
        read, watch = Handler._read_body, self

        def reading(handler: Handler) -> bytes:
            ours = handler.headers.get("User-Agent") == OURS
            dialect = handler.server.service.dialect
            try:
                body = read(handler)
            except Refusal as refusal:
                if ours:
                    watch.breaches[f"{dialect}: {handler.command} was refused unread: {refusal}"] += 1
                raise
            if ours:
                watch.seen[dialect] += 1
                headers = {name.lower(): ", ".join(handler.headers.get_all(name, [])) for name in handler.headers}
                # Whether a service can cancel is found out by asking it, so in the older dialect it is asked in vain.
                # So it is with resumable jobs in the newer one.
                asks = {"DELETE": Dialect.XAPI, "POST": Dialect.GCS}
                spoken = asks.get(handler.command, dialect)
                for breach in contract(spoken).breaches(handler.command, handler.path, headers, body):
                    watch.breaches[f"{dialect}: {breach}"] += 1
            return body

        Handler._read_body = reading  # type: ignore[method-assign]

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if not watches.alone(session):
            return
        told = ", ".join(f"{count:,} in {dialect}" for dialect, count in sorted(self.seen.items()))
        text = f"contract: {self.seen.total():,} requests of the client ({told}), {len(self.breaches)} breaches"
        lines = [f"  {breach} ({count:,} times)" for breach, count in self.breaches.most_common(20)]
        watches.tell(session, "\n".join([text, *lines]), bad=bool(self.breaches))


def watch(config: pytest.Config) -> None:
    """Start the watch for a session."""
    watch = Watch()
    watch.begin()
    config.pluginmanager.register(watch, "contract-watch")
