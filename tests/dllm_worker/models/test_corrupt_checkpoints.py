"""Whatever is wrong with a checkpoint, it is refused by a ``LoadError`` that names a file, or it loads."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dllm_worker.models.checkpoint import LoadError, describe
from dllm_worker.models.loading import load_model
from tests.dllm_worker.conftest import tiny_config
from tests.dllm_worker.models import families

CONFIGS = families.CONFIGS | {"dllm_embedded": tiny_config()}
TOKENIZER = {
    "tokenizer_config": {"mask_token": "<mask>", "added_tokens_decoder": {"94": {"content": "<mask>"}}},
    "tokenizer": {"added_tokens": [{"id": 94, "content": "<mask>"}]},
    "generation_config": {"eos_token_id": [95], "top_p": 0.5, "cache": {"kind": "none"}},
}
STRANGE = st.one_of(
    st.sampled_from([None, True, False, -5, 0, 3, 10**12, 10**400, 0.5, -1.0, 1e300, float("nan"), float("inf")]),
    st.sampled_from(["", "gelu", [], [None], ["x"], {}, {"content": 7}, {"0": []}, [[1]], "a" * 500]),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
)
LENIENT = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module", params=list(CONFIGS))
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound checkpoint with all of its small files."""
    path = families.write(tmp_path_factory.mktemp("whole"), CONFIGS[request.param])
    for stem, content in TOKENIZER.items():
        (path / f"{stem}.json").write_text(json.dumps(content))
    return path


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "copy")


@contextmanager
def refusals_name(path: Path) -> Iterator[None]:
    """What happens inside may succeed, or fail with a ``LoadError`` about ``path``."""
    try:
        yield
    except LoadError as error:
        if str(path) not in str(error):
            raise AssertionError("the refusal names no file") from error


def places_of(content: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to each value inside ``content``."""
    pairs = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    return [way for key, value in pairs for way in [(*above, key), *places_of(value, (*above, key))]]


def changed(content: Any, way: tuple[Any, ...], drop: bool, value: Any) -> Any:
    content = json.loads(json.dumps(content))
    inner = content
    for key in way[:-1]:
        inner = inner[key]
    if drop:
        del inner[way[-1]]
    else:
        inner[way[-1]] = value
    return content


@LENIENT
@given(data=st.data())
def test_a_configuration_with_a_strange_value(whole: Path, copy: Path, data: st.DataObject) -> None:
    content = json.loads((whole / "config.json").read_text())
    way = data.draw(st.sampled_from(places_of(content)))
    content = changed(content, way, data.draw(st.booleans()), data.draw(STRANGE))
    (copy / "config.json").write_text(json.dumps(content))
    with refusals_name(copy):
        load_model(copy)


@LENIENT
@given(data=st.data())
def test_small_files_with_a_strange_value(copy: Path, data: st.DataObject) -> None:
    """``config.json`` has no mask, so that the tokenizer's files are asked for it."""
    config = json.loads((copy / "config.json").read_text())
    config.pop("mask_token_id", None)
    (copy / "config.json").write_text(json.dumps(config))
    for stem, content in TOKENIZER.items():
        (copy / f"{stem}.json").write_text(json.dumps(content))
    stem = data.draw(st.sampled_from(list(TOKENIZER)))
    way = data.draw(st.sampled_from(places_of(TOKENIZER[stem])))
    content = changed(TOKENIZER[stem], way, data.draw(st.booleans()), data.draw(STRANGE))
    (copy / f"{stem}.json").write_text(json.dumps(content))
    with refusals_name(copy):
        describe(copy)


@pytest.mark.parametrize("name", ["config.json", "generation_config.json", "tokenizer_config.json", "tokenizer.json"])
@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b"\xff\xfe", b'"x"', b"[" * 100_000, b'{"a": 1e999'])
def test_a_file_that_is_no_object_is_named(name: str, content: bytes, copy: Path) -> None:
    config = {key: value for key, value in json.loads((copy / "config.json").read_text()).items() if "mask" not in key}
    if name.startswith("tokenizer"):
        (copy / "config.json").write_text(json.dumps(config))
        (copy / "tokenizer_config.json").write_text(json.dumps({"mask_token": "<mask>"}))
    (copy / name).write_bytes(content)
    with pytest.raises(LoadError, match=name.replace(".", r"\.")):
        describe(copy)


@LENIENT
@given(data=st.data())
def test_weights_that_are_cut_off_or_garbled(whole: Path, copy: Path, data: st.DataObject) -> None:
    original = (whole / "model.safetensors").read_bytes()
    header = 8 + int.from_bytes(original[:8], "little")
    at = data.draw(st.integers(0, header + 16))
    garbage = data.draw(st.binary(max_size=12))
    content = original[:at] + garbage + (b"" if data.draw(st.booleans()) else original[at + len(garbage) :])
    (copy / "model.safetensors").write_bytes(content)
    with refusals_name(copy):
        load_model(copy)


@LENIENT
@given(data=st.data())
def test_an_index_that_is_garbled(copy: Path, data: st.DataObject) -> None:
    index, name = copy / "model.safetensors.index.json", "model-00001-of-00001.safetensors"
    if not (copy / name).exists():
        (copy / "model.safetensors").rename(copy / name)
    content = {"metadata": {"total_size": 1}, "weight_map": {"a": name, "b": name}}
    way = data.draw(st.sampled_from(places_of(content)))
    index.write_text(json.dumps(changed(content, way, data.draw(st.booleans()), data.draw(STRANGE))))
    with refusals_name(copy):
        load_model(copy)


def test_sizes_beyond_what_is_stored_take_no_memory(copy: Path) -> None:
    """The largest network that a configuration may state does not fit any machine."""
    file = copy / "config.json"
    config = json.loads(file.read_text())
    text = config.get("text_config", config)
    text |= {"d_model": 1 << 20} if "d_model" in text else {"hidden_size": 1 << 20, "head_dim": 16}
    text |= {name: 1 << 20 for name in ("intermediate_size", "mlp_hidden_size") if name in text}
    file.write_text(json.dumps(config))
    with pytest.raises(LoadError, match=r"model\.safetensors: tensor .* has shape"):
        load_model(copy)
