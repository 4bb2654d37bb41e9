-- Webhooks. Out, of report: endpoints, what goes to each, every attempt. In, of ingest: which calls were taken already.

-- An endpoint. `secret` and `old_secret` are sealed; `after` is where the log stood when it was made. Who is told what
-- follows from `token_id` (or any token of `remote`) at each delivery; `sees` is for those that an operator made.
create table report.hooks (
    id text primary key check (id ~ '^wh_[0-9A-Za-z]{16}$'),
    name text not null default '',
    url text not null,
    remote text not null default '',
    token_id text not null default '',
    sees text not null default 'public' check (sees in ('public', 'project', 'operator')),
    types text[] not null default '{}',
    of_projects text[] not null default '{}',
    of_streams text[] not null default '{}',
    of_remotes text[] not null default '{}',
    of_series bigint[] not null default '{}',
    secret bytea not null,
    old_secret bytea,
    old_until timestamptz,
    state text not null default 'active' check (state in ('active', 'paused', 'disabled')),
    why text not null default '',
    since timestamptz not null,
    failures integer not null default 0,
    rest_until timestamptz not null default 'epoch',
    delivered timestamptz,
    after bigint not null,
    made timestamptz not null,
    made_by text not null
);
create index hooks_remote on report.hooks (remote);

-- One event on its way to one endpoint, with the very bytes that are sent each time. `tries` is the place in the
-- schedule, `attempts` counts all there ever were: a redelivery begins the schedule anew, not the count.
create table report.deliveries (
    id bigint generated always as identity primary key,
    hook_id text not null references report.hooks (id) on delete cascade,
    event_id uuid not null,
    sequence bigint not null default 0,
    type text not null,
    ping boolean not null default false,
    body text not null,
    state text not null default 'due' check (state in ('due', 'sending', 'delivered', 'failed', 'dropped')),
    why text not null default '',
    tries integer not null default 0,
    attempts integer not null default 0,
    began timestamptz,
    due timestamptz not null,
    made timestamptz not null,
    settled timestamptz,
    unique (hook_id, event_id)
);
create index deliveries_due on report.deliveries (hook_id, sequence, id) where state = 'due';
create index deliveries_next on report.deliveries (hook_id, due) where state = 'due';
create index deliveries_sending on report.deliveries (hook_id) where state = 'sending';
create index deliveries_hook on report.deliveries (hook_id, id desc);
create index deliveries_made on report.deliveries (made);

-- One request. Written before it goes out; a row that still says `sending` when nobody sends is of unknown outcome.
create table report.attempts (
    delivery_id bigint not null references report.deliveries (id) on delete cascade,
    number integer not null,
    began timestamptz not null,
    outcome text not null default 'sending' check (outcome in ('sending', 'delivered', 'failed', 'refused', 'unknown')),
    headers jsonb not null default '{}',
    address text not null default '',
    status smallint,
    answer text not null default '',
    error text not null default '',
    seconds double precision,
    primary key (delivery_id, number)
);

-- Calls of inbound hooks, by the digest of what signs them: the same once more wakes nobody.
create table ingest.hook_calls (
    digest bytea primary key,
    at timestamptz not null
);
create index hook_calls_at on ingest.hook_calls (at);

grant select, insert, update, delete on report.hooks, report.deliveries, report.attempts to netci_report;
grant usage on all sequences in schema report to netci_report;
grant select, insert, update, delete on ingest.hook_calls to netci_ingest;
