"""Tables in files: csv, tsv, parquet, jsonl and bare ID lists, read so that no ID loses a digit and no row its place.

Text formats are read as text, cell by cell; JSON and Parquet keep their own exact types. What is written goes to a
temporary file first, so a failure leaves an existing file as it was.
"""

from __future__ import annotations

import csv
import difflib
import gzip
import importlib.util
import io
import json
import math
import re
import zlib
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ..errors import InputError
from . import files

if TYPE_CHECKING:
    from .parquet import Parquet

_FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".txt": "list",
    ".ids": "list",
    ".dat": "list",
    "": "list",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_SEPARATORS = {"csv": ",", "tsv": "\t", "list": "\t"}
_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs"}
_BOM = b"\xef\xbb\xbf"
_ID = re.compile(r"[0-9]{5,19}")
# A first row with such a cell is data, even if the ID in it is damaged: taken as a header, it would vanish.
_DATA = re.compile(
    r"[\W_]*[0-9]{5,}[\W_]*|\W*[0-9][.,]?[0-9]*E\+?[0-9]+\W*|.*/status(es)?/.*", re.IGNORECASE | re.DOTALL
)


@dataclass(frozen=True, eq=False)
class Table:
    """A file's content.

    Attributes
    ----------
    frame : DataFrame
        One row per row of the file, under positions from 0.
    format : str
        ``csv``, ``tsv``, ``list``, ``jsonl`` or ``parquet``.
    notes : tuple of str
        What the reader should be told about how the file was understood.
    headerless : bool
        Whether the file has no header; the columns are then the numbers from 1.
    path : Path
    keys : tuple of frozenset of str
        For jsonl, the keys that each record has.
    """

    frame: pd.DataFrame
    format: str
    notes: tuple[str, ...]
    headerless: bool
    path: Path
    keys: tuple[frozenset[str], ...] = ()


# --------------------------------------------------------------------------- reading


def read(path: str | Path) -> Table:
    """Read a table; the format follows from the name.

    Parameters
    ----------
    path : str or Path
        ``.csv``, ``.tsv``, ``.jsonl``, ``.ndjson``, ``.parquet``, ``.pq``; or ``.txt``, ``.ids``, ``.dat`` or no
        suffix, for a list of IDs or a table separated by tabs, commas or semicolons. Text may be packed (``.gz``).

    Returns
    -------
    Table
        Cells of csv, tsv and lists are text, exactly as in the file; an empty cell or line is a missing value.

    Raises
    ------
    InputError
        If there is no such file, or it is not of that format.
    """
    path = Path(path)
    format, packed = _format(path)
    if path.is_dir():  # pyarrow would read all the files in it, or make an empty table of none
        raise files.failure(path, IsADirectoryError())
    if format == "parquet":
        return _read_parquet(path)
    data = _text_bytes(path, packed)
    return _read_jsonl(path, data) if format == "jsonl" else _read_delimited(path, format, data)


def format_of(path: str | Path) -> str:
    """Return the format that a file's name stands for: ``csv``, ``tsv``, ``list``, ``jsonl`` or ``parquet``.

    Raises
    ------
    InputError
        It stands for none of them.
    """
    return _format(Path(path))[0]


def _format(path: Path) -> tuple[str, bool]:
    """Return the format that a name stands for, and whether the file is packed."""
    packed = path.suffix.lower() == ".gz"
    suffix = (path.with_suffix("") if packed else path).suffix.lower()
    format = _FORMATS.get(suffix)
    if format is None or (packed and format == "parquet"):
        raise InputError(
            f"{path.name}: files of this kind are not supported. Use .csv, .tsv, .txt, .jsonl (one object a line) or "
            ".parquet. From a spreadsheet, export as CSV with the ID column formatted as text."
        )
    return format, packed


def _text_bytes(path: Path, packed: bool) -> bytes:
    """Return the file's bytes, which are UTF-8 as far as a look at them tells, without a byte order mark."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise files.failure(path, error) from None
    if packed:
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error):
            raise InputError(f"{path} is not a whole gzip file. Get it again.") from None
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{path} is UTF-16, as Excel's 'Unicode Text' is. Save it as 'CSV UTF-8'.")
    if b"\0" in data:  # pandas before 3 cuts a cell there, and the rest of an ID looks like another ID
        raise InputError(f"{path} holds NUL bytes, so it is damaged or not text. Save it as UTF-8 text.")
    data = data.removeprefix(_BOM)
    if not data.strip():
        raise InputError(f"{path} is empty. Name a file with IDs.")
    return data


def _read_delimited(path: Path, format: str, data: bytes) -> Table:
    body = data.lstrip(b"\r\n")  # pandas gives up on a blank first line
    blank = len(data[: len(data) - len(body)].splitlines())
    separator = _separator(format, body)
    rows = _rows(path, body, separator, blank)
    first = ["" if pd.isna(cell) else str(cell) for cell in rows.iloc[0]]
    headerless = any(map(_DATA.fullmatch, first)) or (len(first) == 1 and first[0].isdigit())
    notes = []
    if separator != _SEPARATORS[format]:
        notes.append(f"{path.name} is separated by {_NAMES[separator]}.")
    if headerless:
        notes.append(f"The first row of {path.name} holds an ID, so there is no header; columns are numbers from 1.")
        frame = rows.set_axis(rows.index + blank).reindex(range(len(rows) + blank))
        frame.columns = pd.Index(range(1, len(first) + 1))
    else:
        frame = rows.iloc[1:].reset_index(drop=True)
        frame.columns = pd.Index(first)
    return Table(frame, format, tuple(notes), headerless, path)


def _separator(format: str, body: bytes) -> str:
    """Return the separator: the format's own, unless the first lines agree on another one."""
    if format == "tsv":
        return "\t"
    lines = [line for line in body[:65_536].decode("utf-8", "replace").split("\n")[:20] if line.strip("\r")]
    if len(body) > 65_536 and len(lines) > 1:
        lines.pop()  # it may be cut

    def agree(separator: str) -> bool:
        try:
            widths = {len(next(csv.reader([line], delimiter=separator))) for line in lines}
        except csv.Error:
            return False
        return len(widths) == 1 and widths != {1}

    if format == "csv" and "," in lines[0]:
        return ","
    return next((separator for separator in "\t,;" if agree(separator)), _SEPARATORS[format])


_RAGGED = re.compile(r"Expected (\d+) fields in line (\d+), saw (\d+)")


def _rows(path: Path, body: bytes, separator: str, blank: int) -> pd.DataFrame:
    """Return all rows, a header too, as text; `blank` lines before `body` count in messages."""
    try:
        return pd.read_csv(
            io.BytesIO(body),
            sep=separator,
            header=None,
            dtype=str,
            keep_default_na=False,
            na_values=[""],
            skip_blank_lines=False,
            encoding="utf-8",
        )
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8 text. Save it as 'CSV UTF-8'.") from None
    except pd.errors.ParserError as error:
        ragged = _RAGGED.search(str(error))
        if ragged is None:
            raise InputError(f"{path}: a quotation mark is never closed ({error}). Repair the file.") from None
        expected, line, seen = map(int, ragged.groups())
        raise InputError(
            f"{path}, line {line + blank}: {seen} cells where the first row has {expected}. "
            f"Repair the file, or quote cells that contain {_NAMES[separator]}."
        ) from None


def _read_jsonl(path: Path, data: bytes) -> Table:
    records: list[dict[str, Any]] = []
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            # NaN is no JSON, but pandas and Python write it for a missing value
            record = json.loads(line, parse_constant=lambda _: None)
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict):
            raise InputError(f"{path}, line {number} is not a JSON object. Write one object a line, in UTF-8.")
        records.append(record)
    names = list(dict.fromkeys(key for record in records for key in record))
    # As objects, values stay what they are: pandas would make floats of integers beside a missing value.
    frame = pd.DataFrame({name: pd.Series([r.get(name) for r in records], dtype=object) for name in names})
    keys = tuple(frozenset(record) for record in records)
    return Table(frame.reindex(range(len(records))), "jsonl", (), False, path, keys)


def _read_parquet(path: Path) -> Table:
    try:
        # Arrow types hold integers beside missing values; numpy's would be floats
        frame = pd.read_parquet(path, engine="pyarrow", dtype_backend="pyarrow")
    except ImportError:
        raise files.no_arrow() from None
    except FileNotFoundError as error:
        raise files.failure(path, error) from None
    except (OSError, ValueError) as error:
        raise files.unfit(path, error) from None
    named = any(name is not None for name in frame.index.names)
    return Table(frame.reset_index(drop=not named), "parquet", (), False, path)


def in_pieces(path: str | Path, output: str | Path | None) -> Parquet | None:
    """Open a table to be read, and written, in pieces; None unless both files are Parquet.

    Raises
    ------
    InputError
        As `read` raises it.
    """
    path = Path(path)
    if _format(path)[0] != "parquet" or (output is not None and _format(Path(output))[0] != "parquet"):
        return None
    if path.is_dir():
        raise files.failure(path, IsADirectoryError())
    try:
        from .parquet import Parquet
    except ImportError:
        raise files.no_arrow() from None
    return Parquet(path)


# --------------------------------------------------------------------------- choosing a column


def column(table: Table, name: str | None) -> Hashable:
    """Return the label of the column that a command line names.

    Parameters
    ----------
    table : Table
    name : str or None
        A name, or a number from 1 if the file has no header; None takes the only column there is.

    Raises
    ------
    InputError
        If there is no such column, or a choice; the message lists the columns, and those that look like IDs.
    """
    labels: list[Hashable] = list(table.frame.columns)
    if name is None:
        if len(labels) == 1:
            return labels[0]
        raise InputError(f"{table.path.name} has {len(labels)} columns ({_listed(table)}). Name the one with the IDs.")
    hits = [label for label in labels if str(label) == name]
    if len(hits) > 1:
        raise InputError(f"{table.path.name} has {len(hits)} columns named {name!r}. Rename all but one in the file.")
    if hits:
        return hits[0]
    close = difflib.get_close_matches(name, map(str, labels), n=1)
    guess = f" Did you mean {close[0]!r}?" if close else ""
    raise InputError(f"{table.path.name} has no column {name!r}.{guess} Choose one of its columns ({_listed(table)}).")


def _listed(table: Table) -> str:
    labels = table.frame.columns
    likely = [repr(label) for label in _id_columns(table.frame)]
    listed = (
        f"without a header, columns are numbers 1 to {len(labels)}"
        if table.headerless
        else ", ".join(map(repr, labels))
    )
    plural = len(likely) > 1
    looks = f"; column{'s' * plural} {', '.join(likely)} look{'s' * (not plural)} like IDs" if likely else ""
    return f"{listed}{looks}"


def _id_columns(frame: pd.DataFrame) -> list[Hashable]:
    """Return the columns most of whose first cells are numbers of 5 to 19 digits."""
    likely: list[Hashable] = []
    for position, label in enumerate(frame.columns):
        cells = [str(cell) for cell in frame.iloc[:1000, position].dropna().head(100)]
        if 2 * sum(_ID.fullmatch(cell) is not None for cell in cells) > len(cells):
            likely.append(label)
    return likely


# --------------------------------------------------------------------------- writing


def check_target(path: str | Path) -> None:
    """Find out, before there is anything to write, whether `write` knows the format and the folder exists.

    Raises
    ------
    InputError
        It does not, or pyarrow is missing.
    """
    format, _ = _format(Path(path))
    if format == "parquet" and importlib.util.find_spec("pyarrow") is None:
        raise files.no_arrow()
    files.check_folder(path)


def write(table: Table, checked: pd.DataFrame, path: str | Path) -> tuple[str, ...]:
    """Write rows of a table with their new columns; the format follows from the name.

    Parameters
    ----------
    table : Table
        What `read` returned.
    checked : DataFrame
        Its frame with columns added, values changed or rows dropped, under the index that it had.
    path : str or Path
        Replaced at once when everything is written, or left as it was.

    Returns
    -------
    tuple of str
        What to tell the reader: how to read the file back without harming the IDs.

    Raises
    ------
    InputError
        If the file cannot be written there, or not in this format.
    """
    path = Path(path)
    format, packed = _format(path)
    with files.replacing(path) as raw:
        if packed:
            with gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as file:
                _write(table, checked, format, file)
        else:
            _write(table, checked, format, raw)
    return _advice(table, checked, format, path)


def spreadsheet_safe(frame: pd.DataFrame, ids: Hashable) -> pd.DataFrame:
    """Return a frame none of whose text a spreadsheet takes for a formula: an apostrophe goes before = + - @.

    This changes every text that begins so, mentions among them, hence it is nobody's default. The column of IDs is
    left alone, because an apostrophe would spoil an ID.
    See https://owasp.org/www-community/attacks/CSV_Injection.
    """
    safe = frame.copy()
    for position, label in enumerate(frame.columns):
        if label != ids:
            cells = frame.iloc[:, position]
            risky = [isinstance(cell, str) and cell.startswith(_FORMULA) for cell in cells]
            if any(risky):
                guarded = [f"'{cell}" if flag else cell for cell, flag in zip(cells, risky, strict=True)]
                safe.isetitem(position, pd.Series(guarded, dtype=object).to_numpy())
    return safe


_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def _write(table: Table, checked: pd.DataFrame, format: str, file: Any) -> None:
    if format in ("jsonl", "parquet") and not checked.columns.map(str).is_unique:
        raise InputError("Several columns have the same name, which only .csv and .tsv can hold. Write one of these.")
    if format == "parquet":
        _write_parquet(checked, file)
    elif format == "jsonl":
        file.writelines(_json_lines(table, checked))
    else:
        plain = _plain(checked)
        plain.to_csv(
            file,
            sep=_SEPARATORS[format],
            index=False,
            header=not _bare(table, checked, format),
            mode="wb",
            encoding="utf-8",
            errors="backslashreplace",  # JSON may hold half a surrogate pair, which UTF-8 cannot
            lineterminator="\n",
            # Python's writer leaves a lone carriage return unquoted, and readers take it for the end of a row
            quoting=csv.QUOTE_ALL if _has_return(plain) else csv.QUOTE_MINIMAL,
        )


def _has_return(frame: pd.DataFrame) -> bool:
    columns = (frame.iloc[:, position] for position in range(len(frame.columns)))
    headed = any("\r" in str(label) for label in frame.columns)
    return headed or any(isinstance(cell, str) and "\r" in cell for column in columns for cell in column)


def _bare(table: Table, checked: pd.DataFrame, format: str) -> bool:
    """Whether this is a list of IDs again."""
    return format == "list" and table.headerless and len(checked.columns) == 1


def _write_parquet(checked: pd.DataFrame, file: Any) -> None:
    try:
        checked.set_axis([str(label) for label in checked.columns], axis=1).to_parquet(
            file, engine="pyarrow", index=False
        )
    except ImportError:
        raise files.no_arrow() from None
    except (ValueError, TypeError) as error:
        raise InputError(
            f"The table does not fit into Parquet ({str(error)[:200]}). Write .csv or .jsonl instead."
        ) from None


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with times and nested values as text."""
    columns = [_plain_column(frame.iloc[:, position]) for position in range(len(frame.columns))]
    plain = pd.concat(columns, axis=1) if columns else frame
    return plain.set_axis(frame.columns, axis=1)


def _plain_column(cells: pd.Series[Any]) -> pd.Series[Any]:
    if cells.dtype == object:
        flat = [_json(cell).decode("utf-8") if isinstance(cell, dict | list) else cell for cell in cells]
        return pd.Series(flat, index=cells.index, dtype=object)
    if _is_time(cells):
        return pd.Series(_times(cells), index=cells.index, dtype=object)
    return cells


def _is_time(cells: pd.Series[Any]) -> bool:
    return getattr(cells.dtype, "kind", "") == "M"


def _times(cells: pd.Series[Any]) -> list[str | None]:
    """Write times as X does: ISO 8601, in UTC where a zone is known."""
    return [None if pd.isna(moment) else _iso(moment) for moment in cells]


def _iso(moment: Any) -> str:
    if isinstance(moment, datetime) and moment.tzinfo is not None:
        return pd.Timestamp(moment).tz_convert("UTC").isoformat().replace("+00:00", "Z")
    return str(moment.isoformat())


def _json_lines(table: Table, checked: pd.DataFrame) -> Iterator[bytes]:
    """Yield one object a line; a key that a record did not have stays away unless it has a value now."""
    names = [str(label) for label in checked.columns]
    old = frozenset(map(str, table.frame.columns))
    columns = [_json_cells(checked.iloc[:, position]) for position in range(len(names))]
    for label, *cells in zip(checked.index, *columns, strict=True):
        keys = table.keys[label] if table.keys else old
        yield (
            _json(
                {
                    name: cell
                    for name, cell in zip(names, cells, strict=True)
                    if cell is not None or name in keys or name not in old
                }
            )
            + b"\n"
        )


def _json_cells(cells: pd.Series[Any]) -> Sequence[Any]:
    if _is_time(cells):
        return _times(cells)
    values = cells.astype(object).tolist()
    return [
        None if missing or (isinstance(value, float) and not math.isfinite(value)) else value
        for value, missing in zip(values, cells.isna(), strict=True)
    ]


def _json(value: object) -> bytes:
    # What UTF-8 cannot hold, half a surrogate pair, is written \udXXX by "backslashreplace": just as JSON writes it.
    return json.dumps(value, ensure_ascii=False, default=_unboxed).encode("utf-8", "backslashreplace")


def _unboxed(value: Any) -> Any:
    """Return numpy's numbers as Python's, times as ISO text, and anything else as text."""
    if hasattr(value, "tolist"):
        return value.tolist()
    return _iso(value) if isinstance(value, datetime) else str(value)


def _advice(table: Table, checked: pd.DataFrame, format: str, path: Path) -> tuple[str, ...]:
    """Return the line that reads the file back with every digit."""
    name = json.dumps(path.name, ensure_ascii=False)
    if format == "parquet":
        return ()
    if format == "jsonl":
        return (f"Read it back with: pd.read_json({name}, lines=True, dtype=False, convert_dates=False)",)
    if _bare(table, checked, format):
        return (f"Read it back with: pd.read_csv({name}, header=None, dtype=str)",)
    ids = {str(label): "str" for label in _id_columns(checked)}
    times = [str(label) for position, label in enumerate(checked.columns) if _is_time(checked.iloc[:, position])]
    tab = ', sep="\\t"' if _SEPARATORS[format] == "\t" else ""
    dtype = json.dumps(ids, ensure_ascii=False) if ids else "str"
    dates = f", parse_dates={json.dumps(times, ensure_ascii=False)}" if times else ""
    return (f"Read it back with: pd.read_csv({name}{tab}, dtype={dtype}{dates})",)
