"""The bill of materials: what ``make sbom`` writes is valid, and it is what is installed."""

from __future__ import annotations

import json
import re
import subprocess
import sysconfig
from importlib.metadata import distributions
from pathlib import Path

import pytest

pytestmark = pytest.mark.full

ROOT = Path(__file__).parents[2]


def plain(name: str) -> str:
    """The name of a project as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_bill_lists_what_is_installed(tmp_path: Path) -> None:
    subprocess.run([ROOT / ".ci" / "sbom", tmp_path / "sbom.json"], check=True, timeout=600)
    bill = json.loads((tmp_path / "sbom.json").read_text(encoding="utf-8"))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    listed = {plain(component["name"]): component["version"] for component in bill["components"]}
    installed = {plain(each.name): each.version for each in distributions(path=[sysconfig.get_path("purelib")])}
    own = plain(bill["metadata"]["component"]["name"])
    assert own == "dllm-cluster"
    assert listed == {name: version for name, version in installed.items() if name != own}
    assert all(component["purl"].startswith("pkg:pypi/") for component in bill["components"])
