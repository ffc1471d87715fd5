"""What can be measured, part by part; each part is some tables of figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from dllm_worker.bench.activity import plateaus
from dllm_worker.bench.checkpointing import checkpointing
from dllm_worker.bench.determinism import determinism
from dllm_worker.bench.gemma import against_transformers
from dllm_worker.bench.memory import peak_memory
from dllm_worker.bench.parking import parking
from dllm_worker.bench.prediction import price_of_logprobs, saved_by_predictions
from dllm_worker.bench.roofline import rooflines
from dllm_worker.bench.savings import savings
from dllm_worker.bench.table import table
from dllm_worker.bench.throughput import throughput

Tables = Mapping[str, Sequence[Any]]
"""By heading, rows that are data classes of one kind."""


@dataclass(frozen=True, slots=True)
class Part:
    """``measure`` takes a dtype and a device; ``dtype`` is the one that the part is meant for."""

    measure: Callable[[str, str], Tables]
    dtype: str


def _prediction(dtype: str, device: str) -> Tables:
    return {
        "predicted answers": saved_by_predictions(dtype, device),
        "log-probabilities": price_of_logprobs(dtype, device),
    }


def _roofline(dtype: str, device: str) -> Tables:
    found = rooflines(dtype, device)
    return {"ceilings": [found.ceilings], "step time over roofline": found.steps}


PARTS: Mapping[str, Part] = {
    "roofline": Part(_roofline, "bfloat16"),
    "throughput": Part(lambda dtype, device: {"tokens per second": throughput(dtype, device)}, "float32"),
    "gemma": Part(lambda dtype, device: {"against transformers": against_transformers(dtype, device)}, "bfloat16"),
    "savings": Part(lambda dtype, device: {"position-forwards of an answer": savings(dtype, device)}, "float32"),
    "prediction": Part(_prediction, "float32"),
    "parking": Part(lambda dtype, device: {"requests as values": parking(dtype, device)}, "float32"),
    "checkpoints": Part(lambda dtype, device: {"with checkpoints": checkpointing(dtype, device)}, "float32"),
    "activity": Part(lambda dtype, device: {"tensor activity": plateaus(dtype, device)}, "float32"),
    "determinism": Part(lambda dtype, device: {"price of equal bits": determinism(dtype, device)}, "bfloat16"),
    "memory": Part(lambda dtype, device: {"peak memory": peak_memory(dtype, device)}, "bfloat16"),
}


def markdown(tables: Tables) -> str:
    """Every table under its heading."""
    return "\n\n".join(f"{heading}\n\n{table(rows)}" for heading, rows in tables.items())


def plain(tables: Tables) -> dict[str, list[dict[str, Any]]]:
    """As JSON takes it."""
    return {heading: [asdict(row) for row in rows] for heading, rows in tables.items()}
