"""The database's tables as this version knows them; `migrations/` makes them, and a test holds the two together."""

from __future__ import annotations

from sqlalchemy import Column, DateTime, Index, Integer, LargeBinary, MetaData, String, Table, Text

METADATA = MetaData()
ANALYSES = Table(
    "analyses",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("target", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("verdict", String(32), nullable=False),
    Column("created", DateTime(timezone=True), nullable=False),
    Column("body", Text, nullable=False),
    # Counted once, so that no list reads bodies.
    Column("usages", Integer, nullable=False, server_default="0"),
    Column("senses", Integer, nullable=False, server_default="0"),
    Index("analyses_newest", "created", "id"),
)
SENSE_MODELS = Table(
    "sense_models",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("created", DateTime(timezone=True), nullable=False),
    Column("about", Text, nullable=False),  # JSON: what a list says of it, so that no list reads bodies
    Column("body", LargeBinary, nullable=False),
    Index("sense_models_newest", "created", "id"),
)
