"""The OpenAPI document: one that generators take, complete, with names that people can read."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from openapi_spec_validator import validate

from serve_api.openapi import document
from serve_api.routes import all_routes

ROUTES = tuple(all_routes())


@pytest.fixture(scope="module")
def openapi() -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(document(ROUTES)))
    return decoded


def test_the_document_is_valid(openapi: dict[str, Any]) -> None:
    validate(openapi)


def test_every_route_is_in_it(openapi: dict[str, Any]) -> None:
    there = {(method.upper(), path) for path, item in openapi["paths"].items() for method in item}

    assert there == {(route.method, route.shown_path) for route in ROUTES}


def test_every_operation_has_a_readable_name_of_its_own() -> None:
    names = [route.name for route in ROUTES]

    assert len(set(names)) == len(names)
    assert [name for name in names if not re.fullmatch(r"[a-z]+(_[a-z]+)*", name)] == []


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_every_route_says_what_it_does(route: Any) -> None:
    assert route.summary


@pytest.mark.parametrize("route", [route for route in ROUTES if route.body], ids=lambda route: route.name)
def test_every_body_has_an_example_that_is_one(route: Any) -> None:
    assert route.example is not None
    assert msgspec.json.decode(msgspec.json.encode(route.example), type=route.body) == route.example


def test_who_may_is_said(openapi: dict[str, Any]) -> None:
    purge = openapi["paths"]["/api/v1/projects/{project}/data/purge"]["post"]

    assert purge["x-needs"] == "manager"
    assert purge["security"] == [{"token": []}]
    assert openapi["paths"]["/healthz"]["get"]["security"] == []
