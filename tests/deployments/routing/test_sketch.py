"""What a sketch of 256 bytes still says about cached prefixes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from deployments.routing.sketch import SIZE, cached_pages, page_name, sketch
from dllm_worker.cache.prefix import PrefixKey, page_hashes

DIGESTS = st.binary(min_size=16, max_size=16)


@given(st.lists(DIGESTS, max_size=200))
def test_it_holds_the_least_names_in_order(digests: list[bytes]) -> None:
    names = {page_name(digest) for digest in digests}
    assert sketch(digests) == tuple(sorted(names)[:SIZE])


@given(st.sets(DIGESTS), st.sets(DIGESTS))
def test_the_sketch_of_two_replicas_is_that_of_their_sketches(one: set[bytes], other: set[bytes]) -> None:
    together = sorted({*sketch(one), *sketch(other)})[:SIZE]
    assert sketch(one | other) == tuple(together)


@given(st.lists(DIGESTS, min_size=1, max_size=12, unique_by=page_name), st.data())
def test_a_page_in_the_sketch_stands_for_all_before_it(prompt: list[bytes], data: st.DataObject) -> None:
    cached = data.draw(st.integers(0, len(prompt)))
    pages = [page_name(digest) for digest in prompt]
    assert cached_pages(pages, frozenset(sketch(prompt[:cached]))) == cached
    assert cached_pages(pages, frozenset(pages[cached - 1 : cached])) == cached


def test_equal_prompts_under_two_salts_have_no_page_in_common() -> None:
    prompt = list(range(256))
    mine, theirs = (page_hashes(prompt, 32, PrefixKey(salt, 32)) for salt in ("mine", "theirs"))
    assert len(mine) == 8
    assert cached_pages([page_name(digest) for digest in mine], frozenset(sketch(theirs))) == 0
    assert cached_pages([page_name(digest) for digest in mine], frozenset(sketch(mine))) == 8
