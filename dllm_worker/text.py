"""Between text and token ids: the checkpoint's own tokenizer and chat template."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path

from transformers import PreTrainedTokenizerFast

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


class TextError(ValueError):
    """The checkpoint's tokenizer cannot do what was asked of it."""


class TemplateError(TextError):
    """The checkpoint's chat template cannot write the conversation."""


class Text:
    """Encodes and decodes; special tokens are never read from, nor written into, a user's text."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self._tokenizer = tokenizer
        self._longest_token = _longest_token(tokenizer)

    @staticmethod
    def load(path: Path) -> Text:
        """Read ``tokenizer.json`` and its configuration. Code of the checkpoint is not executed."""
        if not (path / "tokenizer.json").is_file():
            raise TextError(f"{path}: tokenizer.json is missing")
        return Text(PreTrainedTokenizerFast.from_pretrained(path, local_files_only=True))

    def copy(self) -> Text:
        """The same for another thread: a tokenizer is in one state for plain text and in another for templates."""
        return Text(deepcopy(self._tokenizer))

    def encode(self, text: str) -> list[int]:
        """Token ids of ``text``. Text that spells a special token is encoded as plain text."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
        return ids

    def fewest_tokens(self, text: str) -> int:
        """A number of tokens that :meth:`encode` gives at least, known without reading; 0 where none is known."""
        return -(-len(text.encode()) // self._longest_token) if self._longest_token else 0

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ``ids`` without special tokens; incomplete UTF-8 becomes U+FFFD."""
        text = self._tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return str(text)

    def begin(self) -> list[int]:
        """What precedes a document: the beginning-of-sequence token where the checkpoint has one."""
        bos = self._tokenizer.bos_token_id
        return [] if bos is None else [int(bos)]

    def chat(self, messages: Sequence[Mapping[str, str]]) -> list[int]:
        """The conversation in the checkpoint's chat template, ending where the answer begins.

        The rendered template is read with its special tokens, so a message that spells one is refused.
        """
        if self._tokenizer.chat_template is None:
            raise TextError("this model has no chat template")
        for token in self._tokenizer.all_special_tokens:
            if any(token in value for message in messages for value in message.values()):
                raise TextError(f"a message contains the special token {token}")
        try:
            ids = self._tokenizer.apply_chat_template(
                [dict(message) for message in messages], add_generation_prompt=True, tokenize=True, return_dict=False
            )
        except Exception as error:
            # A template is the checkpoint's own program: what it raises, on purpose or not, is about the conversation.
            raise TemplateError(f"the model's chat template cannot write this conversation: {error}") from error
        return [int(token) for token in ids]

    def token_text(self, token: int) -> str:
        """How one token looks on its own; empty for special tokens."""
        return self.decode([token])


class IncrementalDecoder:
    """Text that only grows: what :meth:`push` and :meth:`flush` return adds up to ``decode`` of all ids.

    Bytes that do not yet end a UTF-8 scalar are held back. Byte-level tokenizers write such bytes as U+FFFD at the
    end of the text, which is how they are recognised.
    """

    def __init__(self, text: Text) -> None:
        self._text = text
        self._pending: list[int] = []
        self._context: list[int] = []

    def push(self, ids: Sequence[int]) -> str:
        """The text that ``ids`` complete."""
        self._pending.extend(ids)
        known = self._text.decode(self._context)
        grown = self._text.decode([*self._context, *self._pending])
        if grown.endswith(_REPLACEMENT):
            return ""
        self._context, self._pending = self._pending or self._context, []
        return grown[len(known) :]

    def flush(self) -> str:
        """What is still held back, with U+FFFD for bytes that never became text."""
        known = self._text.decode(self._context)
        rest = self._text.decode([*self._context, *self._pending])[len(known) :]
        self._pending = []
        return rest


def _longest_token(tokenizer: PreTrainedTokenizerFast) -> int:
    """The most bytes that a token stands for, or 0 where that cannot be seen: a normalizer may take bytes away, and a
    pre-tokenizer or an added token may drop them. Tokens of a byte-level vocabulary are written with one character for
    each byte.
    """
    parts = json.loads(tokenizer.backend_tokenizer.to_str())
    splitting = parts["pre_tokenizer"] or {}
    steps = splitting.get("pretokenizers", [splitting])
    keeps_bytes = all(step.get("behavior", "Isolated") == "Isolated" for step in steps)
    is_byte_level = any(step.get("type") == "ByteLevel" for step in steps)
    if parts["normalizer"] is not None or not keeps_bytes or not is_byte_level:
        return 0
    added = parts["added_tokens"]
    if any((token["lstrip"] or token["rstrip"]) and not token["special"] for token in added):
        return 0
    return max([*map(len, tokenizer.get_vocab()), *(len(token["content"].encode()) for token in added)])
