"""`xc.policy` says what X asks, what the package does and does not, and of a frame or run what was found and done."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pandas as pd
import pytest
from support import quick

import xcompliance_pd as xc
from xcompliance_pd import terms
from xcompliance_pd.cleaning import CHANGES
from xcompliance_pd.ledger import APPLIED, Ledger

IDS = [str(1212092628029698048 + number * 4_194_304_007) for number in range(5)]
LINES = [
    f'{{"id":"{IDS[2]}","action":"delete","reason":"suspended"}}',
    f'{{"id":"{IDS[3]}","action":"delete","reason":"scrub_geo"}}',
]


@pytest.fixture
def run() -> Iterator[xc.Run]:
    with xc.Sandbox(findings=LINES, complete_after=1) as box:
        yield pd.DataFrame({"id": IDS}).compliance.submit("id", client=quick(box)).wait(30)


@pytest.fixture
def checked(run: xc.Run) -> pd.DataFrame:
    return pd.DataFrame({"id": IDS, "lat": 48.4}).compliance.join("id", run)


def test_it_says_the_main_things() -> None:
    """Links, the 24 hours and when they begin, the limits of passing on, what is not settled, and no legal advice."""
    text = " ".join(xc.policy().split())
    for part in (
        "https://docs.x.com/developer-terms/policy",
        "https://docs.x.com/developer-terms/agreement",
        "no legal advice",
        "The hours begin with the request, and not when something is deleted on X",
        "1,500,000 posts",
        "within 30 days",
        "500 objects a day",
        "ten business days",
        "no word for withheld content",
        "backups",
        "trained models",
        "Whether the IDs of deleted posts",
    ):
        assert part in text, part
    assert "What was found" not in text
    assert max(map(len, xc.policy().splitlines())) <= 110


def test_every_change_has_its_words() -> None:
    """Whatever a plan can count in a frame that nothing was done to yet is told in words."""
    assert set(terms.FOUND) == set(CHANGES) - {"redacted"}


def test_a_frame_is_told_before_and_after(checked: pd.DataFrame) -> None:
    """What was found is what the verdicts ask for; what was done is on record, once it was done."""
    before = xc.policy(checked)
    assert "What was found, in rows\n  3 compliant\n  1 to be deleted\n  1 to lose their geo data\n" in before
    assert before.endswith("What was done\n  nothing that is on record here\n")
    clean = checked.compliance.apply()
    after = xc.policy(clean)
    assert "1 to be deleted" not in after
    assert "UTC: of 5 rows, 1 dropped, 1 blanked where they held geo data.\n" in after


def test_a_run_is_told(checked: pd.DataFrame, run: xc.Run) -> None:
    """A run tells its counts and records, also after it was forgotten."""
    checked.compliance.apply(mode="mark")
    for _ in range(2):
        text = xc.policy(run)
        assert "What was found, in IDs\n  5 in the run\n  2 listed by X\n" in text
        assert "5 rows were marked; nothing was deleted." in text
        run.forget()


def test_a_broken_record_is_not_told_as_done(checked: pd.DataFrame, run: xc.Run) -> None:
    """What a changed record says was done is not repeated."""
    checked.compliance.apply()
    path = Ledger().folder(run.id) / APPLIED
    path.write_text(path.read_text().replace('"dropped": 1', '"dropped": 4'))
    text = xc.policy(run)
    assert "4 dropped" not in text
    assert "not to be relied on" in text


def test_it_tells_no_id(checked: pd.DataFrame, run: xc.Run) -> None:
    """Counts only, as everywhere."""
    checked.compliance.apply()
    assert not [number for number in IDS if number in xc.policy(checked) + xc.policy(run)]


@pytest.mark.parametrize("data", ["frame.csv", 7, pd.DataFrame({"id": IDS}), pd.Series(IDS)])
def test_anything_else_is_refused(data: object) -> None:
    """What is no checked frame and no run is an InputError that says what to do."""
    with pytest.raises(xc.InputError):
        xc.policy(data)  # type: ignore[arg-type]


def test_a_prefix_is_heeded(checked: pd.DataFrame) -> None:
    """As everywhere, the prefix given to check names the columns."""
    other = checked.rename(columns=lambda name: name.replace("compliance_", "x_"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "1 to be deleted" in xc.policy(other, prefix="x_")
