"""Passwords and their hashes. Hashing takes much time and memory on purpose, so few are made at a time."""

from __future__ import annotations

import threading
from functools import cache
from typing import TYPE_CHECKING

from raykqi.domain.text import check_text
from raykqi.errors import InvalidInput

if TYPE_CHECKING:
    from argon2 import PasswordHasher

__all__ = ["check_password", "hash_password", "is_password"]

SHORTEST, LONGEST = 10, 1024
AT_ONCE = 2  # each takes 64 MiB
_turns = threading.BoundedSemaphore(AT_ONCE)
# Of a password that nobody knows: what is compared where there is none takes as long as where there is one.
_NOBODYS = "$argon2id$v=19$m=65536,t=3,p=4$SZ0L8cFGMJLZS3otsqA1fQ$aK3FXSUGBKukSEKN0hhXnfQH2BkkDVVfHwOvTTjTI6Y"


def check_password(password: str, user: str) -> str:
    """The password itself, if it is not too easy. What it is never comes into a message."""
    try:
        check_text(password, "")
    except InvalidInput:
        raise InvalidInput("the password holds NUL or is not valid Unicode", hint="Choose another one.") from None
    if not SHORTEST <= len(password) <= LONGEST or not password.strip():
        raise InvalidInput(
            f"a password has {SHORTEST} to {LONGEST} characters, not {len(password)}", hint="Choose another one."
        )
    if password.casefold() in (user.casefold(), user.casefold() * 2) or len(set(password)) < 4:
        raise InvalidInput("the password is too easy to guess", hint="Choose another one.")
    return password


def hash_password(password: str) -> str:
    with _turns:
        return _hasher().hash(password)


def is_password(password: str, hash_: str) -> bool:
    """Whether the password is the one of the hash; never, after as long a time, where there is no hash."""
    from argon2.exceptions import Argon2Error, InvalidHashError

    if len(password) > LONGEST:
        return False
    with _turns:
        try:
            is_right = _hasher().verify(hash_ or _NOBODYS, password)
        except (Argon2Error, InvalidHashError, UnicodeEncodeError):
            return False
    return is_right and bool(hash_)


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher, Type

    return PasswordHasher(time_cost=3, memory_cost=64 * 1024, parallelism=4, type=Type.ID)
