"""Alembic's entry point. The connection comes from `receiver.store.schema`, which also holds the lock."""

import asyncio

from alembic import context
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from receiver.store import distributing
from receiver.store.schema import VERSION_SCHEMA, compatible_from, execute

HAS_COLUMN = """
SELECT true FROM pg_attribute
WHERE attrelid = 'sms_data.alembic_version'::regclass AND attname = 'compatible_from' AND NOT attisdropped
"""

steps = context.config.attributes["steps"]


def migrate(connection: Connection) -> None:
    """Run the pending revisions, all in one transaction."""
    context.configure(
        connection=connection,
        version_table_schema=VERSION_SCHEMA,
        transaction_per_migration=False,
        on_version_apply=steps.next,
    )
    with context.begin_transaction():
        if steps.shards:
            connection.execute(text(distributing.ONE_AFTER_THE_OTHER))
        context.run_migrations()
        tell_versions(connection)
        if steps.shards:
            distribute(connection)
        execute(connection, "hand_over.sql")


def tell_versions(connection: Connection) -> None:
    """Write down which versions may run on the schema, for one that does not know its revision (`schema.check`)."""
    if not connection.execute(text(HAS_COLUMN)).scalar():  # ALTER TABLE would wait for a backup, with nothing to do
        connection.execute(text("ALTER TABLE sms_data.alembic_version ADD COLUMN compatible_from text"))
    connection.execute(
        text("UPDATE sms_data.alembic_version SET compatible_from = :oldest"), {"oldest": compatible_from()}
    )


def distribute(connection: Connection) -> None:
    """Distribute the tables on Citus, as far as they are not distributed yet."""
    steps.next()
    connection.execute(text(distributing.SET_SHARDS.format(shards=steps.shards)))
    for name in distributing.SCRIPTS:
        execute(connection, f"distributed/{name}.sql")


async def online() -> None:
    """Connect with asyncpg, as the service does, so that one kind of URL serves both."""
    engine = create_async_engine("postgresql+asyncpg://", async_creator=steps.connect, poolclass=NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(migrate)
        await connection.commit()
    await engine.dispose()


asyncio.run(online())
