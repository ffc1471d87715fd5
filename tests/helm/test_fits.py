"""Which pools a group of workers can hold, for many pairs in one go."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helm.chart import helm
from tests.helm.documents import CHART

FOUR_CPUS = {"resources": {"limits": {"cpu": 4}, "requests": {"cpu": 1}}}

CASES: list[tuple[dict[str, Any], dict[str, Any], int]] = [
    ({"cpus": 1}, {}, 4),
    ({}, {}, 8),
    ({"cpus": 5}, {}, 0),
    ({"cpus": 1.5}, {}, 2),
    ({"cpus": 0, "gpus": 1}, {"gpus": 2}, 2),
    ({"gpus": 1}, {}, 0),
    ({"gpus": 2}, {"gpus": 1}, 0),
    ({"cpus": 1, "gpus": 0.25}, {"gpus": 1}, 4),
    ({"cpus": 2, "gpus": 0.25}, {"gpus": 1}, 2),
    ({"cpus": 1, "accelerator": {"type": "H100"}}, {}, 0),
    ({"cpus": 1, "accelerator": {"type": "H100"}}, {"accelerator": "L40S"}, 0),
    ({"cpus": 1, "accelerator": {"type": "H100"}}, {"accelerator": "H100"}, 4),
    ({"cpus": 1}, {"accelerator": "H100"}, 4),
    ({"cpus": 1, "accelerator": {"labels": {"ray.io/accelerator-type": "in(H100,H200)"}}}, {"accelerator": "H200"}, 4),
    ({"cpus": 1, "accelerator": {"labels": {"tier": "large"}}}, {}, 0),
    ({"cpus": 1, "accelerator": {"labels": {"tier": "large"}}}, {"labels": {"tier": "large"}}, 4),
    ({"cpus": 1, "accelerator": {"labels": {"tier": "!large"}}}, {"labels": {"tier": "large"}}, 0),
    ({"cpus": 1, "accelerator": {"labels": {"tier": "!large"}}}, {}, 4),
    ({"cpus": 1, "accelerator": {"labels": {"tier": "in(a, b)"}}}, {"labels": {"tier": "b"}}, 4),
    ({"cpus": 1, "accelerator": {"labels": {"tier": "in(a, b)"}}}, {"labels": {"tier": "c"}}, 0),
    ({"cpus": 1, "accelerator": {"labels": {"tier": "!in(a, b)"}}}, {"labels": {"tier": "b"}}, 0),
    ({"cpus": 1, "accelerator": {"labels": {"tier": "!in(a, b)"}}}, {"labels": {"tier": "c"}}, 4),
    ({"cpus": 1, "accelerator": {"labels": {"dllm/pool": "other"}}}, {}, 0),
    ({"cpus": 1, "accelerator": {"labels": {"dllm/pool": "group"}}}, {}, 4),
    ({"cpus": 1, "accelerator": {"labels": {"dllm/role": "worker"}}}, {}, 4),
]


@pytest.fixture(scope="module")
def fits(tmp_path_factory: pytest.TempPathFactory) -> list[int]:
    """What the chart's template says of each case."""
    chart = tmp_path_factory.mktemp("chart")
    shutil.copy(CHART / "Chart.yaml", chart)
    shutil.copytree(CHART / "templates", chart / "templates", ignore=lambda _, names: _but_helpers(names))
    (chart / "templates" / "answers.yaml").write_text(
        'answers:\n{{ range .Values.cases }}- {{ include "dllm.fits" . }}\n{{ end }}'
    )
    cases = [{"name": "group", "pool": pool, "group": FOUR_CPUS | group} for pool, group, _ in CASES]
    (chart / "values.yaml").write_text(json.dumps({"cases": cases}))
    answers: list[int] = yaml.safe_load(helm("template", str(chart)))["answers"]
    return answers


def _but_helpers(names: list[str]) -> list[str]:
    return [name for name in names if Path(name).suffix != ".tpl"]


@pytest.mark.parametrize("index", range(len(CASES)), ids=lambda index: json.dumps(CASES[index][:2]))
def test_a_group_holds_as_many_replicas_of_a_pool_as_fit(index: int, fits: list[int]) -> None:
    assert fits[index] == CASES[index][2]
