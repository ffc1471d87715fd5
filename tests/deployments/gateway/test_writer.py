from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from deployments.gateway.pieces import Hole, Piece, Pinned
from deployments.gateway.writer import Delta, TokenChance, Writer
from dllm_worker.request import TokenLogprobs
from tests.deployments.gateway.scripted import EOS, byte_text


def tokens(text: str) -> list[int]:
    return byte_text().encode(text)


def write(pieces: list[Piece], batches: list[list[int]], stops: tuple[str, ...] = ()) -> list[Delta]:
    writer = Writer(pieces, stops, byte_text(), (EOS,))
    deltas = [delta for batch in batches for delta in writer.write(batch)]
    return deltas + writer.end()


def whole(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas)


def test_pinned_text_is_answered_as_it_was_given() -> None:
    pieces: list[Piece] = [Pinned("lead ", 0), Hole(2), Pinned(" tail", 5)]
    assert write(pieces, [tokens("ab tail")]) == [Delta("lead ", None), Delta("ab", 0), Delta(" tail", None)]


def test_an_end_of_sequence_ends_its_hole_only() -> None:
    pieces: list[Piece] = [Hole(3), Pinned("-", 1), Hole(2)]
    committed = [*tokens("a"), EOS, *tokens("x"), *tokens("-"), *tokens("bc")]
    assert write(pieces, [committed]) == [Delta("a", 0), Delta("-", None), Delta("bc", 1)]


def test_a_scalar_is_never_cut() -> None:
    euro = tokens("€")
    assert len(euro) == 3
    assert write([Hole(4)], [[token] for token in euro]) == [Delta("€", 0)]


def test_bytes_that_never_become_text_are_shown_at_the_end() -> None:
    assert whole(write([Hole(4)], [tokens("a€")[:3]])) == "a\N{REPLACEMENT CHARACTER}"


def test_nothing_follows_a_stop_string() -> None:
    writer = Writer([Hole(20), Pinned("tail", 0)], ["END"], byte_text(), (EOS,))
    assert writer.write(tokens("one END two")) == [Delta("one ", 0)]
    assert (writer.stopped, writer.write(tokens("more")), writer.end()) == (True, [], [])


@given(
    st.text(max_size=20), st.lists(st.integers(0, 60)), st.lists(st.text("ab€ ", min_size=1, max_size=3), max_size=4)
)
def test_deltas_add_up_to_the_text_however_it_arrives(text: str, cuts: list[int], stops: list[str]) -> None:
    ids = tokens(text)
    edges = [0, *sorted(min(cut, len(ids)) for cut in cuts), len(ids)]
    batches = [ids[start:stop] for start, stop in pairwise(edges)]
    pieces: list[Piece] = [Hole(len(ids) + 1)]
    assert whole(write(pieces, batches, tuple(stops))) == whole(write(pieces, [ids], tuple(stops)))
    assert whole(write(pieces, batches)) == text


@given(st.data(), st.lists(st.tuples(st.text(max_size=4), st.text(max_size=4)), min_size=1, max_size=4))
def test_a_template_is_answered_whole(data: st.DataObject, parts: list[tuple[str, str]]) -> None:
    pieces: list[Piece] = []
    ids: list[int] = []
    for filling, pinned in parts:
        pieces += [Hole(len(tokens(filling)) + 1), Pinned(pinned, len(tokens(pinned)))]
        ids += [*tokens(filling), EOS, *tokens(pinned)]
    cut = data.draw(st.integers(0, len(ids)))
    deltas = write(pieces, [ids[:cut], ids[cut:]])
    assert whole(deltas) == "".join(filling + pinned for filling, pinned in parts)
    for index, (filling, _) in enumerate(parts):
        assert whole([delta for delta in deltas if delta.hole == index]) == filling


def chances(texts: list[str], offset: int = 0) -> tuple[TokenChance, ...]:
    """Those of tokens with these texts, which follow each other from ``offset`` on."""
    told = []
    for number, text in enumerate(texts):
        told.append(TokenChance(text, -float(number), offset, (("x", -0.5),)))
        offset += len(text)
    return tuple(told)


def found(count: int, first: int = 0) -> list[TokenLogprobs | None]:
    return [TokenLogprobs(-float(number), ((tokens("x")[0], -0.5),)) for number in range(first, first + count)]


def test_each_token_is_told_with_the_text_that_it_begins() -> None:
    writer = Writer([Pinned("lead ", 0), Hole(4)], ["bX"], byte_text(), (EOS,))
    assert writer.write(tokens("ab"), found(2)) == [
        Delta("lead ", None),
        Delta("a", 0, chances=chances(["a"], 5)),
    ]
    assert writer.write(tokens("cd"), found(2, 2)) == [Delta("bcd", 0, chances=chances(["a", "b", "c", "d"], 5)[1:])]


def test_the_tokens_of_one_character_are_told_together() -> None:
    (delta,) = write_with_chances([Hole(4)], tokens("€a"))
    assert delta.text == "€a"
    assert [chance.offset for chance in delta.chances] == [0, 0, 0, 1]
    assert [chance.text for chance in delta.chances] == ["\N{REPLACEMENT CHARACTER}"] * 3 + ["a"]


def test_what_a_stop_string_cuts_off_is_not_told() -> None:
    (delta,) = write_with_chances([Hole(9)], tokens("one END"), ("END",))
    assert [chance.text for chance in delta.chances] == list("one ")


def test_pinned_text_and_the_end_of_a_sequence_have_no_chances() -> None:
    pieces: list[Piece] = [Hole(2), Pinned("-", 1), Hole(2)]
    committed = [*tokens("a"), EOS, *tokens("-"), *tokens("bc")]
    writer = Writer(pieces, (), byte_text(), (EOS,))
    told = writer.write(committed, [*found(2), None, *found(2, 3)])
    assert [[chance.text for chance in delta.chances] for delta in told] == [["a"], [], ["b", "c"]]
    assert [chance.offset for delta in told for chance in delta.chances] == [0, 2, 3]


def write_with_chances(pieces: list[Piece], committed: list[int], stops: tuple[str, ...] = ()) -> list[Delta]:
    return Writer(pieces, stops, byte_text(), (EOS,)).write(committed, found(len(committed)))


@given(st.text("ab€é", max_size=12), st.lists(st.integers(0, 40)), st.lists(st.sampled_from(["ab", "€"]), max_size=2))
def test_chances_neither_change_the_text_nor_depend_on_how_it_arrives(
    text: str, cuts: list[int], stops: list[str]
) -> None:
    ids = tokens(text)
    edges = [0, *sorted(min(cut, len(ids)) for cut in cuts), len(ids)]

    def run(spans: list[tuple[int, int]]) -> tuple[str, list[TokenChance]]:
        writer = Writer([Hole(len(ids) + 1)], stops, byte_text(), (EOS,))
        deltas = [delta for a, b in spans for delta in writer.write(ids[a:b], found(b - a, a))] + writer.end()
        return whole(deltas), [chance for delta in deltas for chance in delta.chances]

    answer, told = run([(0, len(ids))])
    assert run(list(pairwise(edges))) == (answer, told)
    assert answer == whole(write([Hole(len(ids) + 1)], [ids], tuple(stops)))
    assert len(told) == len(tokens(answer))
