"""Functions found in source files, and the instructions that would ask for them."""

from __future__ import annotations

import ast
import random
import re
import textwrap
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from dllm_worker.embedded.code.tokenizer import ASSISTANT, BOS, EOS, USER

_REQUESTS = (
    "Write a Python {kind} that {task}.",
    "Write a {kind} that {task}.",
    "Implement a Python {kind} `{name}` that {task}.",
    "Write `{name}`, a {kind} that {task}.",
    "{summary}",
)
_REQUESTS_FOR_A_THING = (
    "Write a Python {kind} `{name}`: {summary}",
    "{summary}",
)
_ARTICLES = frozenset(("the", "a", "an", "this", "these", "that", "if", "whether", "when"))
_COMPLETIONS = (
    "Complete this {kind}.",
    "Complete the Python {kind} `{name}`.",
    "Finish this Python code.",
    "Fill in the body of this {kind}.",
)
_MARKUP = re.compile(r":\w+:|[`*]|\s+")


@dataclass(frozen=True, slots=True)
class Function:
    """A documented function, dedented; ``source`` is ``head`` (signature and docstring) followed by ``body``.

    ``brief`` is the same with nothing but its ``summary``, the docstring's first sentence, for a docstring.
    """

    name: str
    kind: str
    summary: str
    signature: str
    head: str
    body: str

    @property
    def brief(self) -> str:
        indent = self.body[: len(self.body) - len(self.body.lstrip(" \t"))]
        return f'{self.signature}{indent}"""{self.summary}"""\n{self.body}'

    @property
    def source(self) -> str:
        return self.head + self.body


def find_functions(text: str) -> Iterator[Function]:
    """Documented functions and methods of a module, in source order, nested ones after their parents."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(text)
    lines = text.split("\n")
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and len(node.body) > 1:
            documentation = ast.get_docstring(node)
            if documentation:
                yield _function(node, lines, documentation)


def conversation(function: Function, rng: random.Random) -> tuple[str, str]:
    """A prompt in the chat format, and the answer with its end; about half ask from words alone."""
    if rng.random() < 0.5:
        names_a_thing = function.summary.partition(" ")[0].lower() in _ARTICLES
        templates = _REQUESTS_FOR_A_THING if names_a_thing else _REQUESTS
        request, answer = _phrase(templates, function, rng), function.brief
    else:
        request, answer = f"{_phrase(_COMPLETIONS, function, rng)}\n{function.head}", function.body
        if rng.random() < 0.5:
            answer = function.source
    return f"{BOS}{USER}{request}{ASSISTANT}", f"{answer}{EOS}"


def _phrase(templates: tuple[str, ...], function: Function, rng: random.Random) -> str:
    return rng.choice(templates).format(
        kind=function.kind, name=function.name, task=_third_person(function.summary), summary=function.summary
    )


def _third_person(summary: str) -> str:
    """``Return the sum.`` becomes ``returns the sum``."""
    verb, _, rest = summary.rstrip(".").partition(" ")
    verb = verb[:1].lower() + verb[1:]
    if verb.isalpha() and not verb.endswith("s"):
        verb += "es" if verb.endswith(("sh", "ch", "x", "z")) else "s"
    return f"{verb} {rest}".rstrip()


def _function(node: ast.FunctionDef | ast.AsyncFunctionDef, lines: list[str], documentation: str) -> Function:
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    docstring, docstring_end = node.body[0].lineno, node.body[0].end_lineno or first
    end = node.end_lineno or docstring_end
    source = textwrap.dedent("\n".join(lines[first - 1 : end])).split("\n")
    head, body = source[: docstring_end - first + 1], source[docstring_end - first + 1 :]
    arguments = [argument.arg for argument in node.args.args[:1]]
    summary = _MARKUP.sub(" ", documentation.split("\n\n")[0]).split(". ")[0].strip(" .")
    return Function(
        name=node.name,
        kind="method" if arguments in (["self"], ["cls"]) else "function",
        summary=re.sub(" +", " ", summary) + ".",
        signature="\n".join(source[: docstring - first]) + "\n",
        head="\n".join(head) + "\n",
        body="\n".join(body) + "\n",
    )
