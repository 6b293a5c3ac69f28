"""Real servers for the tests, each one process on a free port of the loopback with data of its own.

The folder that holds this package is on pytest's path, so every test may `from servers import versitygw`; most take a
fixture instead (`s3_server`, `gcs_server`, `hdfs_server`, `kafka_server`, `label_studio`, `moto_server`, `shared_redis`: one per worker). What kills a server or
loads it starts its own.
"""

from servers.gcs import GcsServer, fake_gcs
from servers.hdfs import HdfsServer, hdfs
from servers.installed import needs
from servers.kafka import KafkaServer, kafka
from servers.label_studio import LabelStudio, run_label_studio
from servers.process import Server
from servers.proxy import Proxy
from servers.redis import RedisServer, redis_cluster, redis_server
from servers.registry import Reference, Registry, framed
from servers.s3 import S3Server, moto, versitygw
from servers.topics import Message, Topic

__all__ = [
    "GcsServer",
    "HdfsServer",
    "KafkaServer",
    "LabelStudio",
    "Message",
    "Proxy",
    "RedisServer",
    "Reference",
    "Registry",
    "S3Server",
    "Server",
    "Topic",
    "fake_gcs",
    "framed",
    "hdfs",
    "kafka",
    "moto",
    "needs",
    "redis_cluster",
    "redis_server",
    "run_label_studio",
    "versitygw",
]
