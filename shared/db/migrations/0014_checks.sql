-- executor: the checks of series: what is asked of which series, what became of each question, how long checks take.

-- One lane of the checks of one revision of a series, asked once. `attempt` counts over all revisions, as the ledger
-- knows its runs by it. `waiting`: for the series to be applied; `unasked`: it was not.
create table executor.check_plans (
    id bigint generated always as identity primary key,
    project text not null,
    series_id bigint not null,
    revision integer not null,
    message_id text not null,
    lane text not null check (lane in ('mail', 'tree', 'build')),
    attempt integer not null,
    state text not null check (state in ('waiting', 'planned', 'running', 'done', 'cancelled', 'unasked')),
    why text not null default '',
    -- Who asked for it by hand; "" for what happens by itself.
    asked_by text not null default '',
    author text not null default '',
    patches integer not null default 0,
    -- Which checks are asked.
    checks text[] not null default '{}',
    tree text not null default '',
    kind text not null default 'next' check (kind in ('next', 'fixes')),
    base text not null default '',
    head text not null default '',
    -- Seconds that all of it should take, from what its checks took before.
    expected real not null default 0 check (expected >= 0 and expected < 'infinity'),
    run_id bigint references ledger.runs (id),
    troubles integer not null default 0,
    planned timestamptz not null default now(),
    started timestamptz,
    settled timestamptz,
    unique (series_id, lane, attempt)
);
create index check_plans_open on executor.check_plans (lane, id) where state in ('waiting', 'planned', 'running');
create index check_plans_series on executor.check_plans (series_id, revision);
create index check_plans_settled on executor.check_plans (settled) where settled is not null;

-- One question: a check of one patch, or of the series (patch 0). `begun` counts how often it was begun. `infra`: a
-- machine of ours is to blame; it is asked again a few times.
create table executor.check_tasks (
    plan_id bigint not null references executor.check_plans (id) on delete cascade,
    check_name text not null,
    patch integer not null default 0,
    state text not null default 'planned'
        check (state in ('planned', 'running', 'answered', 'unasked', 'cancelled', 'infra')),
    why text not null default '',
    described text not null default '',
    begun integer not null default 0,
    started timestamptz,
    ended timestamptz,
    seconds real check (seconds >= 0 and seconds <= 1000000),
    primary key (plan_id, check_name, patch)
);

-- How long one question of a check takes, on average.
create table executor.check_durations (
    project text not null,
    check_name text not null,
    -- No number is greater than NaN.
    seconds real not null check (seconds >= 0 and seconds <= 1000000),
    runs integer not null default 1,
    at timestamptz not null default now(),
    primary key (project, check_name)
);

-- How many plans of a lane are worked on at one time, all processes together, as they said when they began.
create table executor.check_lanes (
    lane text not null,
    holder text not null,
    hands integer not null,
    at timestamptz not null default now(),
    primary key (lane, holder)
);

-- Each check of each patch of a revision as it stands: the newest attempt, one that was cancelled only if there is no
-- other.
create view executor.checks_v as
select distinct on (p.series_id, p.revision, t.check_name, t.patch)
       p.project, p.series_id, p.revision, p.lane, p.attempt, t.check_name, t.patch, t.state,
       coalesce(nullif(t.why, ''), case when t.state in ('planned', 'running') then p.why else '' end) as why,
       t.described, t.started, t.ended, t.seconds, p.run_id
from executor.check_plans p join executor.check_tasks t on t.plan_id = p.id
order by p.series_id, p.revision, t.check_name, t.patch, (t.state = 'cancelled'), p.attempt desc;

-- What runs and what waits, in the order in which it will be taken up (`position` 0: it runs), and when about.
create view executor.check_queue_v as
with open as (
    select p.id, p.project, p.series_id, p.revision, p.message_id, p.lane, p.attempt, p.state, p.why, p.asked_by, p.tree,
           p.kind, p.base, p.patches, p.planned, p.started, coalesce(w.priority, 0) as priority,
           coalesce(w.due, p.planned) as due,
           case when p.state = 'running' then greatest(0, p.expected - extract(epoch from now() - p.started))
                else p.expected end::double precision as remaining,
           greatest(1, coalesce((select sum(l.hands) from executor.check_lanes l
                                 where l.lane = p.lane and l.at > now() - interval '10 minutes'), 1)) as hands
    from executor.check_plans p
    left join floor.work w on w.room = 'checks' and w.kind = 'checks:' || p.lane and w.key = p.id::text
                              and w.state in ('ready', 'leased')
    where p.state in ('planned', 'running')
), ordered as (
    select open.*,
           row_number() over first_come as place,
           coalesce(sum(remaining) over (first_come rows between unbounded preceding and 1 preceding), 0) as ahead,
           count(*) filter (where state = 'running') over (partition by lane) as run
    from open window first_come as (partition by lane order by (state = 'planned'), priority desc, due, id)
), timed as (
    select ordered.*,
           case when state = 'running' then started
                when place <= hands then greatest(now(), due)
                else greatest(due, now() + make_interval(secs => ahead / hands)) end as expected_start
    from ordered
)
select project, tree, kind, series_id, revision, message_id, lane, attempt, state,
       case when state = 'running' then 0 else place - run end as position,
       priority, why, asked_by, base, patches, planned, started, expected_start,
       case when state = 'running' then now() else expected_start end + make_interval(secs => remaining) as expected_end
from timed;

create view executor.check_durations_v as
select project, check_name, seconds, runs, at from executor.check_durations;

-- As before, and a run of checks is a good one only if it had nothing to say against the series.
create or replace function ledger.forget_logs(before timestamptz, good boolean, most integer) returns integer
language plpgsql security definer set search_path = pg_catalog as $$
declare
    chosen bigint[];
begin
    perform floor.refuse_young(before);
    select array_agg(id) into chosen from (
        select r.id from ledger.runs r
        where r.ended < before
          and (r.log_pack is not null or exists (select from ledger.artifacts a where a.run_id = r.id))
          and good = (r.state = 'done' and r.cause is null and coalesce((r.counts->>'fail')::integer, 0) = 0
                      and coalesce((r.counts->>'error')::integer, 0) = 0
                      and not exists (select from ledger.checks c
                                      where c.run_id = r.id and c.state in ('warning', 'fail')))
        order by r.id limit most) as old;
    delete from ledger.artifacts where run_id = any(chosen);
    update ledger.runs set log_pack = null where id = any(chosen);
    return coalesce(cardinality(chosen), 0);
end $$;

do $$
declare r text;
begin
    foreach r in array array['netci_ingest', 'netci_branch', 'netci_executor', 'netci_report'] loop
        execute format('grant select on executor.checks_v, executor.check_queue_v, executor.check_durations_v to %I', r);
    end loop;
    grant select, insert, update, delete on executor.check_plans, executor.check_tasks, executor.check_durations,
        executor.check_lanes, executor.checks_v, executor.check_queue_v, executor.check_durations_v to netci_executor;
    grant usage on all sequences in schema executor to netci_executor;
end $$;
