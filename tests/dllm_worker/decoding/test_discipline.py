"""Ways of decoding that span several passes, against plain loops that compute everything anew in every step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from dllm_worker.embedded.code.attention import additive, dense_attend, sequence_mask
from dllm_worker.models.loading import LoadedModel, load_model
from dllm_worker.models.rows import Rows
from dllm_worker.request import CacheParameters, Finish, Request, SamplingParameters
from dllm_worker.spec import ContextAttention
from tests.dllm_worker.conftest import MASK, tiny_config, write_checkpoint
from tests.dllm_worker.requests import finish, run, text

PROMPT = (5, 9, 17, 33, 20, 21, 40, 41, 7, 8, 60, 61, 90)
BLOCK = 8
TOTAL = len(PROMPT) + 40


@torch.inference_mode()
def logits(model: LoadedModel, tokens: Tensor, attention: ContextAttention, block: int = BLOCK) -> Tensor:
    """``[positions, vocab]`` of the whole sequence, without any cache; the mask token is never predicted."""
    bias = additive(sequence_mask(len(tokens), attention, block), torch.float32)

    def attend(layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float | None = None) -> Tensor:
        key, value = (x.repeat_interleave(query.shape[1] // key.shape[1], dim=1) for x in (key, value))
        return dense_attend(1, bias)(layer, query, key, value, scale)

    hidden = model.denoiser(Rows(tokens, torch.arange(len(tokens))), attend)
    found = model.denoiser.head.logits(hidden)
    found[:, MASK] = -torch.inf
    return found


Read = Callable[[Tensor], Tensor]


def pipelined(read: Read, total: int, threshold: float, open_share: float, force_share: float) -> list[int]:
    """D2F (arXiv 2508.09192): blocks open while earlier ones are still denoised."""
    tokens = torch.tensor([*PROMPT, *[MASK] * (total - len(PROMPT))])
    masked = torch.arange(total) >= len(PROMPT)
    starts = [len(PROMPT) // BLOCK * BLOCK]
    opened = [int(masked[starts[0] : starts[0] + BLOCK].sum())]

    def progress(i: int) -> float:
        return 1 - int(masked[starts[i] : starts[i] + BLOCK].sum()) / opened[i]

    while masked.any():
        end = min(starts[-1] + BLOCK, total)
        probabilities = read(tokens[:end]).softmax(-1)
        best, choice = probabilities.max(-1)
        accepted = torch.zeros_like(masked)
        for i, start in enumerate(starts):
            open_here = torch.zeros_like(masked)
            open_here[start : start + BLOCK] = masked[start : start + BLOCK]
            sure = open_here[:end] & (best > threshold)
            first = all(not masked[s : s + BLOCK].any() for s in starts[:i])
            if open_here.any() and not sure.any() and (first or progress(i - 1) >= force_share):
                sure[best.masked_fill(~open_here[:end], -1).argmax()] = True
            accepted[:end] |= sure
        tokens[:end] = torch.where(accepted[:end], choice, tokens[:end])
        masked &= ~accepted
        if end < total and progress(-1) >= open_share:
            starts.append(starts[-1] + BLOCK)
            opened.append(int(masked[starts[-1] : starts[-1] + BLOCK].sum()))
    return tokens[len(PROMPT) :].tolist()


@pytest.mark.parametrize("threshold", [0.02, 0.05, 0.2])
@pytest.mark.parametrize("shares", [(0.1, 0.95), (0.5, 0.5), (0.0, 1.0), (1.0, 1.0)])
def test_pipelined_canvases_are_denoised_as_without_a_cache(
    tiny_model: LoadedModel, threshold: float, shares: tuple[float, float]
) -> None:
    sampling = SamplingParameters(
        algorithm="pipelined", threshold=threshold, open_share=shares[0], force_share=shares[1], eos="ignore"
    )
    events = run(tiny_model, [Request("a", PROMPT, max_tokens=40, sampling=sampling)])["a"]
    expected = pipelined(lambda tokens: logits(tiny_model, tokens, "block_causal"), TOTAL, threshold, *shares)
    assert text(events) == expected


def test_pipelining_takes_fewer_steps(tiny_model: LoadedModel) -> None:
    plain = Request("a", PROMPT, max_tokens=64, sampling=SamplingParameters(threshold=0.3, eos="ignore"))
    ahead = replace(plain, sampling=replace(plain.sampling, algorithm="pipelined"))
    steps = [finish(run(tiny_model, [request])["a"]).usage.denoising_steps for request in (plain, ahead)]
    assert steps[1] < steps[0]


@pytest.fixture(scope="module")
def causal_model(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    config = tiny_config(canvas={"attentions": ["causal", "bidirectional"]})
    return load_model(write_checkpoint(tmp_path_factory.mktemp("causal"), config))


def test_autoregressive_decoding_reads_one_mask_at_a_time(causal_model: LoadedModel) -> None:
    tokens = list(PROMPT)
    for _ in range(12):
        row = logits(causal_model, torch.tensor([*tokens, MASK]), "causal")[-1]
        tokens.append(int(row.argmax()))
    sampling = SamplingParameters(algorithm="autoregressive", eos="ignore")
    events = run(causal_model, [Request("a", PROMPT, max_tokens=12, sampling=sampling)])["a"]
    assert text(events) == tokens[len(PROMPT) :]
    assert finish(events).usage.forward_passes == 12


def test_a_request_chooses_among_the_models_attentions(causal_model: LoadedModel) -> None:
    answers = {
        attention: text(
            run(causal_model, [Request("a", PROMPT, max_tokens=16, canvas_length=8, context_attention=attention)])["a"]
        )
        for attention in ("block_causal", "causal", "bidirectional")
    }
    assert len(set(map(tuple, answers.values()))) == 3


def approximate(model: LoadedModel, cache: CacheParameters, total: int, canvas: int) -> list[int]:
    """Most confident first, one a step, with keys and values kept as the cache says, row by row."""
    tokens = torch.tensor([*PROMPT, *[MASK] * (total - len(PROMPT))])
    for start in range(len(PROMPT), total, canvas):
        end = min(start + canvas, total)
        kept: dict[int, tuple[Tensor, Tensor]] = {}
        for step in range(end - start):
            window = {"prefix": (start, total), "dual": (start, end)}.get(
                cache.kind, (max(0, start - cache.before), min(total, end + cache.after))
            )
            if step == 0 or (cache.refresh_every and step % cache.refresh_every == 0):
                window, kept = (0, total), {}
            found = windowed_logits(model, tokens, *window, kept)
            probabilities = found.softmax(-1)
            open_here = [i for i in range(start, end) if tokens[i] == MASK]
            best = max(open_here, key=lambda i: float(probabilities[i - window[0]].max()))
            tokens[best] = probabilities[best - window[0]].argmax()
    return tokens[len(PROMPT) :].tolist()


@torch.inference_mode()
def windowed_logits(
    model: LoadedModel, tokens: Tensor, start: int, stop: int, kept: dict[int, tuple[Tensor, Tensor]]
) -> Tensor:
    """Logits of ``start:stop``; keys and values of other positions are those of the pass that computed them last."""

    def attend(layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float | None = None) -> Tensor:
        if stop - start == len(tokens):
            kept[layer] = (key.clone(), value.clone())
        keys, values = kept[layer]
        keys[start:stop], values[start:stop] = key, value
        keys, values = (x.repeat_interleave(query.shape[1] // key.shape[1], dim=1) for x in (keys, values))
        weights = torch.einsum("qhd,khd->hqk", query, keys) * (query.shape[-1] ** -0.5 if scale is None else scale)
        return torch.einsum("hqk,khd->qhd", weights.softmax(-1), values)

    hidden = model.denoiser(Rows(tokens[start:stop], torch.arange(start, stop)), attend)
    found = model.denoiser.head.logits(hidden)
    found[:, MASK] = -torch.inf
    return found


CACHES = [
    CacheParameters("prefix"),
    CacheParameters("dual"),
    CacheParameters("dual", refresh_every=3),
    CacheParameters("vicinity", refresh_every=4, before=3, after=5),
]


@pytest.mark.parametrize("cache", CACHES, ids=[f"{cache.kind}-{cache.refresh_every}" for cache in CACHES])
def test_an_approximate_cache_is_as_stale_as_it_says(sequence_model: LoadedModel, cache: CacheParameters) -> None:
    sampling = SamplingParameters(algorithm="low_confidence", eos="ignore")
    request = Request("a", PROMPT, max_tokens=27, canvas_length=BLOCK, sampling=sampling, cache=cache)
    events = run(sequence_model, [request])["a"]
    assert text(events) == approximate(sequence_model, cache, len(PROMPT) + 27, BLOCK)
    uncached = finish(run(sequence_model, [replace(request, cache=CacheParameters())])["a"]).usage
    assert finish(events).usage.position_forwards < uncached.position_forwards


def test_the_commit_rides_with_the_next_canvas(tiny_model: LoadedModel) -> None:
    request = Request("a", PROMPT, max_tokens=40, sampling=SamplingParameters(threshold=0.0, eos="ignore"))
    usage = finish(run(tiny_model, [request])["a"]).usage
    assert (usage.canvases, usage.denoising_steps) == (6, 6)
    assert (usage.prefill_forwards, usage.commit_forwards) == (0, 0)


@pytest.mark.parametrize("eos", ["prefix", "canvas", "ignore"])
def test_the_end_of_sequence_ends_when_it_is_asked_to(tiny_model: LoadedModel, eos: str) -> None:
    endless = SamplingParameters(threshold=0.02, eos="ignore")
    answer = text(run(tiny_model, [Request("a", PROMPT, max_tokens=40, sampling=endless)])["a"])
    end = answer[9]
    ends = replace(tiny_model.description, spec=replace(tiny_model.spec, eos_token_ids=(end,)))
    sampling = replace(endless, eos=eos)  # type: ignore[arg-type]
    events = run(replace(tiny_model, description=ends), [Request("a", PROMPT, max_tokens=40, sampling=sampling)])["a"]
    last = events[-1]
    assert isinstance(last, Finish)
    if eos == "ignore":
        assert (text(events), last.reason) == (answer, "length")
    else:
        assert (text(events), last.reason) == (answer[: answer.index(end)], "stop")
