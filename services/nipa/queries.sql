-- Statements of the import, run by the owner of the database.

-- branch --
-- project text, name text
select id, state from branch.cuts where project = $1 and name = $2

-- runs --
-- cut bigint
select id, remote, executor, started from ledger.runs where cut_id = $1

-- wait_briefly --
select set_config('lock_timeout', '2s', true)

-- ensure_day --
-- day date
select ledger.ensure_day($1)

-- add_names --
-- names text[]
insert into ledger.names (name) select unnest($1::text[]) on conflict (name) do nothing

-- name_ids --
-- names text[]
select id, name from ledger.names where name = any($1::text[])

-- cuts_between --
-- first bigint, last bigint
select id from branch.cuts where id between $1 and $2

-- add_cut --
-- id bigint, project text, stream text, slot timestamptz, name text, why text, base text, merges jsonb,
-- public_url text, date timestamptz
-- By hand, as that is what an import is; the slot stays free for a branch by the clock.
insert into branch.cuts (id, project, stream, slot, purpose, name, state, asked_by, why, tree, base, merges, public_url,
                         planned, built, pushed, announced)
overriding system value
values ($1, $2, $3, $4, 'by-hand', $5, 'history', 'netci import', $6, '', $7, $8, $9, $10, $10, $10, $10)

-- add_run --
-- id bigint, day date, project text, stream text, branch text, cut bigint, remote text, executor text, attempt integer,
-- started timestamptz, ended timestamptz, counts jsonb, device jsonb, link text
insert into ledger.runs (id, day, project, stream, branch, cut_id, remote, executor, attempt, state, started, ended,
                         progressed, counts, device, link)
overriding system value
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'done', $10, $11, $11, $12, $13, $14)

-- add_rollup --
-- run bigint, cut bigint, tests integer, passed integer, failed integer, skipped integer, warned integer,
-- flaky integer, infra integer, failing jsonb, flakes jsonb, started timestamptz
insert into report.rollups (run_id, cut_id, tests, passed, failed, skipped, warned, flaky, infra, failing, flakes, started)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)

-- sum_branch --
-- cut bigint
-- What pages tell of a branch. It is settled: nobody folds it again.
insert into report.branches (cut_id, project, stream, branch, state, settled, text, tests, failing, flaky, skipped,
                             warned, infra)
select c.id, c.project, c.stream, c.name,
       case when s.failed > 0 then 'red' when s.warned > 0 then 'warning' else 'success' end, true,
       c.name || ' (tests: ' || s.tests || ', failing: ' || s.failed || '), history from NIPA',
       s.tests, s.failed, s.flaky, s.skipped, s.warned, s.infra
from branch.cuts c
cross join lateral (
    select coalesce(sum(u.tests), 0) as tests, coalesce(sum(u.failed), 0) as failed, coalesce(sum(u.flaky), 0) as flaky,
           coalesce(sum(u.skipped), 0) as skipped, coalesce(sum(u.warned), 0) as warned,
           coalesce(sum(u.infra), 0) as infra
    from ledger.runs r join report.rollups u on u.run_id = r.id where r.cut_id = c.id
) s
where c.id = $1
on conflict (cut_id) do update
set state = excluded.state, text = excluded.text, tests = excluded.tests, failing = excluded.failing,
    flaky = excluded.flaky, skipped = excluded.skipped, warned = excluded.warned, infra = excluded.infra, folded = now()

-- note_device --
-- remote text, executor text, changed timestamptz, info jsonb
insert into report.devices (remote, executor, changed, info)
select $1, $2, $3, $4
where $4 is distinct from (select d.info from report.devices d
                           where d.remote = $1 and d.executor = $2 and d.changed <= $3
                           order by d.changed desc limit 1)
on conflict (remote, executor, changed) do nothing

-- add_device --
-- remotes text[], executors text[], changed timestamptz[], infos jsonb (a list)
insert into report.devices (remote, executor, changed, info)
select r, e, c, $4::jsonb -> (n - 1)::integer
from unnest($1::text[], $2::text[], $3::timestamptz[]) with ordinality as u(r, e, c, n)
on conflict (remote, executor, changed) do nothing
returning 1

-- add_stability --
-- remote text[], executor text[], grp integer[], test integer[], subtest integer[], autoignore boolean[],
-- pass_cnt integer[], fail_cnt integer[], pass_srk integer[], fail_srk integer[], pass_cur integer[],
-- fail_cur integer[], last_update timestamptz[], passing timestamptz[]
insert into report.stability_brought (remote, executor, grp, test, subtest, autoignore, pass_cnt, fail_cnt, pass_srk,
                                      fail_srk, pass_cur, fail_cur, last_update, passing)
select * from unnest($1::text[], $2::text[], $3::integer[], $4::integer[], $5::integer[], $6::boolean[], $7::integer[],
                     $8::integer[], $9::integer[], $10::integer[], $11::integer[], $12::integer[],
                     $13::timestamptz[], $14::timestamptz[])
on conflict (remote, executor, grp, test, subtest) do nothing
returning remote, executor

-- labs_to_count --
-- Labs with history that is in no counter yet.
select distinct r.remote, r.executor from ledger.runs r
where r.id < 0 and not exists (select from report.counted k where k.run_id = r.id)
order by 1, 2
