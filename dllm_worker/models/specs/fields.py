"""What the readers of ``config.json`` share: values of the right kind, and refusals by name.

A reader takes the whole configuration and returns plain values. A missing field is a ``KeyError`` naming it, a field
whose value is no such value, or one that the networks here do not compute, a :class:`SpecError`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dllm_worker.spec import SpecError

Supported = Mapping[str, tuple[object, ...]]
"""Field by field, the values that are computed; ``None`` among them means that the field may be absent."""

UNQUANTIZED: Supported = {"quantization_config": (None,)}
LARGEST_WIDTH, LARGEST_DEPTH, LARGEST_EXPERTS, LARGEST_CONTEXT = 1 << 20, 1 << 12, 1 << 12, 1 << 27
LARGEST_NUMBER = 1e30
"""Far beyond any checkpoint: what is larger is a mistake, to be found before memory is asked for."""


def refuse_others(config: Mapping[str, Any], supported: Supported) -> None:
    """Raise :class:`SpecError` for the first field that asks for something else."""
    for name, values in supported.items():
        value = config.get(name)
        if not any(value == known and isinstance(value, bool) is isinstance(known, bool) for known in values):
            supposed = " or ".join(repr(known) for known in values if known is not None) or "nothing"
            raise SpecError(f"{name} is {_shown(value)}; only {supposed} is supported")


def whole(
    config: Mapping[str, Any], name: str, default: int | None = None, *, least: int = 1, most: int = LARGEST_WIDTH
) -> int:
    """The whole number ``name``, or ``default`` where it is absent or null."""
    value = _stated(config, name, default)
    if type(value) is not int or not least <= value <= most:
        raise SpecError(f"{name} is {_shown(value)}; it has to be a whole number from {least} to {most}")
    return value


def number(config: Mapping[str, Any], name: str, default: float | None = None, *, above: float = 0.0) -> float:
    """The number ``name``, finite and greater than ``above``, or ``default`` where it is absent or null."""
    value = _stated(config, name, default)
    if type(value) not in (int, float) or not above < value <= LARGEST_NUMBER:
        raise SpecError(f"{name} is {_shown(value)}; it has to be a number above {above:g}")
    return float(value)


def flag(config: Mapping[str, Any], name: str, default: bool | None = None) -> bool:
    """The truth value ``name``, or ``default`` where it is absent or null."""
    value = _stated(config, name, default)
    if type(value) is not bool:
        raise SpecError(f"{name} is {_shown(value)}; it has to be true or false")
    return value


def choice(config: Mapping[str, Any], name: str, options: tuple[str, ...], default: str | None = None) -> Any:
    """Which of ``options`` the field ``name`` is, or ``default`` where it is absent or null."""
    value = _stated(config, name, default)
    if value not in options:
        raise SpecError(f"{name} is {_shown(value)}; only {' or '.join(map(repr, options))} is supported")
    return value


def section(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The object ``name``."""
    value = config[name]
    if not isinstance(value, Mapping):
        raise SpecError(f"{name} is {_shown(value)}; it has to be an object")
    return value


def token_ids(config: Mapping[str, Any], name: str) -> tuple[int, ...]:
    """The token id ``name``, or the list of them."""
    value = config[name]
    ids = value if isinstance(value, list) else [value]
    return tuple(whole({name: item}, name, least=0) for item in ids)


def rope_theta(config: Mapping[str, Any]) -> float:
    """The base of RoPE's angles: ``rope_theta``, or ``rope_parameters`` as transformers 5 writes it."""
    refuse_others(config, {"rope_scaling": (None,)})
    if config.get("rope_parameters") is None:
        return number(config, "rope_theta", above=1.0)
    parameters = section(config, "rope_parameters")
    refuse_others(parameters, {"rope_type": (None, "default"), "partial_rotary_factor": (None, 1.0)})
    return number(parameters, "rope_theta", above=1.0)


def _stated(config: Mapping[str, Any], name: str, default: object) -> Any:
    if default is None:
        return config[name]
    value = config.get(name)
    return default if value is None else value


def _shown(value: object) -> str:
    """``value`` in as much of one line as a message has room for."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
