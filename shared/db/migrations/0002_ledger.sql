-- The ledger: runs, their cases and artifacts. Written only through shared/ledger by executor and ingest.

create schema ledger;

create table ledger.names (
    id integer generated always as identity primary key,
    name text not null unique check (octet_length(name) <= 512)
);

create table ledger.runs (
    id bigint generated always as identity primary key,
    day date not null,
    project text not null,
    stream text not null default '',
    branch text not null default '',
    cut_id bigint,
    series_id bigint,
    remote text not null,
    executor text not null,
    attempt integer not null default 0,
    state text not null default 'open' check (state in ('open', 'done', 'abandoned')),
    cause text,
    reason text not null default '',
    lease_number bigint not null default 0,
    started timestamptz not null default now(),
    expected_end timestamptz,
    ended timestamptz,
    progressed timestamptz,
    planned integer not null default 0,
    counts jsonb not null default '{}',
    kernel_commit text not null default '',
    suite_commit text not null default '',
    config_digest text not null default '',
    toolchain text not null default '',
    image text not null default '',
    device jsonb,
    log_pack text references floor.blobs (sha256),
    check (cut_id is not null or series_id is not null)
);
create unique index runs_natural on ledger.runs
    (coalesce(cut_id, 0), coalesce(series_id, 0), remote, executor, attempt);
create index runs_cut on ledger.runs (cut_id, id);
create index runs_series on ledger.runs (series_id, id) where series_id is not null;
create index runs_open on ledger.runs (id) where state = 'open';
create index runs_executor on ledger.runs (remote, executor, id);

create table ledger.cases (
    day date not null,
    run_id bigint not null references ledger.runs (id),
    grp integer not null references ledger.names (id),
    test integer not null references ledger.names (id),
    subtest integer not null references ledger.names (id),
    attempt smallint not null default 0,
    result text not null
        check (result in ('pass', 'fail', 'skip', 'warn', 'xfail', 'xpass', 'error', 'not-run')),
    cause text check (cause in ('patch', 'test', 'infra', 'timeout', 'crash')),
    seconds real,
    detail text not null default '',
    log text not null default '',
    crashes text[] not null default '{}',
    at timestamptz not null default now(),
    primary key (day, run_id, grp, test, subtest, attempt)
) partition by range (day);
create index cases_run on ledger.cases (run_id);
create index cases_test on ledger.cases (test, day);

create function ledger.ensure_day(wanted date) returns void
language plpgsql security definer set search_path = pg_catalog as $$
declare
    part text := 'cases_' || to_char(wanted, 'YYYYMMDD');
begin
    if to_regclass('ledger.' || part) is null then
        perform pg_advisory_xact_lock(7302, wanted - date '2020-01-01');
        if to_regclass('ledger.' || part) is null then
            execute format('create table ledger.%I partition of ledger.cases for values from (%L) to (%L)',
                           part, wanted, wanted + 1);
        end if;
    end if;
end $$;

create table ledger.artifacts (
    run_id bigint not null references ledger.runs (id),
    name text not null,
    sha256 text not null references floor.blobs (sha256),
    size bigint not null,
    created timestamptz not null default now(),
    primary key (run_id, name)
);

create view ledger.cases_v as
select c.day, c.run_id, g.name as grp, t.name as test, s.name as subtest, c.attempt, c.result, c.cause,
       c.seconds, c.detail, c.log, c.crashes, c.at
from ledger.cases c
join ledger.names g on g.id = c.grp
join ledger.names t on t.id = c.test
join ledger.names s on s.id = c.subtest;
