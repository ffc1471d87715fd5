"""The decoding guide, beside the tables that the engine and the API go by, and the figures that it takes from them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from deployments.gateway.effort import PRESETS
from dllm_worker import ranges
from dllm_worker.capabilities import ALGORITHMS, PREDICTION, SCHEDULES, WHOLE_ANSWER, capabilities
from dllm_worker.models.checkpoint import SPEC_READERS, ModelDescription, describe
from dllm_worker.request import EndOfSequence, SamplingParameters
from tests.docs.pages import ROOT, codes_in, page, rows

GUIDE = page("docs/decoding.md")
GOLDEN = ROOT / "tests" / "golden"
FAMILIES = rows(GUIDE.section("By family"))
ENDS = EndOfSequence.__args__  # type: ignore[attr-defined]
CARDS = tuple(f"dllm_worker/embedded/checkpoints/{name}/README.md" for name in ("tiny-code", "tiny-sudoku"))
FRACTIONS = {"1/4": 0.25, "1/2": 0.5}


def description(folder: Path, place: Path) -> ModelDescription:
    """That of a reference checkpoint, with the mask that its family keeps in code."""
    decode = json.loads((folder / "decode.json").read_text())
    config = json.loads((folder / "config.json").read_text())
    mask = {"mask_token_id": decode["mask_token_id"]} if "mask_token_id" in decode else {}
    (place / "config.json").write_text(json.dumps(mask | config))
    (place / "model.safetensors").symlink_to(folder / "model.safetensors")
    return describe(place)


def folder_of(model_type: str) -> Path:
    configs = sorted(GOLDEN.glob("*/config.json"))
    return next(path.parent for path in configs if json.loads(path.read_text())["model_type"] == model_type)


def test_every_algorithm_has_a_row() -> None:
    told = [codes_in(row[0])[0] for row in rows(GUIDE.section("The algorithms"))]
    assert sorted(told) == sorted(ALGORITHMS)


def test_the_schedules_are_those_that_there_are() -> None:
    told = re.search(r"A schedule \(([^)]*)\)", GUIDE.text)
    assert told is not None
    assert tuple(codes_in(told[1])) == SCHEDULES


@pytest.mark.parametrize("row", FAMILIES, ids=lambda row: row[0])
def test_a_family_does_what_the_page_says(row: list[str], tmp_path: Path) -> None:
    (model_type,), (default,), (attention,) = (codes_in(cell) for cell in row[:3])
    known = description(folder_of(model_type), tmp_path)
    able = capabilities(known.spec)
    without = set(codes_in(row[3])) if codes_in(row[3]) else set(ALGORITHMS) - {default}
    assert (known.defaults.algorithm, known.spec.context_attention) == (default, attention)
    assert set(ALGORITHMS) - set(able.algorithms) == without
    assert able.caches[known.spec.context_attention] == tuple(codes_in(row[4]))


def test_every_family_has_a_row() -> None:
    assert {codes_in(row[0])[0] for row in FAMILIES} | {"dllm_embedded"} == set(SPEC_READERS)


def test_the_ranges_are_the_engines() -> None:
    names = {"confidence_threshold": "threshold"}
    table = [(codes_in(row[0]), row[1]) for row in rows(GUIDE.section("Parameters")) if row[1]]
    told = {names.get(name, name): text for parameters, text in table for name in parameters}
    of_openai = {"temperature", "top_p", "seed"}
    assert told == {name: in_words(allowed) for name, allowed in ranges.SAMPLING.items() if name not in of_openai}


def in_words(allowed: ranges.Range) -> str:
    if allowed.open or allowed.most == float("inf"):
        return str(allowed).replace(" and ", ", ")
    return f"{allowed.least:g} to {int(allowed.most)}"


def test_a_parameter_on_the_page_is_one() -> None:
    named = {name for row in rows(GUIDE.section("Parameters")) for name in codes_in(row[0])}
    fields = {field for field in SamplingParameters.__slots__ if field not in ("algorithm", "schedule")}
    known = {{"threshold": "confidence_threshold"}.get(field, field) for field in fields}
    assert named == known - {"temperature", "top_p", "seed"}
    assert codes_in(rows(GUIDE.section("Parameters"))[-1][2]) == list(ENDS)


def test_the_efforts_are_the_presets() -> None:
    told = {
        codes_in(effort)[0]: (number(doubt), number(steps))
        for effort, doubt, steps in rows(GUIDE.section("Effort and deadlines"))
    }
    assert told == {name: (preset.doubt, preset.steps) for name, preset in PRESETS.items()}


def number(cell: str) -> float:
    return FRACTIONS[cell] if cell in FRACTIONS else float(cell)


def test_what_makes_no_use_of_a_prediction_refuses_it() -> None:
    told = re.search(r"changes nothing\. (.*?) refuse it", GUIDE.section("A guess of the answer"), re.DOTALL)
    assert told is not None
    assert set(codes_in(told[1])) == set(ALGORITHMS) - set(PREDICTION)


def test_what_cannot_fill_a_hole_is_named() -> None:
    (row,) = [row for row in rows(GUIDE.section("By what is wanted")) if row[0].startswith("a hole")]
    assert set(codes_in(row[2])) == WHOLE_ANSWER


def test_figures_are_those_of_the_tables_that_they_are_from() -> None:
    savings = page("docs/benchmarks/engine-cpu.md").section("What is not computed")
    measured = {row[1]: row for row in rows(savings) if row[0] == "embedded:tiny-code"}
    names = {"`prefix`": "prefix", "`dual`": "dual", "`dual`, `refresh_every` 8": "dual, refresh every 8"}
    for kind, _, forwards, same in rows(GUIDE.section("Caches")):
        way = names.get(kind, "vicinity 16, refresh every 8")
        assert (measured[way][5], measured[way][2]) == (forwards, same)
    sudoku = [[row[1], row[3], row[4], row[6]] for row in rows(savings) if row[0] == "embedded:tiny-sudoku"]
    assert rows(GUIDE.section("Early exit")) == sudoku


def test_the_share_of_solved_puzzles_is_that_of_the_card() -> None:
    solved = page(CARDS[1]).section("Solved share by algorithm and step budget")
    measured = {(givens, name): [shares[2], shares[4], shares[6]] for givens, name, *shares in rows(solved)}
    table = [row for row in rows(GUIDE.section("By what is wanted")) if len(row) == 5]
    assert len(table) == 8
    for givens, algorithm, *shares in table:
        assert measured[givens, algorithm.strip("`")] == shares


def test_the_price_of_determinism_is_the_measured_one() -> None:
    ratios = [float(row[4]) for row in rows(page("docs/benchmarks/engine-cpu.md").section("The price of determinism"))]
    least, most = (round(100 * (ratio - 1)) for ratio in (min(ratios), max(ratios)))
    assert f"costs {least} to {most} % of a step" in " ".join(GUIDE.text.split())


def test_every_other_figure_is_from_a_page_that_has_it_with_its_command() -> None:
    sources = ("README.md", "docs/benchmarks/engine-cpu.md", *CARDS)
    measured = {figure for name in sources for figure in re.findall(r"\d+\.\d+", page(name).text)}
    sections = ("By what is wanted", "Early exit", "Caches", "A guess of the answer")
    told = {
        figure for title in sections for figure in re.findall(r"\d+\.\d+", re.sub(r"`[^`]*`", "", GUIDE.section(title)))
    }
    settings = {"0.9", "0.6", "0.05", "0.99"}
    assert told - settings <= measured
