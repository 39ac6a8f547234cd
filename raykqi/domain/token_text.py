"""The text of a token: `rkq_<id>_<secret>`. Who holds it acts as its user; of the secret only a hash is kept."""

from __future__ import annotations

import hmac
import re
import secrets

from blake3 import blake3

__all__ = ["digest_of", "is_secret_of", "new_secret", "read_token", "token_text"]

SECRET_BYTES = 32
_TEXT = re.compile(r"rkq_([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})_([-_A-Za-z0-9]{43})\Z")


def new_secret() -> str:
    return secrets.token_urlsafe(SECRET_BYTES)


def token_text(id_: str, secret: str) -> str:
    return f"rkq_{id_.replace('-', '')}_{secret}"


def read_token(text: str) -> tuple[str, str] | None:
    """The id and the secret, if the text is that of a token."""
    found = _TEXT.match(text)
    return ("-".join(found.groups()[:5]), found[6]) if found else None


def digest_of(secret: str) -> str:
    """The secret is 256 random bits, so a quick hash of it cannot be turned back."""
    return blake3(secret.encode()).hexdigest()


def is_secret_of(secret: str, digest: str) -> bool:
    """In a time that says nothing of where the two differ."""
    return hmac.compare_digest(digest_of(secret), digest)
