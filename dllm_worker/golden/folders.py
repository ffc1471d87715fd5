"""Folders of reference data: a checkpoint, and beside it what the public code decoded with it."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from dllm_worker.golden.families import SCENARIOS
from dllm_worker.golden.record import GoldenError, Record, read_record
from dllm_worker.models.files import read_json
from dllm_worker.models.loading import LoadedModel, load_model

DECODE = "decode.json"


@dataclass(frozen=True, slots=True)
class Folder:
    """One family's folder: its ``decode.json`` and the cases in it."""

    path: Path
    family: str
    decode: Record
    cases: list[Record]


def family_folders(path: Path) -> list[Path]:
    """``path`` itself, or the folders in it, that hold a ``decode.json``."""
    if (path / DECODE).is_file():
        return [path]
    found = sorted(place.parent for place in path.glob(f"*/{DECODE}"))
    if not found:
        raise GoldenError(f"{path}: there is no {DECODE} in it nor in a folder in it")
    return found


def read_folder(path: Path) -> Folder:
    """Raise :class:`GoldenError` for a family that is not known and for what is no list of cases."""
    decode = read_record(path / DECODE)
    family = decode.text("family")
    if family not in SCENARIOS:
        raise decode.refuse("family", f"there are {', '.join(SCENARIOS)}")
    return Folder(path, family, decode, decode.records("cases"))


def load_checkpoint(folder: Folder) -> LoadedModel:
    """The checkpoint in fp32, with the mask of ``decode.json`` where its family keeps that in code."""
    config = read_json(folder.path / "config.json")
    if "mask_token_id" in config or not folder.decode.given("mask_token_id"):
        return load_model(folder.path)
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place)
        for file in folder.path.glob("*.safetensors"):
            (copy / file.name).symlink_to(file.resolve())
        completed = config | {"mask_token_id": folder.decode.whole("mask_token_id")}
        (copy / "config.json").write_text(json.dumps(completed), encoding="utf-8")
        return load_model(copy)
