-- What comes from NIPA and goes to its readers.

-- A branch that came with an import is history: whoever offers, runs, folds or prunes branches leaves it alone. Its id
-- is below zero and follows its time, so that in every list by id it comes after what was cut here.
alter table branch.cuts
    drop constraint cuts_state_check,
    add constraint cuts_state_check
        check (state in ('planned', 'built', 'pushed', 'announced', 'failed', 'pruned', 'history'));
create index cuts_name on branch.cuts (name);
create index cuts_newest on branch.cuts (slot desc, id desc);

-- How often and how steadily each test passes in each lab, as NIPA counts it. `subtest` is the name '' for the test
-- itself. `broken_cur`: failures in a row that no retry healed.
create table report.stability (
    remote text not null,
    executor text not null,
    grp integer not null references ledger.names (id),
    test integer not null references ledger.names (id),
    subtest integer not null references ledger.names (id),
    autoignore boolean not null default false,
    pass_cnt integer not null default 0,
    fail_cnt integer not null default 0,
    pass_srk integer not null default 0,
    fail_srk integer not null default 0,
    pass_cur integer not null default 0,
    fail_cur integer not null default 0,
    broken_cur integer not null default 0,
    last_update timestamptz,
    passing timestamptz,
    primary key (remote, executor, grp, test, subtest)
);
-- What is not reported yet.
create index stability_ignored on report.stability (remote, executor) where autoignore and passing is null;

-- The same as an import brought it: where a rebuild begins.
create table report.stability_brought (like report.stability including defaults including constraints,
    primary key (remote, executor, grp, test, subtest));

-- What a lab's machine said of itself, whenever it said something new.
create table report.devices (
    remote text not null,
    executor text not null,
    changed timestamptz not null,
    info jsonb not null,
    primary key (remote, executor, changed)
);

-- Runs that are in the two tables above, and are not counted again, even where their sums are made anew.
create table report.counted (run_id bigint primary key references ledger.runs (id));

alter table report.rollups add column started timestamptz;
create index rollups_flaky on report.rollups (started) where flaky > 0;

grant select, insert, update, delete on report.stability, report.stability_brought, report.devices, report.counted
    to netci_report;
