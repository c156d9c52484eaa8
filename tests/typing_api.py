"""What type checkers see. Never run: `mypy tests/typing_api.py` must accept it as it stands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, assert_type

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

import xcompliance_pd as xc
from xcompliance_pd.accessor import FrameAccessor, SeriesAccessor
from xcompliance_pd.copies import CleanFile
from xcompliance_pd.lifecycle import Snapshot


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
        assert_type(xc.check(posts, "id", client=box.client, max_age="24h"), pd.DataFrame)
        assert_type(xc.submit(posts, "id", client=box.client, max_age=pd.Timedelta(days=7)), xc.Run)
        assert_type(xc.stale(posts, "id", "24h", client=box.client), pd.Series)
        assert_type(xc.diff(posts, posts, "id", prefix="u_"), pd.DataFrame)
        assert_type(xc.jobs("users", status="expired", client=box.client), pd.DataFrame)
        assert_type(xc.attach("20", sent=posts["id"], type="tweets", client=box.client), xc.Run)
        clean = xc.clean_file("a.jsonl", "b.jsonl", types=["tweets"], mode="redact", keep="lang", runs=run)
        assert_type(clean, CleanFile)
        assert_type(clean.counts, pd.DataFrame)
        assert_type(clean.runs, tuple[xc.Run, ...])
        saved = xc.read_results("results.ndjson", checked_at="2026-11-23T20:15:00Z")
        assert_type(saved, xc.SavedResults)
        assert_type(xc.join(posts, "id", saved, sent="ids.txt"), pd.DataFrame)
        assert_type(FrameAccessor(posts).join("id", saved, sent=posts["id"]), pd.DataFrame)

        snapshots: list[Snapshot] = []
        assert_type(run.add_watch(snapshots.append), Callable[[], None])
        assert_type(run.stop(timeout=0), None)

        assert_type(run.applied(), pd.DataFrame)
        assert_type(run.forget(), None)
        assert_type(xc.policy(), str)
        assert_type(xc.policy(run), str)
        assert_type(xc.policy(posts, prefix="compliance_"), str)
        assert_type(FrameAccessor(posts).apply(client=box.client), pd.DataFrame)

        monitor = xc.JobMonitor(run)
        assert_type(monitor, xc.JobMonitor)
        assert_type(monitor.record(), dict[str, str])
        assert_type(monitor.panel, Any)
        assert_type(monitor.close(), None)
        assert_type(xc.RunBrowser(), xc.RunBrowser)
        assert_type(xc.RunBrowser(box.client).panel, Any)
        assert_type(xc.SummaryPanel(posts, "compliance_", column="id"), xc.SummaryPanel)

    # The accessors by their classes, because pandas' own types know nothing of `df.compliance`.
    compliance = FrameAccessor(posts)
    assert_type(compliance.sentence(), str)
    assert_type(compliance.summary(), pd.DataFrame)
    assert_type(compliance.apply(mode="redact", keep=["id"], geo="place", unchecked="drop"), pd.DataFrame)
    assert_type(compliance.changes(invalid="raise", unknown="keep"), pd.DataFrame)
    assert_type(compliance.report("report.html", run, column="id", overwrite=True), None)
    assert_type(compliance.plot.reasons(), Axes)
    assert_type(compliance.plot.status(), Axes)
    assert_type(compliance.plot.timeline("id", shares=False), Axes)
    assert_type(compliance.plot.redaction_delay(), Axes)
    assert_type(compliance.plot.by("lang"), Axes)
    assert_type(compliance.plot.overview("id"), np.ndarray[Any, Any])
    assert_type(compliance.plot.diff("id", posts), Axes)
    assert_type(compliance.diff("id", posts), pd.DataFrame)
    assert_type(compliance.stale("id", "24h"), pd.Series)
    assert_type(SeriesAccessor(posts["id"]).stale("24h", type="users"), pd.Series)
    assert_type(SeriesAccessor(posts["id"]).created_at(), pd.Series)

    xc.JobMonitor(run.id)  # type: ignore[arg-type]
    xc.RunBrowser("client")  # type: ignore[arg-type]
    compliance.apply("redact")  # type: ignore[call-arg]
    compliance.plot.timeline()  # type: ignore[call-arg]
    xc.check(posts, "id", type=3)  # type: ignore[arg-type]
    xc.check(posts, "id", "tweets")  # type: ignore[call-arg]
    xc.check(posts, "id", max_age=24)  # type: ignore[arg-type]
