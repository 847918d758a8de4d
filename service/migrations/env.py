"""How Alembic runs here: over the connection that `service/database.py` hands it, which has begun a transaction."""

from __future__ import annotations

from alembic import context

from service.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
context.run_migrations()
