"""States of tables that others version, as sources: what DVC tracks, Delta and Iceberg tables."""

from __future__ import annotations

from dataplat.connectors.tables._location import Location, is_table, locate
from dataplat.connectors.tables._revision import Revision
from dataplat.connectors.tables._tables import open_table, revisions

__all__ = ["Location", "Revision", "is_table", "locate", "open_table", "revisions"]
