"""``python -m xcompliance_pd.sandbox``: the sandbox as a server for a terminal, curl, or another language."""

from __future__ import annotations

import argparse
import signal
import threading
from collections.abc import Sequence

from ..errors import InputError
from ..protocol import BASE_URL_VARIABLE, TOKEN_VARIABLES
from .dialects import Dialect
from .server import Server


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(
        prog="python -m xcompliance_pd.sandbox",
        description="A local service that speaks X's batch compliance API. Nothing leaves this machine.",
    )
    parser.add_argument("--port", type=int, default=0, help="port of the API (default: a free one)")
    parser.add_argument(
        "--dialect", choices=tuple(Dialect), default=Dialect.GCS, help="the protocol (default: gcs; xapi is the newer)"
    )
    parser.add_argument("--seed", type=int, default=0, help="another seed, other fates (default: 0)")
    parser.add_argument(
        "--complete-after", type=int, default=2, metavar="K", help="complete at the K-th status request (default: 2)"
    )
    parser.add_argument(
        "--processing-seconds", type=float, default=0, metavar="S", help="and S seconds after the upload (default: 0)"
    )
    options = parser.parse_args(arguments)
    enough = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: enough.set())
    try:
        server = Server(
            dialect=options.dialect,
            complete_after=options.complete_after,
            processing_seconds=options.processing_seconds,
            seed=options.seed,
            port=options.port,
        ).start()
    except InputError as error:
        parser.error(str(error))
    with server:
        print(f"The sandbox answers at {server.url} until Ctrl-C. In another terminal:")
        print(f"export {BASE_URL_VARIABLE}={server.url}")
        print(f"export {TOKEN_VARIABLES[0]}={server.token}", flush=True)
        enough.wait()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
