"""Ledger entries as JSON Lines and as CSV, piece by piece."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import asdict, astuple, fields
from typing import Literal

from deployments.tenancy.ledger.ledger import LedgerEntry

Format = Literal["jsonl", "csv"]

MEDIA_TYPES: dict[Format, str] = {"jsonl": "application/jsonl", "csv": "text/csv; charset=utf-8; header=present"}
COLUMNS = tuple(field.name for field in fields(LedgerEntry))
PIECE_BYTES = 1 << 16


async def exported(entries: AsyncIterable[LedgerEntry], form: Format) -> AsyncIterator[bytes]:
    """The whole export in pieces of about ``PIECE_BYTES``, of which there is always one, if an empty one.

    A line of CSV has the values in the order of ``COLUMNS``, which the first line names, and ends as RFC 4180 says.
    Numbers are written so that they are read back exactly; a missing error code is ``null`` or empty. All names and
    ids begin with a letter or a digit, so that no program takes one for a formula.
    """
    piece = bytearray(_csv_line(COLUMNS) if form == "csv" else b"")
    async for entry in entries:
        piece += _csv_line(astuple(entry)) if form == "csv" else _json_line(entry)
        if len(piece) >= PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)


def _json_line(entry: LedgerEntry) -> bytes:
    return json.dumps(asdict(entry), separators=(",", ":")).encode() + b"\n"


def _csv_line(values: tuple[object, ...]) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(values)
    return line.getvalue().encode()
