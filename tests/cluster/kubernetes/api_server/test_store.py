"""The history of the store: what was there at each version, and how it came to what is there."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.cluster.kubernetes.api_server.resources import Document
from tests.cluster.kubernetes.api_server.store import Key, Store

NAMES = st.sampled_from(["a", "b", "c"])


class Histories(RuleBasedStateMachine):
    """Writes and removals, with the whole state kept for each version."""

    def __init__(self) -> None:
        super().__init__()
        self.store = Store()
        self.snapshots: dict[int, dict[Key, Document]] = {self.store.version: {}}
        self.told = 0
        self.store.listen(self._tell)

    def _tell(self) -> None:
        self.told += 1

    @rule(name=NAMES, value=st.integers(0, 1))
    def put(self, name: str, value: int) -> None:
        key = Key("things", "default", name)
        stored = self.store.put(key, {"metadata": {"name": name}, "value": value})
        assert stored["metadata"]["resourceVersion"] == str(self.store.version)
        self.snapshots[self.store.version] = dict(self.store.objects)

    @rule(name=NAMES)
    def remove(self, name: str) -> None:
        key = Key("things", "default", name)
        if key in self.store.objects:
            removed = self.store.remove(key)
            assert removed["metadata"]["resourceVersion"] == str(self.store.version)
            self.snapshots[self.store.version] = dict(self.store.objects)

    @invariant()
    def every_version_can_be_had(self) -> None:
        for version, snapshot in self.snapshots.items():
            assert self.store.objects_at(version) == snapshot

    @invariant()
    def changes_lead_from_every_version_to_the_present(self) -> None:
        for version, snapshot in self.snapshots.items():
            objects = dict(snapshot)
            for change in self.store.changes_since(version):
                assert change.before == objects.get(change.key)
                if change.after is None:
                    del objects[change.key]
                else:
                    objects[change.key] = change.after
            assert objects == self.store.objects

    @invariant()
    def each_change_was_told(self) -> None:
        assert self.told == len(self.store.changes)


Histories.TestCase.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
TestHistories = Histories.TestCase
