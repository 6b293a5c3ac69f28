"""Checks of a dataset as a whole, beside those of pandera: declared in a contract, settled from what is known of parts."""

from dataplat.validation.rules._rule import Context, Rule

__all__ = ["Context", "Rule"]
