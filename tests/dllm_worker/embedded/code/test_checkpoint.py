"""The shipped weights: they load, and they still predict what they predicted when they were exported.

The snippets were written for this test. The limits lie some 5 to 20 percent from what was measured.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

from dllm_worker.embedded.code import filling, likelihood, tokenizer, writing
from dllm_worker.embedded.code.corpus import parses
from dllm_worker.embedded.code.export import CHECKPOINT, configuration
from dllm_worker.embedded.code.filling import Case
from dllm_worker.embedded.code.functions import find_functions
from dllm_worker.embedded.code.likelihood import HeldOutText
from dllm_worker.models.loading import LoadedModel, load_model
from dllm_worker.request import SamplingParameters
from dllm_worker.spec import ContextAttention

WORDS = tokenizer.load(CHECKPOINT)
SNIPPETS = '''
def read_config(path, default=None):
    """Read the configuration from a file."""
    if not os.path.exists(path):
        return default
    with open(path) as file:
        return json.load(file)


class Counter:
    def __init__(self, name, start=0):
        self.name = name
        self.value = start

    def increment(self, step=1):
        """Add to the value and return it."""
        self.value += step
        return self.value

    def __repr__(self):
        return "%s(%r)" % (type(self).__name__, self.name)


def find_first(items, predicate):
    """Return the first item for which the predicate is true."""
    for item in items:
        if predicate(item):
            return item
    raise ValueError("no item was found")
'''
_WINDOW = 64
IDS = WORDS.encode(SNIPPETS).ids
WINDOWS = np.array(IDS[: len(IDS) // _WINDOW * _WINDOW]).reshape(-1, _WINDOW)
TEXT = HeldOutText(WINDOWS, np.array([len(WORDS.id_to_token(token) or "") for token in range(tokenizer.VOCAB_SIZE)]))


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    return load_model(CHECKPOINT)


def test_the_configuration_is_what_the_recipe_writes() -> None:
    assert json.loads((CHECKPOINT / "config.json").read_text()) == configuration()


def test_the_folder_is_small() -> None:
    assert sum(file.stat().st_size for file in CHECKPOINT.iterdir()) < 16 * 2**20


@pytest.mark.parametrize(
    ("attention", "block", "limit"),
    [("bidirectional", 0, 1.02), ("block_causal", 4, 1.15), ("block_causal", 32, 1.08), ("causal", 1, 1.02)],
)
def test_bits_per_byte(model: LoadedModel, attention: ContextAttention, block: int, limit: float) -> None:
    assert likelihood.bits_per_byte(model, TEXT, attention, block, seed=0) < limit


def test_masked_tokens_are_predicted(model: LoadedModel) -> None:
    assert likelihood.masked_cross_entropy(model, TEXT, rate=0.3, seed=0) < 2.1


def test_random_tokens_are_recognised_and_right_ones_kept(model: LoadedModel) -> None:
    restored, kept = likelihood.restored_share(model, TEXT, rate=0.15, seed=0)
    assert restored > 0.35
    assert kept > 0.95


def test_a_hole_is_filled(model: LoadedModel) -> None:
    before, hole, after = (WORDS.encode(text).ids for text in ("for item in", " items", ":\n    print(item)\n"))
    case = Case((*before, *hole, *after), len(before), len(before) + len(hole))
    [(tokens, usage)] = filling.fill(model, [case], SamplingParameters())
    assert tokens[: len(before)] == tuple(before)
    assert parses(WORDS.decode(tokens))
    assert usage.denoising_steps <= len(hole)


def test_a_body_is_written(model: LoadedModel) -> None:
    functions = list(find_functions(SNIPPETS))
    result = writing.score(model, WORDS, functions, 1, SamplingParameters())
    assert result["parses"] >= 0.5
