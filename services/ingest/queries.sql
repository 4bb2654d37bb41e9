-- source --
-- project text, name text
select cursor, seen, low_water, facts from ingest.sources where project = $1 and name = $2

-- add_source --
-- project text, name text
insert into ingest.sources (project, name) values ($1, $2) on conflict (project, name) do nothing

-- set_facts --
-- project text, name text, facts jsonb
update ingest.sources set facts = facts || $3 where project = $1 and name = $2

-- move_cursor --
-- project text, name text, cursor text, seen jsonb
update ingest.sources set cursor = $3, seen = $4, polled = now() where project = $1 and name = $2

-- mark_reconciled --
-- project text, name text, low_water bigint, facts jsonb
update ingest.sources set reconciled = now(), low_water = $3, facts = facts || $4 where project = $1 and name = $2

-- mark_queue_synced --
-- project text, name text
update ingest.sources set queue_synced = now() where project = $1 and name = $2

-- known --
-- project text, source text, external_ids bigint[]
select external_id, received, state from ingest.series
where project = $1 and source = $2 and external_id = any($3::bigint[])

-- under_way --
-- prefix text
select (payload->>'id')::bigint as id from floor.work
where room = 'ingest' and kind = 'take' and state in ('ready', 'leased') and starts_with(key, $1)

-- oldest_incomplete --
-- project text, source text
select min(external_id) from ingest.series where project = $1 and source = $2 and state = 'incomplete'

-- one_author_at_a_time --
-- author text
-- Versions of one author's series are compared under this lock: two that come at once must see each other.
select pg_advisory_xact_lock(7303, hashtext($1))

-- load_series --
-- project text, source text, external_id bigint
select id, revision, received, state, superseded_by, message_id from ingest.series
where project = $1 and source = $2 and external_id = $3 for update

-- note_incomplete --
-- project text, source text, external_id bigint, message_id text, subject text, title text, author_name text,
-- author_email text, total integer, received integer, web_url text
insert into ingest.series (project, source, external_id, message_id, subject, title, author_name, author_email,
                           total, received, web_url, revision)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0)
on conflict (project, source, external_id) do update
set received = excluded.received, total = excluded.total, changed = now()
where series.state = 'incomplete' and series.received <> excluded.received

-- give_up --
-- project text, source text, seconds double precision
update ingest.series
set state = 'given-up', changed = now(),
    reason = 'Incomplete: ' || received || ' of ' || total || ' patches arrived'
where project = $1 and source = $2 and state = 'incomplete' and arrived < now() - make_interval(secs => $3)
returning id, revision, message_id, reason

-- save_series --
-- project text, source text, external_id bigint, revision integer, message_id text, cover_message_id text,
-- subject text, title text, version integer, author_name text, author_email text, total integer, received integer,
-- state text, reason text, superseded_by bigint, supersedes bigint, delegate text, tags text[], trees text[],
-- tree_rule text, tree_reason text, marked boolean, pull_url text, mbox text, web_url text, mailed timestamptz,
-- likeness text, refs text[], resend boolean, cover text, pull_external_id bigint
insert into ingest.series (project, source, external_id, revision, message_id, cover_message_id, subject, title,
    version, author_name, author_email, total, received, state, reason, superseded_by, supersedes, delegate, tags,
    trees, tree_rule, tree_reason, marked, pull_url, mbox, web_url, mailed, likeness, refs, resend, cover,
    pull_external_id)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23,
    $24, $25, $26, $27, $28, $29, $30, $31, $32)
on conflict (project, source, external_id) do update
set revision = excluded.revision, message_id = excluded.message_id, cover_message_id = excluded.cover_message_id,
    subject = excluded.subject, title = excluded.title, version = excluded.version,
    author_name = excluded.author_name, author_email = excluded.author_email, total = excluded.total,
    received = excluded.received, state = excluded.state, reason = excluded.reason,
    superseded_by = excluded.superseded_by, supersedes = excluded.supersedes, delegate = excluded.delegate,
    tags = excluded.tags, trees = excluded.trees, tree_rule = excluded.tree_rule,
    tree_reason = excluded.tree_reason, marked = excluded.marked, pull_url = excluded.pull_url,
    mbox = excluded.mbox, web_url = excluded.web_url, mailed = excluded.mailed, likeness = excluded.likeness,
    refs = excluded.refs, resend = excluded.resend, cover = excluded.cover,
    pull_external_id = excluded.pull_external_id, changed = now()
returning id

-- unnumber_patches --
-- series_id bigint, external_ids bigint[]
-- Those that stay give up their numbers, so that a patch may take another's.
with gone as (
    delete from ingest.patches where series_id = $1 and external_id <> all($2::bigint[])
)
update ingest.patches set number = -number where series_id = $1 and external_id = any($2::bigint[])

-- save_patch --
-- series_id bigint, number integer, external_id bigint, message_id text, title text, author_name text,
-- author_email text, state text, delegate text, archived boolean, files text[], fixes text[], fault text, web_url text
insert into ingest.patches (series_id, number, external_id, message_id, title, author_name, author_email, state,
    delegate, archived, files, fixes, fault, web_url)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
on conflict (series_id, external_id) do update
set number = excluded.number, message_id = excluded.message_id, title = excluded.title,
    author_name = excluded.author_name, author_email = excluded.author_email, state = excluded.state,
    delegate = excluded.delegate, archived = excluded.archived, files = excluded.files, fixes = excluded.fixes,
    fault = excluded.fault, web_url = excluded.web_url

-- patch_facts --
-- series_id bigint
select external_id, state, delegate, archived from ingest.patches where series_id = $1 order by number

-- by_author --
-- project text, author_email text, except_external_id bigint
select s.id, s.version, s.resend, s.likeness, s.refs, s.message_id, s.cover_message_id, s.state,
       array(select p.message_id from ingest.patches p where p.series_id = s.id) as patches
from ingest.series s
where s.project = $1 and lower(s.author_email) = lower($2) and s.external_id <> $3
  and s.state not in ('incomplete', 'given-up') and s.changed > now() - interval '400 days'
order by s.id desc limit 500

-- supersede --
-- ids bigint[], by bigint, reason text
update ingest.series set state = 'superseded', superseded_by = $2, reason = $3, changed = now()
where id = any($1::bigint[]) and state in ('active', 'ignored', 'malformed')
returning id, revision, message_id

-- facts_of_series --
-- id bigint
select s.id, s.revision, s.message_id, s.state, s.reason, s.superseded_by, s.trees, s.tree_reason, s.delegate
from ingest.series s where s.id = $1 for update

-- set_standing --
-- id bigint, state text, reason text, delegate text
update ingest.series set state = $2, reason = $3, delegate = $4, changed = now() where id = $1

-- watched_patches --
-- project text, source text, external_ids bigint[]
-- The patches whose state at the source decides anything here, and those of `external_ids` that we have.
select s.id as series_id, s.external_id as series_external_id, p.external_id, p.state, p.delegate, p.archived
from ingest.patches p join ingest.series s on s.id = p.series_id
where s.project = $1 and s.source = $2
  and (s.state = 'active' or (s.state = 'ignored' and s.trees <> '{}') or p.external_id = any($3::bigint[]))

-- set_patch --
-- series_id bigint, external_id bigint, state text, delegate text, archived boolean
update ingest.patches set state = $3, delegate = $4, archived = $5 where series_id = $1 and external_id = $2

-- sources --
select s.project, s.name, s.cursor, s.polled, s.reconciled, s.queue_synced, s.facts, h.ok, h.text, h.since
from ingest.sources s left join floor.health h on h.room = 'ingest' and h.name = s.name || ':' || s.project
order by s.project, s.name

-- count_states --
-- project text
select state, count(*)::integer as series from ingest.series where project = $1 group by state order by state

-- remember_call --
-- digest bytea, now timestamptz
insert into ingest.hook_calls (digest, at) values ($1, $2) on conflict do nothing returning at

-- forget_calls --
-- before timestamptz
delete from ingest.hook_calls where at < $1
