-- Remotes that publish a manifest in NIPA's shape: what each said last, and what became of each run it names. And what
-- the owners of remotes were told.

-- `others` are entries of branches that are not ours.
create table ingest.manifests (
    remote text primary key,
    url text not null,
    etag text not null default '',
    modified text not null default '',
    polled timestamptz,
    entries integer not null default 0,
    others integer not null default 0,
    warnings text[] not null default '{}',
    trouble text not null default '',
    since timestamptz
);

-- `url` null is a run that is said to be running. `began` is when its file says that it did; `digest`, `etag` and
-- `modified` are those of the file as it was taken.
create table ingest.manifest_runs (
    remote text not null,
    executor text not null,
    branch text not null,
    url text,
    state text not null default 'waits' check (state in ('waits', 'open', 'taken', 'refused', 'lost')),
    attempt integer not null default 0,
    run_id bigint references ledger.runs (id),
    opened timestamptz,
    gone timestamptz,
    due timestamptz not null default now(),
    tries integer not null default 0,
    since timestamptz,
    reason text not null default '',
    began text not null default '',
    digest text not null default '',
    etag text not null default '',
    modified text not null default '',
    primary key (remote, executor, branch)
);
create index manifest_runs_due on ingest.manifest_runs (remote, due);

-- Labs name branches, not projects.
create index if not exists cuts_name on branch.cuts (name);

create view ingest.manifests_v as
select remote, url, polled, entries, others, warnings, trouble, since from ingest.manifests;
create view ingest.manifest_runs_v as
select remote, executor, branch, url, state, attempt, run_id, opened, gone, due, tries, since, reason
from ingest.manifest_runs;

-- How each expected executor stands, and a remote's manifest ('' the executor): told when it changes.
create table report.standings (
    remote text not null,
    executor text not null default '',
    stream text not null default '',
    standing text not null check (standing in ('well', 'late', 'silent')),
    since timestamptz not null default now(),
    primary key (remote, executor, stream)
);

-- Up to which of its rejected submissions the owner of a remote was told, and when.
create table report.told_rejections (
    remote text primary key,
    upto bigint not null,
    told timestamptz not null
);

do $$
declare r text;
begin
    foreach r in array array['netci_ingest', 'netci_branch', 'netci_executor', 'netci_report'] loop
        execute format('grant select on ingest.manifests_v, ingest.manifest_runs_v to %I', r);
    end loop;
    grant select, insert, update, delete on ingest.manifests, ingest.manifest_runs, ingest.manifests_v,
        ingest.manifest_runs_v to netci_ingest;
    grant select, insert, update, delete on report.standings, report.told_rejections to netci_report;
end $$;
