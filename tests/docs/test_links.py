"""Every link that stays within the project leads somewhere."""

from __future__ import annotations

import pytest

from tests.docs.pages import ROOT, Page, page, pages


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_each_relative_link_leads_somewhere(page: Page) -> None:
    assert [link for link in page.links if "://" not in link and not leads_somewhere(page, link)] == []


def leads_somewhere(origin: Page, link: str) -> bool:
    file, _, anchor = link.partition("#")
    target = (origin.path.parent / file).resolve() if file else origin.path
    if not target.exists() or not target.is_relative_to(ROOT):
        return False
    return not anchor or (target.suffix == ".md" and anchor in page(str(target.relative_to(ROOT))).anchors)


def test_a_dead_link_is_found() -> None:
    index = page("docs/README.md")
    assert leads_somewhere(index, "api.md#errors")
    assert not leads_somewhere(index, "api.md#nowhere")
    assert not leads_somewhere(index, "nowhere.md")


def test_every_page_of_docs_is_in_the_index() -> None:
    index = page("docs/README.md")
    linked = {(index.path.parent / link.partition("#")[0]).resolve() for link in index.links if "://" not in link}
    folders = {path for path in linked if path.is_dir()}
    missing = [
        other.name
        for other in pages()
        if other.name.startswith("docs/") and other != index
        if other.path not in linked and not folders & set(other.path.parents)
    ]
    assert missing == []
