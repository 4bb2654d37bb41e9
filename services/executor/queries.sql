-- executor's statements.

-- cut --
-- cut_id bigint
select id, project, stream, purpose, name, base, commit, public_url, announced, state
from branch.cuts_v where id = $1

-- unplanned_cuts --
-- since interval in seconds double precision
-- Announced branches that no executor was planned for, for the reconciler.
select id from branch.cuts_v c
where state = 'announced' and announced > now() - make_interval(secs => $1)
  and not exists (select from executor.plans p where p.cut_id = c.id)

-- plan --
-- cut_id bigint, remote text, executor text, project text, stream text, branch text, commit text, deadline timestamptz
insert into executor.plans (cut_id, remote, executor, project, stream, branch, commit, deadline)
values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict (cut_id, remote, executor) do nothing
returning cut_id

-- open_plans --
-- Plans whose work row may have been lost.
select p.cut_id, p.remote, p.executor from executor.plans p
where p.state in ('planned', 'running')
  and not exists (select from floor.work w where w.room = 'executor' and w.kind = 'run:' || p.remote || '/' || p.executor
                  and w.key = p.cut_id::text and w.state in ('ready', 'leased'))

-- load_plan --
-- cut_id bigint, remote text, executor text
select p.cut_id, p.remote, p.executor, p.project, p.stream, p.branch, p.commit, p.deadline, p.state, p.run_id,
       c.base, c.public_url, c.purpose
from executor.plans p join branch.cuts_v c on c.id = p.cut_id
where p.cut_id = $1 and p.remote = $2 and p.executor = $3

-- plan_running --
-- cut_id bigint, remote text, executor text, run_id bigint
update executor.plans set state = 'running', run_id = $4, reason = ''
where cut_id = $1 and remote = $2 and executor = $3 and state in ('planned', 'running')

-- settle_plan --
-- cut_id bigint, remote text, executor text, state text, reason text
update executor.plans set state = $4, reason = left($5, 1000), settled = now()
where cut_id = $1 and remote = $2 and executor = $3

-- hindered --
-- cut_id bigint, remote text, executor text, reason text
-- Why it does not run just now, for the pages.
update executor.plans set reason = left($4, 1000)
where cut_id = $1 and remote = $2 and executor = $3 and state in ('planned', 'running') and reason <> left($4, 1000)

-- began --
-- cut_id bigint, remote text, executor text, grp text, test text, attempt integer, host text, lease_number bigint,
-- run_id bigint
-- No row comes back once another owns the run, or it is closed.
insert into executor.attempts (cut_id, remote, executor, grp, test, attempt, host, lease_number)
select $1, $2, $3, $4, $5, $6, $7, r.lease_number from ledger.runs r
where r.id = $9 and r.lease_number = $8 and r.state = 'open'
on conflict (cut_id, remote, executor, grp, test, attempt, lease_number)
do update set began = now(), ended = null, host = excluded.host
returning attempt

-- ended --
-- cut_id bigint, remote text, executor text, grp text, test text, attempt integer
update executor.attempts set ended = now()
where cut_id = $1 and remote = $2 and executor = $3 and grp = $4 and test = $5 and attempt = $6 and ended is null

-- interrupted --
-- cut_id bigint, remote text, executor text, lease_number bigint
-- Attempts of former owners that began and never ended.
update executor.attempts set interrupted = true
where cut_id = $1 and remote = $2 and executor = $3 and lease_number < $4 and ended is null
returning grp, test, attempt

-- last_hosts --
-- cut_id bigint, remote text, executor text
select distinct on (grp, test) grp, test, attempt, host from executor.attempts
where cut_id = $1 and remote = $2 and executor = $3 and ended is not null
order by grp, test, attempt desc, ended desc

-- durations --
-- remote text, executor text
select grp, test, seconds from executor.durations where remote = $1 and executor = $2

-- took --
-- remote text, executor text, grp text, test text, seconds real
-- A moving average that follows a change within a few runs.
insert into executor.durations (remote, executor, grp, test, seconds) values ($1, $2, $3, $4, $5)
on conflict (remote, executor, grp, test) do update
set seconds = durations.seconds * 0.6 + excluded.seconds * 0.4, runs = durations.runs + 1, at = now()

-- host --
-- remote text, executor text, address text, label text, state text, reason text, run_id bigint, lease_number bigint
-- No row comes back once another owns the run, or it is closed.
insert into executor.hosts (remote, executor, address, label, state, reason, failures)
select $1, $2, $3, $4, $5, left($6, 500), case when $5 = 'broken' then 1 else 0 end from ledger.runs r
where r.id = $7 and r.lease_number = $8 and r.state = 'open'
on conflict (remote, executor, address) do update
set state = excluded.state, reason = excluded.reason, label = excluded.label, at = now(),
    failures = case when excluded.state = 'broken' then hosts.failures + 1
                    when excluded.state = 'idle' then 0 else hosts.failures end
returning state

-- forget_hosts --
-- remote text, executor text, addresses text[]
-- Hosts that the configuration no longer names.
delete from executor.hosts where remote = $1 and executor = $2 and address <> all($3::text[])

-- rest_hosts --
-- remote text, executor text
-- Nobody uses them: a former owner died before it could say so.
update executor.hosts set state = 'idle', at = now() where remote = $1 and executor = $2 and state = 'busy'

-- forget_attempts --
-- Of branches that were settled long ago: nobody takes those runs over.
delete from executor.attempts a using executor.plans p
where p.cut_id = a.cut_id and p.remote = a.remote and p.executor = a.executor
  and p.settled < now() - interval '7 days' and p.settled > now() - interval '8 days'

-- machine_leases --
-- names text[]
-- Who has machines just now.
select name, number, holder, until from floor.leases where name = any($1::text[]) and until > now()

-- mine --
-- name text, holder text (how it begins)
select number from floor.leases where name = $1 and starts_with(holder, $2) and until > now()

-- extend_mine --
-- name text, holder text, seconds double precision
update floor.leases set until = now() + make_interval(secs => $3), holder = $2 where name = $1

-- drop_mine --
-- name text, holder text (how it begins)
delete from floor.leases where name = $1 and starts_with(holder, $2)

-- known_bad --
-- remote text, executor text
select grp, test, subtest from report.known_bad_v where remote = $1 and executor = $2
