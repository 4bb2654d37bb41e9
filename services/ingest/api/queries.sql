-- What labs ask and say.

-- find_branch --
-- name text
select id, project, stream, name, tree, purpose, state, commit, announced from branch.cuts_v
where name = $1 order by id desc limit 1

-- find_series --
-- message_ids text[], projects text[] (empty: all)
-- By the message id of any of its mails; a mail that went to two lists is a series in two projects.
select s.id, s.project, s.revision, s.state, s.total, s.message_id from ingest.series s
where (s.message_id = any($1::text[]) or s.cover_message_id = any($1::text[])
       or s.id in (select p.series_id from ingest.patches p where p.message_id = any($1::text[])))
  and (cardinality($2::text[]) = 0 or s.project = any($2::text[]))
order by s.id desc limit 1

-- lab_run --
-- run bigint, remote text
-- A run of this remote, whoever wrote it: a lab's own has a row of ours beside it.
select r.id, r.day, r.project, r.stream, r.branch, r.cut_id, r.series_id, r.remote, r.executor, r.attempt, r.state,
       coalesce(r.cause, '') as cause, r.reason, r.started, r.expected_end, r.ended, r.planned, r.counts, r.trial,
       r.visibility, l.deadline, coalesce(s.message_id, '') as series, l.run_id is not null as posted,
       l.context, l.revision, coalesce(s.total, 0) as patches
from ledger.runs r
left join ingest.lab_runs l on l.run_id = r.id
left join ingest.series s on s.id = r.series_id
where r.id = $1 and r.remote = $2

-- lock_lab_run --
-- run bigint, remote text
select r.id from ledger.runs r join ingest.lab_runs l on l.run_id = r.id where r.id = $1 and r.remote = $2 for update of r

-- lock_pending --
-- series bigint, revision integer, context text, remote text
-- What this lab has said of the series as a whole, if it is that something is to come.
select k.run_id from ledger.checks k join ledger.runs r on r.id = k.run_id
where k.series_id = $1 and k.revision = $2 and k.patch = 0 and k.context = $3 and k.state = 'pending' and r.remote = $4
for update of k

-- at_it --
-- series bigint, revision integer, context text, remote text
select exists (
    select from ledger.runs r join ingest.lab_runs l on l.run_id = r.id
    where r.series_id = $1 and l.revision = $2 and l.context = $3 and r.remote = $4 and r.state = 'open'
)

-- natural_run --
-- cut_id bigint, series_id bigint, branch text, remote text, executor text, attempt integer, trial boolean
select r.id, r.state, l.digest, l.run_id is not null as posted from ledger.runs r left join ingest.lab_runs l on l.run_id = r.id
where coalesce(r.cut_id, 0) = coalesce($1::bigint, 0) and coalesce(r.series_id, 0) = coalesce($2::bigint, 0)
  and (r.cut_id is not null or r.series_id is not null or r.branch = $3)
  and r.remote = $4 and r.executor = $5 and r.attempt = $6 and r.trial = $7

-- open_runs --
-- remote text
select count(*)::integer from ledger.runs where remote = $1 and state = 'open'

-- add_lab_run --
-- run bigint, token text, remote text, deadline timestamptz, digest bytea, context text, revision integer
insert into ingest.lab_runs (run_id, token_id, remote, deadline, digest, context, revision)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (run_id) do update set deadline = greatest(lab_runs.deadline, excluded.deadline), beat = now()

-- note_whole --
-- run bigint, token text, remote text, digest bytea, context text, revision integer, executor text, branch text
-- All that is left behind by a run that came whole, at once; gives what is told of it.
with lab as (
    insert into ingest.lab_runs (run_id, token_id, remote, deadline, digest, context, revision)
    values ($1, $2, $3, now(), $4, $5, $6)
), heard as (
    insert into ingest.heard (remote, executor, branch) values ($3, $7, $8)
    on conflict (remote, executor) do update
    set at = now(), branch = case when excluded.branch = '' then heard.branch else excluded.branch end
)
select r.id, r.branch, r.remote, r.executor, r.attempt, r.state, coalesce(r.cause, '') as cause, r.reason, r.started,
       r.expected_end, r.ended, r.planned, r.counts, r.trial, null::timestamptz as deadline,
       coalesce(s.message_id, '') as series
from ledger.runs r left join ingest.series s on s.id = r.series_id where r.id = $1

-- beat --
-- run bigint, deadline timestamptz
update ingest.lab_runs set deadline = $2, beat = now() where run_id = $1

-- count_cases --
-- day date, run bigint
select count(*)::integer from ledger.cases where day = $1 and run_id = $2

-- cases_held --
-- day date, run bigint, most integer
-- No more than `most` are counted.
select count(*)::integer from (select from ledger.cases where day = $1 and run_id = $2 limit $3) c

-- run_artifacts --
-- run bigint
select name, sha256, size from ledger.artifacts where run_id = $1 order by name limit 1000

-- artifacts_held --
-- run bigint, name text
select count(*)::integer as files, coalesce(sum(size), 0)::bigint as bytes from ledger.artifacts
where run_id = $1 and name <> $2

-- record_artifact --
-- sha256 text, size bigint, visibility text
-- What a lab tried and then posted in earnest is the same blob, and public from then on. Stored again it is young
-- again, so that retention does not take it before it is attached.
insert into floor.blobs (sha256, size, stored, visibility) values ($1, $2, $2, $3)
on conflict (sha256) do update
set created = now(), visibility = case when excluded.visibility = 'public' then 'public' else blobs.visibility end

-- heard_of --
-- remote text, executor text, branch text
insert into ingest.heard (remote, executor, branch) values ($1, $2, $3)
on conflict (remote, executor) do update
set at = now(), branch = case when excluded.branch = '' then heard.branch else excluded.branch end

-- new_names --
-- remote text, names integer
insert into ingest.new_names (remote, day, names) values ($1, (now() at time zone 'utc')::date, $2)
on conflict (remote, day) do update set names = new_names.names + excluded.names returning names

-- hold_key --
-- remote text, key text
-- A collision of two hashes only makes one of them wait.
select pg_try_advisory_xact_lock(7306, hashtext($1 || E'\n' || $2))

-- answer --
-- remote text, key text
select digest, status, body from ingest.answers where remote = $1 and key = $2

-- keep_answer --
-- remote text, key text, digest bytea, status smallint, body jsonb
insert into ingest.answers (remote, key, digest, status, body) values ($1, $2, $3, $4, $5)

-- reject --
-- remote text, executor text, path text, status smallint, detail text, errors jsonb, size bigint
insert into ingest.rejections (remote, executor, path, status, detail, errors, size) values ($1, $2, $3, $4, $5, $6, $7)

-- forget_rejections --
-- remote text, most integer
delete from ingest.rejections
where remote = $1 and id <= (select id from ingest.rejections where remote = $1 order by id desc offset $2 limit 1)

-- overdue --
-- most integer
select l.run_id from ingest.lab_runs l join ledger.runs r on r.id = l.run_id and r.state = 'open'
where l.deadline < now() order by l.deadline limit $1

-- lock_overdue --
-- run bigint
-- Once more with the run in hand: a lab that is at it just now has the row, or has moved the deadline.
select r.id, r.day, r.project, r.series_id, r.remote, r.executor, r.started, r.trial, l.beat, l.deadline, l.context, l.revision
from ledger.runs r join ingest.lab_runs l on l.run_id = r.id
where r.id = $1 and r.state = 'open' and l.deadline < now() for update of r, l skip locked

-- forget_answers --
-- before timestamptz
delete from ingest.answers where at < $1

-- forget_old_rejections --
-- before timestamptz
delete from ingest.rejections where at < $1

-- forget_names --
-- before date
delete from ingest.new_names where day < $1

-- forget_lab_runs --
-- before timestamptz
delete from ingest.lab_runs l using ledger.runs r where r.id = l.run_id and r.closed < $1

-- forget_trials --
-- before timestamptz, most integer
select ledger.forget_trials($1, $2)
