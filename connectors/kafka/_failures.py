"""What went wrong with a cluster, in words: the same whichever library met it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataplat.errors import SourceError, SourceGap, SourceNotFound, SourceUnreachable

if TYPE_CHECKING:
    from dataplat.connectors.kafka._location import KafkaLocation


def no_topic(where: KafkaLocation) -> SourceNotFound:
    """Return the error for a topic that there is not."""
    return SourceNotFound(f"{where}: the cluster has no topic {where.topic!r} (or does not let this user see it)")


def wrong_credentials(where: KafkaLocation, why: str) -> SourceError:
    """Return the error for a user name or password that the broker does not take."""
    return SourceError(
        f"{where}: the broker refuses the user name or password ({why}); they stand under "
        f'[kafka."{where.servers[0]}"] in dataplat.toml'
    )


def untrusted(where: KafkaLocation, server: str, why: str) -> SourceError:
    """Return the error for a broker whose certificate nobody vouches for."""
    return SourceError(
        f"{where}: the certificate of {server} is not trusted ({why}): name the authority that signed it with `ca_bundle`, "
        f'under [kafka."{where.servers[0]}"] in dataplat.toml'
    )


def unknown_to(where: KafkaLocation, server: str, why: str) -> SourceError:
    """Return the error for a broker that wants another certificate of ours, or one at all."""
    return SourceError(
        f"{where}: {server} does not take the certificate that we show, or wants one ({why}): name it with `certificate` "
        f'and `key`, under [kafka."{where.servers[0]}"] in dataplat.toml'
    )


def misunderstood(where: KafkaLocation, server: str, security: str, why: str) -> SourceUnreachable:
    """Return the error for a listener that is of another kind than the settings say."""
    return SourceUnreachable(
        f"{where}: {server} is spoken to by {security}, and cannot be ({why}): is it PLAINTEXT, SSL, SASL_PLAINTEXT or "
        f'SASL_SSL? That is `security`, under [kafka."{where.servers[0]}"] in dataplat.toml'
    )


def denied(where: KafkaLocation, what: str) -> SourceError:
    """Return the error for something that this user may not do."""
    return SourceError(f"{where}: access denied: this user may not {what}; it needs the right to READ and DESCRIBE it")


def gone(where: KafkaLocation, why: str) -> SourceGap:
    """Return the error for a position that is not in the log (any more)."""
    return SourceGap(
        f"{where}: the log no longer holds the position that it was read up to ({why}). To go on from what there is, and "
        "have this written down in the commit: --on-gap mark"
    )


def unreachable(where: KafkaLocation, what: str, seconds: float, error: BaseException) -> SourceUnreachable:
    """Return the error for a broker that does not answer, or not in time."""
    why = str(error) or type(error).__name__
    return SourceUnreachable(
        f"{where}: no broker at {', '.join(where.servers)} answers within {seconds:g} s ({what}: {why}). Is it running, "
        "and are address, security protocol and credentials right?"
    )
