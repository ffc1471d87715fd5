"""The canvas as a watching client sees it: provisional, and apart from the text of the answer.

A canvas of a frame's ``length`` positions begins at ``start``, counted in tokens from the end of the prompt, with
every position masked. A snapshot shows all of it, one U+2591 for each masked position. A patch lists the positions
whose text changed since the last frame of that canvas; a ``null`` text is masked again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deployments.gateway.diffusion import Watch
from dllm_worker.request import Draft, Request

if TYPE_CHECKING:
    from dllm_worker.text import Text

MASKED = "\N{LIGHT SHADE}"


@dataclass(frozen=True, slots=True)
class CanvasFrame:
    """One view of a canvas; either ``text`` or ``edits`` is set."""

    block: int
    step: int
    max_steps: int
    masked: int
    start: int
    length: int
    committed_chars: int
    edits: tuple[tuple[int, str | None], ...] | None = None
    text: str | None = None

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


class CanvasView:
    """Remembers what the client was last shown."""

    def __init__(self, watch: Watch, request: Request, text: Text, mask_token_id: int) -> None:
        self._watch, self._request, self._text, self._mask = watch, request, text, mask_token_id
        self._canvas = -1
        self._step = 0
        self._shown: list[str | None] = []

    def frame(self, draft: Draft, committed_chars: int) -> CanvasFrame | None:
        """The frame for ``draft``, or ``None`` when it is not its turn. A settled canvas is always shown."""
        opened = draft.canvas != self._canvas
        if not opened and draft.masked and draft.step - self._step < self._watch.every:
            return None
        before: list[str | None] = [None] * len(draft.tokens) if opened else self._shown
        self._canvas, self._step, self._shown = draft.canvas, draft.step, [self._look(token) for token in draft.tokens]
        edits = tuple(
            (draft.start + offset, new)
            for offset, (old, new) in enumerate(zip(before, self._shown, strict=True))
            if old != new
        )
        snapshot = self._watch.format == "snapshot"
        return CanvasFrame(
            block=draft.canvas,
            step=draft.step,
            max_steps=self._max_steps(draft),
            masked=draft.masked,
            start=draft.start,
            length=len(draft.tokens),
            committed_chars=committed_chars,
            edits=None if snapshot else edits,
            text="".join(MASKED if look is None else look for look in self._shown) if snapshot else None,
        )

    def _look(self, token: int) -> str | None:
        return None if token == self._mask else self._text.token_text(token)

    def _max_steps(self, draft: Draft) -> int:
        """The step bound of a canvas: the client's, and one step for each position that it opened with a mask."""
        opened = len(draft.tokens) if self._request.template is None else self._request.template.count(None)
        return min(self._request.sampling.max_steps or opened, opened)
