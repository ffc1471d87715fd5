"""One line of JSON for each request, written when it is over. No line has what was asked or answered, or a key."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Protocol

logger = logging.getLogger(__name__)

Line = Mapping[str, str | int | float | list[str] | None]
"""The fields of a line by name."""


class AccessLog(Protocol):
    """Takes the lines; none of its failures reaches a request."""

    def write(self, line: Line) -> None:
        """Add a line."""


class MemoryAccessLog:
    """Keeps the lines; the twin that tests read."""

    def __init__(self) -> None:
        self.lines: list[Line] = []

    def write(self, line: Line) -> None:
        self.lines.append(line)


class ErrorOutputLog:
    """Writes to the error output of this process."""

    def write(self, line: Line) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.write(written(line))
            sys.stderr.flush()


class FileAccessLog:
    """Appends to the file at ``path``, which other processes may do too: a line is one write. A file that was moved
    away is left, and one made anew at ``path``.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = -1
        self._failed = False

    def write(self, line: Line) -> None:
        try:
            self._reopen_if_moved()
            os.write(self._file, written(line).encode())
            self._failed = False
        except OSError as error:
            if not self._failed:
                logger.warning("the access log cannot be written: %s", error)
            self._failed = True

    def close(self) -> None:
        """Leave the file; the next line opens it again."""
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def _reopen_if_moved(self) -> None:
        if self._file >= 0 and self._is_there():
            return
        self.close()
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)

    def _is_there(self) -> bool:
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(self._file))
        except FileNotFoundError:
            return False


def access_log_of(path: str | None) -> AccessLog:
    """The log in the file at ``path``, or without one on the error output."""
    return ErrorOutputLog() if path is None else FileAccessLog(path)


def written(line: Line) -> str:
    """The line in ASCII, its end included; what a client has sent cannot begin another one."""
    return json.dumps(line, separators=(",", ":")) + "\n"
