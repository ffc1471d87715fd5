"""A model whose replicas follow a script: every byte is a token, and the test says what is committed when."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import httpx
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.types import ASGIApp
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from deployments.gateway.app import create_app, create_gateway
from deployments.gateway.ids import Clock, Entropy
from deployments.gateway.model import Model
from deployments.gateway.settings import GatewaySettings
from deployments.gateway.shared import Shared, queue_name
from deployments.pools.pool import EVERY_CANVAS, Forecast
from deployments.run import Progress, Run
from deployments.state.memory import MemoryStore
from deployments.state.store import RequestStore
from deployments.telemetry.metrics import MemoryMetrics
from deployments.telemetry.observation import Telemetry
from deployments.tenancy.declared import KeyConfig, TenantConfig, declared_of
from deployments.tenancy.directory.directory import Declared
from deployments.tenancy.directory.memory import MemoryDirectory
from deployments.tenancy.keys import make_key
from deployments.tenancy.ledger.memory import MemoryLedger
from deployments.tenancy.limits.memory import MemoryLimiter
from deployments.tenancy.queue.local import LocalQueue
from deployments.tenancy.verification import Verifier
from dllm_worker.models.checkpoint import ModelDescription
from dllm_worker.request import Commit, Event, Finish, FinishReason, Request, SamplingParameters, Usage
from dllm_worker.spec import ModelSpec
from dllm_worker.text import Text

MASK, EOS, BOS = 0, 1, 2
SPECIALS = ("<|mask|>", "<|eos|>", "<|bos|>")
CHAT_TEMPLATE = "{% for m in messages %}{{ m.role }}:{{ m.content }}\n{% endfor %}"
NOW = 1_700_000_000.0
KEY, TENANT = make_key("test", lambda count: b"a" * count), "acme"
OTHER_KEY, OTHER_TENANT = make_key("test", lambda count: b"b" * count), "bravo"
AUTHORIZED = {"authorization": f"Bearer {KEY}"}
WORK = Usage(
    cached_tokens=2, denoising_steps=4, canvases=1, prefill_forwards=1, commit_forwards=1, position_forwards=96
)

BIDIRECTIONAL: dict[str, Any] = {"context_attention": "bidirectional"}
UNIFORM: dict[str, Any] = {"corruption": "uniform", "mask_token_id": None, "context_attention": "causal"}

Step = tuple[Event, ...] | Progress | Exception | asyncio.Event
"""What a replica does next: deliver events or a whole message, fail, or wait for the test."""

CHECKPOINT = b"a checkpoint"


@cache
def byte_text(chat_template: str | None = CHAT_TEMPLATE) -> Text:
    """A tokenizer without merges, so that the token ``b`` with a byte's number is that byte."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate((*SPECIALS, *alphabet))}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, mask_token=SPECIALS[MASK], eos_token=SPECIALS[EOS], bos_token=SPECIALS[BOS]
    )
    fast.chat_template = chat_template
    return Text(fast)


def spec(**changes: Any) -> ModelSpec:
    facts: dict[str, Any] = {
        "family": "scripted",
        "vocab_size": 259,
        "corruption": "absorbing",
        "mask_token_id": MASK,
        "eos_token_ids": (EOS,),
        "suppressed_token_ids": (MASK,),
        "canvas_length": 32,
        "max_canvas_length": 128,
        "canvas_anchor": "prompt",
        "context_attention": "block_causal",
        "max_position": 256,
    }
    return ModelSpec(**(facts | changes))


@dataclass(slots=True)
class ScriptedPool:
    """Plays ``script(request)`` to each request; ``aborted`` are the requests that were closed early.

    A pool whose ``is_ready`` is ``None`` does not say.
    """

    script: Callable[[Request], Iterable[Step]]
    is_ready: bool | None = True
    predicted: Forecast | None = None
    leaving: set[str] = field(default_factory=set)
    runs: list[Run] = field(default_factory=list)
    messages: list[AsyncGenerator[Progress]] = field(default_factory=list)
    aborted: list[str] = field(default_factory=list)

    @property
    def requests(self) -> list[Request]:
        return [run.request for run in self.runs]

    def generate(self, run: Run) -> AsyncGenerator[Progress]:
        """The messages are kept, so that they end when they are closed and not when they are forgotten."""
        self.runs.append(run)
        self.messages.append(self._play(run.request))
        return self.messages[-1]

    def should_move(self, run: Run, replica: str, *, boundary: bool) -> bool:
        return replica in self.leaving

    def forecast(self, request: Request) -> Forecast | None:
        return self.predicted

    @property
    def canvas_classes(self) -> tuple[str, ...]:
        return (EVERY_CANVAS,)

    def canvas_class(self, request: Request) -> str:
        return EVERY_CANVAS

    def places(self, canvas_class: str) -> int:
        return 64

    async def _play(self, request: Request) -> AsyncGenerator[Progress]:
        played = False
        try:
            for step in self.script(request):
                if isinstance(step, asyncio.Event):
                    await step.wait()
                elif isinstance(step, Exception):
                    raise step
                else:
                    progress = step if isinstance(step, Progress) else message(*step)
                    played = progress.parked or any(isinstance(event, Finish) for event in progress.events)
                    yield progress
            played = True
        finally:
            if not played:
                self.aborted.append(request.id)

    async def ready(self) -> bool:
        if self.is_ready is None:
            await asyncio.get_running_loop().create_future()
        return bool(self.is_ready)


def message(*events: Event) -> Progress:
    """A message with ``events``; as from a replica, there is a checkpoint with each commit."""
    commits = any(isinstance(event, Commit) for event in events)
    return Progress(events, checkpoint=CHECKPOINT if commits else None)


def commits(request: Request, batches: Sequence[Sequence[int]]) -> list[tuple[Commit]]:
    """One commit a batch, each following the one before."""
    steps: list[tuple[Commit]] = []
    start = 0
    for number, tokens in enumerate(batches, 1):
        steps.append((Commit(request.id, 0, number, start, tuple(tokens)),))
        start += len(tokens)
    return steps


def finish(request: Request, completion_tokens: int, reason: FinishReason = "stop") -> tuple[Event, ...]:
    usage = replace(WORK, prompt_tokens=len(request.prompt), completion_tokens=completion_tokens)
    return (Finish(request.id, reason, usage),)


def saying(*texts: str, reason: FinishReason = "stop") -> Callable[[Request], list[Step]]:
    """A replica that admits the request and commits ``texts``, one a step."""

    def script(request: Request) -> list[Step]:
        batches = [byte_text().encode(text) for text in texts]
        return [(), *commits(request, batches), finish(request, sum(map(len, batches)), reason)]

    return script


def filling(*holes: str) -> Callable[[Request], list[Step]]:
    """A replica that fills the runs of holes of a template with ``holes``, each ended where its run is longer."""

    def script(request: Request) -> list[Step]:
        tokens: list[int] = []
        texts = iter(holes)
        fill: list[int] = []
        for position, pinned in enumerate(request.template or ()):
            opens = position == 0 or (request.template or ())[position - 1] is not None
            if pinned is None:
                fill = byte_text().encode(next(texts)) if opens else fill
                tokens.append(fill.pop(0) if fill else EOS)
            else:
                tokens.append(pinned)
        written = sum(token != EOS for token in tokens) - sum(token is not None for token in request.template or ())
        return [(), *commits(request, [tokens[:3], tokens[3:]]), finish(request, written)]

    return script


def model(pool: ScriptedPool, name: str = "tiny", **facts: Any) -> Model:
    description = ModelDescription(spec(**facts), SamplingParameters(threshold=0.8), "rev-1")
    return Model(name, description, byte_text(), pool)


def entropy(count: int) -> bytes:
    """Not random at all."""
    return b"\x07" * count


def tenancy(*tenants: TenantConfig) -> Declared:
    """Two tenants with a key each; ``tenants`` take the places of those of their names."""
    keys = [KeyConfig(tenant=name, key=SecretStr(key)) for key, name in ((KEY, TENANT), (OTHER_KEY, OTHER_TENANT))]
    return declared_of(tenants, keys, NOW)


def in_memory(
    models: Mapping[str, Model], store: RequestStore | None = None, *, declared: Declared | None = None, clock: Clock
) -> Shared:
    """What gateways have in common, in this process."""
    names = [queue_name(id, each) for id, model in models.items() for each in model.pool.canvas_classes]
    queues = {name: LocalQueue(name, lambda: 64, clock, MemoryMetrics()) for name in names}
    directory = MemoryDirectory(declared or tenancy())
    return Shared(store or MemoryStore(), directory, MemoryLimiter(clock, 15.0), MemoryLedger(), queues)


def app_over(
    models: Mapping[str, Model],
    store: RequestStore | None = None,
    settings: GatewaySettings | None = None,
    *,
    declared: Declared | None = None,
    shared: Shared | None = None,
    clock: Clock = time.time,
    entropy: Entropy = os.urandom,
    telemetry: Telemetry | None = None,
) -> FastAPI:
    """A gateway over ``models``, alone unless there is something ``shared``."""
    declared = declared or tenancy()
    shared = shared or in_memory(models, store, declared=declared, clock=clock)
    gateway = create_gateway(models, shared, telemetry or Telemetry(), settings, clock=clock, entropy=entropy)
    return create_app(gateway, Verifier(shared.directory, declared, clock))


def gateway(
    script: Callable[[Request], Iterable[Step]] | ScriptedPool,
    store: RequestStore | None = None,
    settings: GatewaySettings | None = None,
    *,
    declared: Declared | None = None,
    shared: Shared | None = None,
    telemetry: Telemetry | None = None,
    **facts: Any,
) -> FastAPI:
    pool = script if isinstance(script, ScriptedPool) else ScriptedPool(script)
    models = {"tiny": model(pool, **facts)}
    return app_over(
        models,
        store,
        settings,
        declared=declared,
        shared=shared,
        clock=lambda: NOW,
        entropy=entropy,
        telemetry=telemetry,
    )


def client(app: ASGIApp, key: str = KEY) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://gateway", headers={"authorization": f"Bearer {key}"}
    )
