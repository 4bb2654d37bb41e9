-- The floor: events, work, leases and what every room shares. Written only through the modules of shared/.

create schema floor;

-- Staging: any room puts rows here in the transaction of their cause; the sequencer moves and deletes them.
create table floor.outbox (
    id bigint generated always as identity primary key,
    event_id uuid not null unique,
    type text not null,
    body jsonb not null,
    staged timestamptz not null default clock_timestamp()
);

-- The log. Numbers have no gaps and follow the order of commit, so a cursor never skips a row.
create table floor.events (
    sequence bigint primary key,
    id uuid not null,
    type text not null,
    time timestamptz not null,
    project text not null default '',
    subject text not null default '',
    correlation text not null default '',
    visibility text not null check (visibility in ('public', 'project', 'operator')),
    body jsonb not null,
    logged timestamptz not null default clock_timestamp()
) partition by range (sequence);
create index events_id on floor.events (id);
create index events_type on floor.events (type, sequence);
create index events_correlation on floor.events (correlation, sequence);

create table floor.sequencer (
    single boolean primary key default true check (single),
    last bigint not null default 0,
    epoch uuid not null default gen_random_uuid()
);
insert into floor.sequencer default values;

-- Moves at most `most` staged rows into the log in one transaction and says how many. The caller holds the
-- sequencer's advisory lock; without it two callers would only wait for each other on the row of `last`.
create function floor.sequence_events(most integer) returns integer
language plpgsql security definer set search_path = pg_catalog as $$
declare
    span constant bigint := 1000000;
    first bigint;
    moved integer;
    part bigint;
begin
    select last into first from floor.sequencer for update;
    part := (first + most) / span;
    if to_regclass('floor.events_' || part) is null then
        execute format('create table floor.%I partition of floor.events for values from (%s) to (%s)',
                       'events_' || part, part * span, (part + 1) * span);
    end if;
    if to_regclass('floor.events_' || (first / span)) is null then
        execute format('create table floor.%I partition of floor.events for values from (%s) to (%s)',
                       'events_' || (first / span), (first / span) * span, (first / span + 1) * span);
    end if;
    with taken as (
        delete from floor.outbox
        where id in (select id from floor.outbox order by id limit most)
        returning id, event_id, type, body, staged
    ), numbered as (
        select first + row_number() over (order by id) as n, * from taken
    ), logged as (
        insert into floor.events (sequence, id, type, time, project, subject, correlation, visibility, body)
        select n, event_id, type, coalesce((body->>'time')::timestamptz, staged),
               coalesce(body->>'project', ''), coalesce(body->>'subject', ''), coalesce(body->>'correlation', ''),
               coalesce(body->>'visibility', 'operator'), body || jsonb_build_object('sequence', n::text)
        from numbered
        returning 1
    )
    select count(*) into moved from logged;
    if moved > 0 then
        update floor.sequencer set last = first + moved;
        perform pg_notify('netci_events', (first + moved)::text);
    end if;
    return moved;
end $$;

-- Queues of rooms. `swept` is the sequence up to which every event of the queue's types is in the inbox.
create table floor.queues (
    name text primary key,
    types text[] not null,
    swept bigint not null default 0,
    declared timestamptz not null default now()
);

create table floor.inbox (
    queue text not null references floor.queues (name),
    event_id uuid not null,
    sequence bigint not null,
    state text not null default 'due' check (state in ('due', 'done', 'dead')),
    attempts integer not null default 0,
    due timestamptz not null default now(),
    error text not null default '',
    settled timestamptz,
    primary key (queue, event_id)
);
create index inbox_due on floor.inbox (queue, due, sequence) where state = 'due';
create index inbox_dead on floor.inbox (queue) where state = 'dead';
create index inbox_settled on floor.inbox (settled) where state = 'done';

-- Cursors of those who follow the log (the broker's publisher, webhooks, …).
create table floor.cursors (
    name text primary key,
    sequence bigint not null default 0,
    moved timestamptz not null default now()
);

-- One sequence for every lease in the installation: a later lease always has the larger number (fencing).
create sequence floor.lease_numbers;
-- Hosts remember the highest number they have seen. A new or a restored database goes on above all that it, or one
-- before it, may have given out: a hundred a second since 1970 is more than anybody draws.
select setval('floor.lease_numbers', (extract(epoch from now()) * 100)::bigint);

create table floor.leases (
    name text primary key,
    number bigint not null,
    holder text not null,
    until timestamptz not null
);

create table floor.work (
    id bigint generated always as identity primary key,
    room text not null,
    kind text not null,
    key text not null,
    payload jsonb not null default '{}',
    priority integer not null default 0,
    state text not null default 'ready' check (state in ('ready', 'leased', 'done', 'dead', 'cancelled')),
    due timestamptz not null default now(),
    attempts integer not null default 0,
    again boolean not null default false,
    lease_number bigint,
    lease_holder text,
    lease_until timestamptz,
    error text not null default '',
    created timestamptz not null default now(),
    settled timestamptz,
    unique (room, kind, key)
);
create index work_ready on floor.work (room, kind, priority desc, due, id) where state = 'ready';
create index work_leased on floor.work (lease_until) where state = 'leased';

create table floor.processes (
    id text primary key,
    rooms text[] not null,
    host text not null,
    pid integer not null,
    started timestamptz not null default now(),
    beat timestamptz not null default now(),
    resident bigint not null default 0
);

-- How each outside thing fares: sources, trees, remotes, channels, the broker.
create table floor.health (
    room text not null,
    name text not null,
    project text not null default '',
    ok boolean not null,
    text text not null default '',
    failures bigint not null default 0,
    since timestamptz not null default now(),
    at timestamptz not null default now(),
    last_ok timestamptz,
    primary key (room, name)
);

create table floor.pauses (
    kind text not null check (kind in ('post', 'stream', 'source', 'executor')),
    name text not null,
    why text not null,
    by text not null,
    at timestamptz not null default now(),
    primary key (kind, name)
);

create table floor.audit (
    id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    who text not null,
    what text not null,
    subject text not null default '',
    why text not null default '',
    detail jsonb not null default '{}'
);

create table floor.blobs (
    sha256 text primary key,
    size bigint not null,
    stored bigint not null,
    visibility text not null default 'public' check (visibility in ('public', 'project', 'operator')),
    created timestamptz not null default now()
);
