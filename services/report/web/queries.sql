-- What the pages read. Every list ends somewhere, by a key or by a limit, so that its cost does not grow with history.

-- plan_anew --
select set_config('plan_cache_mode', 'force_custom_plan', true)

-- stream_branches --
-- projects text[], streams text[], most integer
-- The newest branches of each stream. Cuts of tries are nobody's business but their owner's.
select c.id, c.project, c.stream, c.name, c.purpose, c.state, c.slot, c.why, c.tree, c.base, c.commit, c.public_url,
       c.error, c.planned, c.announced, coalesce(b.state, '') as verdict, coalesce(b.settled, false) as settled,
       coalesce(b.text, '') as text, coalesce(b.tests, 0) as tests, coalesce(b.failing, 0) as failing,
       coalesce(b.flaky, 0) as flaky, coalesce(b.skipped, 0) as skipped, coalesce(b.missing, '{}') as missing,
       b.wait_until,
       (select count(*) from branch.selections_v s where s.cut_id = c.id and s.decision = 'take') as taken,
       (select count(*) from branch.selections_v s where s.cut_id = c.id and s.decision = 'leave') as left_out
from unnest($1::text[], $2::text[]) with ordinality as w(project, stream, place)
cross join lateral (
    select * from branch.cuts_v v
    where v.project = w.project and v.stream = w.stream and v.purpose <> 'try'
    order by v.id desc limit $3
) c
left join report.branches b on b.cut_id = c.id
order by w.place, c.id desc

-- stream_states --
-- What branch says of its streams: the slot that comes next, and what keeps it waiting.
select project, name, next_slot, waiting from branch.streams_v

-- branches --
-- project text (null: all), stream text (null: all), before bigint (null: newest), most integer
select c.id, c.project, c.stream, c.name, c.purpose, c.state, c.slot, c.why, c.tree, c.base, c.commit, c.public_url,
       c.error, c.planned, c.announced, coalesce(b.state, '') as verdict, coalesce(b.settled, false) as settled,
       coalesce(b.text, '') as text, coalesce(b.tests, 0) as tests, coalesce(b.failing, 0) as failing,
       coalesce(b.flaky, 0) as flaky, coalesce(b.skipped, 0) as skipped, coalesce(b.missing, '{}') as missing,
       b.wait_until
from branch.cuts_v c left join report.branches b on b.cut_id = c.id
where c.purpose <> 'try' and ($1::text is null or c.project = $1) and ($2::text is null or c.stream = $2)
  and ($3::bigint is null or c.id < $3)
order by c.id desc limit $4

-- branch --
-- name text
select c.id, c.project, c.stream, c.name, c.purpose, c.state, c.slot, c.why, c.tree, c.base, c.commit, c.merges,
       c.extras, c.public_url, c.error, c.planned, c.built, c.pushed, c.announced, c.pruned,
       coalesce(b.state, '') as verdict, coalesce(b.settled, false) as settled, coalesce(b.text, '') as text,
       coalesce(b.tests, 0) as tests, coalesce(b.failing, 0) as failing, coalesce(b.flaky, 0) as flaky,
       coalesce(b.skipped, 0) as skipped, coalesce(b.missing, '{}') as missing,
       coalesce(b.reasons, '[]') as reasons, b.wait_until, b.folded
from branch.cuts_v c left join report.branches b on b.cut_id = c.id
where c.name = $1 and c.purpose <> 'try'
order by c.id desc limit 1

-- branch_before --
-- project text, stream text, id bigint
select name from branch.cuts_v where project = $1 and stream = $2 and id < $3 and purpose <> 'try' order by id desc limit 1

-- branch_after --
-- project text, stream text, id bigint
select name from branch.cuts_v where project = $1 and stream = $2 and id > $3 and purpose <> 'try' order by id limit 1

-- cut_named --
-- name text
select c.id, c.project, c.stream, c.name, c.tree, c.base, c.commit, c.merges, c.public_url, c.slot from branch.cuts_v c
where c.name = $1 and c.purpose <> 'try' order by c.id desc limit 1

-- series_on --
-- cuts bigint[]
select x.cut_id, s.id, s.title, s.version, s.author_name, s.state from branch.selections_v x
join ingest.series_v s on s.id = x.series_id
where x.cut_id = any($1::bigint[]) and x.decision = 'take' order by x.cut_id, x.position limit 5000

-- selections --
-- cut bigint, most integer
select s.series_id, s.revision, s.position, s.decision, s.rule, s.reason, s.patch_number, s.files, s.rival, s.merged,
       s.log is not null as has_log, v.title, v.version, v.total, v.author_name, v.message_id, v.state as series_state,
       coalesce(r.title, '') as rival_title
from branch.selections_v s
join ingest.series_v v on v.id = s.series_id
left join ingest.series_v r on r.id = s.rival
where s.cut_id = $1 order by s.decision desc, s.position, s.series_id limit $2

-- selection_log --
-- name text, series bigint
select s.log from branch.selections_v s
join branch.cuts_v c on c.id = s.cut_id
join floor.blobs b on b.sha256 = s.log and b.visibility = 'public'
where c.name = $1 and c.purpose <> 'try' and s.series_id = $2

-- cut_runs --
-- cuts bigint[]
-- Every executor that was to run the cuts, with what came of it; runs of outside labs have no plan.
select coalesce(p.cut_id, r.cut_id) as cut_id, coalesce(p.remote, r.remote) as remote,
       coalesce(p.executor, r.executor) as executor, coalesce(p.state, '') as plan, coalesce(p.reason, '') as plan_reason,
       p.deadline, r.id, r.state, coalesce(r.cause, '') as cause, coalesce(r.reason, '') as reason, r.attempt,
       r.started, r.expected_end, r.ended, r.planned, u.tests, u.passed, u.failed, u.skipped, u.warned, u.flaky,
       u.infra, u.known, coalesce(u.failing, '[]') as failing, coalesce(u.flakes, '[]') as flakes
from (select * from executor.plans_v where cut_id = any($1::bigint[])) p
full join (select * from ledger.public_runs_v where cut_id = any($1::bigint[])) r
  on r.cut_id = p.cut_id and r.remote = p.remote and r.executor = p.executor
left join report.rollups u on u.run_id = r.id
order by 1 desc, 2, 3, r.attempt

-- open_runs --
-- most integer, ours text (a remote that is left out: its runs are in the queue of checks)
select r.id, r.project, r.stream, r.branch, r.series_id, r.remote, r.executor, r.attempt, r.started, r.expected_end,
       r.planned, r.progressed, r.day
from ledger.public_runs_v r
left join branch.cuts_v c on c.id = r.cut_id
where r.state = 'open' and coalesce(c.purpose, '') <> 'try' and r.remote <> $2
order by r.id desc limit $1

-- progress --
-- days date[], runs bigint[]
-- The days are named so that the planner leaves all other partitions alone.
select k.run_id, count(distinct (k.grp, k.test))::integer as done,
       count(distinct (k.grp, k.test)) filter (where k.result in ('fail', 'error'))::integer as failed
from ledger.cases k
where k.day = any($1::date[]) and k.run_id = any($2::bigint[])
  and k.subtest = (select n.id from ledger.names n where n.name = '')
group by k.run_id

-- conflicts --
select project, stream, merge, ours, theirs, files, seen from branch.conflicts_v order by seen desc limit 50

-- hosts --
select remote, executor, label, state, reason, failures, at from executor.hosts_v order by remote, executor, label limit 200

-- sources --
select project, name, polled, reconciled, queue_synced from ingest.sources_v order by project, name

-- trees --
select project, name, head, fetched, moved from branch.trees_v order by project, name

-- series_list --
-- project text (null: all), state text (null: all), before bigint (null: newest), most integer
-- `verdicts`: in each context the worst that the series and its patches are told.
select s.id, s.project, s.message_id, s.title, s.version, s.total, s.author_name, s.state, s.reason, s.trees, s.arrived,
       s.revision, coalesce(a.outcome, '') as outcome, coalesce(a.tree, '') as tree,
       (select coalesce(jsonb_agg(jsonb_build_object('context', w.context, 'state', w.state, 'text', w.text)
                                  order by w.context), '[]')
        from (select distinct on (v.context) v.context, v.state, v.text from report.verdicts v where v.series_id = s.id
              order by v.context, array_position(array['fail', 'warning', 'pending', 'success'], v.state), v.patch) w
       ) as verdicts
from ingest.series_v s
left join branch.applied_v a on a.series_id = s.id and a.revision = s.revision
where ($1::text is null or s.project = $1) and ($2::text is null or s.state = $2) and ($3::bigint is null or s.id < $3)
order by s.id desc limit $4

-- series --
-- id bigint
select id, project, source, external_id, revision, message_id, cover_message_id, subject, title, version, author_name,
       total, received, state, reason, superseded_by, supersedes, delegate, tags, trees, tree_rule, tree_reason,
       pull_url, web_url, mailed, arrived, changed
from ingest.series_v where id = $1

-- series_of_message --
-- message_ids text[]
select id from ingest.series_v where message_id = any($1::text[]) order by id desc limit 1

-- series_of_patch --
-- message_id text[]
-- A mail that is not the one its series is named after: the cover letter, or a later patch.
select id from ingest.series_v where cover_message_id = any($1::text[])
union all
select series_id from ingest.patches_v where message_id = any($1::text[])
order by 1 desc limit 1

-- series_numbers --
-- message_ids text[]
select message_id as mail, id from ingest.series_v where message_id = any($1::text[])
union
select cover_message_id, id from ingest.series_v where cover_message_id = any($1::text[])
union
select message_id, series_id from ingest.patches_v where message_id = any($1::text[])

-- patches --
-- series bigint
select id, number, message_id, title, author_name, state, delegate, archived, fault, files, web_url
from ingest.patches_v where series_id = $1 order by number limit 500

-- versions --
-- project text, id bigint
-- The chain of versions that this series is in, followed both ways for at most twenty steps.
with recursive chain as (
    select id, supersedes, superseded_by, 0 as step from ingest.series_v where id = $2
    union
    select v.id, v.supersedes, v.superseded_by, c.step + 1
    from chain c join ingest.series_v v on v.id in (c.supersedes, c.superseded_by)
    where c.step < 20
)
select distinct on (s.id) s.id, s.title, s.version, s.state, s.arrived
from chain join ingest.series_v s on s.id = chain.id where s.project = $1 order by s.id desc

-- applied --
-- series bigint
select revision, outcome, tree, tree_reason, base, head, commits, ref, public_url, already, patch_number, files, reason,
       log is not null as has_log, at, attempts, published, pruned
from branch.applied_v where series_id = $1 order by revision desc limit 20

-- applied_log --
-- series bigint, revision integer
select a.log from branch.applied_v a
join floor.blobs b on b.sha256 = a.log and b.visibility = 'public'
where a.series_id = $1 and a.revision = $2

-- verdicts --
-- series bigint
select v.revision, v.context, v.patch, v.state, v.settled, v.text, v.reasons, v.patch_number, v.by_hand, v.changes, v.at,
       coalesce(c.name, '') as branch
from report.verdicts v
left join branch.cuts_v c on c.id = v.cut_id and c.purpose <> 'try'
where v.series_id = $1 order by v.context, v.patch limit 10000

-- series_branches --
-- series bigint, most integer
select c.name, c.stream, c.state, c.slot, s.revision, s.decision, s.rule, s.reason, s.patch_number, s.files, s.rival,
       s.log is not null as has_log, coalesce(r.title, '') as rival_title, coalesce(b.state, '') as verdict,
       coalesce(b.text, '') as text
from branch.selections_v s
join branch.cuts_v c on c.id = s.cut_id and c.purpose <> 'try'
left join report.branches b on b.cut_id = c.id
left join ingest.series_v r on r.id = s.rival
where s.series_id = $1 order by s.cut_id desc limit $2

-- series_runs --
-- series bigint
select id, remote, executor, attempt, state, coalesce(cause, '') as cause, started, ended, counts
from ledger.public_runs_v where series_id = $1 order by id desc limit 50

-- series_checks --
-- series bigint, most integer
-- What was said of the series and its patches, of its newest revision first.
select k.revision, k.patch, k.context, k.state, k.text, k.link, k.at, k.run_id, r.remote, r.executor
from ledger.checks k
join ledger.public_runs_v r on r.id = k.run_id
where k.series_id = $1 order by k.revision desc, k.context, k.patch limit $2

-- check_tasks --
-- series bigint, revision integer, most integer
-- What our own checks are asked of a series, and what became of each question.
select lane, attempt, check_name, patch, state, why, described, started, ended, seconds, run_id, revision
from executor.checks_v where series_id = $1 and revision = $2 order by check_name, patch limit $3

-- check_task --
-- series bigint, check text, patch integer
select lane, attempt, check_name, patch, state, why, described, started, ended, seconds, run_id, revision
from executor.checks_v where series_id = $1 and check_name = $2 and patch = $3 order by revision desc limit 1

-- check_said --
-- series bigint, context text, patch integer
select k.revision, k.patch, k.context, k.state, k.text, k.link, k.at, k.run_id, r.remote, r.executor
from ledger.checks k join ledger.public_runs_v r on r.id = k.run_id
where k.series_id = $1 and k.context = $2 and k.patch = $3 order by k.revision desc limit 1

-- check_verdict --
-- series bigint, context text, patch integer
-- What a patch is told; without a word of its own, what its series is.
select revision, patch, state, text, by_hand, at from report.verdicts
where series_id = $1 and context = $2 and patch in (0, $3) order by patch desc limit 1

-- check_along --
-- series bigint, context text, revision integer
-- The same check of the other patches.
select coalesce(k.patch, t.patch) as patch, coalesce(k.state, t.state) as state
from (select c.patch, c.state from ledger.checks c join ledger.public_runs_v r on r.id = c.run_id
      where c.series_id = $1 and c.context = $2 and c.revision = $3) k
full join (select patch, state from executor.checks_v
           where series_id = $1 and check_name = $2 and revision = $3) t on t.patch = k.patch
order by 1 limit 500

-- series_queue --
-- series bigint
-- Where the checks of a series stand in the queue.
select lane, state, position, why, started, expected_start, expected_end from executor.check_queue_v
where series_id = $1 order by array_position(array['mail', 'tree', 'build'], lane)

-- check_queue --
-- most integer
-- What is checked and what waits to be, in order.
select q.project, q.tree, q.kind, q.series_id, q.revision, q.lane, q.attempt, q.state, q.position, q.why, q.asked_by,
       q.patches, q.planned, q.started, q.expected_start, q.expected_end, s.title, s.version
from executor.check_queue_v q join ingest.series_v s on s.id = q.series_id
order by q.position, array_position(array['mail', 'tree', 'build'], q.lane), q.started, q.series_id limit $1

-- check_queue_sizes --
select project, lane, count(*) filter (where state = 'running')::integer as running,
       count(*) filter (where state <> 'running')::integer as waiting, max(expected_end) as until
from executor.check_queue_v group by project, lane order by project, array_position(array['mail', 'tree', 'build'], lane)

-- posts --
-- series bigint, most integer
-- Parked ones wait for a person, and are nobody else's business.
select p.id, p.channel, p.context, p.state, p.text, p.target_url, p.mode, p.status, p.tries, p.answer, p.found, p.made,
       p.sent, p.settled, coalesce(k.number, 0) as patch_number
from report.posts p
left join ingest.patches_v k on k.id = p.patch_id
where p.series_id = $1 and p.status <> 'parked' order by p.id desc limit $2

-- orders --
-- project text, message_ids text[]
select verb, why, by, at from branch.orders_v where project = $1 and message_id = any($2::text[]) order by at desc

-- run --
-- id bigint
select r.id, r.day, r.project, r.stream, r.branch, r.cut_id, r.series_id, r.remote, r.executor, r.attempt, r.state,
       coalesce(r.cause, '') as cause, r.reason, r.started, r.expected_end, r.ended, r.progressed, r.planned, r.counts,
       r.kernel_commit, r.suite_commit, r.config_digest, r.toolchain, r.image, r.device, r.link,
       (select b.sha256 from floor.blobs b where b.sha256 = r.log_pack and b.visibility = 'public') as log_pack,
       coalesce(c.public_url, '') as public_url
from ledger.public_runs_v r
left join branch.cuts_v c on c.id = r.cut_id
where r.id = $1 and coalesce(c.purpose, '') <> 'try'

-- run_checks --
-- run bigint, most integer
-- What a run on a series said of it and its patches.
select context, patch, state, text, at from ledger.checks where run_id = $1 order by patch, context limit $2

-- artifacts --
-- run bigint
select a.name, a.size, a.sha256 from ledger.artifacts a
join floor.blobs b on b.sha256 = a.sha256 and b.visibility = 'public'
where a.run_id = $1 order by a.name limit 500

-- artifacts_below --
-- run bigint, prefix text, most integer
select a.name, a.size from ledger.artifacts a
join floor.blobs b on b.sha256 = a.sha256 and b.visibility = 'public'
where a.run_id = $1 and starts_with(a.name, $2) order by a.name limit $3

-- artifact --
-- run bigint, name text
select a.size, a.sha256 from ledger.artifacts a
join floor.blobs b on b.sha256 = a.sha256 and b.visibility = 'public'
where a.run_id = $1 and a.name = $2

-- run_tests --
-- day date, run bigint, most integer
-- Bad ones first: they are what a reader came for.
select c.grp, c.test, c.attempt, c.result, coalesce(c.cause, '') as cause, c.seconds::text::float8 as seconds, c.detail, c.log, c.crashes, c.at,
       c.link
from ledger.cases_v c
where c.day = $1 and c.run_id = $2 and c.subtest = ''
order by case c.result when 'fail' then 0 when 'error' then 1 when 'warn' then 2 when 'xpass' then 3 when 'skip' then 4
         when 'not-run' then 5 else 6 end, c.grp, c.test, c.attempt
limit $3

-- run_subtests --
-- day date, run bigint, most integer
select c.grp, c.test, c.subtest, c.attempt, c.result, coalesce(c.cause, '') as cause, c.seconds::text::float8 as seconds, c.detail
from ledger.cases_v c
where c.day = $1 and c.run_id = $2 and c.subtest <> ''
order by c.grp, c.test, c.attempt, c.subtest limit $3

-- run_cases --
-- day date, run bigint, group text, test text, subtest text, attempt integer, most integer
-- By key, for programs: everything after the given one.
select c.grp, c.test, c.subtest, c.attempt, c.result, c.cause, c.seconds::text::float8 as seconds, c.detail, c.log, c.crashes, c.at,
       c.link
from ledger.cases_v c
where c.day = $1 and c.run_id = $2 and (c.grp, c.test, c.subtest, c.attempt) > ($3, $4, $5, $6)
order by c.grp, c.test, c.subtest, c.attempt limit $7

-- name_id --
-- name text
select id from ledger.names where name = $1

-- contest_days --
-- branches integer, stream text, branch text (as in `contest`)
-- The days that `contest` has to look at.
select array_agg(distinct r.day) from ledger.public_runs_v r
where r.cut_id in (
    select c.id from branch.cuts_v c
    where c.purpose <> 'try' and c.announced is not null and ($2::text is null or c.stream = $2)
      and ($3::text is null or c.name = $3)
    order by c.id desc limit $1
)

-- contest --
-- branches integer (how many of the newest), stream text, branch text, remote text, executor text, test integer,
-- group integer (each null: all), subtests boolean, results text[], retried boolean, run bigint, group_after integer,
-- test_after integer, subtest_after integer (null: from the newest), most integer, days date[], remotes text[],
-- counted boolean (whether the remote is one of `remotes`; null: all), boxes text[], by_sums boolean (runs whose sum says
-- that they have nothing of these boxes are left out; not so for subtests, which no sum counts)
-- One row a test: its first attempt, and its last where there were more. The runs come newest first, and reading stops
-- as soon as the page is full.
with cuts as materialized (
    select c.id, c.slot from branch.cuts_v c
    where c.purpose <> 'try' and c.announced is not null and ($2::text is null or c.stream = $2)
      and ($3::text is null or c.name = $3)
    order by c.id desc limit $1
)
select r.id as run_id, r.day, r.branch, r.stream, cuts.slot, r.remote, r.executor, r.state as run_state, r.started,
       k.grp as grp_id, k.test as test_id, k.subtest as subtest_id, k.result, k.attempt, k.seconds::text::float8 as seconds, k.detail, k.log,
       k.crashes, coalesce(k.cause, '') as cause, l.result as retry, l.log as retry_log,
       (select n.name from ledger.names n where n.id = k.grp) as grp,
       (select n.name from ledger.names n where n.id = k.test) as test,
       (select n.name from ledger.names n where n.id = k.subtest) as subtest
from (
    select r.id, r.day, r.cut_id, r.branch, r.stream, r.remote, r.executor, r.state, r.started from ledger.public_runs_v r
    where r.cut_id in (select id from cuts) and ($4::text is null or r.remote = $4)
      and ($5::text is null or r.executor = $5) and ($11::bigint is null or r.id <= $11)
      and ($18::boolean is null or (r.remote = any($17::text[])) = $18)
      and (not $20 or 'pass' = any($19::text[]) or not exists (
          select from report.rollups u where u.run_id = r.id and u.infra = 0
            and (u.failed + u.known = 0 or not 'fail' = any($19::text[]))
            and (u.skipped = 0 or not 'skip' = any($19::text[])) and (u.warned = 0 or not 'warn' = any($19::text[]))))
    order by r.id desc
) r
join cuts on cuts.id = r.cut_id
cross join lateral (
    select c.* from ledger.cases c
    where c.day = any($16::date[]) and c.day = r.day and c.run_id = r.id and ($6::integer is null or c.test = $6)
      and ($7::integer is null or c.grp = $7)
      and ($8 or c.subtest = (select n.id from ledger.names n where n.name = ''))
      and not exists (select from ledger.cases e where e.day = any($16::date[]) and e.day = c.day and e.run_id = c.run_id and e.grp = c.grp
                      and e.test = c.test and e.subtest = c.subtest and e.attempt < c.attempt)
      and (r.id is distinct from $11::bigint or (c.grp, c.test, c.subtest) > ($12::integer, $13::integer, $14::integer))
) k
left join lateral (
    select f.result, f.log from ledger.cases f
    where f.day = any($16::date[]) and f.day = k.day and f.run_id = k.run_id and f.grp = k.grp and f.test = k.test and f.subtest = k.subtest
      and f.attempt > k.attempt
    order by f.attempt desc limit 1
) l on true
where coalesce(l.result, k.result) = any($9::text[]) and (not $10 or l.result is not null)
order by r.id desc, k.grp, k.test, k.subtest limit $15

-- labs --
-- Names to choose from in the filters.
select p.remote, p.executor from executor.plans_v p
where p.cut_id > (select coalesce(max(id), 0) - 200 from branch.cuts_v)
  and exists (select from branch.cuts_v c where c.id = p.cut_id and c.purpose <> 'try')
union
select r.remote, r.executor from ledger.public_runs_v r
where r.cut_id > (select coalesce(max(id), 0) - 200 from branch.cuts_v)
  and exists (select from branch.cuts_v c where c.id = r.cut_id and c.purpose <> 'try')
order by 1, 2 limit 200

-- events --
-- before bigint (null: newest), types text[], projects text[], streams text[], remotes text[], correlation text (each
-- null: all), most integer
select sequence, id, type, time, project, subject, correlation, body->'data' as data from floor.events
where visibility = 'public' and ($1::bigint is null or sequence < $1) and ($2::text[] is null or type = any($2))
  and ($3::text[] is null or project = any($3)) and ($4::text[] is null or stream = any($4))
  and ($5::text[] is null or remote = any($5)) and ($6::text is null or correlation = $6)
order by sequence desc limit $7

-- nipa_branches --
-- most integer
-- What an outside executor may still fetch, newest first.
select name, coalesce(pushed, announced, built, planned) as date, base, public_url from branch.cuts_v
where purpose in ('scheduled', 'by-hand') and state in ('pushed', 'announced') and commit <> ''
order by id desc limit $1

-- remotes_heard --
-- When remotes and their executors last told us anything; '' is a remote as a whole.
select remote, executor, at, branch from ingest.heard_v order by remote, executor limit 5000

-- last_runs --
-- remotes text[], executors text[]
-- The newest run of each that anybody may see.
select w.remote, w.executor, r.id, r.branch, r.stream, r.series_id, r.state, coalesce(r.cause, '') as cause, r.reason,
       r.started, r.ended, r.expected_end, r.progressed, r.counts
from unnest($1::text[], $2::text[]) as w(remote, executor)
cross join lateral (
    select * from ledger.runs v
    where v.remote = w.remote and v.executor = w.executor and v.visibility = 'public' and not v.trial
      and not exists (select from branch.cuts_v c where c.id = v.cut_id and c.purpose = 'try')
    order by v.id desc limit 1
) r

-- executors_seen --
-- most integer, ours text (a remote that is none: our own checks)
-- Who has had a run lately, expected or not.
select distinct r.remote, r.executor
from (select remote, executor from ledger.runs where visibility = 'public' and not trial and remote <> $2
      order by id desc limit $1) r

-- remote_open_runs --
-- remote text (null: all), most integer
select r.id, r.remote, r.executor, r.branch, r.stream, r.series_id, r.started, r.expected_end, r.attempt
from ledger.runs r
left join branch.cuts_v c on c.id = r.cut_id
where r.state = 'open' and r.visibility = 'public' and not r.trial and coalesce(c.purpose, '') <> 'try'
  and ($1::text is null or r.remote = $1)
order by r.id desc limit $2

-- rejection_counts --
-- since timestamptz
select remote, count(*)::integer as kept, count(*) filter (where at > $1)::integer as lately
from ingest.rejections_v group by remote

-- rejections --
-- remote text, before bigint (null: newest), most integer
select id, at, executor, path, status, detail, errors, size from ingest.rejections_v
where remote = $1 and ($2::bigint is null or id < $2) order by id desc limit $3

-- tokens_of --
-- remote text, since timestamptz
-- Those that hold, and those that ran out since.
select id, name, scopes, sandbox, created, expires, used from floor.tokens_v
where remote = $1 and revoked is null and expires > $2 order by expires limit 100

-- manifest_troubles --
-- remote text, most integer
-- Runs of the manifest of which there is something to say to its owner.
select executor, branch, url, state, attempt, tries, since, reason, gone from ingest.manifest_runs_v
where remote = $1 and reason <> '' order by coalesce(since, 'epoch') desc, branch desc, executor limit $2

-- series_of_person --
-- projects text[], author text ('' : any), delegate text ('' : any), active boolean (only those), since timestamptz,
-- most integer
select s.id, s.project, s.message_id, s.title, s.version, s.total, s.author_name, s.state, s.reason, s.revision,
       s.arrived, s.changed
from ingest.series_v s
where s.project = any($1::text[]) and ($2 = '' or lower(s.author_email) = lower($2)) and ($3 = '' or s.delegate = $3)
  and (s.state = 'active' or (not $4 and s.arrived > $5))
order by s.id desc limit $6

-- applied_of --
-- series bigint[]
select distinct on (series_id) series_id, revision, outcome, tree, patch_number, reason
from branch.applied_v where series_id = any($1::bigint[]) order by series_id, revision desc

-- verdicts_of --
-- series bigint[]
select v.series_id, v.context, v.patch, v.state, v.settled, v.text, v.at, coalesce(c.name, '') as branch
from report.verdicts v left join branch.cuts_v c on c.id = v.cut_id and c.purpose <> 'try'
where v.series_id = any($1::bigint[]) order by v.series_id, v.context, v.patch limit 20000

-- queue_of --
-- series bigint[]
select series_id, lane, state, position, expected_end from executor.check_queue_v
where series_id = any($1::bigint[]) order by series_id, array_position(array['mail', 'tree', 'build'], lane)

-- delegates --
-- Who has series that somebody waits for.
select delegate, count(*)::integer as series from ingest.series_v
where state = 'active' and delegate <> '' group by delegate order by 2 desc, 1 limit 100

-- device_scores --
-- Of each lab the newest word of its machine, and how many of its tests are steady.
select d.remote, d.executor, d.changed, d.info, coalesce(s.tests, 0) as tests, coalesce(s.steady, 0) as steady, s.last
from (select distinct on (remote, executor) * from report.devices order by remote, executor, changed desc) d
left join (
    select remote, executor, count(*)::integer as tests, count(passing)::integer as steady, max(last_update) as last
    from report.stability group by remote, executor
) s on s.remote = d.remote and s.executor = d.executor
order by d.remote, d.executor limit 200

-- device_history --
-- remote text, executor text, most integer
select changed, info from report.devices where remote = $1 and executor = $2 order by changed desc limit $3

-- device_tests --
-- remote text, executor text, most integer
-- Those first that are not steady. `ignored`: not reported until it has passed often enough in a row.
select g.name as grp, t.name as test, u.name as subtest, (s.autoignore and s.passing is null) as ignored, s.pass_cnt,
       s.fail_cnt, s.pass_cur, s.fail_cur, s.passing, s.last_update
from report.stability s
join ledger.names g on g.id = s.grp
join ledger.names t on t.id = s.test
join ledger.names u on u.id = s.subtest
where s.remote = $1 and s.executor = $2
order by (s.autoignore and s.passing is null) desc, s.fail_cur desc, g.name, t.name, u.name limit $3

-- check_contexts --
-- since timestamptz, most integer, accepted boolean, lately timestamptz
select context, count(*)::integer as all, count(*) filter (where state = 'fail')::integer as fail,
       count(*) filter (where state = 'warning')::integer as warning,
       count(*) filter (where made > $4)::integer as all_lately,
       count(*) filter (where made > $4 and state = 'fail')::integer as fail_lately
from report.last_checks($1, $2, $3) group by context

-- check_days --
-- since timestamptz, most integer, accepted boolean
select day, worst, count(*)::integer as patches from (
    select (min(made) at time zone 'utc')::date as day,
           case when bool_or(state = 'fail') then 'fail' when bool_or(state = 'warning') then 'warning'
                else 'success' end as worst
    from report.last_checks($1, $2, $3) group by patch_id
) p group by 1, 2 order by 1

-- check_authors --
-- since timestamptz, most integer, accepted boolean, authors integer
select k.author_name as author, count(distinct k.id)::integer as patches,
       count(distinct k.id) filter (where t.state = 'fail')::integer as failing
from report.last_checks($1, $2, $3) t join ingest.patches_v k on k.id = t.patch_id
where k.author_name <> ''
group by 1 having count(*) filter (where t.state = 'fail') > 0 order by failing desc, patches, 1 limit $4

-- check_outputs --
-- since timestamptz, most integer, accepted boolean, outputs integer
select context, state, text, count(*)::integer as count from report.last_checks($1, $2, $3) where state <> 'success'
group by 1, 2, 3 order by count desc, 1, 3 limit $4
