from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from deployments.telemetry.named_tenants import OTHER, NamedTenants


@given(st.lists(st.sampled_from(["a", "b", "c", "d", OTHER])), st.integers(0, 5))
def test_so_many_tenants_have_a_name_and_keep_it(tenants: list[str], most: int) -> None:
    named, labels = NamedTenants(most), dict[str, str]()
    for tenant in tenants:
        label = named.label(tenant)
        assert label in (tenant, OTHER)
        assert labels.setdefault(tenant, label) == label
    assert len({label for label in labels.values() if label != OTHER}) == min(most, len(labels.keys() - {OTHER}))
