"""How often one may try to sign in, and when again."""

from __future__ import annotations

import pytest

from raykqi.errors import TooManyRequests
from serve_api.sign_in_limits import KEPT, SignInLimits


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def wait(limits: SignInLimits, user: str, address: str) -> float:
    with pytest.raises(TooManyRequests) as refused:
        limits.take(user, address)
    return refused.value.retry_after


def test_the_eleventh_wrong_password_of_a_user_has_to_wait(clock: Clock) -> None:
    limits = SignInLimits(clock)
    for number in range(10):
        limits.take("hana", f"10.0.0.{number}")

    assert wait(limits, "HANA", "10.0.0.99") == 10.0
    limits.take("taro", "10.0.0.99")
    clock.now += 10.0
    limits.take("hana", "10.0.0.99")
    assert wait(limits, "hana", "10.0.0.99") == 10.0


def test_one_address_cannot_try_many_users(clock: Clock) -> None:
    limits = SignInLimits(clock)
    for number in range(50):
        limits.take(f"user-{number}", "10.0.0.1")

    assert wait(limits, "user-99", "10.0.0.1") == 1.0
    limits.take("user-99", "10.0.0.2")
    clock.now += 1.0
    limits.take("user-99", "10.0.0.1")


def test_all_turns_come_back_with_time_and_no_more(clock: Clock) -> None:
    limits = SignInLimits(clock)
    for _ in range(10):
        limits.take("hana", "10.0.0.1")
    clock.now += 100_000.0

    for _ in range(10):
        limits.take("hana", "10.0.0.1")
    wait(limits, "hana", "10.0.0.1")


def test_a_right_password_costs_nothing(clock: Clock) -> None:
    limits = SignInLimits(clock)

    for _ in range(200):
        limits.take("hana", "10.0.0.1")
        limits.give_back("hana", "10.0.0.1")


def test_who_is_refused_does_not_wait_longer_for_it(clock: Clock) -> None:
    limits = SignInLimits(clock)
    for _ in range(10):
        limits.take("hana", "10.0.0.1")
    for _ in range(100):
        wait(limits, "hana", "10.0.0.1")
    clock.now += 10.0

    limits.take("hana", "10.0.0.1")


def test_what_is_remembered_is_bounded(clock: Clock) -> None:
    limits = SignInLimits(clock)
    for number in range(KEPT):
        limits.take(f"user-{number}", f"address-{number}")

    assert len(limits._full_at) == KEPT


def test_a_name_that_nobody_has_is_not_kept_whole(clock: Clock) -> None:
    limits = SignInLimits(clock)

    limits.take("x" * 1_000_000, "10.0.0.1")

    assert max(len(name) for _, name in limits._full_at) == 128
