from __future__ import annotations

import pytest

from dllm_worker.interface import CheckpointError
from dllm_worker.request import Usage
from dllm_worker.simulated.checkpoint import SimulatedCheckpoint

CHECKPOINT = SimulatedCheckpoint("a", "0123456789abcdef", 2, 3, 41, Usage(5, 0, 41, 3, 9, 1, 2, 300, 7, 4))
BYTES = b'DLSC[2,"a","0123456789abcdef",2,3,41,[5,0,41,3,9,1,2,300,7,4]]\x8b\x12\x9f\xf1'


def test_the_layout_is_fixed() -> None:
    assert CHECKPOINT.to_bytes() == BYTES
    assert SimulatedCheckpoint.from_bytes(BYTES) == CHECKPOINT


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "no checkpoint"),
        (b"DLCP" + BYTES[4:], "no checkpoint"),
        (BYTES[:-6], "damaged"),
        (BYTES.replace(b"41", b"42"), "damaged"),
        (b'DLSC[1,"a","",0,0,0,[]]\xfa\xd0h\xad', "version 1"),
    ],
)
def test_other_bytes_are_refused(data: bytes, complaint: str) -> None:
    with pytest.raises(CheckpointError, match=complaint):
        SimulatedCheckpoint.from_bytes(data)
