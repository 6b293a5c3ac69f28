"""Has Label Studio tell dataplat's own server of answers, where one runs; where none does, pulls come by themselves."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from dataplat.errors import LabelServerError
from dataplat.labeling.serve.links import hook_link


@runtime_checkable
class SupportsWatching(Protocol):
    """An annotation server that can call a URL when something is answered."""

    def watch(self, project: int, url: str, secret: str) -> None:
        """Have a URL told, with a secret, whenever something in a project is answered, edited or deleted."""
        ...


def watch_project(server: object, project: int, queue: str) -> bool:
    """Have a queue's puller woken by answers in a project; return whether it will be.

    Nothing rests on it, so what cannot be had is left: no server of ours runs, or the account may make no webhooks.
    """
    if not isinstance(server, SupportsWatching):
        return False
    try:
        url, secret = hook_link(queue)
        server.watch(project, url, secret)
    except LabelServerError:
        return False
    return True
