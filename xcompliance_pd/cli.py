"""The command line: ``xcompliance check FILE COLUMN``, ``runs``, ``resume``, ``sandbox``."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from . import client, frames, tables
from .errors import ComplianceError, InputError
from .local_service import Sandbox
from .summary import summary
from .tables import Table

FAILED, UNPROVED, INTERRUPTED = 1, 3, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, 1 (failed), 2 (usage), 3 (unproved rows), 130 (Ctrl-C)."""
    parsed = _parser().parse_args(arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = _show_warning
        try:
            return int(parsed.run(parsed))
        except ComplianceError as error:
            print(f"xcompliance: {error}", file=sys.stderr)
            return FAILED
        except KeyboardInterrupt:
            return INTERRUPTED
        except BrokenPipeError:
            return FAILED


def _show_warning(message: Warning | str, *details: Any, **more: Any) -> None:
    print(f"note: {message}", file=sys.stderr)


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
    check.add_argument("--label", help="a name for the run")
    check.add_argument("--fresh", action="store_true", help="start anew even if an unfinished run could be continued")
    check.add_argument("--sandbox", action="store_true", help="use a local service with invented verdicts; no account")
    _add_outputs(check)

    runs = commands.add_parser("runs", help="list the runs on this machine")
    runs.set_defaults(run=_runs)

    resume = commands.add_parser("resume", help="continue a run, and write the verdicts beside a file's rows")
    resume.set_defaults(run=_resume)
    resume.add_argument("run_id", metavar="RUN", help="as 'xcompliance runs' lists it")
    resume.add_argument("file", metavar="FILE", nargs="?", help="the file that was checked")
    resume.add_argument("column", metavar="COLUMN", nargs="?")
    _add_outputs(resume)

    sandbox = commands.add_parser("sandbox", help="run a local service that speaks X's protocol, until Ctrl-C")
    sandbox.set_defaults(run=_sandbox)
    sandbox.add_argument("--port", type=int, default=0, help="default: a free one")
    sandbox.add_argument("--seed", type=int, default=0, help="which verdicts it invents")
    return parser


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", metavar="OUT", help="write the joined table: csv, tsv, jsonl or parquet")
    parser.add_argument("--plot", metavar="PNG", help="draw the reasons: png, pdf or svg")


def _check(parsed: argparse.Namespace) -> int:
    table, column = _read(parsed)
    if not parsed.sandbox:
        return _finish(parsed, table, column, _checked(parsed, table, column, client.Client()))
    with Sandbox() as box:
        print("SANDBOX: the verdicts below are invented.", file=sys.stderr)
        return _finish(parsed, table, column, _checked(parsed, table, column, box.client))


def _checked(parsed: argparse.Namespace, table: Table, column: Any, access: client.Client) -> pd.DataFrame:
    return frames.check(table.frame, column, type=parsed.type, client=access, label=parsed.label, fresh=parsed.fresh)


def _resume(parsed: argparse.Namespace) -> int:
    run = client.open_run(parsed.run_id)
    if parsed.file is None:
        if parsed.output or parsed.plot:
            raise InputError("Name the file that was checked, so that the verdicts can be put beside its rows.")
        frames.finish(run)
        findings = run.result()
        print(f"{run.record.ids:,} IDs checked, {findings.loc[findings['sent'], 'id'].nunique():,} listed by X.")
        return 0
    table, column = _read(parsed)
    return _finish(parsed, table, column, frames.join(table.frame, column, run))


def _read(parsed: argparse.Namespace) -> tuple[Table, Any]:
    _check_output(parsed)
    table = tables.read(parsed.file)
    for note in table.notes:
        print(f"note: {note}", file=sys.stderr)
    return table, tables.column(table, parsed.column)


def _check_output(parsed: argparse.Namespace) -> None:
    """Find out before any request whether the outputs can be written."""
    for name in (parsed.output, parsed.plot):
        if name and not Path(name).absolute().parent.is_dir():
            raise InputError(f"The folder of {name} does not exist. Make it first. Nothing was sent.")


def _finish(parsed: argparse.Namespace, table: Table, column: Any, checked: pd.DataFrame) -> int:
    counts = summary(checked)
    print(counts.assign(share=counts["share"].map("{:.2%}".format)).fillna("").to_string(index=False))
    if parsed.output:
        notes = tables.write(table, checked, parsed.output)
        print(f"Wrote {len(checked):,} rows to {parsed.output}.")
        for note in notes:
            print(note)
    if parsed.plot:
        _plot(checked, parsed.plot)
        print(f"Drew {parsed.plot}.")
    unchecked = checked.loc[checked["compliance_status"] == "unchecked", column]
    return UNPROVED if unchecked.notna().any() else 0


def _plot(checked: pd.DataFrame, path: str) -> None:
    """Draw on a Figure of our own: no pyplot, so no window and no backend to choose."""
    from matplotlib.figure import Figure

    from . import charts

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    charts.reasons(checked, figure.subplots())
    try:
        figure.savefig(path, dpi=150)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be drawn ({error}). Use a name that ends in .png, .pdf or .svg.") from None


def _runs(parsed: argparse.Namespace) -> int:
    table = client.runs()
    if table.empty:
        print("There are no runs yet. 'xcompliance check FILE COLUMN' makes one.")
    else:
        print(table.drop(columns="base_url").fillna("").to_string())
    return 0


def _sandbox(parsed: argparse.Namespace) -> int:
    from .sandbox.__main__ import main as serve

    return serve(["--port", str(parsed.port), "--seed", str(parsed.seed)])
