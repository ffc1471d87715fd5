from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.deployments.gateway.admin.administration import Place, operator


@pytest.fixture
def place() -> Place:
    return Place()


@pytest.fixture
async def admin(place: Place) -> AsyncIterator[httpx.AsyncClient]:
    async with operator(place.app) as http:
        yield http
