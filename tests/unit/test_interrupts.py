"""Signals that end work which has no end of its own: it keeps its results, unless it does not end."""

import signal

import pytest

from reachy_kit.runtime.interrupts import STOP, ending_on_signals


@pytest.fixture(autouse=True)
def unwinding():
    """Signals raise KeyboardInterrupt, as in every command."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGINT, STOP)}
    timer = signal.getitimer(signal.ITIMER_REAL), signal.getsignal(signal.SIGALRM)
    yield
    assert all(signal.getsignal(number) is signal.default_int_handler for number in before), "they do so again"
    assert signal.getitimer(signal.ITIMER_REAL) == pytest.approx(timer[0], abs=10)
    assert signal.getsignal(signal.SIGALRM) is timer[1]
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, STOP])
def test_work_that_asks_ends_by_itself_and_knows_the_signal_afterwards(number):
    asked = 0
    with ending_on_signals() as came:
        while came() is None:
            asked += 1
            if asked == 3:
                signal.raise_signal(number)
    assert (asked, came()) == (3, number)


def test_work_that_has_not_begun_to_ask_is_unwound():
    with pytest.raises(KeyboardInterrupt), ending_on_signals():
        signal.raise_signal(signal.SIGINT)


def test_a_second_signal_unwinds_at_once():
    with pytest.raises(KeyboardInterrupt), ending_on_signals() as came:
        came()
        signal.raise_signal(signal.SIGINT)
        assert came() == signal.SIGINT
        signal.raise_signal(STOP)


def test_work_that_does_not_end_in_time_is_unwound(monkeypatch):
    monkeypatch.setattr("reachy_kit.runtime.interrupts._TO_END", 0.01)
    with pytest.raises(KeyboardInterrupt), ending_on_signals() as came:
        came()
        signal.raise_signal(signal.SIGINT)
        while True:
            came()
