"""What a forward pass costs: floating-point operations and bytes of memory traffic, from shapes alone.

Operations are those of the matrix products; bytes are what a pass has to move at least once: the weights it touches,
the cached keys and values it reads and writes, one row of the embedding a position. Nothing is measured here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from torch import nn

from dllm_worker.cache.shape import CacheShape, LayerShape
from dllm_worker.models.blocks import FullPrecision
from dllm_worker.models.experts import Mixture
from dllm_worker.models.loading import Denoiser
from dllm_worker.models.tiles import Tiled, TiledMixture
from dllm_worker.models.transformer import Network


@dataclass(frozen=True, slots=True)
class Work:
    """Floating-point operations (a multiplication and an addition are two) and bytes moved."""

    flops: float
    bytes: float

    def __add__(self, other: Work) -> Work:
        return Work(self.flops + other.flops, self.bytes + other.bytes)


@dataclass(frozen=True, slots=True)
class Look:
    """``rows`` neighbouring positions that see each other and cached ones: ``before`` them and ``after`` them.

    ``stored`` rows are written to the cache, ``causal`` ones see each other only backwards.
    """

    rows: int
    before: int = 0
    after: int = 0
    stored: bool = False
    causal: bool = False

    def read(self, window: int | None) -> int:
        """Cached positions that some row sees."""
        return (self.before if window is None else min(self.before, window - 1)) + self.after

    def pairs(self, window: int | None) -> int:
        """How many times one position looks at one other or at itself."""
        if not self.causal:
            return self.rows * (self.read(window) + self.rows)
        reach = self.before + self.rows if window is None else window
        return sum(min(self.before + row + 1, reach) for row in range(self.rows))


@dataclass(frozen=True, slots=True)
class MixtureCost:
    """``count`` experts, of which each row passes ``chosen``; ``weights`` and ``bytes`` are those of one."""

    count: int
    chosen: int
    weights: int
    bytes: int

    def touched(self, rows: int) -> float:
        """How many experts ``rows`` pass between them, expected where each row chooses evenly."""
        return self.count * (1 - (1 - self.chosen / self.count) ** rows)


@dataclass(frozen=True, slots=True)
class NetworkCost:
    """What does not depend on the pass. ``weights`` are the numbers that each row is multiplied by outside attention,
    the head and the ``mixtures``, and ``bytes`` what a pass reads of them; a layer that runs twice counts twice.

    ``heads`` are the query heads and ``cache_shape`` the keys and values of each layer. The head is ``vocab`` times
    ``hidden`` numbers of ``number_bytes``, as cached ones are.
    """

    weights: int
    bytes: int
    mixtures: tuple[MixtureCost, ...]
    heads: tuple[int, ...]
    cache_shape: CacheShape
    vocab: int
    hidden: int
    number_bytes: int

    def of(self, looks: Iterable[Look], head_rows: int = 0, soft_rows: int = 0) -> Work:
        """One pass over ``looks``, of which ``head_rows`` rows go on to logits and ``soft_rows`` to soft embeddings."""
        looks = tuple(looks)
        rows = sum(look.rows for look in looks)
        work = (
            Work(2 * self.weights * rows, self.bytes + rows * self.hidden * self.number_bytes) if rows else Work(0, 0)
        )
        for mixture in self.mixtures:
            work += Work(2 * mixture.weights * mixture.chosen * rows, mixture.bytes * mixture.touched(rows))
        for heads, shape in zip(self.heads, self.cache_shape, strict=True):
            work += self._attention(looks, heads, shape)
        return work + self._table(head_rows) + self._table(soft_rows)

    def _attention(self, looks: tuple[Look, ...], heads: int, shape: LayerShape) -> Work:
        position = 2 * shape.kv_heads * shape.head_dim * self.number_bytes
        moved = sum(look.read(shape.window) + (look.rows if look.stored else 0) for look in looks)
        pairs = sum(look.pairs(shape.window) for look in looks)
        return Work(4 * heads * shape.head_dim * pairs, position * moved)

    def _table(self, rows: int) -> Work:
        """``rows`` times a table over the vocabulary, which is read when there are any."""
        numbers = self.vocab * self.hidden
        return Work(2 * numbers * rows, numbers * self.number_bytes if rows else 0)


def network_cost(network: Denoiser) -> NetworkCost:
    """From the parameters of ``network``: each matrix that is no lookup table multiplies every row once.

    Raises ``TypeError`` for a denoiser that is no :class:`Network`, about whose parameters nothing is known.
    """
    if not isinstance(network, Network):
        raise TypeError(f"the cost of a {type(network).__name__} is not known")
    repeats = network.depth // len(network.layers)
    layers = [parameter for layer in network.layers for parameter in _dense(layer)]
    others = [p for name, child in network.named_children() if name not in {"layers", "lm_head"} for p in _dense(child)]
    mixtures = tuple(_mixture_costs(network)) * repeats
    vocab, hidden = network.input_embedding.shape
    heads: list[int] = [layer.get_submodule("self_attn").heads for layer in network.layers]  # type: ignore[misc]
    return NetworkCost(
        weights=repeats * _matrices(layers) + _matrices(others),
        bytes=repeats * _bytes(layers) + _bytes(others),
        mixtures=mixtures,
        heads=tuple(heads) * repeats,
        cache_shape=network.cache_shape,
        vocab=vocab,
        hidden=hidden,
        number_bytes=network.input_embedding.dtype.itemsize,
    )


def _dense(module: nn.Module) -> Iterator[nn.Parameter]:
    """The parameters that every row meets: all but those of experts and lookup tables."""
    if isinstance(module, Mixture | nn.Embedding):
        return
    yield from module.parameters(recurse=False)
    for child in module.children():
        yield from _dense(child)


def _mixture_costs(module: nn.Module) -> Iterator[MixtureCost]:
    children = [_inside(child) for child in module.children()]
    for child in children:
        if not isinstance(child, Mixture):
            yield from _mixture_costs(child)
            continue
        router = next(sibling for sibling in children if isinstance(sibling, FullPrecision))
        parameters = list(child.parameters())
        numbers, moved = sum(p.numel() for p in parameters), _bytes(parameters)
        chosen: int = router.chosen  # type: ignore[assignment]
        yield MixtureCost(child.count, chosen, numbers // child.count, moved // child.count)


def _inside(module: nn.Module) -> nn.Module:
    return module.inner if isinstance(module, Tiled | TiledMixture) else module


def _matrices(parameters: list[nn.Parameter]) -> int:
    return sum(parameter.numel() for parameter in parameters if parameter.dim() == 2)


def _bytes(parameters: list[nn.Parameter]) -> int:
    return sum(parameter.numel() * parameter.dtype.itemsize for parameter in parameters)
