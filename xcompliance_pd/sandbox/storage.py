"""The storage host: signed URLs, byte-exact headers, ranges, and the headers that prove what is stored."""

from __future__ import annotations

import base64
import re
import secrets
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from ..protocol import UPLOAD_MAX
from .refusals import Refusal, StorageError
from .sessions import part
from .wire import Handler, Reply

if TYPE_CHECKING:
    from .blobs import Blob

_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)
_KEPT_SECONDS = 14 * 86_400  # x-goog-expiration - last-modified (recorded 2021-11)
_COMPONENTS = 20  # x-goog-component-count (recorded 2021-11)


class StorageHandler(Handler):
    """Answers for storage.googleapis.com."""

    product = "UploadServer"

    def operation(self) -> str | None:
        return {"POST": "start", "PUT": "upload", "GET": "download"}.get(self.command)

    def body_max(self) -> int:
        return UPLOAD_MAX  # guess: no limit is documented for this dialect

    def answer(self, body: bytes, arrived: float) -> Reply:
        service = self.server.service
        if "Authorization" in self.headers:
            service.count_authorization()
            raise StorageError(  # guess: its status and code
                400,
                "InvalidArgument",
                "Invalid argument.",
                Details="Only one authentication mechanism is allowed: the signed URL is the credential.",
            )
        path, _, query = self.path.partition("?")
        if self.command == "PUT" and (upload_id := parse_qs(query).get("upload_id")):
            return self._part(path.split("/")[2], upload_id[0], body)
        headers = {name.lower(): ",".join(self.headers.get_all(name, [])) for name in self.headers}
        # The URL must be in time when the request arrives, not when its last byte does.
        service.signer.check(self.command, self.path, headers, arrived)
        job_id = self.path.split("/")[2]
        if self.command == "POST":
            return Reply(
                201, [("Location", f"{service.storage_url}{self.path}&upload_id={service.sessions.start(job_id)}")]
            )
        if self.command == "PUT":  # the signature binds the method to the path
            return self._stored(service.upload(job_id, body))
        blob = service.download(job_id)
        if blob is None:  # guess: 403 AccessDenied if X's signer may not list the bucket
            raise StorageError(404, "NoSuchKey", "The specified key does not exist.")
        return self._found(blob)

    def _part(self, job_id: str, upload_id: str, body: bytes) -> Reply:
        """Take a part of an upload. The session's URL is the credential; how it ends with its job is a guess."""
        service = self.server.service
        if service.expired(job_id):  # guess: that a session, which lives a week by itself, ends with its job
            raise StorageError(410, "NoSuchUpload", "The requested upload was not found.")
        brought = part(self.headers.get("Content-Range"), len(body))
        kept, data = service.sessions.take(upload_id, job_id, brought, body)
        if data is not None:
            return self._stored(service.upload(job_id, data))
        return Reply(308, [("Range", f"bytes=0-{kept - 1}")] if kept else [])

    def _stored(self, blob: Blob) -> Reply:
        """The answer to an upload, as recorded 2021-11: two x-goog-hash headers, the etag is the MD5 in hex."""
        headers = [
            ("Content-Type", "text/html; charset=UTF-8"),
            ("ETag", f'"{blob.md5.hex()}"'),
            ("x-goog-hash", f"crc32c={blob.crc32c}"),
            ("x-goog-hash", f"md5={base64.b64encode(blob.md5).decode()}"),
            *_facts(blob),
            ("Vary", "Origin"),
        ]
        return Reply(200, headers)

    def _found(self, blob: Blob) -> Reply:
        """The answer to a download, as recorded 2021-11: no charset, no coding, crc32c but no MD5."""
        headers = [
            ("Content-Type", "application/octet-stream"),
            ("ETag", blob.composite_etag),
            ("x-goog-hash", f"crc32c={blob.crc32c}"),
            *_facts(blob),
            ("x-goog-component-count", str(_COMPONENTS)),
            ("x-goog-storage-class", "STANDARD"),
            ("Last-Modified", self.date_time_string(blob.stored_at)),
            ("x-goog-expiration", self.date_time_string(blob.stored_at + _KEPT_SECONDS)),
            ("Accept-Ranges", "bytes"),
            ("Cache-Control", "private, max-age=0"),
        ]
        size = len(blob.data)
        try:
            part = _range(self.headers.get("Range", ""), size)
        except ValueError:
            refusal = StorageError(416, "InvalidRange", "The requested range cannot be satisfied.")
            reply = self.refused(refusal)
            return Reply(416, [*reply.headers, ("Content-Range", f"bytes */{size}")], reply.body)
        if part is None:
            return Reply(200, headers, blob.data)
        headers.append(("Content-Range", f"bytes {part.start}-{part.stop - 1}/{size}"))
        return Reply(206, headers, blob.data[part.start : part.stop])

    def refusal(self, status: int, code: str, text: str) -> Refusal:
        return StorageError(status, code.replace(" ", ""), text)


def _facts(blob: Blob) -> list[tuple[str, str]]:
    return [
        ("x-goog-generation", str(blob.generation)),
        ("x-goog-metageneration", "1"),
        ("x-goog-stored-content-encoding", "identity"),
        ("x-goog-stored-content-length", str(len(blob.data))),
        ("x-guploader-uploadid", secrets.token_urlsafe(48)),
    ]


def _range(text: str, size: int) -> range | None:
    """Return the bytes asked for, None for all of them; ValueError when they do not exist (RFC 9110, 14.1.2).

    Several ranges, or what is no range, are answered with the whole, as RFC 9110 allows.
    """
    match = _RANGE.fullmatch(text)
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        start, stop = max(size - int(last), 0), size
    else:
        start, stop = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < int(first):
            return None
    if start >= stop:
        raise ValueError("nothing there")
    return range(start, stop)
