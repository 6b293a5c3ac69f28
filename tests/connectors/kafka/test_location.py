"""Where a topic is, as it is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplat.connectors.kafka import KafkaLocation, is_kafka, locate
from dataplat.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("kafka://a:1/t", KafkaLocation(("a:1",), "t")),
        ("kafka://a:1,b.c:65535/t.u_v-w", KafkaLocation(("a:1", "b.c:65535"), "t.u_v-w")),
        ("kafka://a:1, b:2/t", KafkaLocation(("a:1", "b:2"), "t")),
        ("KAFKA://[::1]:9092/t", KafkaLocation(("[::1]:9092",), "t")),
    ],
)
def test_well_formed(text, found):
    """Brokers and a topic."""
    assert locate(text) == found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kafka://a:1", "no topic is named"),
        ("kafka://a:1/", "no topic is named"),
        ("kafka://a:1/t u", "is no name of a topic"),
        ("kafka://a:1/..", "is no name of a topic"),
        ("kafka://a:1/" + "t" * 250, "is no name of a topic"),
        ("kafka://a/t", "is no HOST:PORT"),
        ("kafka:///t", "'nothing' is no HOST:PORT"),
        ("kafka://a:1,,b:2/t", "'nothing' is no HOST:PORT"),
        ("kafka://a:0/t", "is no HOST:PORT"),
        ("kafka://a:65536/t", "is no HOST:PORT"),
        ("kafka://a:1/t/u", "is no name of a topic"),
    ],
)
def test_ill_formed(text, words):
    """What is wrong is said, with an example or the rule."""
    assert is_kafka(text)
    with pytest.raises(ConfigError, match=words):
        locate(text)


def test_credentials():
    """A URL with credentials is refused, and they are not shown."""
    with pytest.raises(ConfigError, match="carries no credentials") as found:
        locate("kafka://{}@a:1/t".format("me:plant-it"))
    assert "plant-it" not in str(found.value)


@given(st.text(max_size=40))
def test_whatever_is_written(text):
    """Any text is a location that is written as it was read, or one clear error."""
    try:
        found = locate(f"kafka://{text}")
    except ConfigError:
        return
    assert locate(found.text) == found


def test_what_is_none():
    """What is no text, or another URL, is none of Kafka's."""
    assert not is_kafka(3)
    assert not is_kafka("s3://kafka")
