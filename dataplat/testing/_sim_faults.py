"""What may go wrong in a simulated history, and how often."""

from __future__ import annotations

from dataclasses import dataclass, fields
from random import Random


@dataclass(frozen=True, slots=True)
class Faults:
    """Probabilities per store call, unless said otherwise.

    `timeout_landed`, `timeout_late`, `timeout_lost`: the call times out, having taken effect, taking effect later,
    or never. `crash_before`, `crash_after`, `crash_late`: the writer dies, its request not sent, answered, or under
    way. `pause`: the writer stalls for up to `pause_seconds` before the call. `land`: per scheduling point, that one
    of the requests under way lands. `timeout_seconds`: the longest wait for an answer that does not come. `skew_us`:
    how far a writer's clock may be off (µs). `page`: how many names one call of a listing gives at most.
    """

    timeout_landed: float = 0.02
    timeout_late: float = 0.02
    timeout_lost: float = 0.02
    crash_before: float = 0.004
    crash_after: float = 0.004
    crash_late: float = 0.002
    pause: float = 0.01
    land: float = 0.1
    pause_seconds: float = 20.0
    timeout_seconds: float = 5.0
    skew_us: int = 5_000_000
    page: int = 10

    @classmethod
    def none(cls) -> Faults:
        """Return no faults at all: writers only get in each other's way."""
        return cls(0, 0, 0, 0, 0, 0, 0, skew_us=0)

    @classmethod
    def drawn(cls, rng: Random) -> Faults:
        """Return rates for one history: each kind absent, rare, usual or frequent."""
        usual = cls()
        rates = {name: getattr(usual, name) * rng.choice((0, 0, 0.3, 1, 4)) for name in KINDS}
        return cls(**rates, land=rng.choice((0.02, 0.1, 0.5)), skew_us=rng.choice((0, 1_000, 5_000_000)))

    def ladder(self) -> tuple[tuple[float, str], ...]:
        """Return the kinds of faults with the bounds that one number drawn from [0, 1) is compared with."""
        bound = 0.0
        steps = []
        for name in KINDS:
            rate = getattr(self, name)
            bound += rate
            if rate:
                steps.append((bound, name))
        return tuple(steps)


KINDS = tuple(field.name for field in fields(Faults))[:7]
