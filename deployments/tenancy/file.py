"""Tenants and keys in a file of their own, such as a mounted secret."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from deployments.document import ConfigError, load_document
from deployments.section import Section
from deployments.state.store import StateError
from deployments.tenancy.declared import KeyConfig, TenantConfig, refuse_ambiguity

logger = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
"""Between two looks whether the file has changed."""


class TenancyFile(Section):
    """What the file holds: the same as these two keys of the configuration."""

    tenants: list[TenantConfig] = Field(default=[])
    keys: list[KeyConfig] = Field(default=[])

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        refuse_ambiguity(self.tenants, self.keys)
        return self


def load_declared(path: Path) -> TenancyFile:
    """The sections in the YAML file ``path``. Raises :class:`deployments.document.ConfigError`."""
    return load_document(path, TenancyFile)


async def follow(
    path: Path, changed: Callable[[], Awaitable[None]], sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """Call ``changed`` each time that the file is another one than before, until cancelled.

    A file that is refused changes nothing, and is told of once; what the state store does not take is tried again.
    """
    seen = _identity(path)
    while True:
        await sleep(LOOK_SECONDS)
        found = _identity(path)
        if found in (seen, None):
            continue
        try:
            await changed()
        except ConfigError as error:
            logger.error("tenants and keys stay as they were: %s", error)
        except StateError as error:
            logger.warning("the tenants and keys of %s are not entered yet: %s", path, error)
            continue
        seen = found


def _identity(path: Path) -> tuple[int, int, int] | None:
    """What tells one version of the file from the next; ``None`` where there is none. A mounted secret is replaced by
    another file, of the same time at worst.
    """
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
