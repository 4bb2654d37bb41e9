-- Statements of the floor. Every name is used by one module of shared/.

-- stage --
-- event_ids uuid[], types text[], bodies text[]
-- Numbered in their order, and whoever waits for them is woken.
with staged as (
    insert into floor.outbox (event_id, type, body)
    select id, type, body::jsonb from unnest($1::uuid[], $2::text[], $3::text[]) with ordinality as e(id, type, body, place)
    order by place returning 1
)
select pg_notify('netci_staged', '') from (select count(*) from staged) as all_of_them

-- sequence --
-- most integer
select floor.sequence_events($1)

-- sequencer_lock --
-- key bigint
select pg_try_advisory_lock($1)

-- last_sequence --
select last, epoch from floor.sequencer

-- oldest_sequence --
select min(sequence) from floor.events

-- read_events --
-- after bigint, types text[] (null: all), visibilities text[], most integer
select sequence, id, type, body from floor.events
where sequence > $1 and ($2::text[] is null or type = any($2)) and visibility = any($3)
order by sequence limit $4

-- declare_queue --
-- name text, types text[]
-- A new queue starts at the end of the log as it is now; a known one keeps its place.
insert into floor.queues (name, types, swept)
values ($1, $2, (select last from floor.sequencer))
on conflict (name) do update set types = excluded.types where queues.types is distinct from excluded.types

-- lock_queue --
-- name text
-- `no key`: the inbox refers to the queue, and a stronger lock would deadlock with those who insert.
select swept from floor.queues where name = $1 for no key update skip locked

-- await_queue --
-- name text
select swept from floor.queues where name = $1 for no key update

-- sweep --
-- queue text, swept bigint, upto bigint, types text[]
insert into floor.inbox (queue, event_id, sequence)
select $1, id, sequence from floor.events
where sequence > $2 and sequence <= $3 and type = any($4::text[])
on conflict (queue, event_id) do nothing

-- swept --
-- name text, upto bigint
update floor.queues set swept = $2 where name = $1 and swept < $2

-- receive --
-- queue text, event_id uuid, sequence bigint
insert into floor.inbox (queue, event_id, sequence) values ($1, $2, $3)
on conflict (queue, event_id) do nothing

-- claim_delivery --
-- queue text
select i.event_id, i.sequence, i.attempts, e.type, e.body
from floor.inbox i join floor.events e on e.sequence = i.sequence
where i.queue = $1 and i.state = 'due' and i.due <= now()
order by i.due, i.sequence limit 1
for update of i skip locked

-- delivery_done --
-- queue text, event_id uuid
update floor.inbox set state = 'done', settled = now() where queue = $1 and event_id = $2 and state = 'due'

-- delivery_failed --
-- queue text, event_id uuid, error text, wait_seconds double precision, limit integer
update floor.inbox
set attempts = attempts + 1, error = left($3, 2000), due = now() + make_interval(secs => $4),
    state = case when attempts + 1 >= $5 then 'dead' else 'due' end,
    settled = case when attempts + 1 >= $5 then now() end
where queue = $1 and event_id = $2 and state = 'due'

-- next_due --
-- queue text
select extract(epoch from min(due) - now())::double precision from floor.inbox where queue = $1 and state = 'due'

-- replay_dead --
-- queue text (null: all)
update floor.inbox set state = 'due', attempts = 0, due = now(), settled = null
where state = 'dead' and ($1::text is null or queue = $1)
  and exists (select from floor.events e where e.sequence = inbox.sequence)

-- dead_letters --
select i.queue, i.event_id, i.sequence, i.attempts, i.error, i.settled, e.type, e.subject
from floor.inbox i left join floor.events e on e.sequence = i.sequence
where i.state = 'dead' order by i.settled desc limit 200

-- queue_lag --
select q.name, count(i.event_id) filter (where i.state = 'due')::bigint as due,
       count(i.event_id) filter (where i.state = 'dead')::bigint as dead,
       coalesce(extract(epoch from now() - min(e.logged) filter (where i.state = 'due')), 0)::double precision as oldest
from floor.queues q
left join floor.inbox i on i.queue = q.name and i.state in ('due', 'dead')
left join floor.events e on e.sequence = i.sequence
group by q.name order by q.name

-- cursor --
-- name text
select sequence from floor.cursors where name = $1

-- move_cursor --
-- name text, sequence bigint
insert into floor.cursors (name, sequence) values ($1, $2)
on conflict (name) do update set sequence = excluded.sequence, moved = now()
where cursors.sequence < excluded.sequence

-- take_lease --
-- name text, holder text, seconds double precision
-- Gives the row if the lease is now ours: it was free, expired, or ours already (then the number stays).
insert into floor.leases (name, number, holder, until)
values ($1, nextval('floor.lease_numbers'), $2, now() + make_interval(secs => $3))
on conflict (name) do update
set number = case when leases.holder = excluded.holder and leases.until > now() then leases.number else excluded.number end,
    holder = excluded.holder, until = excluded.until
where leases.holder = excluded.holder or leases.until <= now()
returning number

-- drop_lease --
-- name text, holder text
-- By holder: who was told to stop while it asked does not know the number that it may have got.
delete from floor.leases where name = $1 and holder = $2

-- lease_left --
-- name text
select greatest(0, extract(epoch from until - now()))::double precision from floor.leases where name = $1

-- enqueue --
-- room text, kind text, key text, payload jsonb, priority integer, wait_seconds double precision
-- A settled row of the same key starts anew; a leased one is told to run once more when it ends.
insert into floor.work (room, kind, key, payload, priority, due)
values ($1, $2, $3, $4, $5, now() + make_interval(secs => $6))
on conflict (room, kind, key) do update
set payload = excluded.payload, priority = excluded.priority,
    due = case when work.state = 'ready' then least(work.due, excluded.due) else excluded.due end,
    again = work.state = 'leased',
    state = case when work.state = 'leased' then 'leased' else 'ready' end,
    attempts = case when work.state in ('ready', 'leased') then work.attempts else 0 end,
    error = case when work.state in ('ready', 'leased') then work.error else '' end,
    settled = case when work.state in ('ready', 'leased') then work.settled end
returning id

-- claim_work --
-- room text, kinds text[], holder text, seconds double precision
with free as (
    select id from floor.work
    where room = $1 and kind = any($2::text[]) and state in ('ready', 'leased')
      and ((state = 'ready' and due <= now()) or (state = 'leased' and lease_until <= now()))
    order by priority desc, due, id limit 1
    for update skip locked
)
update floor.work w
set state = 'leased', lease_number = nextval('floor.lease_numbers'), lease_holder = $3,
    lease_until = now() + make_interval(secs => $4), again = false
from free where w.id = free.id
returning w.id, w.room, w.kind, w.key, w.payload, w.attempts, w.lease_number

-- beat_work --
-- id bigint, lease_number bigint, seconds double precision
update floor.work set lease_until = now() + make_interval(secs => $3)
where id = $1 and lease_number = $2 and state = 'leased'
returning id

-- finish_work --
-- id bigint, lease_number bigint
update floor.work
set state = case when again then 'ready' else 'done' end, due = case when again then now() else due end,
    again = false, attempts = 0, error = '', settled = now(), lease_until = null, lease_holder = null
where id = $1 and lease_number = $2 and state = 'leased'
returning state

-- postpone_work --
-- id bigint, lease_number bigint, wait_seconds double precision, reason text
update floor.work
set state = 'ready', due = now() + make_interval(secs => $3), error = left($4, 2000), again = false,
    lease_until = null, lease_holder = null
where id = $1 and lease_number = $2 and state = 'leased'
returning id

-- fail_work --
-- id bigint, lease_number bigint, error text, wait_seconds double precision, limit integer
-- What was asked for once more meanwhile is not buried: the new wish has its own tries.
update floor.work
set attempts = case when again then 0 else attempts + 1 end, error = left($3, 2000),
    due = now() + make_interval(secs => $4), again = false,
    state = case when attempts + 1 >= $5 and not again then 'dead' else 'ready' end,
    settled = case when attempts + 1 >= $5 and not again then now() end, lease_until = null, lease_holder = null
where id = $1 and lease_number = $2 and state = 'leased'
returning state

-- cancel_work --
-- room text, kind text, key text
update floor.work set state = 'cancelled', settled = now(), lease_until = null, lease_holder = null
where room = $1 and kind = $2 and key = $3 and state in ('ready', 'leased')

-- work_due --
-- room text, kinds text[]
select extract(epoch from min(case when state = 'ready' then due else lease_until end) - now())::double precision
from floor.work where room = $1 and kind = any($2::text[]) and state in ('ready', 'leased')

-- work_summary --
select room, kind, state, count(*)::bigint as rows, min(due) as oldest from floor.work
where state in ('ready', 'leased', 'dead') group by room, kind, state order by room, kind, state

-- beat_process --
-- id text, rooms text[], host text, pid integer, resident bigint
insert into floor.processes (id, rooms, host, pid, resident) values ($1, $2, $3, $4, $5)
on conflict (id) do update set beat = now(), resident = excluded.resident

-- forget_processes --
-- id text
delete from floor.processes where id = $1 or beat < now() - interval '1 hour'

-- processes --
select id, rooms, host, pid, started, beat, resident from floor.processes order by started

-- health --
-- room text, name text, project text, ok boolean, text text
insert into floor.health (room, name, project, ok, text, failures, last_ok)
values ($1, $2, $3, $4, left($5, 1000), case when $4 then 0 else 1 end, case when $4 then now() end)
on conflict (room, name) do update
set since = case when health.ok = excluded.ok then health.since else now() end,
    ok = excluded.ok, text = excluded.text, project = excluded.project, at = now(),
    failures = health.failures + excluded.failures, last_ok = coalesce(excluded.last_ok, health.last_ok)

-- healths --
select room, name, project, ok, text, failures, since, at, last_ok from floor.health order by ok, room, name

-- pause --
-- kind text, name text, why text, by text
insert into floor.pauses (kind, name, why, by) values ($1, $2, $3, $4)
on conflict (kind, name) do update set why = excluded.why, by = excluded.by, at = now()

-- resume --
-- kind text, name text
delete from floor.pauses where kind = $1 and name = $2 returning why

-- pauses --
select kind, name, why, by, at from floor.pauses order by at

-- audit --
-- who text, what text, subject text, why text, detail jsonb
insert into floor.audit (who, what, subject, why, detail) values ($1, $2, $3, $4, $5)

-- record_blob --
-- sha256 text, size bigint, stored bigint, visibility text
-- Stored again it is young again, so that retention does not take it before it is named somewhere.
insert into floor.blobs (sha256, size, stored, visibility) values ($1, $2, $3, $4)
on conflict (sha256) do update set created = now()

-- notify --
-- channel text, payload text
select pg_notify($1, $2)

-- paused --
-- kind text, name text
select why from floor.pauses where kind = $1 and name = $2


-- forget_events --
-- before timestamptz, most integer
select floor.forget_events($1, $2)

-- drop_empty_events --
select floor.drop_empty_events()

-- forget_settled --
-- before timestamptz, most integer
select floor.forget_settled($1, $2)

-- forget_cases --
-- before date
select ledger.forget_cases($1)

-- forget_logs --
-- before timestamptz, good boolean, most integer
select ledger.forget_logs($1, $2, $3)

-- forget_blobs --
-- before timestamptz, most integer
select sha256 from floor.forget_blobs($1, $2) as sha256

-- prepare_days --
select ledger.prepare_days()

-- add_token --
-- id text, digest bytea, name text, remote text, scopes text[], projects text[], sandbox boolean, by text,
-- lasts_seconds double precision, rotated_from text (null: a first one)
insert into floor.tokens (id, digest, name, remote, scopes, projects, sandbox, created_by, expires, rotated_from)
values ($1, $2, $3, $4, $5, $6, $7, $8, now() + make_interval(secs => $9), $10)

-- lock_token --
-- id text
select name, remote, scopes, projects, sandbox, created, expires, revoked from floor.tokens where id = $1 for update

-- token_successor --
-- id text
select id from floor.tokens where rotated_from = $1 and revoked is null

-- shorten_token --
-- id text, seconds double precision
update floor.tokens set expires = least(expires, now() + make_interval(secs => $2)) where id = $1

-- revoke_token --
-- id text, why text
update floor.tokens set revoked = now(), revoked_why = $2 where id = $1

-- list_tokens --
select id, name, remote, scopes, projects, sandbox, created, created_by, expires, rotated_from, revoked, revoked_why,
       used, used_from
from floor.tokens order by created desc, id

-- find_token --
-- id text
select digest, name, remote, scopes, projects, sandbox, expires, revoked from floor.find_token($1)

-- used_token --
-- id text, address text
select floor.used_token($1, $2)
