from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from dllm_worker.embedded.code import dataset, tokenizer
from dllm_worker.embedded.code.corpus import Document, is_readable, normalise, read_manifest
from dllm_worker.embedded.code.export import CHECKPOINT
from dllm_worker.embedded.code.tokenizer import ASSISTANT_ID, BOS_ID, EOS_ID

WORDS = tokenizer.load(CHECKPOINT)
MODULE = normalise(
    '''
import os


class Folder:
    """A folder of files."""

    def names(self, pattern, hidden=False):
        """Return the names that match ``pattern``, sorted; hidden files are left out unless they are asked for."""
        found = [name for name in os.listdir(self.path) if fnmatch(name, pattern)]
        return sorted(name for name in found if hidden or not name.startswith("."))


def visible(names):
    """Return those of the names that do not start with a dot, in the order in which they came.

    Names of folders count as well as names of files.
    """
    kept = [name for name in names if not name.startswith(".")]
    return kept
'''
)
DATA = dataset.build([Document("p", "m.py", MODULE)], WORDS)


def test_windows_end_with_end_of_sequence_only() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        window = DATA.window(400, rng)
        ends = np.flatnonzero(window == EOS_ID)
        assert len(window) == 400
        assert (window[ends[0] :] == EOS_ID).all()


def test_lines_start_with_their_indent() -> None:
    texts = [WORDS.decode(DATA.tokens[start : start + 3].tolist()) for start in DATA.starts]
    assert any(text.startswith("\n\n    def") for text in texts)
    assert any(text.startswith("import os") for text in texts)
    assert all(not text[0].isspace() for text, top in zip(texts, DATA.top_level, strict=True) if top)


def test_text_is_cut_into_pieces_that_add_up() -> None:
    pieces = dataset.cut(MODULE, 40, random.Random(0))
    assert "".join(pieces) == MODULE
    assert len(pieces) > 5
    assert dataset.cut(MODULE, 0, random.Random(0)) == [MODULE]


def test_a_chat_is_prompt_and_answer() -> None:
    chat = DATA.chats[: DATA.chat_offsets[1]]
    assert chat[0] == BOS_ID
    assert chat[DATA.prompts[0] - 1] == ASSISTANT_ID
    assert chat[-1] == EOS_ID


def test_a_dataset_survives_its_file(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    DATA.save(path)
    assert np.array_equal(dataset.Dataset.load(path).tokens, DATA.tokens)


@pytest.mark.parametrize("text", ["x = 1\n", "def f(:\n" * 40, "x = [" + "1234567, " * 900 + "]\n", "é" * 400])
def test_tables_fragments_and_other_languages_are_not_readable(text: str) -> None:
    assert is_readable(MODULE)
    assert not is_readable(text)


def test_held_out_packages_are_not_trained_on() -> None:
    packages = read_manifest()
    assert len({package.name for package in packages}) == len(packages)
    assert {package.name for package in packages if package.use == "held_out"} == {"networkx", "toolz", "boltons"}
