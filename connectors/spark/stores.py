"""What Hadoop's file systems are told so that Spark reaches a store as dataplat does."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataplat.config import Secret
from dataplat.connectors.spark.jars import EXTRAS
from dataplat.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dataplat.lake.stores import Store


def hadoop_settings(store: Store) -> dict[str, str]:
    """Return the settings of S3A, of the bucket of a store alone, or those of GCS; none where the store is neither.

    What a store has no setting for (credentials of the environment, of a role, of a profile) Hadoop finds as it does.

    Raises:
        ConfigError: A credential is given in a way that Hadoop has none for.
    """
    from dataplat.lake.stores._surroundings import endpoint, network_of

    found = network_of(store)
    if found is None or found[0] not in _TOLD:
        return {}
    scheme, url, settings = found
    return _TOLD[scheme](url, settings, endpoint(url, settings))


def _s3(url: str, settings: Mapping[str, Any], place: str | None) -> dict[str, str]:
    bucket = url.partition("://")[2].partition("/")[0]
    told = _s3a(settings)
    if place is not None:
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


def _gcs(_: str, settings: Mapping[str, Any], place: str | None) -> dict[str, str]:
    """Return settings of the GCS connector, which knows none for a bucket alone."""
    told = {**EXTRAS["gcs"].hadoop, "fs.gs.auth.type": "APPLICATION_DEFAULT"}  # by itself it asks the machine alone
    if settings.get("anonymous") or (place is not None and "GOOGLE_APPLICATION_CREDENTIALS" not in os.environ):
        told["fs.gs.auth.type"] = "UNAUTHENTICATED"
    if "credentials" in settings:
        told["fs.gs.auth.type"] = "SERVICE_ACCOUNT_JSON_KEYFILE"
        told["fs.gs.auth.service.account.json.keyfile"] = _file(settings["credentials"])
    if place is not None:
        told["fs.gs.storage.root.url"] = f"{place.rstrip('/')}/"
    if "project" in settings:
        told["fs.gs.project.id"] = str(settings["project"])
    return told


_TOLD = {"s3": _s3, "gs": _gcs}


def _text(value: Any) -> str:
    return value.reveal() if isinstance(value, Secret) else str(value)


def _file(key: Secret) -> str:
    """Return the file that a secret lies in."""
    kind, _, path = key.reference.partition(":")
    if kind != "file":
        raise ConfigError(
            "Spark takes a key for GCS from a file alone, which its machines share: give `credentials` as file:PATH, or "
            "leave it out and let GOOGLE_APPLICATION_CREDENTIALS name the file"
        )
    return str(Path(path).expanduser().absolute())
