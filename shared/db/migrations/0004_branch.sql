-- branch: trees, applied series, cuts and what was chosen for them.

create schema branch;

create table branch.trees (
    project text not null,
    name text not null,
    head text not null default '',
    fetched timestamptz,
    moved timestamptz,
    primary key (project, name)
);

-- The settling of one revision of a series: which tree, applied or not, and why.
create table branch.applied (
    series_id bigint not null,
    revision integer not null,
    project text not null,
    outcome text not null check (outcome in ('applied', 'refused')),
    tree text not null default '',
    tree_reason text not null default '',
    base text not null default '',
    head text not null default '',
    commits text[] not null default '{}',
    ref text not null default '',
    public_url text not null default '',
    already boolean not null default false,
    patch_number integer,
    files text[] not null default '{}',
    reason text not null default '',
    log text references floor.blobs (sha256),
    at timestamptz not null default now(),
    message_id text not null default '',
    attempts jsonb not null default '[]',
    tries integer not null default 1,
    pull boolean not null default false,
    published timestamptz,
    pruned timestamptz,
    primary key (series_id, revision)
);
create index applied_unpublished on branch.applied (project, at) where published is null;
create index applied_refused on branch.applied (project, at) where outcome = 'refused' and not already;
create index applied_kept on branch.applied (project, published) where ref <> '' and pruned is null;

create table branch.cuts (
    id bigint generated always as identity primary key,
    project text not null,
    stream text not null,
    slot timestamptz not null,
    purpose text not null
        check (purpose in ('scheduled', 'by-hand', 'base', 'part', 'single', 'try')),
    name text not null,
    state text not null default 'planned'
        check (state in ('planned', 'built', 'pushed', 'announced', 'failed', 'pruned')),
    asked_by text not null default '',
    why text not null default '',
    tree text not null,
    base text not null default '',
    commit text not null default '',
    merges jsonb not null default '[]',
    extras jsonb not null default '[]',
    public_url text not null default '',
    error text not null default '',
    planned timestamptz not null default now(),
    built timestamptz,
    pushed timestamptz,
    announced timestamptz,
    pruned timestamptz,
    heads jsonb not null default '{}',
    unique (project, name)
);
create unique index cuts_slot on branch.cuts (project, stream, slot) where purpose = 'scheduled';
create index cuts_stream on branch.cuts (project, stream, id desc);
create index cuts_open on branch.cuts (id) where state in ('planned', 'built', 'pushed');

-- The decision on each series that was thought of for a cut, taken or left, always with its reason.
create table branch.selections (
    cut_id bigint not null references branch.cuts (id),
    series_id bigint not null,
    revision integer not null,
    position integer not null,
    decision text not null check (decision in ('take', 'leave')),
    rule text not null,
    reason text not null,
    patch_number integer,
    files text[] not null default '{}',
    rival bigint,
    log text references floor.blobs (sha256),
    merged text not null default '',
    mbox text references floor.blobs (sha256),
    primary key (cut_id, series_id)
);
create index selections_series on branch.selections (series_id, cut_id);

-- What a person said of a series: hold it back, include it whatever the rules say, drop it for good.
create table branch.orders (
    project text not null,
    message_id text not null,
    verb text not null check (verb in ('hold', 'include', 'drop')),
    why text not null,
    by text not null,
    at timestamptz not null default now(),
    primary key (project, message_id)
);

create table branch.requests (
    id bigint generated always as identity primary key,
    project text not null,
    stream text not null,
    message_ids text[],
    by text not null,
    why text not null default '',
    asked timestamptz not null default now(),
    cut_id bigint references branch.cuts (id)
);
create index requests_open on branch.requests (id) where cut_id is null;

-- When a stream was first seen, which slot it has to begin with, and what it waits for now.
create table branch.streams (
    project text not null,
    name text not null,
    since timestamptz not null default now(),
    next_slot timestamptz,
    waiting text not null default '',
    at timestamptz not null default now(),
    primary key (project, name)
);

-- A merge that stays in conflict until a person settles it (`netci resolve`).
create table branch.conflicts (
    project text not null,
    stream text not null,
    merge text not null,
    ours text not null,
    theirs text not null,
    files text[] not null,
    seen timestamptz not null default now(),
    primary key (project, stream, merge)
);

create view branch.trees_v as select project, name, head, fetched, moved from branch.trees;
-- Only what may be relied on: an applied series is shown once its ref can be fetched, a refused one at once.
create view branch.applied_v as
select series_id, revision, project, outcome, tree, tree_reason, base, head, commits, ref, public_url, already,
       patch_number, files, reason, log, at, message_id, attempts, pull, published, pruned
from branch.applied where published is not null;
create view branch.cuts_v as
select id, project, stream, slot, purpose, name, state, asked_by, why, tree, base, commit, merges, extras,
       public_url, error, planned, built, pushed, announced, pruned, heads from branch.cuts;
create view branch.selections_v as
select cut_id, series_id, revision, position, decision, rule, reason, patch_number, files, rival, log, merged
from branch.selections;
create view branch.orders_v as select project, message_id, verb, why, by, at from branch.orders;
create view branch.conflicts_v as select project, stream, merge, ours, theirs, files, seen from branch.conflicts;
create view branch.streams_v as select project, name, since, next_slot, waiting, at from branch.streams;
