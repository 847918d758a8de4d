"""Jobs: what was asked, how far it is, what came of it. The parts of one that are done are in DBOS's own tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("key", sa.String(255), unique=True),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("request", sa.LargeBinary, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("step", sa.String(64)),
        sa.Column("done", sa.Integer, nullable=False, server_default="0"),
        sa.Column("total", sa.Integer, nullable=False, server_default="0"),
        sa.Column("rate", sa.Double),
        sa.Column("started", sa.DateTime(timezone=True)),
        sa.Column("finished", sa.DateTime(timezone=True)),
        sa.Column("analysis", sa.String(64), sa.ForeignKey("analyses.id", ondelete="SET NULL")),
        sa.Column("error", sa.Text),
        sa.Column("worker", sa.String(64)),
        sa.Column("beat", sa.Double),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    )
    op.create_index("ix_jobs_status", "jobs", ["status"])
