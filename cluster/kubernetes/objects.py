"""Objects of the Kubernetes API as they come: plain mappings of which every part may be absent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

Object = Mapping[str, Any]

QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|([numkMGTPE]|[KMGTPE]i)?)")
DECIMAL = {unit: Decimal(1000) ** power for unit, power in zip("numkMGTPE", (-3, -2, -1, *range(1, 7)), strict=True)}
BINARY = {f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", start=1)}
FACTORS = {"": Decimal(1), **DECIMAL, **BINARY}


def part(value: Object, *path: str) -> Object:
    """The mapping at the end of the path, empty where there is none."""
    for name in path:
        value = value.get(name) or {}
    return value


def name_of(value: Object) -> str:
    """``metadata.name``."""
    return str(part(value, "metadata").get("name", ""))


def labels_of(value: Object) -> Mapping[str, str]:
    """``metadata.labels``."""
    return part(value, "metadata", "labels")


def condition_of(value: Object, kind: str) -> Object:
    """The condition of that type in ``status.conditions``, empty where there is none."""
    conditions = part(value, "status").get("conditions") or ()
    return next((each for each in conditions if each.get("type") == kind), {})


def quantity(text: str | float) -> Decimal:
    """An amount as ``500m`` or ``64Gi``, in its unit. Raises ``ValueError``."""
    match = QUANTITY.fullmatch(str(text))
    if match is None:
        raise ValueError(f"{text}: not a quantity of Kubernetes")
    number, exponent, unit = match.groups()
    amount: Decimal = Decimal(number + (exponent or "")) * FACTORS[unit or ""]
    return amount
