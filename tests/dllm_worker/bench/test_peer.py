from __future__ import annotations

from dllm_worker.bench.peer import PeerStep
from dllm_worker.bench.roofline import Step
from dllm_worker.bench.shapes import random_model
from dllm_worker.scheduling.planner import StepKind
from dllm_worker.work import network_cost
from tests.dllm_worker.bench.test_determinism import SMALL


def test_the_peer_has_the_shape_and_the_work_of_a_refresh_step() -> None:
    model = random_model(SMALL, "float32", "cpu")
    peer = PeerStep(SMALL, network_cost(model.denoiser), "float32", "cpu", rows=16)
    assert peer.work.flops == Step("ours", model, StepKind.REFRESH, 16).work.flops
    stored = sum(parameter.numel() for parameter in peer.network.parameters())
    assert stored == sum(parameter.numel() for parameter in model.denoiser.parameters())  # type: ignore[attr-defined]
    peer.run()
