"""What Hadoop's file systems are told so that Spark reaches a store as dataplat does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dataplat.config import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dataplat.lake.stores import Store


def hadoop_settings(store: Store) -> dict[str, str]:
    """Return the settings of S3A, of the bucket of a store alone; none where the store is no S3.

    What a store has no setting for (credentials of the environment, of a role, of a profile) Hadoop finds as it does.
    """
    from dataplat.lake.stores._surroundings import endpoint, network_of

    found = network_of(store)
    if found is None or found[0] != "s3":
        return {}
    _, url, settings = found
    bucket = url.partition("://")[2].partition("/")[0]
    told = _s3a(settings)
    if (place := endpoint(url, settings)) is not None:
        told |= {"endpoint": place, "path.style.access": "true"}
        told["connection.ssl.enabled"] = str(place.startswith("https://")).lower()
        told.setdefault("endpoint.region", "us-east-1")
    return {f"fs.s3a.bucket.{bucket}.{name}": value for name, value in told.items()}


def _s3a(settings: Mapping[str, Any]) -> dict[str, str]:
    names = {"key": "access.key", "secret": "secret.key", "token": "session.token", "region": "endpoint.region"}
    told = {names[name]: _text(settings[name]) for name in names if name in settings}
    if settings.get("anonymous"):
        told["aws.credentials.provider"] = "org.apache.hadoop.fs.s3a.AnonymousAWSCredentialsProvider"
    return told


def _text(value: Any) -> str:
    return value.reveal() if isinstance(value, Secret) else str(value)
