"""Peak memory of a denoising step against canvas and vocabulary size, each measured in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from dllm_worker.bench.answering import answer
from dllm_worker.bench.shapes import CONTEXT, SMALL, random_model
from dllm_worker.models.loading import LoadedModel
from dllm_worker.request import Request, SamplingParameters

SIZES = ((64, 32_768), (256, 32_768), (64, 262_144), (256, 262_144))
MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class PeakMemory:
    """Mebibytes that the steps of one request need on top of the loaded model, at temperature 0 and when tokens are
    drawn from a nucleus; and what its logits would take by themselves, whole, in fp32.
    """

    canvas: int
    vocabulary: int
    model_mebibytes: float
    greedy_mebibytes: float
    drawn_mebibytes: float
    whole_logits_mebibytes: float


def peak_memory(dtype: str, device: str, sizes: Sequence[tuple[int, int]] = SIZES) -> list[PeakMemory]:
    """One process after the other, for a peak belongs to a process."""
    return [_in_process(canvas, vocabulary, dtype, device) for canvas, vocabulary in sizes]


def _in_process(canvas: int, vocabulary: int, dtype: str, device: str) -> PeakMemory:
    command = [
        sys.executable,
        "-m",
        __name__,
        str(canvas),
        str(vocabulary),
        dtype,
        device,
        str(torch.get_num_threads()),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (our own module)
    if done.returncode:
        raise RuntimeError(f"measuring {canvas} x {vocabulary} failed: {done.stderr.strip()}")
    return PeakMemory(**json.loads(done.stdout))


def measure(canvas: int, vocabulary: int, dtype: str, device: str) -> PeakMemory:
    """In this process: load a random model, answer one canvas of masks, read the peak since loading.

    A request of one token goes first, so that what libraries set up once is not counted.
    """
    special = {"vocab_size": vocabulary, "mask_token_id": vocabulary - 1, "eos_token_id": vocabulary - 2}
    config = SMALL | special | {"model_type": "sdar", "block_size": canvas, "max_position_embeddings": CONTEXT}
    model = random_model(config, dtype, device)
    greedy = SamplingParameters(max_steps=2, threshold=1.0)
    request = Request("0", tuple(range(canvas)), max_tokens=canvas, sampling=greedy)
    answer(model, [replace(request, max_tokens=1)])
    return PeakMemory(
        canvas,
        vocabulary,
        model_mebibytes=sum(p.numel() * p.element_size() for p in _parameters(model)) / MEBIBYTE,
        greedy_mebibytes=_growth(model, request),
        drawn_mebibytes=_growth(model, replace(request, sampling=replace(greedy, temperature=1.0, top_p=0.9))),
        whole_logits_mebibytes=4 * canvas * vocabulary / MEBIBYTE,
    )


def _growth(model: LoadedModel, request: Request) -> float:
    peak = Peak(model)
    answer(model, [request])
    return peak.growth() / MEBIBYTE


def _parameters(model: LoadedModel) -> list[torch.nn.Parameter]:
    return list(model.denoiser.parameters()) if isinstance(model.denoiser, torch.nn.Module) else []


class Peak:
    """The highest use of the device's memory since this was made, over what was in use then; bytes."""

    def __init__(self, model: LoadedModel) -> None:
        self.device = model.device
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
            self.before = torch.cuda.memory_allocated(self.device)
        else:
            Path("/proc/self/clear_refs").write_text("5")
            self.before = _status("VmRSS")

    def growth(self) -> int:
        """So far."""
        cuda = self.device.type == "cuda"
        return (torch.cuda.max_memory_allocated(self.device) if cuda else _status("VmHWM")) - self.before


def _status(name: str) -> int:
    """A line of ``/proc/self/status`` (Linux), in bytes."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[name].split()[0]) * 1024


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[5]))
    print(json.dumps(asdict(measure(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]))))
