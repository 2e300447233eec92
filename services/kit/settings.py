"""Configuration from the environment; everything that is wrong is said at once, in plain words.

Secrets may lie in files instead: DEALERLOOP_SECRETS_DIR names a folder with files called like the variables, in small
letters (`dealerloop_database_url`). A variable that is set comes first.
"""

import os
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "DEALERLOOP_"


class ConfigurationError(Exception):
    """The configuration cannot be used; the message lists every mistake with its variable's name."""


def _postgres_url(url: str) -> str:
    if not url.startswith(("postgresql://", "postgres://")):
        raise ValueError("must look like postgresql://user:password@host:port/database")
    return "postgresql://" + url.split("://", 1)[1]


def _nats_url(url: str) -> str:
    if not all(part.strip().startswith(("nats://", "tls://")) for part in url.split(",")):
        raise ValueError("must look like nats://host:port")
    return url


def _listen_address(address: str) -> str:
    host, colon, port = address.rpartition(":")
    if not (host and colon and port.isdigit() and int(port) <= 65535):  # noqa: PLR2004 - the largest port
        raise ValueError("must look like 127.0.0.1:8080, with port 0 for any free one")
    return address


PostgresUrl = Annotated[str, AfterValidator(_postgres_url)]
NatsUrl = Annotated[str, AfterValidator(_nats_url)]
ListenAddress = Annotated[str, AfterValidator(_listen_address)]


class KitSettings(BaseSettings):
    """What every service needs; a service adds its own by a subclass."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", env_ignore_empty=True, frozen=True)

    # Secrets stand in the addresses: they stay out of every repr.
    database_url: PostgresUrl = Field(repr=False, description="this service's database, under the service's role")
    migration_database_url: PostgresUrl | None = Field(
        default=None, repr=False, description="the same database under the owner's role; only for migrate"
    )
    nats_url: NatsUrl = Field(default="nats://127.0.0.1:4222", repr=False, description="the message broker")
    stream_replicas: int = Field(default=1, ge=1, le=5, description="copies of each stream; 3 in a cluster")

    rpc_listen: ListenAddress = Field(default="127.0.0.1:0", description="where the gRPC server listens")
    rpc_reflection: bool = Field(default=False, description="whether tools may ask the server for its methods")
    http_listen: ListenAddress | None = Field(default=None, description="where the web application listens")
    metrics_listen: ListenAddress | None = Field(default=None, description="where metrics and health are served")

    keys_dir: Path = Field(description="the directory of signing keys, keyring and vault keys")
    clock_file: Path | None = Field(
        default=None, description="the shared clock of a simulation, in place of the machine's; never set otherwise"
    )

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    otlp_endpoint: str | None = Field(default=None, description="where traces go (OTLP over gRPC); none: nowhere")
    trace_sample: float = Field(default=0.05, ge=0, le=1, description="the share of requests that are traced")
    pool_size: int = Field(default=10, ge=2, le=100, description="database connections of one process")
    stop_grace_seconds: float = Field(default=10, ge=0, le=300, description="how long running work may take to end")

    sales_target: str = ""
    customer_care_target: str = ""
    aftersales_target: str = ""
    scoring_target: str = ""
    gateway_target: str = ""

    def target_of(self, service: str) -> str:
        """Return the gRPC address of a neighbour, such as `dns:///sales:50051`. Raises ConfigurationError."""
        target = str(getattr(self, f"{service}_target", ""))
        if not target:
            raise ConfigurationError(f"{PREFIX}{service.upper()}_TARGET is not set")
        return target


S = TypeVar("S", bound=KitSettings)


def load(settings_type: type[S]) -> S:
    """Read the settings from the environment. Raises ConfigurationError with every mistake on a line of its own."""
    secrets = os.environ.get(f"{PREFIX}SECRETS_DIR") or None
    if secrets is not None and not Path(secrets).is_dir():
        raise ConfigurationError(f"{PREFIX}SECRETS_DIR: {secrets} is not a folder that can be read")
    try:
        return settings_type(_secrets_dir=secrets)  # type: ignore[call-arg]  # the environment gives the others
    except ValidationError as error:
        lines = [_line(settings_type, item["loc"], item["type"], item["msg"]) for item in error.errors()]
        raise ConfigurationError("The configuration cannot be used:\n" + "\n".join(sorted(lines))) from None


def _line(settings_type: type[KitSettings], location: tuple[int | str, ...], kind: str, message: str) -> str:
    name = str(location[0])
    field = settings_type.model_fields.get(name)
    meaning = f" ({field.description})" if field is not None and field.description else ""
    complaint = "is not set" if kind == "missing" else message.removeprefix("Value error, ")
    # The value itself may be a secret and is not repeated.
    return f"  {PREFIX}{name.upper()}{meaning}: {complaint}"
