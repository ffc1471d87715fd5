"""Bodies of held-out functions, written by the engine behind signature and docstring, canvas after canvas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from tokenizers import Tokenizer

from dllm_worker.embedded.code.corpus import parses
from dllm_worker.embedded.code.functions import Function
from dllm_worker.embedded.code.tokenizer import BOS_ID
from dllm_worker.engine import Engine
from dllm_worker.models.loading import LoadedModel
from dllm_worker.request import Commit, Finish, Request, SamplingParameters

_MAX_TOKENS = 64


@dataclass(frozen=True, slots=True)
class WritingScore:
    """``parses`` is the share of functions that are valid Python with their body up to its last whole line."""

    cases: int
    parses: float
    ended: float
    tokens: float
    tokens_per_forward: float


def score(
    model: LoadedModel,
    tokenizer: Tokenizer,
    functions: Sequence[Function],
    canvas_length: int,
    sampling: SamplingParameters,
) -> dict[str, float]:
    """Let the model write each body and see what came of it."""
    engine = Engine(model)
    for k, function in enumerate(functions):
        prompt = (BOS_ID, *tokenizer.encode(function.head).ids)
        engine.add(Request(str(k), prompt, max_tokens=_MAX_TOKENS, canvas_length=canvas_length, sampling=sampling))
    written: dict[str, list[int]] = {str(k): [] for k in range(len(functions))}
    ends: dict[str, Finish] = {}
    while engine.has_work:
        for event in engine.step():
            if isinstance(event, Commit):
                written[event.request_id] += event.tokens
            elif isinstance(event, Finish):
                ends[event.request_id] = event
    bodies = [tokenizer.decode(tokens) for tokens in written.values()]
    count, tokens = len(functions), sum(map(len, written.values()))
    result = WritingScore(
        cases=count,
        parses=sum(is_written(function.head, body) for function, body in zip(functions, bodies, strict=True)) / count,
        ended=sum(end.reason == "stop" for end in ends.values()) / count,
        tokens=tokens / count,
        tokens_per_forward=tokens / sum(end.usage.forward_passes for end in ends.values()),
    )
    return {name: round(value, 4) for name, value in asdict(result).items()}


def is_written(head: str, body: str) -> bool:
    """Whether ``body`` has a whole line, and up to the last of them continues ``head`` to valid Python."""
    whole = body[: body.rfind("\n") + 1]
    return bool(whole.strip()) and parses(head + whole)
