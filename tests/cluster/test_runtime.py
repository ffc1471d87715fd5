from __future__ import annotations

import stat
from pathlib import Path

import pytest

from cluster.runtime import AlreadyRunning, RuntimeDirectory, UnsafeDirectory
from tests.cluster.clusters import running


@pytest.fixture
def runtime(tmp_path: Path) -> RuntimeDirectory:
    return RuntimeDirectory(tmp_path / "dllm")


def test_a_record_is_there_as_long_as_its_cluster(runtime: RuntimeDirectory) -> None:
    assert runtime.read() is None
    with runtime.hold():
        assert runtime.is_held()
        assert runtime.read() is None
        runtime.write(running())
        assert runtime.read() == running()
    assert not runtime.is_held()
    assert runtime.read() is None


def test_a_record_whose_process_was_killed_is_no_running_cluster(runtime: RuntimeDirectory) -> None:
    runtime.prepare()
    runtime.write(running())
    assert runtime.read() is None
    with runtime.hold():
        pass
    assert [path.name for path in runtime.path.iterdir()] == ["lock"]


def test_there_is_one_cluster_at_a_time(runtime: RuntimeDirectory) -> None:
    with runtime.hold():
        runtime.write(running())
        with pytest.raises(AlreadyRunning, match="dllm down"), runtime.hold():
            pass
        assert runtime.read() == running()


def test_waiting_ends_with_the_cluster_or_the_time(runtime: RuntimeDirectory) -> None:
    assert runtime.wait_until_gone(0)
    with runtime.hold():
        assert not runtime.wait_until_gone(0)


def test_only_the_owner_can_read_what_it_holds(runtime: RuntimeDirectory) -> None:
    runtime.prepare()
    runtime.write(running())
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (runtime.path, *runtime.path.iterdir())}
    assert modes == {"dllm": 0o700, "cluster.json": 0o600}


@pytest.mark.parametrize("mode", [0o777, 0o750])
def test_a_folder_that_others_can_enter_is_refused(runtime: RuntimeDirectory, mode: int) -> None:
    runtime.path.mkdir()
    runtime.path.chmod(mode)
    with pytest.raises(UnsafeDirectory), runtime.hold():
        pass


def test_a_link_in_place_of_the_folder_is_refused(runtime: RuntimeDirectory, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    runtime.path.symlink_to(elsewhere)
    with pytest.raises(UnsafeDirectory), runtime.hold():
        pass


@pytest.mark.parametrize(("variable", "parent"), [("/run/user/7", "/run/user/7"), ("", "/tmp")])
def test_each_user_has_a_folder(variable: str, parent: str) -> None:
    path = RuntimeDirectory.of_user({"XDG_RUNTIME_DIR": variable}).path
    assert path.parent == Path(parent)
    assert path.name.startswith("dllm-")
