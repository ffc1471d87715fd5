"""What is known of a checkpoint in the Hugging Face layout before its weights are read. Needs no torch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dllm_worker.capabilities import refusal
from dllm_worker.models import hub
from dllm_worker.models.files import LoadError, read_json, read_optional
from dllm_worker.models.generation import FILE as GENERATION
from dllm_worker.models.generation import read_generation
from dllm_worker.models.specs import diffusion_gemma, embedded, llada, llada2, nemotron, qwen2, qwen3
from dllm_worker.models.specs.reader import SpecReader
from dllm_worker.request import CacheParameters, SamplingParameters
from dllm_worker.spec import ModelSpec, SpecError

__all__ = ["SPEC_READERS", "LoadError", "ModelDescription", "describe", "model_type", "read_json", "resolve_checkpoint"]

EMBEDDED_PREFIX = "embedded:"
EMBEDDED_DIRECTORY = Path(__file__).parent.parent / "embedded" / "checkpoints"
SPEC_READERS: Mapping[str, SpecReader] = {
    embedded.MODEL_TYPE: embedded.READER,
    qwen3.SDAR: qwen3.SDAR_READER,
    qwen3.A2D_QWEN3: qwen3.A2D_READER,
    qwen2.DREAM: qwen2.DREAM_READER,
    qwen2.FAST_DLLM_V2: qwen2.FAST_DLLM_READER,
    llada.MODEL_TYPE: llada.READER,
    llada2.MODEL_TYPE: llada2.READER,
    nemotron.MODEL_TYPE: nemotron.READER,
    diffusion_gemma.MODEL_TYPE: diffusion_gemma.READER,
}
"""By ``model_type``."""


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """What is known of a checkpoint without its weights. ``revision`` changes with configuration or weights.

    ``defaults`` and ``cache`` are what a request gets that states nothing.
    """

    spec: ModelSpec
    defaults: SamplingParameters
    revision: str
    cache: CacheParameters = field(default_factory=CacheParameters)


def resolve_checkpoint(name: str, download: hub.Download = hub.download) -> Path:
    """The folder of a checkpoint: a local path, ``embedded:<model>``, or ``owner/model`` of the Hugging Face hub.

    A revision of the hub may follow after ``@``. :class:`LoadError` when there is no such checkpoint.
    """
    path = EMBEDDED_DIRECTORY / name.removeprefix(EMBEDDED_PREFIX) if name.startswith(EMBEDDED_PREFIX) else Path(name)
    if not path.exists() and hub.is_name(name):
        path = hub.fetch(name, download)
    if not (path / "config.json").is_file():
        raise LoadError(f"{name}: there is no config.json in {path}")
    return path


def describe(path: Path) -> ModelDescription:
    """Read the small files of a checkpoint: :class:`LoadError` names what is missing or contradictory."""
    config = read_json(path / "config.json")
    reader = SPEC_READERS[model_type(path, config)]
    try:
        spec = reader.read(_completed(config, path))
    except KeyError as error:
        raise LoadError(f"{path / 'config.json'}: {error.args[0]!r} is missing") from error
    except SpecError as error:
        raise LoadError(f"{path / 'config.json'}: {error}") from error
    sampling, cache = read_generation(path, reader)
    reason = refusal(sampling.algorithm, spec)
    if spec.corruption == "uniform" and sampling.temperature:
        reason = f"temperature is {sampling.temperature}; a model of uniform corruption is heated by t_min and t_max"
    if reason is not None:
        raise LoadError(f"{path / 'generation_config.json'}: {reason}")
    return ModelDescription(spec, sampling, _revision(path), cache)


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
    found = {"eos_token_id": read_optional(path / GENERATION).get("eos_token_id")}
    if config.get("mask_token_id") is None:
        found["mask_token_id"] = _tokenizer_mask(path)
    return config | {name: value for name, value in found.items() if value is not None}


def _tokenizer_mask(path: Path) -> int | None:
    """The id of the tokenizer's ``mask_token``, by the added tokens of either of its files."""
    settings = read_optional(path / "tokenizer_config.json")
    mask = settings.get("mask_token")
    text = mask.get("content") if isinstance(mask, dict) else mask
    if not isinstance(text, str):
        return None
    decoder, added = settings.get("added_tokens_decoder"), None
    if isinstance(decoder, dict):
        added = [
            {"id": int(key), **token}
            for key, token in decoder.items()
            if key.isdecimal() and len(key) < 10 and isinstance(token, dict)
        ]
    found = _id_of(text, added)
    return _id_of(text, read_optional(path / "tokenizer.json").get("added_tokens")) if found is None else found


def _id_of(text: str, added: object) -> int | None:
    """The id of the added token that reads ``text``."""
    tokens = [token for token in added if isinstance(token, dict)] if isinstance(added, list) else []
    return next((token.get("id") for token in tokens if token.get("content") == text), None)


def _revision(path: Path) -> str:
    """Twelve hex digits over the configuration and, of each weight file, its size and first mebibyte."""
    digest = hashlib.sha256((path / "config.json").read_bytes())
    for file in sorted(file for file in path.glob("*.safetensors") if file.is_file()):
        with file.open("rb") as stream:
            digest.update(f"{file.name} {file.stat().st_size}".encode() + stream.read(1 << 20))
    return digest.hexdigest()[:12]
