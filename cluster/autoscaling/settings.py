"""Settings of pools as they are typed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml
from pydantic import ValidationError

from deployments.autoscaling.config import ScalingConfig


def with_settings(scaling: ScalingConfig, settings: Iterable[str]) -> ScalingConfig:
    """``scaling`` with each of ``settings``, as in ``down.stabilization_seconds=60``.

    Raises :class:`ValueError` that names the setting which is not valid.
    """
    tree = scaling.model_dump()
    for setting in settings:
        path, sign, text = setting.partition("=")
        if not sign:
            raise ValueError(f"{setting}: a setting is given as key=value")
        *sections, key = path.split(".")
        section: Any = tree
        for name in sections:
            section = section.get(name) if isinstance(section, dict) else None
        if not isinstance(section, dict) or key not in section:
            raise ValueError(f"{path}: unknown key")
        try:
            section[key] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ValueError(f"{path}: {error}") from error
    try:
        return ScalingConfig.model_validate(tree)
    except ValidationError as error:
        fault = error.errors()[0]
        raise ValueError(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}") from error
