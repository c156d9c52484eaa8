"""The two ways in which X's service has spoken; both are real, and a client must not care which it meets.

``gcs``, since 2021: bytes go to Google's storage, at V4 signed URLs; storage answers in XML; no job can be cancelled.
Description: https://docs.x.com/x-api/compliance/batch-compliance/quickstart and openapi.json 2.166.

``xapi``, since September 2026: bytes go to the API's own origin, ``/2/compliance/jobs/{id}/upload`` and ``/download``
with a token; all errors are problem+json; DELETE cancels a job. Description: openapi.json 2.167, and the text of
https://github.com/xdevplatform/docs/pull/410, whose reference pages carry 2.168. Of that only the pull request's text
and excerpts of the pages could be read, so much of this dialect is marked "guess".
"""

from __future__ import annotations

from enum import StrEnum

from ..errors import InputError


class Dialect(StrEnum):
    """Which of the two the sandbox speaks."""

    GCS = "gcs"
    XAPI = "xapi"


def named(word: str) -> Dialect:
    """Return the dialect of that name.

    Examples
    --------
    >>> named("xapi").value
    'xapi'
    """
    try:
        return Dialect(word)
    except ValueError:
        raise InputError(f"The sandbox speaks the dialects 'gcs' and 'xapi', not {word!r}. Use one of these.") from None
