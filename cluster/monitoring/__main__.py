"""``python -m cluster.monitoring FOLDER`` writes the dashboards into a folder."""

from __future__ import annotations

import sys
from pathlib import Path

from cluster.monitoring.autoscaling import AUTOSCALING
from cluster.monitoring.denoising import DENOISING
from cluster.monitoring.overview import OVERVIEW
from cluster.monitoring.state import STATE
from cluster.monitoring.tenants import TENANTS

DASHBOARDS = (OVERVIEW, TENANTS, DENOISING, AUTOSCALING, STATE)


def main(folder: Path) -> None:
    """One file for each dashboard; those that are there are written over."""
    folder.mkdir(parents=True, exist_ok=True)
    for dashboard in DASHBOARDS:
        (folder / f"{dashboard.slug}.json").write_text(dashboard.as_json())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
