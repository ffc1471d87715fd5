from __future__ import annotations

import pytest

from deployments.errors import PermissionDenied
from deployments.gateway.bands import TIERS, ServiceTier, band_of
from deployments.tenancy.tenant import Band

ALL: tuple[Band, ...] = ("interactive", "default", "flex")


@pytest.mark.parametrize(
    ("tier", "band", "told"),
    [
        (None, "default", "default"),
        ("auto", "default", "default"),
        ("default", "default", "default"),
        ("flex", "flex", "flex"),
        ("priority", "interactive", "priority"),
    ],
)
def test_each_tier_is_a_band_which_is_told_as_a_tier(tier: ServiceTier | None, band: Band, told: str) -> None:
    assert band_of(tier, ALL) == band
    assert TIERS[band] == told


@pytest.mark.parametrize(("tier", "bands"), [("priority", ("default", "flex")), ("default", ("flex",)), ("auto", ())])
def test_a_band_that_the_tenant_does_not_have_is_denied_by_name(tier: ServiceTier, bands: tuple[Band, ...]) -> None:
    with pytest.raises(PermissionDenied, match="service tier") as denied:
        band_of(tier, bands)
    assert denied.value.parameter == "service_tier"


@pytest.mark.parametrize("tier", [None, "auto"])
def test_who_names_no_tier_gets_one_that_there_is(tier: ServiceTier | None) -> None:
    assert band_of(tier, ("flex",)) == "flex"
