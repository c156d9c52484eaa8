"""What type checkers see. Never run: `mypy tests/typing_api.py` must accept it as it stands."""

from __future__ import annotations

from typing import assert_type

import pandas as pd

import xcompliance_pd as xc


def checked_never_run() -> None:
    posts = pd.DataFrame({"id": ["20"]})

    with xc.Sandbox(seed=1) as box:
        assert_type(box.client, xc.Client)
        assert_type(xc.check(posts, "id", type="tweets", client=box.client, timeout=1.5), pd.DataFrame)
        assert_type(xc.check(posts["id"], client=box.client), pd.DataFrame)
        run = xc.submit(posts, "id", client=box.client, label="panel")
        assert_type(run, xc.Run)
        assert_type(xc.join(posts, "id", run, partial=True), pd.DataFrame)
        assert_type(run.result(timeout=3), pd.DataFrame)
        assert_type(xc.open_run(run.id), xc.Run)
        assert_type(xc.runs(), pd.DataFrame)

    xc.check(posts, "id", type=3)  # type: ignore[arg-type]
    xc.check(posts, "id", "tweets")  # type: ignore[call-arg]
