"""The command line: ``xcompliance check FILE COLUMN``, ``apply``, ``runs``, ``jobs``, ``resume``, ``forget`` ..."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import warnings
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from . import asking, cleaning, client, combined, copies, doctor, frames, pieces, protocol, report, saved, tables
from .errors import AuthError, ComplianceError, InputError, RemoteError, WaitTimeout
from .ids import Ints
from .local_service import Sandbox
from .pieces import Outcome, Wanted
from .run import Run
from .summary import plain, runs, summary
from .tables import Table, files
from .verdicts import VERDICT_COLUMNS
from .widgets import card
from .widgets.live import Display

if TYPE_CHECKING:
    from .tables.parquet import Parquet

FAILED, UNPROVED, INTERRUPTED = 1, 3, 130
FIRST_POST = 1212092628029698048  # of made-up ones, for a sandbox
DRAWINGS = (".png", ".pdf", ".svg")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, 1 (failed), 2 (usage), 3 (unproved rows), 130 (Ctrl-C)."""
    parsed = _parser().parse_args(arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = _show_warning
        try:
            status = int(parsed.run(parsed))
            sys.stdout.flush()
            return status
        except ComplianceError as error:
            print(f"xcompliance: {error}", file=sys.stderr)
            if _can_go_on(error):
                _tell_how_to_go_on(parsed, error.run_id)
            if isinstance(error, AuthError) and not error.sent and parsed.run in (_check, _apply):
                print("Or add --sandbox to try this command without an account.", file=sys.stderr)
            return FAILED
        except KeyboardInterrupt as interrupt:
            _tell_how_to_go_on(parsed, getattr(interrupt, "run_id", None))
            return INTERRUPTED
        except BrokenPipeError:
            # Whoever read our output is gone; Python would complain once more when it closes it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED


def _show_warning(message: Warning | str, *details: Any, **more: Any) -> None:
    print(f"note: {message}", file=sys.stderr)


def _can_go_on(error: ComplianceError) -> bool:
    """Whether the run is still good for something; a sandbox that does not answer is gone with its jobs."""
    if isinstance(error, RemoteError):
        return error.status is not None or not (error.run_id or "").startswith("sandbox-")
    return isinstance(error, WaitTimeout | InputError)


def _tell_how_to_go_on(parsed: argparse.Namespace, run_id: str | None) -> None:
    if run_id is None:
        return
    if getattr(parsed, "sandbox", False):
        print("The sandbox of this command is gone, and the run with it. Run the command again.", file=sys.stderr)
        return
    if parsed.run is _apply:
        print(
            "To go on, run the command again: it continues its unfinished runs. 'xcompliance runs' lists them; "
            "--run RUN takes the verdicts of one that is done, without asking X again.",
            file=sys.stderr,
        )
        return
    # A run knows nothing of the other columns; and with an age what is proved already is reused, the run's own, too.
    if any(getattr(parsed, name, None) for name in ("author", "references", "max_age")):
        print("To go on, run the same command again.", file=sys.stderr)
        return
    words = ["xcompliance", "resume", run_id]
    words += [word for word in (parsed.file, parsed.column) if word is not None]
    for option, value in (("-o", parsed.output), ("--plot", parsed.plot), ("--report", parsed.report)):
        words += [option, value] if value else []
    words += ["--excel-safe"] if parsed.excel_safe else []
    words += ["--overwrite"] if parsed.overwrite else []
    print(f"To go on: {shlex.join(words)}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="xcompliance", description="Check lists of X (Twitter) posts or users against X's batch compliance API."
    )
    parser.add_argument("--version", action="version", version=f"xcompliance-pd {version('xcompliance-pd')}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    check = commands.add_parser("check", help="check a file's column of IDs and write the verdicts beside it")
    check.set_defaults(run=_check)
    check.add_argument("file", metavar="FILE", help="csv, tsv, jsonl, parquet, or one ID a line")
    check.add_argument("column", metavar="COLUMN", nargs="?", help="may be left out for a bare list of IDs")
    check.add_argument("--type", choices=["tweets", "posts", "users"], help="what the IDs are")
    check.add_argument("--author", metavar="COLUMN", help="ask about the authors in this column, too")
    check.add_argument(
        "--references",
        metavar="COLUMN",
        nargs="+",
        default=[],
        help="ask about posts that the rows retweet, quote or reply to, in columns named so, or COLUMN=quoted",
    )
    check.add_argument("--label", help="a name for the run")
    check.add_argument("--fresh", action="store_true", help="start anew even if an unfinished run could be continued")
    check.add_argument(
        "--max-age", metavar="AGE", help="send only IDs that were not proved within this time, such as 24h or 7d"
    )
    check.add_argument("--sandbox", action="store_true", help="use a local service with invented verdicts; no account")
    _add_outputs(check)

    apply = commands.add_parser("apply", help="write a copy of a file without what is gone from X")
    apply.set_defaults(run=_apply)
    apply.add_argument("file", metavar="FILE", help="jsonl as twarc writes it or flat, parquet, csv, tsv")
    apply.add_argument("column", metavar="COLUMN", nargs="?", help="with the IDs of a table or of flat records")
    apply.add_argument("-o", "--output", metavar="CLEAN", required=True, help="where to write the copy")
    apply.add_argument("--mode", choices=cleaning.MODES, default="drop", help="what becomes of what is gone")
    apply.add_argument("--keep", metavar="NAME", action="append", default=[], help="redacted rows keep it; repeatable")
    for option in cleaning.OPEN:
        apply.add_argument(f"--{option}", choices=["keep", "drop", "raise"], default="keep", help=f"if it is {option}")
    apply.add_argument("--changes", metavar="CSV", help="write a list of what is done")
    apply.add_argument(
        "--type", choices=["tweets", "posts", "users"], action="append", help="what to ask about; repeatable"
    )
    apply.add_argument("--run", metavar="RUN", action="append", default=[], dest="runs", help="take a run's verdicts")
    apply.add_argument("--max-age", metavar="AGE", help="as in check")
    apply.add_argument("--label", help="a name for the runs")
    apply.add_argument("--fresh", action="store_true", help="start anew even if unfinished runs could be continued")
    apply.add_argument("--sandbox", action="store_true", help="use a local service with invented verdicts; no account")

    listed = commands.add_parser("runs", help="list the runs on this machine")
    listed.set_defaults(run=_runs)

    jobs = commands.add_parser("jobs", help="list the jobs that X knows, for one request")
    jobs.set_defaults(run=_jobs)
    jobs.add_argument("--type", choices=["tweets", "posts", "users"], default="tweets", help="which jobs")

    check_up = commands.add_parser(
        "doctor", help="make one tiny job, and tell whether X's service still is what this package relies on"
    )
    check_up.set_defaults(run=_doctor)
    check_up.add_argument("ids", metavar="ID", nargs="*", help="default: two posts of X's own documentation")
    check_up.add_argument("--type", choices=["tweets", "posts", "users"], default="tweets", help="what the IDs are")
    check_up.add_argument("--yes", action="store_true", help="do not ask before requests are made")
    check_up.add_argument("--sandbox", action="store_true", help="examine the sandbox instead; no account")
    check_up.add_argument("--dialect", choices=["gcs", "xapi"], default="gcs", help="which one the sandbox speaks")

    resume = commands.add_parser("resume", help="continue a run, and write the verdicts beside a file's rows")
    resume.set_defaults(run=_resume)
    resume.add_argument("run_id", metavar="RUN", help="as 'xcompliance runs' lists it")
    resume.add_argument("file", metavar="FILE", nargs="?", help="the file that was checked")
    resume.add_argument("column", metavar="COLUMN", nargs="?")
    resume.add_argument("--partial", action="store_true", help="take what there is; the rest stays unchecked")
    _add_outputs(resume)

    forget = commands.add_parser("forget", help="delete a run's IDs and results from this machine; its counts stay")
    forget.set_defaults(run=_forget)
    forget.add_argument("run_id", metavar="RUN", help="as 'xcompliance runs' lists it")

    sandbox = commands.add_parser("sandbox", help="run a local service that speaks X's protocol, until Ctrl-C")
    sandbox.set_defaults(run=_sandbox)
    sandbox.add_argument("--port", type=int, default=0, help="default: a free one")
    sandbox.add_argument("--seed", type=int, default=0, help="which verdicts it invents")
    sandbox.add_argument(
        "--dialect", choices=("gcs", "xapi"), default="gcs", help="xapi: X's protocol since September 2026"
    )
    return parser


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", metavar="OUT", help="write the joined table: csv, tsv, jsonl or parquet")
    parser.add_argument("--plot", metavar="PNG", help="draw the reasons: png, pdf or svg")
    parser.add_argument("--report", metavar="HTML", help="write a page for a reviewer: counts, charts, provenance")
    parser.add_argument(
        "--excel-safe", action="store_true", help="put an apostrophe before text in OUT that a spreadsheet would run"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace verdict columns that FILE has already")


def _check(parsed: argparse.Namespace) -> int:
    data, column = _read(parsed)
    if not parsed.sandbox:
        return _check_with(client.Client(), parsed, data, column)
    with Sandbox() as box:
        return _check_with(box.client, parsed, data, column)


def _check_with(access: client.Client, parsed: argparse.Namespace, data: Table | Parquet, column: Any) -> int:
    options = {
        "type": None if parsed.author else parsed.type,
        "client": access,
        "label": parsed.label,
        "overwrite": parsed.overwrite,
        "fresh": parsed.fresh,
        "max_age": parsed.max_age,
    }
    if not isinstance(data, Table):
        return _finish(parsed, column, pieces.check(data, column, _wanted(parsed), **options))
    if parsed.author and parsed.type == "users":
        raise InputError("--author goes with a column of posts. Leave --type out.")
    author = tables.column(data, parsed.author) if parsed.author else None
    if parsed.author and author == column:
        raise InputError("--author names the column of the posts itself. Name the one of their authors.")
    both = {column: "tweets", author: "users"} if parsed.author else column
    references = dict(_reference(data, name) for name in parsed.references)
    checked = frames.check(data.frame, both, references=references, **options)
    names = runs(checked).index  # that of posts first, then that of authors, then others that are reused
    asked = [access.open_run(name) for name in names]
    outcome = _written(parsed, data, column, checked, asked[0] if asked else None)
    return _finish(parsed, column, replace(outcome, others=tuple(asked[1:])))


def _reference(table: Table, word: str) -> tuple[Any, str | None]:
    """Return a column, and in which way its posts are referred to if the word says so: COLUMN or COLUMN=KIND."""
    name, _, kind = word.rpartition("=")
    return (tables.column(table, name), kind) if kind in combined.KINDS and name else (tables.column(table, word), None)


def _apply(parsed: argparse.Namespace) -> int:
    if not parsed.sandbox:
        return _apply_with(None, parsed)
    with Sandbox() as box:
        return _apply_with(box.client, parsed)


def _apply_with(access: client.Client | None, parsed: argparse.Namespace) -> int:
    clean = copies.clean_file(
        parsed.file,
        parsed.output,
        parsed.column,
        types=parsed.type,
        mode=parsed.mode,
        keep=parsed.keep,
        unchecked=parsed.unchecked,
        invalid=parsed.invalid,
        unknown=parsed.unknown,
        changes=parsed.changes,
        runs=[client.open_run(run) for run in parsed.runs],
        client=access or client.Client(),
        label=parsed.label,
        fresh=parsed.fresh,
        max_age=parsed.max_age,
    )
    if any(run.startswith("sandbox-") for run in clean.named):
        print(card.SANDBOX)
    print(copies.told(clean.counts))
    print(f"Wrote {parsed.output}.")
    for note in clean.notes:
        print(note)
    return UNPROVED if clean.unproved else 0


def _resume(parsed: argparse.Namespace) -> int:
    run = client.open_run(parsed.run_id)
    if parsed.file is None:
        if parsed.output or parsed.plot or parsed.report:
            raise InputError("Name the file that was checked, so that the verdicts can be put beside its rows.")
        asking.finish(run)
        snapshot = run.snapshot()
        print(card.line(snapshot))
        return UNPROVED if snapshot.unproved or snapshot.undecided else 0
    data, column = _read(parsed)
    options = {"overwrite": parsed.overwrite, "partial": parsed.partial}
    if not isinstance(data, Table):
        return _finish(parsed, column, pieces.join(data, column, _wanted(parsed), run, **options))
    checked = frames.join(data.frame, column, run, **options)
    return _finish(parsed, column, _written(parsed, data, column, checked, run))


def _read(parsed: argparse.Namespace) -> tuple[Table | Parquet, Any]:
    """Read or open the file, after finding out before any request whether the outputs can be written."""
    if parsed.output:
        tables.check_target(parsed.output)
    if parsed.plot:
        if Path(parsed.plot).suffix.lower() not in DRAWINGS:
            raise InputError(f"{parsed.plot} cannot be drawn. Use a name that ends in .png, .pdf or .svg.")
        files.check_folder(parsed.plot)
    if parsed.report:
        report.check_target(parsed.report)
    several = getattr(parsed, "author", None) or getattr(parsed, "references", None)
    source = None if several else tables.in_pieces(parsed.file, parsed.output)
    if source is not None:
        head = Table(source.head(), "parquet", (), False, source.path)
        return source, tables.column(head, parsed.column)
    table = tables.read(parsed.file)
    for note in table.notes:
        print(f"note: {note}", file=sys.stderr)
    return table, tables.column(table, parsed.column)


def _wanted(parsed: argparse.Namespace) -> Wanted:
    """Return what is to be made of a file that passes in pieces, with the columns that charts and report read."""
    plot = ("status", "reason", "checked_at", "run") if parsed.plot else ()
    return Wanted(parsed.output, parsed.excel_safe, (*VERDICT_COLUMNS, "id") if parsed.report else plot)


def _written(parsed: argparse.Namespace, table: Table, column: Any, checked: pd.DataFrame, run: Run | None) -> Outcome:
    """Write a table that is in memory as a whole, and return what came of it."""
    runs = checked["compliance_run"].dropna().astype(str)
    try:
        written = tables.spreadsheet_safe(checked, column) if parsed.excel_safe else checked
        notes = tables.write(table, written, parsed.output) if parsed.output else ()
    except InputError as error:
        error.run_id = next(iter(runs), None) if run is None else run.id
        raise
    unchecked = checked.loc[checked["compliance_status"] == "unchecked", column].notna().any()
    referring = asking.PREFIX + combined.REFERENCES
    if referring in checked.columns:
        unchecked |= combined.refers_to(checked[referring], "unchecked", combined.KINDS).any()
    return Outcome(summary(checked), len(checked), not runs.empty, bool(unchecked), run, checked, notes)


def _finish(parsed: argparse.Namespace, column: Any, outcome: Outcome) -> int:
    """Tell what came out. The verdicts are written already, so they are safe whatever goes wrong here."""
    run = outcome.run
    if outcome.named and run is not None and run.id.startswith("sandbox-"):
        print(card.SANDBOX)
    counts = outcome.counts.astype({"status": object, "action": object, "reason": object})
    print(copies.told(counts.assign(share=counts["share"].map("{:.2%}".format))))
    if parsed.output:
        print(f"Wrote {outcome.rows:,} rows to {parsed.output}.")
        for note in outcome.notes:
            print(note)
    if parsed.plot:
        _plot(outcome.frame, parsed.plot)
        print(f"Drew {parsed.plot}.")
    if parsed.report:
        posts = run is not None and run.type == "tweets"
        given = None if run is None else [run, *outcome.others]
        report.write(outcome.frame, parsed.report, given, column=column if posts else None, overwrite=True)
        print(f"Wrote {parsed.report}.")
    return UNPROVED if outcome.unproved else 0


def _plot(checked: pd.DataFrame, path: str) -> None:
    """Draw on a Figure of our own: no pyplot, so no window and no backend to choose."""
    from matplotlib.figure import Figure

    from . import charts

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    charts.reasons(checked, figure.subplots())
    try:
        figure.savefig(path, dpi=150)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror or error}). Choose another place.") from None


def _runs(parsed: argparse.Namespace) -> int:
    table = client.runs()
    if table.empty:
        print("There are no runs yet. 'xcompliance check FILE COLUMN' makes one.")
    else:
        cells = table.drop(columns="base_url").astype(object)
        print(cells.where(cells.notna(), "").to_string())
    return 0


def _forget(parsed: argparse.Namespace) -> int:
    run = client.open_run(parsed.run_id)
    run.forget()
    print(f"Deleted the IDs and results of {run.id} from this machine; nothing at X changed.")
    print("What stays tells no ID: its counts, times, checksums and label, and the record of what was done with it.")
    return 0


def _jobs(parsed: argparse.Namespace) -> int:
    table = client.Client().jobs(parsed.type)
    if table.empty:
        print(f"X lists no job of the type {parsed.type}.")
    else:
        print(table.astype(object).map(lambda cell: "" if pd.isna(cell) else plain(str(cell))).to_string(index=False))
    return 0


def _doctor(parsed: argparse.Namespace) -> int:
    kind = protocol.job_type(parsed.type)
    if not parsed.ids and kind is protocol.JobType.USERS and not parsed.sandbox:
        raise InputError("Name one or two user IDs to examine the service with: xcompliance doctor --type users ID")
    examples = [str(FIRST_POST + n * 4_194_304_007) for n in range(40)] if parsed.sandbox else doctor.EXAMPLE_POSTS
    ids = saved.sent_ids(parsed.ids or list(examples))
    if parsed.sandbox:
        with Sandbox(dialect=parsed.dialect) as box:
            return _examined(box.client, ids, kind)
    access = client.Client()
    if not parsed.yes:
        print(f"This makes one job of {len(ids)} IDs at {access.base_url}: {doctor.cost()}.")
        print("X may charge for each. The job stays in X's list. Go on? [y/N] ", end="", flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            print("Nothing was sent.")
            return FAILED
    return _examined(access, ids, kind)


def _examined(access: client.Client, ids: Ints, kind: protocol.JobType) -> int:
    display = Display.choose()
    found = doctor.examine(access, ids, kind, watch=display)
    print(found)
    return 0 if found.clean else UNPROVED


def _sandbox(parsed: argparse.Namespace) -> int:
    from .sandbox.__main__ import main as serve

    return serve(["--port", str(parsed.port), "--seed", str(parsed.seed), "--dialect", parsed.dialect])
