"""Whatever the OpenAPI document allows, and much that it does not, is answered as it says and never by a 5xx."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import settings
from schemathesis.checks import CHECKS, load_all_checks

from serve_api.openapi import document
from serve_api.options import ApiOptions
from serve_api.routes import all_routes
from tests.integration.api.served import Served, served

load_all_checks()
WANTED = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "ignored_auth",
]
KEPT = CHECKS.get_by_names(WANTED)
# A stream of events does not end.
SCHEMA = schemathesis.openapi.from_dict(document(all_routes())).exclude(operation_id="events")
SCHEMA.config.phases.coverage.enabled = False  # it cannot do with values that may be anything
PLAN = "name: plan\ncommand: ['true']\ninputs:\n- path: /in\n  tags: [a:b]\n"


@schemathesis.hook
def map_path_parameters(context: object, path_parameters: dict[str, str] | None) -> dict[str, str] | None:
    """Most requests about something that is there: others are refused before anything happens."""
    if path_parameters and len(path_parameters.get("project", "")) % 4:
        path_parameters["project"] = "default"
    return path_parameters


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("schema"), ApiOptions()) as server:
        server.workspace.push(__file__, ["a:b"])
        server.workspace.apply(PLAN)
        yield server


def check(server: Served, case: schemathesis.Case) -> None:
    token = server.workspace.issue_token("t", user="mika")[1]
    case.call_and_validate(base_url=server.url, headers={"Authorization": f"Bearer {token}"}, checks=KEPT, timeout=20)


@SCHEMA.parametrize()
@settings(max_examples=4)
def test_answers_are_as_the_document_says(case: schemathesis.Case, server: Served) -> None:
    check(server, case)


@pytest.mark.soak
@SCHEMA.parametrize()
@settings(max_examples=300)
def test_answers_are_as_the_document_says_at_length(case: schemathesis.Case, server: Served) -> None:
    check(server, case)
