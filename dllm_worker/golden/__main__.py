"""``python -m dllm_worker.golden DIR``: replay what the published decoders did."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

import torch

from dllm_worker.golden.record import GoldenError
from dllm_worker.golden.verdicts import Verdict, verdicts


def main(arguments: list[str]) -> int:
    """Print a line a case; 0 only when all are identical."""
    parser = argparse.ArgumentParser(prog="python -m dllm_worker.golden", description=__doc__)
    parser.add_argument("directory", type=Path, help="a family's folder, or a folder of such folders")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the verdicts to this file as well")
    parsed = parser.parse_args(arguments)
    torch.set_num_threads(1)
    found: list[Verdict] = []
    try:
        for verdict in verdicts(parsed.directory):
            found.append(verdict)
            print(verdict, flush=True)
    except GoldenError as error:
        print(error, file=sys.stderr)
        return 2
    identical = sum(verdict.difference is None for verdict in found)
    print(f"{identical} of {len(found)} identical")
    if parsed.json is not None:
        parsed.json.write_text(json.dumps([asdict(verdict) for verdict in found], indent=1) + "\n", encoding="utf-8")
    return 0 if found and identical == len(found) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
