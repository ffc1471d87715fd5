"""The response object of the Responses API, rebuilt from the record of its request and the text so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from deployments.errors import InvalidRequest, RequestCancelled, ServingError
from deployments.execution.entries import Cancelled, Committed, Completed, Failed, decode_entry
from deployments.gateway.assembler import Done
from deployments.gateway.bands import TIERS
from deployments.gateway.openai import Json, cut_short, joined
from deployments.gateway.usage import response_usage_json

if TYPE_CHECKING:
    from deployments.gateway.responses.body import ResponsesBody
    from deployments.state.record import RequestRecord

ENDPOINT = "/v1/responses"
Status = Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]
ItemStatus = Literal["in_progress", "completed", "incomplete"]

TOO_MANY = 429


def asked_json(body: ResponsesBody) -> Json:
    """What a response repeats of its body, for the record. The labels of users are not among it."""
    return {
        "background": bool(body.background),
        "store": body.is_stored,
        "instructions": body.instructions if body.is_stored else None,
        "max_output_tokens": body.max_output_tokens,
        "effort": None if body.reasoning is None else body.reasoning.effort,
    }


@dataclass(frozen=True, slots=True)
class ResponseShape:
    """What all that is told of one response shares. ``created_at`` is in Unix seconds."""

    id: str
    created_at: int
    model: str
    parameters: Mapping[str, Any]

    @staticmethod
    def of(record: RequestRecord) -> ResponseShape:
        return ResponseShape(record.id, int(record.created_at), record.model, record.parameters)

    @property
    def item_id(self) -> str:
        """The id of the only item of the output."""
        return f"msg-{self.id.partition('-')[2]}"

    @property
    def is_background(self) -> bool:
        return bool(self.parameters["response"]["background"])

    def pending(self, status: Literal["queued", "in_progress"], text: str | None = None) -> Json:
        """The response before its end; without text it has no item yet."""
        return self._response(status, text, "in_progress")

    def ended(self, text: str, done: Done) -> Json:
        """The whole response. A deadline is told beside ``max_output_tokens``, the nearest reason that clients know."""
        status: Literal["completed", "incomplete"] = ended_status(done)
        details = None if status == "completed" else {"reason": "max_output_tokens"}
        response = self._response(status, text, status)
        usage = response_usage_json(done)
        return response | {"incomplete_details": details, "usage": usage} | cut_short(done)

    def broken(self, text: str | None, error: ServingError) -> Json:
        """The response that ended in ``error``, which its tenant is not told of a cancellation."""
        if isinstance(error, RequestCancelled):
            return self._response("cancelled", text, "incomplete")
        return self._response("failed", text, "incomplete") | {"error": error_json(error)}

    def state(self, record: RequestRecord, log: Iterable[bytes]) -> Json:
        """The response as ``record`` and the entries of its log have it. The log is the newer of the two."""
        entries = [decode_entry(data) for data in log]
        deltas = [delta for entry in entries if isinstance(entry, Committed | Completed) for delta in entry.deltas]
        text = joined(deltas) if deltas else None
        match entries[-1] if entries else None:
            case Completed(done=done):
                return self.ended(text or "", done)
            case Failed() as failed:
                return self.broken(text, failed.error())
            case Cancelled():
                return self.broken(text, RequestCancelled())
        return self.pending("queued" if record.status == "queued" else "in_progress", text)

    def item(self, text: str | None, status: ItemStatus) -> Json:
        """The item of the output; without text it has no content yet."""
        content = [] if text is None else [text_part(text)]
        return {"id": self.item_id, "type": "message", "status": status, "role": "assistant", "content": content}

    def _response(self, status: Status, text: str | None, item_status: ItemStatus) -> Json:
        asked, sampling = self.parameters["response"], self.parameters["sampling"]
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created_at,
            "status": status,
            "background": asked["background"],
            "error": None,
            "incomplete_details": None,
            "instructions": asked["instructions"],
            "max_output_tokens": asked["max_output_tokens"],
            "metadata": self.parameters["metadata"],
            "model": self.model,
            "output": [] if text is None else [self.item(text, item_status)],
            "parallel_tool_calls": False,
            "previous_response_id": None,
            "reasoning": {"effort": asked["effort"], "summary": None},
            "service_tier": TIERS[self.parameters["tenancy"]["band"]],
            "store": asked["store"],
            "system_fingerprint": self.parameters["revision"],
            "temperature": sampling["temperature"],
            "text": {"format": {"type": "text"}},
            "tool_choice": "auto",
            "tools": [],
            "top_p": sampling["top_p"],
            "truncation": "disabled",
            "usage": None,
        }


def ended_status(done: Done) -> Literal["completed", "incomplete"]:
    """Whether the answer came to its own end."""
    return "completed" if done.reason == "stop" else "incomplete"


def text_part(text: str) -> Json:
    """The content of the item."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def error_json(error: ServingError) -> Json:
    """The error in one of the codes that clients of the Responses API know; ``type`` has this project's own."""
    if error.status == TOO_MANY:
        code = "rate_limit_exceeded"
    else:
        code = "invalid_prompt" if isinstance(error, InvalidRequest) else "server_error"
    return {"code": code, "message": str(error), "type": error.code, "param": error.parameter}
