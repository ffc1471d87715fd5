"""A simulated request in mid-flight as a value, and as bytes.

Layout of version 2: the magic ``DLSC``; UTF-8 JSON of version, request, fingerprint, canvas, step, told and usage;
uint32 CRC-32 of all that, little-endian. The tokens follow from the request.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, dataclass

from dllm_worker.interface import CheckpointError
from dllm_worker.request import Usage

MAGIC, VERSION = b"DLSC", 2
_CHECK = 4


@dataclass(frozen=True, slots=True)
class SimulatedCheckpoint:
    """``step`` of ``canvas`` is reached, and ``told`` tokens of the answer are committed."""

    request_id: str
    fingerprint: str
    canvas: int
    step: int
    told: int
    usage: Usage

    @property
    def is_large(self) -> bool:
        """Whether writing its bytes takes long enough to keep others waiting."""
        return False

    def to_bytes(self) -> bytes:
        """The checkpoint in the layout of this module."""
        head = [VERSION, self.request_id, self.fingerprint, self.canvas, self.step, self.told]
        body = MAGIC + json.dumps([*head, list(asdict(self.usage).values())], separators=(",", ":")).encode()
        return body + zlib.crc32(body).to_bytes(_CHECK, "little")

    @staticmethod
    def from_bytes(data: bytes) -> SimulatedCheckpoint:
        """Raises :class:`CheckpointError` for other versions and for bytes that were cut or changed."""
        if not data.startswith(MAGIC):
            raise CheckpointError("the bytes are no checkpoint of a simulated engine")
        body = data[:-_CHECK]
        if zlib.crc32(body).to_bytes(_CHECK, "little") != data[-_CHECK:]:
            raise CheckpointError("the checkpoint is damaged: its checksum differs")
        version, name, written, canvas, step, told, usage = json.loads(body[len(MAGIC) :])
        if version != VERSION:
            raise CheckpointError(f"the checkpoint has version {version}; this engine reads version {VERSION}")
        return SimulatedCheckpoint(name, written, canvas, step, told, Usage(*usage))
