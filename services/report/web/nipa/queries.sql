-- What NIPA's readers are told. Runs are those that anybody may see; of branches none is a try.

-- oldest_slot --
-- branches integer, prefix text (empty: all)
-- The date of the oldest of so many newest dates of branches: streams interleave. A prefix ends where a date begins.
select min(d.slot) from (
    select c.slot from branch.cuts_v c
    where c.purpose <> 'try' and c.announced is not null and ($2::text = '' or starts_with(c.name, $2 || '-2'))
    group by c.slot order by c.slot desc limit $1
) d

-- branches --
-- name text (null: by date), since timestamptz, prefix text, most integer
select c.name, c.public_url, coalesce(c.pushed, c.announced) as at from branch.cuts_v c
where c.purpose <> 'try' and c.announced is not null
  and (($1::text is not null and c.name = $1)
       or ($1::text is null and c.slot >= $2::timestamptz and ($3::text = '' or starts_with(c.name, $3 || '-2'))))
order by c.slot desc, c.id desc limit $4

-- runs --
-- name text (null: by date), since timestamptz, prefix text, remote text (null: all), most integer
select r.id, r.day, r.branch, r.remote, r.executor, r.started, coalesce(r.ended, r.started) as ended, r.link, r.state
from branch.cuts_v c join ledger.public_runs_v r on r.cut_id = c.id
where c.purpose <> 'try' and c.announced is not null and r.state <> 'open'
  and (($1::text is not null and c.name = $1)
       or ($1::text is null and c.slot >= $2::timestamptz and ($3::text = '' or starts_with(c.name, $3 || '-2'))))
  and ($4::text is null or r.remote = $4)
order by c.slot desc, c.id desc, r.id limit $5

-- pending --
-- name text (null: by date), since timestamptz, prefix text, remote text (null: all)
-- Runs that are open, and those that are planned and have not begun; as with NIPA these begin with their branch.
select c.name as branch, x.remote, x.executor, coalesce(x.started, c.announced) as start
from branch.cuts_v c
cross join lateral (
    select r.remote, r.executor, r.started from ledger.public_runs_v r
    where r.cut_id = c.id and r.state = 'open'
    union all
    select p.remote, p.executor, null from executor.plans_v p
    where p.cut_id = c.id and p.state = 'planned'
      and not exists (select from ledger.runs r
                      where r.cut_id = c.id and r.remote = p.remote and r.executor = p.executor)
) x
where c.purpose <> 'try' and c.announced is not null
  and (($1::text is not null and c.name = $1)
       or ($1::text is null and c.slot >= $2::timestamptz and ($3::text = '' or starts_with(c.name, $3 || '-2'))))
  and ($4::text is null or x.remote = $4)
order by c.slot desc, c.id desc, x.remote, x.executor limit 1000

-- sizes --
-- days date[], runs bigint[]
select k.run_id, count(*)::integer as n from ledger.cases k
where k.day = any($1::date[]) and k.run_id = any($2::bigint[]) group by k.run_id

-- kept_sizes --
-- runs bigint[], shape text, base text
select run_id, cases from report.renderings where run_id = any($1::bigint[]) and shape = $2 and base = $3

-- kept --
-- runs bigint[], shape text, base text
select run_id, body from report.renderings where run_id = any($1::bigint[]) and shape = $2 and base = $3

-- keep --
-- shape text, base text, runs bigint[], bodies bytea[], cases integer[]
insert into report.renderings (run_id, shape, base, body, cases)
select w.run, $1, $2, w.body, w.cases from unnest($3::bigint[], $4::bytea[], $5::integer[]) as w(run, body, cases)
on conflict (run_id, shape) do update set base = excluded.base, body = excluded.body, cases = excluded.cases, made = now()

-- cases --
-- days date[], runs bigint[], deep bigint[]
-- Tests, and of the runs of `deep` their subtests. The days are named so that all other partitions are left alone.
select k.run_id, g.name as grp, t.name as test, s.name as subtest, k.attempt, k.result, coalesce(k.cause, '') as cause,
       -- As text a real is as short as it was told; read as it is it has digits that nobody measured.
       k.seconds::text::float8 as seconds, k.log, k.crashes, k.link
from ledger.cases k
join ledger.names g on g.id = k.grp
join ledger.names t on t.id = k.test
join ledger.names s on s.id = k.subtest
where k.day = any($1::date[]) and k.run_id = any($2::bigint[])
  and (k.run_id = any($3::bigint[]) or k.subtest = (select n.id from ledger.names n where n.name = ''))
order by k.run_id, k.grp, k.test, k.subtest, k.attempt

-- unsteady --
-- remotes text[], executors text[]
select s.remote, s.executor, g.name as grp, t.name as test, u.name as subtest
from unnest($1::text[], $2::text[]) as w(remote, executor)
join report.stability s on s.remote = w.remote and s.executor = w.executor and s.autoignore and s.passing is null
join ledger.names g on g.id = s.grp
join ledger.names t on t.id = s.test
join ledger.names u on u.id = s.subtest

-- remotes --
-- most integer
-- From name to name, whatever the number of their runs.
with recursive found as (
    (select remote from ledger.runs order by remote limit 1)
    union all
    select (select r.remote from ledger.runs r where r.remote > f.remote order by r.remote limit 1)
    from found f where f.remote is not null
)
select f.remote from found f
where f.remote is not null and exists (
    select from ledger.public_runs_v r left join branch.cuts_v c on c.id = r.cut_id
    where r.remote = f.remote and r.cut_id is not null
      and coalesce(c.purpose, '') <> 'try')
order by f.remote limit $1

-- stability --
-- auto boolean (null: all), remote text (null: all), remote_after text, executor_after text, grp_after integer,
-- test_after integer, subtest_after integer, most integer
select s.remote, s.executor, s.grp as grp_id, s.test as test_id, s.subtest as subtest_id, g.name as grp,
       t.name as test, u.name as subtest, s.autoignore, s.pass_cnt, s.fail_cnt, s.pass_srk, s.fail_srk, s.pass_cur,
       s.fail_cur, s.last_update, s.passing
from (
    select * from report.stability
    where ($1::boolean is null or autoignore = $1) and ($2::text is null or remote = $2)
      and (remote, executor, grp, test, subtest) > ($3::text, $4::text, $5::integer, $6::integer, $7::integer)
    order by remote, executor, grp, test, subtest limit $8
) s
join ledger.names g on g.id = s.grp
join ledger.names t on t.id = s.test
join ledger.names u on u.id = s.subtest
order by s.remote, s.executor, s.grp, s.test, s.subtest

-- devices --
-- most integer
select remote, executor, changed, info from report.devices order by changed desc, remote, executor limit $1

-- flakes_by_week --
-- since timestamptz, now timestamptz
select r.remote, r.executor, r.stream, f.test,
       greatest(0, floor(extract(epoch from $2::timestamptz - u.started) / 604800))::integer as week,
       count(*)::integer as count
from report.rollups u
join ledger.public_runs_v r on r.id = u.run_id
left join branch.cuts_v c on c.id = r.cut_id
cross join lateral jsonb_to_recordset(u.flakes) as f(test text)
where u.flaky > 0 and u.started > $1::timestamptz and coalesce(c.purpose, '') <> 'try'
group by 1, 2, 3, 4, 5

-- flakes_of_newest --
-- runs integer
select r.remote, r.executor, r.stream, f.test, 0 as week, count(*)::integer as count
from (
    select r.id, r.remote, r.executor, r.stream from ledger.public_runs_v r left join branch.cuts_v c on c.id = r.cut_id
    where r.cut_id is not null and r.state = 'done'
      and coalesce(c.purpose, '') <> 'try'
    order by r.id desc limit $1
) r
join report.rollups u on u.run_id = r.id and u.flaky > 0
cross join lateral jsonb_to_recordset(u.flakes) as f(test text)
group by 1, 2, 3, 4

-- branches_info --
-- most integer
-- The newest branches with what is on them, newest first: series by their number on Patchwork, pull requests by that of
-- their patch.
select c.id, c.stream, c.name, c.base, c.merges, c.extras, on_it.series, on_it.prs, on_it.chosen
from (
    select * from branch.cuts_v v
    where v.purpose in ('scheduled', 'by-hand') and v.announced is not null and v.state <> 'history'
    order by v.id desc limit $1
) c
cross join lateral (
    select coalesce(array_agg(s.external_id order by s.external_id)
                    filter (where s.pull_url = '' and s.external_id is not null), '{}') as series,
           coalesce(array_agg(p.external_id order by p.external_id)
                    filter (where s.pull_url <> '' and p.external_id is not null), '{}') as prs,
           coalesce(array_agg(s.id order by s.id), '{}') as chosen
    from branch.selections_v x join ingest.series_v s on s.id = x.series_id
    left join ingest.patches_v p on p.series_id = s.id and p.number = 1
    where x.cut_id = c.id and x.decision = 'take'
) on_it
order by c.id desc

-- branch_results --
-- most integer
select b.branch, b.state, b.tests, b.skipped, b.warned, b.missing
from branch.cuts_v c join report.branches b on b.cut_id = c.id
where c.purpose in ('scheduled', 'by-hand')
order by c.id desc limit $1

-- checks --
-- since timestamptz, most integer
-- The last of each patch and context that stands on Patchwork, or would.
select p.external_patch as patch, coalesce(s.mailed, s.arrived) as date, s.author_name as author, k.state, k.delegate,
       p.context, p.state as result, p.text, coalesce(p.settled, p.made) as at
from (
    select distinct on (o.patch_id, o.context) o.* from (
        select * from report.posts where status in ('posted', 'shadowed') order by id desc limit $2
    ) o
    where o.made > $1::timestamptz
    order by o.patch_id, o.context, o.id desc
) p
join ingest.patches_v k on k.id = p.patch_id
join ingest.series_v s on s.id = k.series_id
order by p.id

-- delta_before --
-- project text, stream text, id bigint
select c.id, c.project, c.stream, c.name, c.base, c.commit, c.merges, c.public_url, c.slot from branch.cuts_v c
where c.project = $1 and c.stream = $2 and c.id < $3 and c.purpose in ('scheduled', 'by-hand')
  and c.announced is not null
order by c.id desc limit 1

-- delta_after --
-- project text, stream text, id bigint
select c.name from branch.cuts_v c
where c.project = $1 and c.stream = $2 and c.id > $3 and c.purpose in ('scheduled', 'by-hand')
  and c.announced is not null
order by c.id limit 1
