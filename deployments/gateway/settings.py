"""What an operator may set of the gateway."""

from __future__ import annotations

from dataclasses import dataclass, field

from deployments.execution.settings import ExecutionSettings


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """Sizes in bytes, times in seconds.

    ``default_max_tokens`` is the length of a chat answer whose client names none, as far as the context has room.
    ``state_timeout_seconds`` bounds a read of a request record, and ``ready_timeout_seconds`` how long a pool may take
    to say that it is ready. Parameters that nobody knows are reported, or refused if ``refuse_unknown_parameters``.
    """

    version: str = "0.1.0"
    max_body_bytes: int = 1 << 20
    body_timeout_seconds: float = 30.0
    keep_alive_seconds: float = 10.0
    state_timeout_seconds: float = 0.5
    ready_timeout_seconds: float = 2.0
    default_max_tokens: int = 256
    refuse_unknown_parameters: bool = False
    execution: ExecutionSettings = field(default_factory=ExecutionSettings)
