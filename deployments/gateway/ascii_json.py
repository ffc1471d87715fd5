"""JSON on the wire, in ASCII.

Some clients split the lines of a stream at U+0085 and U+2028 too, and an error may quote text that is not Unicode.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def ascii_json(data: Mapping[str, Any]) -> bytes:
    """``data`` as one line."""
    return json.dumps(data, separators=(",", ":"), allow_nan=False).encode("ascii")
