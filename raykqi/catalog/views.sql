-- The lineage of a workspace as views over a snapshot's Parquet files, for plain DuckDB without raykqi:
--   cd <workspace>/snapshots/<number> && duckdb -init views.sql
-- From elsewhere, or in object storage: SET file_search_path = 's3://bucket/lab/snapshots/<number>'; then .read views.sql

CREATE OR REPLACE VIEW data AS
SELECT d.id, d.project, d.status, d.created, d."timestamp", d.creator, d.tree, d.size, d.files,
       r.id AS run, d.output, r.plan
FROM 'data.parquet' d JOIN 'run.parquet' r ON r.number = d.run;

CREATE OR REPLACE VIEW runs AS
SELECT r.id, r.project, r.plan, p.name, r.status, r.attempt, r.created, r.started, r.ended, r.updated, r.creator,
       r.exit_code, r.exit_message, r.node, r.reused_from, r.cause, r.usage
FROM 'run.parquet' r LEFT JOIN 'plan.parquet' p ON p.id = r.plan;

CREATE OR REPLACE VIEW plans AS
SELECT id, project, name, image, active, created, creator, digest, definition, settings FROM 'plan.parquet';

CREATE OR REPLACE VIEW tags AS
SELECT d.id AS data, t.key, t.value, t.added_at, t.added_by
FROM 'tag.parquet' t JOIN 'data.parquet' d ON d.number = t.data;

CREATE OR REPLACE VIEW past_tags AS
SELECT d.id AS data, t.key, t.value, t.added_at, t.added_by, t.removed_at, t.removed_by
FROM 'tag_past.parquet' t JOIN 'data.parquet' d ON d.number = t.data;

CREATE OR REPLACE VIEW tombstones AS
SELECT d.id AS data, t.kind, t.ended_at, t.ended_by, t.reason, d.tree, d.size
FROM 'tombstone.parquet' t JOIN 'data.parquet' d ON d.number = t.data;

CREATE OR REPLACE VIEW edges AS
SELECT d.id AS source, r.id AS target, 'input' AS kind, i.name
FROM 'run_input.parquet' i JOIN 'run.parquet' r ON r.number = i.run JOIN 'data.parquet' d ON d.number = i.data
UNION ALL
SELECT r.id, d.id, 'output', d.output
FROM 'data.parquet' d JOIN 'run.parquet' r ON r.number = d.run;

-- SELECT * FROM ancestors('01939c1c-…'): everything that a data or run came from, and how many edges away.
CREATE OR REPLACE MACRO ancestors(start) AS TABLE
WITH RECURSIVE above(id, distance) USING KEY (id) AS (
    SELECT start::UUID, 0
    UNION
    SELECT e.source, min(a.distance) + 1 FROM above a JOIN edges e ON e.target = a.id
    WHERE e.source NOT IN (SELECT id FROM recurring.above)
    GROUP BY e.source
)
SELECT id, distance FROM above WHERE distance > 0 ORDER BY distance, id;

-- SELECT * FROM descendants('01939c1c-…'): everything that came of it.
CREATE OR REPLACE MACRO descendants(start) AS TABLE
WITH RECURSIVE below(id, distance) USING KEY (id) AS (
    SELECT start::UUID, 0
    UNION
    SELECT e.target, min(b.distance) + 1 FROM below b JOIN edges e ON e.source = b.id
    WHERE e.target NOT IN (SELECT id FROM recurring.below)
    GROUP BY e.target
)
SELECT id, distance FROM below WHERE distance > 0 ORDER BY distance, id;
