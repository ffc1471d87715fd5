"""The metrics of all processes as one exposition."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from deployments.telemetry.exposition import PATH
from deployments.telemetry.names import METRICS_PROCESSES
from deployments.telemetry.prometheus import PrometheusMetrics
from deployments.telemetry.targets import Target, Targets

logger = logging.getLogger(__name__)

LIMIT_SECONDS = 1.0
"""The longest that a process may say nothing, and that the list of processes may take."""

AT_ONCE = 16

FAILURES = 2
"""A process that fails so often in a row is taken for dead. Should it live, it announces itself again."""

END = "# EOF"


class Collection:
    """Asks ``AT_ONCE`` of the ``targets`` at a time. One that does not answer is missing from the exposition.

    All of it happens beside the event loop, which has answers to stream.
    """

    def __init__(self, targets: Targets) -> None:
        self._targets, self._known = targets, tuple[Target, ...]()
        self._failures: Counter[Target] = Counter()
        self._looking: asyncio.Task[tuple[Target, ...]] | None = None
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="collection")

    async def collect(self, accept: str) -> tuple[str, str]:
        """The type of the content that suits ``accept`` best, and the content."""
        encode, content_type = choose_encoder(accept)
        targets = await self._look()
        asking = asyncio.get_running_loop().run_in_executor
        answers = await asyncio.gather(*(asking(self._threads, _answer, target, content_type) for target in targets))
        failed = [target for target, answer in zip(targets, answers, strict=True) if answer is None]
        await self._forget(failed)
        own = PrometheusMetrics(CollectorRegistry())
        own.record(METRICS_PROCESSES, len(targets) - len(failed), state="answered")
        own.record(METRICS_PROCESSES, len(failed), state="failed")
        texts = [encode(own.registry).decode(), *(answer for answer in answers if answer is not None)]
        return content_type, await asyncio.to_thread(merged, texts)

    async def _look(self) -> tuple[Target, ...]:
        """The targets there are; the last ones known while the list cannot be read."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(asyncio.to_thread(self._targets.all))
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                self._known = await asyncio.shield(self._looking)
        except Exception as error:
            logger.warning("the processes with metrics cannot be listed: %r", error)
        return self._known

    async def _forget(self, failed: Sequence[Target]) -> None:
        """Remove the targets that have failed too often."""
        self._failures = Counter({target: self._failures[target] + 1 for target in failed})
        for target, times in self._failures.items():
            if times >= FAILURES:
                logger.warning("%s gives no metrics and is taken for dead", target.process)
                await asyncio.to_thread(self._targets.remove, target)


def _answer(target: Target, content_type: str) -> str | None:
    """The exposition of ``target``, if there is one of that type."""
    headers = {"Accept": content_type, "Authorization": f"Bearer {target.token}"}
    try:
        with closing(HTTPConnection(target.address, timeout=LIMIT_SECONDS)) as connection:
            connection.request("GET", PATH, headers=headers)
            response = connection.getresponse()
            text = response.read().decode()
    except (OSError, HTTPException, UnicodeError) as error:
        logger.info("no metrics of %s: %r", target.process, error)
        return None
    answered = response.status == HTTPStatus.OK and response.headers["Content-Type"] == content_type
    return text if answered else None


def merged(texts: Iterable[str]) -> str:
    """Expositions of the same format as one, in which each family of metrics is in one piece.

    No two may have the same series. What is said of a family is taken from the first that has it.
    """
    heads: defaultdict[str, list[str]] = defaultdict(list)
    samples: defaultdict[str, list[str]] = defaultdict(list)
    end, name = "", ""
    for text in texts:
        known = set(heads)
        # Not splitlines(): a label may hold what Unicode takes for the end of a line.
        for line in filter(None, text.split("\n")):
            if line == END:
                end = line
            elif line.startswith("# "):
                name = line.split(" ", 3)[2]
                if name not in known:
                    heads[name].append(line)
            else:
                samples[name].append(line)
    whole = [line for name in heads for line in (*heads[name], *samples[name])]
    return "\n".join([*whole, *filter(None, [end]), ""])
