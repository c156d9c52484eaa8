"""Break each safety rule on purpose and see that the tests notice: `python tests/mutants.py [WORD ...]`.

Each mutant is one replacement in the package. It is made in a copy, and the named test files are run on the copy; a
mutant survives if they pass. Words select mutants by name. Exit status 1 if any survives.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]


class Mutant(NamedTuple):
    """One broken rule: in `file`, `old` (found once) becomes `new`; `tests` should fail."""

    name: str
    file: str
    old: str
    new: str
    tests: str


MUTANTS = [
    # what an answer proves
    Mutant(
        "length is not compared",
        "digest.py",
        "if length is not None and length !=",
        "if length is None and length !=",
        "digest",
    ),
    Mutant("stored length is not compared", "digest.py", "if stored_length is not None and", "if False and", "digest"),
    Mutant("transcoded objects pass", "digest.py", "if stored_coding != coding:", "if False:", "digest"),
    Mutant("a broken connection passes", "digest.py", "if received.broken:", "if False:", "digest"),
    Mutant(
        "checksums are not compared",
        "digest.py",
        "return all(ours[name] == value for name, value in theirs.items())",
        "return True",
        "digest",
    ),
    Mutant("one right checksum is enough", "digest.py", "return all(ours[name]", "return any(ours[name]", "digest"),
    Mutant(
        "an unreadable checksum is none",
        "digest.py",
        "    if theirs is None:\n        return False",
        "    if theirs is None:\n        return None",
        "digest",
    ),
    Mutant(
        "no headers are length",
        "digest.py",
        'Grade.LENGTH if "content-length" in headers else Grade.UNPROVED',
        "Grade.LENGTH",
        "digest transport",
    ),
    Mutant(
        "half a last line is whole",
        "digest.py",
        'received.last_byte == b"\\n" or received.length == 0',
        "True",
        "digest",
    ),
    Mutant(
        "cut gzip passes",
        "digest.py",
        '            raise ValueError("the gzip data end too early")\n        total',
        "            return\n        total",
        "digest",
    ),
    # what somebody says, and nobody here saw
    Mutant(
        "a file clears without the IDs sent",
        "saved.py",
        'return "which IDs were sent is not given (sent=...)"',
        "return None",
        "old_results",
    ),
    Mutant("a flawed file clears", "saved.py", "if self.flaw is not None:", "if False:", "old_results"),
    Mutant("a file with foreign records clears", "saved.py", "        if foreign:", "        if False:", "old_results"),
    Mutant(
        "a file that lists nothing clears", "saved.py", "        if not listed:", "        if False:", "old_results"
    ),
    Mutant("half a last line is no flaw", "saved.py", 'if last != b"\\n":', "if False:", "old_results"),
    Mutant("posts are results", "saved.py", "if parsed.lines and not told:", "if False:", "old_results"),
    Mutant(
        "no word is told",
        "summary.py",
        "    if not count:\n        return",
        "    if True:\n        return",
        "old_results",
    ),
    Mutant(
        "an attached job is as good as ours",
        "lifecycle.py",
        "grade = Grade.UNPROVED if why else Grade.GIVEN",
        "pass",
        "steps",
    ),
    Mutant("an attached job that lists nothing clears", "lifecycle.py", "if not listed:", "if False:", "steps"),
    Mutant(
        "an expired attached job is made anew",
        "lifecycle.py",
        "    if batch.upload_proof == ATTACHED:\n        why",
        "    if False:\n        why",
        "steps",
    ),
    Mutant("ours is attached", "client.py", "if own is not None and not gone", "if False and not gone", "steps"),
    Mutant(
        "a check goes on with an attached run",
        "client.py",
        "lifecycle.attached_job(record) == attached",
        "True",
        "steps",
    ),
    # what a result says
    Mutant("bad lines are skipped", "results.py", "                self._bad_count += 1\n", "", "results cli"),
    Mutant(
        "split at every line separator",
        "results.py",
        "Lines([rest, *pieces])",
        'Lines([rest, *(piece.replace(b"\\xc2\\x85", b"\\n") for piece in pieces)])',
        "results",
    ),
    Mutant(
        "a layout fits any line of its size",
        "layouts.py",
        "wrong |= (column & mask) ^ word",
        "wrong |= (column & mask) ^ (column & mask)",
        "columnar",
    ),
    Mutant("any digits are a time", "layouts.py", "                good &= real\n", "", "columnar"),
    Mutant("any digits are an ID", "layouts.py", "good = ids.valid", "good = ids.values >= 0", "columnar"),
    Mutant("every month has 31 days", "layouts.py", "real = (day < _DAYS[month])", "real = (day < 31)", "columnar"),
    Mutant("a layout is not tried on its own line", "results.py", "if not again.same(", "if None is (", "columnar"),
    Mutant("over-long lines can be blank", "results.py", "(line[LINE_MAX:].strip() or", "(", "columnar"),
    Mutant("the last duplicate key wins", "results.py", "if len(data) != len(pairs):", "if False:", "results"),
    Mutant(
        "leading zeros are an ID",
        "results.py",
        're.compile(r"[1-9][0-9]{0,18}")',
        're.compile(r"[0-9]{1,19}")',
        "results",
    ),
    Mutant(
        "geo scrubbing is a deletion",
        "results.py",
        "GONE, GEO, REHYDRATE, UNKNOWN, ERROR = range(5)",
        "GONE, GEO, REHYDRATE, UNKNOWN, ERROR = 0, 0, 2, 3, 4",
        "results",
    ),
    # which row gets what
    Mutant(
        "unproved absence is compliant",
        "verdicts.py",
        "(COMPLIANT if part.proved else UNCHECKED, ACTION_REQUIRED)",
        "(COMPLIANT, ACTION_REQUIRED)",
        "verdicts",
    ),
    Mutant(
        "foreign records count",
        "verdicts.py",
        "own = (spot >= 0) & (_read(case, spot) == 2 * number)",
        "own = spot >= 0",
        "verdicts",
    ),
    Mutant("rows nobody asked about are compliant", "verdicts.py", "case, UNCHECKED)", "case, COMPLIANT)", "verdicts"),
    Mutant(
        "a slot is believed without its key",
        "verdicts.py",
        "right = self._keys.take(places) == asked",
        "right = places >= 0",
        "verdicts",
    ),
    Mutant(
        "an error record is a verdict",
        "results.py",
        'return findings["error"].isna() | findings["action"].notna()',
        'return findings["error"].isna() | findings["id"].notna()',
        "verdicts results",
    ),
    Mutant(
        "bad lines still prove",
        "lifecycle.py",
        "proved=grade is not Grade.UNPROVED and not bad_lines and not foreign",
        "proved=grade is not Grade.UNPROVED and not foreign",
        "lifecycle cli",
    ),
    Mutant(
        "foreign records still prove",
        "lifecycle.py",
        "proved=grade is not Grade.UNPROVED and not bad_lines and not foreign",
        "proved=grade is not Grade.UNPROVED and not bad_lines",
        "lifecycle",
    ),
    # what several columns say together
    Mutant(
        "an unchecked author clears",
        "combined.py",
        "_PRECEDENCE = (ACTION_REQUIRED, UNCHECKED, INVALID, COMPLIANT)",
        "_PRECEDENCE = (ACTION_REQUIRED, COMPLIANT, UNCHECKED, INVALID)",
        "combined",
    ),
    Mutant(
        "the author is not asked for", "combined.py", "has = statuses == code", "has = statuses[:1] == code", "combined"
    ),
    Mutant(
        "the milder part speaks",
        "combined.py",
        "asked if code == ACTION_REQUIRED else 0",
        "0",
        "combined",
    ),
    Mutant(
        "what is referred to is not sent",
        "frames.py",
        "for other, part in parts.items() if other.job is question.job]",
        "for other, part in parts.items() if other is question]",
        "combined",
    ),
    Mutant("a gone retweet stays", "cleaning.py", '"gone", kinds)] = DROPPED', '"gone", ())] = DROPPED', "combined"),
    Mutant(
        "unproved references pass for compliant",
        "combined.py",
        'left = status.isin(["unchecked", "invalid"])',
        'left = status.isin(["none"])',
        "combined",
    ),
    Mutant(
        "a scrubbed place is a post that is gone",
        "combined.py",
        'reason"]) == GONE)',
        'reason"]) >= GONE)',
        "combined",
    ),
    Mutant(
        "old references stay",
        "frames.py",
        "if overwrite and isinstance(checked",
        "if False and isinstance(checked",
        "combined",
    ),
    Mutant(
        "posts alone are not warned of",
        "frames.py",
        "    if authors:\n",
        "    if False:\n",
        "combined",
    ),
    # what is cleaned
    Mutant(
        "a geo reason drops rows",
        "results.py",
        '[geo, action == "delete", action == "rehydrate"], [GEO, GONE, REHYDRATE]',
        '[action == "delete", geo, action == "rehydrate"], [GONE, GEO, REHYDRATE]',
        "cleaning",
    ),
    Mutant("scrub_geo is a reason only", "results.py", "action.isin(GEO_REASONS) | ", "", "cleaning"),
    Mutant(
        "unknown actions delete",
        "cleaning.py",
        "[DROPPED, GEO_BLANKED, REHYDRATE, UNKNOWN]",
        "[DROPPED, GEO_BLANKED, REHYDRATE, DROPPED]",
        "cleaning",
    ),
    Mutant(
        "unchecked rows are not told of",
        "cleaning.py",
        "[asked, UNCHECKED, INVALID]",
        "[asked, KEPT, INVALID]",
        "cleaning",
    ),
    Mutant(
        "apply does not warn",
        "applying.py",
        "    if note := plan.note():\n        asking.warn(note)\n    put",
        "    put",
        "cleaning",
    ),
    Mutant(
        "geo data that were not found are not told of",
        "cleaning.py",
        "            change[scrubbed & ~found] = NO_GEO",
        "            pass",
        "cleaning",
    ),
    Mutant("records keep their geo data", "cleaning.py", "    for at in places:\n", "    for at in []:\n", "cleaning"),
    Mutant(
        "the caller's dicts are changed",
        "geo.py",
        "new, found = dict(record), False",
        "new, found = record, False",
        "cleaning",
    ),
    Mutant(
        "records within data keep their geo data",
        "geo.py",
        'if isinstance(new.get("data"), dict):',
        "if False:",
        "cleaning",
    ),
    Mutant(
        "included places stay", "geo.py", 'if isinstance(new.get("includes"), dict) and', "if False and", "cleaning"
    ),
    Mutant(
        "geo data that cannot be read are not told of",
        "geo.py",
        "        if _MENTIONED.search(cell):",
        "        if False:",
        "cleaning",
    ),
    Mutant(
        "verdict columns are blanked",
        "cleaning.py",
        "geo_rules.is_name(label) and at not in own]",
        "geo_rules.is_name(label)]",
        "cleaning",
    ),
    Mutant(
        "redacted rows lose their verdict",
        "cleaning.py",
        "            if at not in spared:",
        "            if True:",
        "cleaning",
    ),
    Mutant(
        "categories keep what went",
        "cleaning.py",
        "        if lost and at not in own and",
        "        if False and",
        "cleaning",
    ),
    Mutant(
        "index levels keep what went", "cleaning.py", "left = after.remove_unused_levels()", "left = after", "cleaning"
    ),
    Mutant(
        "the caller's objects are blanked",
        "cleaning.py",
        "values = column.to_numpy(copy=True)",
        "values = column.to_numpy()",
        "cleaning",
    ),
    Mutant(
        "the caller's records are replaced",
        "cleaning.py",
        "array = column.array.copy()",
        "array = column.array",
        "cleaning",
    ),
    # IDs
    Mutant("damaged floats are cast", "ids.py", "problem[finite & (np.abs(numbers) >= limit)] = _LOST", "pass", "ids"),
    Mutant("users pass as posts", "asking.py", "    if id_rules.names_users(name):", "    if False:", "mistakes"),
    # the job's life
    Mutant("create is repeated blindly", "lifecycle.py", "return Step.ADOPT", "return Step.CREATE", "lifecycle crash"),
    Mutant(
        "a lost create is a failed one",
        "lifecycle.py",
        "phase = Phase.PLANNED if none_made else Phase.CREATING",
        "phase = Phase.PLANNED",
        "lifecycle crash",
    ),
    Mutant("one list is enough", "lifecycle.py", "    if batch.unlisted == 0:", "    if False:", "lifecycle"),
    Mutant("half a list is a list", "protocol.py", '"errors" in answer or', "", "hostile"),
    Mutant(
        "any job is ours",
        "lifecycle.py",
        "other = job.name not in (None, name) and batch.upload_proof != ATTACHED",
        "other = False",
        "lifecycle",
    ),
    Mutant(
        "a job without our file is believed",
        "lifecycle.py",
        "and (seen.upload_cut or not seen.uploads)",
        "and False",
        "lifecycle",
    ),
    Mutant("a damaged upload is believed", "runner.py", "        if agree is False:", "        if False:", "hostile"),
    Mutant(
        "half an upload is confirmed",
        "transport.py",
        "if body is not None and answer.status == 200 and not body.left:",
        "if False:",
        "hostile",
    ),
    Mutant(
        "the upload's answer is not read",
        "runner.py",
        '        protocol.decipher_bytes("Uploading the IDs"',
        '        (lambda *_: None)("Uploading the IDs"',
        "hostile faults",
    ),
    Mutant(
        "one chunked download is enough",
        "runner.py",
        "            if weak and batch.framed_sha256",
        "            if False and batch.framed_sha256",
        "hostile",
    ),
    Mutant(
        "the check is dated too late",
        "lifecycle.py",
        'upload_proof="status", checked_at=seen.job_created_at',
        'upload_proof="status", checked_at=now',
        "lifecycle",
    ),
    Mutant(
        "the slot rule is ignored",
        "lifecycle.py",
        "return Step.CREATE if slot_free else Step.WAIT",
        "return Step.CREATE",
        "lifecycle",
    ),
    Mutant(
        "a second upload clears the first",
        "lifecycle.py",
        "upload_cut=batch.upload_cut if needless and batch.uploads else True",
        "upload_cut=not needless",
        "lifecycle upload_xapi",
    ),
    Mutant(
        "a late refusal is an end",
        "lifecycle.py",
        "return refused and end is not None and server_now >= end",
        "return False",
        "lifecycle upload_xapi",
    ),
    Mutant(
        "batches have no limit in bytes",
        "ids.py",
        "    size = min(size, bytes_max // (DIGITS_MAX + 1))",
        "    pass",
        "ids",
    ),
    Mutant(
        "errors are proved compliant on the card",
        "lifecycle.py",
        "undecided=sum(b.undecided for b in batches if b.phase is Phase.DONE and b.proved)",
        "undecided=0",
        "check",
    ),
    # cancelling
    Mutant(
        "the request to cancel is not written down",
        "runner.py",
        "        run = run.with_batch(lifecycle.cancelling(batch))\n",
        "",
        "cancel",
    ),
    Mutant(
        "a wish to cancel is not written down",
        "runner.py",
        "        self.ledger.save(lifecycle.cancel(self.ledger.load(run_id)))",
        "        lifecycle.cancel(self.ledger.load(run_id))",
        "cancel",
    ),
    Mutant(
        "what was not sent ends first",
        "lifecycle.py",
        "return Step.END if slot_free else Step.WAIT",
        "return Step.END",
        "lifecycle cancel",
    ),
    Mutant(
        "the answer to a cancellation is believed",
        "runner.py",
        "        return self.ledger.load(run.id)\n\n    def _look",
        "        return self._save(run, lifecycle.end(run.batches[batch.number - 1]))\n\n    def _look",
        "cancel",
    ),
    Mutant(
        "any failure is a cancellation",
        "lifecycle.py",
        "    if phase is Phase.DEAD and status is _F and batch.cancels:",
        "    if phase is Phase.DEAD and status is _F and batch.cancels is not None:",
        "cancel",
    ),
    Mutant(
        "a service that cannot cancel ends the rest",
        "runner.py",
        "self.ledger.save(lifecycle.keep(self.ledger.load(run.id)))",
        "pass",
        "cancel",
    ),
    # uploads in parts
    Mutant(
        "a hole is left in a resumed upload",
        "resumable.py",
        "if kept is None or kept > self._sent:",
        "if kept is None:",
        "resumable",
    ),
    Mutant(
        "a session that claims to be whole is believed",
        "resumable.py",
        "        if not self.left:",
        "        if False:",
        "resumable",
    ),
    Mutant(
        "the last part leaves unproved",
        "resumable.py",
        "FileBody(self._path, leaving if last else lambda sha256: None, at",
        "FileBody(self._path, lambda sha256: None, at",
        "resumable",
    ),
    Mutant(
        "a part that changed is not noticed",
        "resumable.py",
        "if self._proved.get(end, sha256.hexdigest()) != sha256.hexdigest():",
        "if False:",
        "resumable",
    ),
    Mutant("a tail that the service lacks was sent", "resumable.py", "                cut()\n", "", "resumable"),
    Mutant(
        "spoilt ID files are sent",
        "ledger.py",
        "    if found != written:",
        "    if False:",
        "ledger",
    ),
    Mutant(
        "no driver lock",
        "ledger.py",
        'return filelock.FileLock(folder / "lock"',
        'return filelock.FileLock(folder / f"lock{secrets.token_hex(4)}"',
        "crash",
    ),
    Mutant(
        "finished runs are reused",
        "client.py",
        "            and not record.ended\n",
        "",
        "check",
    ),
    Mutant(
        "a second checksum hides the first",
        "protocol.py",
        "hashes.setdefault(name, raw) != raw:",
        "hashes.update({name: raw}):",
        "fuzz",
    ),
    Mutant("a text is a list of jobs", "ledger.py", "if not isinstance(value, list):", "if False:", "ledger"),
    Mutant("any schema will do", "ledger.py", "if type(schema) is not int or schema != SCHEMA:", "if False:", "ledger"),
    # what is written of a file
    Mutant(
        "retweets of gone posts stay",
        "records.py",
        '        others += [(_of(posts, post), "retweeted post")',
        '        _ = [(_of(posts, post), "retweeted post")',
        "clean_file",
    ),
    Mutant(
        "an author's posts stay",
        "records.py",
        "        others = self._of_authors(stored)",
        "        others: list[Any] = []",
        "clean_file",
    ),
    Mutant(
        "only a post's own line tells its author",
        "records.py",
        "        if any(post in self._known.orphans for post in stored.retweeted):",
        "        if False:",
        "clean_file",
    ),
    Mutant(
        "an included post without its author's line stays",
        "records.py",
        "        if stored.id in self._known.orphans and",
        "        if False and",
        "clean_file",
    ),
    Mutant(
        "a copy that does not say what it retweets stays",
        "records.py",
        "        if stored.id in self._known.repeats and",
        "        if False and",
        "clean_file",
    ),
    Mutant(
        "a retweet of a gone author's post stays elsewhere",
        "copies.py",
        'self._hanging(spill, posts_of, _POSTS, "posts", orphans)',
        'self._hanging(spill, posts_of, _POSTS, "posts")',
        "clean_file",
    ),
    Mutant(
        "includes are not cleaned",
        "records.py",
        '    found = [_post(post, ("includes", "tweets", n), CUT, pinned_by',
        '    found = [] and [_post(post, ("includes", "tweets", n), CUT, pinned_by',
        "clean_file",
    ),
    Mutant(
        "quoted posts are not looked at",
        "records.py",
        '_POSTS_IN_A_POST = ("retweeted_status", "quoted_status")',
        '_POSTS_IN_A_POST = ("retweeted_status",)',
        "clean_file",
    ),
    Mutant(
        "profiles in mentions stay",
        "records.py",
        "if _has_id(mention) and not",
        "if False and not",
        "clean_file",
    ),
    Mutant(
        "what others refer to goes, too",
        "records.py",
        "_referred(post.value.get(key), refers)} - left",
        "_referred(post.value.get(key), refers)}",
        "clean_file",
    ),
    Mutant(
        "attached media stay",
        "records.py",
        '                    self.edits["includes", name, place] = CUT',
        "                    pass",
        "clean_file",
    ),
    Mutant(
        "a scrubbed post's place stays in includes",
        "records.py",
        'lost = self.gone | self._scrubbed if name == "places" else self.gone',
        "lost = self.gone",
        "clean_file",
    ),
    Mutant(
        "a number is an ID about so",
        "records.py",
        "return value if type(value) is int and 0 < value <= ID_MAX else None",
        "return int(value) if isinstance(value, int | float) and 0 < value <= ID_MAX else None",
        "clean_file records",
    ),
    Mutant(
        "a rounded ID counts",
        "records.py",
        'return id_of(value["id_str"] if "id_str" in value else value.get("id"))',
        'return id_of(value["id"] if "id" in value else value.get("id_str"))',
        "clean_file",
    ),
    Mutant("a key may stand twice", "records.py", "    if len(value) < len(pairs):", "    if False:", "clean_file"),
    Mutant(
        "profiles are sent as posts",
        "records.py",
        '    if "username" not in value and "screen_name" not in value:',
        "    if True:",
        "clean_file",
    ),
    Mutant(
        "an unchecked author is fine",
        "records.py",
        "        if own.change == KEPT:  # what",
        "        if False:  # what",
        "clean_file",
    ),
    Mutant(
        "an ID that nobody asked for is fine",
        "records.py",
        "_NOT_ASKED, _NO_ID = Verdict(KEPT), Verdict(UNCHECKED)",
        "_NOT_ASKED, _NO_ID = Verdict(KEPT), Verdict(KEPT)",
        "records",
    ),
    Mutant(
        "unchecked posts go without a word",
        "copies.py",
        '            if change == kind and self.open[option] == "drop":',
        "            if change == kind:",
        "clean_file",
    ),
    Mutant(
        "unchecked posts stay without a word",
        "copies.py",
        '    if told:\n        asking.warn(f"Kept as',
        '    if False:\n        asking.warn(f"Kept as',
        "clean_file",
    ),
    Mutant("bad lines are not counted", "copies.py", "            bad.add(number, line=True)\n", "", "clean_file"),
    Mutant(
        "a file that changed is written",
        "tables/jsonl.py",
        "        elif self._digest != digest.digest():",
        "        elif False:",
        "clean_file",
    ),
    Mutant(
        "the end of a file is not compared",
        "copies.py",
        "        for _ in lines:  # to the end, so that it is known to be the same file\n            pass",
        "",
        "clean_file",
    ),
    Mutant(
        "records are written anew",
        "splice.py",
        '    return "".join([*kept, text[at:]])',
        '    return json.dumps(json.loads("".join([*kept, text[at:]])))',
        "clean_file",
    ),
    Mutant(
        "Parquet keeps what goes",
        "tables/parquet.py",
        "    table = table.filter(pa.array(plan.change != DROPPED))\n",
        "",
        "clean_file",
    ),
    Mutant(
        "Parquet keeps places in records",
        "tables/parquet.py",
        "    for at, (rows, cells) in plan.rewritten.items():",
        "    for at, (rows, cells) in ():",
        "clean_file",
    ),
    # what was done, and what is left of a run
    Mutant("the chain is not checked", "audit.py", ' and record.get("previous") == previous', "", "audit"),
    Mutant("a record's checksum is not compared", "audit.py", 'record.get("sha256") == _seal(record) and', "", "audit"),
    Mutant("any run's records hold", "audit.py", ' and record.get("run") == run and', " and", "audit"),
    Mutant(
        "a record of what went in, twice", "audit.py", '"after": checksums(clean)', '"after": checksums(frame)', "audit"
    ),
    Mutant("a record tells an ID", "audit.py", 're.sub("[0-9]{10,}", "...", said(label))', "said(label)", "audit"),
    Mutant("a missing cell is a word", "audit.py", "        texts[at] = None", '        texts[at] = "null"', "audit"),
    Mutant(
        "a record before there is a clean frame",
        "applying.py",
        "    clean = cleaning.cleaned(frame, plan)\n    if note",
        "    put_on_record(lambda: named_runs(frame, plan.prefix), access, "
        "lambda **facts: audit.entry(frame, frame, plan, choices, **facts), 'frame')\n"
        "    clean = cleaning.cleaned(frame, plan)\n    if note",
        "audit",
    ),
    Mutant("anything with a name is a user", "records.py", "and _PROFILE.issuperset(value))", ")", "clean_file"),
    Mutant("a user need not have a name", "records.py", '("name" in value and', "(True and", "clean_file"),
    Mutant("counts of a post are no sign", "records.py", '"retweet_count" in counts', "False", "clean_file"),
    Mutant("a pinned post is nobody's", "records.py", "pinned_by=pinned.get(_own_id(post))", "", "clean_file"),
    Mutant(
        "geo data of a scrubbed author stays",
        "records.py",
        "told = [verdict, *(author for author, _ in self._of_authors(stored))]",
        "told = [verdict]",
        "clean_file",
    ),
    Mutant(
        "an author without a readable ID is no doubt",
        "records.py",
        'unread = ["author"] if None in told else []',
        "unread: list[str] = []",
        "clean_file",
    ),
    Mutant(
        "verdicts of unclear records are not seen",
        "copies.py",
        "_, first = records.parsed(line)",
        "first = records.read(line).value",
        "clean_file",
    ),
    Mutant("doubts of tables are not told", "copies.py", "self.doubts.update(plan.doubts())", "pass", "clean_file"),
    Mutant("doubts of records are not told", "copies.py", "self._doubts.update(plan.doubts())", "pass", "clean_file"),
    Mutant(
        "what must be there is invented",
        "tables/parquet.py",
        "        if _holds_required(columns[at].type):",
        "        if False:",
        "clean_file",
    ),
    Mutant(
        "a part counts only with its column",
        "cleaning.py",
        'if name.startswith(prefix) and name.endswith("_status"):',
        'if name.removeprefix(prefix) in part_names(frame.columns) and name.endswith("_status"):',
        "cleaning",
    ),
    Mutant(
        "levels of categories remember",
        "cleaning.py",
        "level.remove_unused_categories() if isinstance(level, pd.CategoricalIndex) else level",
        "level",
        "cleaning",
    ),
    Mutant(
        "changes leave out what refers to the unproved",
        "cleaning.py",
        "(plan.change != KEPT) | plan.refer_unproved",
        "plan.change != KEPT",
        "cleaning",
    ),
    Mutant(
        "old columns stay beside new verdicts",
        "frames.py",
        "return [label for label in checked.columns if geo.said(label) in labels]",
        "return []",
        "dask",
    ),
    Mutant(
        "whom a post answers is its author",
        "frames.py",
        "if combined.kind_of(label) is None]",
        "]",
        "combined",
    ),
    Mutant(
        "runs side by side share one place",
        "runner.py",
        "self._held.setdefault(run.id, {})",
        'self._held.setdefault("", {})',
        "combined",
    ),
    Mutant(
        "a batch that proves nothing settles its IDs",
        "outcome.py",
        "settled = own if whole.proved else",
        "settled = own if True else",
        "dask",
    ),
    Mutant(
        "references of which nothing is known pass",
        "cli.py",
        "        unchecked |= combined",
        "        combined",
        "cli",
    ),
    Mutant(
        "a damaged author is none",
        "records.py",
        "            for cause in stored.unread:",
        "            for cause in ():",
        "clean_file",
    ),
    Mutant(
        "changes take the file's place",
        "copies.py",
        "if Path(changes).resolve() in",
        "if False and Path(changes) in",
        "clean_file",
    ),
    Mutant(
        "runs that know nothing of posts clear them",
        "copies.py",
        '            asking.warn(\n                f"{what} were',
        '            str(\n                f"{what} were',
        "clean_file",
    ),
    Mutant(
        "dictionaries keep what went",
        "tables/parquet.py",
        "column if field.name.startswith(plan.prefix) else _forgotten(column)",
        "column",
        "clean_file",
    ),
    Mutant(
        "half a proof is a whole one",
        "cleaning.py",
        'isin(["unchecked", "invalid"]).to_numpy()',
        'isin(["x"]).to_numpy()',
        "combined",
    ),
    Mutant(
        "what was done to a file is not on record",
        "copies.py",
        "    _put_on_record(done, choice, client, before)\n",
        "",
        "clean_file",
    ),
    Mutant(
        "a full disk costs the clean frame",
        "applying.py",
        '    except ComplianceError as error:\n        asking.warn(f"The clean',
        '    except InputError as error:\n        asking.warn(f"The clean',
        "audit",
    ),
    Mutant("half a record is built upon", "ledger.py", "if torn and audit.read(torn) == [{}]:", "if False:", "audit"),
    Mutant(
        "records are written side by side",
        "ledger.py",
        "with self.planning(), _disk_errors(path), _appending(path)",
        "with _disk_errors(path), _appending(path)",
        "audit",
    ),
    Mutant(
        "the report hides a broken chain",
        "report.py",
        'if broken := int((~applied["holds"]).sum()):',
        "if broken := 0:",
        "audit",
    ),
    Mutant("the text tells broken records", "terms.py", '    if not record["holds"]:', "    if False:", "policy"),
    Mutant(
        "forget leaves the results",
        "ledger.py",
        "if path.name not in STAYS]",
        'if path.name not in STAYS and not path.name.startswith("results")]',
        "forget",
    ),
    Mutant(
        "forget leaves what it does not know",
        "ledger.py",
        "if path.name not in STAYS]",
        'if path.name.startswith(("ids-", "results-"))]',
        "forget",
    ),
    Mutant(
        "forget deletes before it says so",
        "ledger.py",
        "        self.save(lifecycle.forgotten(self.load(run_id), now))\n        self._clear(self.folder(run_id))",
        "        self._clear(self.folder(run_id))\n        self.save(lifecycle.forgotten(self.load(run_id), now))",
        "forget",
    ),
    Mutant("a half-forgotten run stays so", "ledger.py", " or self._half_forgotten(folder))", ")", "forget"),
    Mutant("X's own words stay", "lifecycle.py", 'b.reason and b.reason.partition(":")[0]', "b.reason", "forget"),
    Mutant("a forgotten run is continued", "lifecycle.py", "self.forgotten_at is not None or all(", "all(", "forget"),
    Mutant(
        "a forgotten run has steps to do",
        "lifecycle.py",
        "    if run.forgotten_at is not None:\n        return None, Step.NONE, None\n",
        "",
        "forget",
    ),
    Mutant(
        "a forgotten run covers nothing, silently",
        "outcome.py",
        "    remembered(run)\n    return (",
        "    return (",
        "forget",
    ),
    Mutant(
        "a forgotten run is read by workers",
        "outcome.py",
        "_likely(ledger, remembered(run), left, part)",
        "_likely(ledger, run, left, part)",
        "forget",
    ),
    Mutant(
        "a forgotten run ended well",
        "run.py",
        "if not remembered(self.record).ended:",
        "if not self.record.ended:",
        "forget",
    ),
    # how often, and for how long
    Mutant(
        "the rate limit is not heeded",
        "lifecycle.py",
        "    if limit is None or limit.remaining > SCARCE:",
        "    if True:",
        "poller",
    ),
    Mutant(
        "our clock tells the window",
        "runner.py",
        'self._limits.get("get"), self.server_now())',
        'self._limits.get("get"), self.clock.now())',
        "poller",
    ),
    Mutant(
        "a budget that cannot suffice",
        "client.py",
        "            if needed > self._max_requests:",
        "            if False:",
        "poller",
    ),
    Mutant(
        "the deadline waits for the look",
        "run.py",
        "clock.pause(stop, min(left, limit, TICK))",
        "clock.pause(stop, left)",
        "poller",
    ),
    # secrets and hosts
    Mutant(
        "bytes may go anywhere",
        "protocol.py",
        'storage = host == "storage.googleapis.com"',
        'storage = True or host == "storage.googleapis.com"',
        "transport",
    ),
    Mutant(
        "the token goes to storage",
        "transport.py",
        "if self._bearer_on_byte_paths and own else",
        "if True else",
        "transport check",
    ),
    Mutant(
        "the token goes to any byte path",
        "transport.py",
        "if self._bearer_on_byte_paths and own else",
        "if self._bearer_on_byte_paths else",
        "upload_xapi",
    ),
    Mutant("netrc is asked", "transport.py", "        session.auth = _NoAuth()\n", "", "transport"),
    Mutant(
        "errors keep their context",
        "transport.py",
        "            failure = _unavailable(error, urlsplit(url.reveal()).netloc)\n        raise failure",
        "            raise _unavailable(error, urlsplit(url.reveal()).netloc)",
        "transport",
    ),
    Mutant("logs keep queries", "transport.py", "        if clean != text:", "        if False:", "hostile transport"),
    Mutant(
        "foreign text is not cleaned",
        "protocol.py",
        'clean = _LONG.sub(lambda match: match[1] or "[redacted]", _QUERY.sub("?[redacted]", clean))',
        "pass",
        "transport",
    ),
    Mutant(
        "the repr tells the secret", "protocol.py", "return \"Secret('***')\"", "return repr(self._text)", "transport"
    ),
    # what was proved lately
    Mutant(
        "what is old is fresh",
        "freshness.py",
        "moment - max_age <= batch.checked_at <=",
        "batch.checked_at <=",
        "freshness",
    ),
    Mutant(
        "what is far in the future is fresh",
        "freshness.py",
        "<= batch.checked_at <= now + TOLERANCE",
        "<= batch.checked_at",
        "freshness",
    ),
    Mutant(
        "a slow clock makes verdicts younger", "freshness.py", "max(now, latest(runs, base_url))", "now", "freshness"
    ),
    Mutant(
        "another service is as good to go by",
        "freshness.py",
        "[run for run in runs if run.base_url == base_url]",
        "list(runs)",
        "freshness",
    ),
    Mutant("a check of posts makes users fresh", "freshness.py", "        if run.type == type\n", "", "freshness"),
    Mutant(
        "fresh on somebody's word",
        "freshness.py",
        "        and batch.upload_proof != ATTACHED  # that holds on somebody's word\n",
        "",
        "freshness",
    ),
    Mutant(
        "the oldest verdict stands",
        "freshness.py",
        "sorted(found, key=when, reverse=True)",
        "sorted(found, key=when)",
        "freshness",
    ),
    Mutant(
        "an error is a verdict to reuse", "freshness.py", "        chosen[place[place >= 0]] = False\n", "", "freshness"
    ),
    Mutant(
        "absence that was not proved is fresh",
        "freshness.py",
        "    if proved:\n        chosen",
        "    if True:\n        chosen",
        "freshness",
    ),
    Mutant(
        "an index of other files is believed",
        "freshness.py",
        "if head != _head(batch, len(numbers)):",
        "if False:",
        "freshness",
    ),
    Mutant("a damaged index is believed", "freshness.py", "!= _checksum(head, numbers):", "is None:", "freshness"),
    Mutant(
        "the index is believed without the files",
        "outcome.py",
        "hint[verdicts.within(ids[hint], proved)], len(hint)",
        "hint, len(hint)",
        "freshness",
    ),
    Mutant(
        "a lying index is kept",
        "outcome.py",
        "            ledger.write_index(run.id, batch, proved)\n",
        "            pass\n",
        "freshness",
    ),
    Mutant(
        "rows lost on the way are not told",
        "asking.py",
        "    if rows > 0:\n        warn(",
        "    if False:\n        warn(",
        "freshness",
    ),
    Mutant(
        "a run begun long ago is gone on with",
        "reuse.py",
        "        and run.created_at >= moment - max_age\n",
        "",
        "freshness",
    ),
    Mutant(
        "a run that allowed older ones is gone on with",
        "reuse.py",
        "        and run.max_age <= max_age\n",
        "",
        "freshness",
    ),
    Mutant(
        "the first pieces are taken for the file",
        "client.py",
        " or (reuse is not None and reuse.other)",
        "",
        "freshness",
    ),
    Mutant(
        "an open verdict counts as a return", "differences.py", "        (known & ~knows, LOST),\n", "", "differences"
    ),
    Mutant(
        "the later frame may come first",
        "differences.py",
        'if new["checked_at"].max() < old["checked_at"].min():',
        "if False:",
        "differences",
    ),
    Mutant(
        "verdicts that contradict each other pass",
        "differences.py",
        "same[codes[same] != codes[same + 1]]",
        "same[:0]",
        "differences",
    ),
    Mutant("files are for everybody", "ledger.py", '0o600), "w+b")', '0o644), "w+b")', "ledger"),
]


def survives(mutant: Mutant, copy: Path) -> bool:
    """Apply a mutant to the copy, run its tests, and put the file back."""
    path = copy / "xcompliance_pd" / mutant.file
    text = path.read_text()
    if text.count(mutant.old) != 1:
        raise SystemExit(f"{mutant.name}: the text to replace stands {text.count(mutant.old)} times in {mutant.file}")
    path.write_text(text.replace(mutant.old, mutant.new))
    try:
        files = [f"tests/test_{name}.py" for name in mutant.tests.split()]
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-x",
            "-p",
            "no:cacheprovider",
            "-o",
            "faulthandler_timeout=60",
        ]
        environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
        ended = subprocess.run([*command, *files], cwd=copy, env=environment, capture_output=True, check=False)
        if ended.returncode not in (0, 1):  # 1: a test failed; anything else says nothing about the rule
            raise SystemExit(f"{mutant.name}: the tests did not run\n{ended.stdout.decode()[-2000:]}")
        return ended.returncode == 0
    finally:
        path.write_text(text)


def main(words: list[str]) -> int:
    """Run the mutants whose name holds one of the words, or all."""
    chosen = [m for m in MUTANTS if not words or any(word in m.name for word in words)]
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache"))
        alive = []
        for mutant in chosen:
            begun = time.monotonic()
            if survives(mutant, copy):
                alive.append(mutant.name)
            print(
                f"{'SURVIVED' if mutant.name in alive else 'killed':9} {time.monotonic() - begun:5.1f} s  {mutant.name}"
            )
    print(f"{len(chosen) - len(alive)} of {len(chosen)} mutants killed")
    return 1 if alive else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
