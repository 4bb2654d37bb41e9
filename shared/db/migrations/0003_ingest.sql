-- ingest: series as their sources know them, and the triage of each.

create schema ingest;

create table ingest.sources (
    project text not null,
    name text not null,
    cursor text not null default '',
    seen jsonb not null default '[]',
    low_water bigint not null default 0,
    polled timestamptz,
    reconciled timestamptz,
    queue_synced timestamptz,
    facts jsonb not null default '{}',
    primary key (project, name)
);

create table ingest.series (
    id bigint generated always as identity primary key,
    project text not null,
    source text not null,
    external_id bigint not null,
    revision integer not null default 1,
    message_id text not null,
    cover_message_id text not null default '',
    subject text not null,
    title text not null,
    version integer not null default 1,
    author_name text not null default '',
    author_email text not null default '',
    total integer not null,
    received integer not null,
    state text not null default 'incomplete'
        check (state in ('incomplete', 'active', 'superseded', 'withdrawn', 'given-up', 'ignored', 'malformed')),
    reason text not null default '',
    superseded_by bigint references ingest.series (id),
    supersedes bigint references ingest.series (id),
    delegate text not null default '',
    tags text[] not null default '{}',
    trees text[] not null default '{}',
    tree_rule text not null default '',
    tree_reason text not null default '',
    marked boolean not null default false,
    pull_url text not null default '',
    mbox text references floor.blobs (sha256),
    -- What other versions are recognised by: the title's words, and the messages that the first mail answers.
    likeness text not null default '',
    refs text[] not null default '{}',
    resend boolean not null default false,
    -- The cover letter's mail, and the patch that carries a pull request where it is none of the series.
    cover text references floor.blobs (sha256),
    pull_external_id bigint,
    web_url text not null default '',
    mailed timestamptz,
    arrived timestamptz not null default now(),
    changed timestamptz not null default now(),
    unique (project, source, external_id)
);
create index series_message on ingest.series (message_id);
create index series_cover on ingest.series (cover_message_id) where cover_message_id <> '';
create index series_state on ingest.series (project, state, id);
create index series_title on ingest.series (project, lower(author_email), title);

create table ingest.patches (
    id bigint generated always as identity primary key,
    series_id bigint not null references ingest.series (id),
    number integer not null,
    external_id bigint not null,
    message_id text not null,
    title text not null,
    author_name text not null default '',
    author_email text not null default '',
    state text not null default 'new',
    delegate text not null default '',
    archived boolean not null default false,
    hash text not null default '',
    files text[] not null default '{}',
    fixes text[] not null default '{}',
    fault text not null default '',
    web_url text not null default '',
    unique (series_id, number),
    unique (series_id, external_id)
);
create index patches_message on ingest.patches (message_id);
create index patches_external on ingest.patches (external_id);

-- The contracts other rooms read.
create view ingest.series_v as
select id, project, source, external_id, revision, message_id, cover_message_id, subject, title, version,
       author_name, author_email, total, received, state, reason, superseded_by, supersedes, delegate, tags,
       trees, tree_rule, tree_reason, marked, pull_url, mbox, web_url, mailed, arrived, changed,
       cover, pull_external_id
from ingest.series;

create view ingest.patches_v as
select id, series_id, number, external_id, message_id, title, author_name, author_email, state, delegate,
       archived, files, fixes, fault, web_url
from ingest.patches;

create view ingest.sources_v as
select project, name, cursor, polled, reconciled, queue_synced, facts from ingest.sources;
