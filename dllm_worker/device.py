"""The device of this process."""

from __future__ import annotations

import torch


def use_threads(count: int) -> None:
    """Let CPU kernels of this process use ``count`` threads."""
    torch.set_num_threads(count)
