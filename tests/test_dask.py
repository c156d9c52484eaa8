"""Dask frames: what pandas gives on the same rows, sent once, joined as often as Dask likes, and never with a token."""

from __future__ import annotations

import dataclasses
import inspect
import os
import pickle
import re
import subprocess
import sys
import weakref
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from distributed import Client as Cluster
from distributed import LocalCluster
from support import quick

import xcompliance_pd as xc
from xcompliance_pd import asking, dask_frames, outcome
from xcompliance_pd.accessor import FrameAccessor
from xcompliance_pd.ids import parse, survey
from xcompliance_pd.ledger import Ledger
from xcompliance_pd.lifecycle import Phase
from xcompliance_pd.protocol import ACTIONS, REASONS
from xcompliance_pd.verdicts import VERDICT_COLUMNS

# Dask's own, when it reads Parquet with the newest pandas
pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword:DeprecationWarning")

FIRST = 1212092628029698048
# The run, and with it the second of the check, are another one's.
SAME = [f"compliance_{name}" for name in VERDICT_COLUMNS if name not in ("run", "checked_at")]


def posts(count: int) -> pd.DataFrame:
    """Return rows with duplicates within and across partitions."""
    ids = FIRST + np.arange(count, dtype=np.int64) * 4_194_304_007
    ids[count // 2 :: 7] = ids[0]
    return pd.DataFrame({"n": np.arange(count, dtype="int32"), "id": ids.astype(str), "text": "t"})


def requests(box: xc.Sandbox) -> Counter[str]:
    return Counter(box.service.requests)


def same(lazy: Any, eager: pd.DataFrame) -> None:
    """Assert that the verdicts are those of pandas, on the same rows in the same order."""
    computed = lazy.compute()
    pd.testing.assert_frame_equal(computed[SAME], eager[SAME])
    assert computed["n"].tolist() == eager["n"].tolist()
    assert (computed["compliance_run"].isna() == eager["compliance_run"].isna()).all()
    assert (computed["compliance_checked_at"].isna() == eager["compliance_checked_at"].isna()).all()


# --------------------------------------------------------------------------- the same as pandas


@pytest.mark.parametrize("dtype", ["str", "object", "int64", "Int64", "string[pyarrow]", "int64[pyarrow]"])
@pytest.mark.parametrize(("partitions", "divided"), [(1, True), (7, True), (7, False)])
def test_verdicts_are_those_of_pandas(box: xc.Sandbox, dtype: str, partitions: int, divided: bool) -> None:
    """For each type of ID column, with and without known divisions, rows and verdicts are those of the pandas check."""
    frame = posts(200)
    frame["id"] = frame["id"].astype("int64").astype(dtype)
    frame.index = pd.Index(np.arange(200) // 3 * 2, name="odd")
    ddf = dd.from_pandas(frame, npartitions=partitions)
    ddf = ddf if divided else ddf.clear_divisions()

    checked = ddf.compliance.check("id", client=quick(box, batch_size=60))

    same(checked, frame.compliance.check("id", client=quick(box, batch_size=60)))
    assert checked.divisions == ddf.divisions
    assert checked.known_divisions == divided
    computed = checked.compute()
    pd.testing.assert_frame_equal(computed[["n", "id", "text"]], ddf.compute())
    assert computed.dtypes.equals(checked.dtypes)
    assert computed["compliance_run"].cat.categories.tolist() == checked["compliance_run"].cat.categories.tolist()


def test_missing_and_invalid_rows(box: xc.Sandbox) -> None:
    """Rows without a value or an ID get pandas' verdicts; one warning tells the total and where the first ones are."""
    frame = posts(60)
    frame.loc[[3, 40], "id"] = None
    frame.loc[[5, 30, 31, 50], "id"] = [" 12", "1.4e+18", "", "https://x.com/a/status/123"]
    with pytest.warns(xc.ComplianceWarning, match="4 of 60 rows"):
        eager = frame.compliance.check("id", client=quick(box))
    ddf = dd.from_pandas(frame, npartitions=6)
    with pytest.warns(xc.ComplianceWarning, match=r"4 of 60 rows .*partition 0, row 5: .* and 1 more") as seen:
        checked = ddf.compliance.check("id", client=quick(box))
    assert len(seen) == 1
    assert seen[0].filename == __file__
    same(checked, eager)

    problems = ddf.compliance.problems("id")
    computed = problems.compute()
    assert computed.index.tolist() == [5, 30, 31, 50]
    assert computed["row"].tolist() == [5, 0, 1, 0]
    assert computed["problem"].tolist() == frame.compliance.problems("id")["problem"].tolist()
    assert [part.dtypes.equals(problems.dtypes) for part in dask.compute(*problems.to_delayed())] == [True] * 6

    with pytest.raises(xc.InputError, match=r"4 of 60 rows .*Nothing was sent"):
        ddf.compliance.check("id", client=quick(box), on_invalid="raise")
    assert requests(box)["create"] == 2


def test_words_that_nobody_knows_are_categories_everywhere(box: xc.Sandbox) -> None:
    """Unknown actions, reasons and errors are kept, and all partitions and the meta have pandas' categories."""
    frame = posts(40)
    ids = frame["id"].tolist()
    lines = [
        f'{{"id":"{ids[2]}","action":"delete","reason":"zzz"}}',
        f'{{"id":"{ids[11]}","action":"freeze","reason":"aaa"}}',
        f'{{"id":"{ids[15]}","error":"mystery"}}',
    ]
    with xc.Sandbox(findings=lines, complete_after=1) as odd:
        eager = frame.compliance.check("id", client=quick(odd))
        checked = dd.from_pandas(frame, npartitions=4).compliance.check("id", client=quick(odd, batch_size=10))
    same(checked, eager)
    for name, words in (("action", [*ACTIONS, "freeze"]), ("reason", [*REASONS, "aaa", "zzz", "mystery"])):
        everywhere = [checked, *dask.compute(*checked.to_delayed())]
        assert [part[f"compliance_{name}"].cat.categories.tolist() for part in everywhere] == [words] * 5


def test_reading_the_outcome(box: xc.Sandbox) -> None:
    """summary, flagged, compliant and created_at agree with pandas, also from Parquet; what needs all rows says so."""
    frame = posts(100)
    frame.loc[9, "id"] = None
    eager = frame.compliance.check("id", client=quick(box))
    checked = dd.from_pandas(frame, npartitions=5).compliance.check("id", client=quick(box))
    pd.testing.assert_frame_equal(checked.compliance.summary(), eager.compliance.summary())
    same(checked.compliance.flagged(), eager.compliance.flagged())
    same(checked.compliance.compliant(), eager.compliance.compliant())
    times = checked.compliance.created_at("id")
    pd.testing.assert_series_equal(times.compute(), frame["id"].compliance.created_at())
    with pytest.raises(xc.InputError, match="user IDs"):
        checked.rename(columns={"id": "author_id"}).compliance.created_at("author_id")
    for name in ("plot", "report", "sentence"):
        with pytest.raises(AttributeError, match=rf"no compliance\.{name}.*sample"):
            getattr(checked.compliance, name)
    with pytest.raises(xc.InputError, match="no column 'compliance_status'"):
        dd.from_pandas(frame, npartitions=5).compliance.summary()


def test_two_summaries_make_one() -> None:
    """Unknown words of different parts are sorted among each other, and no status is lost or doubled."""
    whole = pd.DataFrame(
        {
            "compliance_status": ["action_required"] * 3 + ["compliant"],
            "compliance_action": ["b", "delete", "a", None],
            "compliance_reason": ["y", "deleted", "x", None],
        }
    )
    parts = dd.from_pandas(whole, npartitions=2)
    pd.testing.assert_frame_equal(parts.compliance.summary(), whole.compliance.summary())


# --------------------------------------------------------------------------- sent once, joined often


@pytest.mark.parametrize("scheduler", ["sync", "threads", "processes"])
def test_computing_asks_nobody(box: xc.Sandbox, scheduler: str) -> None:
    """However often the frame is computed, also with the service gone: no request, and the same rows."""
    frame = posts(60)
    checked = dd.from_pandas(frame, npartitions=3).compliance.check("id", client=quick(box, batch_size=25))
    before = requests(box)
    assert before["create"] == 3
    box.stop()
    with dask.config.set(scheduler=scheduler, num_workers=2):
        first, again = checked.compute(), checked.compute()
    pd.testing.assert_frame_equal(first, again)
    assert set(first["compliance_status"]) == {"compliant", "action_required"}
    assert requests(box) == before


def test_a_cluster_of_two_processes(box: xc.Sandbox, tmp_path: Path) -> None:
    """On a distributed cluster the driver alone sends, the workers join, and computing again asks nobody."""
    frame = posts(120)
    eager = frame.compliance.check("id", client=quick(box))
    before = requests(box)
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", local_directory=str(tmp_path / "d")
        ) as cluster,
        Cluster(cluster),
    ):
        checked = dd.from_pandas(frame, npartitions=6).compliance.check("id", client=quick(box, batch_size=50))
        sent = requests(box)
        assert sent["create"] == before["create"] + 3
        same(checked, eager)
        same(checked.persist(), eager)
        pd.testing.assert_frame_equal(checked.compliance.summary(), eager.compliance.summary())
        (tmp_path / "home").rename(tmp_path / "elsewhere")
        with pytest.raises(xc.LedgerError, match="on a disk that all workers share"):
            checked.compute()
    assert requests(box) == sent


def test_the_graph_holds_no_token(box: xc.Sandbox) -> None:
    """Neither the frame nor its graph, as they are sent to workers, holds the token or the service's address."""
    checked = dd.from_pandas(posts(30), npartitions=3).compliance.check("id", client=quick(box))
    sent = [cloudpickle.dumps(thing) for thing in (checked, dict(checked.optimize().__dask_graph__()))]
    for data in sent:
        assert checked["compliance_run"].cat.categories[0].encode() in data  # it is the graph that was searched
        assert box.token.encode() not in data
        assert box.url.encode() not in data


def test_nothing_is_called_before_it_is_computed(box: xc.Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dask calls the join neither on dummy rows nor to plan: only when a partition is computed, once for each."""
    rows: list[int] = []
    join = dask_frames._with_verdicts

    def counted(part: pd.DataFrame, *arguments: Any, **others: Any) -> pd.DataFrame:
        rows.append(len(part))
        return join(part, *arguments, **others)

    monkeypatch.setattr(dask_frames, "_with_verdicts", counted)
    checked = dd.from_pandas(posts(40), npartitions=4).compliance.check("id", client=quick(box))
    some = checked[checked["compliance_status"] == "compliant"][["n"]].repartition(npartitions=2)
    assert rows == []
    assert len(some.compute(scheduler="sync")) > 0
    assert rows == [10] * 4


class Watched:
    """Partitions of ten rows that note when they are read: number, columns, and requests that were made by then."""

    def __init__(self, box: xc.Sandbox, frame: pd.DataFrame) -> None:
        self.box, self.frame = box, frame
        self.read: list[tuple[int, list[str] | None, int]] = []

    def __call__(self, number: int, columns: list[str] | None = None) -> pd.DataFrame:
        self.read.append((number, columns, sum(requests(self.box).values())))
        part = self.frame.iloc[number * 10 : number * 10 + 10]
        return part if columns is None else part[columns]

    def __dask_tokenize__(self) -> str:
        return self.box.url


def test_ids_are_computed_one_partition_at_a_time_and_then_sent(box: xc.Sandbox) -> None:
    """Only the ID column is read, each partition once and in order, and nothing is sent before the last."""
    source = Watched(box, posts(40))
    ddf = dd.from_map(source, range(4), meta=source.frame.iloc[:0])
    with dask.config.set(scheduler="sync"):
        ddf.compliance.check("id", client=quick(box))
    assert source.read == [(number, ["id"], 0) for number in range(4)]


def test_the_ids_of_parts_that_are_on_disk_are_let_go(box: xc.Sandbox) -> None:
    """While a run is begun, no more parts are in memory than it takes to fill a batch."""
    alive: list[int] = []
    made: list[weakref.ref[Any]] = []

    def parts() -> Iterator[Any]:
        for number in range(8):
            alive.append(sum(ref() is not None for ref in made))
            column = pd.Series(FIRST + np.arange(number * 100, number * 100 + 100))
            part = survey(parse(column, "id"), column, 1.8e9)
            made.append(weakref.ref(part.ids))
            yield part

    settings: Any = {"type": None, "client": quick(box, batch_size=100), "label": None}
    run, _ = asking.begin(parts, "id", "problems", on_invalid="mark", fresh=False, **settings)
    assert run is not None
    assert max(alive) <= 2


@pytest.mark.parametrize("partitions", [1, 4])
def test_nothing_of_a_run_stays_in_memory(box: xc.Sandbox, partitions: int) -> None:
    """After a check the client holds neither IDs nor findings, and in several parts it held none of them before."""
    client, held = quick(box, batch_size=10), []
    ddf = dd.from_pandas(posts(40), npartitions=partitions)
    run = ddf.compliance.submit("id", client=client)
    run.add_watch(lambda snapshot: held.append(sum(map(len, client._runner._held.values()))))
    checked = ddf.compliance.join("id", run)
    assert len(checked.compute()) == 40
    assert len(held) > 4
    assert (max(held) > 0) == (partitions == 1)
    assert client._runner._held == client._runner._kept == {}


# --------------------------------------------------------------------------- frames that were cut otherwise


def test_after_the_check_dask_may_cut_the_frame_as_it_likes(box: xc.Sandbox) -> None:
    """Repartitioned, persisted, filtered or taken by partition, the rows keep their verdicts."""
    frame = posts(90)
    eager = frame.compliance.check("id", client=quick(box))
    checked = dd.from_pandas(frame, npartitions=6).compliance.check("id", client=quick(box, batch_size=20))
    same(checked.repartition(npartitions=2), eager)
    same(checked.persist(), eager)
    same(checked.partitions[4], eager.iloc[60:75])
    same(checked[checked["n"] > 50], eager[eager["n"] > 50])
    empty = dd.from_pandas(frame, npartitions=6)
    empty = empty[empty["n"] > 70]
    same(empty.compliance.check("id", client=quick(box)), eager[eager["n"] > 70])


@pytest.mark.parametrize("filesystem", ["fsspec", "arrow"])
def test_parquet_files_that_dask_reads_several_at_once(box: xc.Sandbox, tmp_path: Path, filesystem: str) -> None:
    """Where Dask reads several files as one partition, because few columns are wanted, the verdicts stay the same."""
    frame = posts(90).assign(**{f"other{n}": n for n in range(20)})
    for number in range(9):
        frame.iloc[number * 10 : number * 10 + 10].to_parquet(tmp_path / f"{number}.parquet")
    ddf = dd.read_parquet(tmp_path, filesystem=filesystem)[["id", "n"]]
    checked = ddf.compliance.check("id", client=quick(box, batch_size=20))
    assert checked.optimize().npartitions < checked.npartitions == 9
    eager = frame.compliance.check("id", client=quick(box))
    computed = checked.compute().sort_values("n", ignore_index=True)  # Dask may read the files in another order
    pd.testing.assert_frame_equal(computed[SAME], eager[SAME])
    pd.testing.assert_frame_equal(checked.compliance.summary(), eager.compliance.summary())


def test_only_the_batches_that_hold_a_partition_are_read(box: xc.Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A partition that lies in one batch costs one batch, also when Dask counts partitions from another place."""
    frame = posts(40).drop_duplicates("id")
    ddf = dd.from_pandas(frame, npartitions=4)
    checked = ddf.compliance.check("id", client=quick(box, batch_size=10))
    numbers: list[int] = []
    read = Ledger.read_ids

    def noted(ledger: Ledger, run_id: str, batch: Any) -> bytes:
        numbers.append(batch.number)
        return read(ledger, run_id, batch)

    monkeypatch.setattr(Ledger, "read_ids", noted)
    checked.compute(scheduler="sync")
    assert sorted(numbers) == [1, 2, 3, 4]
    numbers.clear()
    checked.partitions[2].compute(scheduler="sync")
    assert numbers == [3]


def test_runs_of_pandas_and_of_dask_join_either_frame(box: xc.Sandbox) -> None:
    """A run made from a pandas frame joins a Dask frame and the reverse; rows it does not hold stay unchecked."""
    frame = posts(50)
    ddf = dd.from_pandas(frame, npartitions=5)
    run = frame.head(30).compliance.submit("id", client=quick(box, batch_size=12))
    same(ddf.compliance.join("id", run), frame.compliance.join("id", run))
    run = ddf.partitions[:3].compliance.submit("id", client=quick(box, batch_size=12), label="some")
    eager = frame.compliance.join("id", run)
    same(ddf.compliance.join("id", run), eager)
    assert run.label == "some"
    assert set(eager["compliance_status"]) == {"compliant", "action_required", "unchecked"}
    with pytest.raises(xc.InputError, match="join needs a run"):
        ddf.compliance.join("id", run.id)


def test_a_partial_join_stays_what_it_was(box: xc.Sandbox) -> None:
    """Batches that end after a partial join change nothing in it: the same frame twice is the same rows."""
    frame = posts(30).drop_duplicates("id")
    ddf = dd.from_pandas(frame, npartitions=3)
    client = quick(box, batch_size=10)
    run = ddf.compliance.submit("id", client=quick(box, batch_size=10))
    run.stop()
    while not any(batch.phase is Phase.DONE for batch in run.record.batches):
        client._runner.advance(run.id)
    done = sum(batch.phase is Phase.DONE for batch in run.record.batches)
    partial = ddf.compliance.join("id", run, partial=True)
    first = partial.compute()
    run.wait(30)
    assert (first["compliance_status"] == "unchecked").any() == (done < len(run.record.batches))
    pd.testing.assert_frame_equal(partial.compute(), first)
    same(ddf.compliance.join("id", run), frame.compliance.join("id", run))


# --------------------------------------------------------------------------- refused, and loudly


def broken(number: int) -> pd.DataFrame:
    raise AssertionError("this partition must not be computed")


def test_existing_columns_and_bad_columns_are_refused_before_anything_is_computed(box: xc.Sandbox) -> None:
    """What the frame's columns tell is told at once: no partition is computed, nothing is sent."""
    meta = pd.DataFrame({"id": ["1"], "author_id": ["1"], "when": pd.to_datetime(["2020"]), "compliance_run": [""]})
    ddf = dd.from_map(broken, range(3), meta=meta.iloc[:0])
    for column, match in (
        ("id", "compliance_run exist already"),
        ("author_id", "looks like user IDs"),
        ("when", "cannot hold IDs"),
        ("ids", "Did you mean 'id'"),
    ):
        with pytest.raises(xc.InputError, match=match):
            ddf.compliance.check(column, client=quick(box), prefix="compliance_" if column == "id" else "x_")
    with pytest.raises(xc.InputError, match=r"import xcompliance_pd\.dask_frames"):
        xc.check(ddf, "id", client=quick(box))
    with pytest.raises(xc.InputError, match="client= needs a Client"):
        ddf.compliance.check("id", client="token", prefix="x_")
    assert not requests(box)


def test_overwrite_replaces_the_columns_in_place(box: xc.Sandbox) -> None:
    """overwrite=True gives the new run's verdicts in the same columns; the frame that was checked keeps its own."""
    checked = dd.from_pandas(posts(20), npartitions=2).compliance.check("id", client=quick(box))
    again = checked.compliance.check("id", client=quick(box), overwrite=True)
    assert list(again.columns) == list(checked.columns)
    old, new = checked.compute(), again.compute()
    assert set(old["compliance_run"].dropna()) & set(new["compliance_run"].dropna()) == set()
    pd.testing.assert_frame_equal(old[SAME], new[SAME])


def test_floats_that_lost_digits_are_refused_with_their_partition(box: xc.Sandbox, tmp_path: Path) -> None:
    """One damaged partition, and be it the last, refuses the column: nothing is sent, and nothing of the run stays."""
    frame = pd.DataFrame({"id": [20.0, 21.0, 22.0, float(FIRST)]})
    with pytest.raises(xc.InputError, match=r"In partition 1: .*already lost \(index 3"):
        dd.from_pandas(frame, npartitions=2).compliance.check("id", type="tweets", client=quick(box))
    assert not requests(box)
    assert list((tmp_path / "home" / "runs").iterdir()) == []


def test_what_looks_like_users_is_judged_by_all_partitions(box: xc.Sandbox) -> None:
    """A partition of old posts alone is fine; if most IDs of the whole column are hardly posts, a type is needed."""
    old = pd.DataFrame({"id": np.arange(1000, 1010)})
    new = pd.DataFrame({"id": FIRST + np.arange(30)})
    mostly_posts = dd.concat([dd.from_pandas(frame, npartitions=1) for frame in (old, new)])
    assert len(mostly_posts.compliance.check("id", client=quick(box)).compute()) == 40
    mostly_old = dd.concat([dd.from_pandas(frame, npartitions=1) for frame in (old, new.head(5))])
    before = requests(box)
    with pytest.raises(xc.InputError, match="67% of the IDs"):
        mostly_old.compliance.check("id", client=quick(box))
    assert requests(box) == before
    assert mostly_old.compliance.submit("id", type="users", client=quick(box)).type == "users"


def test_no_id_at_all_asks_nothing(box: xc.Sandbox) -> None:
    """A column without any ID is a warning and unchecked rows, an error for submit; no request is made."""
    ddf = dd.from_pandas(pd.DataFrame({"id": pd.Series([None] * 6, dtype="string"), "n": range(6)}), npartitions=3)
    with pytest.warns(xc.ComplianceWarning, match="nothing was sent"):
        checked = ddf.compliance.check("id", client=quick(box))
    assert checked["compliance_status"].compute().tolist() == ["unchecked"] * 6
    with pytest.raises(xc.InputError, match="nothing to submit"):
        ddf.compliance.submit("id", client=quick(box))
    assert not requests(box)


def test_a_ledger_that_is_gone_or_changed_gives_no_verdict(box: xc.Sandbox, tmp_path: Path) -> None:
    """A process that does not see the run's folder, or sees other results, raises; rows are never just unchecked."""
    checked = dd.from_pandas(posts(20), npartitions=2).compliance.check("id", client=quick(box))
    home = tmp_path / "home"
    home.rename(tmp_path / "elsewhere")
    for scheduler in ("threads", "processes"):
        with pytest.raises(xc.LedgerError, match="on a disk that all workers share") as caught:
            checked.compute(scheduler=scheduler, num_workers=1)
        assert caught.value.run_id == checked["compliance_run"].cat.categories[0]
    (tmp_path / "elsewhere").rename(home)
    (results,) = home.glob("runs/*/results-1.ndjson")
    results.write_bytes(results.read_bytes()[:-200])
    with pytest.raises(xc.LedgerError, match="changed after it was written"):
        checked.compute()


def test_a_source_that_is_not_what_it_was_gives_no_verdict(box: xc.Sandbox) -> None:
    """Unseen, with a word it does not know (which would become missing) or without a batch, a source refuses."""
    frame = posts(20)
    run = frame.compliance.submit("id", client=quick(box)).wait(30)
    ids = parse(frame["id"], "id")
    source = run.source()
    assert pickle.loads(pickle.dumps(source)) == source
    assert source.verdicts(ids, None)["reason"].notna().any()
    with pytest.raises(xc.LedgerError, match="cannot be seen from here"):  # whatever the system has against it
        dataclasses.replace(source, home="/" + "x" * 300).verdicts(ids, None)
    with pytest.raises(xc.LedgerError, match="other words"):
        dataclasses.replace(source, reasons=()).verdicts(ids, None)
    with pytest.raises(xc.LedgerError, match="Join it again"):
        dataclasses.replace(source, batches=(1, 2)).verdicts(ids, None)


@pytest.mark.parametrize("name", ["check", "submit", "join", "problems", "summary", "flagged", "compliant"])
def test_the_arguments_are_those_of_pandas(name: str) -> None:
    """A method takes the same arguments on both kinds of frames: names, kinds and defaults.

    All but `sent` of `join`, which goes with a result file, and what asks about several columns at once (`references`
    and dicts, which `join` takes in the place of a run): a Dask frame is checked column by column.
    """
    ours, theirs = (
        {k: (v.kind, v.default) for k, v in inspect.signature(getattr(accessor, name)).parameters.items()}
        for accessor in (dask_frames.DaskFrameAccessor, FrameAccessor)
    )
    assert (theirs.pop("sent", None) is not None) == (name == "join")
    assert (theirs.pop("references", None) is not None) == (name in ("check", "submit", "join"))
    if name == "join":
        assert theirs["run"] == (inspect.Parameter.POSITIONAL_OR_KEYWORD, None)
        theirs["run"] = ours["run"]
    assert ours == theirs


def test_a_result_file_is_refused_and_the_way_on_told(tmp_path: Path) -> None:
    """A Dask frame does not take a result file; the message says what does."""
    (tmp_path / "results.jsonl").write_text('{"id":"1","action":"delete","reason":"deleted"}\n')
    lazy = dd.from_pandas(pd.DataFrame({"id": ["1"]}), npartitions=1)
    with pytest.raises(xc.InputError, match=r"result file .* pandas frame"):
        lazy.compliance.join("id", xc.read_results(tmp_path / "results.jsonl"))


def test_the_example_of_the_docs_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The code of docs/dask.md runs as it stands, on a folder of Parquet files, and writes every row with a verdict."""
    (tmp_path / "posts").mkdir()
    for number in range(3):
        posts(30).to_parquet(tmp_path / "posts" / f"{number}.parquet")
    monkeypatch.chdir(tmp_path)
    text = (Path(__file__).parents[1] / "docs" / "dask.md").read_text()
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(block, {})
    written = pd.read_parquet(tmp_path / "checked")
    assert len(written) == 90
    assert set(written["compliance_status"]) == {"compliant", "action_required"}


def test_the_benchmark_finds_every_row_right() -> None:
    """benchmarks/dask_run.py, on 20,000 rows in three files, compares all rows with the truth and finds them right."""
    root = Path(__file__).parents[1]
    command = [sys.executable, str(root / "benchmarks" / "dask_run.py"), "--rows", "2e4", "--partitions", "3"]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert "20,000 rows in 3 files" in done.stdout
    assert "every row is right" in done.stdout


def test_registering_again_changes_nothing(recwarn: pytest.WarningsRecorder) -> None:
    """Registering twice, as autoreload does, neither warns nor replaces the accessor."""
    before = dd.DataFrame.compliance
    dask_frames.register()
    assert dd.DataFrame.compliance is before is dask_frames.DaskFrameAccessor
    assert not recwarn.list


def test_overwrite_takes_away_what_an_earlier_check_added(box: xc.Sandbox) -> None:
    """Cause, references and parts of a check of pandas are not true beside new verdicts."""
    frame = posts(6).assign(author_id=["7"] * 6)
    first = frame.compliance.check(
        {"id": "tweets", "author_id": "users"}, references={"id": "quoted"}, client=quick(box)
    )
    again = dd.from_pandas(first, npartitions=2).compliance.check(
        "id", type="tweets", client=quick(box), overwrite=True
    )
    left = [name for name in again.compute().columns if name.startswith("compliance_")]
    assert left == [f"compliance_{name}" for name in VERDICT_COLUMNS]
    assert left == [name for name in again.columns if name.startswith("compliance_")]


def test_a_frame_that_could_tell_more_is_told_so(box: xc.Sandbox) -> None:
    """As with pandas: authors and retweets are columns that nobody asked about."""
    frame = posts(4).assign(author_id=["7"] * 4)
    with pytest.warns(xc.ComplianceWarning, match="X may not list posts whose author's account is gone"):
        dd.from_pandas(frame, npartitions=2).compliance.check("id", client=quick(box))


@pytest.mark.parametrize("unproved", [1, 2])
def test_what_one_batch_does_not_prove_another_may(unproved: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ID in two batches, of which one proved nothing and lists nothing, has the other's verdict on every row."""
    ids = [str(FIRST + n) for n in range(3)]
    frame = pd.DataFrame({"id": [ids[0], ids[1], ids[1], ids[2]]})
    whole = outcome._covered

    def covered(ledger: Any, run: Any, batch: Any, *rest: Any) -> Any:
        told = whole(ledger, run, batch, *rest)
        return dataclasses.replace(told, findings=told.findings[:0], proved=False) if batch.number == unproved else told

    found = f'{{"id":"{ids[1]}","action":"delete","reason":"deleted"}}'
    with xc.Sandbox(findings=[found], complete_after=1) as far:
        run = dd.from_pandas(frame, npartitions=2).compliance.submit("id", client=quick(far, batch_size=2))
        assert len(run.wait().record.batches) == 2
        monkeypatch.setattr(outcome, "_covered", covered)
        checked = dd.from_pandas(frame, npartitions=2).compliance.join("id", run).compute(scheduler="synchronous")
    status = ["compliant", "action_required", "action_required", "compliant"]
    status[0 if unproved == 1 else 3] = "unchecked"
    assert checked["compliance_status"].tolist() == status
