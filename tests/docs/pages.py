"""The pages of the project, and what stands in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]

NOT_RUN = re.compile(r"# (needs (?:Kubernetes|a GPU|Docker|another machine)|takes (?:minutes|hours))\n")
"""The first line of a block of commands that is not run by the tests, and why it is not."""

PROGRAMS = ("sh", "bash", "python")

_FENCE = re.compile(r"^ *```(\w*)[^\n]*\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"(?<!`)(`{1,2})(?!`)(.+?)(?<!`)\1(?!`)")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its language, which may be empty, and its text."""

    page: str
    number: int
    language: str
    text: str

    @property
    def excuse(self) -> str | None:
        """Why it is not run, if it is not."""
        told = NOT_RUN.match(self.text)
        return None if told is None else told[1]

    def __str__(self) -> str:
        return f"{self.page}#{self.number}"


@dataclass(frozen=True, slots=True)
class Page:
    """A page of Markdown by its ``name``, the path from the root."""

    name: str
    text: str

    @property
    def path(self) -> Path:
        return ROOT / self.name

    @property
    def blocks(self) -> list[Block]:
        found = _FENCE.findall(self.text)
        return [Block(self.name, number, language, text) for number, (language, text) in enumerate(found, 1)]

    @property
    def session(self) -> str:
        """The blocks that are to be run, in their order, as one program of the shell."""
        run = [block for block in self.blocks if block.language in PROGRAMS and block.excuse is None]
        python = "python - <<'END'\n{}END\n"
        return "".join(python.format(block.text) if block.language == "python" else block.text for block in run)

    @property
    def prose(self) -> str:
        """The page without its fenced blocks."""
        return _FENCE.sub("", self.text)

    @property
    def codes(self) -> list[str]:
        """The inline code of the prose, also where a line break is in it."""
        paragraphs = re.split(r"\n\s*\n", self.prose)
        return [" ".join(code.split()) for text in paragraphs for _, code in _CODE.findall(text.replace("\n", " "))]

    @property
    def links(self) -> list[str]:
        return _LINK.findall(_CODE.sub("", self.prose))

    @property
    def anchors(self) -> set[str]:
        """The fragments of its headings, as GitHub makes them."""
        seen: dict[str, int] = {}
        return {_numbered(_slug(title), seen) for title in _HEADING.findall(self.prose)}

    def section(self, heading: str) -> str:
        """What stands below a heading, up to the next one of its level or above."""
        depth = next(line for line in self.text.splitlines() if re.fullmatch(rf"#+ {re.escape(heading)}", line))
        level = len(depth) - len(depth.lstrip("#"))
        rest = self.text.partition(f"\n{depth}\n")[2]
        return re.split(rf"^#{{1,{level}}} ", rest, flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    """The cells of the rows of the tables in ``text``, without headers and rulers."""
    lines = text.splitlines()
    tables = [line for line in lines if line.startswith("|")]
    rulers = {index for index, line in enumerate(tables) if re.fullmatch(r"[|\-: ]+", line)}
    body = [line for index, line in enumerate(tables) if index not in rulers and index + 1 not in rulers]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in body]


def codes_in(cell: str) -> list[str]:
    """The inline code in ``cell``."""
    return [code for _, code in _CODE.findall(cell)]


def _slug(title: str) -> str:
    shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).replace("`", "")
    return re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")


def _numbered(slug: str, seen: dict[str, int]) -> str:
    count = seen.get(slug, 0)
    seen[slug] = count + 1
    return f"{slug}-{count}" if count else slug


def page(name: str) -> Page:
    return Page(name, (ROOT / name).read_text(encoding="utf-8"))


@cache
def pages() -> tuple[Page, ...]:
    """All pages that are a part of the project."""
    return tuple(page(str(path.relative_to(ROOT))) for path in sorted(_paths()))


def _paths() -> Iterator[Path]:
    yield from ROOT.glob("*.md")
    for folder in ("docs", "helm", "dllm_worker"):
        yield from (ROOT / folder).rglob("*.md")


def programs() -> list[Block]:
    """The blocks of all pages that are to be run."""
    return [block for each in pages() for block in each.blocks if block.language in PROGRAMS]
