"""What X's terms ask of those who store its content, what this package does about it, and what it does not.

In our own words, and no legal advice. The terms as they stood in August 2026; the agreement was of 27 April 2026. What
matters here is "Content compliance" in the policy, and removals, redistribution and termination in the agreement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

TEXT = """\
What X asks of those who store its content, and what this package does. This is no legal advice:
read the terms themselves, and ask somebody who may give it.
  Developer Policy     https://docs.x.com/developer-terms/policy
  Developer Agreement  https://docs.x.com/developer-terms/agreement

Keep stored content as it is on X (policy, Content compliance)
  X asks        to delete what was deleted on X, and to change what was changed there: posts and accounts
                that were suspended, made private, withheld or removed, or that lost their geo data; as
                soon as reasonably possible.
  This package  check() asks X which of your IDs need action; apply() drops or redacts what is to be deleted
                and blanks geo data; changes() lists it row by row. A verdict is as old as its checked_at.
  Not done      Nothing runs by itself. Batch compliance has no word for withheld content. Edited posts are
                counted, and have to be fetched anew.

Within 24 hours of a request (policy, Content compliance; agreement, Removals)
  X asks        to delete or change content within 24 hours of a request by X or by the user whose content
                it is. The hours begin with the request, and not when something is deleted on X.
  This package  A check of these IDs and apply() do it, once X has answered, which may take its time.
  Not done      Requests are not received, and not watched.

Pass on IDs, not content (agreement, Redistribution)
  X asks        to give others IDs only, of at most 1,500,000 posts to one of them within 30 days; by hand
                also up to 500 objects a day to one person. Academics may pass on IDs for non-commercial
                research that X approved in writing, and for peer review. Researchers under Article 40 of
                the EU's Digital Services Act are exempt.
  This package  gives nothing to anybody but X. Its reports and records hold counts and checksums, no ID; the
                list of changes of a file holds the IDs of what went, so delete it, too.
  Not done      What you pass on is not counted.

Delete all of it at the end (agreement, Termination)
  X asks        to delete all content when the agreement ends, and to prove it within ten business days if X
                wants that.
  This package  run.forget() deletes the IDs and results of a run and keeps its counts. run.applied() and the
                report list what was done by its verdicts, in a chain of checksums.
  Not done      Your own files are yours to delete.

Not settled
  Whether the IDs of deleted posts, or lists or checksums of them, may be kept is not said. So mode="redact"
  keeps an ID of a frame only if keep= names it (a record of JSON keeps its own), no record of what was done
  holds one, and a run can be forgotten.

Beyond reach
  Files, backups, old versions in a repository, outputs in notebooks, and what was derived from posts, such
  as counts or trained models.
"""

# What there is to say of the rows that a plan has for each change.
FOUND = {
    "kept": "compliant",
    "dropped": "to be deleted",
    "geo blanked": "to lose their geo data",
    "kept: no geo found": "to lose their geo data, of which none was found",
    "kept: to rehydrate": "edited on X, to be fetched anew",
    "kept: unchecked": "unchecked, so nothing is known of them",
    "kept: invalid": "without an ID that could be checked",
    "kept: unknown action": "with an action that is not known",
}


def policy(found: Mapping[str, int] | None = None, done: Sequence[str] = (), unit: str = "rows") -> str:
    """Return the text; with counts, also what was found and done.

    Parameters
    ----------
    found : mapping of str to int, optional
        What was found -> how many.
    done : sequence of str
        One sentence for each thing that was done.
    unit : str
        What is counted.
    """
    if found is None:
        return TEXT
    counts = [f"{number:,} {what}" for what, number in found.items()] or ["nothing"]
    parts = {f"What was found, in {unit}": counts, "What was done": done or ["nothing that is on record here"]}
    return TEXT + "".join(f"\n{title}\n" + "".join(f"  {line}\n" for line in lines) for title, lines in parts.items())


def done(applied: pd.DataFrame) -> list[str]:
    """Return a sentence for each record of :meth:`xcompliance_pd.Run.applied`; one that does not hold is told so."""
    return [_sentence(record) for record in applied.to_dict("records")]


def _sentence(record: Mapping[object, object]) -> str:
    if not record["holds"]:
        return "A record that is not as it was written, or does not follow the one before it: not to be relied on."
    when = record["applied_at"]
    moment = f"{when:%Y-%m-%d %H:%M} UTC" if isinstance(when, pd.Timestamp) else "At a time that cannot be read"
    if record["mode"] == "mark":
        return f"{moment}: {record['rows_before']:,} rows were marked; nothing was deleted."
    words = {"dropped": "dropped", "redacted": "redacted", "geo blanked": "blanked where they held geo data"}
    changed = ", ".join(f"{record[name]:,} {what}" for name, what in words.items() if record[name])
    return f"{moment}: of {record['rows_before']:,} rows, {changed or 'none had to be changed'}."
