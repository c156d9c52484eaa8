"""Send what a program says to X to another address instead, without a change in that program."""

from __future__ import annotations

from typing import Any

import requests
from requests.adapters import HTTPAdapter

X_HOSTS = ("https://api.twitter.com", "https://api.x.com")


class Elsewhere(HTTPAdapter):
    """Sends requests for X's API hosts to `base_url`; path, query, headers and body stay as they are."""

    def __init__(self, base_url: str) -> None:
        super().__init__()
        self._base_url = base_url

    def send(self, request: requests.PreparedRequest, *arguments: Any, **options: Any) -> requests.Response:
        for host in X_HOSTS:
            if request.url and request.url.startswith(f"{host}/"):
                request.url = self._base_url + request.url.removeprefix(host)
        return super().send(request, *arguments, **options)


def redirected(session: requests.Session, base_url: str) -> requests.Session:
    """Return the session, which from now on reaches `base_url` for X."""
    for host in X_HOSTS:
        session.mount(host, Elsewhere(base_url))
    return session


def redirected_sessions(base_url: str) -> type[requests.Session]:
    """Return a kind of session for programs that make their own: each is redirected from its start."""

    class Session(requests.Session):
        def __init__(self) -> None:
            super().__init__()
            redirected(self, base_url)

    return Session
