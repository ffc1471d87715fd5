"""What the pages of migration say of this side, asked of the application."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest
from starlette.routing import Match

from cluster.reference.schema import paths
from deployments.config import ClusterConfig
from tests.deployments.gateway.scripted import ScriptedPool, client, gateway, saying
from tests.deployments.gateway.test_answers import CHAT
from tests.docs.pages import Page, codes_in, pages, rows

MIGRATIONS = [page for page in pages() if page.name.startswith("docs/migration/")]
KEYS = set(paths(ClusterConfig))
every_page = pytest.mark.parametrize("page", MIGRATIONS, ids=lambda page: page.name)


def fragment(code: str) -> dict[str, Any]:
    """The fields that a piece of a body has."""
    fields: dict[str, Any] = json.loads(f"{{{code}}}")
    return fields


def bodies(cell: str) -> list[dict[str, Any]]:
    """The pieces of bodies in a cell; other code is in it too."""
    return [fragment(code) for code in codes_in(cell) if code.startswith('"')]


async def taken(http: httpx.AsyncClient, fields: dict[str, Any]) -> str:
    """What becomes of a chat request with ``fields``."""
    answer = await http.post("/v1/chat/completions", json=CHAT | fields)
    if answer.status_code == 400:
        named = re.split(r"[.\[]", answer.json()["error"]["param"])[0]
        return "refused" if named in fields else f"refused for {named}"
    ignored = answer.headers.get("x-dllm-ignored-params", "").replace(" ", "").split(",")
    return "not known" if fields.keys() <= set(ignored) else "honoured"


@every_page
async def test_a_parameter_is_taken_as_the_page_says(page: Page) -> None:
    told, found = {}, {}
    async with client(gateway(ScriptedPool(saying("a")))) as http:
        for sent, outcome, instead in rows(page.section("Parameters of a request")):
            (fields,) = bodies(sent)
            told[sent], found[sent] = outcome, await taken(http, fields)
            for replacement in bodies(instead):
                told[instead], found[instead] = "honoured", await taken(http, {"stream": True} | replacement)
    assert found == told
    assert len(told) > 10


@every_page
async def test_every_other_body_on_the_page_is_taken(page: Page) -> None:
    parameters = page.section("Parameters of a request")
    codes = [code for cell in page.text.replace(parameters, "").splitlines() for code in codes_in(cell)]
    async with client(gateway(ScriptedPool(saying("a")))) as http:
        for fields in [fragment(code) for code in codes if code.startswith('"diffusion"')]:
            assert await taken(http, fields) == "honoured"


@every_page
def test_every_endpoint_of_ours_is_one(page: Page) -> None:
    app = gateway(ScriptedPool(saying("a")))
    for _, here, _ in rows(page.section("Endpoints")):
        for code in codes_in(here):
            method, _, path = code.partition(" ")
            scope = {"type": "http", "method": method, "path": path}
            assert any(route.matches(scope)[0] == Match.FULL for route in app.routes), code


@every_page
def test_every_key_of_the_configuration_is_one(page: Page) -> None:
    named = {code for code in page.codes if code.startswith("models[]")}
    assert named <= KEYS


def test_there_is_a_page_for_each() -> None:
    assert [each.path.stem for each in MIGRATIONS] == ["mercury", "sglang", "vllm"]
