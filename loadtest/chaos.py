"""``python -m loadtest.chaos``: many random kills of replicas under load, and what clients notice of them.

Four replicas of a simulated device behind Ray Serve and Valkey answer streams without a pause while one replica after
the other is killed. Every answer is compared with that of an undisturbed run. Prints JSON; ends with status 1 when an
answer was lost, told twice or different.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path

from tests.chaos.clients import Client
from tests.chaos.clusters import KEY, SIMULATED, ChaosCluster, chaos_cluster, configuration, simulated
from tests.chaos.load import Load, bodies
from tests.chaos.nemesis import Nemesis
from tests.chaos.storm import Damage, Weather, storm

REPLICAS = 4
REQUESTS = 32


async def _storm(cluster: ChaosCluster, weather: Weather, clients: int, seed: int) -> Damage:
    client = Client(cluster.base_url, KEY)
    try:
        nemesis = Nemesis(cluster.notes, seed)
        await cluster.ready(nemesis)
        load = await Load.of(client, bodies(SIMULATED, seed, REQUESTS), clients, seed)
        return await storm(load, nemesis, weather)
    finally:
        await client.close()


def main() -> None:
    """Start a cluster, let the storm loose, and print what it did."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seed", type=int, default=20261122)
    arguments = parser.parse_args()
    weather = Weather(SIMULATED, arguments.kills)
    with (
        redirect_stdout(sys.stderr),  # for what Ray says of each death
        tempfile.TemporaryDirectory(prefix="dllm-chaos-") as folder,
        chaos_cluster(configuration(simulated(REPLICAS)), Path(folder)) as cluster,
    ):
        damage = asyncio.run(_storm(cluster, weather, arguments.clients, arguments.seed))
    print(json.dumps({"seed": arguments.seed, **damage.as_json()}, indent=2))
    sys.exit(0 if damage.is_bearable else 1)


if __name__ == "__main__":
    main()
