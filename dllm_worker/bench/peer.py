"""The same network as transformers runs it, as a yardstick beside the roofline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from dllm_worker.scheduling.planner import StepKind
from dllm_worker.work import Look, NetworkCost, Work

SHAPE = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "max_position_embeddings",
    "tie_word_embeddings",
)


class PeerStep:
    """A plain causal forward pass of ``rows`` tokens, without a cache, and the logits of half of them.

    That is what a refresh step of as many rows computes, whose ``cost`` is that of the network.
    """

    kind = StepKind.REFRESH

    def __init__(self, config: Mapping[str, Any], cost: NetworkCost, dtype: str, device: str, rows: int) -> None:
        self.name, self.rows = "transformers' Qwen3", rows
        self.work: Work = cost.of([Look(rows, before=0, stored=True)], rows // 2, 0)
        shape = Qwen3Config(**{name: config[name] for name in SHAPE})
        self.network = Qwen3ForCausalLM(shape).to(device=device, dtype=getattr(torch, dtype)).eval()
        self.tokens = torch.arange(rows, device=device)[None]

    @property
    def label(self) -> str:
        return f"{self.name} {self.rows}"

    @torch.inference_mode()
    def run(self) -> None:
        self.network(self.tokens, use_cache=False, logits_to_keep=self.rows // 2)
