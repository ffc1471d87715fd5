"""The work of a group goes to the pools that do it for the least price."""

from __future__ import annotations

from deployments.autoscaling.config import ScalingConfig
from deployments.autoscaling.decide import decide
from deployments.autoscaling.sample import Decision, History, PoolSample
from tests.deployments.autoscaling.scenarios import sample, spec
from tests.deployments.autoscaling.test_decide import AT_ONCE, CALM

PLAIN = ScalingConfig(up=AT_ONCE, down=AT_ONCE, panic=CALM)


def targets(samples: dict[str, PoolSample], prices: dict[str, float], group: str = "shared") -> dict[str, int]:
    return decision(samples, prices, group).targets


def decision(samples: dict[str, PoolSample], prices: dict[str, float], group: str = "shared") -> Decision:
    specs = [spec(name, PLAIN, price=price, group=group) for name, price in prices.items()]
    return decide(History({name: [each] for name, each in samples.items()}), specs, 0.0, 15.0)


def busy(replicas: int, rate: float, load: float = 1.0, least: int = 0, target: int | None = None) -> PoolSample:
    """Of replicas that each do ``rate``."""
    return sample(
        replicas=replicas,
        rate=rate * replicas,
        load=load,
        least=least,
        running=1,
        target=replicas if target is None else target,
    )


def test_the_pool_with_the_least_price_per_rate_grows() -> None:
    samples = {"l4": busy(2, 1000.0), "h100": busy(1, 8000.0)}
    assert targets(samples, {"l4": 1.0, "h100": 4.0}) == {"l4": 2, "h100": 2}
    assert targets(samples, {"l4": 1.0, "h100": 16.0}) == {"l4": 8, "h100": 1}


def test_the_dearest_pool_shrinks_first() -> None:
    samples = {"l4": busy(4, 1000.0, load=0.3), "h100": busy(2, 8000.0, load=0.3)}
    assert targets(samples, {"l4": 1.0, "h100": 4.0}) == {"l4": 0, "h100": 1}
    assert targets(samples, {"l4": 1.0, "h100": 16.0}) == {"l4": 8, "h100": 1}, "four replicas are not there yet"


def test_of_pools_at_the_same_price_the_first_by_name_grows() -> None:
    assert targets({"a": busy(1, 1000.0), "b": busy(1, 1000.0)}, {"a": 0.0, "b": 0.0}) == {"a": 3, "b": 1}


def test_the_dearer_pool_keeps_what_the_cheaper_one_cannot_do_yet() -> None:
    found = decision({"l4": busy(1, 1000.0), "h100": busy(2, 4000.0)}, {"l4": 0.1, "h100": 9.0})
    assert found.targets == {"l4": 8, "h100": 2}
    assert "the cheapest first: l4 8, h100 2" in found.verdicts["l4"].explain()


def test_each_pool_keeps_its_bounds() -> None:
    samples = {"l4": busy(1, 1000.0, least=1, load=0.1), "h100": busy(3, 1000.0, load=0.1, least=2)}
    assert targets(samples, {"l4": 1.0, "h100": 4.0}) == {"l4": 1, "h100": 2}


def test_pools_of_different_groups_share_nothing() -> None:
    samples = {"a": busy(2, 1000.0), "b": busy(2, 1000.0, load=0.1)}
    specs = [spec(name, PLAIN, group=name) for name in samples]
    found = decide(History({name: [each] for name, each in samples.items()}), specs, 0.0, 15.0)
    assert found.targets == {"a": 3, "b": 1}


def test_one_pool_of_a_group_wakes_and_it_is_the_cheapest_that_may() -> None:
    asleep = sample(replicas=0, least=0, load=None, rate=None, backlog=100.0, waiting=3)
    full = sample(replicas=0, least=0, most=0, load=None, rate=None, backlog=100.0, waiting=3)
    assert targets({"a": asleep, "b": asleep}, {"a": 4.0, "b": 1.0}) == {"a": 0, "b": 1}
    assert targets({"a": asleep, "b": full}, {"a": 4.0, "b": 1.0}) == {"a": 1, "b": 0}


def test_a_pool_without_fresh_figures_stays_out_of_it() -> None:
    samples = {"a": busy(2, 1000.0), "b": busy(3, 1000.0)}
    specs = [spec(name, PLAIN, group="shared", price=1.0) for name in samples]
    old = {"a": [samples["a"]], "b": [sample(-60.0, 3)]}
    assert decide(History(old), specs, 0.0, 15.0).targets == {"a": 3, "b": 3}
