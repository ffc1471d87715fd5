"""What the cluster tells of itself, and where."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from deployments.section import Section

TRACES_ENVIRONMENT = "DLLM_TRACES"
"""The variable with a :class:`TracesConfig` as JSON, for the processes that Ray Serve makes by itself."""

Exporter = Literal["none", "console", "file", "otlp"]


class TracesConfig(Section):
    """Where spans go, and which there are."""

    exporter: Exporter = "none"
    """Nowhere, to the error output, to a file, or to a collector."""

    endpoint: str | None = Field(default=None, min_length=1)
    """Where ``otlp`` sends them; null leaves it to the variables ``OTEL_EXPORTER_OTLP_*``."""

    protocol: Literal["grpc", "http"] | None = None
    """How ``otlp`` sends them; null leaves it to the same variables."""

    file: str | None = Field(default=None, min_length=1)
    """The path to which ``file`` appends them as JSON lines."""

    sample: Annotated[float, Field(ge=0, le=1)] = 1.0
    """The share recorded of the requests that bring no decision of their own."""

    engine_steps: Annotated[float, Field(ge=0, le=1)] = 0.0
    """The share of an engine's steps that get a span of their own."""

    @model_validator(mode="after")
    def _a_file_is_named(self) -> Self:
        if (self.exporter == "file") != (self.file is not None):
            raise ValueError("file belongs to exporter file, and the exporter needs it")
        if self.exporter != "otlp" and (self.endpoint or self.protocol):
            raise ValueError("endpoint and protocol belong to exporter otlp")
        return self


class TelemetryConfig(Section):
    """What the cluster tells of itself, and where."""

    traces: TracesConfig = TracesConfig()
    """Where spans go, and which there are."""

    access_log: str | None = Field(default=None, min_length=1)
    """The path of a file that gets a line of JSON for each request; null is the gateway's error output, and a file of
    its own under ``dllm up``.
    """

    named_tenants: Annotated[int, Field(ge=0, le=1000)] = 50
    """How many tenants have a name in metrics; the rest are ``other``."""
