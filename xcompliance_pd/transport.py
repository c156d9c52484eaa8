"""The wire: two sessions, three verbs. Never retries, never sleeps, never follows a redirect.

The API session sends the Bearer token, to the API's own scheme, host and port only. The byte session sends no
credential: a byte URL is one by itself. One setting adds the token, for byte URLs of the API's own origin only. Both
carry an explicit auth object, because requests would otherwise look into ``~/.netrc``, whose ``default`` entry even
replaces a Bearer header. Network exceptions and their tracebacks hold full URLs, so they end here: what leaves is one
of ours, raised ``from None``.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import logging
import re
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
import requests.adapters
import urllib3
from requests.auth import AuthBase

from .digest import Digest, unpack
from .errors import InputError, LedgerError, Unavailable, UnexpectedResponse
from .protocol import (
    UPLOAD_CONTENT_TYPE,
    Answer,
    Received,
    Request,
    Secret,
    check_byte_url,
    decipher_bytes,
    is_loopback,
    stored_hashes,
)

ANSWER_MAX = 16 << 20  # bytes of an API answer or an error body
PIECE = 1 << 20  # bytes; upload pieces of 1 MiB reach the speed of loopback


_T = TypeVar("_T")


class _NoAuth(AuthBase):
    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.pop("Authorization", None)
        return request


class _Bearer(AuthBase):
    def __init__(self, token: Secret, base_url: str) -> None:
        self._token = token
        self._origin = _origin(base_url)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if _origin(request.url or "") != self._origin:
            raise InputError(
                "The token goes to the API's own host only; this request was for another one. Report this."
            )
        request.headers["Authorization"] = f"Bearer {self._token.reveal()}"
        return request


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


class _Lines:
    """What a connection sends, and whether it ended where a line had begun: a status, a header, a chunk's size.

    http.client takes such an end for the end of the headers, and urllib3 the first zeros of a size for the last chunk.
    """

    def __init__(self, file: Any) -> None:
        self._file = file
        self.cut = False

    def readline(self, *limit: int) -> bytes:
        line: bytes = self._file.readline(*limit)
        self.cut |= not line.endswith(b"\n")
        return line

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class _Response(http.client.HTTPResponse):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.lines = _Lines(self.fp)
        self.fp = self.lines  # type: ignore[assignment]


class _HttpConnection(urllib3.connection.HTTPConnection):
    response_class = _Response


class _HttpsConnection(urllib3.connection.HTTPSConnection):
    response_class = _Response


class _HttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection


_POOLS = {"http": _HttpPool, "https": _HttpsPool}


class _Adapter(requests.adapters.HTTPAdapter):
    """Makes connections whose answers know whether a line of theirs was cut."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *arguments: Any, **options: Any) -> Any:
        manager = super().proxy_manager_for(*arguments, **options)
        manager.pool_classes_by_scheme = _POOLS
        return manager


def _lines_cut(response: requests.Response) -> bool:
    original: Any = response.raw._original_response
    return bool(original.lines.cut)


class _Session(requests.Session):
    """Knows no redirects: requests would read the body of one, unpacked and whole, even if told not to follow."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


class _RedactQueries(logging.Filter):
    """urllib3 logs each request line at DEBUG, signature and all."""

    _query = re.compile(r"\?[^\s\"']+")

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        clean = self._query.sub("?[redacted]", text)
        if clean != text:
            record.msg, record.args = clean, None
        return True


_REDACT = _RedactQueries()


class FileBody:
    """A file as an upload body: its length is known, it is read in pieces, and it can be read again.

    requests sends a Content-Length for it, and a time-out counts per piece; with a ``bytes`` body the whole
    send would have to fit into the connect time-out.

    Parameters
    ----------
    path : Path
    before_last_byte : callable
        Called with the SHA-256 of all that was read, in hex. If it raises, the service never gets the last byte.
    start, end : int
        The part of the file that is the body; all of it unless said otherwise.
    before : hash, optional
        SHA-256 of the file up to `start`.
    """

    def __init__(
        self,
        path: Path,
        before_last_byte: Callable[[str], object] = lambda sha256: None,
        start: int = 0,
        end: int | None = None,
        before: hashlib._Hash | None = None,
    ) -> None:
        self._path = path
        self._start = start
        self._length = (path.stat().st_size if end is None else end) - start
        self._before_last_byte = before_last_byte
        self._before = hashlib.sha256() if before is None else before
        self.sha256 = self._before  # of the file up to where it was read
        self.left = False  # whether every piece was handed over, for good, in the latest reading

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        self.left = False
        try:
            yield from self._pieces()
        except OSError as error:  # of the disk: what requests would take for a broken connection
            raise LedgerError(
                f"{self._path} cannot be read ({error.strerror or type(error).__name__}), so its upload was given up. "
                "Check the disk, then go on."
            ) from None
        self.left = True  # only now: asking for more means that the last piece was sent

    def _pieces(self) -> Iterator[bytes]:
        sha256 = self._before.copy()
        with self._path.open("rb") as file:
            file.seek(self._start)
            for start in range(0, self._length - 1, PIECE):
                piece = file.read(min(PIECE, self._length - 1 - start))
                sha256.update(piece)
                yield piece
            # The last byte is a newline: without it the service has every ID and still no whole request. So what is
            # written down at this moment is true whether or not the process lives to send it.
            last = file.read(1)
            sha256.update(last)
            self.sha256 = sha256
            self._before_last_byte(sha256.hexdigest())
            yield last


class Transport:
    """Requests to one API host and to the signed URLs that it gives.

    Parameters
    ----------
    base_url : str
    token : callable returning Secret
        Asked before the first request to the API.
    timeout : (float, float)
        Seconds to connect, and between two pieces of an answer.
    ca_bundle : str, optional
        Path of a CA bundle. There is no way to turn verification off.
    bearer_on_byte_paths : bool
        Send the token along with uploads and downloads too, if their URL is of the API's own scheme, host and port.
        X's documents of September 2026 left open whether it is wanted there:
        https://github.com/xdevplatform/docs/pull/410
    """

    def __init__(
        self,
        base_url: str,
        token: Callable[[], Secret],
        timeout: tuple[float, float],
        ca_bundle: str | None = None,
        bearer_on_byte_paths: bool = False,
    ) -> None:
        self._base_url = base_url
        self._token = token
        self._timeout = timeout
        # Given with each request: as an attribute of a session REQUESTS_CA_BUNDLE would override it.
        self._verify = ca_bundle
        self._bearer_on_byte_paths = bearer_on_byte_paths
        self._api = self._session()
        self._bytes = self._session()
        for name in ("connectionpool", "connection", "response", "util.retry"):
            logging.getLogger(f"urllib3.{name}").addFilter(_REDACT)  # which is added only once

    def _session(self) -> requests.Session:
        session = _Session()
        for scheme in ("http://", "https://"):
            session.mount(scheme, _Adapter())
        session.headers["User-Agent"] = "xcompliance-pd"
        session.auth = _NoAuth()
        session.trust_env = not is_loopback(self._base_url)  # a proxy has no business between us and a sandbox
        return session

    def close(self) -> None:
        self._api.close()
        self._bytes.close()

    def send(self, request: Request) -> Answer:
        """Send one request to the API host and return the whole answer, whatever its status."""
        headers = {"Accept-Encoding": "identity", "Accept": "application/json"}
        body = None
        if request.body is not None:
            body = json.dumps(request.body).encode()
            headers["Content-Type"] = "application/json"
        return self._exchange(
            self._api,
            request.method,
            Secret(self._base_url + request.path),
            self._answer,
            params=dict(request.query),
            data=body,
            headers=headers,
            auth=_Bearer(self._token(), self._base_url),
        )

    def start(self, url: Secret) -> Answer:
        """Open a session for an upload in parts; the answer's Location is its URL, a credential as well.

        The three headers are signed, so nothing about them may differ: docs.x.com, batch compliance, page "integrate".
        """
        check_byte_url(url, self._base_url)
        headers = {"Content-Type": UPLOAD_CONTENT_TYPE, "Content-Length": "0", "x-goog-resumable": "start"}
        return self._exchange(self._bytes, "POST", url, self._answer, headers=headers, auth=self._beside(url))

    def put(self, url: Secret, body: FileBody | None, content_range: str | None = None) -> Answer:
        """Upload a file, or a part of one, to a signed URL. The Content-Type is signed, so it is sent byte-exact.

        Without a body a session is asked what it has.
        """
        check_byte_url(url, self._base_url)
        headers = {"Content-Type": UPLOAD_CONTENT_TYPE}
        if content_range is not None:
            headers["Content-Range"] = content_range
        answer = self._exchange(
            self._bytes,
            "PUT",
            url,
            self._answer,
            data=body,
            headers=headers,
            auth=self._beside(url),
        )
        if body is not None and answer.status == 200 and not body.left:
            # urllib3 reads the answer even when sending broke off, and a 200 to half a file proves nothing.
            raise Unavailable("The connection broke during the upload. It is tried again.", status=200, retryable=True)
        return answer

    def get(self, url: Secret, sink: Callable[[bytes], Any], size_max: int) -> Received:
        """Download a signed URL into `sink`, raw as it comes, and return what is known of it.

        Raises for any status but 200. A body that breaks off is no error here: what came is in the sink, and
        the returned value says ``broken``.
        """
        check_byte_url(url, self._base_url)

        def receive(response: requests.Response) -> Received:
            if response.status_code != 200:
                answer = self._answer(response)
                decipher_bytes("Downloading the results", answer.status, answer.headers, answer.body)
            headers, broken = _headers(response), False
            digest = Digest(md5="md5" in (stored_hashes(headers) or {}))
            try:
                for block in response.raw.stream(PIECE, decode_content=False):
                    if digest.length + len(block) > size_max:
                        raise UnexpectedResponse(
                            f"The result file has over {size_max:,} bytes, far more than the IDs sent can need. "
                            "Report this if it persists."
                        )
                    sink(block)
                    digest.update(block)
            except urllib3.exceptions.HTTPError:
                broken = True
            return digest.received(response.status_code, headers, broken or _lines_cut(response))

        # Google's storage would unpack a gzip object for a client that does not take gzip, and its
        # checksum would then describe other bytes: https://cloud.google.com/storage/docs/transcoding
        return self._exchange(
            self._bytes, "GET", url, receive, headers={"Accept-Encoding": "gzip"}, auth=self._beside(url)
        )

    def _beside(self, url: Secret) -> AuthBase | None:
        """Return the credential to send along with the one that a byte URL is; None, the session's own, sends none."""
        own = _origin(url.reveal()) == _origin(self._base_url)
        return _Bearer(self._token(), self._base_url) if self._bearer_on_byte_paths and own else None

    def _exchange(
        self,
        session: requests.Session,
        method: str,
        url: Secret,
        read: Callable[[requests.Response], _T],
        **options: Any,
    ) -> _T:
        """Make one request and read its answer; a network error leaves as Unavailable and nothing else.

        The failure is raised outside the ``except`` block, so that it carries no context, and no local variable
        of the frames in its traceback holds a URL: IPython's verbose tracebacks print them.
        """
        try:
            with session.request(
                method,
                url.reveal(),
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
                verify=self._verify,
                **options,
            ) as response:
                return read(response)
        except (requests.RequestException, urllib3.exceptions.HTTPError, ssl.SSLError) as error:
            failure = _unavailable(error, urlsplit(url.reveal()).netloc)
        raise failure

    @staticmethod
    def _answer(response: requests.Response) -> Answer:
        if 300 <= response.status_code < 400:  # is refused, whatever it holds
            return Answer(response.status_code, _headers(response), b"")
        blocks: list[bytes] = []
        size = 0
        for block in response.raw.stream(PIECE, decode_content=False):
            size += len(block)
            if size > ANSWER_MAX:
                raise UnexpectedResponse("The answer is far too long for this API. Check the base URL.")
            blocks.append(block)
        if _lines_cut(response):
            raise Unavailable("The answer ended early. Try again.", retryable=True)
        headers = _headers(response)
        try:
            body = b"".join(unpack(blocks, headers.get("content-encoding", "identity").lower(), ANSWER_MAX))
        except ValueError:
            raise Unavailable("The answer ended early. Try again.", retryable=True) from None
        return Answer(response.status_code, headers, body)


def _headers(response: requests.Response) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def _unavailable(error: BaseException, host: str) -> Unavailable:
    """Say what requests or urllib3 met without their text: it repeats the URL."""
    reason = _root(error)
    if isinstance(reason, ssl.SSLCertVerificationError):
        return Unavailable(
            f"The certificate of {host} cannot be verified. Behind a company proxy, pass its CA file as "
            "Client(ca_bundle=...).",
            sent=False,
        )
    unsent = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)
    return Unavailable(f"{host} {_what(reason)}.", retryable=True, sent=not isinstance(reason, unsent))


def _root(error: BaseException) -> BaseException:
    """Return the innermost network reason of a requests exception."""
    inner: Any = error
    for _ in range(8):
        following = getattr(inner, "reason", None) or getattr(inner, "original_error", None)
        if not isinstance(following, BaseException) and inner.args and isinstance(inner.args[0], BaseException):
            following = inner.args[0]
        if not isinstance(following, BaseException) or isinstance(inner, urllib3.exceptions.NewConnectionError):
            break
        inner = following
    return inner  # type: ignore[no-any-return]


def _what(reason: BaseException) -> str:
    if isinstance(reason, urllib3.exceptions.NameResolutionError):
        return "cannot be found. Check the network and the base URL"
    if isinstance(reason, urllib3.exceptions.NewConnectionError):
        return "does not accept connections. Check the network and the base URL"
    if isinstance(reason, urllib3.exceptions.TimeoutError | TimeoutError):
        return "did not answer in time. Check the network, or raise http_timeout"
    return "broke the connection. Check the network"
