"""What was installed, as the parts of Kubernetes look it up."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

Json = dict[str, Any]


class Objects:
    """Objects by kind and name."""

    def __init__(self, documents: Iterable[Json]) -> None:
        self._found = {(each["kind"], each["metadata"]["name"]): each for each in documents}

    def get(self, kind: str, name: str) -> Json:
        """Raises :class:`KeyError`: a pod that names what is not there does not start."""
        return self._found[kind, name]

    def every(self, kind: str) -> list[Json]:
        return [each for (found, _), each in self._found.items() if found == kind]

    def only(self, kind: str) -> Json:
        (found,) = self.every(kind)
        return found

    def add(self, document: Json) -> None:
        """Add one, in the place of another one of that name."""
        self._found[document["kind"], document["metadata"]["name"]] = document

    def data(self, kind: str, name: str) -> dict[str, bytes]:
        """The files of a Secret or a ConfigMap."""
        found = self.get(kind, name)
        plain = {**found.get("stringData", {}), **({} if kind == "Secret" else found.get("data") or {})}
        encoded = found.get("data") or {} if kind == "Secret" else found.get("binaryData") or {}
        files = {key: base64.b64decode(value) for key, value in encoded.items()}
        return files | {key: value.encode() for key, value in plain.items()}


def write_files(files: Mapping[str, bytes], volume: Json, folder: Path, group: int) -> Path:
    """The files of a volume of a Secret or ConfigMap, which its ``items`` may choose and rename, for ``group``."""
    chosen = {item["key"]: item["path"] for item in volume.get("items", [])} or {key: key for key in files}
    folder.mkdir(parents=True, exist_ok=True)
    for key, path in chosen.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(files[key])
        file.chmod(volume.get("defaultMode", 0o644))
        _give(file, group)
    _give(folder, group)
    return folder


def _give(path: Path, group: int) -> None:
    os.chown(path, -1, group)
