"""Products of a fixed number of rows, so that a row's bits depend on nothing but the row.

A matrix product chooses its kernel, and with it the order in which it adds, by its shape. When every product has the
same number of rows, no choice is left: in bf16 and fp32, with any number of threads, a row comes out equal wherever it
lies in a tile and whatever lies beside it.
"""

from __future__ import annotations

from torch import Tensor, nn

from dllm_worker.models.blocks import FullPrecision, GatedMLP
from dllm_worker.models.experts import Mixture
from dllm_worker.models.packing import PackedGatedMLP, PackedLinear
from dllm_worker.models.transformer import Network
from dllm_worker.shapes import ROW_TILE, in_tiles


def tile(network: Network) -> None:
    """Let every product of ``network`` have ``ROW_TILE`` rows, its head's among them."""
    network.row_tile = ROW_TILE
    _tile_children(network)


def _tile_children(module: nn.Module) -> None:
    for name, child in list(module.named_children()):
        if name == "lm_head":
            continue
        if isinstance(child, Mixture):
            setattr(module, name, TiledMixture(child))
        elif isinstance(child, nn.Linear | GatedMLP | PackedLinear | PackedGatedMLP | FullPrecision):
            setattr(module, name, Tiled(child))
        else:
            _tile_children(child)


class Tiled(nn.Module):
    """``inner``, which treats rows alike, on tiles."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        result: Tensor | tuple[Tensor, ...] = in_tiles(self.inner, x, ROW_TILE)
        return result


class TiledMixture(Mixture):
    """``inner``, each of whose experts works on tiles."""

    def __init__(self, inner: Mixture) -> None:
        super().__init__()
        self.inner, self.count = inner, inner.count

    def run(self, expert: int, rows: Tensor) -> Tensor:
        return in_tiles(lambda part: self.inner.run(expert, part), rows, ROW_TILE)
