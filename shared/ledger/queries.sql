-- The ledger's statements.

-- open_run --
-- project text, stream text, branch text, cut_id bigint, series_id bigint, remote text, executor text,
-- attempt integer, lease_number bigint, expected_end timestamptz, planned integer, kernel_commit text,
-- suite_commit text, config_digest text, toolchain text, image text, device jsonb, visibility text, trial boolean,
-- link text, started timestamptz
insert into ledger.runs (day, project, stream, branch, cut_id, series_id, remote, executor, attempt, lease_number,
                         expected_end, planned, kernel_commit, suite_commit, config_digest, toolchain, image, device,
                         visibility, trial, link, started)
values ((now() at time zone 'utc')::date, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
        $18, $19, $20, coalesce($21, now()))
on conflict (coalesce(cut_id, 0), coalesce(series_id, 0), (case when cut_id is null and series_id is null then branch else '' end),
             remote, executor, attempt, trial) do nothing
returning id, day

-- add_whole_run --
-- said jsonb, names text[]
select id, day, ids from ledger.add_whole_run($1, $2)

-- take_over_run --
-- cut_id bigint, series_id bigint, remote text, executor text, attempt integer, lease_number bigint,
-- expected_end timestamptz, trial boolean, branch text
-- The same run, by whoever holds the newest lease; an older number changes nothing.
update ledger.runs
set lease_number = case when state = 'open' then $6 else lease_number end,
    expected_end = case when state = 'open' then coalesce($7, expected_end) else expected_end end
where coalesce(cut_id, 0) = coalesce($1::bigint, 0) and coalesce(series_id, 0) = coalesce($2::bigint, 0)
  and remote = $3 and executor = $4 and attempt = $5 and lease_number <= $6 and trial = $8
  and (cut_id is not null or series_id is not null or branch = $9)
returning id, day, state

-- ensure_today --
select ledger.ensure_day((now() at time zone 'utc')::date)

-- describe_run --
-- id bigint, lease_number bigint, device jsonb, link text, started timestamptz
update ledger.runs
set device = coalesce($3, device), link = coalesce(nullif($4, ''), link), started = least(started, $5)
where id = $1 and lease_number = $2 and state = 'open'

-- lock_run --
-- id bigint, lease_number bigint
select id, day, project, stream, branch, cut_id, series_id, remote, executor, planned, progressed, visibility,
       trial
from ledger.runs where id = $1 and lease_number = $2 and state = 'open' for update

-- run_state --
-- id bigint
select state, lease_number from ledger.runs where id = $1

-- name_ids --
-- names text[]
select id, name from ledger.names where name = any($1::text[])

-- add_names --
-- names text[]
-- In one order by all who add, so that two of them never wait for each other.
insert into ledger.names (name) select n from unnest($1::text[]) as n order by n collate "C" on conflict (name) do nothing

-- add_cases --
-- day date, run_id bigint, grp integer[], test integer[], subtest integer[], attempt smallint[], result text[],
-- cause text[], seconds real[], detail text[], log text[], crashes text[], link text[]
-- Crash titles of a case are joined by newlines, as arrays of arrays must be rectangular.
insert into ledger.cases (day, run_id, grp, test, subtest, attempt, result, cause, seconds, detail, log, crashes, link)
select $1, $2, g, t, s, a, r, c, sec, d, l, case when x = '' then '{}' else string_to_array(x, E'\n') end, k
from unnest($3::integer[], $4::integer[], $5::integer[], $6::smallint[], $7::text[], $8::text[], $9::real[],
            $10::text[], $11::text[], $12::text[], $13::text[]) as u(g, t, s, a, r, c, sec, d, l, x, k)
on conflict (day, run_id, grp, test, subtest, attempt) do nothing

-- progressed --
-- id bigint
update ledger.runs set progressed = now() where id = $1 and (progressed is null or progressed < now() - interval '1 second')
returning id

-- tests_done --
-- run_id bigint, day date
-- The day, here and below: without it every partition is looked into.
select count(distinct (grp, test))::integer from ledger.cases
where day = $2 and run_id = $1 and subtest = (select id from ledger.names where name = '')

-- plan_run --
-- id bigint, lease_number bigint, planned integer, expected_end timestamptz
update ledger.runs set planned = $3, expected_end = coalesce($4, expected_end)
where id = $1 and lease_number = $2 and state = 'open' returning id

-- final_counts --
-- run_id bigint, day date
-- Of each test's last attempt, tests only; `flaky` are those that passed after a failure without a crash.
with tests as (
    select c.grp, c.test, c.attempt, c.result, c.crashes,
           row_number() over (partition by c.grp, c.test order by c.attempt desc) as latest,
           bool_or(c.result in ('fail', 'error')) over (partition by c.grp, c.test) as failed_once,
           bool_or(c.crashes <> '{}') over (partition by c.grp, c.test) as crashed
    from ledger.cases c
    where c.day = $2 and c.run_id = $1 and c.subtest = (select id from ledger.names where name = '')
)
select result, count(*)::integer as n,
       count(*) filter (where failed_once and result = 'pass' and not crashed)::integer as flaky
from tests where latest = 1 group by result

-- end_run --
-- id bigint, lease_number bigint, state text, cause text, reason text, counts jsonb, log_pack text, suite_commit text,
-- toolchain text, ended timestamptz
-- Two lanes that ended together may each have expected the other to go on.
update ledger.runs
set expected_end = case when expected_end > now() then now() else expected_end end,
    state = $3, cause = nullif($4, ''), reason = left($5, 2000), counts = $6, log_pack = coalesce($7, log_pack),
    ended = coalesce($10, now()), closed = now(), suite_commit = coalesce(nullif($8, ''), suite_commit), toolchain = coalesce(nullif($9, ''), toolchain)
where id = $1 and lease_number = $2 and state = 'open'
returning project, stream, branch, cut_id, series_id, remote, executor, visibility, trial

-- add_artifact --
-- run_id bigint, name text, sha256 text, size bigint
insert into ledger.artifacts (run_id, name, sha256, size) values ($1, $2, $3, $4)
on conflict (run_id, name) do update set sha256 = excluded.sha256, size = excluded.size

-- artifacts --
-- run_id bigint, prefix text
select name, sha256, size from ledger.artifacts where run_id = $1 and starts_with(name, $2) order by created, name

-- drop_artifacts --
-- run_id bigint, prefix text
delete from ledger.artifacts where run_id = $1 and starts_with(name, $2)

-- finished_tests --
-- run_id bigint, day date
select g.name as grp, t.name as test, c.attempt, c.result, c.cause, c.seconds, c.detail, c.log, c.crashes, c.link
from ledger.cases c
join ledger.names g on g.id = c.grp
join ledger.names t on t.id = c.test
where c.day = $2 and c.run_id = $1 and c.subtest = (select id from ledger.names where name = '')
order by c.at

-- add_check --
-- series bigint, revision integer, patch integer, context text, project text, state text, text text, link text,
-- run bigint
insert into ledger.checks (series_id, revision, patch, context, project, state, text, link, run_id)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict (series_id, revision, patch, context) do nothing
returning run_id

-- lock_check --
-- series bigint, revision integer, patch integer, context text
select k.state, r.remote, r.executor, r.attempt, r.state as state_of_run from ledger.checks k join ledger.runs r on r.id = k.run_id
where k.series_id = $1 and k.revision = $2 and k.patch = $3 and k.context = $4 for update of k

-- speaker --
-- run bigint
select remote, executor, attempt, state as state_of_run from ledger.runs where id = $1

-- change_check --
-- series bigint, revision integer, patch integer, context text, project text, state text, text text, link text,
-- run bigint
update ledger.checks set project = $5, state = $6, text = $7, link = $8, run_id = $9, at = clock_timestamp()
where series_id = $1 and revision = $2 and patch = $3 and context = $4
