"""What suites of online stores ask for: a space, keys, snapshots, rows."""

from __future__ import annotations

from dataplat.feature_store.online.store import OnlineStore, Pushed, Snapshot

SPACE = "delay_model@1"
ODD_KEYS = [
    b"\0",
    b"\xff" * 8,
    b"k" * 479,
    b"k" * 480,
    b"k" * 481,
    b"k" * 481 + b"x",
    b"k" * 20_000,
    "ключ\n{tag}*?[x]".encode(),
    b"with \0 in it",
]


def snapshot(name: str, parent: str | None = None) -> Snapshot:
    """Return a snapshot of a name."""
    return Snapshot(
        name, at=1_000_000, pins={"weather": f"pin of {name}"}, closure="c" * 16, parent=parent, made=2_000_000
    )


def row(key: bytes, name: str, e: int = 0, k: int = 0) -> Pushed:
    """Return a row to be pushed, whose bytes are its idempotency key."""
    return Pushed(key, name.encode(), e, k, name.encode())


def content(store: OnlineStore, keys: list[bytes], space: str = SPACE) -> dict[bytes, bytes | None]:
    """Return the records of keys."""
    return dict(zip(keys, store.read(space, keys).records, strict=True))
