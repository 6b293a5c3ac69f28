"""What we test with, shipped so that others can test theirs: suites for stores, stores that fail, a simulator."""
