"""Signed URLs with the anatomy of Google's V4 ones, so that the URL is the only credential of the byte paths.

The steps are those of cloud.google.com/storage/docs/authentication/canonical-requests; only the signature
itself is a keyed hash of this server instead of X's RSA key.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote, unquote, urlencode, urlsplit

from .refusals import StorageError

ALGORITHM = "GOOG4-RSA-SHA256"
_ACCOUNT = "complianceapi-sandbox@example.iam.gserviceaccount.com"
_SIGNATURE_BYTES = 256  # 512 hex digits, as recorded 2021-10
_PARAMETERS = ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature")
_DATE = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True)
class Signer:
    """Makes and checks signed URLs with one random key.

    Parameters
    ----------
    key : bytes, optional
        The secret; by default 32 random bytes.
    """

    key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    def url(self, origin: str, path: str, method: str, headers: Mapping[str, str], at: int, expires: int) -> str:
        """Return the URL that allows `method` on `path` with exactly these headers, `expires` seconds from `at`."""
        date = datetime.fromtimestamp(at, UTC).strftime(_DATE)
        signed = {**headers, "host": urlsplit(origin).netloc}
        query = urlencode(
            {
                "X-Goog-Algorithm": ALGORITHM,
                "X-Goog-Credential": f"{_ACCOUNT}/{date[:8]}/auto/storage/goog4_request",
                "X-Goog-Date": date,
                "X-Goog-Expires": str(expires),
                "X-Goog-SignedHeaders": ";".join(sorted(signed)),
            },
            quote_via=quote,
            safe="",
        )
        _, to_sign = _canonical(method, path, query, signed)
        return f"{origin}{path}?{query}&X-Goog-Signature={self._sign(to_sign)}"

    def check(self, method: str, target: str, headers: Mapping[str, str], now: float) -> None:
        """Raise StorageError unless the request is the one that was signed and still in time.

        `headers` has lower-case names. The order of the checks is a guess.
        """
        path, _, query = target.partition("?")
        pairs = [pair for pair in query.split("&") if pair]
        values = {name: unquote(value) for name, _, value in (pair.partition("=") for pair in pairs)}
        try:
            _, _, date, expires, names, signature = (values[f"X-Goog-{name}"] for name in _PARAMETERS)
            deadline = datetime.strptime(date, _DATE).replace(tzinfo=UTC).timestamp() + int(expires)
            until = datetime.fromtimestamp(deadline, UTC).isoformat()
        except KeyError:
            raise StorageError(403, "AccessDenied", "Access denied.") from None  # guess: 401 is as likely
        except (ValueError, OverflowError, OSError):
            raise StorageError(400, "InvalidArgument", "Invalid argument.") from None  # guess
        signed = {}
        for name in names.split(";"):
            if name not in headers:
                raise StorageError(
                    400,
                    "MalformedSecurityHeader",
                    "Your request has a malformed header.",
                    ParameterName=name,
                    Details="Header was included in signedheaders, but not in the request.",
                )
            signed[name] = headers[name]
        if now >= deadline:
            raise StorageError(
                400,
                "ExpiredToken",
                "The provided token has expired.",
                Details=f"Request signature expired at: {until}",
            )
        unsigned = "&".join(pair for pair in pairs if not pair.startswith("X-Goog-Signature="))
        canonical, to_sign = _canonical(method, path, unsigned, signed)
        if not hmac.compare_digest(self._sign(to_sign).encode(), signature.encode()):
            raise StorageError(
                403,
                "SignatureDoesNotMatch",
                "Access denied.",
                Details="The request signature we calculated does not match the signature you provided. "
                "Check your Google secret key and signing method.",
                StringToSign=to_sign,
                CanonicalRequest=canonical,
            )

    def _sign(self, text: str) -> str:
        blocks = (hmac.digest(self.key, bytes([n]) + text.encode(), "sha256") for n in range(_SIGNATURE_BYTES // 32))
        return b"".join(blocks).hex()


def _canonical(method: str, path: str, query: str, signed: Mapping[str, str]) -> tuple[str, str]:
    """Return the canonical request and the string to sign."""
    names = sorted(signed)
    ordered = sorted(query.split("&"))
    values = dict(pair.partition("=")[::2] for pair in ordered)
    lines = [method, path, "&".join(ordered)]
    lines += [f"{name}:{signed[name]}" for name in names]
    canonical = "\n".join([*lines, "", ";".join(names), "UNSIGNED-PAYLOAD"])
    scope = unquote(values.get("X-Goog-Credential", "")).partition("/")[2]
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    return canonical, "\n".join([ALGORITHM, values.get("X-Goog-Date", ""), scope, digest])
