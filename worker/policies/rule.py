"""What a rule is: for which communities a probability leads to which decision."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from mmorient import TASKS
from worker.variables import nearest_of

# Names of rules and decisions are labels of metrics, and words that consumers compare.
Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$", max_length=64)]
EVERYWHERE = "*"
NEVER = "never"
_MAX_PATTERN = 256
_WILD = re.compile(r"\[[^\]]+\]|[*?]")


class Rule(BaseModel):
    """One rule of a policy. Unknown fields and values of another type are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: Name = Field(description="of the rule; each has one of its own")
    community: str = Field(
        default=EVERYWHERE,
        min_length=1,
        max_length=_MAX_PATTERN,
        description="pattern of communities: `*` is any text, `?` any character, `[ab]` one of these; `*` alone is "
        "every post, also one without a community",
    )
    task: str = Field(description="of the label")
    label: str = Field(description="class or degree whose probability is looked at")
    threshold: Annotated[float, Field(gt=0, le=1)] | Literal["never"] = Field(
        description="published probability from which on it is decided; `never` exempts the communities"
    )
    decision: Name = Field(description="what is decided")
    priority: int = Field(default=0, ge=-1_000_000, le=1_000_000, description="higher goes first")
    shadow: bool = Field(default=False, description="whether it decides nothing and is only counted")

    @model_validator(mode="before")
    @classmethod
    def _known_names(cls, values: Any) -> Any:
        """Say of a field, task or label that is none which one is probably meant."""
        if not isinstance(values, dict):
            return values
        for field in values:
            if field not in cls.model_fields:
                _refuse("field", field, cls.model_fields)
        task, label = values.get("task"), values.get("label")
        if isinstance(task, str):
            if task not in TASKS:
                _refuse("task", task, TASKS)
            labels = labels_of(task)
            if isinstance(label, str) and label not in labels:
                _refuse(f"label of {task}", label, labels)
        return values

    @model_validator(mode="after")
    def _is_no_bare_bracket(self) -> Self:
        if "[" in _WILD.sub("", self.community):
            raise PydanticCustomError("pattern", "community: a [ without its ]")
        return self

    @property
    def group(self) -> tuple[str, str, str]:
        """Task, label and decision: of rules where these are equal, one is in force for a post."""
        return self.task, self.label, self.decision

    @property
    def width(self) -> tuple[int, int]:
        """Priority and the pattern's fixed characters, so that what goes first is smaller.

        A shadow rule is tried in the place of an active one of equal width, whatever their names.
        """
        return -self.priority, -len(_WILD.sub("", self.community))

    @property
    def rank(self) -> tuple[int, int, str]:
        """Where it stands among the rules of its group: the smallest that matches is in force."""
        return *self.width, self.name

    @property
    def is_degree(self) -> bool:
        """Whether its label is one of the intensity's."""
        return self.label not in TASKS[self.task].classes


def labels_of(task: str) -> tuple[str, ...]:
    """Return the classes of a task, and the degrees beyond "not at all"."""
    return (*TASKS[task].classes, *TASKS[task].degrees[1:])


def _refuse(what: str, name: object, known: Any) -> None:
    near = nearest_of(str(name), known)
    hint = f"did you mean {near!r}?" if near else f"known are {', '.join(known)}"
    raise PydanticCustomError(
        "unknown", "{what} {name} is unknown; {hint}", {"what": what, "name": repr(name), "hint": hint}
    )
