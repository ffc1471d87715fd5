"""What becomes of parameters that nobody here knows."""

from __future__ import annotations

from collections.abc import Iterable

from deployments.errors import InvalidRequest, UnknownParameter
from deployments.gateway.fields import LONGEST_NAME

HEADER = "x-dllm-strict"
VALUES = {"true": True, "false": False}


def refuse_unknown(ignored: Iterable[str], header: str | None, *, usually: bool) -> None:
    """Raise :class:`UnknownParameter` for the first name in ``ignored`` where such requests are refused: ``usually``,
    unless the ``x-dllm-strict`` header says otherwise. Raises :class:`InvalidRequest` for a header with another value.
    """
    if header is not None and header not in VALUES:
        raise InvalidRequest("'true' or 'false' is expected.", parameter=HEADER)
    if not (usually if header is None else VALUES[header]):
        return
    unknown = next(iter(ignored), None)
    if unknown is not None:
        raise UnknownParameter("This parameter is not known.", parameter=unknown[:LONGEST_NAME])
