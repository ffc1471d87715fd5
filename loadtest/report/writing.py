"""The files of a report."""

from __future__ import annotations

import json
from pathlib import Path

from loadtest.report.html import html
from loadtest.report.markdown import markdown
from loadtest.report.report import Report


def write(report: Report, folder: Path) -> None:
    """``report.json``, ``report.md``, ``report.html``, and ``samples.jsonl`` with one line for each request."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps(sample.as_json(), allow_nan=False) + "\n" for sample in report.samples)
    files = {
        "report.json": json.dumps(report.as_json(), indent=2, allow_nan=False) + "\n",
        "report.md": markdown(report),
        "report.html": html(report),
        "samples.jsonl": "".join(lines),
    }
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
