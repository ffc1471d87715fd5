"""The ``usage`` object of an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, replace
from typing import Any

from deployments.gateway.assembler import Done
from dllm_worker.request import Usage


def total(dones: Sequence[Done]) -> Done:
    """The ends of several answers to one prompt as one: the prompt counts once, the work behind them all together.

    What the first answer found cached of the prompt stands for all; the others find what that one has left.
    """
    first = dones[0]
    work = Usage(*(sum(counts) for counts in zip(*(astuple(done.work) for done in dones), strict=True)))
    once = replace(work, prompt_tokens=first.prompt_tokens, cached_tokens=first.work.cached_tokens)
    return replace(first, completion_tokens=sum(done.completion_tokens for done in dones), work=once)


def usage_json(done: Done) -> dict[str, Any]:
    """Token counts, and under ``diffusion`` the work behind them, by the engine's account.

    ``cached_tokens`` of the prompt had been encoded for earlier requests with the same key.
    """
    return {
        "prompt_tokens": done.prompt_tokens,
        "completion_tokens": done.completion_tokens,
        "total_tokens": done.prompt_tokens + done.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": done.work.cached_tokens},
        **_predicted_json(done.work),
        "diffusion": _work_json(done.work),
    }


def response_usage_json(done: Done) -> dict[str, Any]:
    """The same in the words of the Responses API."""
    return {
        "input_tokens": done.prompt_tokens,
        "input_tokens_details": {"cached_tokens": done.work.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": done.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": done.prompt_tokens + done.completion_tokens,
        "diffusion": _work_json(done.work),
    }


def _predicted_json(work: Usage) -> dict[str, Any]:
    """How the guess of the answer fared, where there was one."""
    accepted, rejected = work.accepted_prediction_tokens, work.rejected_prediction_tokens
    if not accepted + rejected:
        return {}
    told = {"accepted_prediction_tokens": accepted, "rejected_prediction_tokens": rejected}
    return {"completion_tokens_details": told}


def _work_json(work: Usage) -> dict[str, Any]:
    return {
        "denoising_steps": work.denoising_steps,
        "forward_passes": work.forward_passes,
        "prefill_forwards": work.prefill_forwards,
        "commit_forwards": work.commit_forwards,
        "position_forwards": work.position_forwards,
        "canvases": work.canvases,
        "tokens_per_forward": round(work.tokens_per_forward, 4),
    }
