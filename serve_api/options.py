"""How one API server behaves. Values alone: whoever starts it decides them."""

from __future__ import annotations

from dataclasses import dataclass, field

from serve_api.bytes.limits import UploadLimits

__all__ = ["ApiOptions", "OidcOptions"]

MIB = 1024 * 1024
HERE = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True)
class OidcOptions:
    """A provider of identities; `claim` names the user, `make_users` adds those who come for the first time."""

    issuer: str
    client_id: str
    client_secret: str = field(default="", repr=False)
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    claim: str = "preferred_username"
    make_users: bool = False


@dataclass(frozen=True)
class ApiOptions:
    """`hosts` are the names under which it may be asked for, without port; "*" is any.

    `origins` are other web pages that may change something here, such as `https://lab.example`.
    """

    hosts: tuple[str, ...] = HERE
    origins: tuple[str, ...] = ()
    is_cluster: bool = False  # else whoever does not ask from this machine, or through its proxy, is refused
    is_secure: bool = False  # it is reached by https: cookies are for https alone
    max_body: int = 16 * MIB  # of a request that is no upload
    uploads: UploadLimits = field(default_factory=UploadLimits)
    url_seconds: float = 900.0  # for which URLs straight to the bucket are valid
    readers: int = 8  # threads
    writers: int = 64  # threads; commits of those that wait together are one
    heartbeat: float = 15.0  # seconds between signs of life in a stream that has nothing to tell
    wait_for_seq: float = 10.0  # seconds until an index must have come as far as the asker has seen
    inside_url: str = ""  # as it reaches itself, for what it passes on to endpoints
    public_url: str = ""  # as browsers reach it; needed by a provider of identities
    dashboard: str = ""  # URL of Ray's
    session_hours: float = 12.0  # of a sign-in with a browser
    oidc: OidcOptions | None = None
