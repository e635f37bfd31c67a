"""How far an import is: the metadata of a consumer group's offset, committed along with the records."""

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from pydantic import BaseModel, ConfigDict, ValidationError

from mmorient import Place
from worker.broker.group_offsets import committed_offset
from worker.errors import FatalError


class Progress(BaseModel):
    """What stands beside the offset, which is the number of rows done.

    Args:
        inputs: digest of the archive's files: their paths and sizes.
        contents: digest of what these begin and end with.
        sizes: of the files, where they are few.
        key: field of a post that is its record's key.
        malformed: what became of rows that are no post: refuse or send; None where an earlier version wrote this.
        file, row: the place up to which all rows are done.
        sent: records.
        refused: rows that no record was sent for.
        finished: the archive is at its end.
    """

    # The next commit would lose what a later version added, so that version must go on with the import.
    model_config = ConfigDict(extra="forbid", frozen=True)

    inputs: str
    contents: str | None = None
    sizes: list[int] | None = None
    key: str | None = None
    malformed: str | None = None
    file: int = 0
    row: int = 0
    sent: int = 0
    refused: int = 0
    finished: bool = False

    @property
    def rows(self) -> int:
        """Rows done."""
        return self.sent + self.refused

    @property
    def place(self) -> Place:
        """Where to read on."""
        return Place(self.file, self.row)


async def progress_of(admin: AIOKafkaAdminClient, group_id: str, source: TopicPartition) -> Progress | None:
    """Return how far an import is; None where it has not begun.

    Raises:
        LaneError, aiokafka.errors.KafkaError: the broker did not say.
        FatalError: the group's offset is no import's.
    """
    found = await committed_offset(admin, group_id, source)
    if found is None:
        return None
    try:
        return Progress.model_validate_json(found.metadata)
    except ValidationError as error:
        raise FatalError(f"group {group_id} is not of an import, or of a later version: {found.metadata!r}") from error
