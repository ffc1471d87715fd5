"""What a family says of its checkpoints without torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dllm_worker.request import CacheParameters, SamplingParameters
from dllm_worker.spec import ModelSpec


@dataclass(frozen=True, slots=True)
class SpecReader:
    """``read`` turns ``config.json`` into facts; ``sampling`` and ``cache`` are what the published decoder does.

    ``aliases`` are the names that the family's ``generation_config.json`` has for fields of ``SamplingParameters``,
    with a dot before what is inside an object.
    """

    read: Callable[[Mapping[str, Any]], ModelSpec]
    sampling: SamplingParameters
    cache: CacheParameters = field(default_factory=CacheParameters)
    aliases: Mapping[str, str] = field(default_factory=dict)
