"""What holds for all samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.autoscaling.config import FloorConfig, PaceConfig, PanicConfig, ScalingConfig
from deployments.autoscaling.decide import decide
from deployments.autoscaling.policies.named import SHIPPED
from deployments.autoscaling.sample import Decision, History, PoolSample, PoolSpec
from tests.deployments.autoscaling.scenarios import spec

NOW, STALE_SECONDS = 1_767_571_200.0, 15.0

figures = st.none() | st.floats(allow_nan=True, allow_infinity=True) | st.floats(0, 2) | st.floats(0, 1e6)
counts = st.integers(-2, 12) | st.just(10**12)
sensible = st.none() | st.floats(0, 1e6)
paces = st.builds(
    PaceConfig,
    stabilization_seconds=st.sampled_from([0.0, 10.0, 60.0]),
    replicas=st.integers(1, 5),
    share=st.sampled_from([0.0, 0.5, 1.0]),
    period_seconds=st.sampled_from([5.0, 30.0]),
)
scalings = st.builds(
    ScalingConfig,
    policy=st.sampled_from([*SHIPPED, "no.module:here"]),
    up=paces,
    down=paces,
    panic=st.builds(PanicConfig, threshold=st.sampled_from([1.0, 2.0])),
    schedule=st.just([]) | st.just([FloorConfig(replicas=3, start="23:00", end="01:00")]),
    idle_seconds=st.sampled_from([1.0, 20.0]),
)


@st.composite
def pools(draw: st.DrawFn) -> list[PoolSpec]:
    specs = [
        replace(spec(name, draw(scalings)), least=draw(st.integers(0, 2)), price=draw(st.floats(0, 9)))
        for name in "abc"[: draw(st.integers(1, 3))]
    ]
    return [replace(each, group=draw(st.sampled_from(["one", "two"]))) for each in specs]


@st.composite
def odd_samples(draw: st.DrawFn) -> list[PoolSample]:
    """Of any values at all, but with bounds that are some."""
    found = []
    for number in range(draw(st.integers(0, 6))):
        least = draw(st.integers(0, 4))
        found.append(
            PoolSample(
                at=draw(st.just(NOW - 5.0 * (5 - number)) | st.floats()),
                replicas=draw(counts),
                target=draw(counts),
                least=least,
                most=least + draw(st.integers(0, 8)),
                reporting=draw(counts),
                load=draw(figures),
                running=draw(counts),
                waiting=draw(st.none() | counts),
                backlog=draw(figures),
                rate=draw(figures),
                burn=draw(figures),
            )
        )
    return found


@st.composite
def courses(draw: st.DrawFn) -> list[PoolSample]:
    """A pool that reports all it has, for half a minute."""
    found = []
    for number in range(6):
        replicas = draw(st.integers(0, 8))
        found.append(
            PoolSample(
                at=NOW - 5.0 * (5 - number),
                replicas=replicas,
                target=draw(st.integers(0, 8)),
                least=0,
                most=8,
                reporting=replicas,
                load=draw(st.floats(0, 1)) if replicas else None,
                running=draw(st.integers(0, 100)),
                waiting=draw(st.sampled_from([0, 0, 3])),
                backlog=draw(st.floats(0, 1e5)),
                rate=draw(st.floats(1, 1e4)) if replicas else None,
                burn=draw(st.none() | st.floats(0, 5)),
            )
        )
    return found


def play(specs: Sequence[PoolSpec], samples: dict[str, list[PoolSample]]) -> list[Decision]:
    decisions: list[Decision] = []
    for ago in (10.0, 5.0, 0.0):
        decisions.append(decide(History(samples, list(decisions)), specs, NOW - ago, STALE_SECONDS))
    return decisions


@settings(deadline=None, max_examples=40)
@given(pools(), st.data())
def test_any_samples_give_a_verdict_within_bounds_on_each_pool(specs: list[PoolSpec], data: st.DataObject) -> None:
    samples = {each.name: data.draw(odd_samples()) for each in specs}
    for decision in play(specs, samples):
        assert list(decision.verdicts) == [each.name for each in specs]
        for each in specs:
            verdict = decision.verdicts[each.name]
            bounds = {(found.least, found.most) for found in samples[each.name]} | {(each.least, each.most)}
            assert any(least <= verdict.after <= most for least, most in bounds)
            assert verdict.reasons
            assert verdict.bound in {"none", "max", "min", "pace", "stale", "panic"}


@settings(deadline=None, max_examples=20)
@given(scalings, courses(), st.integers(0, 4), st.integers(0, 4))
def test_the_bounds_of_the_present_capacity_hold(
    scaling: ScalingConfig, course: list[PoolSample], least: int, more: int
) -> None:
    samples = {"a": [*course[:-1], replace(course[-1], least=least, most=least + more)]}
    assert least <= play([spec(scaling=scaling)], samples)[-1].targets["a"] <= least + more


@settings(deadline=None, max_examples=20)
@given(pools(), courses(), st.integers(1, 8))
def test_what_is_not_known_never_shrinks_a_pool(specs: list[PoolSpec], course: list[PoolSample], replicas: int) -> None:
    dark = replace(course[-1], replicas=replicas, target=replicas, reporting=0, load=None, rate=None, backlog=None)
    samples = {each.name: [*course[:-1], dark] for each in specs}
    for each in play(specs, samples)[-1].verdicts.values():
        assert each.after >= each.before
    late = {each.name: course for each in specs}
    for verdict in decide(History(late), specs, NOW + 16.0, STALE_SECONDS).verdicts.values():
        assert verdict.after == verdict.before


@settings(deadline=None, max_examples=40)
@given(scalings, courses(), st.floats(0, 1), st.floats(0, 1))
def test_more_load_never_gives_fewer_replicas(
    scaling: ScalingConfig, course: list[PoolSample], one: float, other: float
) -> None:
    pool = spec(scaling=scaling, least=0)
    past = play([pool], {"a": course[:-1]})[:2]

    def after(load: float) -> int:
        samples = [*course[:-1], replace(course[-1], load=load)]
        return decide(History({"a": samples}, past), [pool], NOW, STALE_SECONDS).targets["a"]

    assert after(min(one, other)) <= after(max(one, other))


@settings(deadline=None, max_examples=20)
@given(scalings, courses())
def test_a_change_is_one_that_some_signal_asked_for(scaling: ScalingConfig, course: list[PoolSample]) -> None:
    verdict = play([spec(scaling=scaling, least=0)], {"a": course})[-1].verdicts["a"]
    asked = [reason.wanted for reason in verdict.reasons]
    if verdict.after > verdict.before:
        assert verdict.after <= max(asked)
    if verdict.after < verdict.before:
        assert verdict.after >= min(asked)
