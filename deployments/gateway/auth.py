"""Only those with a valid key reach the routes of the API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from deployments.tenancy.verification import Verifier

if TYPE_CHECKING:
    from deployments.tenancy.tenant import Access

PROTECTED = "/v1/"


class Authentication:
    """Lets only valid keys reach the protected routes, and notes in ``state`` what each opens.

    A layer rather than a dependency of each endpoint, so that no body is read for a stranger and no route forgets it.
    The address of a client is that of its connection; what headers say of it is not believed.
    """

    def __init__(self, app: ASGIApp, verifier: Verifier) -> None:
        self._app, self._verifier = app, verifier

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(PROTECTED):
            host, _ = scope.get("client") or ("", 0)
            authorization = Headers(scope=scope).get("authorization")
            access = await self._verifier.verify(authorization, host)
            scope["state"]["access"] = access
            scope["state"]["observation"].tenant = access.tenant.name
        await self._app(scope, receive, send)


def access_of(request: Request) -> Access:
    """What the key of a request to a protected route opens."""
    access: Access = request.state.access
    return access
