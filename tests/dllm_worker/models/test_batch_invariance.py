"""A row's bits do not depend on who shares the forward pass, in any family, whatever the rows are for."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dllm_worker.batch import BlockRows
from dllm_worker.models.loading import LoadedModel, load_model
from tests.dllm_worker.models import families
from tests.dllm_worker.models.golden import Session

CONTEXT, CANVAS, REQUESTS = 21, 16, 4


@pytest.fixture(scope="module", params=list(families.CONFIGS))
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return load_model(families.write(tmp_path_factory.mktemp("model"), families.CONFIGS[request.param]))


def tokens(request: int, count: int) -> Tensor:
    return torch.randint(90, (count,), generator=torch.Generator().manual_seed(request))


def context(session: Session, request: int) -> BlockRows:
    causal = session.model.spec.context_attention == "causal"
    return session.rows(tokens(request, CONTEXT - request), 0, request, causal=causal)


def canvas(session: Session, request: int) -> BlockRows:
    width = session.model.denoiser.input_embedding.shape[1]
    soft = torch.randn(CANVAS, width, generator=torch.Generator().manual_seed(request)) if request % 2 else None
    at = CONTEXT - request
    return session.rows(tokens(request + 9, CANVAS), at, request, stored=False, denoised=True, soft=soft)


def pieces(session: Session, blocks: list[BlockRows]) -> list[Tensor]:
    return list(torch.split(session.hidden(*blocks), [len(block.tokens) for block in blocks]))


def test_alone_and_in_a_mix_rows_have_the_same_bits(model: LoadedModel) -> None:
    """Contexts and canvases of four requests: everything apart, everything in one pass, canvases beside contexts."""
    longest = CONTEXT + CANVAS
    apart, together, mixed = (Session(model, longest, REQUESTS) for _ in range(3))
    alone = [(apart.hidden(context(apart, i)), apart.hidden(canvas(apart, i))) for i in range(REQUESTS)]
    both = [part for i in range(REQUESTS) for part in (context(together, i), canvas(together, i))]
    crossed = pieces(mixed, [context(mixed, 0), context(mixed, 1)])
    crossed += pieces(mixed, [canvas(mixed, 0), context(mixed, 2), canvas(mixed, 1), context(mixed, 3)])
    found = pieces(together, both)
    for request, (encoded, denoised) in enumerate(alone):
        assert torch.equal(found[2 * request], encoded)
        assert torch.equal(found[2 * request + 1], denoised)
    assert torch.equal(crossed[0], alone[0][0])
    assert torch.equal(crossed[1], alone[1][0])
    assert torch.equal(crossed[2], alone[0][1])
    assert torch.equal(crossed[4], alone[1][1])


def test_self_conditioning_reaches_the_canvas_and_nothing_else(model: LoadedModel) -> None:
    session = Session(model, CONTEXT + CANVAS)
    encoded = session.hidden(context(session, 0))
    plain = canvas(session, 0)
    soft = torch.randn(CANVAS, model.denoiser.input_embedding.shape[1], generator=torch.Generator().manual_seed(1))
    conditioned = session.rows(plain.tokens, plain.start, stored=False, denoised=True, soft=soft)
    assert torch.equal(session.hidden(context(session, 0), conditioned)[:CONTEXT], encoded)
    changed = not torch.equal(session.hidden(conditioned), session.hidden(plain))
    assert changed is model.spec.self_conditioning
