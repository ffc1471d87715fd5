"""What is known of a checkpoint in the Hugging Face layout before its weights are read. Needs no torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from dllm_worker.models.specs import embedded, llada, llada2, qwen3
from dllm_worker.request import SamplingParameters
from dllm_worker.spec import ModelSpec, SpecError

EMBEDDED_PREFIX = "embedded:"
EMBEDDED_DIRECTORY = Path(__file__).parent.parent / "embedded" / "checkpoints"
SPEC_READERS: Mapping[str, Callable[[Mapping[str, Any]], ModelSpec]] = {
    embedded.MODEL_TYPE: embedded.read_spec,
    qwen3.SDAR: qwen3.read_sdar_spec,
    qwen3.A2D_QWEN3: qwen3.read_a2d_spec,
    llada.MODEL_TYPE: llada.read_spec,
    llada2.MODEL_TYPE: llada2.read_spec,
}
"""By ``model_type``: from ``config.json`` to what the checkpoint is."""


class LoadError(RuntimeError):
    """A checkpoint cannot be loaded; the message says which file or tensor is at fault."""


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """What is known of a checkpoint without its weights. ``revision`` changes with configuration or weights."""

    spec: ModelSpec
    defaults: SamplingParameters
    revision: str


def resolve_checkpoint(name: str) -> Path:
    """The folder of ``embedded:<model>`` or of a local path; :class:`LoadError` when it is not there."""
    path = EMBEDDED_DIRECTORY / name.removeprefix(EMBEDDED_PREFIX) if name.startswith(EMBEDDED_PREFIX) else Path(name)
    if not (path / "config.json").is_file():
        raise LoadError(f"{name}: there is no config.json in {path}")
    return path


def describe(path: Path) -> ModelDescription:
    """Read the small files of a checkpoint: :class:`LoadError` names what is missing or contradictory."""
    config = read_json(path / "config.json")
    try:
        spec = SPEC_READERS[model_type(path, config)](_completed(config, path))
    except KeyError as error:
        raise LoadError(f"{path / 'config.json'}: {error.args[0]!r} is missing") from error
    except (SpecError, TypeError) as error:
        raise LoadError(f"{path / 'config.json'}: {error}") from error
    return ModelDescription(spec, _read_defaults(path), _revision(path))


def read_json(path: Path) -> dict[str, Any]:
    """The object in ``path``. Raises :class:`LoadError`."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise LoadError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise LoadError(f"{path} does not hold a JSON object")
    return content


def model_type(path: Path, config: Mapping[str, Any]) -> str:
    """The family of ``config``. Raises :class:`LoadError` when it is not served."""
    name = str(config.get("model_type"))
    if name not in SPEC_READERS:
        raise LoadError(f"{path}: model_type {name!r} is not served; known are {', '.join(sorted(SPEC_READERS))}")
    return name


def _completed(config: dict[str, Any], path: Path) -> dict[str, Any]:
    """``config`` with the two facts that published checkpoints keep beside it.

    The ends of sequence of ``generation_config.json`` win, and a mask that ``config.json`` lacks is the tokenizer's.
    """
    found = {"eos_token_id": _read_optional(path / "generation_config.json").get("eos_token_id")}
    if config.get("mask_token_id") is None:
        found["mask_token_id"] = _tokenizer_mask(path)
    return config | {name: value for name, value in found.items() if value is not None}


def _tokenizer_mask(path: Path) -> int | None:
    """The id of the tokenizer's ``mask_token``, by the added tokens of either of its files."""
    settings = _read_optional(path / "tokenizer_config.json")
    mask = settings.get("mask_token")
    text = mask["content"] if isinstance(mask, dict) else mask
    if text is None:
        return None
    added = {token["content"]: int(number) for number, token in settings.get("added_tokens_decoder", {}).items()}
    if text not in added:
        tokens = _read_optional(path / "tokenizer.json").get("added_tokens", [])
        added = {token["content"]: token["id"] for token in tokens}
    return added.get(text)


def _read_optional(path: Path) -> dict[str, Any]:
    return read_json(path) if path.is_file() else {}


def _read_defaults(path: Path) -> SamplingParameters:
    """The sampler's fields of ``generation_config.json`` that are not null; its other keys are transformers' own."""
    content = _read_optional(path / "generation_config.json")
    known = {field.name for field in fields(SamplingParameters)}
    return SamplingParameters(**{name: value for name, value in content.items() if name in known and value is not None})


def _revision(path: Path) -> str:
    """Twelve hex digits over the configuration and, of each weight file, its size and first mebibyte."""
    digest = hashlib.sha256((path / "config.json").read_bytes())
    for file in sorted(path.glob("*.safetensors")):
        with file.open("rb") as stream:
            digest.update(f"{file.name} {file.stat().st_size}".encode() + stream.read(1 << 20))
    return digest.hexdigest()[:12]
