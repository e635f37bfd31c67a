"""The answers of both sides and the posts, in DuckDB: in bounded memory, and beyond that in a folder."""

from pathlib import Path
from typing import Any, Literal

import duckdb

SideName = Literal["left", "right"]
SIDES: tuple[SideName, SideName] = ("left", "right")
_MEMORY = "1GB"  # beyond it DuckDB goes to the disk


class Store:
    """The tables that records are read into.

    Args:
        folder: for its files; the caller removes it.
    """

    def __init__(self, folder: Path) -> None:
        self.database = duckdb.connect(
            ":memory:",
            config={
                "memory_limit": _MEMORY,
                "temp_directory": str(folder / "spill"),
                "preserve_insertion_order": "false",
                # Everything in use is built in: DuckDB must not download extensions.
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
            },
        )
        for side in SIDES:
            self.database.execute(
                f"CREATE TABLE {side}_answer (sequence BIGINT, moment BIGINT, place INTEGER, post_id VARCHAR, "
                'topic VARCHAR, partition BIGINT, "offset" BIGINT, modality VARCHAR, model VARCHAR, '
                "checkpoint VARCHAR, graph_context VARCHAR, precision VARCHAR, task VARCHAR, label VARCHAR, "
                "probabilities MAP(VARCHAR, DOUBLE), threshold DOUBLE, intensity VARCHAR, "
                "intensity_probabilities MAP(VARCHAR, DOUBLE), community VARCHAR)"
            )
        self.database.execute(
            'CREATE TABLE post (sequence BIGINT, post_id VARCHAR, topic VARCHAR, partition BIGINT, "offset" BIGINT, '
            "community VARCHAR, language VARCHAR, characters BIGINT, text VARCHAR)"
        )
        self.database.execute("CREATE TABLE truth (sequence BIGINT, post_id VARCHAR, task VARCHAR, label VARCHAR)")

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        return self.database.execute(query, list(parameters)).fetchall()

    def row(self, query: str, *parameters: object) -> tuple[Any, ...]:
        """Return the only row of a query."""
        (row,) = self.rows(query, *parameters)
        return row


def literal(text: str) -> str:
    """Return a text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"
