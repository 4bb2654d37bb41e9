-- Statements of report's deciding and posting half. Pages have their own file.

-- alone_with_verdicts --
-- One transaction at a time merges verdicts: folds are short, and two streams may speak of one series.
-- A lock of two numbers never meets one of a single number, as those of the sequencer and the relay are.
select pg_advisory_xact_lock(7305, 0)

-- cut --
-- cut bigint
select id, project, stream, name, purpose, state, announced from branch.cuts_v where id = $1

-- cut_runs --
-- cut bigint
-- In one order for all: who sums several runs holds their labs until the end.
select r.id, r.day, r.remote, r.executor, r.attempt, r.state, coalesce(r.cause, '') as cause, r.reason, r.expected_end,
       u.run_id is not null as rolled, u.passed, u.failed, u.skipped, u.warned, u.flaky, u.infra, u.failing,
       u.known, u.known_tests
from ledger.runs r left join report.rollups u on u.run_id = r.id
where r.cut_id = $1 and not r.trial order by r.remote, r.executor, r.attempt

-- tests_begun --
-- days date[], runs bigint[]
-- The days are named so that no other is looked into, of years of history.
select c.run_id, count(distinct (c.grp, c.test))::integer as tests
from ledger.cases c where c.day = any($1::date[]) and c.run_id = any($2::bigint[]) group by c.run_id

-- given_up --
-- cut bigint
select remote, executor, reason from executor.plans_v
where cut_id = $1 and state in ('abandoned', 'skipped')

-- run_day --
-- run bigint
select day, cut_id, state from ledger.runs where id = $1 and not trial

-- run_tests --
-- day date, run bigint
select grp, test, attempt, result, cause, seconds, crashes from ledger.cases_v where day = $1 and run_id = $2 and subtest = ''

-- save_rollup --
-- run bigint, cut bigint, tests integer, passed integer, failed integer, skipped integer, warned integer,
-- flaky integer, infra integer, failing jsonb, flakes jsonb, known integer, known_tests jsonb
insert into report.rollups (run_id, cut_id, tests, passed, failed, skipped, warned, flaky, infra, failing, flakes, known,
                            known_tests, started)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, (select started from ledger.runs where id = $1))
on conflict (run_id) do update
set tests = excluded.tests, passed = excluded.passed, failed = excluded.failed, skipped = excluded.skipped,
    warned = excluded.warned, flaky = excluded.flaky, infra = excluded.infra, failing = excluded.failing,
    flakes = excluded.flakes, known = excluded.known, known_tests = excluded.known_tests, started = excluded.started,
    made = now()

-- forget_renderings --
-- run bigint
delete from report.renderings where run_id = $1

-- forget_old_renderings --
-- before timestamptz, most integer
delete from report.renderings where (run_id, shape) in (
    select run_id, shape from report.renderings where made < $1 order by made limit $2)

-- forget_outcomes --
-- run bigint
with gone as (
    delete from report.outcomes where run_id = $1 returning *
)
update report.test_weeks w
set runs = w.runs - (g.outcome in ('pass', 'flaky', 'fail'))::integer, fails = w.fails - (g.outcome = 'fail')::integer,
    flakes = w.flakes - (g.outcome = 'flaky')::integer
from gone g
where w.week = date_trunc('week', g.at at time zone 'utc')::date and w.stream = g.stream and w.remote = g.remote
  and w.executor = g.executor and w.grp = g.grp and w.test = g.test

-- save_outcomes --
-- run bigint, groups text[], tests text[], outcomes text[], seconds real[], crashes jsonb (a list of lists)
-- Only of runs on a branch that anybody may see. A week's Monday is in UTC.
with projected as (
    update report.rollups set projected = true where run_id = $1
), told as (
    insert into report.outcomes (run_id, grp, test, cut_id, stream, remote, executor, at, outcome, seconds, crashes)
    select r.id, g.id, t.id, r.cut_id, r.stream, r.remote, r.executor, coalesce(c.slot, r.started), w.outcome, w.seconds,
           array(select jsonb_array_elements_text($6::jsonb -> (w.place - 1)::integer))
    from ledger.runs r
    join branch.cuts_v c on c.id = r.cut_id and c.purpose <> 'try'
    cross join unnest($2::text[], $3::text[], $4::text[], $5::real[])
        with ordinality as w(grp, test, outcome, seconds, place)
    join ledger.names g on g.name = w.grp
    join ledger.names t on t.name = w.test
    where r.id = $1 and r.visibility = 'public' and not r.trial
    returning *
)
insert into report.test_weeks as w (week, stream, remote, executor, grp, test, runs, fails, flakes)
select date_trunc('week', at at time zone 'utc')::date, stream, remote, executor, grp, test,
       (outcome in ('pass', 'flaky', 'fail'))::integer, (outcome = 'fail')::integer, (outcome = 'flaky')::integer
from told
on conflict (week, test, grp, remote, executor, stream) do update
set runs = w.runs + excluded.runs, fails = w.fails + excluded.fails, flakes = w.flakes + excluded.flakes

-- unprojected --
-- most integer
-- Closed runs that were summed before what each test came to was kept, the newest first.
select run_id from report.rollups where not projected order by run_id desc limit $1

-- done_runs --
-- after bigint (null: from the first), most integer
select id from ledger.runs where ($1::bigint is null or id > $1) and state = 'done' and not trial order by id limit $2

-- save_branch --
-- cut bigint, project text, stream text, branch text, state text, settled boolean, text text, tests integer,
-- failing integer, flaky integer, skipped integer, warned integer, infra integer, missing text[], reasons jsonb,
-- wait_until timestamptz, folded timestamptz, known integer
insert into report.branches (cut_id, project, stream, branch, state, settled, text, tests, failing, flaky, skipped,
                             warned, infra, missing, reasons, wait_until, folded, known)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
on conflict (cut_id) do update
set state = excluded.state, settled = excluded.settled, text = excluded.text, tests = excluded.tests,
    failing = excluded.failing, flaky = excluded.flaky, skipped = excluded.skipped, warned = excluded.warned,
    infra = excluded.infra, missing = excluded.missing, reasons = excluded.reasons,
    wait_until = excluded.wait_until, folded = excluded.folded, known = excluded.known

-- cuts_to_fold --
-- since timestamptz
-- Announced cuts that are unsettled, or of which a run has closed after the last fold.
select c.id from branch.cuts_v c left join report.branches b on b.cut_id = c.id
where c.announced is not null and c.announced > $1 and c.state <> 'history'
  and (b.cut_id is null or not b.settled
       or exists (select from ledger.runs r where r.cut_id = c.id and r.state <> 'open' and not r.trial
                  and coalesce(r.closed, r.ended) > b.folded))
order by c.id

-- selections --
-- cut bigint
-- An ignored series is on a branch only where a person wanted it there.
select s.series_id, s.revision, s.decision, s.rule, s.reason, s.patch_number, s.files,
       coalesce(p.title, '') as patch_title, coalesce(r.title, '') as rival_title,
       coalesce(r.message_id, '') as rival_message_id
from branch.selections_v s
join ingest.series_v v on v.id = s.series_id and v.revision = s.revision and v.state in ('active', 'ignored')
left join ingest.patches_v p on p.series_id = s.series_id and p.number = s.patch_number
left join ingest.series_v r on r.id = s.rival
where s.cut_id = $1 and (s.decision = 'take' or s.rule = 'conflict')
order by s.series_id

-- series_facts --
-- series bigint
select s.id, s.project, s.revision, s.state, s.reason, s.tree_reason as triage_reason,
       a.outcome, a.tree, a.tree_reason, a.already, a.patch_number, a.files, a.reason as apply_reason
from ingest.series_v s
left join branch.applied_v a on a.series_id = s.id and a.revision = s.revision
where s.id = $1

-- series_to_settle --
-- since timestamptz
-- Series whose tree is settled, or that are ignored, and that have not been told so in their present revision.
select s.id from ingest.series_v s
left join branch.applied_v a on a.series_id = s.id and a.revision = s.revision
where s.changed > $1 and s.state in ('active', 'ignored', 'malformed') and (s.state = 'ignored' or a.series_id is not null)
  and (not exists (select from report.verdicts v where v.series_id = s.id and v.revision = s.revision
                   and v.context = 'tree_selection')
       or (a.outcome = 'applied'
           and exists (select from report.verdicts v where v.series_id = s.id and v.revision = s.revision
                       and v.context = 'apply' and v.state = 'fail' and not v.by_hand)))
order by s.id limit 2000

-- series_checks --
-- series bigint, contexts text[], ours text (a remote whose every word counts), context text, patch integer (null: all)
-- What runs said of the present revision of a series.
select k.context, k.patch, k.state, k.text, k.at, r.remote, r.executor
from ledger.checks k
join ingest.series_v s on s.id = k.series_id and s.revision = k.revision
join ledger.runs r on r.id = k.run_id and not r.trial
where k.series_id = $1 and (k.context = any($2::text[]) or r.remote = $3)
  and ($4::text is null or k.context = $4) and ($5::integer is null or k.patch = $5)
order by k.context, k.patch

-- checks_to_tell --
-- since timestamptz, project text, contexts text[], ours text
-- Series of which something was said that no verdict knows of.
select distinct k.series_id from ledger.checks k
join ingest.series_v s on s.id = k.series_id and s.revision = k.revision and s.state in ('active', 'ignored', 'malformed')
join ledger.runs r on r.id = k.run_id and not r.trial
left join report.verdicts v on v.series_id = k.series_id and v.context = k.context and v.revision = k.revision
                           and v.patch = k.patch
where k.at > $1 and k.project = $2 and (k.context = any($3::text[]) or r.remote = $4)
  and (v.series_id is null or v.at < k.at)
  and not exists (select from report.verdicts h where h.series_id = k.series_id and h.context = k.context
                  and h.revision = k.revision and h.patch in (0, k.patch) and h.by_hand)
order by 1 limit 2000

-- series_by_message --
-- message_id text
select distinct s.id, s.project, s.revision, s.state, s.title,
       array(select n.number from ingest.patches_v n where n.series_id = s.id and n.number > 0 order by 1) as numbers
from ingest.series_v s left join ingest.patches_v p on p.series_id = s.id
where s.message_id = $1 or s.cover_message_id = $1 or p.message_id = $1
order by s.id desc

-- verdicts --
-- series bigint[], contexts text[]
select series_id, revision, project, context, state, settled, text, reasons, cut_id, patch_number, changes, by_hand, patch
from report.verdicts where series_id = any($1::bigint[]) and context = any($2::text[])

-- save_verdict --
-- series bigint, revision integer, context text, project text, state text, settled boolean, text text, reasons jsonb,
-- cut bigint, patch_number integer, changes integer, by_hand boolean, at timestamptz, patch integer
insert into report.verdicts (series_id, revision, context, project, state, settled, text, reasons, cut_id,
                             patch_number, changes, by_hand, at, patch)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
on conflict (series_id, context, patch) do update
set revision = excluded.revision, state = excluded.state, settled = excluded.settled, text = excluded.text,
    reasons = excluded.reasons, cut_id = excluded.cut_id, patch_number = excluded.patch_number,
    changes = excluded.changes, by_hand = excluded.by_hand, at = excluded.at

-- contexts_told --
-- series bigint
-- In which contexts anything was said of a series.
select context from ledger.checks where series_id = $1 union select context from report.verdicts where series_id = $1

-- patches_told --
-- series bigint, context text
-- The patches that were told something of themselves.
select v.patch from report.verdicts v join ingest.series_v s on s.id = v.series_id and s.revision = v.revision
where v.series_id = $1 and v.context = $2 and v.patch > 0 order by v.patch

-- addresses --
-- series bigint[], contexts text[]
-- The patches of series that may be told something, as their Patchwork knows them. `told`: in which of the contexts
-- each was told something of itself.
select s.id as series_id, s.message_id, p.id as patch_id, p.external_id, p.number,
       array(select v.context from report.verdicts v where v.series_id = s.id and v.context = any($2::text[])
             and v.patch = p.number and v.patch > 0 and v.revision = s.revision) as told
from ingest.series_v s join ingest.patches_v p on p.series_id = s.id
where s.id = any($1::bigint[]) and s.state in ('active', 'ignored', 'malformed') and s.source = 'patchwork'
order by s.id, p.number

-- overtake --
-- channel text, patches bigint[], contexts text[], states text[]
-- What was wanted and never sent is not sent any more once something else is wanted.
update report.posts o set status = 'dropped', answer = 'overtaken by a newer verdict', settled = now()
from unnest($2::bigint[], $3::text[], $4::text[]) as w(patch_id, context, state)
where o.patch_id = w.patch_id and o.context = w.context and o.channel = $1
  and o.status = 'intent' and o.sent is null and o.state <> w.state

-- intend --
-- project text, channel text, mode text, stream text[], series bigint[], patches bigint[], external bigint[],
-- contexts text[], states text[], texts text[], urls text[]
-- Only what differs from the last value of that patch and context becomes an intent. A check that was really posted
-- also counts in shadow mode; one that was only shadowed does not count once posting is on.
insert into report.posts (project, channel, mode, stream, series_id, patch_id, external_patch, context, state, text, target_url)
select $1, $2, $3, w.stream, w.series_id, w.patch_id, w.external, w.context, w.state, w.text, w.url
from unnest($4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::text[], $9::text[], $10::text[], $11::text[])
     with ordinality as w(stream, series_id, patch_id, external, context, state, text, url, nth)
where w.state is distinct from (
    select o.state from report.posts o
    where o.patch_id = w.patch_id and o.context = w.context and o.channel = $2 and o.status <> 'dropped'
      and (o.mode = $3 or o.mode = 'on')
    order by o.id desc limit 1)
order by w.nth
returning id

-- drop_unsent --
-- series bigint, why text
update report.posts set status = 'dropped', answer = $2, settled = now()
where series_id = $1 and status = 'intent' and sent is null

-- drop_stale --
-- Intents of series that may be told nothing any more; those in doubt are settled by their poster.
update report.posts o set status = 'dropped', answer = 'the series is ' || s.state, settled = now()
from ingest.series_v s
where o.status = 'intent' and o.sent is null and s.id = o.series_id
  and s.state not in ('active', 'ignored', 'malformed')

-- drop_other_mode --
-- project text, mode text
-- After a change of `post` what was meant for the other mode is not sent.
update report.posts set status = 'dropped', answer = 'posting is ' || $2 || ' now', settled = now()
where project = $1 and status = 'intent' and mode <> $2 and (sent is null or $2 <> 'on')

-- untold --
-- project text, channel text, mode text, since timestamptz
-- Verdicts that some patch of their series has not been told: posting was off, or the series grew.
select v.series_id, v.revision, v.project, v.context, v.state, v.settled, v.text, v.reasons, v.cut_id, v.patch_number,
       v.changes, v.by_hand, v.patch
from report.verdicts v
join ingest.series_v s on s.id = v.series_id and s.revision = v.revision and s.source = 'patchwork'
                      and s.state in ('active', 'ignored', 'malformed')
where v.project = $1 and (v.at > $4 or s.changed > $4) and exists (
    select from ingest.patches_v p
    where p.series_id = v.series_id and v.patch in (0, p.number)
      and (v.patch > 0 or not exists (select from report.verdicts w where w.series_id = v.series_id
                                      and w.context = v.context and w.patch = p.number and w.patch > 0
                                      and w.revision = v.revision))
      and v.state is distinct from (
        select o.state from report.posts o
        where o.patch_id = p.id and o.context = v.context and o.channel = $2 and o.status <> 'dropped'
          and (o.mode = $3 or o.mode = 'on')
        order by o.id desc limit 1))
order by v.series_id limit 2000

-- due_posts --
-- project text, channel text, most integer
-- The oldest open intent of each patch and context, so that values arrive in order. Paused ones are left out.
select id from (
    select distinct on (o.patch_id, o.context) o.id, o.due
    from report.posts o
    where o.project = $1 and o.channel = $2 and o.status = 'intent'
      and not exists (select from floor.pauses z where z.kind = 'post' and z.name in (o.project, nullif(o.stream, '')))
    order by o.patch_id, o.context, o.id) as first
where due <= clock_timestamp() order by id limit $3

-- next_post --
-- project text, channel text
-- Seconds until an intent is due; null where none is open.
select extract(epoch from min(due) - clock_timestamp())::double precision from report.posts
where project = $1 and channel = $2 and status = 'intent'

-- set_out --
-- ids bigint[], mode text
-- The last look before requests go out, and the mark that they do, at once. A row that does not come back may not go.
update report.posts o
set tries = tries + 1, sent = case when o.mode = 'on' then coalesce(o.sent, clock_timestamp()) end
from (select id, sent is not null as doubtful from report.posts where id = any($1::bigint[]) order by id for update) was
where o.id = was.id and o.status = 'intent' and o.mode = $2
  and exists (select from ingest.series_v s
              where s.id = o.series_id and s.state in ('active', 'ignored', 'malformed'))
  and not exists (select from floor.pauses z where z.kind = 'post' and z.name in (o.project, nullif(o.stream, '')))
returning o.id, o.project, o.series_id, o.patch_id, o.external_patch, o.context, o.stream, o.state, o.text,
       o.target_url, o.tries, was.doubtful,
       case when was.doubtful then
           (select k.external_check from report.posts k
            where k.patch_id = o.patch_id and k.context = o.context and k.channel = o.channel
              and k.external_check is not null order by k.id desc limit 1) end as last_check,
       case when was.doubtful then
           (select k.external_user from report.posts k
            where k.project = o.project and k.channel = o.channel and k.external_user is not null
            order by k.id desc limit 1) end as account

-- give_back --
-- ids bigint[], doubtful boolean[]
-- Set out for, and not sent after all.
update report.posts o set tries = o.tries - 1, sent = case when w.doubtful then o.sent end
from unnest($1::bigint[], $2::boolean[]) as w(id, doubtful) where o.id = w.id and o.status = 'intent'

-- drop_unwanted --
-- ids bigint[], mode text
-- Of those that did not set out: all but the paused are not wanted any more.
update report.posts o
set status = 'dropped', settled = clock_timestamp(),
    answer = case when o.mode <> $2 then 'posting is ' || $2 || ' now' else 'the series is ' || s.state end
             || case when o.sent is null then '' else '; an earlier attempt may have arrived' end
from ingest.series_v s
where o.id = any($1::bigint[]) and o.status = 'intent' and s.id = o.series_id
  and (o.mode <> $2 or s.state not in ('active', 'ignored', 'malformed'))

-- settle_posts --
-- ids bigint[], statuses text[], answers text[], checks bigint[], users bigint[], found text[]
update report.posts o
set status = w.status, answer = left(w.answer, 1000), external_check = w.number, external_user = w.account,
    found = left(w.found, 2000), settled = clock_timestamp()
from unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[])
     as w(id, status, answer, number, account, found)
where o.id = w.id and o.status = 'intent'

-- postpone_posts --
-- ids bigint[], answers text[], wait_seconds double precision[], unsent boolean[]
-- What certainly did not go out is in no doubt.
update report.posts o
set answer = left(w.answer, 1000), due = clock_timestamp() + make_interval(secs => w.wait),
    sent = case when not w.unsent then o.sent end
from unnest($1::bigint[], $2::text[], $3::double precision[], $4::boolean[]) as w(id, answer, wait, unsent)
where o.id = w.id and o.status = 'intent'

-- list_posts --
-- message_id text (null: all), status text (null: all), most integer
select o.id, o.project, o.channel, s.message_id, o.external_patch, o.context, o.state, o.text, o.target_url, o.mode,
       o.status, o.tries, o.answer, o.external_check, o.found, o.made, o.settled
from report.posts o left join ingest.series_v s on s.id = o.series_id
where ($1::text is null or s.message_id = $1 or s.cover_message_id = $1) and ($2::text is null or o.status = $2)
order by o.id desc limit $3

-- retry_refused --
-- Have posts that were refused for good tried once more, after what was wrong has been mended.
update report.posts set status = 'intent', due = now(), settled = null, sent = null
where status = 'refused' and id in (
    select distinct on (patch_id, context, channel) id from report.posts where status <> 'dropped'
    order by patch_id, context, channel, id desc)
returning id

-- dead_work --
select id, room, kind, key, attempts, error, settled from floor.work where state = 'dead' order by settled desc limit 200

-- replay_work --
update floor.work set state = 'ready', attempts = 0, due = now(), settled = null where state = 'dead'
