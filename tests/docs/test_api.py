"""The page of the API has every route and every parameter that the application has, and no others."""

from __future__ import annotations

import re
from typing import Any

from deployments.gateway.schema import ChatBody, CompletionBody, Diffusion, InfillBody
from tests.deployments.gateway.scripted import ScriptedPool, gateway, saying
from tests.docs.pages import codes_in, page, rows

PAGE = page("docs/api.md")


def test_every_route_is_in_the_table() -> None:
    told = {code for row in rows(PAGE.text.partition("## Answers")[0]) for code in codes_in(row[0])}
    document: dict[str, Any] = gateway(ScriptedPool(saying("a"))).openapi()
    routes = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    assert told == routes


def test_every_parameter_is_named() -> None:
    named = set(re.findall(r"\w+", " ".join(codes_in(PAGE.text.replace("\n", " ")))))
    fields = {name for body in (ChatBody, CompletionBody, InfillBody) for name in body.model_fields}
    assert fields - named == set()


def test_every_field_of_diffusion_is_named_here_or_in_the_guide() -> None:
    guide = page("docs/decoding.md")
    named = {
        name for text in (PAGE.prose, guide.prose) for code in codes_in(text.replace("\n", " ")) for name in [code]
    }
    assert set(Diffusion.model_fields) - named == {"seed_canvas"}, "which is refused: a prediction is its name here"
