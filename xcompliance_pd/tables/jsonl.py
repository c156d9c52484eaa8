"""JSON lines of any length, one at a time; each time the file is read it must be the same."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from ..errors import InputError
from . import files

_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class Lines:
    """A file of lines, packed or not, that is read several times.

    The first time to the end settles what is in it. If it is something else a later time, that time ends in an error.

    Parameters
    ----------
    path : Path
        Packed if its name ends in ``.gz``.

    Attributes
    ----------
    path : Path
    mark : bytes
        A byte order mark that the file begins with, or nothing. It is not in the first line.

    Raises
    ------
    InputError
        The file cannot be read, or is UTF-16.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._digest: bytes | None = None
        with self._open() as file, self._told():
            start = file.read(len(_BOM))
        if start.startswith(_UTF16):
            raise InputError(f"{path} is UTF-16. Save it as UTF-8.")
        self.mark = _BOM if start == _BOM else b""

    def __iter__(self) -> Iterator[bytes]:
        """Yield the lines, each with its end, without the file's byte order mark.

        Raises
        ------
        InputError
            The file cannot be read, or has changed; the latter is told after the last line.
        """
        digest = hashlib.sha256()
        with self._open() as file, self._told():
            first = True
            for line in file:
                digest.update(line)
                yield line.removeprefix(self.mark) if first else line
                first = False
        if self._digest is None:
            self._digest = digest.digest()
        elif self._digest != digest.digest():
            raise InputError(f"{self.path} was changed while it was read. Nothing was written. Run this again.")

    def _open(self) -> IO[bytes]:
        with self._told():
            opener: Any = gzip.open if self.path.suffix.lower() == ".gz" else open
            return cast(IO[bytes], opener(self.path, "rb"))

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (gzip.BadGzipFile, EOFError, zlib.error):
            raise InputError(f"{self.path} is not a whole gzip file. Get it again.") from None
        except OSError as error:
            raise files.failure(self.path, error) from None


@contextlib.contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """Give a file to write to, packed if its name says so; it takes the place of what is there when all went well."""
    with files.replacing(path) as raw:
        if path.suffix.lower() != ".gz":
            yield raw
            return
        with gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed:
            yield packed  # type: ignore[misc]  # it writes bytes, which is all that is asked of it
