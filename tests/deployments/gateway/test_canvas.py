from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from deployments.gateway.canvas import MASKED, CanvasFrame, CanvasView
from deployments.gateway.diffusion import Watch
from deployments.gateway.schema import CanvasFormat
from dllm_worker.request import Draft, Request, SamplingParameters
from tests.deployments.gateway.scripted import MASK, UNIFORM, byte_text, spec

A, B = byte_text().encode("ab")
REQUEST = Request("r", max_tokens=8)
CANVASES = st.lists(st.lists(st.sampled_from([MASK, A, B]), min_size=4, max_size=4), min_size=1, max_size=8)


def view(format: CanvasFormat, every: int = 1, request: Request = REQUEST, **facts: Any) -> CanvasView:
    return CanvasView(Watch(format, every), request, byte_text(), spec(**facts))


def draft(step: int, tokens: list[int], canvas: int = 0) -> Draft:
    return Draft("r", canvas, step, canvas * len(tokens), tuple(tokens), tokens.count(MASK))


def test_a_snapshot_shows_the_canvas_with_its_masks() -> None:
    frame = view("snapshot").frame(draft(1, [A, MASK, MASK, B]), committed_chars=7)
    assert frame == CanvasFrame(0, 1, 4, 2, 0, 4, 7, text=f"a{MASKED}{MASKED}b")
    assert frame.as_json(5) == {
        "seq": 5,
        "block": 0,
        "step": 1,
        "max_steps": 4,
        "masked": 2,
        "start": 0,
        "length": 4,
        "committed_chars": 7,
        "text": f"a{MASKED}{MASKED}b",
    }


def test_a_patch_lists_what_changed_since_the_last_frame() -> None:
    patches = view("patch")
    first = patches.frame(draft(1, [A, MASK, MASK, MASK]), 0)
    second = patches.frame(draft(2, [B, MASK, A, MASK]), 0)
    assert first is not None
    assert second is not None
    assert first.as_json(1)["edits"] == [{"pos": 0, "text": "a"}]
    assert second.as_json(2)["edits"] == [{"pos": 0, "text": "b"}, {"pos": 2, "text": "a"}]


def test_positions_count_from_the_end_of_the_prompt() -> None:
    patches = view("patch")
    patches.frame(draft(1, [A, A, A, A]), 0)
    frame = patches.frame(draft(1, [MASK, B, MASK, MASK], canvas=1), 4)
    assert frame is not None
    assert frame.edits == ((5, "b"),)


def test_frames_are_thinned_but_a_settled_canvas_is_always_shown() -> None:
    thinned = view("snapshot", every=3)
    canvases = [[A, MASK, MASK, MASK, MASK], *[[A, A, MASK, MASK, MASK]] * 4, [A] * 5]
    shown = [step for step, tokens in enumerate(canvases, 1) if thinned.frame(draft(step, tokens), 0)]
    assert shown == [1, 4, 6]


def test_a_model_without_a_mask_shows_its_best_tokens_until_they_are_final() -> None:
    snapshots = view("snapshot", every=2, request=Request("r", max_tokens=2), **UNIFORM)
    frames = [snapshots.frame(Draft("r", 0, step, 0, (A, B), 2 if step < 4 else 0), 0) for step in (1, 2, 3, 4)]
    assert [(frame.text, frame.masked) for frame in frames if frame] == [("ab", 2), ("ab", 2), ("ab", 0)]
    assert frames[0] is not None
    assert frames[0].max_steps == 48


def test_canvases_that_are_open_together_are_told_apart() -> None:
    patches = view("patch")
    drafts = [draft(1, [A, MASK]), draft(1, [MASK, B], canvas=1), draft(2, [A, B]), draft(2, [MASK, A], canvas=1)]
    frames = [patches.frame(draft, 0) for draft in drafts]
    assert [frame.edits for frame in frames if frame] == [((0, "a"),), ((3, "b"),), ((1, "b"),), ((3, "a"),)]
    assert patches.frame(draft(3, [A, B]), 0) is None


def test_the_step_bound_is_the_clients_or_a_step_for_each_hole() -> None:
    def bound(request: Request) -> int | None:
        frame = view("patch", request=request).frame(draft(1, [A, MASK, MASK, MASK]), 0)
        assert frame is not None
        return frame.max_steps

    assert bound(REQUEST) == 4
    assert bound(Request("r", max_tokens=8, sampling=SamplingParameters(max_steps=3))) == 3
    assert bound(Request("r", template=(A, None, None, B))) == 2
    editing = SamplingParameters("joint_threshold", max_steps=3, max_post_steps=5)
    assert bound(Request("r", max_tokens=8, sampling=editing)) == 8
    assert bound(Request("r", max_tokens=8, sampling=SamplingParameters("capped_threshold", max_steps=2))) == 4
    assert bound(Request("r", max_tokens=8, sampling=SamplingParameters("pipelined"))) is None


@given(CANVASES, st.integers(1, 3))
def test_patches_applied_to_an_all_masked_canvas_give_the_snapshot(canvases: list[list[int]], every: int) -> None:
    patches, snapshots = view("patch", every), view("snapshot", every)
    board = [MASKED] * 4
    for step, tokens in enumerate(canvases, 1):
        patch, snapshot = patches.frame(draft(step, tokens), 0), snapshots.frame(draft(step, tokens), 0)
        assert (patch is None) == (snapshot is None)
        if patch is not None and snapshot is not None:
            for position, text in patch.edits or ():
                board[position] = MASKED if text is None else text
            assert "".join(board) == snapshot.text
