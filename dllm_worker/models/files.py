"""The JSON files of a checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class LoadError(RuntimeError):
    """A checkpoint cannot be loaded; the message says which file or tensor is at fault."""


def read_json(path: Path) -> dict[str, Any]:
    """The object in ``path``. Raises :class:`LoadError`."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise LoadError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise LoadError(f"{path} does not hold a JSON object")
    return content


def read_optional(path: Path) -> dict[str, Any]:
    """The object in ``path``, empty where there is no such file."""
    return read_json(path) if path.is_file() else {}
