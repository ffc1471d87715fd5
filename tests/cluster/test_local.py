from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr
from redis import Redis
from redis.exceptions import ConnectionError

from cluster.local import PortTaken, completed, record_of, run, with_access_log
from cluster.runtime import RunningCluster, RuntimeDirectory
from deployments.config import AdminConfig, ClusterConfig
from deployments.document import ConfigError
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
    served: list[tuple[ClusterConfig, str]] = field(default_factory=list)
    ended: int = 0

    def __call__(self, config: ClusterConfig, state_url: str) -> AbstractContextManager[None]:
        return self._serve(config, state_url)

    @contextmanager
    def _serve(self, config: ClusterConfig, state_url: str) -> Iterator[None]:
        try:
            self.starting()
            self.served.append((config, state_url))
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
    ((config, state_url),) = hosting.served
    assert state_url == running.state_url
    assert (running.api_key, base_port(running)) == (KEY, config.http.port)
    assert (running.admin_key, running.admin_url) == (opened(config.admin.key), f"http://127.0.0.1:{config.admin.port}")
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
    for section in ("http", "admin", "grpc"):
        taken, hosting = completed(configuration()), RecordedHosting()
        port = getattr(taken, section).port
        with socket.create_server(("127.0.0.1", port)), pytest.raises(PortTaken, match="Address already"):
            run(taken, runtime, hosting, lambda running: interrupt())
        assert hosting.served == []


def test_without_keys_there_is_one_for_development(caplog: pytest.LogCaptureFixture) -> None:
    config = completed(ClusterConfig.model_validate({"http": {"port": 0}, "grpc": {"port": 0}, "admin": {"port": 0}}))
    (entry,) = config.keys
    assert opened(entry.key).startswith("dllm_dev_")
    assert entry.tenant == "dev"
    assert config.grpc.reflection
    assert "no key is configured" in caplog.text


def test_a_cluster_with_keys_gets_no_other_and_no_reflection() -> None:
    config = completed(configuration())
    assert [opened(entry.key) for entry in config.keys] == [KEY]
    assert config.grpc.reflection is None


def test_an_admin_key_is_made_unless_there_is_one() -> None:
    made = opened(completed(configuration()).admin.key)
    assert made != opened(completed(configuration()).admin.key)
    own = configuration().model_copy(update={"admin": AdminConfig(port=0, key=SecretStr("an-admin-key-of-mine"))})
    assert opened(completed(own).admin.key) == "an-admin-key-of-mine"


def test_an_admin_key_may_be_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("an-admin-key-of-mine\n")
    config = configuration().model_copy(update={"admin": AdminConfig(port=0, key_file=str(file))})
    assert record_of(completed(config), "redis://localhost", None).admin_key == "an-admin-key-of-mine"
    for content in (b"short", "caf\u00e9".encode("latin-1")):
        file.write_bytes(content)
        with pytest.raises(ConfigError, match=r"admin\.key_file"):
            completed(config)
    file.unlink()
    with pytest.raises(ConfigError, match=r"admin\.key_file"):
        completed(config)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000/v1"),
        ("0.0.0.0", "http://127.0.0.1:8000/v1"),  # noqa: S104
        ("::1", "http://[::1]:8000/v1"),
    ],
)
def test_the_base_url_is_one_that_can_be_reached(host: str, url: str) -> None:
    config = ClusterConfig.model_validate({"http": {"host": host}})
    assert record_of(config, "redis://127.0.0.1", None).base_url == url


def opened(key: SecretStr | None) -> str:
    assert key is not None
    return key.get_secret_value()


def base_port(running: RunningCluster) -> int | None:
    return urlsplit(running.base_url).port


@pytest.mark.parametrize("named", [True, False])
def test_requests_are_logged_in_the_runtime_folder_unless_a_file_is_named(
    runtime: RuntimeDirectory, named: bool
) -> None:
    config, hosting, announced = configuration(), RecordedHosting(), list[RunningCluster]()
    if named:
        telemetry = config.telemetry.model_copy(update={"access_log": "/elsewhere/requests.log"})
        config = config.model_copy(update={"telemetry": telemetry})

    def announce(running: RunningCluster) -> None:
        announced.append(running)
        interrupt()

    run(config, runtime, hosting, announce)
    expected = "/elsewhere/requests.log" if named else str(runtime.path / "access.log")
    ((served, _),) = hosting.served
    assert served.telemetry.access_log == announced[0].access_log == expected


def test_a_cluster_on_other_machines_logs_where_its_gateways_are(runtime: RuntimeDirectory) -> None:
    config = configuration()
    remote = config.model_copy(update={"ray": config.ray.model_copy(update={"address": "ray://elsewhere:10001"})})
    assert with_access_log(remote, runtime).telemetry.access_log is None
