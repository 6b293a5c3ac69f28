"""What changed under a dataset, told once: columns of its source, values of its enums, versions of what it depends on."""

from dataplat.events._derive import Event

__all__ = ["Event"]
