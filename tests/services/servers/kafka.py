"""Kafka: one real broker and controller in one Java process, with every kind of listener at once.

How to use it, in a test of anything under tests/:

    def test_x(kafka_server):                      # shared by the worker's tests: topics have names of their own
        topic = kafka_server.new_topic(partitions=4, retention_ms="1000")
        topic.produce([Message(b"1", key=b"k"), Message(b"2", partition=3, timestamp=5, headers=(("h", b"v"),))])
        topic.produce(Message(b'{"n": %d}' % n) for n in range(100_000))          # some 100,000 a second
        with topic.transactions() as writer:
            writer.commit([Message(b"seen")])
            writer.abort([Message(b"never seen")])
        assert [message.value for message in topic.committed()] == …              # read by librdkafka
        ingest(topic.url)                                                         # kafka://127.0.0.1:PORT/NAME

    def test_y(own_kafka):                         # one that a test has to itself for a while: kill, pause and restart it
        own_kafka.kill(), own_kafka.start()        # SIGKILL, or `stop` in order; the same ports and data
        own_kafka.pause(), own_kafka.resume()      # SIGSTOP: connections are taken in and nothing is answered

Also `topic.add_partitions(8)`, `topic.truncate({0: 100})`, `topic.delete()`, `topic.configure(…)`, `topic.id`,
`topic.bounds()`. In a module of such tests, `pytestmark = pytest.mark.slow`; that one worker has them all is seen to.
Import `Message` and `KafkaServer` from `servers`. A topic is never made by being asked for. Values up to 32 MB are
taken. `segment_bytes` is 1 MB at least; smaller segments come by `internal_segment_bytes="16384"` where batches are
smaller still (`topic.produce(…, batch_size=4096)`), and by `segment_ms`. Retention and compaction look twice a second.
A transaction that stays open holds the last stable offset, and so `committed()` ends before it.

For a schema registry see `servers.registry` (fixture `registry`).

Listeners, by the name that Kafka has for them: `kafka_server.address("SASL_SSL")` and so on. PLAINTEXT and SSL know
their clients as ANONYMOUS, who may do all. PROXIED is as PLAINTEXT, but sends its clients to a port where a test puts
a proxy: `with kafka_server.proxy() as proxy` is before all that a client says at `kafka_server.address("PROXY")`.
On SASL_PLAINTEXT and SASL_SSL, by PLAIN and by SCRAM-SHA-256 (on SASL_SSL by SCRAM-SHA-512, too), `ADMIN` may do all and
`STRANGER` nothing until `kafka_server.allow(STRANGER, "READ", topic)`. MUTUAL is as SSL for who shows the certificate
`client.pem` with the key `client-key.pem` of its folder, and for nobody else. SSL's certificate is signed by
`kafka_server.ca`. `kafka_server.kafka_python(protocol, user, mechanism)` and `.confluent(…)` are a client's settings.
"""

from __future__ import annotations

import socket
import subprocess
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from servers.installed import needs
from servers.process import Server, free_port, running
from servers.proxy import Proxy
from servers.topics import Topic

JAVA = ["java", "-Xms64m", "-Xmx256m", "-Xss512k", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
LISTENERS = ("PLAINTEXT", "SASL_PLAINTEXT", "SSL", "SASL_SSL", "MUTUAL", "PROXIED", "CONTROLLER")
PROTOCOLS = {"PROXIED": "PLAINTEXT", "CONTROLLER": "PLAINTEXT", "MUTUAL": "SSL"}  # others are named as theirs
SCRAMS = ("SCRAM-SHA-256", "SCRAM-SHA-512")
LARGEST = 32 << 20  # bytes of a message


@dataclass(frozen=True, slots=True)
class User:
    """Who logs in by SASL."""

    name: str
    password: str


ADMIN = User("admin", "not-a-secret")
STRANGER = User("stranger", "no-secret-either")


@dataclass(frozen=True)
class KafkaServer(Server):
    """A broker of the loopback, and what a client needs to know of it."""

    ports: dict[str, int] = field(default_factory=dict)

    @property
    def bootstrap(self) -> str:
        """Its PLAINTEXT address."""
        return self.address()

    @property
    def ca(self) -> Path:
        """The certificate of who signed the broker's."""
        return self.folder / "ca.pem"

    def proxy(self) -> Proxy:
        """Return a proxy, to be entered, before the listener PROXIED; clients are sent to it again and again."""
        return Proxy(self.host, self.ports["PROXIED"], at=self.ports["PROXY"])

    def address(self, protocol: str = "PLAINTEXT") -> str:
        """Return the address of a listener."""
        return f"{self.host}:{self.ports[protocol]}"

    def kafka_python(self, protocol: str = "PLAINTEXT", user: User = ADMIN, mechanism: str = "PLAIN") -> dict[str, Any]:
        """Return what clients of kafka-python are made with."""
        given: dict[str, Any] = {"bootstrap_servers": self.address(protocol), "security_protocol": protocol}
        if "SSL" in protocol:
            given["ssl_cafile"] = str(self.ca)
        if "SASL" in protocol:
            given |= {"sasl_plain_username": user.name, "sasl_plain_password": user.password}
            given["sasl_mechanism"] = mechanism
        return given

    def confluent(self, protocol: str = "PLAINTEXT", user: User = ADMIN, mechanism: str = "PLAIN") -> dict[str, Any]:
        """Return what clients of confluent-kafka are made with; they print nothing."""
        given: dict[str, Any] = {"bootstrap.servers": self.address(protocol), "security.protocol": protocol}
        given["log_level"] = 0
        if "SSL" in protocol:
            given["ssl.ca.location"] = str(self.ca)
        if "SASL" in protocol:
            given |= {"sasl.username": user.name, "sasl.password": user.password, "sasl.mechanism": mechanism}
        return given

    @contextmanager
    def admin(self) -> Iterator[Any]:
        """Give kafka-python's client of administration."""
        from kafka import KafkaAdminClient

        with closing(KafkaAdminClient(**self.kafka_python())) as admin:
            yield admin

    @property
    def cluster(self) -> str:
        """The cluster's id, as text."""
        with self.admin() as admin:
            return str(admin.describe_cluster()["cluster_id"])

    def new_topic(self, partitions: int = 1, name: str | None = None, **configs: str) -> Topic:
        """Make a topic, under a name that no other test has; `retention_ms` stands for `retention.ms`."""
        topic = Topic(self, name or f"events-{uuid4().hex[:12]}")
        made = {"num_partitions": partitions, "replication_factor": 1}
        made["configs"] = {key.replace("_", "."): value for key, value in configs.items()}
        with self.admin() as admin:
            admin.create_topics({topic.name: made}, wait_for_metadata=True)
        return topic

    def allow(self, user: User, operation: str, topic: Topic) -> None:
        """Let a user READ, WRITE or DESCRIBE a topic."""
        from kafka.admin import ACL, ACLOperation, ACLPermissionType, ResourcePattern, ResourceType

        pattern = ResourcePattern(ResourceType.TOPIC, topic.name)
        acl = ACL(f"User:{user.name}", "*", ACLOperation[operation], ACLPermissionType.ALLOW, pattern)
        with self.admin() as admin:
            made = admin.create_acls([acl])
        assert not made["failed"], made

    def new_user(self) -> User:
        """Make a user that may do nothing, and logs in by SCRAM-SHA-256 only."""
        from kafka.admin import UserScramCredentialUpsertion

        user = User(f"user-{uuid4().hex[:12]}", uuid4().hex)
        with self.admin() as admin:
            made = admin.alter_user_scram_credentials(
                [UserScramCredentialUpsertion(user.name, "SCRAM-SHA-256", user.password)]
            )
        assert made == {user.name: None}, made
        return user


def properties(folder: Path, ports: dict[str, int], data: Path) -> dict[str, str]:
    """Return the broker's settings."""
    listeners = ",".join(f"{name}://127.0.0.1:{ports[name]}" for name in LISTENERS)
    known = {**ports, "PROXIED": ports["PROXY"]}
    advertised = ",".join(f"{name}://127.0.0.1:{known[name]}" for name in LISTENERS)
    users = " ".join(f'user_{user.name}="{user.password}"' for user in (ADMIN, STRANGER))
    login = "org.apache.kafka.common.security"
    sasl = {
        f"listener.name.{name}.{mechanism}.sasl.jaas.config": f"{login}.{module} required {words};"
        for name in ("sasl_plaintext", "sasl_ssl")
        for mechanism, module, words in (
            ("plain", "plain.PlainLoginModule", users),
            *((scram.lower(), "scram.ScramLoginModule", "") for scram in SCRAMS),
        )
    }
    internal = {  # topics of the broker's own: one copy, one partition
        f"{topic}.{setting}": "1"
        for topic in ("offsets.topic", "transaction.state.log", "share.coordinator.state.topic")
        for setting in ("replication.factor", "num.partitions", "min.isr")
        if (topic, setting) != ("offsets.topic", "min.isr")
    }
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.bootstrap.servers": f"127.0.0.1:{ports['CONTROLLER']}",
        "listeners": listeners,
        "advertised.listeners": advertised,
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": ",".join(f"{name}:{PROTOCOLS.get(name, name)}" for name in LISTENERS),
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256",
        "listener.name.sasl_ssl.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
        "listener.name.mutual.ssl.client.auth": "required",
        "listener.name.mutual.ssl.truststore.type": "PEM",
        "listener.name.mutual.ssl.truststore.location": str(folder / "ca.pem"),
        **sasl,
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(folder / "broker.pem"),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:ANONYMOUS;User:{ADMIN.name};User:CN=client",
        "log.dirs": str(data),
        "log.retention.ms": "-1",  # records with a time of long ago would be deleted under a test
        **internal,
        "group.initial.rebalance.delay.ms": "0",
        "auto.create.topics.enable": "false",
        "message.max.bytes": str(LARGEST),
        # what a test waits for happens soon; killed, it is taken in again only when its session has ended
        "broker.heartbeat.interval.ms": "500",
        "broker.session.timeout.ms": "3000",
        "log.retention.check.interval.ms": "500",
        "log.cleaner.backoff.ms": "500",
        "log.segment.delete.delay.ms": "500",
        # small, as its tests are
        "log.cleaner.dedupe.buffer.size": str(2 << 20),
        "num.network.threads": "2",
        "num.io.threads": "4",
    }


def certify(folder: Path) -> None:
    """Make an authority; the broker's certificate and key signed by it, in one file; and so a client's."""
    ca, key, request = folder / "ca.pem", folder / "ca.key", folder / "request.pem"
    new = ["openssl", "req", "-newkey", "rsa:2048", "-nodes"]
    names = folder / "names"
    names.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n", "ascii")
    signed = ["openssl", "x509", "-req", "-in", str(request), "-CA", str(ca), "-CAkey", str(key), "-CAcreateserial"]
    client = folder / "client-request.pem"
    of_client = [str(client) if word == str(request) else word for word in signed]
    for command in (
        [*new, "-subj", "/CN=client", "-out", str(client), "-keyout", str(folder / "client-key.pem")],
        [*new, "-x509", "-days", "2", "-subj", "/CN=tests", "-out", str(ca), "-keyout", str(key)],
        [*new, "-subj", "/CN=localhost", "-out", str(request), "-keyout", str(folder / "key.pem")],
        [*signed, "-days", "2", "-extfile", str(names), "-out", str(folder / "certificate.pem")],
        [*of_client, "-days", "2", "-out", str(folder / "client.pem")],
    ):
        subprocess.run(command, check=True, capture_output=True)
    (folder / "broker.pem").write_bytes((folder / "key.pem").read_bytes() + (folder / "certificate.pem").read_bytes())


def answers_metadata(port: int) -> bool:
    """Return whether a broker takes part in its cluster; its port opens seconds earlier."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
        admin = AdminClient({"bootstrap.servers": f"127.0.0.1:{port}", "log_level": 0})
        return bool(admin.list_topics(timeout=2).brokers)
    except (OSError, KafkaException):
        return False


def new_id() -> str:
    """Return a cluster's id; it may begin with `-`."""
    return urlsafe_b64encode(uuid4().bytes).decode("ascii").rstrip("=")


@contextmanager
def kafka(folder: Path) -> Iterator[KafkaServer]:
    """Run a broker over a folder: 3 to 20 s and 300 MB. Started again it has what it had."""
    home = needs("kafka")
    ports: dict[str, int] = {}

    def command(port: int) -> list[str]:
        data, settings = folder / f"data-{port}", folder / "server.properties"  # its address is part of its data
        java = [*JAVA, "-XX:SharedArchiveFile=kafka.jsa", "-cp", "libs/*"]  # no archive, or another Java's: slower
        if ports.get("PLAINTEXT") != port:
            ports.update({name: free_port() for name in (*LISTENERS, "PROXY")}, PLAINTEXT=port)
            certify(folder)
            lines = [f"{name}={value}\n" for name, value in properties(folder, ports, data).items()]
            settings.write_text("".join(lines), "utf-8")
            users = (ADMIN, STRANGER)
            scram = [f"{kind}=[name={user.name},password={user.password}]" for kind in SCRAMS for user in users]
            words = ["--standalone", f"--cluster-id={new_id()}", "-c", str(settings)]
            added = [word for user in scram for word in ("--add-scram", user)]
            form = [*java, "kafka.tools.StorageTool", "format", *words, *added]
            done = subprocess.run(form, cwd=home, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
        return [*java, "kafka.Kafka", str(settings)]

    with running(folder, command, answers_metadata, timeout=180, cwd=home) as (port, process):
        yield KafkaServer("127.0.0.1", port, folder, process, dict(ports))
