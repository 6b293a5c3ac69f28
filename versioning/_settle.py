"""Create-if-absent through a store that may not answer: the same bytes, sent until it is decided."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from dataplat.errors import ObjectExists, ObjectNotFound, StoreError
from dataplat.lake.stores import Store, settles

T = TypeVar("T")


class Undecided(Exception):
    """The store never said whether the bytes are there."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How often, and with what pauses (seconds, doubling, drawn evenly from [0, pause]), an answer is asked for."""

    attempts: int = 10
    base: float = 0.05
    cap: float = 5.0
    sleep: Callable[[float], object] = time.sleep
    rng: random.Random = field(default_factory=random.Random)

    def pause(self, attempt: int) -> None:
        """Wait before the attempt after `attempt` (counted from 0)."""
        self.sleep(self.rng.uniform(0, min(self.cap, self.base * 2**attempt)))


def settle(
    store: Store, key: str, data: bytes, patience: Patience, create: Callable[[str], object] | None = None
) -> bool:
    """Create `key` with `data`, which nobody else would write; return whether we did, False if somebody else did.

    A request that got no answer may still land, so nothing but the same bytes may be sent after it, and it is
    decided only when the key is seen to exist. A definite refusal (disk full, no permission) is raised as it is if
    nothing was in doubt before. A store that settles by itself is asked once: its budget is the whole patience, since
    ten times a minute is no answer to anybody. `create` does it in place of the store, where given.

    Raises:
        Undecided: The patience ended first.
    """
    in_doubt: OSError | None = None
    attempts = 1 if settles(store) else patience.attempts
    for attempt in range(attempts):
        try:
            if create is None:
                store.create(key, data)
            else:
                create(key)
            return True
        except ObjectExists:
            return _ours(store, key, data, patience)
        except (TimeoutError, ConnectionError) as error:  # a StoreTimeout is a TimeoutError
            in_doubt = error
        except StoreError as error:
            if in_doubt is None:
                raise
            in_doubt = error
        if attempt + 1 < attempts:
            patience.pause(attempt)
    raise Undecided(str(in_doubt)) from in_doubt


def _ours(store: Store, key: str, data: bytes, patience: Patience) -> bool:
    """Whether the existing `key` holds our bytes (an earlier request of ours has landed)."""
    attempts = 1 if settles(store) else patience.attempts
    for attempt in range(attempts):
        try:
            return store.read(key) == data
        except ObjectNotFound as error:
            raise StoreError(f"{key} was there and is gone: somebody deletes refs, which nobody may") from error
        except (StoreError, TimeoutError, ConnectionError):
            if attempt + 1 < attempts:
                patience.pause(attempt)
    raise Undecided(f"{key} exists, but could not be read to see whose it is")
