"""The commands of the pages that clients read, against the real cluster: each page is one session of a shell."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import page
from tests.end_to_end.conftest import Cluster

PAGES = ("README.md", "docs/quick-start.md", "docs/decoding.md")
SECONDS = 120

RUNNING = """
set -euo pipefail
make() { :; }
openssl() { printf '%s' "$RUNNING_ADMIN_KEY"; }
dllm() {
  case "$1" in
    up) printf '{"base_url": "%s", "api_key": "%s"}\\n' "$DLLM_BASE_URL" "$DLLM_API_KEY" ;;
    down) command dllm tenants remove guest ;;
    *) command dllm "$@" ;;
  esac
}
"""
"""What a page starts and stops is there already."""


def script(name: str, cluster: Cluster) -> str:
    """A page with the addresses and the key of the running cluster."""
    here = {
        "http://127.0.0.1:8001": cluster.admin_url,
        "http://127.0.0.1:8000": cluster.base_url,
        "dllm_dev_...": cluster.key,
    }
    return RUNNING + re.sub("|".join(map(re.escape, here)), lambda match: here[match[0]], page(name).session)


@pytest.mark.parametrize("name", PAGES)
def test_the_commands_of_a_page_run_in_their_order(cluster: Cluster, name: str, tmp_path: Path) -> None:
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "XDG_RUNTIME_DIR": str(tmp_path),
        "OPENAI_BASE_URL": f"{cluster.base_url}/v1",
        "OPENAI_API_KEY": cluster.key,
        "DLLM_BASE_URL": f"{cluster.base_url}/v1",
        "DLLM_API_KEY": cluster.key,
        "DLLM_ADMIN_URL": cluster.admin_url,
        "DLLM_ADMIN_KEY": cluster.admin_key,
        "RUNNING_ADMIN_KEY": cluster.admin_key,
    }
    command = ["bash", "-c", script(name, cluster)]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
    if name == "docs/quick-start.md":
        assert "200\n200\n429\n" in done.stdout
        assert "dllm_requests_total{" in done.stdout
