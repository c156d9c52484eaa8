"""The API host of the newer dialect, which takes and gives the bytes itself and lets jobs be cancelled."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

from ..protocol import JOBS_PATH, UPLOAD_MAX
from .api import ApiHandler
from .refusals import NEWER_KINDS, Problem, not_found, plain_problem
from .tickets import Direction
from .wire import Reply

_BYTES = re.compile(rf"{JOBS_PATH}/([^/]+)/(upload|download)")
# The reference page's example shows the second; that what the older dialect's clients send is taken too is a guess.
UPLOAD_TYPES = ("text/plain", "application/octet-stream")


class XapiHandler(ApiHandler):
    """Answers for api.x.com as it is since September 2026."""

    version = "2.168"  # of the reference pages of pull request 410
    newer = True

    def body_max(self) -> int:
        return UPLOAD_MAX if self.operation() == "upload" else super().body_max()

    def operation(self) -> str | None:
        path = urlsplit(self.path).path
        if match := _BYTES.fullmatch(path):
            return {("PUT", "upload"): "upload", ("GET", "download"): "download"}.get((self.command, match[2]))
        if self.command == "DELETE" and path.startswith(f"{JOBS_PATH}/"):
            return "cancel"
        return super().operation()

    def methods(self, path: str) -> tuple[str, ...]:
        if match := _BYTES.fullmatch(path):
            return ("PUT",) if match[2] == "upload" else ("GET",)
        return (*super().methods(path), *(["DELETE"] if path != JOBS_PATH else []))

    def refusal(self, status: int, code: str, text: str) -> Problem:
        return plain_problem(status, code, text, code if code in NEWER_KINDS else None)

    def answer(self, body: bytes, arrived: float) -> Reply:
        operation = self.operation()
        if operation == "upload":
            return self._bytes("upload", body, arrived)
        return self._bytes("download", body, arrived) if operation == "download" else super().answer(body, arrived)

    def _bytes(self, direction: Direction, body: bytes, arrived: float) -> Reply:
        """Take or give the bytes. The token is the sole credential, unless the sandbox was told otherwise.

        Which headers X's answers carry is not known: here they are those without which there is no answer. That an
        upload is answered with 200 and nothing, and the type of a download, are the older dialect's.
        """
        service, address = self.server.service, urlsplit(self.path)
        if "Authorization" in self.headers:
            service.count_authorization()
        if service.bearer_on_byte_paths:
            self._check_bearer()
        job_id = address.path.split("/")[-2]
        tokens = parse_qs(address.query, keep_blank_values=True).get("token", [])
        service.admit(job_id, direction, tokens[0] if len(tokens) == 1 else "", arrived)
        if direction == "upload":
            if self.headers.get_content_type() not in UPLOAD_TYPES or "Content-Type" not in self.headers:
                raise plain_problem(415, "Unsupported Media Type")  # guess
            service.upload(job_id, body)
            return Reply(200, [])
        blob = service.download(job_id)
        if blob is None:
            raise not_found(job_id)
        return Reply(200, [("Content-Type", "application/octet-stream")], blob.data)
