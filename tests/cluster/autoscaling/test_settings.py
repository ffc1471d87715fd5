"""Settings as they are typed."""

from __future__ import annotations

import pytest

from cluster.autoscaling.settings import with_settings
from deployments.autoscaling.config import ScalingConfig


def test_settings_change_what_they_name_and_nothing_else() -> None:
    schedule = 'schedule=[{replicas: 2, start: "08:00", end: "18:00"}]'
    changed = with_settings(ScalingConfig(), ["load=0.5", "down.stabilization_seconds=60", schedule])
    assert changed.load == 0.5
    assert changed.down.stabilization_seconds == 60.0
    assert changed.schedule[0].replicas == 2
    assert changed.up == ScalingConfig().up


@pytest.mark.parametrize(
    ("setting", "fault"),
    [
        ("load", "load: a setting is given as key=value"),
        ("lode=1", "lode: unknown key"),
        ("down.seconds=1", "down.seconds: unknown key"),
        ("load.value=1", "load.value: unknown key"),
        ("load=2", "load: Input should be less than or equal to 1"),
        ("load=fast", "load: Input should be a valid number"),
        ("load=[", "load: "),
    ],
)
def test_a_setting_that_is_none_is_refused_by_name(setting: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault.replace("(", "\\(")):
        with_settings(ScalingConfig(), [setting])
