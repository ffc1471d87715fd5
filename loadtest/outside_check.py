"""``python -m loadtest.outside_check``: the same requests at the same moments by Locust and by AIPerf, side by side.

Both ask the cluster that runs here, or that at ``--base-url``, in turn and in ``--rounds``, with one key that is made
for it. AIPerf gets the bodies of the scenario's requests and their intended starts as a trace, which it replays. Prints
JSON: for each figure what either has seen in each round. ``.ci/aiperf`` installs AIPerf.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.client.admin import AdminClient
from cluster.runtime import RuntimeDirectory
from dllm_worker.models.checkpoint import resolve_checkpoint
from loadtest.arrivals.schedule import schedule
from loadtest.exchanges import bodies
from loadtest.running.reach import Reach
from loadtest.running.tenancy import Tenancy
from loadtest.scenario.scenario import Scenario, TenantLoad, load_scenario

ROOT = Path(__file__).parents[1]
SCENARIO = ROOT / "loadtest" / "scenarios" / "outside-check.yaml"
AIPERF = ROOT / ".cache" / "aiperf" / "bin" / "aiperf"
KEY = "OUTSIDE_CHECK_KEY"
TOKENIZER = "embedded:tiny-code"
LIFETIME_SECONDS = 3600.0
MILLISECONDS = 1e-3

THEIRS: Mapping[str, tuple[str, str, float]] = {
    "requests": ("request_count", "avg", 1.0),
    "first text p50 (s)": ("time_to_first_token", "p50", MILLISECONDS),
    "first text p99 (s)": ("time_to_first_token", "p99", MILLISECONDS),
    "between two texts p50 (s)": ("inter_chunk_latency", "p50", MILLISECONDS),
    "whole answer p50 (s)": ("request_latency", "p50", MILLISECONDS),
    "whole answer p99 (s)": ("request_latency", "p99", MILLISECONDS),
    "output tokens a second": ("output_token_throughput", "avg", 1.0),
    "seconds per token after the first p50": ("inter_token_latency", "p50", MILLISECONDS),
}
"""AIPerf's metric, its statistic and what makes it seconds."""

OURS: Mapping[str, str] = {
    "requests": "requests",
    "first text p50 (s)": "p50_first_commit_seconds",
    "first text p99 (s)": "p99_first_commit_seconds",
    "between two texts p50 (s)": "p50_gap_seconds",
    "whole answer p50 (s)": "p50_seconds",
    "whole answer p99 (s)": "p99_seconds",
    "output tokens a second": "tokens_per_second",
}


@dataclass(frozen=True, slots=True)
class Contest:
    """One scenario for both, and where they leave what they write."""

    scenario: Path
    reach: Reach
    key: str
    folder: Path

    def ours(self, number: int) -> dict[str, float | None]:
        """The figures of Locust's report."""
        report = self.folder / f"locust-{number}"
        locust = [sys.executable, "-m", "locust", "-f", "loadtest/locustfile.py", "--headless", "--only-summary"]
        options = ["--scenario", str(self.scenario), "--report", str(report), "--base-url", self.reach.base_url]
        self._run([*locust, *options])
        whole = json.loads((report / "report.json").read_text())["results"]["whole"]
        return {name: whole[figure] for name, figure in OURS.items()}

    def theirs(self, number: int) -> dict[str, float | None]:
        """The figures of AIPerf's export."""
        artifacts, trace = self.folder / f"aiperf-{number}", self.folder / "trace.jsonl"
        trace.write_text("".join(trace_lines(load_scenario(self.scenario), self.scenario.parent)))
        models = load_scenario(self.scenario).models
        options = {
            "--model": models.text,
            "--url": self.reach.base_url.removesuffix("/v1"),
            # Command lines can be read by others: this key is revoked when all is measured.
            "--api-key": self.key,
            "--tokenizer": str(resolve_checkpoint(TOKENIZER)),
            "--endpoint-type": "chat",
            "--input-file": str(trace),
            "--custom-dataset-type": "mooncake_trace",
            "--artifact-dir": str(artifacts),
            "--ui": "none",
        }
        flags = ["--streaming", "--fixed-schedule", "--use-server-token-count", "--no-server-metrics"]
        self._run(
            [str(AIPERF), "profile", *flags, "--no-gpu-telemetry", *(part for pair in options.items() for part in pair)]
        )
        [export] = artifacts.rglob("profile_export_aiperf.json")
        return figures_of(json.loads(export.read_text()))

    def _run(self, command: list[str]) -> None:
        environment = {**os.environ, KEY: self.key}
        subprocess.run(command, cwd=ROOT, env=environment, stdout=sys.stderr, check=True)


def figures_of(export: Mapping[str, Any]) -> dict[str, float | None]:
    """AIPerf's figures by our names; ``None`` where it has none."""
    found = {name: export.get(metric, {}).get(statistic) for name, (metric, statistic, _) in THEIRS.items()}
    return {name: None if found[name] is None else found[name] * unit for name, (_, _, unit) in THEIRS.items()}


def trace_lines(scenario: Scenario, folder: Path) -> Iterator[str]:
    """A line for each request, as AIPerf replays it: its moment in milliseconds, and its body."""
    for arrival in schedule(scenario, folder):
        body = bodies.chat(arrival, scenario.models)
        yield json.dumps({"timestamp": 1000 * arrival.at, "payload": body}) + "\n"


def main() -> None:
    """Print what both have seen."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.outside_check", description=__doc__)
    parser.add_argument("--scenario", type=Path, default=SCENARIO)
    parser.add_argument("--rounds", type=int, default=2)
    for name in ("base_url", "grpc_address", "admin_url"):
        parser.add_argument(f"--{name.replace('_', '-')}")
    options = parser.parse_args()
    reach = Reach.of(
        {**vars(options), "admin_key": os.environ.get("DLLM_ADMIN_KEY")}, RuntimeDirectory.of_user().read()
    )
    if reach.admin_url is None or not AIPERF.exists():
        parser.error("an admin address is needed for the key, and AIPerf, which .ci/aiperf installs")
    tenancy = Tenancy(AdminClient(reach.admin_url, reach.admin_key or ""))
    tenancy.prepare([TenantLoad(name="load-outside")], LIFETIME_SECONDS)
    try:
        with tempfile.TemporaryDirectory() as folder:
            contest = Contest(options.scenario, reach, tenancy.keys["load-outside"], Path(folder))
            rounds = [{"locust": contest.ours(n), "aiperf": contest.theirs(n)} for n in range(options.rounds)]
    finally:
        tenancy.close()
    print(json.dumps(rounds, indent=2))


if __name__ == "__main__":
    main()
