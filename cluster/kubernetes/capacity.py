"""How many pods each worker group may have: a pure function of what the pools want and what the cluster has.

Each pool's ``replicas`` are placed first, then the least that the values ask of each group, and what the pools may grow
to last, turn by turn. A replica goes to a group whose pods run already, else to the cheapest group of those that its
pool may use; where that has no room it goes to the next. So what one accelerator cannot give is given to another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, inf

from cluster.kubernetes.demand import Demand
from cluster.kubernetes.ray_service import WorkerGroup
from cluster.kubernetes.room import Room, Surroundings


@dataclass(frozen=True, slots=True)
class Declared:
    """The bounds that the values give a group; what is planned stays within."""

    least: int
    most: int


@dataclass(frozen=True, slots=True)
class Bounds:
    """The fewest and the most pods of a group, and why."""

    group: str
    least: int
    most: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unmet:
    """Replicas of a pool that have no place: ``lacking`` of those it always has, or of those it may grow to."""

    pool: str
    lacking: int
    is_floor: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Bounds of each group that is planned, and what they do not meet."""

    bounds: tuple[Bounds, ...]
    unmet: tuple[Unmet, ...]


def plan(
    groups: Sequence[WorkerGroup], declared: Mapping[str, Declared], pools: Sequence[Demand], around: Surroundings
) -> Plan:
    """Bounds for the groups that are declared; the others are left as they are.

    For each group ``declared.least <= least <= most <= declared.most`` where nodes and quotas have room for that many.
    Pods whose nodes exist stay within ``most``.
    """
    planned = [group for group in groups if group.name in declared]
    return _Planning(planned, declared, pools, around).run()


class _Planning:
    def __init__(
        self,
        groups: Sequence[WorkerGroup],
        declared: Mapping[str, Declared],
        pools: Sequence[Demand],
        around: Surroundings,
    ) -> None:
        self._groups = groups
        self._declared = declared
        self._pools = sorted(pools, key=lambda pool: (self._choices(pool), pool.price, pool.pool))
        self._room = Room(around, groups, {name: each.most for name, each in declared.items()})
        self._shares: dict[str, Fraction] = {group.name: Fraction(0) for group in groups}
        self._prices = {group.name: _price(group, groups, pools) for group in groups}
        self._reasons: dict[str, list[str]] = {group.name: [] for group in groups}
        self._held: dict[tuple[str, str], int] = {}

    def run(self) -> Plan:
        floors = [self._unmet(pool, pool.least, self._grow(pool, pool.least), is_floor=True) for pool in self._pools]
        for group in self._groups:
            self._fill(group)
        least = dict(self._room.opened)
        grown = self._grow_in_turns()
        ceilings = [self._unmet(pool, pool.most - pool.least, grown[pool.pool], is_floor=False) for pool in self._pools]
        unmet = [each for each in (*floors, *ceilings) if each.lacking]
        return Plan(tuple(self._bounds(group, least.get(group.name, 0)) for group in self._groups), tuple(unmet))

    def _choices(self, pool: Demand) -> int:
        return sum(pool.slots(group) > 0 for group in self._groups)

    def _grow(self, pool: Demand, replicas: int) -> int:
        return sum(self._place(pool) for _ in range(replicas))

    def _grow_in_turns(self) -> dict[str, int]:
        """One more replica for each pool in turn, until no pool wants more or finds room."""
        grown = {pool.pool: 0 for pool in self._pools}
        growing = list(self._pools)
        while growing:
            growing = [pool for pool in growing if grown[pool.pool] < pool.most - pool.least and self._place(pool)]
            for pool in growing:
                grown[pool.pool] += 1
        return grown

    def _place(self, pool: Demand) -> bool:
        candidates = [(group, Fraction(1, slots)) for group in self._groups if (slots := pool.slots(group))]
        candidates.sort(key=lambda each: (pool.wastes(each[0]), not self._runs(*each), self._prices[each[0].name]))
        return any(self._place_in(pool, group, share) for group, share in candidates)

    def _runs(self, group: WorkerGroup, share: Fraction) -> bool:
        return self._shares[group.name] + share <= max(self._room.placed[group.name], self._room.opened[group.name])

    def _place_in(self, pool: Demand, group: WorkerGroup, share: Fraction) -> bool:
        while self._room.opened[group.name] < ceil(self._shares[group.name] + share):
            if not self._open(group):
                return False
        self._shares[group.name] += share
        self._held[group.name, pool.pool] = self._held.get((group.name, pool.pool), 0) + 1
        return True

    def _open(self, group: WorkerGroup) -> bool:
        refusal = self._room.open(group)
        if refusal is not None and refusal not in self._reasons[group.name]:
            self._reasons[group.name].append(refusal)
        return refusal is None

    def _fill(self, group: WorkerGroup) -> None:
        while self._room.opened[group.name] < self._declared[group.name].least and self._open(group):
            pass

    def _unmet(self, pool: Demand, wanted: int, got: int, *, is_floor: bool) -> Unmet:
        usable = [group for group in self._groups if pool.slots(group)]
        reasons = tuple(f"{group.name}: {reason}" for group in usable for reason in self._reasons[group.name])
        return Unmet(pool.pool, wanted - got, is_floor, reasons if usable else ("no group has what it asks for",))

    def _bounds(self, group: WorkerGroup, least: int) -> Bounds:
        name, most = group.name, self._room.opened[group.name]
        running = min(self._room.placed[name], self._declared[name].most)
        held = [f"{count} of {pool}" for (where, pool), count in self._held.items() if where == name]
        reasons = [f"room for {', '.join(held)}"] if held else ["no pool needs it"]
        if running > most:
            reasons.append(f"{running} run")
        return Bounds(name, least, max(most, running), (*reasons, *self._reasons[name]))


def _price(group: WorkerGroup, groups: Sequence[WorkerGroup], pools: Sequence[Demand]) -> float:
    """What work costs there: the lowest price of the pools that can run nowhere else, or that can run there at all."""
    able = [pool for pool in pools if pool.slots(group)]
    bound = [pool for pool in able if sum(pool.slots(other) > 0 for other in groups) == 1]
    return min((pool.price for pool in bound or able), default=inf)
