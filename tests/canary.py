"""A watch over the whole test run: no artefact of it may hold a token or a signature that a sandbox gave out.

`tests/conftest.py` starts it. It learns every token and every signature of the session's sandboxes, and at the end
searches what the tests printed and logged (DEBUG), how they failed, and every file they left: ledgers, tables,
notebooks. A finding fails the session.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import watches

from xcompliance_pd.protocol import Secret
from xcompliance_pd.sandbox import Server
from xcompliance_pd.sandbox.sessions import Sessions
from xcompliance_pd.sandbox.signing import Signer
from xcompliance_pd.transport import Transport


class Canary:
    """Learns secrets, collects texts, and finds the one in the other."""

    def __init__(self) -> None:
        self.secrets: set[str] = set()
        self.texts: list[tuple[str, str]] = []
        self.read = 0

    def learn(self) -> None:
        """Hear of every token, signature and session that is made from now on."""
        make, sign, start = Server.__init__, Signer._sign, Sessions.start
        canary = self

        def init(server: Server, *arguments: object, **settings: object) -> None:
            make(server, *arguments, **settings)  # type: ignore[arg-type]
            canary.secrets.add(server.token)

        def signed(signer: Signer, text: str) -> str:
            signature = sign(signer, text)
            canary.secrets.add(signature)
            return signature

        def started(sessions: Sessions, job_id: str) -> str:
            upload_id = start(sessions, job_id)
            canary.secrets.add(upload_id)
            return upload_id

        Sessions.start = started  # type: ignore[method-assign]
        Server.__init__ = init  # type: ignore[method-assign]
        Signer._sign = signed  # type: ignore[method-assign]

    def found(self, folders: Iterable[Path]) -> list[str]:
        """Return where a secret stands: names of tests and files, never the secret."""
        places = []
        for name, text in [*self.texts, *self._files(folders)]:
            self.read += 1
            if not self.secrets.isdisjoint(_WORD.findall(text)):
                places.append(name)
        return places

    @staticmethod
    def _files(folders: Iterable[Path]) -> Iterator[tuple[str, str]]:
        for folder in folders:
            for path in folder.rglob("*"):
                if path.is_file() and not path.is_symlink() and path.stat().st_size < 50_000_000:
                    yield str(path), path.read_bytes().decode("utf-8", "replace")

    # ----------------------------------------------------------------- hooks of pytest

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for title, text in report.sections:
            self.texts.append((f"{report.nodeid} ({title})", text))
        if report.longrepr:
            self.texts.append((f"{report.nodeid} (how it failed)", str(report.longrepr)))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if not watches.alone(session):
            return
        places = self.found([session.config._tmp_path_factory.getbasetemp()])  # type: ignore[attr-defined]
        text = f"canary: {len(self.secrets):,} secrets, {self.read:,} artefacts read, found in {len(places)}"
        lines = [f"  a token or signature stands in {place}" for place in places[:20]]
        watches.tell(session, "\n".join([text, *lines]), bad=bool(places))


# Tokens and signatures are long runs of these characters, so words of that kind are compared, not the whole text.
_WORD = re.compile(r"[A-Za-z0-9_-]{20,}")


def watch(config: pytest.Config) -> None:
    """Start the watch for a session."""
    # The sandbox's own tests use requests as it is, whose log tells URLs; the first transport makes it mind them.
    Transport("https://api.x.com", lambda: Secret(""), (1.0, 1.0)).close()
    canary = Canary()
    canary.learn()
    config.pluginmanager.register(canary, "canary")
