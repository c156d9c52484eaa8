"""Numbers that are put away on disk, and asked for again in the order in which they came."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError


class Spill:
    """Rows of arrays of 64-bit integers in a temporary file without a name, which goes when this object goes."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()
        self._rows = 0
        self._width = 0

    def add(self, *arrays: NDArray[np.int64]) -> None:
        """Put away one more row, of as many arrays as every other."""
        try:
            for array in arrays:
                np.save(self._file, array, allow_pickle=False)
        except OSError as error:
            raise InputError(
                f"A temporary file cannot be written ({error.strerror or error}). Make room, or name another folder in "
                "the environment variable TMPDIR."
            ) from None
        self._rows, self._width = self._rows + 1, len(arrays)

    def clear(self) -> None:
        """Forget all rows."""
        self._file.seek(0)
        self._file.truncate()
        self._rows = 0

    def __iter__(self) -> Iterator[tuple[NDArray[np.int64], ...]]:
        """Yield the rows. No row may be added, and no other pass begun, before this one is over."""
        self._file.seek(0)
        for _ in range(self._rows):
            yield tuple(np.load(self._file, allow_pickle=False) for _ in range(self._width))

    def __enter__(self) -> Spill:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._file.close()
