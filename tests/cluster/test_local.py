from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import ConnectionError

from cluster.local import PortTaken, base_url, run, tenants_by_key, with_port
from cluster.runtime import RunningCluster, RuntimeDirectory
from deployments.config import ClusterConfig
from tests.cluster.clusters import KEY, configuration


def nothing() -> None:
    """What a hosting does when nothing is asked of it."""


def interrupt() -> None:
    signal.raise_signal(signal.SIGTERM)


@dataclass
class RecordedHosting:
    """The twin of Ray: it says what it was given and when it ended. ``starting`` and ``ending`` run on the way."""

    starting: Callable[[], None] = nothing
    ending: Callable[[], None] = nothing
    served: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    ended: int = 0

    def __call__(self, config: ClusterConfig, state_url: str, keys: Mapping[str, str]) -> AbstractContextManager[None]:
        return self._serve(state_url, keys)

    @contextmanager
    def _serve(self, state_url: str, keys: Mapping[str, str]) -> Iterator[None]:
        try:
            self.starting()
            self.served.append((state_url, keys))
            yield
        finally:
            self.ending()
            self.ended += 1


@pytest.fixture
def runtime(tmp_path: Path) -> RuntimeDirectory:
    return RuntimeDirectory(tmp_path / "dllm")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_a_signal_and_leaves_nothing(runtime: RuntimeDirectory, number: signal.Signals) -> None:
    hosting, announced = RecordedHosting(), list[RunningCluster | None]()
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    def announce(running: RunningCluster) -> None:
        announced.extend((running, runtime.read()))
        with Redis.from_url(running.state_url) as client:
            assert client.ping()
        signal.raise_signal(number)

    run(configuration("embedded"), runtime, hosting, announce)
    running, published = announced
    assert running is not None
    assert running.ready
    assert running == published
    assert hosting.served == [(running.state_url, {KEY: "acme"})]
    assert hosting.ended == 1
    assert not runtime.is_held()
    assert handlers == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(ConnectionError), Redis.from_url(running.state_url, retry=None) as client:
        client.ping()


def test_a_signal_during_the_start_ends_it(runtime: RuntimeDirectory) -> None:
    hosting, announced = RecordedHosting(starting=interrupt), list[RunningCluster]()
    run(configuration(), runtime, hosting, announced.append)
    assert (hosting.served, hosting.ended, announced) == ([], 1, [])
    assert not runtime.is_held()


def test_a_signal_whose_exception_was_lost_still_ends_it(runtime: RuntimeDirectory) -> None:
    def lose_it() -> None:
        with contextlib.suppress(KeyboardInterrupt):
            interrupt()

    hosting = RecordedHosting(starting=lose_it)
    run(configuration(), runtime, hosting, lambda running: None)
    assert hosting.ended == 1


def test_a_second_signal_leaves_the_clean_up_alone(runtime: RuntimeDirectory) -> None:
    hosting = RecordedHosting(ending=interrupt)
    run(configuration(), runtime, hosting, lambda running: interrupt())
    assert hosting.ended == 1


def test_until_it_is_ready_the_record_says_so(runtime: RuntimeDirectory) -> None:
    seen = list[RunningCluster | None]()
    hosting = RecordedHosting(starting=lambda: seen.append(runtime.read()))
    run(configuration(), runtime, hosting, lambda running: interrupt())
    assert [running.ready for running in seen if running] == [False]


def test_a_failing_start_is_reported_and_leaves_nothing(runtime: RuntimeDirectory) -> None:
    def fail() -> None:
        raise RuntimeError("no such checkpoint")

    with pytest.raises(RuntimeError, match="no such checkpoint"):
        run(configuration(), runtime, RecordedHosting(starting=fail), lambda running: None)
    assert not runtime.is_held()


def test_a_port_that_is_taken_is_refused_before_anything_starts(runtime: RuntimeDirectory) -> None:
    taken = with_port(configuration())
    hosting = RecordedHosting()
    with socket.create_server((taken.http.host, taken.http.port)), pytest.raises(PortTaken, match="Address already"):
        run(taken, runtime, hosting, lambda running: interrupt())
    assert hosting.served == []


def test_without_keys_there_is_one_for_development() -> None:
    ((key, tenant),) = tenants_by_key(ClusterConfig()).items()
    assert key.startswith("dllm_dev_")
    assert tenant == "dev"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000/v1"),
        ("0.0.0.0", "http://127.0.0.1:8000/v1"),  # noqa: S104
        ("::1", "http://[::1]:8000/v1"),
    ],
)
def test_the_base_url_is_one_that_can_be_reached(host: str, url: str) -> None:
    assert base_url(ClusterConfig.model_validate({"http": {"host": host}})) == url
