"""Interrupts that wait."""

import os
import signal
from collections.abc import Iterator

import pytest

from runtime.script import deferred_interrupts


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """Clears the interrupt, which a store would take for its own: the next block does."""
    yield
    with deferred_interrupts():
        pass


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals of this kind")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_first_interrupt_waits_and_the_second_does_not(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with deferred_interrupts() as came:
        assert not came()
        os.kill(os.getpid(), number)
        assert came()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before
