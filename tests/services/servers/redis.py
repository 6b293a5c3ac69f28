"""Redis: one server that keeps what it was told through its being killed, and a cluster of three."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from servers.installed import needs
from servers.process import Server, ServerFailedError, running

SLOTS = 16_384  # of a cluster


@dataclass(frozen=True)
class RedisServer(Server):
    """A Redis of the loopback."""

    scheme: str = "redis"

    @property
    def url(self) -> str:
        """What `[features] online` takes."""
        return f"{self.scheme}://{self.host}:{self.port}"

    def client(self) -> Any:
        """Return a client of its own."""
        import redis

        return redis.Redis(self.host, self.port, socket_timeout=5)


@contextmanager
def redis_server(
    folder: Path, options: Sequence[str] = (), password: str | None = None, *, fsync: str = "always"
) -> Iterator[RedisServer]:
    """Run a Redis that writes each command to its log before it answers, forgetting nothing however it ends.

    With `fsync` "no" it leaves it to the system when that reaches the disk: faster, and as good for who is not killed.
    """
    program = needs("redis") / "redis-server"

    def command(port: int) -> list[str]:
        kept = ["--appendonly", "yes", "--appendfsync", fsync, "--save", "", "--dir", str(folder)]
        secret = [] if password is None else ["--requirepass", password]
        return [str(program), "--bind", "127.0.0.1", "--port", str(port), *kept, *secret, *options]

    with running(folder, command, lambda port: _answers(port, password)) as (port, process):
        yield RedisServer("127.0.0.1", port, folder, process)


@contextmanager
def redis_cluster(folder: Path) -> Iterator[list[RedisServer]]:
    """Run three nodes without replicas that share all slots."""
    with ExitStack() as stack:
        options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"]
        # the port of the cluster's own talk is that of clients and 10,000, by Redis's own rule
        nodes = [stack.enter_context(redis_server(folder / str(number), options, fsync="no")) for number in range(3)]
        clients = [stack.enter_context(node.client()) for node in nodes]
        bounds = [SLOTS * number // 3 for number in range(4)]
        for number, client in enumerate(clients):
            client.execute_command("CLUSTER ADDSLOTS", *range(bounds[number], bounds[number + 1]))
            client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
        for node in nodes[1:]:
            clients[0].execute_command("CLUSTER MEET", node.host, node.port)
        deadline = time.monotonic() + 30
        while not all(_is_whole(client) for client in clients):
            if time.monotonic() > deadline:
                raise ServerFailedError(f"the cluster did not come together:\n{nodes[0].run.log[-2000:]}")
            time.sleep(0.05)
        yield nodes


def _is_whole(client: Any) -> bool:
    info = client.execute_command("CLUSTER INFO")
    text = info.decode() if isinstance(info, bytes) else str(info)
    return ("cluster_state:ok" in text or "'cluster_state': 'ok'" in text) and len(
        client.execute_command("CLUSTER SLOTS")
    ) >= 3


def _answers(port: int, password: str | None) -> bool:
    import redis

    try:
        with redis.Redis("127.0.0.1", port, password=password, socket_timeout=2, retry=None) as client:
            return bool(client.ping())
    except redis.AuthenticationError:
        return True
    except redis.RedisError:  # not yet, or it reads its log
        return False
