-- Webhooks out: endpoints, deliveries, attempts. Times come from the caller, whose clock it is.

-- add_hook --
-- id text, name text, url text, remote text, token_id text, sees text, types text[], of_projects text[],
-- of_streams text[], of_remotes text[], of_series bigint[], secret bytea, now timestamptz, by text
insert into report.hooks (id, name, url, remote, token_id, sees, types, of_projects, of_streams, of_remotes, of_series,
                          secret, since, made, made_by, after)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13, $14, (select last from floor.sequencer))

-- lock_owner --
-- owner text
-- Whoever counts an owner's endpoints and adds one does so alone.
select pg_advisory_xact_lock(7310, hashtext($1))

-- count_hooks --
-- remote text, token_id text
select count(*)::integer from report.hooks
where ($1::text <> '' and remote = $1) or ($1::text = '' and remote = '' and token_id = $2)

-- hooks --
-- all boolean, remote text, tokens text[]
select h.id, h.name, h.url, h.remote, h.token_id, h.sees, h.types, h.of_projects, h.of_streams, h.of_remotes,
       h.of_series, h.state, h.why, h.since, h.failures, h.rest_until, h.delivered, h.after, h.made, h.made_by,
       h.old_until,
       (select count(*) from report.deliveries d where d.hook_id = h.id and d.state in ('due', 'sending'))::bigint
           as waiting
from report.hooks h
where $1::boolean or (h.remote <> '' and h.remote = $2) or (h.token_id <> '' and h.token_id = any($3::text[]))
order by h.made, h.id

-- hook --
-- id text
select id, name, url, remote, token_id, sees, types, of_projects, of_streams, of_remotes, of_series, state, why, since,
       failures, rest_until, delivered, after, made, made_by, old_until, secret, old_secret,
       (select count(*) from report.deliveries d where d.hook_id = h.id and d.state in ('due', 'sending'))::bigint
           as waiting
from report.hooks h where id = $1

-- lock_hook --
-- id text
select state from report.hooks where id = $1 for update

-- all_hooks --
select id, remote, token_id, sees, types, of_projects, of_streams, of_remotes, of_series, state, after
from report.hooks order by id

-- secrets --
select id, secret from report.hooks order by id

-- drop_hook --
-- id text
delete from report.hooks where id = $1

-- turn_secret --
-- id text, secret bytea, old_until timestamptz
update report.hooks set old_secret = secret, secret = $2, old_until = $3 where id = $1

-- set_state --
-- id text, state text, why text, now timestamptz
update report.hooks
set state = $2, why = $3, since = $4, failures = case when $2::text = 'active' then 0 else failures end,
    rest_until = case when $2::text = 'active' then 'epoch' else rest_until end
where id = $1

-- adopt --
-- id text, token_id text
update report.hooks set token_id = $2 where id = $1

-- tokens --
select id, name, remote, scopes, projects, sandbox, expires, coalesce(rotated_from, '') as after,
       revoked is not null as revoked
from floor.tokens_v

-- ancestors --
-- id text
with recursive up as (
    select id, rotated_from from floor.tokens_v where id = $1
    union all
    select t.id, t.rotated_from from floor.tokens_v t join up on t.id = up.rotated_from
)
select id from up

-- open_cursor --
-- name text
insert into floor.cursors (name, sequence) values ($1, (select last from floor.sequencer)) on conflict (name) do nothing

-- lock_cursor --
-- name text
select sequence from floor.cursors where name = $1 for update

-- set_cursor --
-- name text, sequence bigint
update floor.cursors set sequence = $2, moved = now() where name = $1

-- last --
select last from floor.sequencer

-- events_after --
-- after bigint, most integer
select sequence, body from floor.events where sequence > $1 order by sequence limit $2

-- events_between --
-- first bigint, last bigint, since timestamptz (null: any), until timestamptz (null: any), most integer
select sequence, body from floor.events
where sequence > $1 and sequence <= $2 and ($3::timestamptz is null or time >= $3)
  and ($4::timestamptz is null or time <= $4)
order by sequence limit $5

-- add_delivery --
-- hook_id text, event_id uuid, sequence bigint, type text, ping boolean, body text, now timestamptz
insert into report.deliveries (hook_id, event_id, sequence, type, ping, body, due, made)
values ($1, $2, $3, $4, $5, $6, $7, $7)
on conflict (hook_id, event_id) do nothing

-- again --
-- hook_id text, event_ids uuid[], now timestamptz
-- The schedule begins anew; what is on its way just now is left alone.
update report.deliveries set state = 'due', tries = 0, due = $3, began = null, settled = null, why = ''
where hook_id = $1 and event_id = any($2::uuid[]) and state <> 'sending' and not ping
returning id

-- claim --
-- well boolean, busy text[], most integer, now timestamptz, lease text, number bigint
-- One of each endpoint, the earliest in the log first; only while the lease is surely ours.
with next as (
    select d.id
    from report.hooks h
    cross join lateral (
        select d.id, d.due from report.deliveries d
        where d.hook_id = h.id and d.state = 'due' and d.due <= $4
          -- Pings have the number 0, and are sent whatever the state.
          and d.sequence <= case when h.state = 'active' and h.rest_until <= $4 then 9223372036854775807 else 0 end
        order by d.sequence, d.id limit 1
    ) d
    where (h.failures = 0) = $1 and not (h.id = any($2::text[]))
      and exists (select from floor.leases l
                  where l.name = $5 and l.number = $6 and l.until > now() + interval '1 second')
    order by d.due, d.id limit $3
), taken as (
    update report.deliveries d
    set state = 'sending', tries = d.tries + 1, attempts = d.attempts + 1, began = coalesce(d.began, $4)
    from next n where d.id = n.id and d.state = 'due'
    returning d.id, d.hook_id, d.event_id, d.type, d.ping, d.body, d.tries, d.attempts, d.began
), noted as (
    insert into report.attempts (delivery_id, number, began) select id, attempts, $4 from taken
)
select t.id, t.event_id, t.type, t.ping, t.body, t.tries, t.attempts, t.began, h.id as hook_id, h.url, h.remote,
       h.token_id, h.sees, h.secret, h.old_secret, h.old_until, h.failures, h.delivered
from taken t join report.hooks h on h.id = t.hook_id

-- settle_attempt --
-- delivery_id bigint, number integer, outcome text, headers jsonb, address text, status smallint, answer text,
-- error text, seconds double precision
update report.attempts
set outcome = $3, headers = $4, address = $5, status = $6, answer = $7, error = $8, seconds = $9
where delivery_id = $1 and number = $2 and outcome = 'sending'

-- settle_delivery --
-- id bigint, attempts integer, state text, why text, due timestamptz, now timestamptz
update report.deliveries
set state = $3, why = $4, due = $5, settled = case when $3::text = 'due' then null else $6::timestamptz end
where id = $1 and attempts = $2 and state = 'sending'
returning id

-- give_back --
-- id bigint, attempts integer, due timestamptz
-- It certainly never went out.
with gone as (delete from report.attempts where delivery_id = $1 and number = $2)
update report.deliveries set state = 'due', tries = tries - 1, attempts = attempts - 1, due = $3
where id = $1 and attempts = $2 and state = 'sending'

-- well --
-- id text, now timestamptz
update report.hooks set failures = 0, rest_until = 'epoch', delivered = $2 where id = $1

-- ill --
-- id text, rest_until timestamptz
update report.hooks set failures = failures + 1, rest_until = greatest(rest_until, $2) where id = $1

-- sending --
select d.id, d.hook_id, d.tries, d.attempts, d.ping, d.began, h.failures, h.delivered, h.remote, h.of_projects
from report.deliveries d join report.hooks h on h.id = d.hook_id
where d.state = 'sending'

-- drop_waiting --
-- hook_id text, why text, now timestamptz
update report.deliveries set state = 'dropped', why = $2, settled = $3
where hook_id = $1 and state = 'due' and not ping

-- drop_one --
-- id bigint, why text, now timestamptz
update report.deliveries set state = 'dropped', why = $2, settled = $3 where id = $1 and state = 'due'

-- next_due --
-- busy text[]
-- `greatest` passes over null: of an endpoint for which nothing waits, its rest is not to be waited for.
select min(least(ping.due, case when h.state = 'active' and next.due is not null
                                then greatest(next.due, h.rest_until) end)) as due
from report.hooks h
left join lateral (
    select d.due from report.deliveries d where d.hook_id = h.id and d.state = 'due' order by d.due limit 1
) next on true
left join lateral (
    select d.due from report.deliveries d where d.hook_id = h.id and d.state = 'due' and d.sequence = 0
    order by d.id limit 1
) ping on true
where not (h.id = any($1::text[]))

-- count_due --
select count(*)::bigint from report.deliveries where state in ('due', 'sending')

-- forget_deliveries --
-- before timestamptz, most integer
delete from report.deliveries
where id in (select id from report.deliveries where made < $1 and state <> 'sending' order by made limit $2)

-- deliveries --
-- hook_id text, state text (null: any), before bigint (null: the newest), most integer
select id, event_id, sequence, type, ping, state, why, attempts, due, made, settled from report.deliveries
where hook_id = $1 and ($2::text is null or state = $2) and ($3::bigint is null or id < $3)
order by id desc limit $4

-- delivery --
-- hook_id text, id bigint
select id, event_id, sequence, type, ping, state, why, attempts, due, made, settled, body from report.deliveries
where hook_id = $1 and id = $2

-- delivery_of --
-- hook_id text, event_id uuid
select id from report.deliveries where hook_id = $1 and event_id = $2

-- attempts --
-- delivery_id bigint
select number, began, outcome, headers, address, status, answer, error, seconds from report.attempts
where delivery_id = $1 order by number

-- by_remote --
-- since timestamptz
-- How many endpoints each remote has and what waits for them: all that everybody may know.
select h.remote, count(*)::bigint as hooks, count(*) filter (where h.state = 'active')::bigint as active,
       count(*) filter (where h.state = 'paused')::bigint as paused,
       count(*) filter (where h.state = 'disabled')::bigint as disabled,
       coalesce(sum(d.waiting), 0)::bigint as waiting, coalesce(sum(d.delivered), 0)::bigint as delivered,
       coalesce(sum(d.failed), 0)::bigint as failed, min(d.oldest) as oldest
from report.hooks h
left join lateral (
    select count(*) filter (where state in ('due', 'sending')) as waiting,
           count(*) filter (where state = 'delivered' and settled >= $1) as delivered,
           count(*) filter (where state = 'failed' and settled >= $1) as failed,
           min(made) filter (where state in ('due', 'sending')) as oldest
    from report.deliveries where hook_id = h.id and (state in ('due', 'sending') or made >= $1)
) d on true
group by h.remote order by h.remote
