"""An answer on a terminal."""

from __future__ import annotations

from collections.abc import Callable


class Painter:
    """Writes final text as it comes; when watching, the canvas of each step first and the whole text at the end."""

    def __init__(self, write: Callable[..., None], *, watch: bool) -> None:
        self._write, self._watch = write, watch
        self._text = ""

    def text(self, piece: str) -> None:
        """The answer goes on."""
        self._text += piece
        if not self._watch:
            self._write(piece, nl=False)

    def canvas(self, number: int, step: int, masked: int, text: str) -> None:
        """A canvas looks like this behind a step."""
        self._write(f"-- canvas {number}, step {step}, {masked} masked\n{text}")

    def end(self, summary: str) -> None:
        """The answer is whole."""
        self._write(f"-- answer\n{self._text}" if self._watch else "")
        self._write(summary, err=True)


def summary(
    *, tokens: int, steps: int, canvases: int, position_forwards: int, tokens_per_forward: float, reason: str
) -> str:
    """What an answer cost, and why it ended."""
    return (
        f"[{tokens} tokens in {steps} denoising steps over {canvases} canvases, "
        f"{position_forwards} position-forwards, {tokens_per_forward:.1f} tokens per forward, {reason}]"
    )
