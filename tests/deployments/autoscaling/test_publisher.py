"""Rounds are told in a thread of their own, in order, and who tells them never waits."""

from __future__ import annotations

import threading

from deployments.autoscaling.conductor import Round
from deployments.autoscaling.publisher import MOST_WAITING, Publisher
from tests.deployments.autoscaling.seen import NOW, told


def test_every_reader_is_told_in_order_though_one_fails() -> None:
    heard: list[float] = []

    def fail(round: Round) -> None:
        raise ConnectionError

    publisher = Publisher(fail, lambda round: heard.append(round.at))
    for number in range(10):
        publisher.tell(told(NOW + number))
    publisher.wait()
    assert heard == [NOW + number for number in range(10)]


def test_a_reader_that_hangs_holds_nobody_up_and_hears_the_latest() -> None:
    free, heard = threading.Event(), list[float]()

    def hang(round: Round) -> None:
        free.wait()
        heard.append(round.at)

    publisher = Publisher(hang)
    rounds = 3 * MOST_WAITING
    for number in range(rounds):
        publisher.tell(told(NOW + number))
    free.set()
    publisher.wait()
    assert len(heard) <= MOST_WAITING + 1
    assert heard[-1] == NOW + rounds - 1
    assert heard == sorted(heard)
