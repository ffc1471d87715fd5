from __future__ import annotations

import random

from dllm_worker.embedded.code.functions import conversation, find_functions

MODULE = '''
class Stack:
    @property
    def top(self):
        """Return the newest item.

        It stays on the stack.
        """
        return self.items[-1]


def push(stack, item): stack.append(item)
'''


def test_functions_are_dedented_and_split_behind_the_docstring() -> None:
    [function] = find_functions(MODULE)
    assert function.kind == "method"
    assert function.summary == "Return the newest item."
    assert function.head.startswith("@property\ndef top(self):\n    ")
    assert function.head.endswith('    """\n')
    assert function.body == "    return self.items[-1]\n"
    assert function.brief == (
        '@property\ndef top(self):\n    """Return the newest item."""\n    return self.items[-1]\n'
    )


def test_conversations_ask_in_words_or_by_the_head() -> None:
    [function] = find_functions(MODULE)
    drawn = {conversation(function, random.Random(seed)) for seed in range(60)}
    assert (
        "<|bos|><|user|>Write a Python method that returns the newest item.<|assistant|>",
        function.brief + "<|endoftext|>",
    ) in drawn
    assert (
        f"<|bos|><|user|>Finish this Python code.\n{function.head}<|assistant|>",
        function.body + "<|endoftext|>",
    ) in drawn
