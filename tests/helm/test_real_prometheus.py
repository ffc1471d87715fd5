"""What a cluster tells, in a real Prometheus: no query of a dashboard finds nothing."""

from __future__ import annotations

import asyncio
import math
import re
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from cluster.monitoring.queries import per_second
from cluster.valkey import embedded_valkey, free_port
from deployments.run import Run
from deployments.telemetry import names
from dllm_worker.request import Request
from tests.helm import documents
from tests.helm.documents import ALERTS, ROOT, TABLE, labels_of, metric_of
from tests.helm.plant import ADMIN_KEY, LOST, MODEL, MOVED, Plant, drop_a_bill, route_without_figures, running_plant
from tests.helm.test_rules import PROMTOOL, promtool

PROMETHEUS = ROOT / ".cache" / "prometheus"
EXAMPLE = re.compile(r"```yaml\n(global:.*?)```", re.DOTALL)
HURRY = {"scrape_interval": "500ms", "evaluation_interval": "500ms"}
WAIT_SECONDS = 60.0
POLL_SECONDS = 0.2
RATE_INTERVAL = "1m"
ROUNDS, REQUESTS = 3, 10
HOUR = 3600.0
OF_PROMETHEUS = {"job", "instance"}
CLOSED = {"verdict", "kind", "state", "source", "band", "decision", "mode", "signal", "direction", "bound"}
"""Labels of which the tables name every value."""

ENDED = f"sum({names.REQUESTS.name})"
CHAT: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "def f("}], "max_tokens": 48}
pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(not PROMETHEUS.exists(), reason="make prometheus fetches prometheus"),
]


def example() -> dict[str, Any]:
    """The configuration that the documentation shows."""
    (written,) = EXAMPLE.findall(TABLE.read_text())
    return dict(yaml.safe_load(written))


def configuration(folder: Path, port: int) -> Path:
    """The same for the plant at ``port``, in a hurry."""
    config = example()
    (job,) = config["scrape_configs"]
    config["global"] = HURRY
    job["authorization"]["credentials_file"] = str(folder / "key")
    job["static_configs"] = [{"targets": [f"127.0.0.1:{port}"]}]
    config["rule_files"] = [str(path) for path in ALERTS]
    (folder / "key").write_text(ADMIN_KEY)
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    return folder / "prometheus.yml"


@contextmanager
def prometheus(folder: Path, port: int) -> Iterator[str]:
    """A Prometheus that reads the plant at ``port``; where it answers."""
    address = f"127.0.0.1:{free_port()}"
    arguments = (
        f"--config.file={configuration(folder, port)}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
        "--enable-feature=exemplar-storage",
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([PROMETHEUS, *arguments], stdout=log, stderr=log)
        try:
            yield f"http://{address}/api/v1"
        finally:
            process.terminate()
            process.wait()


@dataclass(frozen=True, slots=True)
class Asking:
    """A client of Prometheus that has patience. Raises :class:`AssertionError` for what Prometheus does not accept."""

    http: httpx.AsyncClient

    async def get(self, path: str, **parameters: Any) -> Any:
        """The data at ``path``; ``None`` while nobody answers."""
        try:
            answer = (await self.http.get(path, params=parameters)).json()
        except (httpx.TransportError, ValueError):
            return None
        assert answer["status"] == "success", (answer, parameters)
        return answer["data"]

    async def now(self, expression: str) -> list[float]:
        """The values of an expression."""
        found = await self.get("/query", query=expression)
        return [] if found is None else [float(each["value"][1]) for each in found["result"]]

    async def until(self, expression: str, holds: Callable[[list[float]], bool]) -> list[float]:
        """The values of an expression when they are as they should be, or the last ones in time."""
        deadline = time.monotonic() + WAIT_SECONDS
        values = await self.now(expression)
        while not holds(values) and time.monotonic() < deadline:
            await asyncio.sleep(POLL_SECONDS)
            values = await self.now(expression)
        return values


async def one_round(plant: Plant, number: int) -> None:
    """Requests of every kind that the dashboards tell apart."""
    async with plant.client("acme") as acme, plant.client("bravo") as bravo:
        asked = [acme.post("/v1/chat/completions", json=CHAT | {"seed": seed}) for seed in (1, 2, LOST, MOVED)]
        asked += [bravo.post("/v1/chat/completions", json=CHAT | {"seed": 1}) for _ in range(4)]
        asked += [acme.post("/v1/chat/completions", json=CHAT | {"model": "none"})]
        asked += [acme.post("/v1/completions", json={"model": MODEL, "prompt": "def g(", "max_tokens": 16})]
        answers = await asyncio.gather(*asked)
    assert {answer.status_code for answer in answers} == {200, 404, 429, 500}
    assert len(answers) == REQUESTS
    await drop_a_bill()
    await route_without_figures(Run(Request(f"r{number}", (5, 6, 7), max_tokens=8)))


async def under_control(plant: Plant) -> None:
    while True:
        plant.control()
        await asyncio.sleep(POLL_SECONDS)


@asynccontextmanager
async def watched(folder: Path) -> AsyncIterator[tuple[Plant, Asking, Callable[[], None]]]:
    """A plant, the Prometheus that watches it, and what takes its state server away."""
    with ExitStack() as server:
        state = server.enter_context(embedded_valkey())
        async with running_plant(state.url) as plant:
            control = asyncio.create_task(under_control(plant))
            with prometheus(folder, plant.port) as url:
                async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
                    yield plant, Asking(http), server.close
            control.cancel()


def plain(expression: str) -> str:
    """A query with all that its dashboard's variables offer."""
    return re.sub(r"\$(model|pool|tenant)\b", ".*", expression.replace("$__rate_interval", RATE_INTERVAL))


def tells(values: list[float]) -> bool:
    """Whether there is a number to show."""
    return any(math.isfinite(value) for value in values)


async def empty_queries(asking: Asking) -> list[str]:
    """The queries of all dashboards that find nothing."""
    return [
        str(query) for query in documents.queries() if not tells(await asking.until(plain(query.expression), tells))
    ]


async def misnamed(asking: Asking) -> list[str]:
    """The cluster's series, and its metrics without any, that are not as the tables say."""
    rows, told = {row.name: row for row in documents.rows()}, set[str]()
    wrong = []
    for series in await asking.get("/series", **{"match[]": '{__name__=~"dllm_.*|gen_ai_.*"}'}):
        name = series.pop("__name__")
        metric = metric_of(name)
        # Prometheus takes a label without a value for none at all.
        if metric is None or not series.keys() - OF_PROMETHEUS <= labels_of(name):
            wrong.append(f"{name} {series}")
            continue
        told.add(metric.name)
        values = rows[metric.name].labels
        wrong += [
            f"{name} {label}={series[label]}"
            for label in CLOSED & values.keys()
            if series.get(label, "") not in values[label]
        ]
    return wrong + sorted(rows.keys() - told)


async def test_a_run_leaves_no_query_of_a_dashboard_empty_and_a_lost_store_is_told(tmp_path: Path) -> None:
    async with watched(tmp_path) as (plant, asking, lose_state):
        for number in range(ROUNDS):
            await one_round(plant, number)
            assert await asking.until(f"{ENDED} >= {(number + 1) * REQUESTS}", bool)
        assert await empty_queries(asking) == []
        assert not tells(await asking.now(plain(per_second(names.REQUESTS, outcome="nothing of the kind"))))
        assert await misnamed(asking) == []
        promtool("check", "metrics", read=await plant.exposition())
        for variable, metric in documents.variables():
            assert await asking.get(f"/label/{variable}/values", **{"match[]": metric})
        healths = [rule["health"] for group in (await asking.get("/rules"))["groups"] for rule in group["rules"]]
        assert healths == ["ok"] * len(documents.rules())
        examples = await asking.get(
            "/query_exemplars",
            query=f"{names.TIME_TO_FIRST_COMMIT.name}_bucket",
            start=time.time() - HOUR,
            end=time.time() + HOUR,
        )
        assert {len(each["labels"]["trace_id"]) for series in examples for each in series["exemplars"]} == {32}
        lose_state()
        async with plant.client("acme") as acme:
            assert (await acme.post("/v1/chat/completions", json=CHAT)).status_code == 200
        for alert in ("DllmStateStoreDown", "DllmMigrationsLost", "DllmLedgerDropped", "DllmAutoscalerFailing"):
            assert await asking.until(f'ALERTS{{alertname="{alert}"}}', bool), alert


@pytest.mark.skipif(not PROMTOOL.exists(), reason="make prometheus fetches promtool")
def test_the_example_of_the_documentation_is_a_configuration(tmp_path: Path) -> None:
    config = example() | {"rule_files": [str(path) for path in ALERTS]}
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    promtool("check", "config", "--syntax-only", tmp_path / "prometheus.yml")
