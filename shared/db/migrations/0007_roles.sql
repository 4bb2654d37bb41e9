-- One role per room. A room writes its own schema and calls the floor; others it reads through views.
-- Roles belong to the cluster, not to the database, so each is made only where it is missing.

do $$
declare r text;
begin
    foreach r in array array['netci_ingest', 'netci_branch', 'netci_executor', 'netci_report'] loop
        if not exists (select from pg_roles where rolname = r) then
            begin
                execute format('create role %I nologin', r);
            exception when duplicate_object or unique_violation then null;
            end;
        end if;
        execute format('grant usage on schema floor, ledger, ingest, branch, executor, report to %I', r);
        execute format('grant select on all tables in schema floor to %I', r);
        execute format('grant insert on floor.outbox, floor.audit, floor.blobs to %I', r);
        execute format('grant insert, update on floor.queues, floor.inbox, floor.cursors to %I', r);
        execute format('grant insert, update, delete on floor.leases, floor.work, floor.processes, floor.health to %I', r);
        execute format('grant delete on floor.inbox to %I', r);
        execute format('grant usage on sequence floor.lease_numbers to %I', r);
        execute format('grant execute on function floor.sequence_events(integer) to %I', r);
        execute format('grant select on ingest.series_v, ingest.patches_v, ingest.sources_v to %I', r);
        execute format('grant select on branch.trees_v, branch.applied_v, branch.cuts_v, branch.selections_v, '
                       'branch.orders_v, branch.conflicts_v, branch.streams_v to %I', r);
        execute format('grant select on executor.plans_v, executor.hosts_v, executor.durations_v to %I', r);
        execute format('grant select on all tables in schema ledger to %I', r);
    end loop;
    foreach r in array array['ingest', 'branch', 'executor', 'report'] loop
        execute format('grant select, insert, update, delete on all tables in schema %I to %I', r, 'netci_' || r);
        execute format('grant usage on all sequences in schema %I to %I', r, 'netci_' || r);
    end loop;
    foreach r in array array['netci_executor', 'netci_ingest'] loop
        execute format('grant insert, update on ledger.runs, ledger.names, ledger.cases, ledger.artifacts to %I', r);
        execute format('grant delete on ledger.artifacts to %I', r);
        execute format('grant execute on function ledger.ensure_day(date) to %I', r);
    end loop;
    -- The gate of a stream reads settled verdicts.
    grant select on report.verdicts_v to netci_branch;
    grant insert, update, delete on floor.pauses to netci_report;
end $$;

revoke execute on function floor.sequence_events(integer) from public;
revoke execute on function ledger.ensure_day(date) from public;
