from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict

from deployments.tenancy.ledger.export import COLUMNS, PIECE_BYTES, Format, exported
from deployments.tenancy.ledger.ledger import LedgerEntry
from tests.deployments.tenancy.ledger.entries import entry

FAILED = entry(
    "cmpl-2", model="org/tiny", status="failed", error_code="replicas_lost", created_at=1.0, ended_at=1.1, work=0
)

JSONL = (
    b'{"id":"cmpl-1","tenant":"acme","key":"k1","model":"tiny-code","endpoint":"/v1/completions","band":"default",'
    b'"status":"completed","created_at":1795348797.5,"ended_at":1795348800.0,"requests":1,"prompt_tokens":9,'
    b'"cached_tokens":4,"completion_tokens":64,"canvases":2,"denoising_steps":12,"forward_passes":15,'
    b'"position_forwards":400,"work":40,"error_code":null}\n'
    b'{"id":"cmpl-2","tenant":"acme","key":"k1","model":"org/tiny","endpoint":"/v1/completions","band":"default",'
    b'"status":"failed","created_at":1.0,"ended_at":1.1,"requests":1,"prompt_tokens":9,'
    b'"cached_tokens":4,"completion_tokens":64,"canvases":2,"denoising_steps":12,"forward_passes":15,'
    b'"position_forwards":400,"work":0,"error_code":"replicas_lost"}\n'
)
CSV = (
    b"id,tenant,key,model,endpoint,band,status,created_at,ended_at,requests,prompt_tokens,cached_tokens,"
    b"completion_tokens,canvases,denoising_steps,forward_passes,position_forwards,work,error_code\r\n"
    b"cmpl-1,acme,k1,tiny-code,/v1/completions,default,completed,1795348797.5,1795348800.0,1,9,4,64,2,12,15,400,40,\r\n"
    b"cmpl-2,acme,k1,org/tiny,/v1/completions,default,failed,1.0,1.1,1,9,4,64,2,12,15,400,0,replicas_lost\r\n"
)


async def pieces(entries: Sequence[LedgerEntry], form: Format) -> list[bytes]:
    async def given() -> AsyncIterator[LedgerEntry]:
        for each in entries:
            yield each

    return [piece async for piece in exported(given(), form)]


async def test_json_lines_to_the_byte() -> None:
    assert await pieces([entry(), FAILED], "jsonl") == [JSONL]
    assert await pieces([], "jsonl") == [b""]


async def test_csv_to_the_byte() -> None:
    assert await pieces([entry(), FAILED], "csv") == [CSV]
    assert await pieces([], "csv") == [CSV.splitlines(keepends=True)[0]]


async def test_values_with_the_signs_of_csv_are_quoted() -> None:
    odd = entry('a,"b"', model="c\r\nd")
    (written,) = await pieces([odd], "csv")
    assert b'\r\n"a,""b""",acme,k1,"c\r\nd",/v1/' in written
    (row,) = csv.DictReader(io.StringIO(written.decode(), newline=""))
    assert (row["id"], row["model"]) == (odd.id, odd.model)


async def test_large_numbers_and_fine_times_are_read_back_exactly() -> None:
    large = entry(work=2**60 + 1, created_at=1e9 + 1 / 3)
    (lines,) = await pieces([large], "jsonl")
    assert json.loads(lines) == asdict(large)
    (written,) = await pieces([large], "csv")
    (row,) = csv.DictReader(io.StringIO(written.decode(), newline=""))
    assert (int(row["work"]), float(row["created_at"])) == (large.work, large.created_at)
    assert tuple(row) == COLUMNS


async def test_a_long_export_comes_in_pieces_and_loses_nothing() -> None:
    many = [entry(f"cmpl-{number}") for number in range(2000)]
    for form in ("jsonl", "csv"):
        found = await pieces(many, form)
        assert len(found) > 2
        assert all(PIECE_BYTES <= len(piece) < PIECE_BYTES + 1000 for piece in found[:-1])
        lines = b"".join(found).splitlines()
        assert len(lines) == len(many) + (form == "csv")
