"""The tables of the index, declared once; the API shows their shapes.

Numbers (`number`) are given in the order of the journal and are how tables refer to each other;
ids are what the world sees. Times are UTC without a zone. Nothing here is ever the only copy.
"""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import BigInteger, Column, DateTime, MetaData
from sqlmodel import Field, SQLModel

__all__ = ["TABLES", "columns_sql"]


class Table(SQLModel):
    metadata = MetaData()


def _number(*, key: bool = False) -> Column[int]:
    return Column(BigInteger, primary_key=key, nullable=False)


class Meta(Table, table=True):
    __tablename__ = "meta"
    key: str = Field(primary_key=True)
    value: str


class Run(Table, table=True):
    __tablename__ = "run"
    number: int = Field(sa_column=_number(key=True))
    id: uuid.UUID
    project: str
    plan: str
    status: str
    created: datetime = Field(sa_column=Column(DateTime, nullable=False))
    updated: datetime = Field(sa_column=Column(DateTime, nullable=False))
    creator: str
    attempt: int = Field(sa_column=_number())
    tries: int = Field(sa_column=_number())
    stopping: str
    started: datetime | None = Field(default=None, sa_column=Column(DateTime, nullable=True))
    ended: datetime | None = Field(default=None, sa_column=Column(DateTime, nullable=True))
    exit_code: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    exit_message: str
    reason: str
    executor: str
    node: str
    after: datetime | None = Field(default=None, sa_column=Column(DateTime, nullable=True))
    cause: str | None = None
    usage: str | None = None
    reused_from: str


class RunInput(Table, table=True):
    __tablename__ = "run_input"
    run: int = Field(sa_column=_number(key=True))
    name: str = Field(primary_key=True)
    data: int = Field(sa_column=_number())


class Data(Table, table=True):
    __tablename__ = "data"
    number: int = Field(sa_column=_number(key=True))
    id: uuid.UUID
    project: str
    run: int = Field(sa_column=_number())
    output: str
    status: str
    created: datetime = Field(sa_column=Column(DateTime, nullable=False))
    timestamp: datetime | None = Field(default=None, sa_column=Column(DateTime, nullable=True))
    creator: str
    tree: str
    size: int = Field(sa_column=_number())
    files: int = Field(sa_column=_number())


class Tag(Table, table=True):
    __tablename__ = "tag"
    data: int = Field(sa_column=_number(key=True))
    key: str = Field(primary_key=True)
    value: str = Field(primary_key=True)
    added_at: datetime = Field(sa_column=Column(DateTime, nullable=False))
    added_by: str


class TagPast(Table, table=True):
    """Tags that were taken off again: from when to when, and by whom."""

    __tablename__ = "tag_past"
    data: int = Field(sa_column=_number(key=True))
    key: str = Field(primary_key=True)
    value: str = Field(primary_key=True)
    added_at: datetime = Field(sa_column=Column(DateTime, nullable=False, primary_key=True))
    added_by: str
    removed_at: datetime = Field(sa_column=Column(DateTime, nullable=False))
    removed_by: str


class Tombstone(Table, table=True):
    __tablename__ = "tombstone"
    data: int = Field(sa_column=_number(key=True))
    kind: str = Field(primary_key=True)
    ended_at: datetime = Field(sa_column=Column(DateTime, nullable=False))
    ended_by: str
    reason: str


class Condemned(Table, table=True):
    __tablename__ = "condemned"
    object: str = Field(primary_key=True)
    generation: int = Field(sa_column=_number())


class Plan(Table, table=True):
    """`definition` and `settings` are JSON; what questions and matching ask for stands beside them."""

    __tablename__ = "plan"
    number: int = Field(sa_column=_number(key=True))
    id: str
    project: str
    name: str
    image: str
    digest: str
    active: bool
    inputs: int = Field(sa_column=_number())
    is_plain: bool  # one input, `take: each`: matched together with all others of the kind
    priority: int = Field(sa_column=_number())
    running_limit: int = Field(sa_column=_number())
    pending_limit: int = Field(sa_column=_number())
    backlog: bool
    held: str
    definition: str
    settings: str
    created: datetime = Field(sa_column=Column(DateTime, nullable=False))
    creator: str


class PlanPort(Table, table=True):
    """An input, output or log of a plan; `needs` is how many user tags it has."""

    __tablename__ = "plan_port"
    number: int = Field(sa_column=_number(key=True))
    plan: int = Field(sa_column=_number())
    project: str
    kind: str
    name: str
    path: str
    take: str
    data_id: str
    moment: datetime | None = Field(default=None, sa_column=Column(DateTime, nullable=True))
    needs: int = Field(sa_column=_number())


class PlanTag(Table, table=True):
    __tablename__ = "plan_tag"
    port: int = Field(sa_column=_number(key=True))
    key: str = Field(primary_key=True)
    value: str = Field(primary_key=True)


class Project(Table, table=True):
    """The default project is there without a row, until something of it is changed. `quota` is JSON.

    Those that were removed keep their row, as their names are not given again.
    """

    __tablename__ = "project"
    name: str = Field(primary_key=True)
    title: str
    quota: str
    created: datetime | None = Field(default=None, sa_column=Column(DateTime, nullable=True))
    creator: str
    removed: datetime | None = Field(default=None, sa_column=Column(DateTime, nullable=True))


class Member(Table, table=True):
    __tablename__ = "member"
    project: str = Field(primary_key=True)
    account: str = Field(primary_key=True)
    role: str


class UserAccount(Table, table=True):
    """`password` is a hash, or empty."""

    __tablename__ = "user_account"
    name: str = Field(primary_key=True)
    title: str
    is_admin: bool
    is_disabled: bool
    password: str
    created: datetime = Field(sa_column=Column(DateTime, nullable=False))


class Token(Table, table=True):
    """`digest` is the hash of its secret."""

    __tablename__ = "token"
    id: str = Field(primary_key=True)
    account: str
    name: str
    digest: str
    created: datetime = Field(sa_column=Column(DateTime, nullable=False))
    expires: datetime = Field(sa_column=Column(DateTime, nullable=False))
    project: str
    role: str
    revoked: datetime | None = Field(default=None, sa_column=Column(DateTime, nullable=True))
    endpoint: str


class Endpoint(Table, table=True):
    """`spec` is JSON; `held` is what keeps it from being served. Those that were removed keep their row."""

    __tablename__ = "endpoint"
    id: str = Field(primary_key=True)
    name: str
    project: str
    spec: str
    created: datetime = Field(sa_column=Column(DateTime, nullable=False))
    updated: datetime = Field(sa_column=Column(DateTime, nullable=False))
    creator: str
    is_paused: bool
    is_pinned: bool
    followed: str
    reason: str
    held: str
    removed: datetime | None = Field(default=None, sa_column=Column(DateTime, nullable=True))


class Revision(Table, table=True):
    """`loading` and `cause` are JSON."""

    __tablename__ = "revision"
    endpoint: str = Field(primary_key=True)
    number: int = Field(sa_column=_number(key=True))
    data: uuid.UUID
    loading: str
    status: str
    created: datetime = Field(sa_column=Column(DateTime, nullable=False))
    creator: str
    cause: str
    reason: str


class RevisionMove(Table, table=True):
    """What a revision became, one step after the other."""

    __tablename__ = "revision_move"
    number: int = Field(sa_column=_number(key=True))
    endpoint: str
    revision: int = Field(sa_column=_number())
    moment: datetime = Field(sa_column=Column(DateTime, nullable=False))
    author: str
    status: str
    reason: str


class Job(Table, table=True):
    """`request` and `result` are ids of data; a job without a result, or without an end, has "" there."""

    __tablename__ = "job"
    id: str = Field(primary_key=True)
    endpoint: str
    status: str
    request: str
    kind: str
    content_type: str
    created: datetime = Field(sa_column=Column(DateTime, nullable=False))
    creator: str
    result: str
    revision: int = Field(sa_column=_number())
    ended: datetime | None = Field(default=None, sa_column=Column(DateTime, nullable=True))
    reason: str


class Deed(Table, table=True):
    """Who did what, as far as no other table tells it."""

    __tablename__ = "deed"
    number: int = Field(sa_column=_number(key=True))
    moment: datetime = Field(sa_column=Column(DateTime, nullable=False))
    author: str
    project: str
    action: str
    subject: str
    detail: str


class Answered(Table, table=True):
    """What requests with a key of their own came to; `subjects` is JSON."""

    __tablename__ = "answered"
    moment: datetime = Field(sa_column=Column(DateTime, nullable=False))
    author: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    fingerprint: str
    subjects: str
    project: str
    entry: int = Field(sa_column=_number())


TABLES: tuple[type[Table], ...] = (
    Meta, Run, RunInput, Data, Tag, TagPast, Tombstone, Condemned, Plan, PlanPort, PlanTag,
    Project, Member, UserAccount, Token, Deed, Answered, Endpoint, Revision, RevisionMove, Job,
)  # fmt: skip


def columns_sql(table: type[Table]) -> str:
    """The column list of CREATE TABLE. Keys stay undeclared: scans are pruned by order, indexes cost every write."""
    from sqlalchemy.dialects.postgresql import dialect

    described = table.metadata.tables[str(table.__tablename__)]
    return ", ".join(
        f'"{column.name}" {column.type.compile(dialect=dialect())}{"" if column.nullable else " NOT NULL"}'  # type: ignore[no-untyped-call]
        for column in described.columns
    )
