"""Probes as the kubelet makes them: from the node's side of the network, or inside the container."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

Json = dict[str, Any]
Enter = Callable[[Sequence[str]], Sequence[str]]
"""The command that runs another one inside the container."""


async def succeeds(probe: Json, address: str, ports: dict[str, int], enter: Enter, environment: dict[str, str]) -> bool:
    """Whether ``probe`` succeeds in its time, at a pod whose named ``ports`` are those. Raises for a kind that the
    kubelet knows and this one does not.
    """
    try:
        async with asyncio.timeout(probe.get("timeoutSeconds", 1)):
            if "exec" in probe:
                return await _run(enter(probe["exec"]["command"]), environment)
            if "httpGet" in probe:
                wanted = probe["httpGet"]
                return await _get(address, port_of(wanted["port"], ports), wanted.get("path", "/"))
            if "tcpSocket" in probe:
                return await _connect(address, port_of(probe["tcpSocket"]["port"], ports))
    except (OSError, TimeoutError):
        return False
    raise NotImplementedError(f"a probe by {', '.join(probe)}")


def port_of(port: int | str, ports: dict[str, int]) -> int:
    """A port that may be named."""
    return ports[port] if isinstance(port, str) else port


async def _get(address: str, port: int, path: str) -> bool:
    reader, writer = await asyncio.open_connection(address, port)
    try:
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: kube-probe\r\nConnection: close\r\n\r\n".encode()
        )
        status = (await reader.readline()).split()
        return len(status) > 1 and 200 <= int(status[1]) < 400
    finally:
        writer.transport.abort()


async def _connect(address: str, port: int) -> bool:
    _, writer = await asyncio.open_connection(address, port)
    writer.transport.abort()
    return True


async def _run(command: Sequence[str], environment: dict[str, str]) -> bool:
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, stdin=quiet, stdout=quiet, stderr=quiet, env=environment)
    try:
        return await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
