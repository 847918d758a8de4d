"""Lists of what is kept, the newest first: their order as an index, and how much is in each analysis."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("analyses", sa.Column("usages", sa.Integer, nullable=False, server_default="0"))
    op.add_column("analyses", sa.Column("senses", sa.Integer, nullable=False, server_default="0"))
    op.create_index("analyses_newest", "analyses", ["created", "id"])
    op.create_index("sense_models_newest", "sense_models", ["created", "id"])
    _count()


def _count() -> None:
    """How many usages and senses each body has; one body at a time, as they are large."""
    connection = op.get_bind()
    table = sa.table("analyses", *(sa.column(name) for name in ("id", "body", "usages", "senses")))
    for row_id in connection.scalars(sa.select(table.c.id)).all():
        body = connection.scalar(sa.select(table.c.body).where(table.c.id == row_id))
        try:
            kept = json.loads(body or "")
            counts = {name: len(kept[name]) for name in ("usages", "senses")}
        except (ValueError, KeyError, TypeError):
            continue  # of a version that nothing reads any more: listed with 0, and told when it is asked for
        connection.execute(sa.update(table).where(table.c.id == row_id).values(counts))
