"""What the groups of settings share: the base class, and types of values with their limits."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr

Seconds = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(gt=0)]
_LEAST_SECRET_CHARS = 16


class Group(BaseModel):
    """A group of settings; a name that it does not know is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def long_secret(secret: SecretStr | None, what: str) -> SecretStr | None:
    """Return a secret.

    Raises:
        ValueError: It is too short for one.
    """
    if secret is not None and len(secret.get_secret_value()) < _LEAST_SECRET_CHARS:
        raise ValueError(f"a {what} has at least {_LEAST_SECRET_CHARS} characters")
    return secret
