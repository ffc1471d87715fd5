"""``python -m dllm_worker.bench``: measure the engine on this machine; print tables, and write one JSON object."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging

from dllm_worker.bench.parts import PARTS, markdown, plain
from dllm_worker.device import use_threads
from dllm_worker.models.loading import DTYPES


def main() -> None:
    """Run the parts that are asked for, each in its own dtype unless one is given."""
    parser = argparse.ArgumentParser(prog="python -m dllm_worker.bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=sorted(PARTS), help="measure this part; may be repeated")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--dtype", choices=sorted(DTYPES), help="instead of each part's own")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the figures there as well")
    options = parser.parse_args()
    use_threads(options.threads)
    logging.disable_progress_bar()
    figures: dict[str, Any] = {"threads": options.threads, "device": options.device, "torch": torch.__version__}
    for name in options.only or PARTS:
        part = PARTS[name]
        dtype = options.dtype or part.dtype
        tables = part.measure(dtype, options.device)
        print(f"\n# {name} ({dtype}, {options.device}, {options.threads} threads)\n\n{markdown(tables)}", flush=True)
        figures[name] = {"dtype": dtype} | plain(tables)
        if options.json:
            options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
