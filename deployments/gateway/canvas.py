"""The canvas as a watching client sees it: provisional, and apart from the text of the answer.

A canvas of a frame's ``length`` positions begins at ``start``, counted in tokens from the end of the prompt, with
every position masked. A snapshot shows all of it, one U+2591 for each masked position. A patch lists the positions
whose text changed since the last frame of that canvas; a ``null`` text is masked again.

Text inside a canvas may be revised until it is committed. A model without a mask shows its most probable tokens, and
all its positions count as masked until the canvas is final. Several canvases may be open at once, and one that begins
inside an earlier one, whose draft was rejected there, takes the place of all that was shown from its start on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deployments.gateway.diffusion import Watch
from dllm_worker.canvas import Canvas, first_start
from dllm_worker.request import Draft, Request

if TYPE_CHECKING:
    from dllm_worker.spec import ModelSpec
    from dllm_worker.text import Text

MASKED = "\N{LIGHT SHADE}"


@dataclass(frozen=True, slots=True)
class CanvasFrame:
    """One view of a canvas of the ``choice``-th answer; either ``text`` or ``edits`` is set. Without a bound of its
    steps ``max_steps`` is null.
    """

    block: int
    step: int
    max_steps: int | None
    masked: int
    start: int
    length: int
    committed_chars: int
    edits: tuple[tuple[int, str | None], ...] | None = None
    text: str | None = None
    choice: int = 0

    def as_json(self, sequence: int) -> dict[str, Any]:
        """The ``diffusion`` object of a chunk."""
        shown: dict[str, Any] = {"text": self.text}
        if self.edits is not None:
            shown = {"edits": [{"pos": position, "text": text} for position, text in self.edits]}
        return {
            "seq": sequence,
            "block": self.block,
            "step": self.step,
            "max_steps": self.max_steps,
            "masked": self.masked,
            "start": self.start,
            "length": self.length,
            "committed_chars": self.committed_chars,
            **shown,
        }


@dataclass(frozen=True, slots=True)
class _Shown:
    """What the client has seen of a canvas, and at which step."""

    step: int
    looks: tuple[str | None, ...]
    masked: int


class CanvasView:
    """Remembers what the client was last shown of each canvas."""

    def __init__(self, watch: Watch, request: Request, text: Text, spec: ModelSpec) -> None:
        self._watch, self._request, self._text, self._spec = watch, request, text, spec
        self._shown: dict[int, _Shown] = {}

    def frame(self, draft: Draft, committed_chars: int) -> CanvasFrame | None:
        """The frame for ``draft``, or ``None`` when it is not its turn. A canvas without masks is always shown."""
        shown, looks = self._shown.get(draft.canvas), tuple(self._look(token) for token in draft.tokens)
        if shown is not None and not self._is_due(shown, draft, looks):
            return None
        self._shown[draft.canvas] = _Shown(draft.step, looks, draft.masked)
        before = (None,) * len(looks) if shown is None else shown.looks
        edits = tuple(
            (draft.start + offset, new)
            for offset, (old, new) in enumerate(zip(before, looks, strict=True))
            if old != new
        )
        snapshot = self._watch.format == "snapshot"
        return CanvasFrame(
            block=draft.canvas,
            step=draft.step,
            max_steps=self._max_steps(draft),
            masked=draft.masked,
            start=draft.start,
            length=len(looks),
            committed_chars=committed_chars,
            edits=None if snapshot else edits,
            text="".join(MASKED if look is None else look for look in looks) if snapshot else None,
        )

    def _is_due(self, shown: _Shown, draft: Draft, looks: tuple[str | None, ...]) -> bool:
        if draft.masked:
            return draft.step - shown.step >= self._watch.every
        return bool(shown.masked) or looks != shown.looks

    def _look(self, token: int) -> str | None:
        return None if token == self._spec.mask_token_id else self._text.token_text(token)

    def _max_steps(self, draft: Draft) -> int | None:
        """The bound that the client, the model or the number of masks sets to the steps of a canvas."""
        request, sampling = self._request, self._request.sampling
        if sampling.algorithm == "pipelined":
            return None
        opened = len(draft.tokens) if request.template is None else request.template.count(None)
        if sampling.algorithm == "capped_threshold":
            return opened
        begin = len(request.prompt) + draft.start
        start = begin if draft.canvas else first_start(request, self._spec)
        bound = Canvas(draft.canvas, start, begin + len(draft.tokens), opened).max_steps(request, self._spec)
        return bound + (sampling.max_post_steps if sampling.algorithm == "joint_threshold" else 0)
