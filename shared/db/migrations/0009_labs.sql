-- Outside labs: tokens, runs that others report, checks of series, requests that may be repeated, what was rejected.

-- Read and written by the owner only. A room asks about one token at a time, by its public id, through a function.
create table floor.tokens (
    id text primary key check (id ~ '^[0-9A-Za-z]{8}$'),
    digest bytea not null unique,
    name text not null,
    remote text not null default '',
    scopes text[] not null check (cardinality(scopes) > 0),
    projects text[] not null default '{}',
    sandbox boolean not null default false,
    created timestamptz not null default now(),
    created_by text not null,
    expires timestamptz not null,
    rotated_from text references floor.tokens (id),
    revoked timestamptz,
    revoked_why text not null default '',
    used timestamptz,
    used_from text not null default '',
    check (expires <= created + interval '366 days')
);
create unique index tokens_rotated on floor.tokens (rotated_from) where revoked is null;

create function floor.find_token(wanted text)
returns table (digest bytea, name text, remote text, scopes text[], projects text[], sandbox boolean,
               expires timestamptz, revoked timestamptz)
language sql stable security definer set search_path = pg_catalog as $$
    select t.digest, t.name, t.remote, t.scopes, t.projects, t.sandbox, t.expires, t.revoked
    from floor.tokens t where t.id = wanted
$$;

-- Last use, at most once a minute: a lab that posts often must not make a hot row.
create function floor.used_token(wanted text, address text) returns void
language sql security definer set search_path = pg_catalog as $$
    update floor.tokens set used = now(), used_from = left(address, 60)
    where id = wanted and (used is null or used < now() - interval '1 minute')
$$;
revoke execute on function floor.find_token(text), floor.used_token(text, text) from public;

-- Without what a token is checked by.
create view floor.tokens_v as
select id, name, remote, scopes, projects, sandbox, created, expires, rotated_from, revoked, used from floor.tokens;

-- Who may see a run and what is told of it: of a try, or of a lab that tries its program, nobody but its owner.
alter table ledger.runs
    add column visibility text not null default 'public' check (visibility in ('public', 'project', 'operator')),
    add column trial boolean not null default false,
    add column link text not null default '',
    -- When we closed it; `started` and `ended` may be a lab's own account.
    add column closed timestamptz,
    drop constraint runs_check,
    add constraint runs_about check (cut_id is not null or series_id is not null or trial);
-- Names are only added, by the one module that writes cases with their ids: to ask again for each of three names of
-- each case took more than half of the time that writing cases takes.
alter table ledger.cases
    add column link text not null default '',
    drop constraint cases_grp_fkey,
    drop constraint cases_test_fkey,
    drop constraint cases_subtest_fkey;

drop index ledger.runs_natural;
-- A trial on no branch of ours is known by the name that its lab made up.
create unique index runs_natural on ledger.runs
    (coalesce(cut_id, 0), coalesce(series_id, 0), (case when cut_id is null and series_id is null then branch else '' end),
     remote, executor, attempt, trial);
create index runs_trial on ledger.runs (closed) where trial;

create or replace view ledger.cases_v as
select c.day, c.run_id, g.name as grp, t.name as test, s.name as subtest, c.attempt, c.result, c.cause,
       c.seconds, c.detail, c.log, c.crashes, c.at, c.link
from ledger.cases c
join ledger.names g on g.id = c.grp
join ledger.names t on t.id = c.test
join ledger.names s on s.id = c.subtest;

-- What is said of a series before or beside any branch, by us or by others. `patch` 0 is the whole series.
create table ledger.checks (
    series_id bigint not null,
    revision integer not null,
    patch integer not null default 0,
    context text not null check (context ~ '^[A-Za-z0-9_-]{1,255}$'),
    project text not null,
    state text not null check (state in ('pending', 'success', 'warning', 'fail')),
    text text not null default '',
    link text not null default '',
    run_id bigint not null references ledger.runs (id),
    at timestamptz not null default now(),
    primary key (series_id, revision, patch, context)
);
create index checks_run on ledger.checks (run_id);

-- Runs that labs have with us, and until when an open one must be heard of. `digest` is of a run that came whole: the
-- same again is no other run. `context` is what a run on a series says as a whole, of this `revision` of it.
create table ingest.lab_runs (
    run_id bigint primary key references ledger.runs (id),
    token_id text not null,
    remote text not null,
    deadline timestamptz not null,
    beat timestamptz not null default now(),
    digest bytea,
    context text not null default '',
    revision integer not null default 0
);
create index lab_runs_deadline on ingest.lab_runs (deadline);

-- Answers to requests with an Idempotency-Key.
create table ingest.answers (
    remote text not null,
    key text not null,
    digest bytea not null,
    status smallint not null,
    body jsonb not null,
    at timestamptz not null default now(),
    primary key (remote, key)
);
create index answers_at on ingest.answers (at);

-- What labs sent and we did not take, for the lab's owner.
create table ingest.rejections (
    id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    remote text not null,
    executor text not null default '',
    path text not null,
    status smallint not null,
    detail text not null,
    errors jsonb not null default '[]',
    size bigint not null default 0
);
create index rejections_remote on ingest.rejections (remote, id);

-- Names (groups, tests, subtests) that a remote brought up for the first time, a day.
create table ingest.new_names (
    remote text not null,
    day date not null,
    names integer not null,
    primary key (remote, day)
);

-- When each remote and executor was last heard of, and on which branch.
create table ingest.heard (
    remote text not null,
    executor text not null default '',
    at timestamptz not null default now(),
    branch text not null default '',
    primary key (remote, executor)
);

-- Takes away trial runs that were closed before `before`, with all that is theirs; gives how many.
create function ledger.forget_trials(before timestamptz, most integer) returns integer
language plpgsql security definer set search_path = pg_catalog as $$
declare
    chosen bigint[];
begin
    perform floor.refuse_young(before);
    select array_agg(id) into chosen
    from (select id from ledger.runs where trial and closed < before order by closed limit most) as old;
    delete from ingest.lab_runs where run_id = any(chosen);
    delete from ledger.artifacts where run_id = any(chosen);
    delete from ledger.cases where run_id = any(chosen);
    delete from ledger.runs where id = any(chosen);
    return coalesce(cardinality(chosen), 0);
end $$;
revoke execute on function ledger.forget_trials(timestamptz, integer) from public;

create view ingest.lab_runs_v as select run_id, remote, deadline, beat from ingest.lab_runs;
create view ingest.rejections_v as
select id, at, remote, executor, path, status, detail, errors, size from ingest.rejections;
create view ingest.heard_v as select remote, executor, at, branch from ingest.heard;

do $$
declare r text;
begin
    foreach r in array array['netci_ingest', 'netci_branch', 'netci_executor', 'netci_report'] loop
        execute format('grant select on ledger.checks, ingest.lab_runs_v, ingest.rejections_v, ingest.heard_v to %I', r);
    end loop;
    grant select, insert, update, delete on ingest.lab_runs, ingest.answers, ingest.rejections, ingest.new_names,
        ingest.heard, ingest.lab_runs_v, ingest.rejections_v, ingest.heard_v to netci_ingest;
    grant usage on all sequences in schema ingest to netci_ingest;
    grant execute on function ledger.forget_trials(timestamptz, integer) to netci_ingest;
    -- What a lab tried and then posted in earnest is the same blob.
    grant update (visibility) on floor.blobs to netci_ingest;
    foreach r in array array['netci_ingest', 'netci_report'] loop
        execute format('grant execute on function floor.find_token(text), floor.used_token(text, text) to %I', r);
        execute format('grant select on floor.tokens_v to %I', r);
    end loop;
    foreach r in array array['netci_ingest', 'netci_executor'] loop
        execute format('grant insert, update on ledger.checks to %I', r);
    end loop;
end $$;
