"""``dllm generate`` and ``dllm infill``: one answer from an engine in this process, without Ray."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from cluster.cli.output import fail
from cluster.terminal import Painter, summary
from deployments.config import ModelConfig
from deployments.errors import ServingError
from dllm_worker.models.checkpoint import LoadError

CheckpointOption = Annotated[str, typer.Option("--model", help="embedded:<name> or a local folder.")]
StepsOption = Annotated[int | None, typer.Option("--max-steps", help="Bound of the denoising steps of a canvas.")]
AlgorithmOption = Annotated[str | None, typer.Option("--algorithm", help="The sampler; the model's own by default.")]
ThresholdOption = Annotated[float | None, typer.Option("--threshold", help="Confidence from which tokens are kept.")]
TemperatureOption = Annotated[float | None, typer.Option("--temperature")]
SeedOption = Annotated[int | None, typer.Option("--seed")]
WatchOption = Annotated[bool, typer.Option("--watch", help="Show the canvas after each step.")]


def generate(
    prompt: str,
    model: CheckpointOption = "embedded:tiny-code",
    suffix: Annotated[str | None, typer.Option(help="Write what stands between the prompt and this text.")] = None,
    max_tokens: Annotated[int, typer.Option(help="Length of the answer, at most.")] = 64,
    max_steps: StepsOption = None,
    algorithm: AlgorithmOption = None,
    threshold: ThresholdOption = None,
    temperature: TemperatureOption = None,
    seed: SeedOption = None,
    watch: WatchOption = False,
) -> None:
    """Continue a text."""
    body = {"prompt": prompt, "suffix": suffix, "max_tokens": max_tokens, "temperature": temperature, "seed": seed}
    _print(model, "completions", body | _diffusion(max_steps, algorithm, threshold, watch), watch)


def infill(
    template: str,
    model: CheckpointOption = "embedded:tiny-code",
    hole: Annotated[str, typer.Option(help="The text that marks a hole.")] = "{{hole}}",
    hole_tokens: Annotated[int, typer.Option(help="Tokens of a hole, at most.")] = 16,
    max_steps: StepsOption = None,
    algorithm: AlgorithmOption = None,
    threshold: ThresholdOption = None,
    temperature: TemperatureOption = None,
    seed: SeedOption = None,
    watch: WatchOption = False,
) -> None:
    """Fill the holes of a template."""
    body = {"template": template, "hole": hole, "hole_tokens": hole_tokens, "temperature": temperature, "seed": seed}
    _print(model, "infill", body | _diffusion(max_steps, algorithm, threshold, watch), watch)


def _diffusion(max_steps: int | None, algorithm: str | None, threshold: float | None, watch: bool) -> dict[str, Any]:
    options = {"max_steps": max_steps, "algorithm": algorithm, "confidence_threshold": threshold}
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    if watch:
        given |= {"stream": "canvas", "canvas_format": "snapshot"}
    return {"diffusion": given, "stream": watch}


def _print(checkpoint: str, endpoint: str, body: Mapping[str, Any], watch: bool) -> None:
    try:
        asyncio.run(_paint(ModelConfig(id="local", checkpoint=checkpoint), endpoint, body, watch))
    except LoadError as error:
        fail(str(error))
    except ServingError as error:
        fail(f"{error.parameter}: {error}" if error.parameter else str(error))


async def _paint(config: ModelConfig, endpoint: str, body: Mapping[str, Any], watch: bool) -> None:
    # The tokenizer library takes a second to import, which the other commands do not need.
    from deployments.offline import CanvasFrame, Delta, Done, answer

    painter = Painter(typer.echo, watch=watch)
    async for output in answer(config, endpoint, body):
        match output:
            case Delta():
                painter.text(output.text)
            case CanvasFrame():
                painter.canvas(output.block, output.step, output.masked, output.text or "")
            case Done():
                work = output.work
                told = summary(
                    tokens=output.completion_tokens,
                    steps=work.denoising_steps,
                    canvases=work.canvases,
                    position_forwards=work.position_forwards,
                    tokens_per_forward=work.tokens_per_forward,
                    reason=output.reason,
                )
                painter.end(told)
