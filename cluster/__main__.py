"""``python -m cluster`` is ``dllm``."""

from __future__ import annotations

from cluster.cli.main import app

app(prog_name="dllm")
