"""What a local server is known by: ports and secrets, in a folder that only its user can read.

label-server/
server.json            secrets and ports, mode 600; the ports stay, since links to pages and pictures hold them
label-studio/          what Label Studio keeps: its SQLite database, uploads
label-studio.pid .log  its process, and what it printed
serve.pid .log         the same of dataplat's own server, of pictures and ways in
heard/                 a file a queue: when a webhook last said that something was answered
"""

from __future__ import annotations

import hmac
import os
import secrets
import sys
from base64 import b32encode
from contextlib import suppress
from pathlib import Path

import msgspec

from dataplat.errors import ConfigError

ADMIN = "admin@dataplat.example"
"""The account that dataplat itself uses."""


def state_dir() -> Path:
    """Return the folder, by the convention of the platform (`XDG_DATA_HOME` wins)."""
    if given := os.environ.get("XDG_DATA_HOME"):
        return Path(given) / "dataplat" / "label-server"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "dataplat" / "label-server"
    return Path.home() / ".local" / "share" / "dataplat" / "label-server"


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Secrets and ports; a port is 0 until it is chosen. The repr holds no secret."""

    token: str
    password: str
    secret: str
    port: int = 0
    serve_port: int = 0

    def __repr__(self) -> str:
        return f"State(port={self.port}, serve_port={self.serve_port})"

    @property
    def url(self) -> str:
        """Where Label Studio answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def serve_url(self) -> str:
        """Where dataplat's own server answers."""
        return f"http://127.0.0.1:{self.serve_port}"

    def derived(self, purpose: str) -> bytes:
        """Return 32 bytes that only who knows the secret can have, others for each purpose."""
        return hmac.digest(self.secret.encode(), purpose.encode(), "sha256")

    def password_of(self, email: str) -> str:
        """Return the password of an account that dataplat made."""
        return b32encode(self.derived(f"password of {email.lower()}"))[:24].decode().lower()

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must be in no log and no message."""
        return (self.token, self.password, self.secret)


def load(folder: Path | None = None) -> State | None:
    """Return what is known of this user's server; None where there never was one.

    Raises:
        ConfigError: the file is damaged, or others could read it.
    """
    path = (folder or state_dir()) / "server.json"
    try:
        if path.stat().st_mode & 0o077:
            raise ConfigError(f"{path} holds secrets and others may read it: chmod 600 {path}")
        return msgspec.json.decode(path.read_bytes(), type=State)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}; move it away and start the server anew") from error


def load_or_make(folder: Path | None = None) -> State:
    """Return what is known, with new secrets where nothing is."""
    found = load(folder)
    if found is not None:
        return found
    made = State(token=secrets.token_hex(20), password=secrets.token_urlsafe(18), secret=secrets.token_hex(32))
    save(made, folder)
    return made


def save(state: State, folder: Path | None = None) -> None:
    """Write it down, whole or not at all."""
    folder = folder or state_dir()
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    scratch = folder / f".server.json.{secrets.token_hex(4)}"
    try:
        with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(state)))
            file.flush()
            os.fsync(file.fileno())
        scratch.rename(folder / "server.json")
    finally:
        with suppress(FileNotFoundError):
            scratch.unlink()
