"""What a nemesis reads of replicas, and whom it may hit."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.chaos.notes import COUNT, Notes, Replica
from tests.chaos.processes import descendants, signal_descendant, titled


def write(folder: Path, pid: int, *, ready: bool = True) -> Path:
    home = folder / str(pid)
    (home / "running").mkdir(parents=True)
    if ready:
        (home / "ready").write_text("m")
    return home


def test_notes_are_read_as_they_are_written(tmp_path: Path) -> None:
    notes = Notes(tmp_path)
    home = write(tmp_path, 17)
    write(tmp_path, 18, ready=False)
    (tmp_path / "19").mkdir()
    (home / "running" / "a").touch()
    (home / "positions").write_bytes(COUNT.pack(1234))
    assert notes.replicas() == [Replica(17, "m", frozenset({"a"}), 1234), Replica(18, "", frozenset(), 0)]
    assert notes.replica(17).running == {"a"}


def test_the_runs_of_all_replicas_are_put_in_order(tmp_path: Path) -> None:
    (write(tmp_path, 17) / "runs").write_text("3.5 a\n9.0 b\n")
    (write(tmp_path, 18) / "runs").write_text("1.5 a\n")
    assert Notes(tmp_path).runs() == {"a": [1.5, 3.5], "b": [9.0]}


def test_doom_waits_for_somebody_or_is_taken_back(tmp_path: Path) -> None:
    notes = Notes(tmp_path)
    assert not notes.doomed
    notes.doom(3)
    assert notes.doomed
    notes.spare()
    assert not notes.doomed


def test_only_descendants_are_hit() -> None:
    with pytest.raises(ProcessLookupError):
        signal_descendant(os.getppid(), signal.SIGCONT)
    child = subprocess.Popen(["/bin/sleep", "60"])
    assert descendants()[child.pid] == "/bin/sleep 60"
    assert titled("/bin/sleep") == [child.pid]
    signal_descendant(child.pid, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert child.pid not in descendants()
