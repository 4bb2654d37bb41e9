-- Retention: what may go, and the functions that take it away with the owner's rights. Each refuses to take
-- anything that is younger than a day, so that no room can wipe what others still need.

-- A room with a login of its own asks whether the database is up to date.
grant select on public.netci_migrations to netci_ingest, netci_branch, netci_executor, netci_report;

create function floor.refuse_young(before timestamptz) returns void
language plpgsql set search_path = pg_catalog as $$
begin
    if before is null or before > now() - interval '1 day' then
        raise exception 'nothing younger than a day may be taken away' using errcode = 'invalid_parameter_value';
    end if;
end $$;

-- Takes away at most `most` of the oldest events logged before `before`, always from the front, so that the log stays
-- without holes. What a queue has not swept, a living cursor not passed or an inbox not handled stays.
create function floor.forget_events(before timestamptz, most integer) returns integer
language plpgsql security definer set search_path = pg_catalog as $$
declare
    upto bigint;
    gone integer;
begin
    perform floor.refuse_young(before);
    select least((select last from floor.sequencer),
                 (select min(swept) from floor.queues),
                 (select min(sequence) from floor.cursors where moved >= before),
                 (select min(sequence) - 1 from floor.inbox where state = 'due'))
    into upto;
    -- Clocks are set back now and then: the first that is too young ends it, whatever comes after.
    select least(upto, (select min(e.sequence) - 1
                        from (select sequence, logged from floor.events order by sequence limit most) e
                        where e.logged >= before))
    into upto;
    delete from floor.events
    where sequence in (select sequence from floor.events where sequence <= upto order by sequence limit most);
    get diagnostics gone = row_count;
    return gone;
end $$;

-- Drops the partitions of the log that are full and empty again; gives how many. Waits two seconds for readers.
create function floor.drop_empty_events() returns integer
language plpgsql security definer set search_path = pg_catalog set lock_timeout = '2s' as $$
declare
    span constant bigint := 1000000;
    part text;
    filled boolean;
    gone integer := 0;
begin
    for part in
        select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'floor.events'::regclass
          and (substring(c.relname from '[0-9]+$')::bigint + 1) * span <= (select last from floor.sequencer)
    loop
        execute format('select exists (select from floor.%I)', part) into filled;
        if not filled then
            execute format('drop table floor.%I', part);
            gone := gone + 1;
        end if;
    end loop;
    return gone;
end $$;

-- Handled deliveries and settled work. A delivery beyond `swept` stays: the sweep would bring it in once more.
-- Dead ones stay for a person.
create function floor.forget_settled(before timestamptz, most integer) returns integer
language plpgsql security definer set search_path = pg_catalog as $$
declare
    gone integer;
    more integer;
begin
    perform floor.refuse_young(before);
    delete from floor.inbox where ctid in (
        select i.ctid from floor.inbox i join floor.queues q on q.name = i.queue
        where i.state = 'done' and i.settled < before and i.sequence <= q.swept
        limit most for update of i skip locked);
    get diagnostics gone = row_count;
    delete from floor.work where id in (
        select id from floor.work where state in ('done', 'cancelled') and settled < before
        limit most for update skip locked);
    get diagnostics more = row_count;
    return gone + more;
end $$;
create index work_settled on floor.work (settled) where state in ('done', 'cancelled');
-- What is to do is found without passing over what was done.
create index work_open on floor.work (room, kind) where state in ('ready', 'leased');

-- Drops the oldest day of cases before `before`, if there is one; gives that day, or null. Their runs stay.
create function ledger.forget_cases(before date) returns date
language plpgsql security definer set search_path = pg_catalog set lock_timeout = '2s' set timezone = 'UTC' as $$
declare
    part text;
begin
    perform floor.refuse_young(before::timestamptz);
    select min(c.relname) into part from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'ledger.cases'::regclass and c.relname < 'cases_' || to_char(before, 'YYYYMMDD');
    if part is null then
        return null;
    end if;
    execute format('drop table ledger.%I', part);
    return to_date(substring(part from '[0-9]{8}$'), 'YYYYMMDD');
end $$;

-- As before, and it bears that another made the partition while this waited: what `to_regclass` did not find once, it
-- may go on not finding within a transaction.
create or replace function ledger.ensure_day(wanted date) returns void
language plpgsql security definer set search_path = pg_catalog as $$
declare
    part text := 'cases_' || to_char(wanted, 'YYYYMMDD');
begin
    if to_regclass('ledger.' || part) is null then
        perform pg_advisory_xact_lock(7302, wanted - date '2020-01-01');
        execute format('create table ledger.%I partition of ledger.cases for values from (%L) to (%L)',
                       part, wanted, wanted + 1);
    end if;
exception when duplicate_table then
    null;
end $$;

-- Makes the partitions of today and tomorrow beforehand: made at a run's opening, they would wait for every reader.
create function ledger.prepare_days() returns void
language sql security definer set search_path = pg_catalog set timezone = 'UTC' set lock_timeout = '2s' as $$
    select ledger.ensure_day(current_date), ledger.ensure_day(current_date + 1)
$$;

-- Unties closed runs from their logs and artifacts: `good` those where no test was bad and nothing broke, else the
-- others. Gives how many. The blobs themselves go with `floor.forget_blobs`.
create function ledger.forget_logs(before timestamptz, good boolean, most integer) returns integer
language plpgsql security definer set search_path = pg_catalog as $$
declare
    chosen bigint[];
begin
    perform floor.refuse_young(before);
    select array_agg(id) into chosen from (
        select r.id from ledger.runs r
        where r.ended < before
          and (r.log_pack is not null or exists (select from ledger.artifacts a where a.run_id = r.id))
          and good = (r.state = 'done' and r.cause is null and coalesce((r.counts->>'fail')::integer, 0) = 0
                      and coalesce((r.counts->>'error')::integer, 0) = 0)
        order by r.id limit most) as old;
    delete from ledger.artifacts where run_id = any(chosen);
    update ledger.runs set log_pack = null where id = any(chosen);
    return coalesce(cardinality(chosen), 0);
end $$;
create index runs_ended on ledger.runs (ended) where log_pack is not null;
create index runs_log on ledger.runs (log_pack) where log_pack is not null;
create index artifacts_blob on ledger.artifacts (sha256);

-- Takes away rows of blobs that nothing refers to any more and gives their names. Whoever calls removes the bytes in
-- the same transaction: who stores the same bytes anew meanwhile waits for its end, and then writes them again.
create function floor.forget_blobs(before timestamptz, most integer) returns setof text
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
        'delete from floor.blobs where sha256 in (select b.sha256 from floor.blobs b where b.created < $1'
        || wanted || ' order by b.created limit $2) returning sha256' using before, most;
end $$;
create index blobs_created on floor.blobs (created);

do $$
declare f text;
begin
    foreach f in array array[
        'floor.refuse_young(timestamptz)', 'floor.forget_events(timestamptz, integer)', 'floor.drop_empty_events()',
        'floor.forget_settled(timestamptz, integer)', 'ledger.forget_cases(date)', 'ledger.prepare_days()',
        'ledger.forget_logs(timestamptz, boolean, integer)', 'floor.forget_blobs(timestamptz, integer)']
    loop
        execute format('revoke execute on function %s from public', f);
        execute format('grant execute on function %s to netci_ingest, netci_branch, netci_executor, netci_report', f);
    end loop;
end $$;
