"""Where a reader wants to go on with a stream that it has seen a part of."""

from __future__ import annotations

import re

from deployments.errors import InvalidRequest

HEADER = "last-event-id"
PARAMETER = "starting_after"
NUMBER = re.compile(r"[0-9]{1,9}")


def resume_after(last_event_id: str | None, starting_after: str | None) -> int | None:
    """The number of the last frame that the reader has; the header of a browser that reconnects goes first.

    ``None`` asks for all of it. Raises :class:`InvalidRequest`.
    """
    for name, value in ((HEADER, last_event_id), (PARAMETER, starting_after)):
        if value is not None:
            if not NUMBER.fullmatch(value):
                raise InvalidRequest("The number of a frame is expected.", parameter=name)
            return int(value)
    return None
