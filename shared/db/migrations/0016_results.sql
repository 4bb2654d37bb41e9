-- ledger: a whole run in fewer round trips; retention by our own clock.

-- The run first: as it is one key serves who looks for a run with or without its day, and the foreign key when a run
-- is taken away. An index by run alone beside it cost each row a second entry.
alter table ledger.cases drop constraint cases_pkey;
alter table ledger.cases add primary key (run_id, day, grp, test, subtest, attempt);
drop index ledger.cases_run;

-- A run that comes as a whole has no lease, and is closed as soon as it is there. `said` has its columns by their names.
-- `names` are looked up as well: their ids in their order, null for those that are new. Nothing where there is such a
-- run already.
create function ledger.add_whole_run(said jsonb, names text[], out id bigint, out day date, out ids integer[])
language plpgsql set search_path = pg_catalog as $$
declare
    today constant date := (now() at time zone 'utc')::date;
begin
    -- Before anything is written: making the day's partition locks runs, and two who had each inserted one would wait
    -- for each other.
    perform ledger.ensure_day(today);
    insert into ledger.runs as made (
        day, project, stream, branch, cut_id, series_id, remote, executor, attempt, planned, kernel_commit,
        suite_commit, config_digest, toolchain, image, device, visibility, trial, link, started, state, cause, reason,
        ended, closed, counts, log_pack)
    select today, w.project, w.stream, w.branch, w.cut_id, w.series_id, w.remote, w.executor, w.attempt, w.planned,
           w.kernel_commit, w.suite_commit, w.config_digest, w.toolchain, w.image, w.device, w.visibility, w.trial,
           w.link, coalesce(w.started, now()), w.state, nullif(w.cause, ''), left(w.reason, 2000),
           coalesce(w.ended, now()), now(), w.counts, w.log_pack
    from jsonb_to_record(said) as w(
        project text, stream text, branch text, cut_id bigint, series_id bigint, remote text, executor text,
        attempt integer, planned integer, kernel_commit text, suite_commit text, config_digest text, toolchain text,
        image text, device jsonb, visibility text, trial boolean, link text, started timestamptz, state text,
        cause text, reason text, ended timestamptz, counts jsonb, log_pack text)
    on conflict (coalesce(cut_id, 0), coalesce(series_id, 0),
                 (case when cut_id is null and series_id is null then branch else '' end),
                 remote, executor, attempt, trial) do nothing
    returning made.id, made.day into add_whole_run.id, add_whole_run.day;
    if add_whole_run.id is not null then
        select array_agg(n.id order by w.place) into ids
        from unnest(names) with ordinality as w(name, place) left join ledger.names n on n.name = w.name;
    end if;
end $$;

-- As before, and by when we closed them: `ended` may be a lab's own account. Of runs from before we kept that, and of
-- imported ones, it is all there is.
create or replace function ledger.forget_logs(before timestamptz, good boolean, most integer) returns integer
language plpgsql security definer set search_path = pg_catalog as $$
declare
    chosen bigint[];
begin
    perform floor.refuse_young(before);
    select array_agg(id) into chosen from (
        select r.id from ledger.runs r
        where coalesce(r.closed, r.ended) < before
          and (r.log_pack is not null or exists (select from ledger.artifacts a where a.run_id = r.id))
          and good = (r.state = 'done' and r.cause is null and coalesce((r.counts->>'fail')::integer, 0) = 0
                      and coalesce((r.counts->>'error')::integer, 0) = 0
                      and not exists (select from ledger.checks c
                                      where c.run_id = r.id and c.state in ('warning', 'fail')))
        order by r.id limit most) as old;
    delete from ledger.artifacts where run_id = any(chosen);
    update ledger.runs set log_pack = null where id = any(chosen);
    return coalesce(cardinality(chosen), 0);
end $$;
drop index ledger.runs_ended;
create index runs_closed on ledger.runs (coalesce(closed, ended)) where log_pack is not null;

-- As before, and only in the partitions of their days.
create or replace function ledger.forget_trials(before timestamptz, most integer) returns integer
language plpgsql security definer set search_path = pg_catalog as $$
declare
    chosen bigint[];
    days date[];
begin
    perform floor.refuse_young(before);
    select array_agg(id), array_agg(distinct day) into chosen, days
    from (select id, day from ledger.runs where trial and closed < before order by closed limit most) as old;
    delete from ingest.lab_runs where run_id = any(chosen);
    delete from ledger.artifacts where run_id = any(chosen);
    delete from ledger.cases where day = any(days) and run_id = any(chosen);
    delete from ledger.runs where id = any(chosen);
    return coalesce(cardinality(chosen), 0);
end $$;

-- As before, and a blob that was stored again meanwhile, and so is young, is left: what is asked of the row itself is
-- asked once more when it has changed, what is asked by its name is not.
create or replace function floor.forget_blobs(before timestamptz, most integer) returns setof text
language plpgsql security definer set search_path = pg_catalog as $$
declare
    wanted text := '';
    reference record;
begin
    perform floor.refuse_young(before);
    -- Asked of the catalog, so that a reference that a room adds later protects its blobs from the first day.
    for reference in
        select c.conrelid::regclass::text as place, a.attname as name
        from pg_constraint c join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
        where c.contype = 'f' and c.confrelid = 'floor.blobs'::regclass
    loop
        wanted := wanted || format(' and not exists (select from %s r where r.%I = b.sha256)',
                                   reference.place, reference.name);
    end loop;
    return query execute
        'delete from floor.blobs where created < $1 and sha256 in (select b.sha256 from floor.blobs b where b.created < $1'
        || wanted || ' order by b.created limit $2) returning sha256' using before, most;
end $$;
grant update (created) on floor.blobs to netci_ingest, netci_branch, netci_executor, netci_report;

revoke execute on function ledger.add_whole_run(jsonb, text[]) from public;
grant execute on function ledger.add_whole_run(jsonb, text[]) to netci_ingest, netci_executor;
