"""A load test as a file says it: who asks for what, when, and what has to hold of the answers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from deployments.document import load_document
from deployments.section import Name, PositiveInt, Seconds, Section, Share, refuse_repetition
from deployments.tenancy.declared import TenantLimits
from deployments.tenancy.tenant import Band
from loadtest.figures.names import Figure

Kind = Literal[
    "chat_stream",
    "canvas_stream",
    "stored_stream",
    "grpc_stream",
    "unary",
    "infill",
    "job",
    "cancelling",
    "slow_reader",
]
"""What a request asks for, and how its client behaves."""

ShapeName = Literal["steady", "ramp", "spike", "diurnal", "surge", "soak"]
TraceFormat = Literal["azure", "burstgpt"]


class Lengths(Section):
    """Tokens, drawn from a log-normal distribution around ``median`` and cut at ``most``; those of a trace are cut at
    ``most`` as well.
    """

    median: PositiveInt
    sigma: Share = 0.5
    most: PositiveInt

    @model_validator(mode="after")
    def _median_is_within(self) -> Self:
        if self.median > self.most:
            raise ValueError(f"median is {self.median} and most is {self.most}")
        return self


class ArrivalsConfig(Section):
    """When requests come: ``shape`` says how the rate moves between nothing and ``peak_per_second``.

    ``burstiness`` is the squared coefficient of variation of the gaps: 1 is a Poisson process, more comes in bursts.
    """

    shape: ShapeName = "steady"
    peak_per_second: Seconds = 1.0
    burstiness: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)] = 1.0


class TraceConfig(Section):
    """Requests at the times and of the lengths of a recorded ``file``, whose path is taken from the scenario's folder.

    At ``speed`` 2 they come twice as fast.
    """

    file: str = Field(min_length=1)
    format: TraceFormat
    speed: Seconds = 1.0


class TenantLoad(Section):
    """One tenant: its ``share`` of the requests, in which ``bands`` and of which ``kinds``, by weight.

    A ``shape`` of its own takes the place of the scenario's. The tenant is made for the test, with ``weight`` and
    ``limits``, and so is its key, unless the environment's ``key_variable`` holds one. With ``deadline_seconds`` each
    answer is wanted within that time.
    """

    name: Name
    share: Seconds = 1.0
    shape: ShapeName | None = None
    bands: dict[Band, Share] = Field(default={"default": 1.0}, min_length=1)
    kinds: dict[Kind, Share] = Field(default={"chat_stream": 1.0}, min_length=1)
    weight: Seconds = 1.0
    limits: TenantLimits = TenantLimits()
    key_variable: str | None = Field(default=None, min_length=1)
    deadline_seconds: Seconds | None = None

    @model_validator(mode="after")
    def _something_is_asked_for(self) -> Self:
        if not sum(self.bands.values()) or not sum(self.kinds.values()):
            raise ValueError("bands and kinds need a share above 0")
        return self


class Objective(Section):
    """What makes an answer of a band a good one: text by ``first_commit_seconds``, where it is streamed, and the end by
    ``seconds``, both from the intended start.
    """

    first_commit_seconds: Seconds | None = None
    seconds: Seconds | None = None


class Gate(Section):
    """A bound that fails the test: ``figure`` of all requests, or of those of a tenant, band or kind."""

    figure: Figure
    least: float | None = None
    most: float | None = None
    tenant: Name | None = None
    band: Band | None = None
    kind: Kind | None = None

    @model_validator(mode="after")
    def _bounds_something(self) -> Self:
        if self.least is None and self.most is None:
            raise ValueError("a gate needs least or most")
        if sum(each is not None for each in (self.tenant, self.band, self.kind)) > 1:
            raise ValueError("a gate is for a tenant, a band or a kind")
        return self


class Disturbance(Section):
    """A ``command`` that is run ``after_seconds`` of load, where the load starts from. Its exit status must be 0."""

    after_seconds: Share
    command: list[str] = Field(min_length=1)


class Models(Section):
    """The models that are asked: one for text, and the embedded one for Sudoku."""

    text: str = "tiny-code"
    sudoku: str = "tiny-sudoku"


class Scenario(Section):
    """A load test. Requests that are due within ``warm_up_seconds`` are asked, and count for nothing; then ``seconds``
    are measured. What is still under way ``grace_seconds`` after that has failed.

    ``clients`` is how many clients there are at the peak, each with connections of its own.
    """

    name: Name
    seed: Annotated[int, Field(ge=0)] = 20261122
    warm_up_seconds: Share = 10.0
    seconds: Seconds = 60.0
    grace_seconds: Seconds = 30.0
    clients: PositiveInt = 4
    arrivals: ArrivalsConfig = ArrivalsConfig()
    trace: TraceConfig | None = None
    models: Models = Models()
    prompt: Lengths = Lengths(median=24, most=200)
    answer: Lengths = Lengths(median=32, most=200)
    tenants: list[TenantLoad] = Field(min_length=1)
    objectives: dict[Band, Objective] = Field(default={})
    disturbances: list[Disturbance] = Field(default=[])
    gates: list[Gate] = Field(default=[])

    @property
    def load_seconds(self) -> float:
        """How long requests come."""
        return self.warm_up_seconds + self.seconds

    @model_validator(mode="after")
    def _gates_name_what_there_is(self) -> Self:
        refuse_repetition("tenants", [tenant.name for tenant in self.tenants])
        strangers = {gate.tenant for gate in self.gates} - {tenant.name for tenant in self.tenants} - {None}
        if strangers:
            raise ValueError(f"gates: no tenant is called {', '.join(sorted(map(str, strangers)))}")
        if self.trace is not None and any(tenant.shape is not None for tenant in self.tenants):
            raise ValueError("tenants: a trace says itself when requests come, so no tenant has a shape")
        return self


def load_scenario(path: Path) -> Scenario:
    """The scenario in the YAML file ``path``. Raises :class:`deployments.document.ConfigError`."""
    return load_document(path, Scenario)
