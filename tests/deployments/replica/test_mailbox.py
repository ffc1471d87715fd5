from __future__ import annotations

import asyncio
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from deployments.replica.mailbox import Mailbox, News
from dllm_worker.request import Commit, Draft, Event


@dataclass
class Saved:
    number: int
    is_large: bool = False

    def to_bytes(self) -> bytes:
        return bytes([self.number])


def draft(step: int, canvas: int = 0) -> Draft:
    return Draft("a", canvas, step, 0, (step,), 0)


def commit(start: int, canvas: int = 0) -> Commit:
    return Commit("a", canvas, 0, start, (7,))


async def test_what_is_not_taken_becomes_one_message() -> None:
    mailbox = Mailbox()
    mailbox.put([draft(1)], checkpoint=Saved(1), boundary=True, admitted=True)
    mailbox.put([draft(2), commit(0)], checkpoint=Saved(2))
    mailbox.put([draft(3)])
    news = await mailbox.take()
    assert news == News([draft(2), commit(0), draft(3)], Saved(2), boundary=False, admitted=True)


async def test_admission_holds_for_all_that_follows() -> None:
    mailbox = Mailbox()
    mailbox.put()
    assert not (await mailbox.take()).admitted
    mailbox.put(admitted=True)
    assert (await mailbox.take()).admitted
    mailbox.put([commit(0)])
    assert (await mailbox.take()).admitted


async def test_an_error_comes_after_what_was_said_before_it() -> None:
    mailbox = Mailbox()
    mailbox.put([commit(0)])
    failure = RuntimeError()
    mailbox.put(error=failure)
    news = await mailbox.take()
    assert (news.events, news.error, news.last) == ([commit(0)], failure, True)


async def test_a_heart_is_silent_beside_other_news() -> None:
    mailbox = Mailbox()
    mailbox.put()
    await mailbox.take()
    mailbox.beat()
    waiting = asyncio.ensure_future(mailbox.take())
    await asyncio.sleep(0)
    assert not waiting.done()
    mailbox.beat()
    assert await waiting == News()


@given(
    st.lists(st.one_of(st.builds(draft, st.integers(0, 9), st.integers(0, 2)), st.builds(commit, st.integers(0, 9))))
)
def test_no_commit_is_lost_and_the_last_view_before_each_is_kept(events: list[Event]) -> None:
    news = News()
    for event in events:
        news.add([event])
    assert [e for e in news.events if isinstance(e, Commit)] == [e for e in events if isinstance(e, Commit)]
    assert last_views(news.events) == last_views(events)
    for stretch in stretches(news.events):
        assert len(stretch) == len({view.canvas for view in stretch})


def stretches(events: list[Event]) -> list[list[Draft]]:
    """The views between one commit and the next."""
    found: list[list[Draft]] = [[]]
    for event in events:
        if isinstance(event, Draft):
            found[-1].append(event)
        else:
            found.append([])
    return found


def last_views(events: list[Event]) -> list[dict[int, Draft]]:
    return [{view.canvas: view for view in stretch} for stretch in stretches(events)]
