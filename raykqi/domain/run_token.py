"""The token by which a run acts: `rkqrun_<run>.<attempt>.<project>.<expiry>.<signature>`.

Nothing is kept of it. Whether the run is still under way at that attempt is for who knows the runs to ask.
"""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64encode
from datetime import UTC, datetime
from hashlib import sha256

import msgspec

__all__ = ["PREFIX", "RunToken", "read_run_token", "sign_run_token"]

PREFIX = "rkqrun_"
_TEXT = re.compile(
    r"rkqrun_([0-9a-f-]{36})\.(\d{1,12})\.([-a-z0-9]{1,63})\.(\d{1,12})\.([-_A-Za-z0-9]{43})\Z", re.ASCII
)


class RunToken(msgspec.Struct, frozen=True):
    run: str
    attempt: int
    project: str
    expires: datetime


def sign_run_token(token: RunToken, key: bytes) -> str:
    claim = f"{PREFIX}{token.run}.{token.attempt}.{token.project}.{int(token.expires.timestamp())}"
    return f"{claim}.{_signature(claim, key)}"


def read_run_token(text: str, key: bytes, now: datetime) -> RunToken | None:
    """What the token says, if it was signed with the key and has not expired."""
    found = _TEXT.match(text)
    if not found or not hmac.compare_digest(_signature(text.rpartition(".")[0], key), found[5]):
        return None
    expires = datetime.fromtimestamp(int(found[4]), UTC)
    return RunToken(found[1], int(found[2]), found[3], expires) if now < expires else None


def _signature(claim: str, key: bytes) -> str:
    return urlsafe_b64encode(hmac.digest(key, claim.encode(), sha256)).rstrip(b"=").decode()
