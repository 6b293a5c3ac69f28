"""What the bytes of a message say: one module per wire format, decoded in whole columns.

A codec takes records as they came and gives rows, and names each record that is none:

    codec = open_codec("json")
    decoded = codec.decode(records, like)
    decoded.batch, decoded.rows, decoded.rejects
"""

from __future__ import annotations

from dataplat.connectors.codecs._codec import Codec, Decoded, NamesKey, Records, Reject
from dataplat.connectors.codecs._open import open_codec

__all__ = ["Codec", "Decoded", "NamesKey", "Records", "Reject", "open_codec"]
