"""A Parquet file in pieces, so that one of any size takes little memory.

The column of IDs is handed out as pandas; everything else stays Arrow from one file to the other, so that nested
values, types, descriptions and row groups are what they were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..cleaning import CHANGES, DROPPED, MARK, Plan
from ..errors import InputError
from . import files

ROWS = 1 << 20  # of a piece at most
BYTES = 1 << 27  # of a piece at most, unpacked as the file counts it; a larger row group becomes several
HEAD = 1000  # rows by which a column is recognized
_BUFFER = 1 << 20  # bytes of a column that are read ahead; else whole columns of a row group are held packed, too
_FORMULA = r"^[=+\-@\t\r]"
# Spark believes this description of the columns before the file's own, so it would not see the new ones:
# `readSchemaFromFooter` in ParquetFileFormat.scala, https://github.com/apache/spark/tree/v3.5.0/sql/core
_SPARK = b"org.apache.spark.sql.parquet.row.metadata"


class Parquet:
    """An open Parquet file; it stays the one that was opened, even if another takes its place.

    Attributes
    ----------
    path : Path
    rows : int
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = pq.ParquetFile(path, pre_buffer=False, buffer_size=_BUFFER)
        except FileNotFoundError as error:
            raise files.failure(path, error) from None
        except (OSError, ValueError, pa.ArrowException) as error:
            raise files.unfit(path, error) from None
        self.rows: int = self._file.metadata.num_rows
        self._schema = self._file.schema_arrow

    def head(self) -> pd.DataFrame:
        """Return the first rows, which show the columns and what they hold."""
        batch = next(self._batches(HEAD), None)
        table = self._schema.empty_table() if batch is None else pa.Table.from_batches([batch])
        return _frame(table)

    def column(self, name: str) -> Iterator[pd.Series]:
        """Yield a column in pieces, at least one, under positions from 0; cut the same each time."""
        held: list[Any] = []
        start = rows = 0
        kind = _readable(pa.nulls(0, self._schema.field(name).type)).type
        for group in range(self._file.num_row_groups):
            for batch in self._batches(ROWS, row_groups=[group], columns=[name]):
                chunk = batch.column(batch.schema.get_field_index(name))
                if held and rows + len(chunk) > ROWS:
                    yield _series(held, kind, name, start)
                    held, start, rows = [], start + rows, 0
                held.append(_readable(chunk))
                rows += len(chunk)
        yield _series(held, kind, name, start)

    def write(
        self,
        file: BinaryIO,
        added: Iterator[pd.DataFrame],
        ids: str,
        excel_safe: bool = False,
        without: frozenset[str] = frozenset(),
    ) -> None:
        """Write all rows with further columns, row group by row group.

        Parameters
        ----------
        file : file
        added : iterator of DataFrame
            The further columns in pieces, which may be cut otherwise than the file; each piece with the same types and
            categories. A column that the file has already is replaced in its place. All of it is used up.
        ids : str
            The column of IDs.
        excel_safe : bool
            Put an apostrophe before text that a spreadsheet would take for a formula, but not in the column of IDs.
        without : frozenset of str
            Columns of the file that are not written.
        """
        tables = map(_arrow, added)
        first = next(tables)
        schema = self._with(first.schema, without)
        with pq.ParquetWriter(file, schema, compression=self._compression()) as writer:
            for piece, beside in _side_by_side(self._pieces(), chain([first], tables)):
                kept = {name: values for name, values in _columns(piece).items() if name not in without}
                columns = {**kept, **_columns(beside)}
                if excel_safe:
                    columns = {n: c if n == ids else _guarded(c) for n, c in columns.items()}
                table = pa.Table.from_arrays(list(columns.values()), schema=schema)
                # As one row group, also if there is no row in it.
                writer.write_table(table, row_group_size=max(table.num_rows, 1))

    def clean(
        self,
        file: BinaryIO,
        plan: Callable[[pd.DataFrame], Plan],
        verdicts: Iterator[pd.DataFrame] | None = None,
    ) -> None:
        """Write the rows as plans want them, row group by row group, with the file's own schema.

        Parameters
        ----------
        file : file
        plan : callable
            Returns the plan for a piece: a frame of all columns, with the verdict columns.
        verdicts : iterator of DataFrame, optional
            The verdict columns in pieces, if the file has none; they are not written.

        Raises
        ------
        InputError
            A column that has to lose cells cannot have missing values.
        """
        pieces = self._pieces() if self._file.num_row_groups else iter([self._schema.empty_table()])
        pairs = (
            ((piece, None) for piece in pieces) if verdicts is None else _side_by_side(pieces, map(_arrow, verdicts))
        )
        writer = None
        try:
            for piece, beside in pairs:
                frame = _frame(piece)
                if beside is not None:
                    frame = pd.concat([frame, _frame(beside)], axis=1)
                table = _cleaned(piece, plan(frame))
                writer = writer or pq.ParquetWriter(file, table.schema, compression=self._compression())
                writer.write_table(table, row_group_size=max(table.num_rows, 1))
        finally:
            if writer is not None:
                writer.close()

    def _batches(self, rows: int, **selection: Any) -> Iterator[Any]:
        try:
            yield from self._file.iter_batches(batch_size=rows, **selection)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise files.unfit(self.path, error) from None

    def _pieces(self) -> Iterator[Any]:
        """Yield the row groups, those that are too large in slices of even size."""
        for number in range(self._file.num_row_groups):
            group = self._file.metadata.row_group(number)
            if not group.num_rows:
                yield self._schema.empty_table()
                continue
            slices = max(-(-group.num_rows // ROWS), -(-group.total_byte_size // BYTES))
            for batch in self._batches(-(-group.num_rows // slices), row_groups=[number]):
                yield pa.Table.from_batches([batch])

    def _with(self, added: Any, without: frozenset[str]) -> Any:
        """Return the file's schema with further fields, or without; one of the same name is replaced in its place."""
        names = self._schema.names
        if len(set(names)) < len(names):
            raise InputError("Several columns have the same name, which only .csv and .tsv can hold.")
        fields = {field.name: field for field in chain(self._schema, added) if field.name not in without}
        metadata = {key: value for key, value in (self._schema.metadata or {}).items() if key != _SPARK}
        return pa.schema(list(fields.values()), metadata=metadata or None)

    def _compression(self) -> str:
        """Return how the file is packed, as far as its first column tells."""
        metadata = self._file.metadata
        if not metadata.num_row_groups or not metadata.num_columns:
            return "snappy"
        packed = str(metadata.row_group(0).column(0).compression).lower()
        return "none" if packed == "uncompressed" else packed


def _readable(column: Any) -> Any:
    """Return a column of a type that pandas can work with: neither a dictionary nor views, of which it knows little."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    kind = pa.large_string() if str(kind) == "string_view" else kind
    return column if kind == column.type else column.cast(kind)


def _frame(table: Any) -> pd.DataFrame:
    columns = {n: pd.arrays.ArrowExtensionArray(_readable(column)) for n, column in enumerate(table.columns)}
    return pd.DataFrame(columns, index=range(table.num_rows)).set_axis(table.column_names, axis=1)


def _cleaned(piece: Any, plan: Plan) -> Any:
    """Return a piece as a plan wants it: without rows and cells that go, and with the change if it is marked."""
    if plan.mode == "mark":
        if plan.prefix + MARK in piece.column_names:
            raise InputError(f"There is a column {plan.prefix + MARK!r} already. Rename it first.")
        words = pa.DictionaryArray.from_arrays(pa.array(plan.change), pa.array(CHANGES, pa.string()))
        return piece.append_column(plan.prefix + MARK, words)
    columns = [_takeable(column) for column in piece.columns]
    for at, (rows, cells) in plan.rewritten.items():
        place = np.arange(piece.num_rows)
        place[rows] = piece.num_rows + np.arange(len(rows))
        if _holds_required(columns[at].type):
            raise InputError(
                f"Column {piece.schema.field(at).name!r} must lose geo data within its records, and parts of these "
                "cannot be missing. Write the file again with a schema that allows it."
            )
        new = pa.array(cells, columns[at].type)
        columns[at] = pa.chunked_array([*columns[at].chunks, new]).unify_dictionaries().take(pa.array(place))
    for at, lost in plan.blank.items():
        if at < len(columns) and lost.any():
            if not piece.schema.field(at).nullable:
                raise InputError(
                    f"Column {piece.schema.field(at).name!r} must lose cells and cannot have missing values. "
                    "Write the file again with a schema that allows them."
                )
            columns[at] = columns[at].take(pa.array(np.arange(piece.num_rows), mask=lost))
    table = pa.Table.from_arrays(columns, names=piece.column_names)
    table = table.filter(pa.array(plan.change != DROPPED))
    named = zip(piece.schema, table.columns, strict=True)
    left = [column if field.name.startswith(plan.prefix) else _forgotten(column) for field, column in named]
    kinds = piece.schema.types
    left = [each if each.type == kind else each.cast(kind) for each, kind in zip(left, kinds, strict=True)]
    return pa.Table.from_arrays(left, schema=piece.schema)


def _takeable(column: Any) -> Any:
    """Return a column as a type of which Arrow can take rows."""
    other = {"string_view": pa.large_string(), "binary_view": pa.large_binary()}.get(str(column.type))
    return column if other is None else column.cast(other)


def _holds_required(type: Any) -> bool:
    """Whether a part of a record may not be missing: Arrow would put an invented value in its place."""
    return any(
        not type.field(n).nullable or _holds_required(type.field(n).type)
        for n in range(type.num_fields if pa.types.is_struct(type) else 0)
    )


def _forgotten(column: Any) -> Any:
    """Return a column without words that no cell has: a row that went, of this piece or another, may have had them."""
    if not pa.types.is_dictionary(column.type):
        return column
    chunks = []
    for chunk in column.chunks:
        used = np.unique(chunk.indices.drop_null().to_numpy())
        place = np.zeros(len(chunk.dictionary), dtype=np.int64)
        place[used] = np.arange(len(used))
        codes = chunk.indices.fill_null(0)
        new = place[codes.to_numpy()] if len(place) else np.zeros(len(codes), dtype=np.int64)
        mask = chunk.indices.is_null().to_numpy(zero_copy_only=False)
        indices = pa.array(new, chunk.type.index_type, mask=mask)
        chunks.append(
            pa.DictionaryArray.from_arrays(indices, chunk.dictionary.take(pa.array(used)), ordered=chunk.type.ordered)
        )
    return pa.chunked_array(chunks, type=column.type)


def _series(chunks: list[Any], kind: Any, name: str, start: int) -> pd.Series:
    array = pd.arrays.ArrowExtensionArray(pa.chunked_array(chunks, type=kind))
    return pd.Series(array, index=range(start, start + len(array)), name=name)


def _arrow(frame: pd.DataFrame) -> Any:
    """Return verdict columns in Arrow; words as dictionaries of text even if there is no word."""
    columns = {}
    for name, column in frame.items():
        if isinstance(column.dtype, pd.CategoricalDtype):
            codes = column.cat.codes.to_numpy()
            words = pa.array(list(column.cat.categories), pa.string())
            columns[name] = pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), words)
        else:
            columns[name] = pa.Array.from_pandas(column)
    return pa.table(columns)


def _columns(table: Any) -> dict[str, Any]:
    return dict(zip(table.column_names, table.columns, strict=True))


def _side_by_side(pieces: Iterator[Any], tables: Iterator[Any]) -> Iterator[tuple[Any, Any]]:
    """Yield each piece with as many rows of the tables; in the end there must be none left of either."""
    held = next(tables)
    for piece in pieces:
        while held.num_rows < piece.num_rows:
            held = pa.concat_tables([held, next(tables)])
        yield piece, held.slice(0, piece.num_rows)
        held = held.slice(piece.num_rows)
    if held.num_rows or next(tables, None) is not None:
        raise ValueError("more rows were added than the file has")


def _guarded(column: Any) -> Any:
    """Return a column none of whose text a spreadsheet takes for a formula."""
    if pa.types.is_dictionary(column.type):
        return pa.chunked_array([_guarded_dictionary(chunk) for chunk in column.chunks], type=column.type)
    if not _is_text(column.type):
        return column
    text = column.cast(pa.large_string())
    risky = pc.match_substring_regex(text, _FORMULA)
    apostrophe, nothing = pa.scalar("'", pa.large_string()), pa.scalar("", pa.large_string())
    safe = pc.if_else(risky, pc.binary_join_element_wise(apostrophe, text, nothing), text)
    return safe.cast(column.type)


def _guarded_dictionary(chunk: Any) -> Any:
    words = _guarded(chunk.dictionary)
    distinct = words.unique()  # what is guarded now may be the same as another word
    places = pc.index_in(words, distinct).take(chunk.indices)
    return pa.DictionaryArray.from_arrays(places.cast(chunk.type.index_type), distinct, ordered=chunk.type.ordered)


def _is_text(kind: Any) -> bool:
    return str(kind) in ("string", "large_string", "string_view")
