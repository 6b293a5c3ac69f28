"""What a store over a network is reached with: clients, where its credentials come from, whether TLS is verified."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

from dataplat.config import Secret
from dataplat.lake.stores._protocol import Store
from dataplat.lake.stores._settings import Settings
from dataplat.lake.stores._wrapper import StoreWrapper

_CLIENTS = {
    "s3": ("s3fs", "aiobotocore", "botocore"),
    "gs": ("gcsfs", "google-auth"),
    "hdfs": ("hdfs-native",),
}
_ENDPOINTS = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
    "gs": ("STORAGE_EMULATOR_HOST",),
}


def network_of(store: Store) -> tuple[str, str, Settings] | None:
    """Return scheme, URL and settings of a store over a network, whatever is wrapped around it; None of any other."""
    from dataplat.lake.stores._remote import RemoteStore

    inner: object = store
    while isinstance(inner, StoreWrapper):
        inner = inner.inner
    return (
        (inner.wire.url.partition("://")[0], inner.wire.url, inner.settings) if isinstance(inner, RemoteStore) else None
    )


def clients(scheme: str) -> dict[str, str]:
    """Return the versions of the packages that speak to such a store; `not installed` where one is not there."""
    found = {}
    for name in _CLIENTS[scheme]:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def endpoint(url: str, settings: Settings, environ: Mapping[str, str] | None = None) -> str | None:
    """Return the endpoint that is set, by the URL, by settings or by the environment; None for the cloud's own."""
    environ = os.environ if environ is None else environ
    scheme, _, place = url.partition("://")
    if scheme == "hdfs":
        return place.partition("/")[0] or "fs.defaultFS of HADOOP_CONF_DIR"
    named = (environ[name] for name in _ENDPOINTS.get(scheme, ()) if environ.get(name))
    found: str | None = settings.get("endpoint_url") or next(named, None)
    return None if found is None else found.partition("://")[0] + "://" + found.partition("://")[2].rpartition("@")[2]


def tls(scheme: str, settings: Settings) -> tuple[bool, str]:
    """Return whether what travels is safe from others, and in words how."""
    if scheme == "hdfs":
        return True, "as the cluster has it (dfs.encrypt.data.transfer)"
    if not settings.get("verify_tls", True):
        return False, "not verified (verify_tls = false)"
    if (endpoint(f"{scheme}://", settings) or "https://").startswith("http://"):
        return False, "none: the endpoint is http://"
    return True, "verified" + (" by `ca_bundle`" if "ca_bundle" in settings else "")


def credentials(scheme: str, settings: Settings) -> str:
    """Return where the credentials come from, never what they are."""
    if settings.get("anonymous"):
        return "none (anonymous)"
    return {"s3": _s3, "gs": _gs, "hdfs": _hdfs}[scheme](settings)


def _s3(settings: Settings) -> str:
    if "key" in settings:
        return f"`key` and `secret` of the settings ({_place(settings['key'])})"
    try:
        from botocore.session import Session

        found = Session(profile=settings.get("profile")).get_credentials()
    except Exception as error:  # noqa: BLE001  (a doctor says what it finds)
        return f"none: {type(error).__name__}"
    methods = {"env": "the environment (AWS_ACCESS_KEY_ID)", "shared-credentials-file": "the shared credentials file"}
    return "none found" if found is None else methods.get(found.method, f"AWS's chain ({found.method})")


def _gs(settings: Settings) -> str:
    if "credentials" in settings:
        return f"`credentials` of the settings ({_place(settings['credentials'])})"
    if os.environ.get("GOOGLE_APPLICATION_CREDENTIALS"):
        return "the file that GOOGLE_APPLICATION_CREDENTIALS names"
    if os.environ.get("STORAGE_EMULATOR_HOST"):
        return "none (an emulator)"
    return "Google's chain (gcloud, or the machine's service account)"


def _hdfs(settings: Settings) -> str:
    if "user" in settings:
        return "`user` of the settings"
    for name in ("HADOOP_USER_NAME", "KRB5CCNAME"):
        if os.environ.get(name):
            return f"the environment ({name})"
    return "the user of this process, or its Kerberos ticket"


def _place(secret: Secret) -> str:
    return "an environment variable" if secret.reference.startswith("env:") else "a file"
