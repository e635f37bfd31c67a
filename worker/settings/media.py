"""Settings of pictures."""

import re
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator

from worker.hosts import HostList
from worker.settings.group import Count, Group, Seconds


class MediaSettings(Group):
    """Pictures: how many, how large, from where."""

    max_count: Count = Field(8, description="pictures used of one post")
    max_bytes: Count = Field(8 * 1024 * 1024, description="bytes of one picture")
    max_pixels: Count = Field(
        64_000_000,
        description="pixels held while one picture is decoded, four bytes each; a JPEG decodes at a fraction",
    )
    max_redirects: Annotated[int, Field(ge=0)] = Field(3, description="redirects followed")
    timeout_seconds: Seconds = Field(
        5.0, description="longest time for fetching one picture, retries and redirects included"
    )
    max_parallel: Count = Field(64, description="fetches at once")
    max_held_bytes: Count = Field(
        512 * 1024 * 1024, description="bytes of pictures between fetch and decoding; a post reserves its largest"
    )
    allowed_private_hosts: list[str] = Field(
        default=[],
        description="private hosts that may be fetched from, as JSON; host, host:port, *.domain or network; any port",
    )
    allowed_hosts: list[str] = Field(
        default=[],
        description="hosts that may be fetched from, as JSON; host, *.domain or network; empty: all public ones",
    )
    denied_hosts: list[str] = Field(
        default=[], description="hosts that are never fetched from, as JSON; host, *.domain or network"
    )
    allowed_ports: list[Annotated[int, Field(ge=1, le=65535)]] = Field(
        default=[80, 443], description="ports that are fetched from, as JSON"
    )
    proxy: SecretStr | None = Field(
        None, description="http://user:password@host:port that all but private hosts are fetched through"
    )
    user_agent: str = Field(
        "moderate (mm-orient-moderation)", pattern=r"^[ -~]+$", description="what picture servers are told"
    )
    on_outage: Literal["label", "hold", "dead-letter"] = Field(
        "label",
        description="what is done with posts whose picture host used to work and is out: label them without it, hold "
        "them back, or make them dead letters",
    )
    hold_seconds: Seconds = Field(60.0, description="longest time that one outage of a picture host holds posts back")
    decode_threads: Count = Field(
        1,
        description="threads that decode pictures; in the sandbox, the least number of its children",
    )
    sandbox: bool = Field(
        default=True,
        description="decode pictures in child processes that may compute and nothing else; false: in the worker itself",
    )
    sandbox_memory_bytes: Count = Field(
        1024 * 1024 * 1024, description="memory that decoding one picture may take, above what a child has at start"
    )
    sandbox_seconds: Seconds = Field(10.0, description="time of the processor that decoding one picture may take")

    @field_validator("allowed_private_hosts", "allowed_hosts", "denied_hosts")
    @classmethod
    def _readable(cls, hosts: list[str]) -> list[str]:
        HostList(hosts)
        return hosts

    @field_validator("proxy")
    @classmethod
    def _an_address(cls, proxy: SecretStr | None) -> SecretStr | None:
        if proxy is not None and not re.match(r"https?://[^/?#]", proxy.get_secret_value()):
            raise ValueError("a proxy is http://host:port or https://host:port")
        return proxy
