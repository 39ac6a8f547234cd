"""Who may import whom: the rooms of the library in their order, and the third parties in their places."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.architecture.source import imports, modules, parsed

# From low to high; a room imports only rooms of lower rows.
ROWS: tuple[tuple[str, ...], ...] = (
    ("errors", "version"),
    ("settings",),
    ("domain",),
    ("rendering",),
    ("storage",),
    ("journal",),
    ("catalog",),
    ("engine",),
    ("controller",),
    ("execution",),
    ("cluster",),
    ("tracking", "serving", "importers"),
    ("opening",),
    ("maintenance",),
    ("server",),
    ("workspace", "client"),
)
RANK = {room: rank for rank, row in enumerate(ROWS) for room in row}

# Rooms that see less than their row would allow.
SEES_ONLY = {
    "domain": {"errors"},
    "rendering": {"errors", "domain"},
    "engine": {"errors", "domain", "catalog"},
    "tracking": {"errors", "domain"},
    "serving": {"errors", "settings", "domain", "storage", "version"},
    "importers": {"errors", "domain"},
}
RENDERING_IS_FOR = ("workspace", "client")
CLI_SEES = {"", "__version__", "errors", "settings", "domain", "rendering", "importers", "workspace", "client"}

# Third party → where it may be imported; a path, or a folder with everything in it.
PLACES = {
    "duckdb": ("raykqi/catalog/",),
    "duckdb_engine": ("raykqi/catalog/",),
    "sqlalchemy": ("raykqi/catalog/",),
    "sqlmodel": ("raykqi/catalog/", "serve_api/"),
    "fsspec": ("raykqi/storage/filesystem",),
    "s3fs": ("raykqi/storage/filesystem",),
    "aiobotocore": ("raykqi/storage/filesystem",),
    "boto3": ("raykqi/storage/filesystem",),
    "botocore": ("raykqi/storage/filesystem",),
    "watchfiles": ("raykqi/storage/watching.py",),
    "ray": ("raykqi/cluster/", "serve_api/"),
    "fastapi": ("serve_api/",),
    "starlette": ("serve_api/",),
    "argon2": ("raykqi/workspace/passwords.py",),
    "jwt": ("serve_api/oidc.py",),
    "typer": ("cli/",),
    "click": ("cli/",),
    "rich": ("cli/",),
}

LIBRARY = [path for path in modules() if path.parts[0] == "raykqi"]


def room_of(path: Path) -> str:
    """`raykqi/domain/tags.py` → `domain`; `raykqi/__init__.py` → ``."""
    return "" if path.name == "__init__.py" and len(path.parts) == 2 else path.parts[1].removesuffix(".py")


def rooms_seen(path: Path) -> set[str]:
    """The rooms of the library that a file imports; `` for the public names of raykqi itself."""
    seen = set()
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "raykqi":
            seen.add(parts[1] if len(parts) > 1 and (parts[1] in RANK or parts[1] == "__version__") else "")
    return seen


def packages_seen(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(path)}


def of(package: str) -> list[Path]:
    return [path for path in modules() if path.parts[0] == package]


def test_every_room_has_its_place_in_the_order() -> None:
    unknown = {str(path) for path in LIBRARY if room_of(path) and room_of(path) not in RANK}
    assert unknown == set()


def room_allows(room: str) -> set[str]:
    """The rooms that a file of this one may import."""
    allowed = SEES_ONLY.get(room, {other for other in RANK if RANK[other] < RANK[room]}) | {room, "__version__"}
    return allowed if room in RENDERING_IS_FOR or room == "rendering" else allowed - {"rendering"}


def test_a_room_imports_only_lower_rooms() -> None:
    higher = {
        str(path): seen for path in LIBRARY if room_of(path) and (seen := rooms_seen(path) - room_allows(room_of(path)))
    }
    assert higher == {}


def test_the_library_never_imports_its_faces() -> None:
    faces = {"cli", "serve_api", "examples", "benchmarks"}
    assert {str(path) for path in LIBRARY if room_of(path) and packages_seen(path) & faces} == set()


def test_the_command_line_talks_to_workspace_or_client() -> None:
    rooms = {str(path): seen for path in of("cli") if (seen := rooms_seen(path) - CLI_SEES)}
    assert rooms == {}
    assert {str(path) for path in of("cli") if "serve_api" in packages_seen(path)} == set()


def test_examples_use_public_names_only() -> None:
    rooms = {str(path): seen for path in of("examples") if (seen := rooms_seen(path) - {"", "__version__"})}
    assert rooms == {}
    assert {str(path) for path in of("examples") if packages_seen(path) & {"cli", "serve_api", "benchmarks"}} == set()


def test_third_parties_stay_in_their_places() -> None:
    misplaced = {
        f"{path}: {name}"
        for path in modules()
        if path.parts[0] != "benchmarks"
        for name in imports(path)
        if (places := PLACES.get(name.split(".")[0])) and not str(path).startswith(places)
    }
    assert misplaced == set()


def test_only_settings_reads_environment_variables() -> None:
    readers = {
        str(path)
        for path in LIBRARY
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv"}
    }
    assert readers <= {"raykqi/settings.py"}
