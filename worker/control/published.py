"""What a value on the control topic means: the policy in force, or the one that workers started with."""

import structlog

from worker.errors import SettingsError
from worker.policies.canonical import loads
from worker.policies.current import Current
from worker.policies.policies import Policies
from worker.telemetry.policy_metrics import POLICIES_TAKEN, POLICY_INFO

log = structlog.get_logger(__name__)

# Under this key stands what is in force; under each version, what that version was.
IN_FORCE = b"in-force"


class Published:
    """Keeps the policy in force that was published last.

    Args:
        folder: the policy that the worker started with, in force where none is published.
        tasks: that are published; rules on others are refused.
    """

    def __init__(self, folder: Policies, tasks: tuple[str, ...]) -> None:
        self.current = Current(folder)
        self._folder = folder
        self._tasks = tasks

    def begin(self, value: bytes | None) -> None:
        """Take what was published before this worker started; None where nothing was.

        Raises:
            SettingsError: it cannot be used, and there is no former one that could stay.
        """
        if value is None:
            self._say("folder")
            return
        policies = self._read(value)
        if self._folder.rules and policies != self._folder:
            log.warning("policies_of_folder_not_in_force", folder=self._folder.version, published=policies.version)
        self._put(policies, "topic")

    def take(self, value: bytes | None) -> None:
        """Put in force what was published now; None where it was withdrawn. What cannot be used changes nothing."""
        if value is None:
            POLICIES_TAKEN.labels("withdrawn").inc()
            self._put(self._folder, "folder")
            return
        try:
            policies = self._read(value)
        except SettingsError as error:
            POLICIES_TAKEN.labels("refused").inc()
            log.error("policies_refused", error=str(error), stays=self.current.policies.version)  # noqa: TRY400
            return
        POLICIES_TAKEN.labels("taken").inc()
        self._put(policies, "topic")

    def _read(self, value: bytes) -> Policies:
        policies = Policies(loads(value))
        policies.refuse_unpublished(self._tasks)
        return policies

    def _put(self, policies: Policies, source: str) -> None:
        self.current.take(policies)
        self._say(source)

    def _say(self, source: str) -> None:
        policies = self.current.policies
        POLICY_INFO.clear()
        POLICY_INFO.labels(policies.version, source).set(1)
        log.info(
            "policies_in_force",
            version=policies.version,
            source=source,
            rules=len(policies.rules),
            shadows=sum(rule.shadow for rule in policies.rules),
        )
