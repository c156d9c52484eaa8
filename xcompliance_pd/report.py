"""A checked frame as one HTML page that a reviewer or an ethics board can read, keep and print.

The page stands alone: no script, no style sheet, font or picture from elsewhere, and a policy in its head that tells
the browser to load none. It holds counts, words, times and checksums; no ID of a post or user, no token, no path.
It is well-formed XML, so that a machine can read it as well.
"""

from __future__ import annotations

import base64
import contextlib
import io
import os
import platform
import shutil
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from . import charts
from .cleaning import CHANGES
from .errors import InputError
from .lifecycle import Batch, Phase, RunRecord, Snapshot
from .protocol import redact
from .run import Run
from .runner import Clock
from .summary import columns, given, percent, plain, runs, sentence, summary
from .widgets import card

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SUFFIXES = (".html", ".htm")
NOTHING = "\N{EN DASH}"
DISTRIBUTIONS = ("xcompliance-pd", "pandas", "numpy", "requests", "matplotlib")

STATUSES = {
    "compliant": "The ID was sent, the service took the whole list, and its results, proved whole, do not name it. "
    "X says of such an ID that it can be assumed to be in compliance. Where the row names a saved file or an attached "
    "job, the upload or the results were not seen, and this rests on the word of whoever gave them.",
    "action_required": "The service named the ID. The action is what X asks the keeper of the data to do, the reason "
    "is why; both are X's own words.",
    "unchecked": "Nothing is known: the cell is empty, or the results were not proved, or X told an error for the ID. "
    "Unchecked never counts as compliant.",
    "invalid": "The cell holds something that is no ID. It was not sent.",
}
GRADES = {
    "hash": "The service's own checksum of the results matched what was received.",
    "length": "The results have exactly the length that the service announced, and end with a whole line.",
    "framed": "The service announced no length; two downloads, each ended properly, were identical.",
    "given": "Nothing speaks against it, but the list of IDs, or the results, were given by somebody and not seen "
    "to be exchanged: compliance rests on that word.",
    "unproved": "None of these. What the results name is used; what they do not name stays unchecked.",
}
UPLOADS = {
    "hash": "the service's checksum of what arrived matched",
    "answer": "the service answered 200 and named no checksum",
    "status": "the answer was lost, but the job went on, which it does only with a list",
    "attached": "none: the job was made elsewhere, and which IDs were sent was said by whoever attached it",
    None: "none",
}


def write(
    frame: pd.DataFrame,
    path: str | os.PathLike[str],
    run: Run | Iterable[Run] | Mapping[Any, Run] | None = None,
    *,
    column: Hashable | None = None,
    prefix: str = "compliance_",
    overwrite: bool = False,
) -> None:
    """Write a checked frame's outcome, and where it comes from, as a self-contained HTML page.

    Parameters
    ----------
    frame : DataFrame
        What ``check`` or ``join`` returned, or the same reloaded from a file.
    path : str or path
        Ends in .html; the file appears at once, whole.
    run : Run, or list or dict of them, optional
        The run that the verdicts come from, ``xc.open_run(...)``: its ledger record tells jobs, checksums and how the
        results were proved. If posts and authors were asked about, both, as ``submit`` returns them. Without any the
        page says that no such record was given.
    column : label, optional
        The column of post IDs, or of times; then what needs action is drawn over time as well, as
        ``plot.timeline(column)`` does.
    prefix : str
        The prefix given to ``check`` or ``join``.
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    InputError
        The frame has no verdict columns, its rows do not name a run that is given, or the file cannot be written or
        exists already. Nothing was written.

    Examples
    --------
    >>> import pandas as pd, tempfile, xcompliance_pd as xc
    >>> from pathlib import Path
    >>> posts = pd.DataFrame({"id": ["1212092628029698048", "1212092628029698049"]})
    >>> with tempfile.TemporaryDirectory() as folder, xc.Sandbox() as box:
    ...     run = posts.compliance.submit("id", client=box.client)
    ...     checked = posts.compliance.join("id", run)
    ...     checked.compliance.report(f"{folder}/report.html", run)
    ...     page = Path(f"{folder}/report.html").read_text(encoding="utf-8")
    >>> run.id in page, "invented" in page, "1212092628029698048" in page
    (True, True, False)
    """
    target = _target(path, overwrite)
    named = runs(frame, prefix)
    told = [_told(each, named) for each in _given(run)]
    _replace(target, _page(frame, told, named, column, prefix).encode())


class _Told(NamedTuple):
    """What the ledger tells of one run."""

    record: RunRecord
    snapshot: Snapshot
    applied: pd.DataFrame


def _given(run: object) -> list[Run]:
    several = list(run.values()) if isinstance(run, Mapping) else run
    several = [several] if isinstance(several, Run) else several
    if several is None:
        return []
    if isinstance(several, str) or not isinstance(several, Iterable):
        several = [None]
    found = [each for each in several if isinstance(each, Run)]
    if len(found) < len(list(several)):
        raise InputError("A report needs the run itself: run=xc.open_run('...'); xc.runs() lists them.")
    return found


def _told(run: Run, named: pd.DataFrame) -> _Told:
    record = run.record
    if len(named) and record.id not in named.index:
        raise InputError(
            f"The rows of this frame were checked by {', '.join(named.index[:3])}, not by {record.id}. Pass that run: "
            f"run=xc.open_run({named.index[0]!r})."
        )
    return _Told(record, _shown(run.snapshot(), named), run.applied())


def check_target(path: str | os.PathLike[str]) -> None:
    """Raise InputError unless a report can be written there, as far as a look tells; a file may be there already."""
    _target(path, overwrite=True)


def _shown(snapshot: Snapshot, named: pd.DataFrame) -> Snapshot:
    """Return what the page's card shows: verdicts that stand in the table were joined."""
    if snapshot.state == "stopped":
        return replace(snapshot, note="")  # why a run was stopped may name folders of this machine
    joined = snapshot.state == "done" and snapshot.run_id in named.index
    return replace(snapshot, stage="joined") if joined else snapshot


# --------------------------------------------------------------------------- the file


def _target(path: str | os.PathLike[str], overwrite: bool) -> Path:
    if not isinstance(path, str | os.PathLike):
        raise InputError(
            f"A report is written to a file, not to a {type(path).__name__}. Name it first: report('report.html', run)."
        )
    target = Path(path).expanduser()
    if target.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path} is no name for a report, which is an HTML page. Use a name that ends in .html.")
    if target.is_dir():
        raise InputError(f"{path} is a folder. Name a file to write to.")
    if not target.absolute().parent.is_dir():
        raise InputError(f"The folder of {path} does not exist. Make the folder first.")
    if target.exists() and not overwrite:
        raise InputError(f"{path} exists already; nothing was written. Use overwrite=True, or choose another name.")
    return target.resolve()  # of a symbolic link, the file is replaced and not the link


def _replace(path: Path, data: bytes) -> None:
    """Put a file in its place at once, or leave everything as it was."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror or error}). Choose another place; nothing there was changed."
        ) from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


# --------------------------------------------------------------------------- the page


def _page(
    frame: pd.DataFrame,
    told: Sequence[_Told],
    named: pd.DataFrame,
    column: Hashable | None,
    prefix: str,
) -> str:
    label = next((f": {plain(one.record.label, 200)}" for one in told if one.record.label), "")
    title = _text(f"Compliance report{label}")
    body = [
        f"<h1>{title}</h1>",
        _banner(named, told),
        f'<p class="lead">{_text(sentence(frame, prefix)).replace(" %", NO_BREAK + "%")}</p>',
        _section("What came out", _counts(frame, prefix)),
        _section("What was not proved", _list(_unproved(frame, told, named, prefix))),
        _section("Figures", *_figures(frame, column, prefix)),
        _section("What the words mean", _words("Status of a row", STATUSES), _words("Evidence for a result", GRADES)),
        _section("Where the verdicts come from", _runs(named), *_provenance(told)),
        _section("What was done with it", *_done(told)),
        _section("Made with", _software()),
    ]
    head = (
        '<meta charset="utf-8"/><meta name="viewport" content="width=device-width, initial-scale=1"/>'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"/><title>{title}</title><style>{STYLE}</style>'
    )
    main = "\n".join(part for part in body if part)
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body><main>\n{main}\n</main></body></html>\n'


def _banner(named: pd.DataFrame, told: Sequence[_Told]) -> str:
    invented = [*named["sandbox"], *(one.record.sandbox for one in told)]
    if not any(invented):
        return ""
    some = "" if all(invented) else " Some of the rows are real, some are not."
    return f'<p class="banner" role="note">{_text(card.SANDBOX + some)} Not for publication.</p>'


def _counts(frame: pd.DataFrame, prefix: str) -> str:
    table = summary(frame, prefix)
    total = len(frame)
    rows = [
        [_code(status), _word(action), _word(reason), _number(number), _text(percent(number, total))]
        for status, action, reason, number in zip(
            table["status"], table["action"], table["reason"], table["rows"].tolist(), strict=True
        )
    ]
    rows.append(["all rows", "", "", _number(total), _text(percent(total, total))])
    heads = ["Status", "Action", "Reason", "Rows", "Share"]
    return f'<div class="total">{_table("Rows by status, action and reason", heads, rows, 2)}</div>'


def _unproved(frame: pd.DataFrame, told: Sequence[_Told], named: pd.DataFrame, prefix: str) -> Iterable[str]:
    """Return sentences about the limits of what this page says, the general ones last."""
    table = columns(frame, prefix, ["status", "run"])
    counts = table["status"].value_counts()
    if named["sandbox"].any() or any(one.record.sandbox for one in told):
        yield "Verdicts of a sandbox are invented: they say nothing about any post or user of X."
    if left := int(counts["unchecked"] + counts["invalid"]) if len(counts) else 0:
        yield (
            f"Nothing is known of {left:,} of the {len(frame):,} rows: {counts['unchecked']:,} unchecked, "
            f"{counts['invalid']:,} invalid."
        )
    judged = table["status"].isin(["compliant", "action_required"])
    if nameless := int((judged & table["run"].isna()).sum()):
        yield f"{nameless:,} rows have a verdict but name no run, so nobody can tell where it comes from."
    if on_a_word := given(frame, prefix):
        yield (
            f"That {on_a_word:,} rows are compliant rests on the word of whoever gave the saved results, or the list "
            "of the IDs sent: rows whose run begins with file- or ends with -attached."
        )
    if not told:
        yield (
            "No record of a run was given for this page, so it cannot tell how the results were proved; it relies on "
            "the verdict columns of the table."
        )
    elif others := [name for name in named.index if name not in [one.record.id for one in told]]:
        rows = int(named.loc[others, "rows"].sum())
        yield f"{rows:,} rows name other runs ({', '.join(others)}), whose records were not given."
    for one in told:
        yield from _unproved_batches(one.record, named, f" of {one.record.id}" if len(told) > 1 else "")
    yield "That nobody changed the table after the check is not proved: the counts are those of the table as given."
    yield (
        "Compliance is a matter of the moment: what happened to a post or user after the time of the check is not "
        "known. Check again before the data are published or shared."
    )
    yield (
        "X names only what needs action. An ID that never existed, or that is of the other kind (a user's among "
        "posts), is not named either and counts as compliant. Whether X's own list is complete cannot be seen from "
        "outside."
    )


def _unproved_batches(record: RunRecord, named: pd.DataFrame, of: str) -> Iterable[str]:
    if record.id not in named.index:
        yield f"No row names the run {record.id}: it gave none of them a verdict."
    for batch in record.batches:
        if batch.phase is not Phase.DONE:
            state = "failed" if batch.phase is Phase.DEAD else "had not ended when this page was written"
            why = f": {redact(batch.reason)}" if batch.reason else ""
            yield f"Batch {batch.number}{of}, of {batch.ids:,} IDs, {state}{why}. Its rows are unchecked."
        elif not batch.proved:
            yield (
                f"The results of batch {batch.number}{of} were not proved whole "
                f"({redact(batch.reason or 'no reason')}), so {batch.ids - (batch.listed or 0):,} of its "
                f"{batch.ids:,} IDs are unchecked."
            )


# --------------------------------------------------------------------------- figures


def _figures(frame: pd.DataFrame, column: Hashable | None, prefix: str) -> Iterable[str]:
    table = columns(frame, prefix, ["status", "reason"])
    counts = table["status"].value_counts()
    statuses = ", ".join(f"{word} {int(counts[word]):,}" for word in STATUSES)
    reasons = table.loc[table["status"] == "action_required", "reason"].value_counts(dropna=False)
    reasons = reasons[reasons > 0]
    given = ", ".join(f"{_reason(word)} {rows:,}" for word, rows in reasons.head(charts.BARS_MAX).items())
    yield _figure(
        lambda ax: charts.status(frame, ax, prefix=prefix),
        2.6,
        f"Bars of rows by status: {statuses}.",
        "All rows, by status.",
    )
    yield _figure(
        lambda ax: charts.reasons(frame, ax, prefix=prefix),
        1.4 + 0.32 * min(max(len(reasons), 2), charts.BARS_MAX),
        f"Bars of rows that need action, by reason: {given or 'there are none'}.",
        "The rows that need action, by the reason that the service gave.",
    )
    yield _figure(
        lambda ax: charts.redaction_delay(frame, ax, prefix=prefix),
        3.6,
        "Lines by reason: which share of what needs action had gone within how much time.",
        "From the making of a post or account to the event that X names, where X gave both times.",
    )
    if column is not None:
        yield _figure(
            lambda ax: charts.timeline(frame, column, ax, prefix=prefix),
            3.6,
            "Areas over time: which share of the rows with a verdict needs action, by reason.",
            "What needs action, over time, and below in grey how many rows there are.",
        )


def _reason(word: object) -> str:
    return plain(word) if isinstance(word, str) else charts.NO_REASON


def _figure(draw: Callable[[Axes], object], height: float, alt: str, caption: str) -> str:
    """Return a figure as a picture inside of the page: lines and letters as paths, so it prints sharply."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.6, height), layout="constrained", facecolor="white")
    draw(figure.subplots())
    picture = io.BytesIO()
    nameless = {"Creator": None, "Date": None}
    figure.savefig(picture, format="svg", facecolor="white", metadata=nameless)
    source = f"data:image/svg+xml;base64,{base64.b64encode(picture.getvalue()).decode()}"
    return f'<figure><img src="{source}" alt="{_text(alt)}"/><figcaption>{_text(caption)}</figcaption></figure>'


# --------------------------------------------------------------------------- provenance


def _runs(named: pd.DataFrame) -> str:
    if named.empty:
        return "<p>No row names a run.</p>"
    rows = [
        [
            _code(run),
            _text(type),
            _text(day),
            "yes" if invented else "no",
            _number(number),
        ]
        for run, type, day, invented, number in zip(
            named.index,
            named["type"],
            named["day"].dt.strftime("%Y-%m-%d").fillna(NOTHING),
            named["sandbox"],
            named["rows"].tolist(),
            strict=True,
        )
    ]
    return _table("Runs that the rows name", ["Run", "Type", "Began (UTC)", "Invented", "Rows"], rows, 1)


def _provenance(told: Sequence[_Told]) -> Iterable[str]:
    if not told:
        yield "<p>No ledger record of a run was given for this page.</p>"
    for one in told:
        yield from _run(one.record, one.snapshot)


def _run(record: RunRecord, snapshot: Snapshot) -> Iterable[str]:
    yield f'<div class="card">{card.html(snapshot)}</div>'
    requests = ", ".join(f"{word} {count:,}" for word, count in sorted(record.requests.items())) or "none"
    yield _facts(
        "The run, as its ledger tells",
        [
            ("Run", _code(record.id)),
            ("Service", _code(record.base_url)),
            ("Type of job", _text(str(record.type))),
            ("Label", _word(record.label)),
            ("Begun", _moment(record.created_at)),
            ("Ended", _moment(record.ended_at)),
            ("Distinct IDs", _number(record.ids)),
            ("SHA-256 of the IDs", _code(record.ids_sha256)),
            ("Batches", _number(len(record.batches))),
            ("Requests to the API", _text(requests)),
        ],
    )
    for batch in record.batches:
        yield _batch(batch, len(record.batches))


def _batch(batch: Batch, batches: int) -> str:
    state = {Phase.DONE: "ended", Phase.DEAD: "failed"}.get(batch.phase, f"not ended ({batch.phase})")
    facts = [
        ("State", _text(state + (f": {redact(batch.reason)}" if batch.reason else ""))),
        ("Job", _word(batch.job_id, "none")),
        ("Earlier jobs", _word(", ".join(batch.past_jobs), "none")),
        ("IDs", _number(batch.ids)),
        ("Sent", _number(batch.ids_bytes, "byte")),
        ("SHA-256 of what was sent", _code(batch.ids_sha256)),
        ("CRC-32C of what was sent", _code(batch.ids_crc32c)),
        ("Proof of the upload", _text(UPLOADS.get(batch.upload_proof, str(batch.upload_proof)))),
        ("Checked at", _moment(batch.checked_at)),
    ]
    if batch.phase is Phase.DONE:
        facts += [
            ("Evidence", _text(f"{batch.grade}; absence is {'' if batch.proved else 'not '}proved")),
            ("Received", _number(batch.results_bytes or 0, "byte")),
            ("SHA-256 of what was received", _code(batch.results_sha256 or "")),
            ("Lines", _number(batch.lines or 0)),
            ("IDs that the service named", _number(batch.listed or 0)),
            ("Lines that cannot be read", _number(batch.bad_lines)),
            ("Records about IDs not sent", _number(batch.foreign)),
        ]
    return _facts(f"Batch {batch.number} of {batches}", facts)


def _done(told: Sequence[_Told]) -> Iterable[str]:
    if not told:
        yield "<p>No run was given for this page, and so none of its records of what was done.</p>"
    for one in told:
        if len(told) > 1:
            yield f"<h3>{_code(one.record.id)}</h3>"
        yield from _records(one.applied)


def _records(applied: pd.DataFrame) -> Iterable[str]:
    """Return the records of a run, counts first, then the checksums of the columns."""
    if applied.empty:
        yield "<p>The run has no record of rows that were dropped or changed by its verdicts.</p>"
        return
    if broken := int((~applied["holds"]).sum()):
        yield (
            f'<p class="banner" role="note">{broken:,} of the {len(applied):,} records below are not as they were '
            "written, or do not follow the one before them: something was changed, put in or taken out. What they say "
            "is not to be relied on.</p>"
        )
    rows = [
        [
            _number(number),
            _when(record["applied_at"]),
            _word(record["mode"]),
            _text(("only marked: " if record["mode"] == "mark" else "") + (", ".join(_changes(record)) or NOTHING)),
            "yes" if record["holds"] else "<strong>no</strong>",
            *(NOTHING if pd.isna(record[name]) else _number(record[name]) for name in ("rows_before", "rows_after")),
        ]
        for number, record in enumerate(applied.to_dict("records"), 1)
    ]
    heads = ["Record", "Applied at", "Mode", "Rows by what became of them", "Holds", "Rows before", "Rows after"]
    yield _table("Records of the run, oldest first", heads, rows, 2)
    for number, record in enumerate(applied.to_dict("records"), 1):
        before, after = (record[name] or {} for name in ("columns_before", "columns_after"))
        sums = [[_word(name), *(_sum(side.get(name)) for side in (before, after))] for name in {**before, **after}]
        yield _table(f"SHA-256 of the columns of record {number:,}", ["Column", "Before", "After"], sums, 0)
        yield _facts(
            f"Record {number:,} itself", [("Made by", _word(record["software"])), ("SHA-256", _sum(record["sha256"]))]
        )
    yield (
        "<p>Each record names the checksum of the one before it. Records that were taken away at the end are not "
        "noticed by that: compare the last checksum with one that was noted elsewhere.</p>"
    )


def _changes(record: dict[Hashable, object]) -> Iterable[str]:
    for word in CHANGES:
        rows = record[word]
        if isinstance(rows, int) and rows:
            yield f"{word} {rows:,}"


def _when(moment: object) -> str:
    return NOTHING if not isinstance(moment, pd.Timestamp) or pd.isna(moment) else _moment(moment.timestamp())


def _sum(checksum: object) -> str:
    return _code(plain(checksum, 64)) if isinstance(checksum, str) else NOTHING


def _software() -> str:
    now = _moment(Clock().now())
    facts = [("Written", now), *((name, _text(version(name))) for name in DISTRIBUTIONS)]
    return _facts("This page, and the software that made it", [*facts, ("Python", _text(platform.python_version()))])


# --------------------------------------------------------------------------- parts of a page; these escape


def _text(text: str) -> str:
    return escape("".join(c if c.isprintable() else " " for c in text))


def _code(text: str) -> str:
    return f"<code>{_text(text)}</code>"


def _word(word: object, missing: str = NOTHING) -> str:
    return _text(plain(word, 400)) if isinstance(word, str) and word else missing


def _number(count: int, unit: str = "") -> str:
    return _text(f"{count:,} {unit}{'' if count == 1 else 's'}" if unit else f"{count:,}")


def _moment(seconds: float | None) -> str:
    return NOTHING if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _section(title: str, *parts: str) -> str:
    return f"<section><h2>{_text(title)}</h2>\n{chr(10).join(parts)}</section>"


def _list(items: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{_text(item)}</li>' for item in items)}</ul>"


def _words(caption: str, words: dict[str, str]) -> str:
    return _facts(caption, [(word, _text(meaning)) for word, meaning in words.items()], code=True)


def _table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]], numbers: int) -> str:
    """Return a table whose last columns, so many, hold numbers; the cells are HTML."""
    kinds = [""] * (len(head) - numbers) + [' class="n"'] * numbers
    heads = "".join(f'<th scope="col"{kind}>{_text(word)}</th>' for word, kind in zip(head, kinds, strict=True))
    lines = ""
    for first, *rest in rows:
        cells = "".join(f"<td{kind}>{cell}</td>" for cell, kind in zip(rest, kinds[1:], strict=True))
        lines += f'<tr><th scope="row">{first}</th>{cells}</tr>'
    return f"<table><caption>{_text(caption)}</caption><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table>"


def _facts(caption: str, facts: Iterable[tuple[str, str]], code: bool = False) -> str:
    """Return a table of names and values; the values are HTML."""
    name = _code if code else _text
    lines = "".join(f'<tr><th scope="row">{name(word)}</th><td>{value}</td></tr>' for word, value in facts)
    return f'<table class="facts"><caption>{_text(caption)}</caption><tbody>{lines}</tbody></table>'


NO_BREAK = "\N{NO-BREAK SPACE}"
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"

# The card takes its colours from a notebook's theme; the page lends it its own.
STYLE = """
:root{color-scheme:light dark;--ink:#1c1e21;--soft:#5a6068;--paper:#fff;--line:#d9dce0;--shade:#f6f7f8;--loud:#a3260b;
--jp-ui-font-color1:var(--ink);--jp-layout-color1:var(--paper);--jp-border-color1:var(--line);
--jp-ui-font-family:system-ui}
@media screen and (prefers-color-scheme:dark){:root{--ink:#e6e7e9;--soft:#a3a9b1;--paper:#16181b;--line:#363a40;
--shade:#1f2226;--loud:#ff9d85}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,sans-serif}
main{max-width:50rem;margin:0 auto;padding:2.5rem 1.25rem 4rem}
h1{font-size:1.75rem;line-height:1.2;margin:0 0 1.25rem;overflow-wrap:anywhere}
h2{font-size:1.2rem;margin:2.5rem 0 .75rem;padding-top:1rem;border-top:1px solid var(--line)}
.lead{font-size:1.08rem;border-left:3px solid var(--line);margin:1.25rem 0;padding:.1rem 0 .1rem 1rem}
.banner{border:2px solid var(--loud);border-radius:6px;color:var(--loud);font-weight:700;padding:.6rem 1rem;margin:0}
ul{padding-left:1.2rem;margin:0}
li{margin:.4rem 0}
table{border-collapse:collapse;width:100%;margin:1rem 0 1.75rem;font-variant-numeric:tabular-nums}
caption{text-align:left;font-weight:600;padding-bottom:.4rem}
th,td{text-align:left;vertical-align:top;padding:.35rem .75rem .35rem 0;border-bottom:1px solid var(--line);
overflow-wrap:anywhere}
thead th{color:var(--soft);font-weight:600;white-space:nowrap}
tbody th{font-weight:400}
.n{text-align:right;padding-left:.75rem;padding-right:0;white-space:nowrap}
.facts th{color:var(--soft);width:31%}
.total tbody tr:last-child>*{font-weight:600;border-bottom-width:2px}
code{font-family:ui-monospace,Menlo,Consolas,monospace;font-size:.88em}
.facts td code{font-size:.8em}
figure{margin:1.25rem 0 2rem}
figure img{display:block;width:100%;height:auto;background:#fff;border:1px solid var(--line);border-radius:6px;
padding:.75rem}
.card{margin:1rem 0 1.75rem}
figcaption{color:var(--soft);font-size:.92rem;margin-top:.4rem}
@media print{body{font-size:10.5pt}main{max-width:none;padding:0}figure,tr,.banner{break-inside:avoid}
h2,caption{break-after:avoid}@page{margin:18mm}}
"""
