"""Copies of the reference data with something else in them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.dllm_worker.models.golden import folder

Json = dict[str, Any]


def copy_of(family: str, place: Path, name: str, change: Callable[[Json], object]) -> Path:
    """A folder of the family that holds the case ``name`` alone, after ``change`` was made to it."""
    source, copy = folder(family), place / family
    copy.mkdir()
    for file in ("config.json", "model.safetensors"):
        shutil.copy(source / file, copy / file)
    decode = json.loads((source / "decode.json").read_text())
    decode["cases"] = [case for case in decode["cases"] if case["name"] == name]
    change(decode["cases"][0])
    (copy / "decode.json").write_text(json.dumps(decode))
    return copy
