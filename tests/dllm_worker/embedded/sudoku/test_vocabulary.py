from __future__ import annotations

from pathlib import Path
from textwrap import wrap

from dllm_worker.embedded.sudoku.vocabulary import EOS_ID, MASK_ID, grid_of, save_tokenizer, template_of
from dllm_worker.text import Text

BOARD = "534678912672195348198342567859761423426853791713924856961537284287419635345286179"


def test_a_board_is_81_tokens_and_back(tmp_path: Path) -> None:
    save_tokenizer(tmp_path)
    text = Text.load(tmp_path)
    ids = text.encode(BOARD)
    assert ids == [int(digit) - 1 for digit in BOARD]
    assert text.decode(ids) == BOARD
    assert text.encode("\n".join(wrap(BOARD, 9))) == ids


def test_special_tokens_are_not_read_from_text_nor_written(tmp_path: Path) -> None:
    save_tokenizer(tmp_path)
    text = Text.load(tmp_path)
    assert text.encode("1<|mask|>2") == [0, 1]
    assert text.decode([0, MASK_ID, EOS_ID, 1]) == "12"


def test_a_template_pins_the_givens() -> None:
    assert template_of((5, 0, 9)) == (4, None, 8)
    assert grid_of((4, 0, 8)) == (5, 1, 9)
