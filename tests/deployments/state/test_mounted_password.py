"""A password in a file, as a mounted secret."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from deployments.state.connect import clients_at
from deployments.state.store import Claim
from tests.deployments.state.servers import Place

CLAIM = Claim("req_1", "digest")


def mounted(place: Place, file: Path) -> Place:
    """The same place by a URL that names the file in the password's stead."""
    address = place.address
    ((host, port),) = address.hosts
    return replace(place, url=f"redis://{address.username}@{host}:{port}/{address.database}?password={file}")


async def claimed(place: Place) -> Claim:
    store = place.connect()
    try:
        return await store.claim("acme", "token", CLAIM)
    finally:
        await store.close()


async def test_the_server_is_opened_by_what_is_in_the_file(valkey: Place, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(f"{valkey.address.password}\n")
    assert await claimed(mounted(valkey, file)) == CLAIM


async def test_each_connection_takes_what_is_there_then(valkey: Place, tmp_path: Path) -> None:
    """A secret is replaced on the server and in the file; whoever connects after it has the new one."""
    name, old = valkey.address.username, valkey.address.password
    assert name
    assert old
    file = tmp_path / "password"
    file.write_text(old)
    store = mounted(valkey, file).connect()
    server = valkey.servers[0]
    try:
        assert await store.claim("acme", "token", CLAIM) == CLAIM
        server.say("ACL", "SETUSER", name, f"<{old}", f"#{sha256(b'another').hexdigest()}")
        file.write_text("another")
        server.say("CLIENT", "KILL", "USER", name)
        assert await store.claim("acme", "token", CLAIM) == CLAIM
    finally:
        server.say("ACL", "SETUSER", name, "resetpass", f">{old}")
        await store.close()


def test_a_file_that_is_not_there_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="password of the state's URL cannot be read"):
        clients_at(f"redis://host?password={tmp_path}/none")
