from __future__ import annotations

import json
import logging
import multiprocessing
from pathlib import Path

import pytest

from deployments.telemetry.access_log import AccessLog, ErrorOutputLog, FileAccessLog, access_log_of

LINE = {
    "ts": "2026",
    "tenant": "sch\u00f6n\nb",
    "replicas": ["r1"],
    "queue_ms": None,
    "bytes": 7,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


def opened(path: Path) -> FileAccessLog:
    log = access_log_of(str(path))
    assert isinstance(log, FileAccessLog)
    return log


def lines(path: Path) -> list[object]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_is_one_object_whatever_is_in_it(path: Path) -> None:
    log = opened(path)
    log.write(LINE)
    log.write(LINE)
    log.close()
    assert path.read_bytes() == 2 * (
        b'{"ts":"2026","tenant":"sch\\u00f6n\\nb","replicas":["r1"],"queue_ms":null,"bytes":7}\n'
    )
    assert path.stat().st_mode & 0o077 & ~0o040 == 0


def test_lines_go_behind_those_that_are_there(path: Path) -> None:
    path.write_text('{"earlier":1}\n')
    log = opened(path)
    log.write(LINE)
    log.close()
    assert lines(path) == [{"earlier": 1}, LINE]


@pytest.mark.parametrize("replaced", [True, False])
def test_a_file_that_was_moved_away_is_left(path: Path, replaced: bool) -> None:
    log = opened(path)
    log.write(LINE)
    rotated = path.rename(path.with_suffix(".1"))
    if replaced:
        path.touch()
    log.write(LINE | {"bytes": 8})
    log.close()
    assert (lines(rotated), lines(path)) == ([LINE], [LINE | {"bytes": 8}])


def test_a_log_that_cannot_be_written_says_so_once_and_goes_on(
    path: Path, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    log = opened(tmp_path / "folder" / "access.log")
    with caplog.at_level(logging.WARNING):
        log.write(LINE)
        log.write(LINE)
    assert len(caplog.records) == 1
    (tmp_path / "folder").mkdir()
    log.write(LINE)
    log.close()
    assert lines(tmp_path / "folder" / "access.log") == [LINE]


def _write(path: Path, number: int) -> None:
    log: AccessLog = FileAccessLog(str(path))
    for _ in range(200):
        log.write({"bytes": number, "tenant": "x" * 1000})


def test_processes_do_not_mix_their_lines(path: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_write, args=(path, number)) for number in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    written = [json.loads(line)["bytes"] for line in path.read_text().splitlines()]
    assert [written.count(number) for number in range(3)] == [200, 200, 200]


def test_without_a_file_lines_go_to_the_error_output(capsys: pytest.CaptureFixture[str]) -> None:
    log = access_log_of(None)
    assert isinstance(log, ErrorOutputLog)
    log.write(LINE)
    assert json.loads(capsys.readouterr().err) == LINE
