"""The wire: where credentials go, what is never followed, what an answer is worth, and what errors say."""

from __future__ import annotations

import base64
import logging
import pickle
import traceback
from pathlib import Path

import google_crc32c
import pandas as pd
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from support import RawServer, answer, quick

import xcompliance_pd as xc
from xcompliance_pd import digest, protocol
from xcompliance_pd.protocol import JobType, Received, Secret
from xcompliance_pd.transport import FileBody, Transport

TOKEN = "canary-token-0123456789"
SIGNATURE = "canary-signature-0123456789"


def transport(url: str) -> Transport:
    return Transport(url, lambda: Secret(TOKEN), (5.0, 5.0))


def fetched(*answers: bytes) -> Received:
    with RawServer(*answers) as server:
        return transport(server.url).get(
            Secret(f"{server.url}/o?X-Goog-Signature={SIGNATURE}"), lambda block: None, 10**6
        )


def test_the_token_goes_to_the_api_only(box: xc.Sandbox) -> None:
    """In a whole check the storage host sees no Authorization header, and the API always does."""
    xc.check(pd.DataFrame({"id": ["1212092628029698048"]}), "id", client=quick(box))
    assert box.service.requests["upload"] == box.service.requests["download"] == 1
    assert box.service.authorized_byte_requests == 0


@pytest.mark.parametrize("hosts", ["default", "machine api.x.com", "machine storage.googleapis.com"])
def test_netrc_is_never_used(hosts: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither host gets credentials from ~/.netrc, and our Bearer header is not replaced by them."""
    (tmp_path / "netrc").write_text(f"{hosts} login a password netrc-secret")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    (tmp_path / "ids").write_bytes(b"20\n")
    sent: list[requests.PreparedRequest] = []

    def catch(self: object, request: requests.PreparedRequest, **options: object) -> None:
        sent.append(request)
        raise requests.ConnectionError  # what matters has been seen, and nothing may leave this machine

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", catch)
    wire, stored = transport("https://api.x.com"), Secret("https://storage.googleapis.com/b/o?X-Goog-Signature=0")
    for attempt in (
        lambda: wire.send(protocol.list_jobs(JobType.TWEETS)),
        lambda: wire.get(stored, lambda block: None, 10),
        lambda: wire.put(stored, FileBody(tmp_path / "ids")),
    ):
        with pytest.raises(xc.Unavailable):
            attempt()
    assert [request.headers.get("Authorization") for request in sent] == [f"Bearer {TOKEN}", None, None]


def test_the_upload_is_what_the_signature_covers(tmp_path: Path) -> None:
    """Content-Type is exactly text/plain, the length is known, nothing is chunked or encoded."""
    (tmp_path / "ids").write_bytes(b"20\n21\n")
    with RawServer(answer(Content_Length="0")) as server:
        transport(server.url).put(Secret(f"{server.url}/o?a=b%2Fc"), FileBody(tmp_path / "ids"))
    head = server.seen[0]
    assert head.startswith(b"PUT /o?a=b%2Fc HTTP/1.1\r\n")
    assert b"\r\nContent-Type: text/plain\r\n" in head
    assert b"\r\nContent-Length: 6\r\n" in head
    assert b"ransfer-encoding" not in head.lower()


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"])
def test_redirects_are_never_followed(status: str, tmp_path: Path) -> None:
    """No verb follows a redirect; the error says so and names no target."""
    (tmp_path / "ids").write_bytes(b"20\n")
    with RawServer(answer()) as target:
        redirect = answer(status=status, Location=f"{target.url}/elsewhere", Content_Length="0")
        with RawServer(redirect) as server:
            wire = transport(server.url)
            request = protocol.list_jobs(JobType.TWEETS)
            with pytest.raises(xc.UnexpectedResponse, match="never followed"):
                protocol.decipher(request, wire.send(request))
            with pytest.raises(xc.UnexpectedResponse, match="never followed"):
                wire.get(Secret(f"{server.url}/o"), lambda block: None, 10**6)
            put = wire.put(Secret(f"{server.url}/o"), FileBody(tmp_path / "ids"))
            with pytest.raises(xc.UnexpectedResponse, match="never followed"):
                protocol.decipher_bytes("Uploading", put.status, put.headers, put.body)
        assert target.seen == []


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://storage.googleapis.com/b/o?x=1", True),
        ("https://b.storage.googleapis.com/o", True),
        ("https://api.x.com/2/compliance/jobs/1/upload?token=t", True),
        ("https://api.x.com:443/o", True),
        ("http://storage.googleapis.com/b/o", False),
        ("https://storage.googleapis.com:8443/o", False),
        ("https://storage.googleapis.com.evil.example/o", False),
        ("https://evil.example/o", False),
        ("https://user@storage.googleapis.com/o", False),
        ("https://169.254.169.254/latest", False),
        ("http://127.0.0.1:9/o", False),
        ("https://storage.googleapis.com:99999/o", False),
        ("https://[::1/o", False),
        ("file:///etc/passwd", False),
        ("//storage.googleapis.com/o", False),
        ("", False),
    ],
)
def test_where_bytes_may_go(url: str, allowed: bool) -> None:
    """A signed URL comes from the server and is trusted only on the hosts that X names."""
    if allowed:
        protocol.check_byte_url(Secret(url), "https://api.x.com")
    else:
        with pytest.raises(xc.UnexpectedResponse, match="nothing was sent"):
            protocol.check_byte_url(Secret(url), "https://api.x.com")


def test_every_cut_of_a_whole_answer_is_seen() -> None:
    """An answer cut after any byte, headers included, either raises or proves nothing."""
    body = b'{"id":"20","action":"delete"}\n{"id":"21","action":"delete"}\n'
    hash_ = "crc32c=" + base64.b64encode(google_crc32c.Checksum(body).digest()).decode()
    whole = answer(body, Content_Type="application/octet-stream", x_goog_hash=hash_, Content_Length=str(len(body)))
    assert digest.grade(fetched(whole)) is digest.Grade.HASH
    for cut in range(len(whole)):
        try:
            received = fetched(whole[:cut])
        except xc.RemoteError:
            continue
        assert digest.grade(received) is digest.Grade.UNPROVED, whole[:cut]


def test_short_bodies_are_kept_but_broken() -> None:
    """What came before a cut is in the sink, and the answer says that it broke."""
    blocks: list[bytes] = []
    with RawServer(answer(b"half", Content_Length="8")) as server:
        received = transport(server.url).get(Secret(f"{server.url}/o"), blocks.append, 10**6)
    assert b"".join(blocks) == b"half"
    assert received.broken


def test_a_refused_connection_was_surely_not_sent() -> None:
    """Nothing listens: the error knows that no request left, names the host and no URL."""
    with RawServer(b"") as server:
        url = server.url
    with pytest.raises(xc.Unavailable, match="does not accept connections") as caught:
        transport(url).send(protocol.create_job(JobType.TWEETS, "n"))
    assert (caught.value.sent, caught.value.retryable) == (False, True)


def test_a_lost_answer_may_have_been_sent() -> None:
    """The connection closes without an answer: a job may exist, so the error says sent."""
    with RawServer(b"") as server, pytest.raises(xc.Unavailable) as caught:
        transport(server.url).send(protocol.create_job(JobType.TWEETS, "n"))
    assert caught.value.sent


def test_no_error_tells_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    """Message, traceback with locals, DEBUG log, repr and pickle of failed requests hold no token and no signature."""
    caplog.set_level(logging.DEBUG)
    texts: list[str] = []
    with RawServer(b"") as server:
        wire, url = transport(server.url), Secret(f"{server.url}/o?X-Goog-Signature={SIGNATURE}")
        for attempt in (lambda: wire.get(url, print, 10**6), lambda: wire.send(protocol.list_jobs(JobType.USERS))):
            with pytest.raises(xc.Unavailable) as caught:
                attempt()
            error = caught.value
            assert error.__context__ is None
            texts += ["".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())]
            texts += [str(error), repr(error), repr(vars(error)), repr(wire.__dict__)]
    evil = Secret(f"https://evil.example/o?X-Goog-Signature={SIGNATURE}")
    with pytest.raises(xc.UnexpectedResponse) as refused:
        protocol.check_byte_url(evil, "https://api.x.com")
    texts += ["".join(traceback.TracebackException.from_exception(refused.value, capture_locals=True).format())]
    texts += [caplog.text]
    assert any("connectionpool" in record.name for record in caplog.records)
    for text in texts:
        assert TOKEN not in text
        assert SIGNATURE not in text
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(url)


def test_storage_errors_show_their_code_only() -> None:
    """A SignatureDoesNotMatch body repeats the signed query; only its code reaches the message."""
    xml = f"<Error><Code>SignatureDoesNotMatch</Code><StringToSign>{SIGNATURE}</StringToSign></Error>".encode()
    with pytest.raises(xc.Refused, match="SignatureDoesNotMatch") as caught:
        fetched(answer(xml, status="403 Forbidden", Content_Length=str(len(xml))))
    assert SIGNATURE not in str(caught.value)
    assert caught.value.code == "SignatureDoesNotMatch"


def test_api_errors_by_fault() -> None:
    """Each status becomes the error of whose fault it is, with the service's own words, shortened and cleaned."""
    cases = [
        ("401 Unauthorized", '{"title":"Unauthorized","type":"about:blank","status":401}', xc.AuthError),
        ("403 Forbidden", '{"title":"Client Forbidden","detail":"enroll\\u0007 your app"}', xc.AuthError),
        ("400 Bad Request", '{"errors":[{"message":"bad name"}],"title":"Invalid Request"}', xc.Refused),
        ("429 Too Many", '{"errors":[{"code":88,"message":"Rate limit exceeded"}]}', xc.RateLimited),
        ("503 Service Unavailable", "<html>down</html>", xc.Unavailable),
        ("200 OK", "<html>log in to the hotel</html>", xc.UnexpectedResponse),
        ("200 OK", '["a list"]', xc.UnexpectedResponse),
        ("204 No Content", "", xc.UnexpectedResponse),
    ]
    request = protocol.list_jobs(JobType.TWEETS)
    for status, body, expected in cases:
        with RawServer(answer(body.encode(), status=status, Content_Length=str(len(body)))) as server:
            with pytest.raises(xc.RemoteError) as caught:
                protocol.decipher(request, transport(server.url).send(request))
        assert type(caught.value) is expected, status
        assert str(caught.value).isprintable()


@given(st.text(max_size=400))
def test_foreign_text_is_made_fit(text: str) -> None:
    """Whatever a server writes, what reaches a message is short and printable."""
    clean = protocol.redact(text)
    assert len(clean) <= 300
    assert clean.isprintable() or clean == ""


def test_echoed_secrets_are_cut_out() -> None:
    """A server that repeats a token or signed URL does not get it into a message."""
    token = "AAAAAAAAAAAAAAAAAAAAAMLheAAAAAAA0%2BuSeid%2BULvsea4JtiGRiSDSJSI"
    clean = protocol.redact(f"bad token {token} for https://h/p?X-Goog-Signature=abc")
    assert token[:32] not in clean
    assert "Signature" not in clean


def test_base_urls() -> None:
    """https anywhere, http on this machine only, and nothing that smuggles credentials."""
    assert protocol.base_url("https://api.x.com/") == "https://api.x.com"
    assert protocol.base_url("http://127.0.0.1:8080") == "http://127.0.0.1:8080"
    for wrong in (
        "http://api.x.com",
        "api.x.com",
        "ftp://127.0.0.1",
        "https://me:pw@api.x.com",
        "https://a/?q=1",
        "https://a:b",
        "",
    ):
        with pytest.raises(xc.InputError, match=r"https://api\.x\.com"):
            protocol.base_url(wrong)
