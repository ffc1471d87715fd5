"""What the cluster tells of itself, and where."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from deployments.section import Section

TRACES_ENVIRONMENT = "DLLM_TRACES"
"""The variable with a :class:`TracesConfig` as JSON, for the processes that Ray Serve makes by itself."""

Exporter = Literal["none", "console", "file", "otlp"]


class TracesConfig(Section):
    """Where spans go. ``otlp`` sends them to ``endpoint`` by ``protocol`` (null leaves both to the variables
    ``OTEL_EXPORTER_OTLP_*``), ``file`` appends them to ``file`` as JSON lines.

    Of the requests that bring no decision of their own the gateway records the ``sample`` share; those that bring one
    are recorded accordingly. ``engine_steps`` is the share of an engine's steps that get a span of their own.
    """

    exporter: Exporter = "none"
    endpoint: str | None = Field(default=None, min_length=1)
    protocol: Literal["grpc", "http"] | None = None
    file: str | None = Field(default=None, min_length=1)
    sample: Annotated[float, Field(ge=0, le=1)] = 1.0
    engine_steps: Annotated[float, Field(ge=0, le=1)] = 0.0

    @model_validator(mode="after")
    def _a_file_is_named(self) -> Self:
        if (self.exporter == "file") != (self.file is not None):
            raise ValueError("file belongs to exporter file, and the exporter needs it")
        if self.exporter != "otlp" and (self.endpoint or self.protocol):
            raise ValueError("endpoint and protocol belong to exporter otlp")
        return self


class TelemetryConfig(Section):
    """Traces; the file that gets one line of JSON for each request (null is the gateway's error output); and how many
    tenants metrics name, the rest being ``other``.
    """

    traces: TracesConfig = TracesConfig()
    access_log: str | None = Field(default=None, min_length=1)
    named_tenants: Annotated[int, Field(ge=0, le=1000)] = 50
