"""What the gateway asks of a replica, and what it hears back.

A *run* is one attempt to bring a request to its end. A request whose replica dies, hangs or drains is run again from
its last checkpoint; the next attempt has a higher epoch.
"""

from __future__ import annotations

from dataclasses import dataclass

from dllm_worker.request import Event, Request


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt. ``checkpoint`` is where the last one got to, ``None`` to start.

    The replica parks the request at the first boundary between two canvases with at least ``park_after`` tokens of the
    answer committed. ``avoid`` are replicas that are not to be chosen, ``affinity`` is equal for requests that are
    likely to share a prefix. ``trace`` is the W3C traceparent of the attempt's span, empty when it is not recorded.
    """

    request: Request
    epoch: int = 1
    checkpoint: bytes | None = None
    committed: int = 0
    park_after: int | None = None
    avoid: tuple[str, ...] = ()
    affinity: str | None = None
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Figures:
    """What a replica says of itself, for those who choose among replicas; quantised, so that it changes rarely.

    ``backlog`` is the position-forwards of all that runs or waits there and ``rate`` how many it does in a second (0
    before it has measured any). ``refresh_due`` are the positions of the refresh phase in each of the next steps.
    ``prefixes`` is a sketch of the cached prefixes: the least 64 of the hashes of their pages, as 32-bit numbers.
    """

    free_places: int = 0
    backlog: int = 0
    rate: float = 0.0
    refresh_due: tuple[int, ...] = ()
    prefixes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """How a run came to its replica, of the ``pool``, which took it ``at`` that Unix time in seconds.

    ``score`` is what it was taken to cost there, in seconds, where the router had figures to tell by, and
    ``prefix_hit`` how many positions of the prompt were known to be cached.
    """

    pool: str
    at: float
    score: float | None = None
    prefix_hit: int = 0


@dataclass(frozen=True, slots=True)
class CanvasTimes:
    """How a canvas came to its end in one run, or, if not ``ended``, to where the run left it. Times are in seconds.

    ``prefill`` is what was spent before its first denoising step: on the prompt, or on the commit of the canvas before.
    ``summaries`` are, for some of its steps, the number of the step, the time since the first, and how many tokens of
    the answer were committed then.
    """

    index: int
    length: int
    prefill: float
    seconds: float
    steps: int
    position_forwards: int
    committed: int
    ended: bool
    summaries: tuple[tuple[int, float, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """One message of a run. Without anything in it, it says that the engine is alive and makes steps.

    ``replica`` names who runs the request; the first message has it. ``admitted`` turns true with the message that
    says that the request has a place in the batch. ``checkpoint`` is the request as it is after ``events``; a message
    with a ``Commit`` always has one, so that what is committed never lies beyond it. ``boundary`` says that it lies
    between two canvases. A message with ``parked`` is the last one: the request goes on elsewhere. ``canvases`` are
    those that have ended since the last message, and with the last message also the one that has not. ``route`` is
    entered into the first message on its way, where there was a choice of replicas.
    """

    events: tuple[Event, ...] = ()
    checkpoint: bytes | None = None
    admitted: bool = True
    boundary: bool = False
    parked: bool = False
    replica: str = ""
    figures: Figures | None = None
    canvases: tuple[CanvasTimes, ...] = ()
    route: Route | None = None
