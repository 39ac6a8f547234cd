"""For each route one request: good enough to get past the check of rights, and harmless when it does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["SAMPLES", "Sample"]

ID = "01939c1c-7d1e-7b0a-9f41-0d9a6c1e2f33"  # of nothing


@dataclass(frozen=True)
class Sample:
    """What takes the place of names in the path, beside `project`; query and body."""

    path: dict[str, str] = field(default_factory=dict)
    query: str = ""
    json: Any = None
    content: str = ""
    content_type: str = ""


_OF_DATA, _OF_RUN, _OF_PLAN = Sample({"data": ID, "id": ID}), Sample({"run": ID}), Sample({"plan": ID})
_OF_ENDPOINT = Sample({"name": "nothing"})
_UPLOAD = {"upload": ID}
SAMPLES: dict[str, Sample] = {
    # data
    "find_data": Sample(),
    "count_data": Sample(),
    "show_data": _OF_DATA,
    "tag_data": Sample({"data": ID}, json={"add": ["x:y"]}),
    "matches_of_data": _OF_DATA,
    "purge_data": Sample(json={"data": [ID], "reason": "x"}),
    "remove_data": Sample(json={"data": [ID], "reason": "x"}),
    "list_tags": Sample(),
    "tag_many": Sample(json={"data": [ID]}),
    "resolve": Sample(query=f"prefix={ID}"),
    # bytes
    "push": Sample(content="x", content_type="application/x-tar"),
    "begin_upload": Sample(json={"tags": ["nocolon"]}),
    "show_upload": Sample(_UPLOAD),
    "drop_upload": Sample(_UPLOAD),
    "send_piece": Sample(_UPLOAD | {"path": "a"}, content="x"),
    "sign_pieces": Sample(_UPLOAD, json={"pieces": []}),
    "commit_upload": Sample(_UPLOAD, json={}),
    "import_data": Sample(json={"url": "nowhere:x"}),
    "list_files": _OF_DATA,
    "list_file_urls": _OF_DATA,
    "read_file": Sample({"id": ID, "data": ID, "path": "a"}),
    "read_archive": _OF_DATA,
    "find_code": Sample({"tree": "0" * 64}),
    "push_code": Sample(content="x", content_type="application/x-tar"),
    # plans
    "list_plans": Sample(),
    "apply_plan": Sample(content="x", content_type="application/yaml"),
    "check_plan": Sample(content="x", content_type="application/yaml"),
    "graph_of_plans": Sample(),
    "why_plan": Sample({"plan": ID}, query=f"data={ID}"),
    "show_plan": _OF_PLAN,
    "change_plan": Sample({"plan": ID}, json={"active": False}),
    # runs
    "list_runs": Sample(),
    "count_runs": Sample(),
    "statuses_of_runs": Sample(json={"runs": [ID]}),
    "stop_runs": Sample(json={"runs": [ID]}),
    "retry_runs": Sample(json={"runs": [ID]}),
    "remove_runs": Sample(json={"runs": [ID]}),
    "show_run": _OF_RUN,
    "beat_of_run": _OF_RUN,
    "files_of_run": _OF_RUN,
    "dashboard_of_run": _OF_RUN,
    # streams
    "events": Sample(query="after=x"),
    "log_of_run": _OF_RUN,
    "progress_of_run": _OF_RUN,
    # endpoints
    "list_endpoints": Sample(),
    "deploy_endpoint": Sample(json={"name": "/", "spec": {"binding": {"data": ID}}}),
    "show_endpoint": _OF_ENDPOINT,
    "change_endpoint": Sample({"name": "nothing"}, json={}),
    "remove_endpoint": _OF_ENDPOINT,
    "promote_revision": Sample({"name": "nothing"}, json={}),
    "roll_back_endpoint": Sample({"name": "nothing"}, json={}),
    "pause_endpoint": Sample({"name": "nothing"}, json={}),
    "resume_endpoint": _OF_ENDPOINT,
    "follow_with_endpoint": _OF_ENDPOINT,
    "list_jobs": _OF_ENDPOINT,
    "list_replicas": _OF_ENDPOINT,
    "log_of_endpoint": _OF_ENDPOINT,
    "show_job": Sample({"job": ID}),
    "issue_endpoint_token": Sample({"name": "nothing"}, json={"name": "t"}),
    "affected_endpoints": Sample({"node": ID}),
    "pull_endpoints": Sample({"node": ID}, json={}),
    # lineage
    "show_lineage": Sample({"node": ID}),
    "path_between": Sample(query=f"ancestor={ID}&descendant={ID}"),
    "compare_ancestries": Sample(query=f"left={ID}&right={ID}"),
    # upkeep
    "collect_garbage": Sample(json={"dry_run": True}),
    "check_workspace": Sample(json={"nonsense": 1}),
    "take_snapshot": Sample(json={"nonsense": 1}),
    "rebuild_index": Sample(json={"nonsense": 1}),
    "compact_journal": Sample(json={"nonsense": 1}),
    "examine_workspace": Sample(),
    # identity
    "sign_in": Sample(json={"user": "nobody", "password": "wrong"}),
    "sign_out": Sample(),
    "show_caller": Sample(),
    "change_password": Sample(json={"old": "wrong", "new": "correct horse battery"}),
    "list_tokens": Sample(),
    "issue_token": Sample(json={"name": ""}),
    "revoke_token": Sample({"token": "nothing"}),
    "list_users": Sample(),
    "add_user": Sample(json={"name": "/"}),
    "show_user": Sample({"user": "nobody"}),
    "change_user": Sample({"user": "nobody"}, json={}),
    "remove_user": Sample({"user": "nobody"}),
    "begin_oidc": Sample(),
    "end_oidc": Sample(),
    # projects
    "list_projects": Sample(),
    "make_project": Sample(json={"name": "/"}),
    "show_project": Sample(),
    "change_project": Sample(json={}),
    "remove_project": Sample(),
    "list_members": Sample(),
    "set_member": Sample({"user": "nobody"}, json={"role": "viewer"}),
    "remove_member": Sample({"user": "nobody"}),
    "show_usage": Sample(),
    "list_deeds": Sample(),
    "list_all_deeds": Sample(),
    # service
    "is_alive": Sample(),
    "is_ready": Sample(),
    "about": Sample(),
    "service": Sample(),
    "metrics": Sample(),
    "home": Sample(),
}
