"""Exit codes: each error has one, and each is documented."""

from dataplat import errors
from dataplat.cli import _exits


def leaves(kind=errors.DataplatError):
    """Yield every error class of the tree."""
    yield kind
    for below in kind.__subclasses__():
        yield from leaves(below)


def made(kind):
    """Return an error of that class."""
    return kind("x", "commit") if kind is errors.CommitInDoubt else kind("x")


def test_every_error_has_a_documented_code():
    """Every class of the error tree ends in a code that the help explains."""
    for kind in leaves():
        assert _exits.code_of(made(kind)) in _exits.MEANINGS


def test_codes_say_whose_turn_it_is():
    """Data, usage, not found, conflict, store and doubt are kept apart."""
    expected = {
        errors.ContractFailed: 1,
        errors.ContractError: 2,
        errors.SchemaMismatch: 1,
        errors.KeyViolation: 1,
        errors.SourceError: 1,
        errors.SourceNotFound: 3,
        errors.MissingExtra: 2,
        errors.PredicateError: 2,
        errors.BadReference: 2,
        errors.BadName: 2,
        errors.DatasetNotFound: 3,
        errors.LakeNotFound: 3,
        errors.CommitConflict: 4,
        errors.KeyConflict: 4,
        errors.AlreadyExists: 4,
        errors.StoreTimeout: 5,
        errors.IntegrityError: 5,
        errors.CommitInDoubt: 6,
    }
    assert {kind: _exits.code_of(made(kind)) for kind in expected} == expected
