"""The ``service_tier`` of the OpenAI API and the band of the queue that it stands for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from deployments.errors import PermissionDenied

if TYPE_CHECKING:
    from deployments.tenancy.tenant import Band

ServiceTier = Literal["auto", "default", "flex", "priority"]

BANDS: Mapping[ServiceTier, Band] = {"default": "default", "flex": "flex", "priority": "interactive"}
TIERS: Mapping[Band, ServiceTier] = {band: tier for tier, band in BANDS.items()}
"""How the band that was used is told."""


def band_of(tier: ServiceTier | None, permitted: Sequence[Band]) -> Band:
    """The band of a request with that tier, of a tenant with the ``permitted`` bands.

    ``auto``, which is also the meaning of no tier, is ``default``, or the first band of a tenant that has no such
    band. Raises :class:`PermissionDenied` for a band that the tenant does not have.
    """
    band = BANDS[tier] if tier and tier != "auto" else "default"
    if band in permitted:
        return band
    if tier in (None, "auto") and permitted:
        return permitted[0]
    raise PermissionDenied(f"You do not have the service tier {TIERS[band]!r}.", parameter="service_tier")
