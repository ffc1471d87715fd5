"""What a case asks of the engine, and what the reference says will come of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from dllm_worker.decoding.passes import Outcome
from dllm_worker.golden.draws import RecordedDraws
from dllm_worker.request import Request
from dllm_worker.scheduling.planner import StepKind
from dllm_worker.spec import ModelSpec

Tokens = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One forward pass of the reference that the engine makes too; ``None`` is what was not recorded.

    ``where`` is its place in the record. All positions are absolute. ``computed`` are the positions of the pass, less
    the context that an exact cache encodes with it. ``proposed``, ``confidence``, ``entropy`` and ``margin`` are by
    position. ``quota`` is what the schedule owed, which may be more than there were masks. ``before`` and ``after``
    are the tokens from ``start`` on.
    """

    where: str
    start: int
    outcome: Outcome = "rule"
    kind: StepKind | None = None
    computed: range | None = None
    eligible: Tokens | None = None
    quota: int | None = None
    proposed: Mapping[int, int] = field(default_factory=dict)
    confidence: Mapping[int, float] = field(default_factory=dict)
    entropy: Mapping[int, float] = field(default_factory=dict)
    margin: Mapping[int, float] = field(default_factory=dict)
    accepted: Tokens | None = None
    edited: Tokens | None = None
    best: Tokens | None = None
    before: Tokens | None = None
    after: Tokens | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """The ids under ``name``; ``form`` turns all tokens, prompt and answer, into the reference's form of them."""

    name: str
    recorded: Tokens
    form: Callable[[Tokens], Tokens]


@dataclass(frozen=True, slots=True)
class Forwards:
    """Forward passes that the reference's own counts leave after the equivalences; ``None`` is not compared.

    ``denoising`` passes compute a canvas, ``context`` ones encode committed tokens (alone or with a canvas), and
    ``all`` are both and those that check a draft.
    """

    denoising: int | None = None
    context: int | None = None
    all: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One request of a case; ``steps`` of ``None`` were not recorded."""

    request: Request
    steps: tuple[Step, ...] | None
    endings: tuple[Ending, ...]
    forwards: Forwards = Forwards()


@dataclass(frozen=True, slots=True)
class Scenario:
    """A case as the engine runs it: a model of ``spec`` without suppressed tokens, and ``rows`` in one batch.

    ``tolerance`` is how far a confidence, a margin or an entropy may lie from the recorded one. ``enough`` says of the
    tokens told so far, row by row, whether the reference asks for no more; ``None`` leaves that to the engine.
    """

    spec: ModelSpec
    rows: tuple[Row, ...]
    draws: RecordedDraws = field(default_factory=RecordedDraws)
    tolerance: float = 1e-4
    enough: Callable[[list[Tokens]], bool] | None = None


def rounded_up(length: int, block: int) -> int:
    """``length`` up to the next multiple of ``block``."""
    return -(-length // block) * block


def filled(length: int, token: int) -> Callable[[Tokens], Tokens]:
    """Tokens that end early are followed by ``token`` up to ``length``."""
    return lambda tokens: (*tokens, *[token] * (length - len(tokens)))


def until(tokens: Tokens, ends: Tokens) -> Tokens:
    """``tokens`` up to the first of ``ends`` and with it."""
    stop = next((place + 1 for place, token in enumerate(tokens) if token in ends), len(tokens))
    return tokens[:stop]


def had_ended(step: Step, prompt: int, eos: int, mask: int) -> bool:
    """Whether the answer to ``prompt`` tokens had ended before ``step``: an ``eos`` in its canvas, no mask before it.

    The canvases before hold neither, or the reference would not have come to this step.
    """
    fresh, after = step.accepted or (), step.after or ()
    for position, token in enumerate(after, step.start):
        if position >= prompt and (position in fresh or token in (eos, mask)):
            return token == eos and position not in fresh
    return False
