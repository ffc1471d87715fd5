from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helm.chart import pick, ray_pods, render
from tests.helm.dockerfile import Stage, read
from tests.helm.documents import CHART, ROOT

HADOLINT = ROOT / ".cache" / "hadolint"
ARGUMENTS, STAGES = read(ROOT / "Dockerfile")
WHEEL, DEPENDENCIES, FINAL = STAGES
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
BUILD_SECONDS = 1800
RUN_SECONDS = 300


def commands(stage: Stage) -> list[str]:
    return [step.rest for step in stage.every("RUN")]


def final_environment() -> dict[str, str]:
    return {name: value for step in FINAL.every("ENV") for name, value in step.assignments.items()}


def test_every_stage_begins_with_one_base_that_is_pinned_by_an_exact_tag() -> None:
    assert {stage.base for stage in STAGES} == {"${BASE}"}
    assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm(@sha256:[0-9a-f]{64})?", ARGUMENTS["BASE"])


def test_the_version_of_python_is_one_that_the_project_takes_and_the_paths_name() -> None:
    minor = re.match(r"python:(3\.\d+)", ARGUMENTS["BASE"])
    assert minor
    lowest, above = re.findall(r"3\.(\d+)", PROJECT["requires-python"])
    assert int(lowest) <= int(minor[1].partition(".")[2]) < int(above)
    every = " ".join(command for stage in STAGES for command in commands(stage))
    assert set(re.findall(r"python(3\.\d+)", every)) == {minor[1]}


def test_it_does_not_run_as_root() -> None:
    security = yaml.safe_load((CHART / "values.yaml").read_text())["security"]["podSecurityContext"]
    assert [step.rest for step in FINAL.every("USER")] == [f"{security['runAsUser']}:{security['runAsGroup']}"]
    after = FINAL.steps[FINAL.steps.index(FINAL.every("USER")[0]) :]
    assert not any(step.instruction in {"RUN", "COPY"} for step in after)


def test_nothing_comes_from_an_address_and_no_shell_fetches() -> None:
    assert all(not stage.every("ADD") for stage in STAGES)
    text = (ROOT / "Dockerfile").read_text()
    assert not re.search(r"\b(curl|wget|git|apt-get)\b", text)
    assert "://" not in text


def test_every_package_has_the_version_of_the_constraints() -> None:
    for stage in STAGES:
        for command in commands(stage):
            for step in re.findall(r"pip (?:--python \S+ )?(?:install|wheel) .*?(?=&&|$)", command):
                assert "--constraint constraints.txt" in step or "--no-deps" in step, step
    assert "--constraint constraints.txt" in next(command for command in commands(DEPENDENCIES) if "torch" in command)


def test_what_builds_and_installs_stays_behind() -> None:
    assert [step.rest.partition(" ")[0] for step in FINAL.every("COPY")] == ["--from=dependencies"]
    assert commands(FINAL)[-1].endswith("python -m pip uninstall --yes setuptools wheel pip")
    assert any("venv --without-pip" in command for command in commands(DEPENDENCIES))


def test_the_build_sees_what_it_copies_and_nothing_else() -> None:
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    seen = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    copies = [step.rest.split()[:-1] for stage in (WHEEL, DEPENDENCIES) for step in stage.every("COPY")]
    assert ignored[0] == "*"
    assert seen == {source for copy in copies for source in copy}
    packages = {pattern.rstrip("*") for pattern in ("cluster*", "deployments*", "dllm_worker*")}
    assert packages == {name for name in seen if (ROOT / name).is_dir()}


def test_it_is_labelled_with_the_version_of_the_project() -> None:
    [version] = [step.assignments["VERSION"] for step in FINAL.every("ARG") if "VERSION" in step.assignments]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert version == PROJECT["version"] == chart["appVersion"]
    [labels] = [step.assignments for step in FINAL.every("LABEL")]
    assert labels["org.opencontainers.image.licenses"] == PROJECT["license"]


def test_a_pod_without_a_gpu_does_not_get_those_of_its_node() -> None:
    assert "NVIDIA_VISIBLE_DEVICES" not in final_environment()
    assert "utility" in final_environment()["NVIDIA_DRIVER_CAPABILITIES"].split(",")


def test_kuberay_finds_ray_python_and_a_shell() -> None:
    assert final_environment()["PATH"].startswith("/opt/dllm/bin:")
    assert any("/opt/dllm/bin" in command and "/etc/profile.d" in command for command in commands(FINAL))
    for template in ray_pods(pick(render(), "RayService")).values():
        assert "command" not in template["spec"]["containers"][0]


@pytest.mark.skipif(not HADOLINT.exists(), reason="make hadolint fetches hadolint")
def test_the_linter_is_content() -> None:
    done = subprocess.run([HADOLINT, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def build(folder: Path) -> Path:
    """Runs the steps of the Dockerfile in ``folder``, without those that need root; the environment that results."""
    base, image = folder / "base", folder / "image"
    venv.create(base, with_pip=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    given = [step for stage in STAGES for step in stage.every("ARG")]
    arguments = {name: value for step in given for name, value in step.assignments.items()}
    environment = kept | arguments | {"VARIANT": "cpu", "PATH": f"{base / 'bin'}:{kept['PATH']}"}
    for stage in STAGES:
        work = folder / (stage.name or "final")
        work.mkdir()
        for step in stage.steps:
            if step.instruction == "COPY" and "--from" not in step.rest:
                *sources, _ = step.rest.split()
                for source in sources:
                    copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
                    copy(ROOT / source, work / source)
            elif step.instruction == "RUN" and "useradd" not in step.rest:
                command = re.sub(r"^--mount=\S+ ", "", step.rest)
                command = command.replace("/opt/dllm", str(image)).replace("/wheels", str(folder / "wheels"))
                subprocess.run(
                    ["/bin/sh", "-ec", command], cwd=work, env=environment, check=True, timeout=BUILD_SECONDS
                )
    return image


@pytest.mark.full
@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the image has Python 3.11")
def test_the_steps_of_the_image_make_a_program_that_runs_anywhere(tmp_path: Path) -> None:
    image = build(tmp_path)
    [wheel] = (tmp_path / "wheels").iterdir()
    files = zipfile.ZipFile(wheel).namelist()
    for part in ("dllm_worker/embedded/checkpoints/", "deployments/gateway/grpc/protos/", "cluster/py.typed"):
        assert any(name.startswith(part) for name in files)
    assert not any(name.startswith(("tests/", "loadtest/")) for name in files)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = {"PATH": f"{image / 'bin'}:/usr/bin:/bin", "HOME": str(elsewhere), "PYTHONDONTWRITEBYTECODE": "1"}

    def run(*command: str) -> str:
        done = subprocess.run(
            command, cwd=elsewhere, env=environment, capture_output=True, text=True, timeout=RUN_SECONDS, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert run("dllm", "generate", "import os", "--max-tokens", "16")
    assert "ray, version 2.60.0" in run("ray", "--version")
    assert str(image) in run("bash", "-c", "python -c 'import ray, sys; print(sys.prefix)'")
    assert not list(image.glob("lib/python*/site-packages/pip")), "what installs packages is not there"
    compiled = image / "lib" / "python3.11" / "site-packages" / "cluster" / "cli" / "__pycache__"
    assert list(compiled.glob("main.*.pyc"))
