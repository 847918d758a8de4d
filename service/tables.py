"""The database's tables as this version knows them; `migrations/` makes them, and a test holds the two together."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

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
JOBS = Table(
    "jobs",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("created", DateTime(timezone=True), nullable=False),
    Column("key", String(255), unique=True),  # the caller's Idempotency-Key
    Column("fingerprint", String(64), nullable=False),  # SHA-256 of the request
    Column("request", LargeBinary, nullable=False),  # zlib of the JSON of a SensesRequest
    Column("status", String(16), nullable=False, index=True),
    Column("step", String(64)),
    Column("done", Integer, nullable=False, server_default="0"),
    Column("total", Integer, nullable=False, server_default="0"),
    Column("rate", Double),  # readings a second
    Column("started", DateTime(timezone=True)),
    Column("finished", DateTime(timezone=True)),
    Column("analysis", String(64), ForeignKey("analyses.id", ondelete="SET NULL")),
    Column("error", Text),  # JSON of a problem
    Column("worker", String(64)),
    Column("beat", Double),  # when its worker last said that it lives: seconds of the database's clock
    Column("attempts", Integer, nullable=False, server_default="0"),  # begun since it last got on
)
