"""Queues of a lake: rows go out as questions, people answer, and the answers come back as versions."""

from dataplat._labels._queue import LabelQueue

__all__ = ["LabelQueue"]
