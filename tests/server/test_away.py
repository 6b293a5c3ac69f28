"""A store that does not answer: one request tries, and the others are refused at once."""

import pytest

from dataplat.errors import SchemaError, StoreTimeout
from dataplat.server._away import AGAIN, Away
from dataplat.server._problems import Problem


class Clock:
    """A clock that goes when it is told to."""

    now = 100.0

    def __call__(self):
        """Return the time."""
        return self.now


@pytest.fixture
def clock():
    """Return it."""
    return Clock()


def fail(away, error):
    """Ask a store that answers with an error."""
    with pytest.raises(type(error)), away.asked():
        raise error


def test_a_store_that_answers_refuses_nobody(clock):
    """Nor does an error that is not the store's."""
    away = Away(clock)
    with away.asked():
        away.check()
    fail(away, SchemaError("not the store's"))
    away.check()


def test_after_a_failure_one_tries_and_the_others_are_refused(clock):
    """For a moment all are refused; then one is let through, and the others only once it was answered."""
    away = Away(clock)
    fail(away, StoreTimeout("no answer"))
    for refused in (away.check, away.asked().__enter__):
        with pytest.raises(Problem) as caught:
            refused()
        assert (caught.value.status, caught.value.headers) == (503, ((b"retry-after", b"1"),))
    clock.now += AGAIN
    away.check()
    with away.asked():
        for refused in (away.check, away.asked().__enter__):
            with pytest.raises(Problem):
                refused()
    away.check()
    with away.asked(), away.asked():
        pass


def test_one_that_tries_in_vain(clock):
    """Is refused, and so are the others for as long again."""
    away = Away(clock)
    fail(away, StoreTimeout("no answer"))
    clock.now += AGAIN
    fail(away, StoreTimeout("still none"))
    with pytest.raises(Problem):
        away.check()
    clock.now += AGAIN
    fail(away, SchemaError("it answers"))
    away.check()


def test_those_that_were_under_way_when_it_failed(clock):
    """One that is answered late, after another was not, says that the store answers."""
    away = Away(clock)
    with away.asked():
        fail(away, StoreTimeout("no answer"))
    away.check()
