"""``dllm k8s capacity``."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from dataclasses import asdict
from typing import Annotated

import typer

from cluster.cli.durations import duration
from cluster.cli.k8s.reach import AsJson, Context, Namespace, Release, reached
from cluster.cli.table import table
from cluster.kubernetes.capacity import Unmet
from cluster.kubernetes.connection import Connection
from cluster.kubernetes.keeping import Keeping, keep
from cluster.kubernetes.settle import Settlement, settle
from cluster.kubernetes.shortage import Shortage

HEADER = ("group", "min", "max", "why")
Time = Annotated[float, typer.Option(parser=duration, metavar="TIME")]


def capacity(
    apply: Annotated[bool, typer.Option("--apply", help="Change the bounds of the worker groups.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Apply, and go on until a signal ends it.")] = False,
    elastic: Annotated[
        bool, typer.Option("--elastic", help="More nodes can be had than there are: they bound nothing.")
    ] = False,
    lease: Annotated[str, typer.Option(help="With --watch: the Lease by which one of several does the work.")] = (
        "dllm-capacity"
    ),
    interval: Annotated[
        float, typer.Option(parser=duration, metavar="TIME", help="With --watch: between two looks.")
    ] = "30s",  # type: ignore[assignment]
    patience: Annotated[
        float,
        typer.Option(parser=duration, metavar="TIME", help="A group whose pod waits so long for a node is short."),
    ] = "5m",  # type: ignore[assignment]
    hold: Annotated[
        float, typer.Option(parser=duration, metavar="TIME", help="With --watch: a short group is tried again after.")
    ] = "15m",  # type: ignore[assignment]
    context: Context = None,
    namespace: Namespace = None,
    release: Release = None,
    as_json: AsJson = False,
) -> None:
    """Show, or set, how many pods each worker group may have by what pools, nodes and quotas say, and why."""
    shortage = Shortage(patience, hold, {})
    with reached(context, namespace) as connection:
        if watch:
            _keep(connection, release, lease, shortage, interval, elastic)
            return
        found = settle(
            connection.kubernetes,
            connection.namespace,
            release,
            shortage,
            time.time(),
            elastic=elastic,
            may_write=lambda: apply,
        )
    typer.echo(json.dumps(_told(found)) if as_json else _text(found, apply))


def _keep(
    connection: Connection, release: str | None, lease: str, shortage: Shortage, interval: float, elastic: bool
) -> None:
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    identity = f"{socket.gethostname()}-{os.getpid()}"
    keeping = Keeping(connection.namespace, release, lease, identity, interval, elastic)
    keep(connection.kubernetes, keeping, shortage, _say, stopping)


def _say(found: Settlement | Exception) -> None:
    """A line for what a person would want to know afterwards; nothing for a look that changed nothing."""
    if isinstance(found, Exception):
        typer.echo(f"dllm: {found}", err=True)
    elif found.held is not None:
        typer.echo(f"{found.service}: left alone: {found.held}")
    elif found.patched and found.plan is not None:
        for each in found.plan.bounds:
            typer.echo(f"{found.service}: {each.group}: {each.least} to {each.most}: {'; '.join(each.reasons)}")


def _text(found: Settlement, apply: bool) -> str:
    if found.plan is None:
        return f"{found.service} is left alone: {found.held}."
    rows = [(each.group, each.least, each.most, "; ".join(each.reasons)) for each in found.plan.bounds]
    return "\n\n".join((table(HEADER, rows), *map(_lacking, found.plan.unmet), _verdict(found, apply)))


def _lacking(unmet: Unmet) -> str:
    kind = "that it always has" if unmet.is_floor else "that it may grow to"
    return f"{unmet.pool}: no room for {unmet.lacking} of the replicas {kind}: {'; '.join(unmet.reasons)}"


def _verdict(found: Settlement, apply: bool) -> str:
    if not found.differs:
        return f"{found.service} has these bounds."
    return f"{found.service} was given them." if found.patched else f"{found.service} has others; --apply sets them."


def _told(found: Settlement) -> dict[str, object]:
    plan = found.plan
    return {
        "service": found.service,
        "held": found.held,
        "differs": found.differs,
        "patched": found.patched,
        "bounds": [] if plan is None else [asdict(each) for each in plan.bounds],
        "unmet": [] if plan is None else [asdict(each) for each in plan.unmet],
    }
