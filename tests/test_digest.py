"""Grades of evidence: what an answer's headers and bytes prove."""

from __future__ import annotations

import base64
import gzip
import hashlib

import google_crc32c
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcompliance_pd.digest import Digest, Grade, damage, grade, hashes_agree, unpack

BODY = b'{"id":"1","action":"delete"}\n'


def crc(body: bytes) -> str:
    return "crc32c=" + base64.b64encode(google_crc32c.Checksum(body).digest()).decode()


def md5(body: bytes) -> str:
    return "md5=" + base64.b64encode(hashlib.md5(body).digest()).decode()


def graded(body: bytes, broken: bool = False, **headers: str) -> Grade:
    digest = Digest(md5=True)
    digest.update(body)
    return grade(digest.received(200, {k.replace("_", "-"): v for k, v in headers.items()}, broken))


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        (BODY, {"content_length": "29", "x_goog_hash": crc(BODY)}, "hash"),
        (BODY, {"x_goog_hash": crc(BODY)}, "hash"),
        (BODY, {"x_goog_hash": f"{crc(BODY)}, {md5(BODY)}"}, "hash"),
        (BODY, {"x_goog_hash": f"{crc(BODY)}, {md5(b'x')}"}, "unproved"),  # any difference counts
        (BODY, {"content_length": "29", "x_goog_hash": "crc32c=????"}, "unproved"),  # unreadable is different
        (BODY, {"content_length": "29", "x_goog_hash": ""}, "unproved"),
        (BODY, {"content_length": "30", "x_goog_hash": crc(BODY)}, "unproved"),
        (BODY, {"content_length": "29"}, "length"),
        (BODY[:-1], {"content_length": "28"}, "unproved"),  # the last line may go on
        (b"", {"content_length": "0"}, "length"),
        (b"", {}, "unproved"),  # a cut inside the headers looks like this
        (b"", {"content_length": ""}, "unproved"),
        (BODY, {}, "unproved"),  # ends when the connection does
        (BODY, {"transfer_encoding": "chunked"}, "framed"),
        (BODY[:-1], {"transfer_encoding": "chunked"}, "unproved"),
        (BODY, {"content_length": "29", "content_encoding": "gzip"}, "unproved"),
        (BODY, {"content_length": "29", "x_goog_stored_content_length": "99"}, "unproved"),
        (BODY, {"x_goog_hash": crc(BODY), "x_goog_stored_content_encoding": "gzip"}, "unproved"),  # transcoded
        (BODY, {"content_length": "29", "content_encoding": "br"}, "unproved"),
    ],
)
def test_grades(body: bytes, headers: dict[str, str], expected: str) -> None:
    """Each kind of evidence gets its grade, and anything that contradicts it gets none."""
    assert graded(body, **headers) == expected


def test_a_broken_connection_proves_nothing() -> None:
    """Even when the headers would match."""
    assert graded(BODY, broken=True, content_length="29") == "unproved"


@given(st.binary(min_size=1, max_size=300), st.data())
def test_every_cut_is_noticed(body: bytes, data: st.DataObject) -> None:
    """Any proper prefix of a body is damaged, with a length as with a hash."""
    cut = data.draw(st.integers(0, len(body) - 1))
    for headers in ({"content-length": str(len(body))}, {"x-goog-hash": crc(body)}):
        digest = Digest()
        digest.update(body[:cut])
        assert damage(digest.received(200, headers)) is not None


def test_upload_hashes() -> None:
    """The service's hashes of our upload agree, differ, or are not there."""
    ours = google_crc32c.Checksum(BODY).digest(), hashlib.md5(BODY).digest()
    assert hashes_agree({"x-goog-hash": f"{crc(BODY)}, {md5(BODY)}"}, *ours) is True
    assert hashes_agree({"x-goog-hash": crc(b"other")}, *ours) is False
    assert hashes_agree({}, *ours) is None


@given(st.lists(st.binary(max_size=2000), min_size=1, max_size=4), st.integers(1, 50))
def test_gzip_members_are_all_unpacked(parts: list[bytes], step: int) -> None:
    """Several gzip members, cut into blocks anywhere, give the whole text."""
    packed = b"".join(gzip.compress(part) for part in parts)
    blocks = [packed[i : i + step] for i in range(0, len(packed), step)]
    assert b"".join(unpack(blocks, "gzip")) == b"".join(parts)


@given(st.binary(max_size=500), st.data())
def test_cut_gzip_is_an_error(body: bytes, data: st.DataObject) -> None:
    """A gzip stream without its end is never taken for whole."""
    packed = gzip.compress(body)
    cut = data.draw(st.integers(0, len(packed) - 1))
    with pytest.raises(ValueError, match="gzip"):
        list(unpack([packed[:cut]], "gzip"))


def test_gzip_bombs_are_refused() -> None:
    """Unpacking stops at the limit instead of filling the memory."""
    with pytest.raises(ValueError, match="over"):
        for _ in unpack([gzip.compress(b"0" * 50_000_000)], "gzip", limit=1_000_000):
            pass
    with pytest.raises(ValueError, match="gzip"):
        list(unpack([gzip.compress(BODY) + b"rubbish"], "gzip"))
