"""``openapi.json`` is true: what it allows is answered as it says, and what is answered is what it allows."""

from __future__ import annotations

import asyncio
import copy
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode, openapi
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from deployments.gateway.documentation import UNTOLD
from dllm_worker.request import Request
from tests.deployments.gateway.scripted import KEY, ScriptedPool, Step, app_over, client, commits, finish, model
from tests.deployments.test_errors import every_error

CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
LETTER = 70


def obliging(request: Request) -> list[Step]:
    """A replica that fills whatever there is to fill, a few tokens at most where nothing is pinned."""
    tokens = [LETTER] * min(request.max_tokens, 5)
    if request.template is not None:
        tokens = [LETTER if token is None else token for token in request.template]
    return [(), *commits(request, [tokens[:2], tokens[2:]] if tokens[2:] else [tokens]), finish(request, len(tokens))]


class Server:
    """The application in a thread of its own, whose requests and answers are those of one event loop."""

    def __init__(self) -> None:
        self.app = app_over({"tiny": model(ScriptedPool(obliging))})
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._http = httpx.AsyncClient(transport=httpx.ASGITransport(self.app, raise_app_exceptions=False))
        self._http.headers["authorization"] = f"Bearer {KEY}"
        self.ids: dict[str, str] = {}

    def send(self, case: Case[Any]) -> httpx.Response:
        prepared = requests.Request(**case.as_transport_kwargs("http://gateway")).prepare()
        headers = {name: value for name, value in prepared.headers.items() if name.lower() != "authorization"}
        return self.request(str(prepared.method), str(prepared.url), content=prepared.body, headers=headers)

    def request(self, method: str, url: str, **rest: Any) -> httpx.Response:
        answer = self._http.request(method, httpx.URL(url), **rest)
        return asyncio.run_coroutine_threadsafe(answer, self._loop).result(timeout=30)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._http.aclose(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    posted = server.request("POST", "http://gateway/v1/completions", json={"model": "tiny", "prompt": "hi"})
    server.ids = {"answer_id": posted.json()["id"], "response_id": stored(server), "model_id": "tiny"}
    yield server
    server.close()


def stored(server: Server) -> str:
    """The id of a new response that can be read again."""
    body = {"model": "tiny", "input": "hi", "background": True}
    identity: str = server.request("POST", "http://gateway/v1/responses", json=body).json()["id"]
    return identity


DOCUMENT: dict[str, Any] = app_over({"tiny": model(ScriptedPool(obliging))}).openapi()
UNPROTECTED = copy.deepcopy(DOCUMENT)
"""The document for those who have a key anyway."""
for _operations in UNPROTECTED["paths"].values():
    for _operation in _operations.values():
        _operation.pop("security", None)
OPERATIONS = {
    found.ok().label: found.ok()
    for found in openapi.from_dict(UNPROTECTED).get_all_operations()
    if isinstance(found, Ok)
}


def fuzz(server: Server, label: str, examples: int, *, derandomize: bool) -> set[int]:
    """Send ``examples`` requests, half of them valid by the document, most of these about what there is; the statuses
    of the answers.
    """
    operation = OPERATIONS[label]
    modes = st.sampled_from([GenerationMode.POSITIVE, GenerationMode.NEGATIVE])

    @given(modes.flatmap(lambda mode: operation.as_strategy(generation_mode=mode)), st.integers(0, 9))
    @settings(
        max_examples=examples,
        derandomize=derandomize,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    def run(case: Case[Any], choice: int) -> None:
        if choice and isinstance(case.body, dict) and isinstance(case.body.get("model"), str):
            case.body["model"] = "tiny"
            if "template" in case.body:
                case.body["template"] = f"{case.body['template']}{{{{hole}}}}"
        if choice:
            case.path_parameters = {**(case.path_parameters or {}), **known(case, server)}
        response = server.send(case)
        statuses.add(response.status_code)
        assert response.status_code < 500 or is_late(case, response), response.text
        case.validate_response(response, checks=CHECKS)

    statuses: set[int] = set()
    run()
    return statuses


def is_late(case: Case[Any], response: httpx.Response) -> bool:
    """Who sets a deadline may be told that it has passed."""
    return response.status_code == 504 and "x-dllm-deadline-ms" in (case.headers or {})


def known(case: Case[Any], server: Server) -> dict[str, str]:
    """The ids of things that exist, for the parameters of the path; what is deleted is there for that alone."""
    if case.method == "DELETE":
        return {"response_id": stored(server)}
    return {name: server.ids[name] for name in case.path_parameters or {} if name in server.ids}


@pytest.mark.parametrize("label", OPERATIONS)
def test_answers_are_those_of_the_document(server: Server, label: str) -> None:
    fuzz(server, label, 60 if label.startswith("POST") else 15, derandomize=True)


@pytest.mark.full
@pytest.mark.parametrize("label", OPERATIONS)
def test_ten_thousand_requests(server: Server, label: str) -> None:
    assert 200 in fuzz(server, label, -(-10_000 // len(OPERATIONS)), derandomize=False)


def test_every_status_of_the_table_is_documented() -> None:
    statuses = {str(kind.status) for kind in every_error()} - {str(UNTOLD)}
    for path in DOCUMENT["paths"].values():
        for operation in path.values():
            assert operation["responses"].keys() == statuses | {"200"}
    refused = DOCUMENT["paths"]["/v1/models"]["get"]["responses"]["429"]
    assert "`queue_full`" in refused["description"]
    assert refused["headers"].keys() == {"x-request-id", "retry-after", "retry-after-ms"}


def examples() -> list[tuple[str, dict[str, Any]]]:
    """The example of each body in the document, with its path."""
    found = []
    for path, operations in DOCUMENT["paths"].items():
        body = operations.get("post", {}).get("requestBody")
        if body is not None:
            reference = body["content"]["application/json"]["schema"]["$ref"]
            shown = DOCUMENT["components"]["schemas"][reference.rpartition("/")[2]]["examples"]
            found += [(path, example) for example in shown]
    return found


@pytest.mark.parametrize(("path", "body"), examples())
async def test_each_example_runs(path: str, body: dict[str, Any]) -> None:
    async with client(app_over({body["model"]: model(ScriptedPool(obliging), body["model"])})) as http:
        response = await http.post(path, json=body, headers={"x-dllm-strict": "true"})
    assert response.status_code == 200, response.text


def test_every_operation_of_the_document_is_tried() -> None:
    assert len(OPERATIONS) == sum(len(operations) for operations in DOCUMENT["paths"].values())


def test_every_body_has_an_example() -> None:
    assert {path for path, _ in examples()} == {
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/infill",
        "/v1/responses",
    }
