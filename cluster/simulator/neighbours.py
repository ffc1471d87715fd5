"""A quiet tenant beside one that asks for more than there is, in virtual time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cluster.simulator.outcome import percentile
from cluster.simulator.run import Scenario
from cluster.simulator.sharing import TenantTrace, share
from cluster.simulator.workload import Arrival, alone_seconds
from dllm_worker.request import Request, SamplingParameters
from dllm_worker.spec import ModelSpec

QUIET, LOUD = "quiet", "loud"
PROMPT_TOKENS, ANSWER_TOKENS = 8, 64
CAP = 256


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Both send equal requests at fixed rates, for so many seconds: shares of what the replicas can answer."""

    scenario: Scenario
    seconds: float
    quiet: float = 0.2
    loud: float = 10.0

    def capacity(self, spec: ModelSpec) -> float:
        """Requests a second that full replicas answer, whose steps take as long as those for one request."""
        scenario = self.scenario
        together = scenario.replicas * scenario.limits.max_running
        return together / alone_seconds(_request("", 0), spec, scenario.device)

    def times(self, share: float, spec: ModelSpec) -> list[float]:
        """When the requests of a tenant start that asks for ``share`` of the capacity, in seconds."""
        rate = share * self.capacity(spec)
        return [number / rate for number in range(int(self.seconds * rate))]


@dataclass(frozen=True, slots=True)
class Noise:
    """What the quiet tenant's latencies are ``alone`` and beside the ``flood``, in seconds, and their ratios.

    ``max_lag`` is the greatest lag that was seen beside the flood, in work units, and ``jain`` the last index.
    """

    way: str
    p50_alone: float
    p99_alone: float
    p50_flood: float
    p99_flood: float
    p50_ratio: float
    p99_ratio: float
    jain: float
    max_lag: float


def noise(way: str, alone: Sequence[float], flood: Sequence[float], jain: float, max_lag: float) -> Noise:
    """Compare the quiet tenant's latencies."""
    quiet, loud = sorted(alone), sorted(flood)
    p50, p99 = percentile(quiet, 0.5), percentile(quiet, 0.99)
    p50_flood, p99_flood = percentile(loud, 0.5), percentile(loud, 0.99)
    return Noise(way, p50, p99, p50_flood, p99_flood, p50_flood / p50, p99_flood / p99, jain, max_lag)


def simulate_noise(neighbours: Neighbours, spec: ModelSpec, *, queued: bool = True) -> Noise:
    """With the fair queue, or with every request at a replica at once."""
    quiet = _trace(neighbours, QUIET, neighbours.quiet, spec)
    loud = _trace(neighbours, LOUD, neighbours.loud, spec)
    alone, flood = (share(neighbours.scenario, spec, traces, queued=queued) for traces in ([quiet], [quiet, loud]))
    way = "simulated, fair queue" if queued else "simulated, no queue"
    return noise(way, alone.latencies[QUIET], flood.latencies[QUIET], flood.jain, flood.max_lag)


def _trace(neighbours: Neighbours, tenant: str, share: float, spec: ModelSpec) -> TenantTrace:
    alone = alone_seconds(_request("", 0), spec, neighbours.scenario.device)
    times = neighbours.times(share, spec)
    trace = [Arrival(at, _request(f"{tenant}-{number}", number), alone) for number, at in enumerate(times)]
    return TenantTrace(tenant, trace, cap=CAP)


def _request(id: str, seed: int) -> Request:
    prompt = tuple(range(5, 5 + PROMPT_TOKENS))
    return Request(id, prompt, max_tokens=ANSWER_TOKENS, sampling=SamplingParameters(seed=seed))
