"""The command: a line a case, and an exit status."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dllm_worker.golden.__main__ import main
from tests.dllm_worker.golden.copies import Json, copy_of

CASES = {"sdar": "sequential", "llada": "llada_cfg"}


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for family, name in CASES.items():
        copy_of(family, tmp_path, name, lambda case: None)
    return tmp_path


def test_a_folder_of_families_is_replayed(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(folders)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "llada/llada_cfg: identical",
        "sdar/sequential: identical",
        "2 of 2 identical",
    ]


def test_a_family_folder_is_replayed_under_any_name(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folders / "sdar").rename(folders / "other")
    assert main([str(folders / "other")]) == 0
    assert capsys.readouterr().out.splitlines() == ["sdar/sequential: identical", "1 of 1 identical"]


def test_a_difference_fails(folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    decode = json.loads((folders / "sdar" / "decode.json").read_text())
    decode["cases"][0]["final_ids"][0] += 1
    (folders / "sdar" / "decode.json").write_text(json.dumps(decode))
    assert main([str(folders), "--json", str(tmp_path / "verdicts.json")]) == 1
    assert capsys.readouterr().out.endswith("1 of 2 identical\n")
    verdicts = json.loads((tmp_path / "verdicts.json").read_text())
    assert [(verdict["family"], verdict["difference"] is None) for verdict in verdicts] == [
        ("llada", True),
        ("sdar", False),
    ]


def test_a_folder_without_records_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"{tmp_path}: there is no decode.json in it nor in a folder in it\n"


BROKEN: list[tuple[Callable[[Path], object], str]] = [
    (lambda path: (path / "decode.json").write_text("{"), "decode.json: it cannot be read"),
    (lambda path: (path / "decode.json").write_text("{}"), "decode.json: family is missing"),
    (lambda path: (path / "decode.json").write_text('{"family": "gpt"}'), "decode.json: family is 'gpt'; there are"),
    (lambda path: (path / "decode.json").write_text('{"family": "sdar"}'), "decode.json: cases is missing"),
    (lambda path: (path / "decode.json").write_text('{"family": "llada"}'), "decode.json: cases is missing"),
    (lambda path: (path / "config.json").unlink(), "config.json cannot be read"),
    (lambda path: (path / "model.safetensors").unlink(), "there is no .safetensors file"),
    (lambda path: (path / "config.json").write_text('{"model_type": "gpt"}'), "model_type 'gpt' is not served"),
]


@pytest.mark.parametrize(("damage", "message"), BROKEN)
def test_what_is_broken_is_named_and_the_others_are_replayed(
    folders: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], object], message: str
) -> None:
    damage(folders / "sdar")
    assert main([str(folders)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert message in lines[1]
    assert lines[1].startswith("sdar/")
    assert lines[2] == "1 of 2 identical"


def hyper(**settings: object) -> Callable[[Json], object]:
    return lambda case: case["hyper_parameters"].update(settings)


REFUSED: list[tuple[str, str, Callable[[Json], object], str]] = [
    ("sdar", "sequential", hyper(temperature=-1.0), "hyper_parameters.temperature is -1.0; it is at least 0"),
    ("sdar", "sequential", hyper(remasking_strategy="best"), "hyper_parameters.remasking_strategy is 'best'"),
    ("sdar", "sequential", hyper(repetition_penalty=1.1), "hyper_parameters.repetition_penalty is 1.1"),
    ("sdar", "sequential", hyper(token_choice="gumbel"), "hyper_parameters.token_choice is 'gumbel'"),
    ("sdar", "sequential", hyper(mask_id=320), "mask_token_id 320 is outside the vocabulary"),
    ("sdar", "sequential", hyper(gen_length=9999), "max_tokens: prompt and answer take"),
    ("sdar", "sequential", lambda case: case.pop("forwards_denoise"), "forwards_denoise is missing"),
    ("sdar", "sequential", lambda case: case.pop("name"), "name is missing"),
    ("llada", "llada_cfg", hyper(temperature=0.5), "hyper_parameters.temperature is 0.5"),
    ("llada", "llada_cfg", hyper(threshold=0.5), "hyper_parameters.threshold is 0.5"),
    ("llada", "llada_cfg", hyper(steps=3), "hyper_parameters.steps is 3"),
    ("llada", "llada_cfg", lambda case: case.update(algorithm="beam"), "algorithm is 'beam'"),
    ("llada", "fast_threshold_no_cache", hyper(cfg_scale=1.0), "hyper_parameters.cfg_scale is 1.0"),
    ("dream", "entropy", hyper(alg_temp=0.1), "hyper_parameters.alg_temp is 0.1"),
    ("dream", "entropy", hyper(alg="greedy"), "hyper_parameters.alg is 'greedy'"),
    ("llada2", "threshold_one_per_step", hyper(minimal_topk=99), "hyper_parameters.minimal_topk is 99"),
    ("a2d_qwen3_bd3lm", "cfg", hyper(temperature=1.0), "hyper_parameters.temperature is 1.0"),
    ("a2d_qwen3_bd3lm", "cfg", lambda case: case.update(left_padding=[1]), "left_padding"),
    ("a2d_qwen3_bd3lm", "cfg", lambda case: case.update(prompts=[], final_ids=[], left_padding=[]), "prompts is []"),
    ("fast_dllm_v2", "stop_token", hyper(max_new_tokens=3), "hyper_parameters.max_new_tokens is 3"),
    ("fast_dllm_v2", "stop_token", hyper(small_block_size=5), "hyper_parameters.small_block_size is 5"),
    ("nemotron_labs_diffusion", "dlm_eos", hyper(max_new_tokens=41), "hyper_parameters.max_new_tokens is 41"),
    ("nemotron_labs_diffusion", "autoregressive", hyper(threshold=0.5), "hyper_parameters.threshold is 0.5"),
    ("diffusion_gemma", "argmax_max_steps", lambda case: case.update(top_k=3), "top_k is 3"),
    ("diffusion_gemma", "argmax_max_steps", lambda case: case["canvases"][0].update(initial_canvas=[1]), "initial_can"),
]


@pytest.mark.parametrize(("family", "name", "change", "message"), REFUSED)
def test_what_cannot_be_replayed_is_named(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    family: str,
    name: str,
    change: Callable[[Json], object],
    message: str,
) -> None:
    assert main([str(copy_of(family, tmp_path, name, change))]) == 1
    line, total = capsys.readouterr().out.splitlines()
    assert message in line
    assert total == "0 of 1 identical"
