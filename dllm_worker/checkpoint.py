"""A request in mid-flight as a value: what its canvases hold, without keys and values, and as bytes.

Layout of version 2, little-endian: the magic ``DLCP``; uint16 version; uint32 length of the head; the head, UTF-8 JSON;
int32 tokens of the answer from the end of the prompt on; their masks, eight to a byte; int32 tokens of the passes that
made an approximate cache; int32 most probable tokens; fp32 soft embedding; the log-probabilities of accepted tokens
that are not told yet, as int32 positions, fp32 values, and int32 tokens and fp32 values of their alternatives, -1 where
there are fewer; uint32 CRC-32 of all that. The head holds the number of items of each part, the request's fingerprint,
what was told, the usage, the canvases, the seed's counters (canvas and step) and the starts and lengths of the passes.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field, fields, replace
from operator import attrgetter
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dllm_worker.canvas import Canvas
from dllm_worker.interface import CheckpointError
from dllm_worker.request import TokenLogprobs, Usage
from dllm_worker.running import Replay, Running
from dllm_worker.sequence import Sequence

MAGIC, VERSION = b"DLCP", 2
_PREFIX = struct.Struct("<4sHI")
_CHECK = struct.Struct("<I")
_NO_TOKEN = -1
_encode = json.JSONEncoder(separators=(",", ":")).encode
_usage_fields = attrgetter(*(field.name for field in fields(Usage)))
_canvas_fields = attrgetter(*(field.name for field in fields(Canvas)))


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """``tokens`` int64 and ``masked`` bool ``[positions after the prompt]``; the rest as in :class:`Running`.

    ``soft [canvas, hidden]``, on any device, is there only for a self-conditioned model; its bytes are fp32.
    """

    request_id: str
    fingerprint: str
    tokens: Tensor
    masked: Tensor
    canvases: tuple[Canvas, ...]
    told: int
    usage: Usage
    replays: tuple[Replay, ...] = ()
    best: Tensor | None = None
    soft: Tensor | None = None
    logprobs: Mapping[int, TokenLogprobs] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """The checkpoint in the layout of this module."""
        soft = np.empty((0, 0), "<f4") if self.soft is None else self.soft.float().cpu().numpy().astype("<f4")
        best = np.empty(0, "<i4") if self.best is None else self.best.numpy().astype("<i4")
        head = {
            "id": self.request_id,
            "fingerprint": self.fingerprint,
            "told": self.told,
            "usage": _usage_fields(self.usage),
            "canvases": [_canvas_fields(canvas) for canvas in self.canvases],
            "replays": [[replay.start, len(replay.tokens)] for replay in self.replays],
            "tokens": len(self.tokens),
            "best": len(best),
            "soft": list(soft.shape),
            "logprobs": [len(self.logprobs), _width(self.logprobs)],
        }
        text = _encode(head).encode()
        replayed = [replay.tokens.numpy().astype("<i4").tobytes() for replay in self.replays]
        body = b"".join(
            (
                _PREFIX.pack(MAGIC, VERSION, len(text)),
                text,
                self.tokens.numpy().astype("<i4").tobytes(),
                np.packbits(self.masked.numpy()).tobytes(),
                *replayed,
                best.tobytes(),
                soft.tobytes(),
                *_packed(self.logprobs),
            )
        )
        return body + _CHECK.pack(zlib.crc32(body))

    @property
    def is_large(self) -> bool:
        """Whether writing its bytes takes long enough to keep others waiting."""
        return self.soft is not None

    @staticmethod
    def from_bytes(data: bytes) -> Checkpoint:
        """Raises :class:`CheckpointError` for other versions and for bytes that were cut or changed."""
        if len(data) < _PREFIX.size + _CHECK.size or not data.startswith(MAGIC):
            raise CheckpointError("the bytes are no checkpoint")
        _, version, length = _PREFIX.unpack_from(data)
        if version != VERSION:
            raise CheckpointError(f"the checkpoint has version {version}; this engine reads version {VERSION}")
        body = data[: -_CHECK.size]
        if _CHECK.unpack(data[-_CHECK.size :])[0] != zlib.crc32(body):
            raise CheckpointError("the checkpoint is damaged: its checksum differs")
        return _read(json.loads(body[_PREFIX.size : _PREFIX.size + length]), _Parts(body, _PREFIX.size + length))


def _width(logprobs: Mapping[int, TokenLogprobs]) -> int:
    """The most alternatives that any token has."""
    return max((len(each.top) for each in logprobs.values()), default=0)


def _packed(logprobs: Mapping[int, TokenLogprobs]) -> list[bytes]:
    width = _width(logprobs)
    top = [pair for each in logprobs.values() for pair in (*each.top, *[(_NO_TOKEN, 0.0)] * (width - len(each.top)))]
    columns = (
        (list(logprobs), "<i4"),
        ([each.logprob for each in logprobs.values()], "<f4"),
        ([token for token, _ in top], "<i4"),
        ([value for _, value in top], "<f4"),
    )
    return [np.array(values, dtype).tobytes() for values, dtype in columns]


@dataclass(slots=True)
class _Parts:
    """The arrays behind the head, one after the other."""

    data: bytes
    at: int

    def take(self, dtype: str, count: int) -> np.ndarray[Any, Any]:
        array = np.frombuffer(self.data, dtype, count, self.at)
        self.at += array.nbytes
        return array

    def tokens(self, count: int) -> Tensor:
        return torch.from_numpy(self.take("<i4", count).astype(np.int64))

    def logprobs(self, count: int, width: int) -> dict[int, TokenLogprobs]:
        positions, values = self.take("<i4", count).tolist(), self.take("<f4", count).tolist()
        tokens = self.take("<i4", count * width).reshape(count, width).tolist()
        others = self.take("<f4", count * width).reshape(count, width).tolist()
        tops = [
            tuple((token, value) for token, value in zip(*row, strict=True) if token != _NO_TOKEN)
            for row in zip(tokens, others, strict=True)
        ]
        return dict(zip(positions, map(TokenLogprobs, values, tops), strict=True))


def _read(head: dict[str, Any], parts: _Parts) -> Checkpoint:
    count = head["tokens"]
    tokens = parts.tokens(count)
    masked = np.unpackbits(parts.take("u1", -(-count // 8)), count=count).astype(bool)
    replays = tuple(Replay(start, parts.tokens(length)) for start, length in head["replays"])
    best = parts.tokens(head["best"])
    rows, width = head["soft"]
    soft = parts.take("<f4", rows * width).reshape(rows, width)
    return Checkpoint(
        request_id=head["id"],
        fingerprint=head["fingerprint"],
        tokens=tokens,
        masked=torch.from_numpy(masked),
        canvases=tuple(Canvas(*values) for values in head["canvases"]),
        told=head["told"],
        usage=Usage(*head["usage"]),
        replays=replays,
        best=best if len(best) else None,
        soft=torch.from_numpy(soft.copy()) if rows else None,
        logprobs=parts.logprobs(*head["logprobs"]),
    )


def checkpoint_of(run: Running, *, lean: bool = False) -> Checkpoint:
    """What ``run`` needs to go on elsewhere, at the step it has reached. Only what later steps change is copied.

    A ``lean`` one leaves out the self-conditioning. It is then estimated from one more reading of the canvas, so the
    answer may differ from that of an uninterrupted run.
    """
    prompt = len(run.request.prompt)
    return Checkpoint(
        request_id=run.request.id,
        fingerprint=run.fingerprint,
        tokens=run.sequence.tokens[prompt:].clone(),
        masked=run.sequence.masked[prompt:].clone(),
        canvases=tuple(copy(canvas) for canvas in run.canvases),
        told=run.told,
        usage=run.usage,
        replays=tuple(_generated(replay, prompt) for replay in run.replays),
        best=run.best,
        soft=None if lean else run.soft,
        logprobs=dict(run.logprobs),
    )


def _generated(replay: Replay, prompt: int) -> Replay:
    """``replay`` without the prompt, which the request brings back."""
    return Replay(replay.start, replay.tokens[max(0, prompt - replay.start) :])


def restore(run: Running, checkpoint: Checkpoint) -> None:
    """Bring a freshly started ``run`` of the same request to where ``checkpoint`` was taken.

    Keys and values are computed again from the committed tokens, and an approximate cache by repeating its passes.
    """
    if checkpoint.fingerprint != run.fingerprint:
        raise CheckpointError(f"the checkpoint of {checkpoint.request_id} belongs to another request")
    prompt = torch.tensor(run.request.prompt, dtype=torch.int64)
    settled = torch.zeros(len(prompt), dtype=torch.bool)
    run.sequence = Sequence(torch.cat((prompt, checkpoint.tokens)), torch.cat((settled, checkpoint.masked)))
    run.canvases = [replace(canvas) for canvas in checkpoint.canvases]
    run.known, run.told = run.canvas.start, checkpoint.told
    run.usage = replace(checkpoint.usage, cached_tokens=run.usage.cached_tokens)
    run.replays = [
        Replay(replay.start, torch.cat((prompt[replay.start :], replay.tokens))) for replay in checkpoint.replays
    ]
    run.lost = len(run.replays)
    run.best = checkpoint.best
    run.logprobs = dict(checkpoint.logprobs)
    run.unconditioned = run.spec.self_conditioning and run.canvas.step > 0 and checkpoint.soft is None
    run.soft = None if checkpoint.soft is None else checkpoint.soft.to(run.slots[0].device)
