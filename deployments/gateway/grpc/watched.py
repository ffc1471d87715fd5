"""One call, from its arrival to its end, as the access log, the metrics and its trace tell of it."""

from __future__ import annotations

from collections.abc import Mapping

import grpc
from google.protobuf.message import Message
from opentelemetry.util.types import AttributeValue

from deployments.errors import ClientClosedRequest, error_of
from deployments.gateway.ending import End
from deployments.gateway.failures import told
from deployments.gateway.grpc.reply import Reply
from deployments.gateway.grpc.status import status_of
from deployments.gateway.limit_headers import headers_of_refusal
from deployments.gateway.witness import Witness, identity_of, within
from deployments.telemetry.attributes import RPC_METHOD, RPC_STATUS, RPC_SYSTEM

SYSTEM = "grpc"


class WatchedCall:
    """A call of ``method`` with ``headers``. Unless it is completed or has failed, its client has left it.

    ``quiet`` calls, those of probes, are told of only if they fail.
    """

    def __init__(self, witness: Witness, method: str, headers: Mapping[str, str], *, quiet: bool = False) -> None:
        self._witness, self._method, self._quiet = witness, method, quiet
        self.seen = witness.open(method, headers)
        self._failure = ClientClosedRequest.code
        self._sent = 0

    @property
    def identity(self) -> dict[str, str]:
        """The metadata of every answer, as it is known by now."""
        return identity_of(self.seen)

    def reply(self, message: Message, metadata: Mapping[str, str]) -> Reply:
        """A message of the answer."""
        payload = message.SerializeToString()
        self._sent += len(payload)
        return Reply(payload, metadata)

    def completed(self) -> None:
        """The whole answer is given."""
        self._failure = ""

    def failed(self, error: Exception) -> Reply:
        """The end of a call in which ``error`` was raised."""
        with within(self.seen):
            failure = told(error, self.seen.request_id)
        self._failure, jitter = failure.code, self._witness.entropy(1)[0] / 256
        headers = {**self.identity, **headers_of_refusal(failure), **failure.headers(jitter)}
        status = status_of(failure, self.seen.request_id, jitter)
        return Reply(status.SerializeToString(), headers, failed=True)

    def close(self) -> None:
        """The call is over."""
        status = grpc.StatusCode[error_of(self._failure, "").grpc_status] if self._failure else grpc.StatusCode.OK
        attributes: dict[str, AttributeValue] = {
            RPC_SYSTEM: SYSTEM,
            RPC_METHOD: self._method,
            RPC_STATUS: status.value[0],
        }
        seconds = self._witness.seconds(self.seen)
        end = End(self._method, status.name, seconds, attributes, self._failure, self._sent)
        self._witness.close(self.seen, end, quiet=self._quiet)
