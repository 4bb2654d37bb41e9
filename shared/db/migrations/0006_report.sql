-- report: verdicts, the checks they become, and what was posted where.

create schema report;

-- The folded result of one cut, rebuilt from the ledger at will.
create table report.branches (
    cut_id bigint primary key,
    project text not null,
    stream text not null,
    branch text not null,
    state text not null check (state in ('waiting', 'success', 'warning', 'red', 'infra')),
    settled boolean not null default false,
    text text not null default '',
    tests integer not null default 0,
    failing integer not null default 0,
    flaky integer not null default 0,
    skipped integer not null default 0,
    warned integer not null default 0,
    infra integer not null default 0,
    missing text[] not null default '{}',
    reasons jsonb not null default '[]',
    wait_until timestamptz,
    folded timestamptz not null default now()
);

create table report.rollups (
    run_id bigint primary key references ledger.runs (id),
    cut_id bigint,
    tests integer not null,
    passed integer not null,
    failed integer not null,
    skipped integer not null,
    warned integer not null,
    flaky integer not null,
    infra integer not null,
    failing jsonb not null default '[]',
    flakes jsonb not null default '[]',
    made timestamptz not null default now()
);

-- What we hold of a series in one context (tree_selection, apply, contest, …), and why.
create table report.verdicts (
    series_id bigint not null,
    revision integer not null,
    context text not null,
    project text not null,
    state text not null check (state in ('pending', 'success', 'warning', 'fail')),
    settled boolean not null,
    text text not null,
    reasons jsonb not null default '[]',
    cut_id bigint,
    patch_number integer,
    changes integer not null default 0,
    by_hand boolean not null default false,
    at timestamptz not null default now(),
    primary key (series_id, context)
);

-- One row per check we want on Patchwork or have put there. An intent is written before the request goes out.
create table report.posts (
    id bigint generated always as identity primary key,
    project text not null,
    channel text not null,
    series_id bigint not null,
    patch_id bigint not null,
    external_patch bigint not null,
    context text not null,
    stream text not null default '',
    state text not null check (state in ('pending', 'success', 'warning', 'fail')),
    text text not null,
    target_url text not null default '',
    mode text not null check (mode in ('shadow', 'on')),
    status text not null default 'intent'
        check (status in ('intent', 'posted', 'shadowed', 'refused', 'dropped', 'parked')),
    tries integer not null default 0,
    answer text not null default '',
    external_check bigint,
    external_user bigint,
    found text not null default '',
    made timestamptz not null default now(),
    due timestamptz not null default now(),
    sent timestamptz,
    settled timestamptz
);
create index posts_patch on report.posts (patch_id, context, id desc);
create index posts_series on report.posts (series_id, id);
create index posts_open on report.posts (project, channel, id) where status = 'intent';

create view report.verdicts_v as
select series_id, revision, context, project, state, settled, text, reasons, cut_id, patch_number, at
from report.verdicts;
