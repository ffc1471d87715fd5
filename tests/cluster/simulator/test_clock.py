from __future__ import annotations

from functools import partial

from cluster.simulator.clock import VirtualClock


def test_what_is_due_happens_in_order_and_at_its_time() -> None:
    clock, seen = VirtualClock(), list[tuple[str, float]]()

    def note(name: str) -> None:
        seen.append((name, clock.now))
        if name == "b":
            clock.after(1.0, lambda: note("later"))
            clock.after(0.0, lambda: note("at once"))

    for seconds, name in ((2.0, "c"), (1.0, "a"), (1.0, "b")):
        clock.after(seconds, partial(note, name))
    clock.run()
    assert seen == [("a", 1.0), ("b", 1.0), ("at once", 1.0), ("c", 2.0), ("later", 2.0)]
