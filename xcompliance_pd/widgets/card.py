"""A snapshot of a run as an HTML card and as one line of text: pure functions, counts and words only.

The card is a record: it must be readable in a saved notebook whose kernel is gone, in exported HTML, on a dark theme,
and after a sanitiser has taken its colours and ARIA attributes away. So every meaning is in words, colours come in
pairs, and there is neither a script nor a style sheet. It is well-formed XML.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from ..lifecycle import STAGES
from ..protocol import redact
from ..summary import plain

if TYPE_CHECKING:
    from ..lifecycle import Snapshot

LINE_MAX = 160
SANDBOX = "SANDBOX: these verdicts are invented by a service on this machine."

_KINDS = {"tweets": "post", "users": "user"}
_GRADES = {
    "hash": "the server's checksum matched",
    "length": "the length matched",
    "framed": "two downloads were identical",
    "given": "not proved: on your word",
    "unproved": "proves nothing about IDs it does not list",
}
_OVER = ("done", "failed", "forgotten")
_HERE = {"running": ("▶", "now"), "waiting": ("◷", "waiting"), "stopped": ("■", "stopped here")}

# Both colours of a pair, from the notebook's theme or else from the system's.
BOX = (
    "color:var(--jp-ui-font-color1, CanvasText);background:var(--jp-layout-color1, Canvas);"
    "border:1px solid var(--jp-border-color1, GrayText);border-radius:6px;padding:10px 14px;margin:4px 0;"
    "max-width:46em;font-family:var(--jp-ui-font-family, sans-serif);font-size:14px;line-height:1.5"
)
_BANNER = "border:2px solid currentColor;border-radius:4px;padding:2px 8px;margin-bottom:6px;font-weight:bold"


def html(snapshot: Snapshot) -> str:
    """Return the card of a run.

    Examples
    --------
    >>> from xcompliance_pd.lifecycle import Snapshot
    >>> card = html(
    ...     Snapshot(
    ...         run_id="tweets-20261123-0123abcd", type="tweets", label=None, sandbox=False, stage="processing",
    ...         state="waiting", ids=2000, batches=1, batches_done=0, batches_dead=0, requests=4, requests_ahead=1,
    ...         max_requests=500, elapsed=75.0, next_look=8.0, upload_window=None, listed=None, unproved=0, grades=(),
    ...         note="",
    ...     )
    ... )
    >>> "✓&#160;uploaded" in card, "<strong>◷&#160;processing&#160;(waiting)</strong>" in card, "8 s" in card
    (True, True, True)
    """
    parts = [
        f'<div style="{_BANNER}">{escape(SANDBOX)}</div>' if snapshot.sandbox else "",
        f"<div><strong>{_text(_title(snapshot))}</strong></div>",
        _progress(snapshot),
        f"<div>{'&#160;&#160; '.join(_stages(snapshot))}</div>",
        f'<div role="status" aria-live="polite">{_status(snapshot)}</div>',
        "".join(f"<div>{_text(fact)}</div>" for fact in _facts(snapshot)),
        _resume(snapshot),
    ]
    return f'<div style="{BOX}">{"".join(parts)}</div>'


def bundle(snapshot: Snapshot) -> dict[str, str]:
    """Return the card and the line as one output of a notebook, which shows the one it can."""
    return {"text/html": html(snapshot), "text/plain": line(snapshot)}


def line(snapshot: Snapshot) -> str:
    """Return one line for a terminal, 160 characters at most, the most important words first.

    Examples
    --------
    >>> from xcompliance_pd.lifecycle import Snapshot
    >>> line(
    ...     Snapshot(
    ...         run_id="tweets-20261123-0123abcd", type="tweets", label=None, sandbox=False, stage="verified",
    ...         state="done", ids=2000, batches=1, batches_done=1, batches_dead=0, requests=9, requests_ahead=0,
    ...         max_requests=500, elapsed=95.0, next_look=None, upload_window=None, listed=1243, unproved=0,
    ...         grades=("hash",), note="",
    ...     )
    ... )
    'tweets-20261123-0123abcd  done: 1,243 of 2,000 IDs need action, 757 proved compliant  9 requests made'
    """
    mark = ""
    note = redact(snapshot.note)
    spare = [_budget(snapshot)]
    if snapshot.state in ("failed", "stopped"):
        words = [f"{_where(snapshot)}. Go on: {resume(snapshot)}", note]
    elif snapshot.state == "done":
        words = [snapshot.run_id, f"done: {outcome(snapshot)}"]
        mark = " (SANDBOX, invented)" if snapshot.sandbox else ""
    elif snapshot.state == "forgotten":
        words = [snapshot.run_id, f"forgotten: {outcome(snapshot)}", note]
    else:
        batches = _batches(snapshot) if snapshot.batches > 1 else ""
        look = "" if snapshot.next_look is None else f"next look in {duration(snapshot.next_look)}"
        if snapshot.elapsed >= 60:
            spare.append(f"{duration(snapshot.elapsed)} so far")
        ids = f"{snapshot.ids:,} ID{_plural(snapshot.ids)}"
        words = [snapshot.run_id, _where(snapshot), note, ids, batches, look]
    text = plain("  ".join(word for word in words if word), 10 * LINE_MAX)
    room = LINE_MAX - len(mark)
    for word in spare:
        if len(text) + 2 + len(word) <= room:
            text += f"  {word}"
    return (text if len(text) <= room else text[: room - 3] + "...") + mark


def resume(snapshot: Snapshot) -> str:
    """Return the Python that continues a run."""
    return f'xc.open_run("{snapshot.run_id}")'


def outcome(snapshot: Snapshot) -> str:
    """Return what came out so far; compliance is claimed only of a run that is done with nothing missing."""
    if snapshot.listed is None:
        return "No result" if snapshot.state == "forgotten" else "No result so far"
    ids = f"{snapshot.listed:,} of {snapshot.ids:,} ID{_plural(snapshot.ids)}"
    if snapshot.state != "done" or snapshot.batches_done < snapshot.batches:
        return f"X listed {ids}{'' if snapshot.state == 'forgotten' else ' so far'}"
    proved = snapshot.ids - snapshot.listed - snapshot.unproved - snapshot.undecided
    unproved = f", {snapshot.unproved:,} unproved and left unchecked" if snapshot.unproved else ""
    errors = f", {snapshot.undecided:,} unchecked because X gave an error" if snapshot.undecided else ""
    compliant = "compliant on your word" if "given" in snapshot.grades else "proved compliant"
    return f"{ids} need action, {proved:,} {compliant}{unproved}{errors}"


def duration(seconds: float) -> str:
    """Return a time span in at most two units.

    Examples
    --------
    >>> duration(8.7), duration(75), duration(3600), duration(200_000)
    ('8 s', '1 min 15 s', '1 h 0 min', '2 d 7 h')
    """
    whole = max(int(seconds), 0)
    for size, unit, below, part in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // below} {part}"
    return f"{whole} s"


def _text(text: str) -> str:
    return escape(plain(text, 400))


def _title(snapshot: Snapshot) -> str:
    kind = _KINDS.get(snapshot.type, snapshot.type)
    label = f", {plain(snapshot.label)}" if snapshot.label else ""
    return f"Compliance check of {snapshot.ids:,} {kind} ID{_plural(snapshot.ids)}{label}"


def _where(snapshot: Snapshot) -> str:
    """Return how far the run is in few words; a batch that failed is at no stage."""
    if snapshot.state in _OVER:
        return snapshot.state
    return f"stopped at {snapshot.stage}" if snapshot.state == "stopped" else snapshot.stage


def _batches(snapshot: Snapshot) -> str:
    dead = f", {snapshot.batches_dead:,} failed" if snapshot.batches_dead else ""
    return f"{snapshot.batches_done:,} of {snapshot.batches:,} batches done{dead}"


def _progress(snapshot: Snapshot) -> str:
    # The stage is the slowest batch's, so every batch that is not done is at least there.
    steps = len(STAGES) * max(snapshot.batches, 1)
    rest = max(snapshot.batches, 1) - snapshot.batches_done
    value = steps if snapshot.state == "done" else steps - rest * (len(STAGES) - STAGES.index(snapshot.stage))
    name = _text(f"Run {snapshot.run_id}: {_where(snapshot)}")
    return f'<progress style="width:100%" max="{steps}" value="{value}" aria-label="{name}">{name}</progress>'


def _stages(snapshot: Snapshot) -> list[str]:
    """Return the stages as HTML; a line may break between them, but not between a glyph and its word."""
    if snapshot.state == "failed":
        if snapshot.batches == 1:
            return ["✗&#160;ended without a result"]
        return [f"✗&#160;{snapshot.batches_dead:,} of {snapshot.batches:,} batches ended without a result"]
    if snapshot.state == "forgotten":
        return ["○&#160;forgotten"]
    here = STAGES.index(snapshot.stage)
    if snapshot.state == "done":
        return [f"{'✓' if number <= here else '○'}&#160;{stage}" for number, stage in enumerate(STAGES)]
    glyph, word = _HERE[snapshot.state]
    marked = f"{glyph} {snapshot.stage} ({word})".replace(" ", "&#160;")
    return [
        *(f"✓&#160;{stage}" for stage in STAGES[:here]),
        f"<strong>{marked}</strong>",
        *(f"○&#160;{stage}" for stage in STAGES[here + 1 :]),
    ]


def _status(snapshot: Snapshot) -> str:
    note = redact(snapshot.note)
    return _text(f"{snapshot.state.capitalize()}. {outcome(snapshot)}.") + (f"<br/>{escape(note)}" if note else "")


def _facts(snapshot: Snapshot) -> list[str]:
    facts = [f"Run {snapshot.run_id}"]
    if snapshot.batches > 1:  # of one batch the stages say it all
        facts.append(_batches(snapshot))
    facts += [f"Elapsed: {duration(snapshot.elapsed)}", _budget(snapshot)]
    if snapshot.next_look is not None and snapshot.state in ("running", "waiting"):  # else nobody looks
        facts.append(f"Next look in {duration(snapshot.next_look)}")
    if snapshot.upload_window is not None:
        facts.append(f"Upload window closes in {duration(snapshot.upload_window)}")
    if snapshot.grades:
        grades = (f"{grade} ({_GRADES[grade]})" if grade in _GRADES else grade for grade in snapshot.grades)
        facts.append(f"Evidence: {', '.join(grades)}")
    return facts


def _budget(snapshot: Snapshot) -> str:
    """Return the requests to the API, which may cost money: made, and before the end also to come and allowed."""
    made = f"{snapshot.requests:,} request{_plural(snapshot.requests)}"
    if snapshot.state in _OVER:
        return f"{made} made"
    return f"{made} made, at least {snapshot.requests_ahead:,} to come, {snapshot.max_requests:,} allowed"


def _resume(snapshot: Snapshot) -> str:
    if snapshot.state in ("done", "forgotten"):
        return ""
    when = "To go on" if snapshot.state in ("failed", "stopped") else "If this kernel ends, go on with"
    return f'<div>{when}: <code style="white-space:nowrap">{_text(resume(snapshot))}</code></div>'


def _plural(count: int) -> str:
    return "" if count == 1 else "s"
