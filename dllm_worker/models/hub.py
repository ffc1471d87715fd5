"""Checkpoints of the Hugging Face hub, by their names."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from dllm_worker.models.files import LoadError

NAME = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?", re.ASCII)
WANTED = ("*.json", "*.safetensors", "*.jinja", "merges.txt", "vocab.txt", "tokenizer.model")
"""Weights, configuration, tokenizer and chat template: nothing that can be executed or unpickled."""

UNWANTED = ("*/*",)
"""Folders hold other formats and adapters."""

Download = Callable[[str, str | None], Path]
"""From a repository and a revision, or ``None`` for its main branch, to a folder with the wanted files."""


def is_name(name: str) -> bool:
    """Whether ``name`` has the form ``owner/model`` or ``owner/model@revision``."""
    return NAME.fullmatch(name) is not None


def fetch(name: str, download: Download) -> Path:
    """The folder of the checkpoint ``name``; :class:`LoadError` says why there is none."""
    parts = NAME.fullmatch(name)
    if parts is None:
        raise LoadError(f"{name} is not the name of a repository")
    path = download(parts["repository"], parts["revision"])
    if not any(path.glob("*.safetensors")):
        raise LoadError(f"{name}: the repository has no .safetensors file")
    return path


def download(repository: str, revision: str | None) -> Path:
    """Download what is not in the hub's cache yet; with ``HF_HUB_OFFLINE=1`` everything has to be there."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        return Path(
            snapshot_download(
                repository, revision=revision, allow_patterns=list(WANTED), ignore_patterns=list(UNWANTED)
            )
        )
    except GatedRepoError as error:
        raise LoadError(f"{repository} is gated: its owner has to grant access to the token in HF_TOKEN") from error
    except RepositoryNotFoundError as error:
        raise LoadError(
            f"{repository} is not a repository of the hub, or the token in HF_TOKEN cannot see it"
        ) from error
    except RevisionNotFoundError as error:
        raise LoadError(f"{repository} has no revision {revision}") from error
    except LocalEntryNotFoundError as error:
        raise LoadError(f"{repository} is not in the hub's cache and the hub cannot be reached: {error}") from error
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise LoadError(f"{repository} cannot be downloaded: {error}") from error
