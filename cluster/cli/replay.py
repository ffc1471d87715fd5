"""``dllm autoscale replay``."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Annotated

import typer

from cluster.autoscaling.charts import save_chart, terminal_chart
from cluster.autoscaling.course import Course, Summary
from cluster.autoscaling.replay import Decide, Synthetic, over_trace, simulate
from cluster.autoscaling.serve_rule import ServeRule
from cluster.autoscaling.settings import with_settings
from cluster.autoscaling.shapes import SHAPES
from cluster.cli.output import fail
from cluster.cli.reach import AsJson
from cluster.cli.table import table
from deployments.autoscaling.config import AutoscalingConfig, ScalingConfig
from deployments.autoscaling.decide import decide
from deployments.autoscaling.policies.named import policy_named
from deployments.autoscaling.trace import Trace, read_trace

SERVE = "serve"
"""As a policy: Ray Serve's own rule."""

HEADER = tuple(field.name.replace("_", " ") for field in fields(Summary))


def replay(
    trace: Annotated[Path | None, typer.Argument(help="A file of `dllm autoscale trace`.")] = None,
    synthetic: Annotated[str | None, typer.Option(help=f"A virtual pool instead: {', '.join(SHAPES)}.")] = None,
    policy: Annotated[str | None, typer.Option(help=f"Instead of the pools' own; {SERVE} is Ray Serve's rule.")] = None,
    against: Annotated[list[str] | None, typer.Option(help="Another policy beside it; may be repeated.")] = None,
    ongoing: Annotated[float, typer.Option(help=f"Requests that {SERVE} wants at each replica.", min=0.001)] = 2.0,
    settings: Annotated[list[str] | None, typer.Option("--set", help="As wait_seconds=1; may be repeated.")] = None,
    least: Annotated[int, typer.Option(help="Replicas of the virtual pool.", min=0)] = 1,
    most: Annotated[int, typer.Option(help="The same.", min=1)] = 12,
    peak: Annotated[float, typer.Option(help="Its highest demand, in replicas.", min=0.001)] = 6.0,
    seconds: Annotated[float, typer.Option(help="How long it is watched.", min=1)] = 1800.0,
    seed: Annotated[int, typer.Option(help="Of its requests.")] = 0,
    png: Annotated[Path | None, typer.Option(help="Draw into this file.")] = None,
    output: Annotated[Path | None, typer.Option(help="Write the first policy's samples and decisions here.")] = None,
    json: AsJson = False,
) -> None:
    """Say what a policy would have done, and what that would have cost."""
    if (trace is None) == (synthetic is None):
        fail("give a trace, or a shape with --synthetic")
    names = [policy, *(against or [])]
    try:
        if trace is not None:
            recorded = _read(trace)
            courses = [_replayed(recorded, name, settings or [], ongoing) for name in names]
        else:
            if least > most:
                fail("--least is above --most")
            virtual = Synthetic(_shape(synthetic or ""), seconds, peak, least, most, seed=seed)
            courses = [_simulated(virtual, name, settings or [], ongoing) for name in names]
        if png:
            save_chart(courses, png)
        if output:
            output.write_text("".join(f"{line}\n" for line in courses[0].trace.lines()), encoding="utf-8")
    except (OSError, ValueError) as error:
        fail(str(error))
    typer.echo(_json(courses) if json else _text(courses))


def _read(file: Path) -> Trace:
    with file.open(encoding="utf-8") as lines:
        trace = read_trace(lines)
    if not trace.specs or not any(trace.samples.get(pool) for pool in trace.specs):
        raise ValueError(f"{file}: there are no samples of any pool")
    return trace


def _shape(name: str) -> str:
    if name not in SHAPES:
        raise ValueError(f"{name} is no shape; these are: {', '.join(SHAPES)}")
    return name


def _replayed(trace: Trace, policy: str | None, settings: Sequence[str], ongoing: float) -> Course:
    chosen = {pool: _scaling(spec.scaling, policy, settings) for pool, spec in trace.specs.items()}
    specs = {pool: replace(spec, scaling=chosen[pool]) for pool, spec in trace.specs.items()}
    own = ", ".join(sorted({scaling.policy for scaling in chosen.values()}))
    return over_trace(policy or own, _rule(policy, ongoing), replace(trace, specs=specs), AutoscalingConfig())


def _simulated(synthetic: Synthetic, policy: str | None, settings: Sequence[str], ongoing: float) -> Course:
    scaling = _scaling(ScalingConfig(), policy, settings)
    name = scaling.policy if policy is None else policy
    return simulate(name, _rule(policy, ongoing), synthetic, scaling, AutoscalingConfig())


def _scaling(scaling: ScalingConfig, policy: str | None, settings: Sequence[str]) -> ScalingConfig:
    changed = with_settings(scaling, settings)
    if policy is None or policy == SERVE:
        policy_named(changed.policy)
        return changed
    policy_named(policy)
    return changed.model_copy(update={"policy": policy})


def _rule(policy: str | None, ongoing: float) -> Decide:
    return ServeRule(ongoing) if policy == SERVE else decide


def _json(courses: Sequence[Course]) -> str:
    return json.dumps(
        [
            asdict(course.summary())
            | {"decisions": [{"at": at, "pool": pool, "text": text} for at, pool, text in course.explained()]}
            for course in courses
        ]
    )


def _text(courses: Sequence[Course]) -> str:
    columns = shutil.get_terminal_size((100, 40)).columns
    chart = terminal_chart(courses, columns, colours=sys.stdout.isatty())
    rows = [tuple(asdict(course.summary()).values()) for course in courses]
    changes = [(f"{at:.0f}", course.policy, pool, text) for course in courses for at, pool, text in course.explained()]
    why = table(("at", "policy", "pool", "why"), changes)
    return f"{chart}\n\n{table(HEADER, rows)}\n\n{why}"
