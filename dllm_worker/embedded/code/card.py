"""The model card, written from the manifest of the corpus and the measurements."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dllm_worker.embedded.code.corpus import HELD_OUT, TRAIN, Package, read_manifest
from dllm_worker.embedded.code.train import CONFIG

CARD_FILE = "README.md"
EVALUATION_FILE = "evaluation.json"
_KINDS = {
    "short": "One to three tokens of a line",
    "line": "One whole line",
    "lines": "Two to four whole lines",
}

_CARD = """\
---
license: apache-2.0
language: [code]
tags: [diffusion-language-model, python, infilling]
---

# tiny-code

A masked diffusion language model of {parameters:.2f} million parameters that completes, infills and writes Python.
It was trained from scratch on one core of a 2-core x86-64 CPU in about {minutes:.0f} minutes, on 2026-11-21.
It exists so that every decoding path of this project runs on real weights anywhere. **It is not a useful programmer:**
it has seen {positions:.0f} million positions, knows idioms, names and layout, and rarely what a function should do.

One set of weights serves three context attentions: `bidirectional`, `block_causal` with blocks of 4 to 128
(`config.json` says 32), and `causal` context with canvases of 1 to 64; a canvas of one position is autoregressive
decoding. It also denoises tokens replaced by random ones, and sees wrong tokens beside masks (for token editing).

## Network and tokenizer

{layers} layers of width {width}, {heads} heads of {head_dim}, SwiGLU {intermediate}, RoPE, QK-norm, tied embeddings,
context {context}; bf16. Byte-level BPE of {vocabulary} entries: any UTF-8 text survives byte for byte, a line break
and the following indent are one unit, digits are single. `<|endoftext|>` ends text, pads, and ends a hole that is
longer than its text. Documents and prompts begin with `<|bos|>`. The chat format is
`<|bos|><|user|>...<|assistant|>...<|endoftext|>`; a system message opens the first user message.

## Data

The standard library of CPython 3.11 (PSF-2.0), without tests, encodings and data, and these packages without their
tests and vendored copies; files that do not parse, are mostly data or occur twice are dropped: {characters:.0f} million
characters.

{trained}

Held out for the measurements below: {held_out}.

## Recipe

    python -m dllm_worker.embedded.code corpus
    python -m dllm_worker.embedded.code tokenizer
    python -m dllm_worker.embedded.code train --seconds {seconds:.0f}
    python -m dllm_worker.embedded.code export
    python -m dllm_worker.embedded.code evaluate
    python -m dllm_worker.embedded.code card

{steps} steps of 8,192 rows, windows of 256 positions (one batch in eight: 512). 40 % of the batches are bidirectional
(scattered holes, one to four spans of which some are longer than their text, suffixes), 35 % block-causal and 25 %
causal with one canvas, both in the two-stream layout of block diffusion. 75 % mask, 10 % mask and wrong visible
tokens, 15 % uniform noise. 15 % of the sequences are conversations made from documented functions. Mean cross-entropy
over hidden positions; Muon for the matrices and AdamW for the rest, cosine from 3e-3; averaged weights. The budget is
wall-clock time, so another machine gives other weights; and two parts of the recipe came into this run late: torn
units (where a prompt or a pinned text ends) at step 1,040, answers with a short docstring at step 1,640. Memory that
stays with the process (11 GB) made the training about a fifth faster:
`GLIBC_TUNABLES=glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=17179869184`.

## Quality

All figures are from packages the model has not seen, without sampling (temperature 0), through the engine in bf16.

Likelihood over {tokens:,} tokens ({bytes_per_token:.2f} bytes each). Bits per byte are the evidence bound of masked
diffusion; with one position a canvas they are exact.

{likelihood}

{cross_entropy}

Of the tokens in text with 15 % random replacements, the most likely token is right for {restored:.1%} of the replaced
and {kept:.1%} of the untouched.

Holes in real functions of 40 to 160 tokens, each exactly as long as its text. *Parses* is the share of whole functions
that are valid Python after filling, *exact* that of holes filled word for word, *tokens/step* the accepted tokens of
one forward pass.

{filling}

Bodies written behind signature and docstring of the same functions, up to 64 tokens. *Parses* counts functions whose
body up to its last whole line is valid Python, *ended* those that the model ended itself.

{writing}

Lower thresholds cost nothing measurable here: 0.7 takes a quarter to a half of the steps away from one token a step,
so `generation_config.json` says 0.7. There an end of sequence has to wait for all before it (`leftmost_eos`), which
gives longer bodies: 36 tokens against 20. Step budgets below the number of tokens cost validity at once, because the
positions of one step are chosen without each other.

## Limits

A line that it fills leaves a function valid less often than no line at all would: ten tokens in a row are beyond it.
It invents names, repeats itself, forgets the task after a few lines and answers most requests with a plausible-looking
function that is wrong. It knows English only as far as docstrings go. Longer contexts than {context} are refused. Text
in other languages or programming languages is far from everything it has seen.
"""


def model_card(report: Mapping[str, Any], training: Mapping[str, float]) -> str:
    """``report`` is the content of ``evaluation.json``; ``training`` has steps, seconds, parameters and characters."""
    measured = report["likelihood"]
    return _CARD.format(
        parameters=training["parameters"] / 1e6,
        minutes=training["seconds"] / 60,
        seconds=training["seconds"],
        positions=training["steps"] * 8192 / 1e6,
        characters=training["characters"] / 1e6,
        steps=training["steps"],
        layers=CONFIG.num_hidden_layers,
        width=CONFIG.hidden_size,
        heads=CONFIG.num_attention_heads,
        head_dim=CONFIG.head_dim,
        intermediate=CONFIG.intermediate_size,
        context=CONFIG.max_position_embeddings,
        vocabulary=CONFIG.vocab_size,
        trained=_packages(TRAIN),
        held_out=_packages(HELD_OUT),
        tokens=measured["tokens"],
        bytes_per_token=measured["bytes_per_token"],
        restored=measured["uniform_noise"]["restored"],
        kept=measured["uniform_noise"]["kept"],
        likelihood=table(["attention / canvas", "bits per byte"], measured["bits_per_byte"].items()),
        cross_entropy=table(["mask rate", "nats per masked token"], measured["masked_cross_entropy"].items()),
        writing=_writing(report["writing"]),
        filling="\n\n".join(_filling(title, report["filling"][kind]) for kind, title in _KINDS.items()),
    )


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def _packages(use: str) -> str:
    listed: Iterable[Package] = (package for package in read_manifest() if package.use == use)
    return ", ".join(f"{package.name} {package.version} ({package.licence})" for package in listed)


def _writing(report: Mapping[str, Mapping[str, float]]) -> str:
    rows = [
        [name, f"{s['parses']:.1%}", f"{s['ended']:.1%}", f"{s['tokens']:.1f}", f"{s['tokens_per_forward']:.2f}"]
        for name, s in report.items()
    ]
    return table(["setting", "parses", "ended", "tokens", "tokens/forward"], rows)


def _filling(title: str, report: Mapping[str, Any]) -> str:
    settings = report["settings"]
    cases = next(iter(settings.values()))["cases"]
    rows = [
        [
            name,
            f"{s['parses']:.1%}",
            f"{s['exact']:.1%}",
            f"{s['right_tokens']:.1%}",
            f"{s['steps']:.1f}",
            f"{s['tokens_per_step']:.2f}",
        ]
        for name, s in settings.items()
    ]
    heading = (
        f"{title}: {cases} cases, {report['hole_tokens']} tokens on average; "
        f"{report['emptied_parses']:.1%} would parse with nothing in the hole."
    )
    return heading + "\n\n" + table(["setting", "parses", "exact", "right tokens", "steps", "tokens/step"], rows)
