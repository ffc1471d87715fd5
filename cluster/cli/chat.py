"""``dllm chat``."""

from __future__ import annotations

from typing import Annotated

import typer

from cluster.cli.output import fail
from cluster.cli.reach import BaseUrl, tenant_client
from cluster.client.calls import Parameters, Terms
from cluster.client.client import Client
from cluster.client.connection import Stream
from cluster.client.events import CanvasFrame, Finished, TextDelta, Used
from cluster.terminal import Painter, summary


def chat(
    context: typer.Context,
    prompt: str,
    model: Annotated[str | None, typer.Option(help="The first one that the key may use, if none is named.")] = None,
    system: Annotated[str | None, typer.Option(help="What the model is told first.")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Length of the answer, at most.")] = None,
    temperature: Annotated[float | None, typer.Option()] = None,
    seed: Annotated[int | None, typer.Option()] = None,
    effort: Annotated[str | None, typer.Option(help="instant, low, medium or high.")] = None,
    deadline: Annotated[float | None, typer.Option(help="Seconds that the answer may take.")] = None,
    canvas: Annotated[bool, typer.Option("--canvas", help="Show the canvas after each step.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Have the answer stored, and go on when the connection is cut off.")
    ] = False,
    base_url: BaseUrl = None,
) -> None:
    """Ask a cluster, and write the answer as it comes."""
    messages = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": prompt})
    given = {"max_tokens": max_tokens, "temperature": temperature, "seed": seed, "reasoning_effort": effort}
    parameters = Parameters(**{name: value for name, value in given.items() if value is not None})  # type: ignore[typeddict-item]
    if canvas:
        parameters["diffusion"] = {"stream": "canvas", "canvas_format": "snapshot"}
    with tenant_client(context, base_url) as client:
        terms = Terms(deadline_seconds=deadline)
        stream = client.stream_chat(messages, model or _first_model(client), terms=terms, resume=resume, **parameters)
        with stream:
            _paint(stream, Painter(typer.echo, watch=canvas))


def _first_model(client: Client) -> str:
    models = client.models().data
    if not models:
        fail("the key may use no model")
    return models[0].id


def _paint(stream: Stream, painter: Painter) -> None:
    reason = ""
    for event in stream:
        match event:
            case TextDelta():
                painter.text(event.text)
            case CanvasFrame():
                painter.canvas(event.block, event.step, event.masked, event.text or "")
            case Finished():
                reason = "deadline" if event.is_late else event.reason
            case Used():
                work = event.usage.diffusion
                told = summary(
                    tokens=event.usage.completion_tokens,
                    steps=work.denoising_steps,
                    canvases=work.canvases,
                    position_forwards=work.position_forwards,
                    tokens_per_forward=work.tokens_per_forward,
                    reason=reason,
                )
                painter.end(told)
