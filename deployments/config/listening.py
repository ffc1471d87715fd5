"""Where clients and the operator come in."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator

from deployments.document import ConfigError
from deployments.section import PositiveInt, Seconds, Section

ADMIN_KEY_LENGTH = 16
"""The fewest characters of an admin key."""


class HttpConfig(Section):
    """Where the gateways listen for HTTP, and what they take."""

    host: str = Field(default="127.0.0.1", min_length=1)
    """The address to listen on."""

    port: int = Field(default=8000, ge=0, le=65535)
    """The port to listen on; 0 takes a free one."""

    max_body_bytes: PositiveInt = 1 << 20
    """The longest body of a request; a longer one is refused with 413 before it is parsed."""

    keep_alive_seconds: Seconds = 10.0
    """The time between two comments that keep a silent stream open."""

    refuse_unknown_parameters: bool = False
    """Whether parameters that nobody knows are refused with 400; if not, ``x-dllm-ignored-params`` reports them."""


class GrpcConfig(Section):
    """Where the gateways listen for gRPC; ``http.host`` is the address."""

    port: int | None = Field(default=9000, ge=0, le=65535)
    """The port to listen on; 0 takes a free one, null starts no gRPC services."""

    reflection: bool | None = None
    """Whether clients can ask for the services' definitions; null offers it in development mode only."""


class AdminConfig(Section):
    """Where the operator's endpoints listen, and the credential that opens them.

    Without ``key`` and ``key_file`` a key is made at start-up; ``dllm`` on the same machine finds it.
    """

    host: str = Field(default="127.0.0.1", min_length=1)
    """The address to listen on."""

    port: int = Field(default=8001, ge=0, le=65535)
    """The port to listen on; 0 takes a free one."""

    key: SecretStr | None = Field(default=None, min_length=ADMIN_KEY_LENGTH)
    """The credential itself."""

    key_file: str | None = Field(default=None, min_length=1)
    """The path of a file that holds the credential, as a mounted secret."""

    @model_validator(mode="after")
    def _key_is_given_in_one_way(self) -> Self:
        if self.key is not None and self.key_file is not None:
            raise ValueError("a key is given as key or as key_file")
        return self

    def read_key(self) -> SecretStr | None:
        """The key, which may be in a file. Raises :class:`ConfigError` when that holds none."""
        if self.key_file is None:
            return self.key
        try:
            key = Path(self.key_file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"admin.key_file: {error}") from None
        if len(key) < ADMIN_KEY_LENGTH:
            raise ConfigError(f"admin.key_file: a key has at least {ADMIN_KEY_LENGTH} characters")
        return SecretStr(key)
