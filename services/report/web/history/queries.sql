-- What the pages of histories read. Each statement looks at so many branches, tests or weeks as it shows.

-- weekly_worst --
-- weeks date[] (the newest first), needle text, remote text, executor text, stream text (each '' : all), counted text[]
-- (null: all remotes), others boolean (the remotes that are not in `counted` instead), most integer
-- Tests that flaked or failed in these weeks, those that flaked most first.
select w.remote, w.executor, w.stream, w.grp as grp_id, w.test as test_id, g.name as grp, t.name as test,
       sum(w.flakes)::integer as flakes, sum(w.fails)::integer as fails
from report.test_weeks w
join ledger.names g on g.id = w.grp
join ledger.names t on t.id = w.test
where w.week = any($1::date[]) and (w.fails > 0 or w.flakes > 0)
  and ($2 = '' or strpos(lower(concat_ws('/', w.remote, w.executor, g.name, t.name)), lower($2)) > 0)
  and ($3 = '' or w.remote = $3) and ($4 = '' or w.executor = $4) and ($5 = '' or w.stream = $5)
  and ($6::text[] is null or (w.remote = any($6)) <> $7)
group by 1, 2, 3, 4, 5, 6, 7
order by flakes desc, fails desc, 1, 2, 3, 6, 7
limit $8

-- weekly_counts --
-- weeks date[], remotes text[], executors text[], streams text[], groups integer[], tests integer[]
select w.week, w.remote, w.executor, w.stream, w.grp as grp_id, w.test as test_id, w.runs, w.fails, w.flakes
from unnest($2::text[], $3::text[], $4::text[], $5::integer[], $6::integer[]) as k(remote, executor, stream, grp, test)
cross join unnest($1::date[]) as d(week)
join report.test_weeks w
  on w.week = d.week and w.test = k.test and w.grp = k.grp and w.remote = k.remote and w.executor = k.executor
 and w.stream = k.stream

-- last_bad --
-- remotes text[], executors text[], streams text[], groups integer[], tests integer[]
-- When each last was no pass, and in which run.
select k.remote, k.executor, k.stream, k.grp as grp_id, k.test as test_id, o.run_id, o.at
from unnest($1::text[], $2::text[], $3::text[], $4::integer[], $5::integer[]) as k(remote, executor, stream, grp, test)
cross join lateral (
    select o.run_id, o.at from report.outcomes o
    where o.test = k.test and o.grp = k.grp and o.remote = k.remote and o.executor = k.executor and o.stream = k.stream
      and o.outcome in ('fail', 'flaky')
    order by o.at desc, o.run_id desc limit 1
) o

-- newest_cuts --
-- branches integer, prefix text ('' : all)
select c.id, c.name, c.slot, c.stream from branch.cuts_v c
where c.purpose <> 'try' and c.announced is not null and ($2 = '' or starts_with(c.name, $2 || '-2'))
order by c.slot desc, c.id desc limit $1

-- bad_tests --
-- cuts bigint[], needle text, remote text, executor text ('' : all), counted text[] (null: all), others boolean,
-- steady boolean (only those that are not ignored until they are steady), most integer
-- Tests that were no pass on any of these branches, the worst first.
select o.remote, o.executor, o.grp as grp_id, o.test as test_id, g.name as grp, t.name as test,
       count(*)::integer as bad
from report.outcomes o
join ledger.names g on g.id = o.grp
join ledger.names t on t.id = o.test
where o.cut_id = any($1::bigint[]) and o.outcome in ('fail', 'flaky')
  and ($2 = '' or strpos(lower(concat_ws('/', o.remote, o.executor, g.name, t.name)), lower($2)) > 0)
  and ($3 = '' or o.remote = $3) and ($4 = '' or o.executor = $4)
  and ($5::text[] is null or (o.remote = any($5)) <> $6)
  and (not $7 or not exists (
      select from report.stability s join ledger.names n on n.id = s.subtest and n.name = ''
      where s.remote = o.remote and s.executor = o.executor and s.grp = o.grp and s.test = o.test
        and s.autoignore and s.passing is null))
group by 1, 2, 3, 4, 5, 6
order by bad desc, 1, 2, 5, 6
limit $8

-- outcomes_of --
-- since timestamptz, cuts bigint[], remotes text[], executors text[], groups integer[], tests integer[]
-- What these tests came to on these branches; of several runs on one branch each.
select k.remote, k.executor, k.grp as grp_id, k.test as test_id, o.cut_id, o.run_id, o.outcome
from unnest($3::text[], $4::text[], $5::integer[], $6::integer[]) as k(remote, executor, grp, test)
join report.outcomes o
  on o.test = k.test and o.grp = k.grp and o.remote = k.remote and o.executor = k.executor and o.at >= $1
where o.cut_id = any($2::bigint[])
order by o.run_id

-- labs_of_test --
-- group integer, test integer, remote text, executor text, stream text ('' : all), most integer
-- Who runs a test, by name; found from key to key.
with recursive labs as (
    (select o.remote, o.executor from report.outcomes o where o.test = $2 and o.grp = $1
     order by o.remote, o.executor limit 1)
    union all
    select n.remote, n.executor from labs l cross join lateral (
        select o.remote, o.executor from report.outcomes o
        where o.test = $2 and o.grp = $1 and (o.remote, o.executor) > (l.remote, l.executor)
        order by o.remote, o.executor limit 1
    ) n
)
select remote, executor from labs where ($3 = '' or remote = $3) and ($4 = '' or executor = $4) limit $5

-- streams_of_test --
-- weeks date[], group integer, test integer
select distinct w.stream from report.test_weeks w
where w.week = any($1::date[]) and w.test = $3 and w.grp = $2 order by 1 limit 50

-- history --
-- group integer, test integer, remotes text[], executors text[], stream text ('' : all), most integer
-- The newest outcomes of a test in each of these labs.
select k.remote, k.executor, o.run_id, o.cut_id, o.stream, o.at, o.outcome, o.seconds::text::float8 as seconds,
       o.crashes, c.name as branch
from unnest($3::text[], $4::text[]) as k(remote, executor)
cross join lateral (
    select o.* from report.outcomes o
    where o.test = $2 and o.grp = $1 and o.remote = k.remote and o.executor = k.executor and ($5 = '' or o.stream = $5)
    order by o.at desc, o.run_id desc limit $6
) o
join branch.cuts_v c on c.id = o.cut_id
order by o.at desc, o.run_id desc

-- turns --
-- group integer, test integer, remotes text[], executors text[], streams text[], good boolean (what all of them are now),
-- most integer
-- In each lab and stream the newest outcome that is of the other kind than what it is now, and the oldest one since;
-- skips and broken machines say nothing. Looks no further back than `most` outcomes.
select k.remote, k.executor, k.stream, s.runs, s.run_id, s.at, sc.name as branch, o.run_id as other_run,
       o.at as other_at, oc.name as other_branch
from unnest($3::text[], $4::text[], $5::text[]) as k(remote, executor, stream)
left join lateral (
    select t.run_id, t.cut_id, t.at from (
        select o.run_id, o.cut_id, o.at, o.outcome from report.outcomes o
        where o.test = $2 and o.grp = $1 and o.remote = k.remote and o.executor = k.executor and o.stream = k.stream
          and o.outcome in ('pass', 'flaky', 'fail')
        order by o.at desc, o.run_id desc limit $7
    ) t
    where (t.outcome <> 'fail') is distinct from $6::boolean order by t.at desc, t.run_id desc limit 1
) o on true
cross join lateral (
    select (array_agg(t.run_id order by t.at, t.run_id))[1] as run_id,
           (array_agg(t.cut_id order by t.at, t.run_id))[1] as cut_id, min(t.at) as at, count(*)::integer as runs
    from (
        select w.run_id, w.cut_id, w.at from report.outcomes w
        where w.test = $2 and w.grp = $1 and w.remote = k.remote and w.executor = k.executor and w.stream = k.stream
          and w.outcome in ('pass', 'flaky', 'fail') and (o.at is null or (w.at, w.run_id) > (o.at, o.run_id))
        order by w.at desc, w.run_id desc limit $7
    ) t
) s
join branch.cuts_v sc on sc.id = s.cut_id
left join branch.cuts_v oc on oc.id = o.cut_id

-- weeks_of_test --
-- weeks date[], group integer, test integer, remotes text[], executors text[], stream text ('' : all)
select w.week, w.remote, w.executor, sum(w.runs)::integer as runs, sum(w.fails)::integer as fails,
       sum(w.flakes)::integer as flakes
from report.test_weeks w
join unnest($4::text[], $5::text[]) as k(remote, executor) on k.remote = w.remote and k.executor = w.executor
where w.week = any($1::date[]) and w.test = $3 and w.grp = $2 and ($6 = '' or w.stream = $6)
group by 1, 2, 3

-- crash --
-- crash text, most integer
-- Where a crash was seen, the newest first.
select o.run_id, o.at, o.stream, o.remote, o.executor, g.name as grp, t.name as test, o.outcome, c.name as branch,
       o.cut_id
from report.outcomes o
join ledger.names g on g.id = o.grp
join ledger.names t on t.id = o.test
join branch.cuts_v c on c.id = o.cut_id
where o.crashes @> array[$1::text] and o.crashes <> '{}'
order by o.at desc, o.run_id desc limit $2

-- crash_counts --
-- crash text
select count(*)::integer as seen, count(distinct o.cut_id)::integer as branches,
       count(distinct (o.remote, o.executor))::integer as labs, min(o.at) as first, max(o.at) as last
from report.outcomes o where o.crashes @> array[$1::text] and o.crashes <> '{}'

-- crashes --
-- since timestamptz, most integer
-- The crashes since then, the most frequent first.
select x.crash, count(*)::integer as seen, count(distinct o.cut_id)::integer as branches,
       array_agg(distinct o.remote || '/' || o.executor) as labs, min(o.at) as first, max(o.at) as last,
       (array_agg(o.run_id order by o.at desc))[1] as run_id
from report.outcomes o cross join lateral unnest(o.crashes) as x(crash)
where o.crashes <> '{}' and o.at >= $1
group by x.crash order by seen desc, last desc, x.crash limit $2

-- failing_on --
-- cut bigint, most integer
-- What failed on a branch.
select o.run_id, o.remote, o.executor, o.stream, o.grp as grp_id, o.test as test_id, g.name as grp, t.name as test,
       o.crashes
from report.outcomes o
join ledger.names g on g.id = o.grp
join ledger.names t on t.id = o.test
where o.cut_id = $1 and o.outcome = 'fail'
order by o.remote, o.executor, g.name, t.name limit $2

-- beside --
-- stream text, series bigint[], remotes text[], executors text[], groups integer[], tests integer[], most integer
-- What these tests came to on the newest branches of the stream, and whether one of these series was on each.
select k.remote, k.executor, k.grp as grp_id, k.test as test_id, o.cut_id, o.run_id, o.at, o.outcome, c.name as branch,
       exists (select from branch.selections_v s where s.cut_id = o.cut_id and s.series_id = any($2::bigint[])
               and s.decision = 'take') as with_it
from unnest($3::text[], $4::text[], $5::integer[], $6::integer[]) as k(remote, executor, grp, test)
cross join lateral (
    select o.* from report.outcomes o
    where o.test = k.test and o.grp = k.grp and o.remote = k.remote and o.executor = k.executor and o.stream = $1
    order by o.at desc, o.run_id desc limit $7
) o
join branch.cuts_v c on c.id = o.cut_id
order by o.at desc, o.run_id desc

-- judged_cut --
-- series bigint
-- The newest branch with the series of which there is a verdict, of each stream.
select distinct on (b.stream) b.cut_id, b.stream, b.branch, b.state, b.text
from branch.selections_v s join report.branches b on b.cut_id = s.cut_id
join branch.cuts_v c on c.id = s.cut_id and c.purpose in ('scheduled', 'by-hand')
where s.series_id = $1 and s.decision = 'take' and b.state in ('success', 'warning', 'red')
order by b.stream, b.cut_id desc

-- came_with --
-- cut bigint
-- How many series are on a branch, and how many of them were not on the branch before it.
select count(*)::integer as series, count(*) filter (where not exists (
    select from branch.selections_v p
    where p.series_id = s.series_id and p.decision = 'take' and p.cut_id = (
        select max(b.id) from branch.cuts_v b, branch.cuts_v c
        where c.id = $1 and b.project = c.project and b.stream = c.stream and b.id < c.id and b.purpose = c.purpose
          and b.announced is not null)
))::integer as came
from branch.selections_v s where s.cut_id = $1 and s.decision = 'take'

-- differences --
-- before bigint, after bigint, most integer
-- Tests that did not come to the same on two branches, in the same lab; of several runs of a lab the newest counts.
with told as (
    select distinct on (r.cut_id, o.remote, o.executor, o.grp, o.test)
           r.cut_id, o.remote, o.executor, o.grp, o.test, o.outcome, o.run_id, o.seconds
    from ledger.public_runs_v r join report.outcomes o on o.run_id = r.id
    where r.cut_id in ($1, $2)
    order by r.cut_id, o.remote, o.executor, o.grp, o.test, o.run_id desc
)
select coalesce(a.remote, b.remote) as remote, coalesce(a.executor, b.executor) as executor, g.name as grp,
       t.name as test, a.outcome as before, b.outcome as after, a.run_id as before_run, b.run_id as after_run
from (select * from told where cut_id = $1) a
full join (select * from told where cut_id = $2) b
  on b.remote = a.remote and b.executor = a.executor and b.grp = a.grp and b.test = a.test
join ledger.names g on g.id = coalesce(a.grp, b.grp)
join ledger.names t on t.id = coalesce(a.test, b.test)
where a.outcome is distinct from b.outcome
order by (coalesce(b.outcome, '') = 'fail') desc, (coalesce(a.outcome, '') = 'fail') desc, 1, 2, 3, 4 limit $3

-- lab_differences --
-- cut bigint, remote text, executor text, other_remote text, other_executor text, most integer
-- Tests that did not come to the same in two labs on one branch.
with told as (
    select distinct on (o.remote, o.executor, o.grp, o.test) o.remote, o.executor, o.grp, o.test, o.outcome, o.run_id
    from ledger.public_runs_v r join report.outcomes o on o.run_id = r.id
    where r.cut_id = $1 and (o.remote, o.executor) in (($2, $3), ($4, $5))
    order by o.remote, o.executor, o.grp, o.test, o.run_id desc
)
select g.name as grp, t.name as test, a.outcome as before, b.outcome as after, a.run_id as before_run,
       b.run_id as after_run
from (select * from told where remote = $2 and executor = $3) a
full join (select * from told where remote = $4 and executor = $5) b on b.grp = a.grp and b.test = a.test
join ledger.names g on g.id = coalesce(a.grp, b.grp)
join ledger.names t on t.id = coalesce(a.test, b.test)
where a.outcome is distinct from b.outcome
order by (coalesce(b.outcome, '') = 'fail') desc, (coalesce(a.outcome, '') = 'fail') desc, 1, 2 limit $6

-- labs_of_cut --
-- cut bigint
select distinct remote, executor from ledger.public_runs_v where cut_id = $1 order by 1, 2 limit 200
