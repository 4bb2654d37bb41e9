-- Statements of counting.

-- alone_with_lab --
-- remote text, executor text
-- Counters are read, counted on and written: two runs of one lab that end together would lose one another's.
select pg_advisory_xact_lock(7306, hashtext($1 || '/' || $2))

-- alone_with_lab_of --
-- run bigint
-- The same lock, taken before anything of the run is marked.
select pg_advisory_xact_lock(7306, hashtext(remote || '/' || executor)) from ledger.runs where id = $1

-- mark_counted --
-- run bigint
with marked as (
    insert into report.counted (run_id)
    select r.id from ledger.runs r left join branch.cuts_v c on c.id = r.cut_id
    where r.id = $1 and r.state = 'done' and not r.trial and r.visibility = 'public' and coalesce(c.purpose, '') <> 'try'
    on conflict (run_id) do nothing
    returning run_id
)
select r.id, r.day, r.remote, r.executor, r.device, coalesce(r.ended, r.started) as at
from ledger.runs r join marked on marked.run_id = r.id

-- plain --
-- The number of the subtest that is none.
select coalesce((select id from ledger.names where name = ''), 0)

-- run_tries --
-- day date, run bigint
select grp, test, subtest, attempt, result, cause is not distinct from 'infra' as infra, crashes <> '{}' as crashed
from ledger.cases where day = $1 and run_id = $2

-- tallies_of_stability --
-- remote text, executor text
select grp, test, subtest, autoignore, pass_cnt, fail_cnt, pass_srk, fail_srk, pass_cur, fail_cur, broken_cur,
       last_update, passing
from report.stability where remote = $1 and executor = $2

-- tallies_of_stability_brought --
-- remote text, executor text
select grp, test, subtest, autoignore, pass_cnt, fail_cnt, pass_srk, fail_srk, pass_cur, fail_cur, broken_cur,
       last_update, passing
from report.stability_brought where remote = $1 and executor = $2

-- save_tallies --
-- remote text, executor text, grp integer[], test integer[], subtest integer[], autoignore boolean[],
-- pass_cnt integer[], fail_cnt integer[], pass_srk integer[], fail_srk integer[], pass_cur integer[],
-- fail_cur integer[], broken_cur integer[], last_update timestamptz[], passing timestamptz[]
insert into report.stability (remote, executor, grp, test, subtest, autoignore, pass_cnt, fail_cnt, pass_srk, fail_srk,
                              pass_cur, fail_cur, broken_cur, last_update, passing)
select $1, $2, * from unnest($3::integer[], $4::integer[], $5::integer[], $6::boolean[], $7::integer[], $8::integer[],
                             $9::integer[], $10::integer[], $11::integer[], $12::integer[], $13::integer[],
                             $14::timestamptz[], $15::timestamptz[])
on conflict (remote, executor, grp, test, subtest) do update
set pass_cnt = excluded.pass_cnt, fail_cnt = excluded.fail_cnt, pass_srk = excluded.pass_srk,
    fail_srk = excluded.fail_srk, pass_cur = excluded.pass_cur, fail_cur = excluded.fail_cur,
    broken_cur = excluded.broken_cur, last_update = excluded.last_update, passing = excluded.passing

-- note_device --
-- remote text, executor text, changed timestamptz, info jsonb
insert into report.devices (remote, executor, changed, info)
select $1, $2, $3, $4
where $4 is distinct from (select d.info from report.devices d
                           where d.remote = $1 and d.executor = $2 and d.changed <= $3
                           order by d.changed desc limit 1)
on conflict (remote, executor, changed) do nothing

-- labs --
select remote, executor from report.stability
union select remote, executor from report.stability_brought
union select r.remote, r.executor from ledger.runs r join report.rollups u on u.run_id = r.id
order by 1, 2

-- lab_runs --
-- remote text, executor text, counted boolean
-- What an import brought with the counters of its lab is in these already.
select r.id, r.day, r.device, coalesce(r.ended, r.started) as at
from ledger.runs r join report.rollups u on u.run_id = r.id left join branch.cuts_v c on c.id = r.cut_id
where r.remote = $1 and r.executor = $2 and r.state = 'done' and not r.trial and r.visibility = 'public'
  and coalesce(c.purpose, '') <> 'try' and not ($3 and r.id < 0)
order by r.started, r.id

-- forget_lab --
-- remote text, executor text
delete from report.stability where remote = $1 and executor = $2

-- all_counted --
-- remote text, executor text
insert into report.counted (run_id)
select r.id from ledger.runs r join report.rollups u on u.run_id = r.id
where r.remote = $1 and r.executor = $2 and r.state = 'done'
on conflict (run_id) do nothing
