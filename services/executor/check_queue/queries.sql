-- The statements of the checks of series.

-- series --
-- id bigint
select id, project, revision, message_id, title, state, reason, author_email, marked, tree_rule, pull_url, mbox,
       cover, trees
from ingest.series_v where id = $1

-- patches --
-- series_id bigint
select number, message_id from ingest.patches_v where series_id = $1 order by number

-- heads --
-- project text
select name, head from branch.trees_v where project = $1 and head <> ''

-- applied --
-- series_id bigint, revision integer
select outcome, tree, base, head, commits, public_url, reason, pull, already
from branch.applied_v where series_id = $1 and revision = $2

-- is_applied --
-- series_id bigint
select exists (select from branch.applied_v a join ingest.series_v s on s.id = a.series_id and s.revision = a.revision
               where s.id = $1 and a.outcome = 'applied')

-- lock_series --
-- series_id bigint
-- Whoever plans for a series, alone.
select pg_advisory_xact_lock(hashtextextended('checks of series ' || $1::bigint, 0))

-- plans --
-- series_id bigint
select p.id, p.revision, p.lane, p.attempt, p.state, p.base, p.head, p.checks,
       coalesce(array_agg(distinct t.check_name) filter (where t.state not in ('answered', 'unasked')), '{}') as open_checks
from executor.check_plans p left join executor.check_tasks t on t.plan_id = p.id
where p.series_id = $1 group by p.id order by p.id

-- make_plan --
-- project text, series_id bigint, revision integer, message_id text, lane text, attempt integer, state text, why text,
-- asked_by text, author text, patches integer, checks text[], tree text, kind text, base text, head text, expected real
insert into executor.check_plans (project, series_id, revision, message_id, lane, attempt, state, why, asked_by, author,
                                  patches, checks, tree, kind, base, head, expected, settled)
values ($1, $2, $3, $4, $5, $6, $7, left($8, 1000), $9, $10, $11, $12, $13, $14, $15, $16, $17,
        case when $7 = 'unasked' then now() end)
returning id

-- make_tasks --
-- plan_id bigint, checks text[], patches integer[], state text, why text
insert into executor.check_tasks (plan_id, check_name, patch, state, why)
select $1, c, n, $4, left($5, 1000) from unnest($2::text[], $3::integer[]) as u(c, n)
on conflict (plan_id, check_name, patch) do nothing

-- start_plan --
-- id bigint, tree text, kind text, base text, head text, expected real
update executor.check_plans
set state = 'planned', why = '', tree = $2, kind = $3, base = $4, head = $5, expected = $6, planned = now(), settled = null
where id = $1 and state in ('waiting', 'unasked')
returning id

-- ask_tasks_again --
-- plan_id bigint
update executor.check_tasks set state = 'planned', why = '' where plan_id = $1 and state in ('planned', 'unasked')

-- leave_plan --
-- id bigint, why text
update executor.check_plans set state = 'unasked', why = left($2, 1000), settled = now()
where id = $1 and state in ('waiting', 'planned', 'running')

-- close_tasks --
-- plan_id bigint, state text, why text
-- All that have no answer.
update executor.check_tasks set state = $2, why = left($3, 1000), ended = now()
where plan_id = $1 and state in ('planned', 'running', 'infra')

-- open_plan --
-- id bigint
select lane, run_id from executor.check_plans where id = $1 and state in ('waiting', 'planned', 'running')

-- lock_run --
-- run_id bigint
-- The run is locked before the plan, as by whoever writes an answer: locks taken in one order cannot meet.
select id, day, lease_number from ledger.runs where id = $1 and state = 'open' for update

-- drop_plan --
-- id bigint, why text, run_id bigint
-- No row comes back if it has another run by now, or none that is open any more.
update executor.check_plans set state = 'cancelled', why = left($2, 1000), settled = now()
where id = $1 and state in ('waiting', 'planned', 'running') and run_id is not distinct from $3 returning id

-- load_plan --
-- id bigint
select p.id, p.project, p.series_id, p.revision, p.message_id, p.lane, p.attempt, p.state, p.tree, p.kind, p.base, p.head,
       p.run_id, p.troubles, p.expected, s.state as series_state, s.revision as series_revision
from executor.check_plans p left join ingest.series_v s on s.id = p.series_id
where p.id = $1

-- plan_running --
-- id bigint, run_id bigint
update executor.check_plans
set state = 'running', run_id = $2, why = '', started = coalesce(started, now())
where id = $1 and state in ('planned', 'running') returning id

-- hindered --
-- id bigint, why text
-- Why it does not go on just now, for the pages.
update executor.check_plans set why = left($2, 1000)
where id = $1 and state in ('planned', 'running') and why <> left($2, 1000)

-- troubled --
-- id bigint, why text
update executor.check_plans set troubles = troubles + 1, state = 'planned', why = left($2, 1000)
where id = $1 and state in ('planned', 'running') returning troubles

-- settle_plan --
-- id bigint, state text, why text
update executor.check_plans set state = $2, why = left($3, 1000), settled = now()
where id = $1 and state in ('planned', 'running') returning id

-- leave_tasks --
-- plan_id bigint, why text
-- What nobody asked, though it was planned: the check looks at no such patch.
update executor.check_tasks set state = 'unasked', why = left($2, 1000), ended = now()
where plan_id = $1 and state in ('planned', 'running')

-- give_up_tasks --
-- plan_id bigint, why text
update executor.check_tasks set state = 'infra', why = left($2, 1000), ended = now()
where plan_id = $1 and state in ('planned', 'running')

-- tasks --
-- plan_id bigint
select check_name, patch, state, begun, why from executor.check_tasks where plan_id = $1 order by check_name, patch

-- began --
-- plan_id bigint, check_name text, patch integer, run_id bigint, lease_number bigint
-- No row comes back once another owns the run, or it is closed.
insert into executor.check_tasks (plan_id, check_name, patch, state, begun, started)
select $1, $2, $3, 'running', 1, now() from ledger.runs r where r.id = $4 and r.lease_number = $5 and r.state = 'open'
on conflict (plan_id, check_name, patch) do update
set state = case when check_tasks.state = 'answered' then 'answered' else 'running' end, why = '', described = '',
    begun = check_tasks.begun + 1, started = now(), ended = null
returning state

-- hold_run --
-- run_id bigint, lease_number bigint
-- The run's row, locked; none once another owns it, or it is closed.
select id from ledger.runs where id = $1 and lease_number = $2 and state = 'open' for update

-- described --
-- plan_id bigint, check_name text, patch integer, text text
update executor.check_tasks set described = left($4, 500)
where plan_id = $1 and check_name = $2 and patch = $3 and state = 'running'

-- ended --
-- plan_id bigint, check_name text, patch integer, state text, why text, described text, seconds real
insert into executor.check_tasks (plan_id, check_name, patch, state, why, described, seconds, started, ended)
values ($1, $2, $3, $4, left($5, 1000), left($6, 2000), $7, now(), now())
on conflict (plan_id, check_name, patch) do update
set state = excluded.state, why = excluded.why, described = excluded.described, seconds = excluded.seconds, ended = now()

-- took --
-- project text, check_name text, seconds real
-- A moving average that follows a change within a few answers.
insert into executor.check_durations (project, check_name, seconds) values ($1, $2, $3)
on conflict (project, check_name) do update
set seconds = check_durations.seconds * 0.7 + excluded.seconds * 0.3, runs = check_durations.runs + 1, at = now()

-- durations --
-- project text
select check_name, seconds from executor.check_durations where project = $1

-- waiting --
-- lane text
select p.id, p.author, p.kind, p.patches, p.expected, p.planned, p.asked_by, w.priority
from executor.check_plans p
join floor.work w on w.room = 'checks' and w.kind = 'checks:' || p.lane and w.key = p.id::text and w.state = 'ready'
where p.lane = $1 and p.state in ('planned', 'running')

-- try_rank --
-- lane text
select pg_try_advisory_xact_lock(hashtextextended('order of checks ' || $1, 0))

-- rank --
-- lane text, plan_ids bigint[], priorities integer[]
update floor.work w set priority = r.priority
from unnest($2::bigint[], $3::integer[]) as r(plan, priority)
where w.room = 'checks' and w.kind = 'checks:' || $1 and w.key = r.plan::text and w.state = 'ready'
  and w.priority <> r.priority

-- unlooked --
-- projects text[], lanes text[], checks text[], since double precision (seconds)
-- Series whose plans do not fit what they are: nobody told us, it got lost on the way, or other checks are configured
-- by now (`checks` of `projects` in `lanes`, one beside the other). As `decide` has it: for each check its newest plan
-- counts.
with configured as (
    select * from unnest($1::text[], $2::text[], $3::text[]) as c(project, lane, name)
), active as (
    select s.id, s.project, s.revision, a.outcome, coalesce(a.head, '') as head,
           s.arrived > now() - make_interval(secs => $4) as young,
           exists (select from executor.check_plans p where p.series_id = s.id) as known
    from ingest.series_v s left join branch.applied_v a on a.series_id = s.id and a.revision = s.revision
    where s.state = 'active' and s.project in (select project from configured)
)
select s.id from active s join configured c on c.project = s.project
left join lateral (
    select p.id, p.state, p.head from executor.check_plans p
    where p.series_id = s.id and p.revision = s.revision and p.lane = c.lane and c.name = any(p.checks)
    order by p.attempt desc limit 1) p on true
where (s.known or s.young)
  and (p.id is null
       or (p.state = 'waiting' and s.outcome is not null)
       or (p.state = 'unasked' and s.outcome = 'applied')
       or (c.lane <> 'mail' and s.outcome = 'applied' and p.head not in ('', s.head))
       or (p.state = 'cancelled' and exists (
               select from executor.check_tasks t
               where t.plan_id = p.id and t.check_name = c.name and t.state not in ('answered', 'unasked'))))
union
select p.series_id from executor.check_plans p join ingest.series_v s on s.id = p.series_id
where p.state in ('waiting', 'planned', 'running') and (s.state <> 'active' or s.revision <> p.revision)
order by 1 limit 500

-- workless --
-- Plans whose row of work was lost, or died of trouble of ours that may be over by now.
select p.id, p.lane, p.asked_by, p.kind, p.author, p.patches, p.expected, p.planned from executor.check_plans p
where p.state in ('planned', 'running')
  and not exists (select from floor.work w where w.room = 'checks' and w.kind = 'checks:' || p.lane and w.key = p.id::text
                  and (w.state in ('ready', 'leased')
                       or (w.state = 'dead' and w.settled > now() - interval '1 hour')))

-- forget_plans --
-- before timestamptz, most integer
delete from executor.check_plans where id in (
    select id from executor.check_plans where settled < $1 order by settled limit $2)

-- lane_hands --
-- lane text, holder text, hands integer
insert into executor.check_lanes (lane, holder, hands) values ($1, $2, $3)
on conflict (lane, holder) do update set hands = excluded.hands, at = now()

-- forget_lanes --
delete from executor.check_lanes where at < now() - interval '1 hour'

-- find_series --
-- message_id text
-- The newest series of each project that a mail belongs to.
select distinct on (s.project) s.id, s.project, s.message_id, s.title, s.state, s.reason
from ingest.series_v s
where s.message_id = $1 or (s.cover_message_id <> '' and s.cover_message_id = $1)
   or s.id in (select series_id from ingest.patches_v p where p.message_id = $1)
order by s.project, s.id desc
