-- executor: what each executor is to run, and how long its tests take.

create schema executor;

create table executor.plans (
    cut_id bigint not null,
    remote text not null,
    executor text not null,
    project text not null,
    stream text not null,
    branch text not null,
    commit text not null,
    run_id bigint references ledger.runs (id),
    state text not null default 'planned'
        check (state in ('planned', 'running', 'done', 'abandoned', 'skipped')),
    reason text not null default '',
    deadline timestamptz,
    planned timestamptz not null default now(),
    settled timestamptz,
    primary key (cut_id, remote, executor)
);
create index plans_open on executor.plans (remote, executor, cut_id) where state in ('planned', 'running');

-- What a run has begun and ended, so that whoever takes it over goes on instead of starting anew.
create table executor.attempts (
    cut_id bigint not null,
    remote text not null,
    executor text not null,
    grp text not null,
    test text not null,
    attempt integer not null,
    host text not null,
    lease_number bigint not null,
    began timestamptz not null default now(),
    ended timestamptz,
    interrupted boolean not null default false,
    primary key (cut_id, remote, executor, grp, test, attempt, lease_number)
);

create table executor.durations (
    remote text not null,
    executor text not null,
    grp text not null,
    test text not null,
    seconds real not null,
    runs integer not null default 1,
    at timestamptz not null default now(),
    primary key (remote, executor, grp, test)
);

-- Addresses of machines are never public: the view leaves them out.
create table executor.hosts (
    remote text not null,
    executor text not null,
    address text not null,
    label text not null,
    state text not null default 'idle' check (state in ('idle', 'busy', 'broken')),
    reason text not null default '',
    failures integer not null default 0,
    at timestamptz not null default now(),
    primary key (remote, executor, address)
);

create view executor.plans_v as
select cut_id, remote, executor, project, stream, branch, commit, run_id, state, reason, deadline, planned, settled
from executor.plans;
create view executor.hosts_v as
select remote, executor, label, state, reason, failures, at from executor.hosts;
create view executor.durations_v as
select remote, executor, grp, test, seconds, runs, at from executor.durations;
