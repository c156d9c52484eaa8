"""Charts of a checked frame. Each takes ``ax=None`` and returns the Axes; none touches matplotlib's global state.

A chart reads the verdict columns, and at most one other column that is named. Words from the service and from the
data are drawn as they are, never as mathematics or TeX, and each known word has one colour and one hatch in every
chart, so that neither colour vision nor a colour printer is needed.
"""

from .bars import reasons, status
from .changes import diff
from .delays import redaction_delay
from .figure import overview
from .groups import by
from .style import BARS_MAX, GREY, NO_REASON, REASON_STYLES, SANDBOX, STATUS_STYLES
from .times import timeline

__all__ = [
    "reasons",
    "status",
    "timeline",
    "redaction_delay",
    "by",
    "overview",
    "diff",
    "REASON_STYLES",
    "STATUS_STYLES",
    "GREY",
    "SANDBOX",
    "NO_REASON",
    "BARS_MAX",
]
