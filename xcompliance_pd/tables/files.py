"""A file's place: what can be told before there is anything to write, and replacing it at once or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ..errors import InputError


def failure(path: Path, error: OSError) -> InputError:
    """Return the error that says why a file cannot be read."""
    if isinstance(error, FileNotFoundError):
        return InputError(f"{path}: there is no such file. Check the path.")
    if isinstance(error, IsADirectoryError):
        return InputError(f"{path} is a folder. Name a file in it.")
    return InputError(f"{path} cannot be read ({error.strerror or error}). Check the file and its permissions.")


def no_arrow() -> InputError:
    """Return the error that says how to read and write Parquet."""
    return InputError('Parquet files need pyarrow. Install it with: pip install "xcompliance-pd[arrow]"')


def unfit(path: Path, error: Exception) -> InputError:
    """Return the error that says why a file is not the Parquet that it should be."""
    return InputError(f"{path} cannot be read as Parquet ({str(error)[:200]}). Check the file.")


def check_folder(path: str | Path) -> None:
    """Raise InputError unless a file can be made or replaced there, as far as a look tells."""
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder. Nothing was sent. Name a file to write to.")
    if not path.absolute().parent.is_dir():
        raise InputError(f"The folder of {path} does not exist. Nothing was sent. Make the folder first.")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Give a file to write to; it takes the place of what is there when all went well, and else goes away."""
    path = path.resolve()  # of a symbolic link, the file is replaced and not the link
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"{path} is not a file. Name a file to write to.")
        with open(temporary, "wb") as file:
            yield file
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
