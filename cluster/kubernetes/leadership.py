"""A candidate at work: a thread that keeps its Lease, and a question that is safe to ask at any moment."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http import HTTPStatus

from cluster.client.retries import RetryPolicy
from cluster.kubernetes.client import Kubernetes
from cluster.kubernetes.errors import Changed, KubernetesError
from cluster.kubernetes.lease import Bid, Election, Lease, Record, Timing
from cluster.kubernetes.objects import Object, part
from cluster.kubernetes.resources import LEASES

logger = logging.getLogger(__name__)

JITTER = 1.2
"""How much longer than the retry period a candidate may wait, as a share of it: so that they do not ask in step."""


class Leadership:
    """Whether this process leads those with the Lease ``name`` in ``namespace``."""

    def __init__(
        self,
        kubernetes: Kubernetes,
        namespace: str,
        name: str,
        election: Election,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._kubernetes = kubernetes
        self._namespace, self._name = namespace, name
        self._election = election
        self._clock, self._wall, self._draw = clock, wall, draw
        self._trouble = ""

    @property
    def holder(self) -> str:
        """The identity of the leader when the Lease was last seen; empty where there was none."""
        return self._election.holder

    def leads(self) -> bool:
        """Whether to act: to be asked before every write, since time alone can end it."""
        return self._election.leads(self._clock())

    def step(self) -> float:
        """Try once to get or to keep the Lease, and return after how many seconds to try again."""
        try:
            if self._election.must_read or not self.leads():
                self._election.read(self._read(), self._clock())
            bid = self._election.bid(self._clock(), self._wall())
            if bid is not None:
                self._write(bid)
            self._trouble = ""
        except KubernetesError as error:
            self._election.lost()
            self._tell(error)
        period = self._election.timing.retry_period
        return period if self.leads() else period * (1 + JITTER * self._draw())

    def resign(self) -> None:
        """Lead no longer. The others may lead at once, or when the Lease runs out if the API does not answer."""
        bid = self._election.resign(self._wall())
        if bid is not None:
            try:
                self._write(bid)
            except KubernetesError:
                self._election.lost()

    def _tell(self, error: KubernetesError) -> None:
        """Log what stands in the way, once for as long as it does. That another was faster is no trouble."""
        if not isinstance(error, Changed) and str(error) != self._trouble:
            self._trouble = str(error)
            logger.warning("the lease %s/%s: %s", self._namespace, self._name, error)

    def _read(self) -> Lease | None:
        try:
            found = self._kubernetes.get(LEASES, self._namespace, self._name)
        except KubernetesError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        return Lease(Record.read(part(found, "spec")), _version(found))

    def _write(self, bid: Bid) -> None:
        asked = self._clock()
        if bid.over is None:
            body = {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": self._name},
                "spec": bid.record.spec(),
            }
            written = self._kubernetes.create(LEASES, self._namespace, body)
        else:
            operations = (
                {"op": "test", "path": "/metadata/resourceVersion", "value": bid.over},
                {"op": "add", "path": "/spec", "value": bid.record.spec()},
            )
            written = self._kubernetes.patch(LEASES, self._namespace, self._name, operations)
        self._election.won(bid, _version(written), asked)


@contextmanager
def candidacy(
    kubernetes: Kubernetes, namespace: str, name: str, identity: str, timing: Timing | None = None
) -> Iterator[Leadership]:
    """Stand for election while the block runs, and let go of the Lease at its end.

    ``identity`` is this process's alone. The requests have the connection of ``kubernetes`` and the pace of ``timing``.
    """
    timing = timing or Timing()
    impatient = Kubernetes(kubernetes.api, retries=RetryPolicy(retries=0), read_seconds=timing.renew_deadline / 2)
    leadership = Leadership(impatient, namespace, name, Election(identity, timing))
    stopping = threading.Event()

    def stand() -> None:
        while not stopping.wait(leadership.step()):
            pass

    thread = threading.Thread(target=stand, name="candidacy", daemon=True)
    thread.start()
    try:
        yield leadership
    finally:
        stopping.set()
        thread.join()
        leadership.resign()


def _version(lease: Object) -> str:
    return str(part(lease, "metadata").get("resourceVersion", ""))
