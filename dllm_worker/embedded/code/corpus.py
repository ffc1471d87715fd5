"""Gathers Python source under permissive licences: the standard library and the wheels that ``corpus.toml`` names."""

from __future__ import annotations

import ast
import hashlib
import json
import subprocess
import sys
import sysconfig
import tomllib
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

MANIFEST = Path(__file__).with_name("corpus.toml")
TRAIN, HELD_OUT = "train", "held_out"

_SKIPPED_FOLDERS = frozenset(
    (
        *("test", "tests", "testing", "migrations"),
        *("encodings", "idlelib", "lib2to3", "pydoc_data", "turtledemo", "site-packages"),
        *("_vendor", "_vendored", "vendor", "vendored", "vendors", "extern", "externals", "typeshed"),
        *("locale", "locales"),
    )
)
_SIZE_RANGE = (200, 120_000)
_LONGEST_LINE = 300
_DIGIT_SHARE, _NON_ASCII_SHARE = 0.08, 0.02


@dataclass(frozen=True, slots=True)
class Package:
    """One line of the manifest; ``use`` is ``train`` or ``held_out``."""

    name: str
    version: str
    licence: str
    use: str


@dataclass(frozen=True, slots=True)
class Document:
    """One source file with line feeds only and without trailing blanks."""

    package: str
    path: str
    text: str


def read_manifest(path: Path = MANIFEST) -> list[Package]:
    """The packages in the order of the manifest."""
    return [Package(**row) for row in tomllib.loads(path.read_text())["package"]]


def download(packages: list[Package], wheels: Path) -> None:
    """Fetch the pinned wheels of ``packages`` into ``wheels``; those already there are kept."""
    pinned = [f"{package.name}=={package.version}" for package in packages]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    subprocess.run([*command, "--dest", str(wheels), *pinned], check=True)  # noqa: S603 - fixed command, pinned names


def gather(use: str, wheels: Path) -> Iterator[Document]:
    """Clean, distinct documents; the standard library comes first in the training text."""
    seen: set[bytes] = set()
    for document in _all_documents(use, wheels):
        digest = hashlib.sha256("".join(document.text.split()).encode()).digest()
        if digest not in seen and is_readable(document.text):
            seen.add(digest)
            yield document


def is_readable(text: str) -> bool:
    """Whether ``text`` is hand-written Python of a usual size: it parses, and is not a table of data."""
    smallest, largest = _SIZE_RANGE
    if not smallest <= len(text) <= largest or max(map(len, text.split("\n"))) > _LONGEST_LINE:
        return False
    digits = sum(map(text.count, "0123456789"))
    non_ascii = len(text.encode()) - len(text)
    if digits > _DIGIT_SHARE * len(text) or non_ascii > _NON_ASCII_SHARE * len(text):
        return False
    return parses(text)


def parses(text: str) -> bool:
    """Whether ``text`` is syntactically valid Python."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
    return True


def normalise(text: str) -> str:
    """Line feeds only, no blanks at line ends, exactly one line feed at the end."""
    return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n") + "\n"


def write(documents: Iterator[Document], path: Path) -> int:
    """Write JSON lines and return the number of characters."""
    characters = 0
    with path.open("w") as lines:
        for document in documents:
            characters += len(document.text)
            lines.write(json.dumps(asdict(document)) + "\n")
    return characters


def read(path: Path) -> list[Document]:
    """The documents that ``write`` wrote."""
    with path.open() as lines:
        return [Document(**json.loads(line)) for line in lines]


def _all_documents(use: str, wheels: Path) -> Iterator[Document]:
    if use == TRAIN:
        root = Path(sysconfig.get_path("stdlib"))
        for path in sorted(root.rglob("*.py")):
            relative = path.relative_to(root).as_posix()
            if _is_kept(relative):
                yield Document("cpython", relative, normalise(path.read_text(errors="replace")))
    for package in read_manifest():
        if package.use == use:
            yield from _wheel_documents(package, wheels)


def _wheel_documents(package: Package, wheels: Path) -> Iterator[Document]:
    stem = f"{package.name}-{package.version}-".replace("-", "_").lower()
    [wheel] = [path for path in wheels.glob("*.whl") if path.name.replace("-", "_").lower().startswith(stem)]
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            if _is_kept(name):
                yield Document(package.name, name, normalise(archive.read(name).decode(errors="replace")))


def _is_kept(path: str) -> bool:
    *folders, name = path.split("/")
    return name.endswith(".py") and not name.startswith("test_") and _SKIPPED_FOLDERS.isdisjoint(folders)
