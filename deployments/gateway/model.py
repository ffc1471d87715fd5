"""A served model as the gateway sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from deployments.autoscaling.config import ObjectiveConfig
from deployments.errors import ModelNotFound
from deployments.gateway.diffusion import defaults_json, efforts_json, parameters
from deployments.gateway.planning import LongTexts
from dllm_worker.capabilities import capabilities

if TYPE_CHECKING:
    from deployments.pools.pool import Pool
    from deployments.tenancy.tenant import Access
    from dllm_worker.models.checkpoint import ModelDescription
    from dllm_worker.text import Text


@dataclass(frozen=True, slots=True)
class Model:
    """The facts of a checkpoint, its tokenizer, and the replicas that run it. A position-forward of it counts as
    ``work_weight`` work units, and ``objective`` is what its clients are to meet.
    """

    id: str
    description: ModelDescription
    text: Text
    pool: Pool
    work_weight: float = 1.0
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    long_texts: LongTexts = field(default_factory=LongTexts)

    def as_json(self, created: int) -> dict[str, Any]:
        """The model object of the API; ``dllm`` holds the capabilities that requests are checked against."""
        spec, able = self.description.spec, capabilities(self.description.spec)
        stated = {
            "revision": self.description.revision,
            "canvas_length": spec.canvas_length,
            "max_canvas_length": spec.max_canvas_length,
            "max_position": spec.max_position,
            "context_attention": spec.context_attention,
            "context_attentions": list(able.context_attentions),
            "corruption": spec.corruption,
            "algorithms": list(able.algorithms),
            "parameters": {name: parameters(name, spec) for name in able.algorithms},
            "schedules": list(able.schedules),
            "caches": {attention: list(kinds) for attention, kinds in able.caches.items()},
            "defaults": defaults_json(self.description),
            "efforts": efforts_json(self.description),
            "infill": able.infill,
            "guidance": able.guidance,
            "prediction": list(able.prediction),
            "work_weight": self.work_weight,
        }
        return {"id": self.id, "object": "model", "created": created, "owned_by": "dllm", "dllm": stated}


def find_model(models: Mapping[str, Model], model_id: str, access: Access) -> Model:
    """The model of that id. Raises :class:`ModelNotFound`, with the same words when there is none and when ``access``
    does not open it.
    """
    model = models.get(model_id)
    if model is None or not access.may_use(model_id):
        raise ModelNotFound(f"The model {model_id!r} does not exist, or you have no access to it.", parameter="model")
    return model
