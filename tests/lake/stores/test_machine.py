"""The stateful machine over each store, and over a retry around one that gives unclear answers."""

import shutil
import tempfile

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from dataplat.lake.stores import FileStore, MemoryStore, RetryingStore
from dataplat.testing.store_faults import FaultyStore
from dataplat.testing.store_machine import KEYS, StoreMachine

STEPS = settings(
    max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)


class MemoryMachine(StoreMachine):
    def make_store(self):
        """A store of its own."""
        return MemoryStore()


class FileMachine(StoreMachine):
    def make_store(self):
        """A store in a temporary folder."""
        self.folder = tempfile.mkdtemp()
        return FileStore(self.folder)

    def reopen(self, store):
        """Open the folder anew, which sweeps."""
        return FileStore(store.root)

    def teardown(self):
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


class RetryingMachine(StoreMachine):
    """Time-outs of every kind come between, and must not show."""

    def make_store(self):
        """A retry around a store that times out when told so."""
        self.faulty = FaultyStore(MemoryStore(), {})
        return RetryingStore(self.faulty, sleep=lambda _seconds: None)

    @rule(faults=st.lists(st.sampled_from(["landed", "late", "lost"]), max_size=3))
    def fail_next(self, faults):
        """Let the next calls time out."""
        first = self.faulty.calls + 1
        self.faulty.script = dict(enumerate(faults, first))

    @rule(key=KEYS)
    def delete(self, key):
        """Delete without faults: one that lands late could remove a later object of that name, on any store."""
        self.faulty.script = {}
        super().delete(key)


TestMemory = MemoryMachine.TestCase
TestMemory.settings = STEPS
TestFile = FileMachine.TestCase
TestFile.settings = STEPS
TestRetrying = RetryingMachine.TestCase
TestRetrying.settings = STEPS
