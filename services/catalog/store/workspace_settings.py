"""What a workspace falls back on. Its row is made when it is first needed."""

from uuid import UUID

from services.catalog.entities.workspaces import Simulator
from shared.postgres import Connection as Sql


async def default_connection(sql: Sql, workspace: UUID) -> UUID | None:
    """The connection for whatever names none."""
    found: UUID | None = await sql.fetchval("SELECT default_connection_id FROM workspace_settings WHERE workspace_id = $1", workspace)
    return found


async def lock_default(sql: Sql, workspace: UUID) -> UUID | None:
    """The same, which nobody else sets before the transaction ends."""
    await sql.execute("INSERT INTO workspace_settings (workspace_id) VALUES ($1) ON CONFLICT DO NOTHING", workspace)
    found: UUID | None = await sql.fetchval(
        "SELECT default_connection_id FROM workspace_settings WHERE workspace_id = $1 FOR UPDATE", workspace
    )
    return found


async def set_default(sql: Sql, workspace: UUID, connection_id: UUID) -> None:
    """Says which connection it is from now on."""
    await sql.execute(
        """
        INSERT INTO workspace_settings (workspace_id, default_connection_id) VALUES ($1, $2)
        ON CONFLICT (workspace_id) DO UPDATE SET default_connection_id = excluded.default_connection_id
        """,
        workspace,
        connection_id,
    )


async def simulator(sql: Sql, workspace: UUID) -> Simulator:
    """Who plays the simulated user."""
    row = await sql.fetchrow("SELECT simulator_connection_id, simulator_model FROM workspace_settings WHERE workspace_id = $1", workspace)
    return Simulator(row["simulator_connection_id"], row["simulator_model"]) if row else Simulator()


async def set_simulator(sql: Sql, workspace: UUID, simulator: Simulator) -> None:
    """Says who plays it from now on."""
    await sql.execute(
        """
        INSERT INTO workspace_settings (workspace_id, simulator_connection_id, simulator_model) VALUES ($1, $2, $3)
        ON CONFLICT (workspace_id) DO UPDATE
          SET simulator_connection_id = excluded.simulator_connection_id, simulator_model = excluded.simulator_model
        """,
        workspace,
        simulator.connection_id,
        simulator.model,
    )


async def uses(sql: Sql, workspace: UUID, connection_id: UUID) -> tuple[bool, bool]:
    """Whether a connection is the default, and whether it plays the simulated user."""
    row = await sql.fetchrow(
        """
        SELECT default_connection_id IS NOT DISTINCT FROM $2 AS is_default, simulator_connection_id IS NOT DISTINCT FROM $2 AS simulates
        FROM workspace_settings WHERE workspace_id = $1
        """,
        workspace,
        connection_id,
    )
    return (row["is_default"], row["simulates"]) if row else (False, False)
