-- What each test came to in each run on a branch, and by week how often: what histories, matrices and rankings read.
-- Derived from the ledger; `netci rebuild rollups` makes both anew.
create table report.outcomes (
    run_id bigint not null,
    grp integer not null,
    test integer not null,
    cut_id bigint not null,
    stream text not null,
    remote text not null,
    executor text not null,
    at timestamptz not null,
    outcome text not null check (outcome in ('pass', 'flaky', 'fail', 'skip', 'warn', 'infra')),
    seconds real,
    crashes text[] not null default '{}',
    primary key (run_id, grp, test)
);
create index outcomes_test on report.outcomes (test, grp, remote, executor, at desc, run_id desc);
create index outcomes_bad on report.outcomes (cut_id) where outcome in ('fail', 'flaky');
create index outcomes_crashes on report.outcomes using gin (crashes) where crashes <> '{}';

-- `week` is its Monday, in UTC. `runs` are those that could be judged: passed, flaked or failed.
create table report.test_weeks (
    week date not null,
    stream text not null,
    remote text not null,
    executor text not null,
    grp integer not null,
    test integer not null,
    runs integer not null,
    fails integer not null,
    flakes integer not null,
    primary key (week, test, grp, remote, executor, stream)
);
create index test_weeks_bad on report.test_weeks (week) where fails > 0 or flakes > 0;

-- Runs of branches that were summed before there was any of this wait here to be summed once more.
alter table report.rollups add column projected boolean not null default false;
create index rollups_unprojected on report.rollups (run_id desc) where not projected;

-- Closed runs as NIPA's readers are told of them, made when first asked for: JSON, deflated. `base` is our address, which
-- is in it. Made anew after a run is summed anew, and forgotten after some weeks.
create table report.renderings (
    run_id bigint not null,
    shape text not null check (shape in ('normal', 'l2')),
    base text not null,
    body bytea not null,
    cases integer not null,
    made timestamptz not null default now(),
    primary key (run_id, shape)
);
-- It is deflated already.
alter table report.renderings alter column body set storage external;
create index renderings_made on report.renderings (made);

grant select, insert, update, delete on report.outcomes, report.test_weeks, report.renderings to netci_report;
