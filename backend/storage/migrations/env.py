"""Run the Alembic migrations on the connection of Database.migrate()."""

from alembic import context

from backend.storage.schema import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=False)
context.run_migrations()
