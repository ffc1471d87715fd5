"""A parked request goes on elsewhere as if nothing had happened, and its bytes say what they are."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dllm_worker.canvas import Canvas
from dllm_worker.checkpoint import Checkpoint
from dllm_worker.engine import Engine
from dllm_worker.interface import CheckpointError
from dllm_worker.models.loading import LoadedModel, load_model
from dllm_worker.request import CacheParameters, Event, Finish, Request, SamplingParameters, Usage
from dllm_worker.running import Replay
from tests.dllm_worker.conftest import tiny_config, write_checkpoint
from tests.dllm_worker.models import families
from tests.dllm_worker.requests import QUICK, any_request, drain, finish, run, text

LONG = Request("a", (5, 6, 7), max_tokens=40, sampling=SamplingParameters(algorithm="low_confidence"))


def interrupted(model: LoadedModel, request: Request, steps: list[int]) -> list[Event]:
    """The request's events when it is parked after each of these numbers of steps and goes on in another engine."""
    engine, events = Engine(model), {request.id: list[Event]()}
    engine.add(request)
    for count in steps:
        for _ in range(count):
            events[request.id] += engine.step()
        checkpoint = engine.park(request.id)
        engine.check_integrity()
        if checkpoint is None:
            break
        assert not engine.has_work
        engine = Engine(model)
        engine.resume(request, Checkpoint.from_bytes(checkpoint.to_bytes()))
    drain(engine, events)
    return events[request.id]


def resumed(model: LoadedModel, request: Request, checkpoint: Checkpoint) -> list[Event]:
    """The events of the request from ``checkpoint`` on, in another engine."""
    engine, events = Engine(model), {request.id: list[Event]()}
    engine.resume(request, engine.read_checkpoint(checkpoint.to_bytes()))
    drain(engine, events)
    return events[request.id]


@QUICK
@given(any_request("a"))
def test_a_checkpoint_at_any_step_gives_what_comes_after_it(tiny_model: LoadedModel, request: Request) -> None:
    """Taking one changes nothing, and no later step changes it."""
    engine, events = Engine(tiny_model), {"a": list[Event]()}
    engine.add(request)
    taken = []
    while engine.has_work:
        events["a"] += engine.step()
        taken.append((len(text(events["a"])), engine.checkpoint("a")))
    assert events["a"] == run(tiny_model, [request])["a"]
    for told, checkpoint in taken:
        if checkpoint is not None:
            rest = resumed(tiny_model, request, checkpoint)
            assert text(rest) == text(events["a"])[told:]
            assert finish(rest).reason == finish(events["a"]).reason


@QUICK
@given(any_request("a"), st.lists(st.integers(1, 6), max_size=4))
def test_an_interrupted_request_ends_as_an_uninterrupted_one(
    tiny_model: LoadedModel, request: Request, steps: list[int]
) -> None:
    whole, pieces = run(tiny_model, [request])["a"], interrupted(tiny_model, request, steps)
    assert text(pieces) == text(whole)
    assert finish(pieces).reason == finish(whole).reason
    assert finish(pieces).usage.denoising_steps == finish(whole).usage.denoising_steps


@pytest.mark.parametrize("cache", [CacheParameters("prefix"), CacheParameters("dual"), CacheParameters("vicinity", 3)])
@pytest.mark.parametrize("steps", [[1], [2], [5, 1, 4]])
def test_an_approximate_cache_is_made_again_as_it_was(
    sequence_model: LoadedModel, cache: CacheParameters, steps: list[int]
) -> None:
    request = replace(LONG, canvas_length=8, cache=cache)
    assert text(interrupted(sequence_model, request, steps)) == text(run(sequence_model, [request])["a"])


def test_a_divided_canvas_is_made_again_behind_its_context(tmp_path: Path) -> None:
    """The context comes first, and writing it repeats none of the passes that the canvas had."""
    model = load_model(families.write(tmp_path, families.CONFIGS["Fast_dLLM_Qwen"]))
    request = replace(LONG, prompt=tuple(range(3, 24)), cache=CacheParameters("dual"))
    whole = text(run(model, [request])["a"])
    for steps in range(1, 16):
        assert text(interrupted(model, request, [steps])) == whole, steps


def test_it_goes_on_in_another_process(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, tiny_config())
    program = """
import sys, torch
from pathlib import Path
from dllm_worker.checkpoint import Checkpoint
from dllm_worker.engine import Engine
from dllm_worker.models.loading import load_model
from tests.dllm_worker.requests import text
from tests.dllm_worker.test_checkpoint import LONG
folder, task = Path(sys.argv[1]), sys.argv[2]
engine = Engine(load_model(folder))
events = []
if task == "begin":
    engine.add(LONG)
    for _ in range(7):
        events += engine.step()
    (folder / "parked").write_bytes(engine.park("a").to_bytes())
else:
    engine.resume(LONG, Checkpoint.from_bytes((folder / "parked").read_bytes()))
    while engine.has_work:
        events += engine.step()
print(*text(events))
"""
    answer = [
        token
        for task in ("begin", "end")
        for token in subprocess.run(
            [sys.executable, "-c", program, str(tmp_path), task], check=True, capture_output=True, text=True
        ).stdout.split()
    ]
    assert [int(token) for token in answer] == text(run(load_model(tmp_path), [LONG])["a"])


def some(**changes: object) -> Checkpoint:
    plain = Checkpoint(
        request_id="a",
        fingerprint="0123456789abcdef",
        tokens=torch.arange(256) + 150_000,
        masked=torch.arange(256) % 3 == 0,
        canvases=(Canvas(3, 512, 768, opened=256, step=7),),
        told=0,
        usage=Usage(prompt_tokens=512, denoising_steps=7),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def same(left: Checkpoint, right: Checkpoint) -> bool:
    return left.to_bytes() == right.to_bytes()


@pytest.mark.parametrize(
    "checkpoint",
    [
        some(),
        some(replays=(Replay(0, torch.arange(5)), Replay(3, torch.arange(2)))),
        some(best=torch.arange(256), soft=torch.randn(256, 4, generator=torch.Generator().manual_seed(0))),
        some(tokens=torch.empty(0, dtype=torch.int64), masked=torch.empty(0, dtype=torch.bool)),
    ],
)
def test_bytes_hold_everything(checkpoint: Checkpoint) -> None:
    again = Checkpoint.from_bytes(checkpoint.to_bytes())
    assert same(again, checkpoint)
    assert again.canvases == checkpoint.canvases
    assert again.usage == checkpoint.usage
    assert torch.equal(again.tokens, checkpoint.tokens)
    assert torch.equal(again.masked, checkpoint.masked)


def test_a_canvas_of_256_positions_takes_at_most_4_kib() -> None:
    approximate = some(replays=(Replay(512, torch.arange(256)), Replay(512, torch.arange(256))))
    assert len(some().to_bytes()) < 1600
    assert len(approximate.to_bytes()) <= 4096


def test_the_layout_of_version_2_stays() -> None:
    small = some(tokens=torch.tensor([7, 8, 9]), masked=torch.tensor([False, True, True]))
    data = small.to_bytes()
    assert data[:6] == b"DLCP\x02\x00"
    length = int.from_bytes(data[6:10], "little")
    assert data[10 : 10 + length].startswith(
        b'{"id":"a","fingerprint":"0123456789abcdef","told":0,"usage":[512,0,0,0,7,'
    )
    assert data[10 + length : -4] == bytes.fromhex("070000000800000009000000" + "60")


@given(st.integers(0, 1200), st.integers(1, 255))
def test_damaged_bytes_are_refused(at: int, change: int) -> None:
    data = bytearray(some().to_bytes())
    data[at] ^= change
    with pytest.raises(CheckpointError):
        Checkpoint.from_bytes(bytes(data))


@given(st.integers(0, 1200))
def test_cut_bytes_are_refused(length: int) -> None:
    with pytest.raises(CheckpointError):
        Checkpoint.from_bytes(some().to_bytes()[:length])


def test_other_versions_are_refused_by_number() -> None:
    data = bytearray(some().to_bytes())
    data[4] = 1
    with pytest.raises(CheckpointError, match="version 1; this engine reads version 2"):
        Checkpoint.from_bytes(bytes(data))


def test_the_checkpoint_of_another_request_is_refused(tiny_model: LoadedModel) -> None:
    engine = Engine(tiny_model)
    engine.add(LONG)
    engine.step()
    checkpoint = engine.park("a")
    assert checkpoint is not None
    with pytest.raises(CheckpointError, match="another request"):
        engine.resume(replace(LONG, prompt=(5, 6, 8)), checkpoint)
    engine.resume(replace(LONG, id="b", priority=3), replace(checkpoint, request_id="b"))
    assert engine.has_work


def test_what_has_not_started_cannot_be_parked(tiny_model: LoadedModel) -> None:
    engine = Engine(tiny_model)
    engine.add(LONG)
    assert engine.park("a") is None
    assert engine.park("unknown") is None
    finished = [event for _ in range(100) for event in engine.step() if isinstance(event, Finish)]
    assert len(finished) == 1


def test_a_lean_checkpoint_is_read_once_more(tmp_path: Path) -> None:
    model = load_model(families.write(tmp_path, families.CONFIGS["diffusion_gemma"]))
    request = Request("a", (5, 6, 7), max_tokens=16, sampling=SamplingParameters("renoise", max_steps=8))
    sizes, forwards = [], []
    for lean in (False, True):
        engine = Engine(model)
        engine.add(request)
        for _ in range(4):
            engine.step()
        checkpoint = engine.park("a", lean=lean)
        assert checkpoint is not None
        sizes.append(len(checkpoint.to_bytes()))
        engine.resume(request, checkpoint)
        events = {"a": list[Event]()}
        drain(engine, events)
        forwards.append(finish(events["a"]).usage.forward_passes)
        assert len(text(events["a"])) <= 16
    assert sizes[0] - sizes[1] >= 16 * 48 * 4
    assert forwards[1] == forwards[0] + 1
