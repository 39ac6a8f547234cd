"""Settings come from the environment, once, or are refused with the name of the variable."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from raykqi.errors import InvalidInput
from raykqi.settings import ApiSettings, ServerSettings, Settings


def test_without_any_variable_defaults_hold() -> None:
    settings = Settings.from_env({"HOME": "/home/hanako", "USER": "hanako"})

    assert settings == Settings(user="hanako", cache_dir=Path("/home/hanako/.cache/raykqi"))
    assert (settings.transfer_threads, settings.storage_timeout, settings.lock_timeout) == (16, 60.0, 30.0)


def test_every_variable_is_read() -> None:
    env = {
        "RAYKQI_WORKSPACE": "s3://bucket/lab",
        "RAYKQI_PROJECT": "lab-2",
        "RAYKQI_USER": "太郎",
        "RAYKQI_CACHE_DIR": "/cache",
        "RAYKQI_CACHE_BYTES": "0",
        "RAYKQI_TRANSFER_THREADS": "4",
        "RAYKQI_STORAGE_TIMEOUT": "7",
        "RAYKQI_LOCK_TIMEOUT": "0",
        "RAYKQI_S3_ENDPOINT": "http://localhost:9000",
    }

    assert Settings.from_env(env) == Settings(
        "s3://bucket/lab", "lab-2", "太郎", Path("/cache"), 0, 4, 7.0, 0.0, "http://localhost:9000"
    )


@pytest.mark.parametrize(
    ("env", "user"),
    [
        ({"RAYKQI_USER": "a", "LOGNAME": "b", "USER": "c"}, "a"),
        ({"RAYKQI_USER": "", "LOGNAME": "b", "USER": "c"}, "b"),
        ({"USER": "c"}, "c"),
        ({"USER": "h\udce9l\udce8ne"}, "h\ufffdl\ufffdne"),
    ],
)
def test_the_user_is_named_by_the_first_variable_that_is_set_in_text_that_can_be_stored(
    env: dict[str, str], user: str
) -> None:
    assert Settings.from_env(env).user == user


def test_caches_and_endpoints_follow_the_customs_of_others() -> None:
    env = {"HOME": "/home/hanako", "XDG_CACHE_HOME": "/big", "AWS_ENDPOINT_URL": "http://minio:9000"}

    settings = Settings.from_env(env)

    assert (settings.cache_dir, settings.s3_endpoint) == (Path("/big/raykqi"), "http://minio:9000")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("RAYKQI_CACHE_BYTES", "20GB", "RAYKQI_CACHE_BYTES='20GB' is not a whole number"),
        ("RAYKQI_CACHE_BYTES", "-1", "RAYKQI_CACHE_BYTES='-1' is below 0"),
        ("RAYKQI_TRANSFER_THREADS", "0", "RAYKQI_TRANSFER_THREADS='0' is below 1"),
        ("RAYKQI_STORAGE_TIMEOUT", "1.5", "RAYKQI_STORAGE_TIMEOUT='1.5' is not a whole number"),
        ("RAYKQI_LOCK_TIMEOUT", "-1", "RAYKQI_LOCK_TIMEOUT='-1' is below 0"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(name: str, value: str, message: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Settings.from_env({name: value})

    assert refused.value.message == message
    assert name in refused.value.hint


def test_settings_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().user = "other"  # type: ignore[misc]


def test_the_secret_at_a_provider_of_identities_shows_nowhere() -> None:
    settings = ApiSettings.from_env({"RAYKQI_OIDC_SECRET": "hush"})

    assert settings.oidc_secret == "hush"
    assert "hush" not in repr(settings)


def test_a_server_is_named_by_the_environment_and_its_token_shows_nowhere() -> None:
    env = {"HOME": "/home/lena", "RAYKQI_URL": "https://lab", "RAYKQI_TOKEN": "rkq_secret", "RAYKQI_TIMEOUT": "5"}

    server = ServerSettings.from_env(env | {"RAYKQI_PROJECT": "vision", "XDG_STATE_HOME": "/state"})

    assert (server.url, server.token, server.project, server.timeout) == ("https://lab", "rkq_secret", "vision", 5.0)
    assert server.profiles == Path("/home/lena/.config/raykqi/profiles.json")
    assert server.records == Path("/state/raykqi/servers")
    assert "secret" not in repr(server)
    assert "secret" not in repr(Settings.from_env(env))
