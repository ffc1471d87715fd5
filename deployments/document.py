"""YAML files with one typed tree each, and what is wrong with them.

An unknown key or a bad value is refused with its full path, as in ``models.0.pools.0.replicaz: unknown key``.
"""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from deployments.section import Section

S = TypeVar("S", bound=Section)


class ConfigError(ValueError):
    """The configuration is refused. One line for each fault, headed by the path of its key."""


def load_document(path: Path, kind: type[S]) -> S:
    """The tree in the file ``path``; an empty file is one without keys. Raises :class:`ConfigError`."""
    try:
        # The loader below is PyYAML's safe one: it makes plain data only.
        tree = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)  # noqa: S506
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: {error}") from error
    return typed(tree, kind)


def typed(tree: Any, kind: type[S]) -> S:
    """The tree ``tree`` of plain data; ``None`` is one without keys. Raises :class:`ConfigError`."""
    try:
        return kind.model_validate({} if tree is None else tree)
    except ValidationError as error:
        raise ConfigError("\n".join(_describe(fault) for fault in error.errors())) from error


def _describe(fault: ErrorDetails) -> str:
    """One line without the offending value, which may be a secret."""
    path = ".".join(str(key) for key in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"{path}: unknown key"
    message = str(fault["ctx"]["error"]) if fault["type"] == "value_error" else fault["msg"]
    return f"{path}: {message}" if path else message


class _StrictLoader(yaml.SafeLoader):
    """YAML whose mappings have each key once; PyYAML alone would keep the last and drop the others."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for index, key in enumerate(keys):
            if key in keys[:index]:
                raise yaml.constructor.ConstructorError(None, None, f"{key}: given twice", node.start_mark)
        return super().construct_mapping(node, deep)
