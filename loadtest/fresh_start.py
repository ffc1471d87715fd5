"""``python -m loadtest.fresh_start``: from a fresh clone to the first streamed token, and again with everything set up.

Clones this repository into an empty folder, runs its ``make setup`` and its ``dllm up``, and asks for one stream.
Packages may come from pip's cache; the figures say nothing of a slow network.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from openai import OpenAI

from loadtest.footprint import proportional_mebibytes

REPOSITORY = Path(__file__).parent.parent
PROMPT = "def read_lines(path):\n    "
CONFIGURATION = "http: {port: 0}\n"


@dataclass(frozen=True, slots=True)
class Start:
    """Seconds from the command on. ``ready`` includes ``setup``, ``first_token`` both."""

    kind: str
    setup: float
    ready: float
    first_token: float
    cluster_mebibytes: float


def start(kind: str, clone: Path, home: Path) -> Start:
    """Set up, start, stream and stop once."""
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(home)}
    command = [str(clone / ".venv/bin/dllm"), "up", "--detach", "--json", "--config", str(home / "cluster.yaml")]
    begun = time.perf_counter()
    subprocess.run(["make", "-s", "setup"], cwd=clone, check=True, capture_output=True)
    setup = time.perf_counter() - begun
    up = subprocess.run(command, cwd=clone, env=environment, check=True, capture_output=True, text=True)
    ready = time.perf_counter() - begun
    try:
        _first_token(json.loads(up.stdout))
        first_token = time.perf_counter() - begun
        memory = proportional_mebibytes(f"XDG_RUNTIME_DIR={home}")
    finally:
        subprocess.run([command[0], "down"], cwd=clone, env=environment, check=True, capture_output=True)
    return Start(kind, setup, ready, first_token, memory)


def _first_token(connection: dict[str, str]) -> None:
    with OpenAI(base_url=connection["base_url"], api_key=connection["api_key"]) as client:
        stream = client.completions.create(model="tiny-code", prompt=PROMPT, max_tokens=32, stream=True)
        next(chunk for chunk in stream if chunk.choices and chunk.choices[0].text)


def main() -> None:
    """Print a cold and a warm start as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        clone, home = Path(folder) / "clone", Path(folder) / "home"
        home.mkdir()
        (home / "cluster.yaml").write_text(CONFIGURATION)
        begun = time.perf_counter()
        subprocess.run(["git", "clone", "-q", str(REPOSITORY), str(clone)], check=True)
        cloned = time.perf_counter() - begun
        rows = [start("fresh clone", clone, home), start("warm", clone, home)]
    print(json.dumps({"clone_seconds": cloned, "starts": [asdict(row) for row in rows]}, indent=2))


if __name__ == "__main__":
    main()
