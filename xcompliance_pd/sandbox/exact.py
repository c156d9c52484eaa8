"""What counts as exactly an ID: the sandbox's own reading, apart from the client's."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

from ..protocol import ID_MAX

_DIGITS = re.compile(r"[1-9][0-9]{0,18}")


def exact_id(value: Any) -> int | None:
    """Return the ID that a text or whole number is exactly, else None. Floats and bools never are."""
    if isinstance(value, str):
        if _DIGITS.fullmatch(value) is None:
            return None
        value = int(value)
    elif isinstance(value, bool) or not isinstance(value, int | np.integer):
        return None
    return int(value) if 1 <= value <= ID_MAX else None


def is_missing(value: Any) -> bool:
    """Whether the value is None, NaN, NA or NaT."""
    return value is None or bool(pd.api.types.is_scalar(value) and pd.isna(value))
