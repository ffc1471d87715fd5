"""How fast the runs of a pool get on, learned from those that ended."""

from __future__ import annotations

from dataclasses import dataclass

from dllm_worker.request import Usage

TOKENS_PER_STEP = 2.0
"""What a denoising step is taken to settle as long as no run has ended."""

NEWS = 0.05
"""The weight of one more run."""


@dataclass(frozen=True, slots=True)
class Pace:
    """``tokens_per_step`` tokens a denoising step, ``rate`` position-forwards a second of one run among others.

    The rate counts the work that a run was expected to be, from its place in the batch to its end, so that it makes up
    for answers that end early. It is 0 before any run has ended.
    """

    tokens_per_step: float = TOKENS_PER_STEP
    rate: float = 0.0

    def after(self, usage: Usage, work: int, seconds: float) -> Pace:
        """With one more run that was expected to be ``work`` and took ``seconds``."""
        tokens, rate = self.tokens_per_step, self.rate
        if usage.completion_tokens and usage.denoising_steps:
            tokens += NEWS * (usage.completion_tokens / usage.denoising_steps - tokens)
        if seconds > 0:
            rate = rate + NEWS * (work / seconds - rate) if rate else work / seconds
        return Pace(tokens, rate)
