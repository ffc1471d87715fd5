"""Byte-level BPE whose units suit Python: an indented line break, a dotted or underscored word, a single digit.

Every UTF-8 text survives encoding and decoding byte for byte. A line break never shares a token with what stands
before it, so a hole of one line is a whole number of tokens.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

VOCAB_SIZE = 4096
MASK, EOS, BOS, USER, ASSISTANT = SPECIAL_TOKENS = (
    "<|mask|>",
    "<|endoftext|>",
    "<|bos|>",
    "<|user|>",
    "<|assistant|>",
)
MASK_ID, EOS_ID, BOS_ID, USER_ID, ASSISTANT_ID = range(len(SPECIAL_TOKENS))
SUPPRESSED_IDS = (MASK_ID, BOS_ID, USER_ID, ASSISTANT_ID)

_LINE_BREAKS_AND_INDENT = r"(?:\r?\n)+[ \t]*"
_DUNDER = r"[ .]?__\p{L}+__"
_WORD = r"[ ._]?\p{L}+"
_DIGIT = r" ?\p{N}"
_PUNCTUATION = r" ?(?:[^\s\p{L}\p{N}._]|[._](?!\p{L}))+"
_BLANKS = r" +(?= )|\s"
_UNITS = "|".join((_LINE_BREAKS_AND_INDENT, _DUNDER, _WORD, _DIGIT, _PUNCTUATION, _BLANKS))

CHAT_TEMPLATE = (
    "{{- bos_token -}}"
    "{%- set opening = namespace(text='') -%}"
    "{%- for message in messages -%}"
    "{%- if message['role'] == 'assistant' -%}"
    "{{- '<|assistant|>' + message['content'] + eos_token -}}"
    "{%- elif message['role'] == 'user' -%}"
    "{{- '<|user|>' + opening.text + message['content'] -}}"
    "{%- set opening.text = '' -%}"
    "{%- else -%}"
    "{%- set opening.text = message['content'] + '\n' -%}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}"
)
"""A system message opens the next user message; turns are ``<|user|>...<|assistant|>...<|endoftext|>``."""


def train(texts: Iterable[str], vocab_size: int = VOCAB_SIZE) -> Tokenizer:
    """Learn the merges from ``texts``; the special tokens take the first ids, in their order."""
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(_UNITS), behavior="isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=24,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def load(folder: Path) -> Tokenizer:
    """The tokenizer of a checkpoint folder."""
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def save(tokenizer: Tokenizer, folder: Path, longest: int) -> None:
    """Write ``tokenizer.json`` and the ``tokenizer_config.json`` by which transformers loads it."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": longest,
        "bos_token": BOS,
        "eos_token": EOS,
        "pad_token": EOS,
        "mask_token": MASK,
        "additional_special_tokens": [USER, ASSISTANT],
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT_TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
