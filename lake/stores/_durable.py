"""Writing files so that they survive a power cut, and saying plainly why they could not be written."""

# ruff: noqa: PTH102, PTH103, PTH112, PTH120
# Paths are strings here: these are bare system calls, and Path objects would double their cost.

from __future__ import annotations

import errno
import os
import sys
from itertools import islice

from dataplat.errors import StoreError, StoreUnsuitable
from dataplat.lake.stores._protocol import Bytes

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV, errno.EMLINK}
_ADVICE = {
    errno.ENOSPC: "the file system is full: free space on it and try again (nothing that was committed is lost)",
    errno.EDQUOT: "the disk quota is used up: free space and try again",
    errno.EFBIG: "the file is larger than the file system or a limit of this process allows",
    errno.EACCES: "permission denied: this user needs to read, write and enter the lake's folders",
    errno.EPERM: "not permitted: this user needs to read, write and enter the lake's folders",
    errno.EROFS: "the file system is mounted read-only",
    errno.ENOTDIR: "a file lies where a folder should be: a key cannot also be the folder of other keys",
    errno.EISDIR: "a folder lies where a file should be: a key cannot also be the folder of other keys",
    errno.EMFILE: "too many open files: raise `ulimit -n`",
    errno.EIO: "the disk reported an error; what it holds may be damaged",
}

_BESIDE = 1024
"""Entries of a folder that are looked at, to see what else lies in it."""


def explained(error: OSError, doing: str) -> StoreError:
    """Return the `StoreError` that says what was being done, where, why it failed and what helps."""
    cause = _ADVICE.get(error.errno or 0, error.strerror or str(error))
    told = StoreError(f"cannot {doing}: {cause}")
    told.errno = error.errno
    return told


def unlinkable(error: OSError, path: str) -> StoreError:
    """Return the error for a failed `link(2)` to `path`."""
    if error.errno not in _NO_LINKS:
        return explained(error, f"create {path}")
    return StoreUnsuitable(
        f"cannot create {path}: link(2) failed ({error.strerror}). A lake needs hard links within one file system, for "
        "they alone create a name atomically with all of its bytes; put the lake on ext4, XFS, btrfs, APFS, ZFS or NFS"
    )


def sync_file(descriptor: int) -> None:
    """Bring the file's bytes to the disk itself (macOS needs a call of its own for that)."""
    if sys.platform == "darwin":
        import fcntl

        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fsync(descriptor)


def sync_path(path: str) -> None:
    """Bring the file or folder at `path` to the disk; a folder's entries are durable only after this."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        sync_file(descriptor)
    finally:
        os.close(descriptor)


def write_new(path: str, data: Bytes) -> None:
    """Write `data` to the new file `path` and sync it; read-only from the start, since objects never change."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
    try:
        with memoryview(data).cast("B") as view:
            written = 0
            while written < len(view):
                written += os.write(descriptor, view[written:])
        sync_file(descriptor)
    finally:
        os.close(descriptor)


def _make_one(folder: str) -> None:
    try:
        os.mkdir(folder)
    except FileExistsError:
        if not os.path.isdir(folder):  # else another writer was faster
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), folder) from None


def make_folder(folder: str, root: str, durable: set[str]) -> None:
    """Make `folder` and the folders between it and `root`, each durable in its parent.

    `durable` remembers the folders whose entries this process has synced, whoever made them: a folder that
    another process made a moment ago may not be on the disk yet. One sync serves all that lie in the parent before it.
    """
    if folder in durable:
        return
    parent = os.path.dirname(folder)
    beside: list[str] = []
    if folder == root:
        os.makedirs(folder, exist_ok=True)
    else:
        make_folder(parent, root, durable)
        if not os.path.isdir(folder):
            _make_one(folder)
        beside = _folders_in(parent)
    try:
        sync_path(parent)
    except PermissionError:  # the folder above the lake may belong to somebody else
        if folder != root:
            raise
    durable.update(beside, (folder,))


def _folders_in(parent: str) -> list[str]:
    with os.scandir(parent) as entries:
        return [entry.path for entry in islice(entries, _BESIDE) if entry.is_dir(follow_symlinks=False)]
