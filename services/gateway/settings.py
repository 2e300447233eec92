"""Settings of the gateway."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field, SecretStr

from kit.settings import KitSettings


class Settings(KitSettings):
    """What the gateway needs beside the kit's settings."""

    admin_password: SecretStr | None = Field(
        default=None, min_length=10, description="the first administrator's password, used when there is no account"
    )
    sign_in_failures: int = Field(default=5, ge=1, le=100, description="failures in a row that lock a user name")
    sign_in_lock_minutes: int = Field(default=15, ge=1, le=24 * 60, description="for how long it is locked")
    token_minutes: int = Field(default=15, ge=1, le=7 * 24 * 60, description="how long an access token is good for")

    import_max_bytes: int = Field(default=64 * 2**20, ge=2**10, le=2**30, description="the largest file of a list")
    import_uploads: int = Field(
        default=4, ge=1, le=100, description="files that may arrive at once; as many must fit into the temporary folder"
    )
    import_upload_seconds: float = Field(default=300, gt=0, le=3600, description="how long a file may take to arrive")
    import_wait_seconds: float = Field(
        default=20, ge=0, le=300, description="how long a call waits for its import to end before it answers 202"
    )

    @property
    def sign_in_lock(self) -> timedelta:
        """For how long a user name is locked."""
        return timedelta(minutes=self.sign_in_lock_minutes)

    @property
    def token_life(self) -> timedelta:
        """How long an access token is good for."""
        return timedelta(minutes=self.token_minutes)
