"""The card and the line tell the truth in words, whatever the text; showing them never disturbs the run."""

import io
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcompliance_pd.errors import InputError
from xcompliance_pd.lifecycle import STAGES, Snapshot
from xcompliance_pd.widgets import card, live
from xcompliance_pd.widgets.live import Display

ROOT = Path(__file__).parents[1]
RUN = "tweets-20261123-0123abcd"
STATES = ("running", "waiting", "done", "failed", "stopped")
WAITING = Snapshot(
    run_id=RUN,
    type="tweets",
    label="panel 2026",
    sandbox=False,
    stage="processing",
    state="waiting",
    ids=2000,
    batches=3,
    batches_done=1,
    batches_dead=0,
    requests=12,
    requests_ahead=2,
    max_requests=500,
    elapsed=200.0,
    next_look=12.4,
    upload_window=None,
    listed=None,
    unproved=0,
    grades=(),
    note="",
)
DONE = replace(WAITING, state="done", stage="verified", batches_done=3, next_look=None, listed=1243, grades=("hash",))
FAILED = replace(WAITING, state="failed", stage="verified", batches_dead=1, note="Batch 2 failed: X says it failed.")

snapshots = st.builds(
    Snapshot,
    run_id=st.just(RUN),
    type=st.sampled_from(["tweets", "users"]),
    label=st.none() | st.text(max_size=300),
    sandbox=st.booleans(),
    stage=st.sampled_from(STAGES),
    state=st.sampled_from(STATES),
    ids=st.integers(0, 10**9),
    batches=st.integers(3, 100),
    batches_done=st.integers(0, 3),
    batches_dead=st.integers(0, 3),
    requests=st.integers(0, 10**6),
    requests_ahead=st.integers(0, 200),
    max_requests=st.integers(0, 10**6),
    elapsed=st.floats(0, 1e8),
    next_look=st.none() | st.floats(-10, 1e6),
    upload_window=st.none() | st.floats(-10, 900),
    listed=st.none() | st.integers(0, 10**6),
    unproved=st.integers(0, 10**6),
    grades=st.sets(st.sampled_from(["hash", "length", "framed", "unproved", "<new>"])).map(tuple),
    note=st.text(max_size=500),
    undecided=st.integers(0, 10**6),
).map(lambda snapshot: replace(snapshot, run_id="sandbox-" + RUN) if snapshot.sandbox else snapshot)


def tree(snapshot):
    return ElementTree.fromstring(f"<body>{card.html(snapshot)}</body>")


def words(snapshot):
    """What is left for the reader when a sanitiser has taken every attribute away."""
    return re.sub(r"\s+", " ", " ".join(tree(snapshot).itertext()))


def tags(snapshot):
    return sorted(element.tag for element in tree(snapshot).iter())


# --------------------------------------------------------------------------- card


@given(snapshots)
def test_the_card_is_xml_and_the_line_is_one_short_line(snapshot):
    assert "Compliance check of" in words(snapshot)
    line = card.line(snapshot)
    assert 0 < len(line) <= card.LINE_MAX
    assert line.isprintable()
    assert ("sandbox-" + RUN in line) == snapshot.sandbox
    assert line.endswith(" (SANDBOX, invented)") == (snapshot.sandbox and snapshot.state == "done")
    assert (card.SANDBOX in words(snapshot)) == snapshot.sandbox


EVIL = "</div><script>alert(\"1\")</script><img src=x onerror='a'>&amp;\x00\x1b[31m\ud800"


@pytest.mark.parametrize("field", ["label", "note", "run_id", "type"])
def test_text_is_never_markup(field):
    evil = replace(WAITING, **{field: EVIL})
    plain = replace(WAITING, **{field: "harmless"})
    assert tags(evil) == tags(plain)
    assert "<script" not in card.html(evil)
    assert "</div><script>" in words(evil)


def test_no_secret_of_a_note_is_shown():
    secret = "AAAAAAAAAAAAAAAAAAAAAMLheAAAAAAA0%2BuSeid"
    note = replace(FAILED, note=f"PUT https://storage.example/x?X-Goog-Signature={secret} Bearer {secret} failed.")
    assert secret not in card.html(note)
    assert "X-Goog-Signature" not in card.html(note)
    assert secret[:10] not in card.line(replace(WAITING, note=f"Bearer {secret}"))


def test_a_waiting_run_in_words():
    text = words(WAITING)
    for part in (
        "Compliance check of 2,000 post IDs, panel 2026",
        f"Run {RUN}",
        "✓ prepared",
        "✓ uploaded",
        "◷ processing (waiting)",
        "○ downloaded",
        "○ verified",
        "○ joined",
        "Waiting. No result so far.",
        "1 of 3 batches done",
        "Elapsed: 3 min 20 s",
        "Next look in 12 s",
        "12 requests made, at least 2 to come, 500 allowed",
        f'xc.open_run("{RUN}")',
    ):
        assert part in text
    assert "Upload window" not in text
    assert "Evidence" not in text
    assert "SANDBOX" not in text


@given(snapshots)
def test_no_line_ends_between_a_glyph_and_its_word(snapshot):
    """A line of the card may break between two stages only."""
    (stages,) = (e for e in tree(snapshot).iter("div") if re.match("[✓○▶◷■✗]", "".join(e.itertext())))
    text = "".join(stages.itertext())
    assert not re.search("[✓○▶◷■✗] ", text)
    if snapshot.state != "failed":
        assert [part.strip("\xa0").split("\xa0")[1] for part in text.split(" ")] == list(STAGES)


def test_of_one_batch_no_batches_are_counted():
    """Of one batch the stages say it all; two are counted."""
    for state in (WAITING, DONE, FAILED):
        one = replace(state, batches=1, batches_done=int(state is DONE))
        assert not re.search(r"\bbatches\b", words(one))
    assert "✗ ended without a result" in words(replace(FAILED, batches=1, batches_done=0))
    assert "1 of 2 batches done" in words(replace(WAITING, batches=2))


def test_when_nobody_looks_no_next_look_is_promised():
    """The service may still ask for patience, but of a stopped run nobody looks at its job."""
    assert "Next look in 12 s" in words(WAITING)
    for state in ("stopped", "failed", "done"):
        stopped = replace(WAITING, state=state, upload_window=60.0)
        assert "Next look" not in words(stopped)
    assert "Upload window closes in 1 min 0 s" in words(replace(WAITING, state="stopped", upload_window=60.0))


def test_what_is_awaited_is_told():
    text = words(replace(WAITING, type="users", upload_window=880.0, next_look=None, sandbox=True))
    assert "2,000 user IDs" in text
    assert "Upload window closes in 14 min 40 s" in text
    assert "Next look" not in text
    assert card.SANDBOX in text


def test_a_done_run_in_words():
    text = words(DONE)
    assert "Done. 1,243 of 2,000 IDs need action, 757 proved compliant." in text
    assert "✓ verified" in text
    assert "○ joined" in text
    assert "Evidence: hash (the server's checksum matched)" in text
    assert "open_run" not in text


@pytest.mark.parametrize("state", ["failed", "stopped"])
def test_an_ended_run_says_how_to_go_on(state):
    ended = replace(FAILED, state=state, note="The token was refused.")
    assert f'To go on: xc.open_run("{RUN}")' in words(ended)
    assert f'xc.open_run("{RUN}")' in card.line(ended)
    assert "The token was refused." in words(ended)


def test_a_failed_batch_is_at_no_stage():
    assert "✗ 1 of 3 batches ended without a result" in words(FAILED)
    assert "verified" not in words(FAILED) + card.line(FAILED)


@given(snapshots)
def test_compliance_is_claimed_only_when_everything_was_proved(snapshot):
    claimed = re.findall(r"([\d,-]+) proved compliant", words(snapshot))
    if snapshot.state != "done" or snapshot.batches_done < snapshot.batches or snapshot.listed is None:
        assert claimed == []
    else:
        assert claimed == [f"{snapshot.ids - snapshot.listed - snapshot.unproved - snapshot.undecided:,}"]


def test_unproved_ids_are_not_called_compliant():
    assert card.outcome(replace(DONE, unproved=57)) == (
        "1,243 of 2,000 IDs need action, 700 proved compliant, 57 unproved and left unchecked"
    )
    assert card.outcome(replace(DONE, undecided=7)) == (
        "1,243 of 2,000 IDs need action, 750 proved compliant, 7 unchecked because X gave an error"
    )
    assert card.outcome(replace(FAILED, listed=5)) == "X listed 5 of 2,000 IDs so far"


def test_the_bar_has_a_name_and_grows_to_full():
    def bar(snapshot):
        (element,) = tree(snapshot).iter("progress")
        assert RUN in element.get("aria-label")
        return int(element.get("value")) / int(element.get("max"))

    steps = [bar(replace(WAITING, stage=stage, batches_done=0)) for stage in STAGES]
    assert steps == sorted(set(steps))
    assert steps[0] == 0
    assert bar(replace(WAITING, batches_done=2)) > bar(WAITING)
    assert bar(DONE) == 1
    assert bar(replace(DONE, batches=0, batches_done=0)) == 1


def test_the_state_is_announced_and_the_clock_is_not():
    def live_region(snapshot):
        (element,) = (e for e in tree(snapshot).iter("div") if e.get("role") == "status")
        assert element.get("aria-live") == "polite"
        return "".join(element.itertext())

    assert live_region(WAITING) == live_region(replace(WAITING, elapsed=999.0, next_look=1.0, requests=99))
    assert live_region(WAITING) != live_region(DONE)


def test_colours_come_in_pairs_from_the_theme():
    for element in tree(replace(WAITING, sandbox=True)).iter():
        rules = dict(rule.split(":", 1) for rule in element.get("style", "").split(";") if rule)
        assert ("color" in rules) == ("background" in rules)
        assert not re.search(r"#[0-9a-f]{3}|rgb", element.get("style", ""))
        if "color" in rules:
            assert rules["color"].startswith("var(--jp-")
            assert rules["background"].startswith("var(--jp-")


# --------------------------------------------------------------------------- line


def test_lines():
    one = replace(WAITING, batches=1, batches_done=0, elapsed=9.0)
    made = "12 requests made, at least 2 to come, 500 allowed"
    assert card.line(one) == f"{RUN}  processing  2,000 IDs  next look in 12 s  {made}"
    assert card.line(WAITING) == (
        f"{RUN}  processing  2,000 IDs  1 of 3 batches done  next look in 12 s  {made}  3 min 20 s so far"
    )
    assert card.line(FAILED) == (
        f'failed. Go on: xc.open_run("{RUN}")  Batch 2 failed: X says it failed.  12 requests made'
    )
    assert card.line(replace(WAITING, state="stopped")).startswith("stopped at processing. Go on: xc.open_run(")
    assert card.line(DONE) == f"{RUN}  done: 1,243 of 2,000 IDs need action, 757 proved compliant  12 requests made"
    longest = replace(DONE, run_id="sandbox-" + RUN, sandbox=True, ids=2_000_000, listed=1_243_000, unproved=57_000)
    assert card.line(longest).endswith(
        "done: 1,243,000 of 2,000,000 IDs need action, 700,000 proved compliant, 57,000 unproved and left unchecked"
        " (SANDBOX, invented)"
    ), "what matters most stands first, and what does not fit goes"
    assert card.line(replace(DONE, run_id="sandbox-" + RUN, sandbox=True)) == (
        f"sandbox-{RUN}  done: 1,243 of 2,000 IDs need action, 757 proved compliant  12 requests made"
        " (SANDBOX, invented)"
    )
    assert card.line(replace(WAITING, note="n" * 10 + " " + "m " * 200)).endswith("...")


# --------------------------------------------------------------------------- display


class Tty(io.StringIO):
    def isatty(self):
        return True


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def shown(monkeypatch):
    """What a notebook would be told: (display_id, bundle, update)."""
    calls = []

    class DisplayHandle:
        def display(self, bundle, raw):
            assert raw
            calls.append((id(self), bundle, False))

        def update(self, bundle, raw):
            assert raw
            calls.append((id(self), bundle, True))

    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(DisplayHandle=DisplayHandle))
    return calls


def kernel(monkeypatch, config):
    shell = None if config is None else SimpleNamespace(config=config)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))


@pytest.mark.parametrize(
    ("config", "mode"),
    [({"IPKernelApp": {}}, "notebook"), ({"TerminalIPythonApp": {}}, "terminal"), (None, "terminal")],
)
def test_auto_is_a_notebook_only_in_a_kernel(monkeypatch, config, mode):
    monkeypatch.delenv(live.VARIABLE, raising=False)
    kernel(monkeypatch, config)
    assert Display.choose(None).mode == mode
    assert Display.choose("auto").mode == mode


def test_importing_costs_no_heavy_import():
    code = (
        "import sys, xcompliance_pd.charts, xcompliance_pd.widgets.live\n"
        "print({'matplotlib', 'IPython', 'ipywidgets'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "set()"


def test_auto_does_not_import_ipython(monkeypatch):
    monkeypatch.delenv(live.VARIABLE, raising=False)
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert Display.choose(None).mode == "terminal"
    assert "IPython" not in sys.modules


def test_the_argument_goes_before_the_environment(monkeypatch):
    monkeypatch.setenv(live.VARIABLE, "none")
    assert Display.choose(None).mode == "none"
    assert Display.choose("terminal").mode == "terminal"


def test_a_bad_word_names_the_four(monkeypatch):
    monkeypatch.setenv(live.VARIABLE, "quiet")
    with pytest.raises(InputError, match=r"'quiet'.*auto, notebook, terminal or none.*XCOMPLIANCE_PROGRESS"):
        Display.choose(None)


def test_notebook_has_one_output_that_is_updated(shown):
    display = Display("notebook")
    display(WAITING)
    display(replace(WAITING, stage="downloaded"))
    display.close(DONE)
    assert [update for _, _, update in shown] == [False, True, True]
    assert len({handle for handle, _, _ in shown}) == 1
    assert shown[-1][1] == {"text/html": card.html(DONE), "text/plain": card.line(DONE)}


def test_notebook_is_updated_five_times_a_second_at_most_but_for_changes(shown):
    clock = Clock()
    display = Display("notebook", clock)
    for tick in range(1000):  # ten seconds
        clock.now = tick / 100
        display(replace(WAITING, elapsed=clock.now))
    assert 40 <= len(shown) <= 51
    before = len(shown)
    display(replace(WAITING, state="running"))
    display(replace(WAITING, state="running", stage="downloaded"))
    display.close(replace(WAITING, state="running", stage="downloaded", requests=77))
    assert len(shown) == before + 3
    assert "77 requests made" in shown[-1][1]["text/html"]


def test_a_failed_first_display_is_tried_again(shown, monkeypatch):
    display = Display("notebook")
    with monkeypatch.context() as broken:
        broken.setattr(card, "html", lambda snapshot: 1 / 0)
        display(WAITING)
    display(WAITING)
    assert [update for _, _, update in shown] == [False]


def test_terminal_rewrites_one_line(monkeypatch):
    tty = Tty()
    monkeypatch.setattr(sys, "stderr", tty)
    monkeypatch.setenv("COLUMNS", "200")
    display = Display("terminal")
    display(WAITING)
    display(replace(WAITING, next_look=None))
    display.close(DONE)
    text = tty.getvalue()
    first, second, last = text.split("\r")[1:]
    assert text.count("\n") == 1
    assert first == card.line(WAITING)
    assert second == card.line(replace(WAITING, next_look=None)).ljust(len(first))  # nothing of the old line is left
    assert last.rstrip() == card.line(DONE)
    assert last.endswith("\n")


def test_a_narrow_terminal_wraps_only_the_last_line(monkeypatch):
    """What is to be rewritten never wraps; what stays is told whole."""
    tty = Tty()
    monkeypatch.setattr(sys, "stderr", tty)
    monkeypatch.setenv("COLUMNS", "40")
    display = Display("terminal")
    display(WAITING)
    display.close(DONE)
    assert [len(text) for text in re.split(r"[\r\n]", tty.getvalue())] == [0, 39, len(card.line(DONE)), 0]


def test_a_file_gets_a_line_for_each_change_only(capsys):
    """One line for a stage, a done batch, a new kind of trouble and the end, whatever comes back again and again."""
    display = Display("terminal")
    display(replace(WAITING, stage="prepared", batches_done=0))
    for second in range(10):
        display(replace(WAITING, elapsed=float(second), state="running" if second % 2 else "waiting"))
        display(replace(WAITING, note=f"Unreachable ({second} tries); still trying."))
    display(replace(WAITING, batches_done=2))
    display(DONE)
    display.close(replace(DONE, stage="joined", note="whatever"))
    out, err = capsys.readouterr()
    assert out == ""
    assert "\r" not in err
    assert [line.split("  ")[1:3] for line in err.splitlines()] == [
        ["prepared", "2,000 IDs"],
        ["processing", "2,000 IDs"],
        ["processing", "Unreachable (0 tries); still trying."],
        ["processing", "2,000 IDs"],
        ["done: 1,243 of 2,000 IDs need action, 757 proved compliant", "12 requests made"],
    ]


def test_none_shows_nothing(capsys, shown):
    display = Display("none")
    display(WAITING)
    display.close(DONE)
    assert capsys.readouterr() == ("", "")
    assert shown == []


@pytest.mark.parametrize("mode", ["notebook", "terminal"])
def test_an_error_while_showing_is_logged_and_swallowed(mode, monkeypatch, caplog, shown):
    def broken(snapshot):
        raise RuntimeError("no screen")

    monkeypatch.setattr(card, "line", broken)
    with caplog.at_level("DEBUG", logger=live.__name__):
        display = Display(mode)
        display(WAITING)
        display.close(DONE)
    assert [record.levelname for record in caplog.records] == ["DEBUG", "DEBUG"]
    assert "no screen" in caplog.text


def test_a_gone_stderr_is_no_reason_to_fail(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    Display("terminal").close(DONE)


def test_an_interrupt_is_not_swallowed(monkeypatch):
    def interrupt(snapshot):
        raise KeyboardInterrupt

    monkeypatch.setattr(card, "line", interrupt)
    with pytest.raises(KeyboardInterrupt):
        Display("terminal")(WAITING)


def test_a_real_kernel_keeps_the_last_card_in_the_notebook():
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    code = f"""
import sys
sys.path[:0] = {sys.path!r}
from dataclasses import replace
from xcompliance_pd.lifecycle import Snapshot
from xcompliance_pd.widgets.live import Display
display = Display.choose("auto")
assert display.mode == "notebook"
display({WAITING!r})
display.close({DONE!r})
"""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    (output,) = notebook.cells[0].outputs
    assert output.output_type == "display_data"
    assert output.data["text/html"] == card.html(DONE)
    assert output.data["text/plain"] == card.line(DONE)
    assert "widgets" not in notebook.metadata
