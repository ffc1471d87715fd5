"""What a forward pass costs: floating-point operations and bytes of memory traffic, from shapes alone.

Operations are those of the matrix products; bytes are what a pass has to move at least once: the weights it touches,
the cached keys and values it reads and writes, one row of the embedding a position. Nothing is measured here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from torch import nn

from dllm_worker.cache.shape import LayerShape
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
        short = min(self.rows, max(0, reach - self.before))
        return short * self.before + short * (short + 1) // 2 + (self.rows - short) * reach


@dataclass(frozen=True, slots=True)
class MixtureCost:
    """``layers`` of ``count`` experts, of which each row passes ``chosen``. An expert has ``weights`` and ``bytes``."""

    layers: int
    count: int
    chosen: int
    weights: int
    bytes: int

    def touched(self, rows: int) -> float:
        """How many experts ``rows`` pass between them, expected where each row chooses evenly."""
        return self.count * (1 - (1 - self.chosen / self.count) ** rows)

    def of(self, rows: int) -> Work:
        """All layers for ``rows``."""
        flops = 2 * self.weights * self.chosen * rows
        return Work(self.layers * flops, self.layers * self.bytes * self.touched(rows))


@dataclass(frozen=True, slots=True)
class AttentionCost:
    """``layers`` of ``heads`` query heads, whose keys and values are of ``shape``."""

    layers: int
    heads: int
    shape: LayerShape

    def of(self, looks: tuple[Look, ...], number_bytes: int) -> Work:
        """All layers for ``looks``, where a cached number has ``number_bytes``."""
        window = self.shape.window
        position = 2 * self.shape.kv_heads * self.shape.head_dim * number_bytes
        moved = sum(look.read(window) + (look.rows if look.stored else 0) for look in looks)
        pairs = sum(look.pairs(window) for look in looks)
        return Work(self.layers * 4 * self.heads * self.shape.head_dim * pairs, self.layers * position * moved)


@dataclass(frozen=True, slots=True)
class NetworkCost:
    """What does not depend on the pass. ``weights`` are the numbers that each row is multiplied by outside attention,
    the head and the ``mixtures``, and ``bytes`` what a pass reads of them; a layer that runs twice counts twice, and
    equal layers are counted together. The head is ``vocab`` times ``hidden`` numbers of ``number_bytes``, as cached
    ones are.
    """

    weights: int
    bytes: int
    mixtures: tuple[MixtureCost, ...]
    attention: tuple[AttentionCost, ...]
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
            work += mixture.of(rows)
        for attention in self.attention:
            work += attention.of(looks, self.number_bytes)
        return work + self._table(head_rows) + self._table(soft_rows)

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
    vocab, hidden = network.input_embedding.shape
    heads: list[int] = [layer.get_submodule("self_attn").heads for layer in network.layers]  # type: ignore[misc]
    return NetworkCost(
        weights=repeats * _matrices(layers) + _matrices(others),
        bytes=repeats * _bytes(layers) + _bytes(others),
        mixtures=tuple(
            replace(mixture, layers=repeats * layers) for mixture, layers in Counter(_mixture_costs(network)).items()
        ),
        attention=tuple(
            AttentionCost(layers, own, shape)
            for (own, shape), layers in Counter(zip(heads * repeats, network.cache_shape, strict=True)).items()
        ),
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
        yield MixtureCost(1, child.count, chosen, numbers // child.count, moved // child.count)


def _inside(module: nn.Module) -> nn.Module:
    return module.inner if isinstance(module, Tiled | TiledMixture) else module


def _matrices(parameters: list[nn.Parameter]) -> int:
    return sum(parameter.numel() for parameter in parameters if parameter.dim() == 2)


def _bytes(parameters: list[nn.Parameter]) -> int:
    return sum(parameter.numel() * parameter.dtype.itemsize for parameter in parameters)
