"""An answer on a terminal."""

from __future__ import annotations

from collections.abc import Callable

from deployments.offline import CanvasFrame, Delta, Done, Output


class Painter:
    """Writes final text as it comes; when watching, the canvas of each step first and the whole text at the end."""

    def __init__(self, write: Callable[..., None], *, watch: bool) -> None:
        self._write, self._watch = write, watch
        self._text = ""

    def paint(self, output: Output) -> None:
        """Show one part of the answer."""
        match output:
            case Delta():
                self._text += output.text
                if not self._watch:
                    self._write(output.text, nl=False)
            case CanvasFrame():
                self._write(f"-- canvas {output.block}, step {output.step}, {output.masked} masked\n{output.text}")
            case Done():
                self._write(f"-- answer\n{self._text}" if self._watch else "")
                self._write(_summary(output), err=True)


def _summary(done: Done) -> str:
    work = done.work
    return (
        f"[{done.completion_tokens} tokens in {work.denoising_steps} denoising steps over {work.canvases} canvases, "
        f"{work.position_forwards} position-forwards, {work.tokens_per_forward:.1f} tokens per forward, {done.reason}]"
    )
