"""Names of the Hugging Face hub: what counts as one, what is downloaded, and what is said when it is not there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils._paths import filter_repo_objects

from dllm_worker.models import hub
from dllm_worker.models.checkpoint import LoadError, describe, resolve_checkpoint
from tests.dllm_worker.models import families

COMMIT = "0123456789012345678901234567890123456789"


def refuse(repository: str, revision: str | None) -> Path:
    raise AssertionError(f"{repository} is downloaded")


def cached(cache: Path, name: str) -> Path:
    """A repository in the layout of the hub's cache, as a finished download leaves it."""
    folder = cache / f"models--{name.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(COMMIT)
    return families.write(folder / "snapshots" / COMMIT, families.CONFIGS["sdar"])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("JetAstra/SDAR-4B-Chat", ("JetAstra/SDAR-4B-Chat", None)),
        ("JetAstra/SDAR-4B-Chat@v1.0", ("JetAstra/SDAR-4B-Chat", "v1.0")),
        ("a/b@refs/pr/7", ("a/b", "refs/pr/7")),
    ],
)
def test_a_repository_and_its_revision_are_fetched(
    name: str, expected: tuple[str, str | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = families.write(tmp_path / "fetched", families.CONFIGS["sdar"])
    asked: list[tuple[str, str | None]] = []

    def download(repository: str, revision: str | None) -> Path:
        asked.append((repository, revision))
        return path

    assert resolve_checkpoint(name, download) == path
    assert asked == [expected]


def test_a_local_folder_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    families.write(tmp_path / "org" / "model", families.CONFIGS["sdar"])
    assert resolve_checkpoint("org/model", refuse) == Path("org/model")
    (tmp_path / "org" / "empty").mkdir()
    with pytest.raises(LoadError, match=r"org/empty: there is no config\.json"):
        resolve_checkpoint("org/empty", refuse)


@pytest.mark.parametrize("name", ["embedded:no/model", "model", "a/b/c", "/nowhere/model", "a/b@", "../x/y", "a/b c"])
def test_other_names_are_not_asked_for(name: str) -> None:
    with pytest.raises(LoadError, match=r"there is no config\.json"):
        resolve_checkpoint(name, refuse)


def test_a_repository_without_safetensors_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(families.CONFIGS["sdar"]))
    (tmp_path / "pytorch_model.bin").touch()
    with pytest.raises(LoadError, match=r"org/model: the repository has no \.safetensors file"):
        resolve_checkpoint("org/model", lambda repository, revision: tmp_path)


def test_a_repository_without_a_configuration_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(LoadError, match=r"org/model: there is no config\.json"):
        resolve_checkpoint("org/model", lambda repository, revision: tmp_path)


def test_the_cache_serves_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    path = cached(tmp_path, "org/model")
    for name in ("org/model", "org/model@main", f"org/model@{COMMIT}"):
        assert resolve_checkpoint(name) == path.resolve()
    assert describe(resolve_checkpoint("org/model")).spec.family == "sdar"
    with pytest.raises(LoadError, match="org/other is not in the hub's cache and the hub cannot be reached"):
        resolve_checkpoint("org/other")


def test_only_files_that_cannot_be_executed_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, list[str]] = {}

    def snapshot(repository: str, revision: str | None, **patterns: list[str]) -> str:
        asked.update(patterns)
        return "/downloaded"

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    assert hub.download("org/model", "v1") == Path("/downloaded")
    wanted = ["config.json", "model-00001-of-00002.safetensors", "tokenizer.json", "merges.txt", "chat_template.jinja"]
    unwanted = ["modeling.py", "pytorch_model.bin", "model.pt", "README.md", "lora/a.safetensors", "onnx/a.json"]
    allow, ignore = asked["allow_patterns"], asked["ignore_patterns"]
    assert list(filter_repo_objects([*wanted, *unwanted], allow_patterns=allow, ignore_patterns=ignore)) == wanted


def failure(kind: type[HfHubHTTPError]) -> HfHubHTTPError:
    """An answer of the hub, without one."""
    error = kind.__new__(kind)
    Exception.__init__(error, "no")
    return error


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (failure(GatedRepoError), "org/model is gated: its owner has to grant access"),
        (failure(RepositoryNotFoundError), "org/model is not a repository of the hub, or the token"),
        (failure(RevisionNotFoundError), "org/model has no revision v9"),
        (LocalEntryNotFoundError("no connection"), "org/model is not in the hub's cache .* no connection"),
        (failure(HfHubHTTPError), "org/model cannot be downloaded"),
        (OSError("disk full"), "org/model cannot be downloaded: disk full"),
    ],
)
def test_what_went_wrong_is_said(error: Exception, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def snapshot(*_: object, **__: object) -> str:
        raise error

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    with pytest.raises(LoadError, match=message):
        resolve_checkpoint("org/model@v9")
