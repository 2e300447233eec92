"""Failed sign-ins as they are counted."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from gateway.organisation.model import GatewayModel


class FailedSignIn(GatewayModel):
    """Failures in a row for one user name that was typed; forgotten after `expire_time`."""

    __tablename__ = "failed_sign_in"

    account: Mapped[bytes] = mapped_column(sa.LargeBinary, primary_key=True)
    failures: Mapped[int] = mapped_column(sa.BigInteger)
    expire_time: Mapped[datetime] = mapped_column(sa.DateTime(timezone=True))
