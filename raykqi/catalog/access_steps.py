"""How the rows of projects, members, users, tokens and answered requests are changed."""

from __future__ import annotations

from raykqi.catalog.rows import TEXT, TIME, WHOLE, YES, schema
from raykqi.catalog.steps import Step

__all__ = ["ACCESS_STEPS"]

_NAME = schema(name=TEXT)
_MEMBER = schema(place=TEXT, project=TEXT, account=TEXT, role=TEXT)
_OLD = schema(moment=TIME)

ACCESS_STEPS = {
    "project made": Step(
        schema(name=TEXT, title=TEXT, quota=TEXT, moment=TIME, author=TEXT),
        ("INSERT INTO project SELECT name, title, quota, moment, author, NULL FROM step",),
    ),
    "project changed": Step(
        schema(name=TEXT, title=TEXT, quota=TEXT),
        (
            """
            INSERT INTO project SELECT s.name, '', '{}', NULL, '', NULL FROM step s
            WHERE s.name NOT IN (SELECT name FROM project)
            """,
            """
            UPDATE project SET title = coalesce(s.title, project.title), quota = coalesce(s.quota, project.quota)
            FROM step s WHERE project.name = s.name
            """,
        ),
    ),
    "project removed": Step(
        schema(name=TEXT, moment=TIME),
        (
            "UPDATE project p SET removed = s.moment FROM step s WHERE p.name = s.name",
            "DELETE FROM member m USING step s WHERE m.project = s.name",
            "DELETE FROM token t USING step s WHERE t.project = s.name",
        ),
    ),
    "member set": Step(
        _MEMBER,
        (
            "DELETE FROM member m USING step s WHERE m.project = s.project AND m.account = s.account",
            "INSERT INTO member SELECT project, account, role FROM step",
        ),
    ),
    "member removed": Step(
        _MEMBER, ("DELETE FROM member m USING step s WHERE m.project = s.project AND m.account = s.account",)
    ),
    "user added": Step(
        schema(name=TEXT, title=TEXT, is_admin=YES, password=TEXT, moment=TIME),
        ("INSERT INTO user_account SELECT name, title, is_admin, false, password, moment FROM step",),
    ),
    "user changed": Step(
        schema(name=TEXT, title=TEXT, is_admin=YES, is_disabled=YES, password=TEXT),
        (
            """
            UPDATE user_account u SET title = coalesce(s.title, u.title), is_admin = coalesce(s.is_admin, u.is_admin),
                is_disabled = coalesce(s.is_disabled, u.is_disabled), password = coalesce(s.password, u.password)
            FROM step s WHERE u.name = s.name
            """,
        ),
    ),
    "user removed": Step(
        _NAME,
        (
            "DELETE FROM user_account u USING step s WHERE u.name = s.name",
            "DELETE FROM member m USING step s WHERE m.account = s.name",
            "DELETE FROM token t USING step s WHERE t.account = s.name",
        ),
    ),
    "token issued": Step(
        schema(
            id=TEXT,
            account=TEXT,
            name=TEXT,
            digest=TEXT,
            moment=TIME,
            expires=TIME,
            project=TEXT,
            role=TEXT,
            endpoint=TEXT,
        ),
        (
            """
            INSERT INTO token SELECT id, account, name, digest, moment, expires, project, role, NULL, endpoint FROM step
            """,
        ),
    ),
    "endpoint removed": Step(
        schema(id=TEXT),
        (
            """
            DELETE FROM token t USING step s, endpoint e
            WHERE e.id = s.id AND t.endpoint = e.name AND t.project = e.project
            """,
        ),
    ),
    "token revoked": Step(
        schema(id=TEXT, moment=TIME),
        ("UPDATE token t SET revoked = coalesce(t.revoked, s.moment) FROM step s WHERE t.id = s.id",),
    ),
    "tokens forgotten": Step(_OLD, ("DELETE FROM token t USING step s WHERE t.expires < s.moment",)),
    "request answered": Step(
        schema(
            place=TEXT, moment=TIME, author=TEXT, key=TEXT, fingerprint=TEXT, subjects=TEXT, project=TEXT, entry=WHOLE
        ),
        ("INSERT INTO answered SELECT moment, author, key, fingerprint, subjects, project, entry FROM step",),
    ),
    "answers forgotten": Step(_OLD, ("DELETE FROM answered a USING step s WHERE a.moment < s.moment",)),
}
