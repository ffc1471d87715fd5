from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from deployments.document import ConfigError
from deployments.state.store import StateUnavailable
from deployments.tenancy.file import follow, load_declared
from deployments.tenancy.keys import make_key

KEY = make_key("test")


def test_a_file_holds_tenants_and_keys(tmp_path: Path) -> None:
    path = tmp_path / "tenancy.yaml"
    path.write_text(f"tenants: [{{name: acme, weight: 3.0}}]\nkeys: [{{tenant: acme, key: {KEY}}}]")
    found = load_declared(path)
    assert (found.tenants[0].name, found.tenants[0].weight, found.keys[0].tenant) == ("acme", 3.0, "acme")


@pytest.mark.parametrize("text", ["tenant: []", "tenants: [{name: a}, {name: a}]", "keys: [{tenant: a}]"])
def test_a_bad_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tenancy.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError):
        load_declared(path)


async def followed(path: Path, looks: list[Callable[[], object]], changed: Callable[[], Awaitable[None]]) -> None:
    """Follow ``path`` for as many looks, before each of which something happens."""
    remaining = iter(looks)

    async def sleep(seconds: float) -> None:
        happening = next(remaining, None)
        if happening is None:
            raise asyncio.CancelledError
        happening()

    with suppress(asyncio.CancelledError):
        await follow(path, changed, sleep)


async def test_a_change_is_seen_once(tmp_path: Path) -> None:
    path, seen = tmp_path / "tenancy.yaml", list[str]()
    path.write_text("one")

    async def changed() -> None:
        seen.append(path.read_text())

    def replaced() -> None:
        (tmp_path / "new").write_text("two")
        (tmp_path / "new").replace(path)

    await followed(path, [lambda: None, replaced, lambda: None, path.unlink, lambda: path.write_text("three")], changed)
    assert seen == ["two", "three"]


async def test_a_refused_file_is_told_of_once_and_a_lost_store_is_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, outcomes, calls = (
        tmp_path / "tenancy.yaml",
        [StateUnavailable("down"), ConfigError("keys.0: bad")],
        list[str](),
    )

    async def changed() -> None:
        calls.append(path.read_text())
        raise outcomes[len(calls) - 1]

    await followed(path, [lambda: path.write_text("bad"), lambda: None, lambda: None], changed)
    assert calls == ["bad", "bad"]
    assert "stay as they were: keys.0: bad" in caplog.text
