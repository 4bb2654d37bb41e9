-- What readers of the log filter by: the stream, remote and series that an event tells of.

alter table floor.events
    add column stream text generated always as (body #>> '{data,stream}') stored,
    add column remote text generated always as (body #>> '{data,remote}') stored,
    add column series text generated always as (body #>> '{data,series}') stored;
create index events_stream on floor.events (stream, sequence) where stream is not null;
create index events_remote on floor.events (remote, sequence) where remote is not null;
create index events_series on floor.events (series, sequence) where series is not null;

-- The runs that anybody may see: what pages are made of.
create view ledger.public_runs_v as
select id, day, project, stream, branch, cut_id, series_id, remote, executor, attempt, state, cause, reason, started,
       expected_end, ended, progressed, planned, counts, kernel_commit, suite_commit, config_digest, toolchain, image,
       device, log_pack, link
from ledger.runs where visibility = 'public' and not trial;

do $$
declare r text;
begin
    foreach r in array array['netci_ingest', 'netci_branch', 'netci_executor', 'netci_report'] loop
        execute format('grant select on ledger.public_runs_v to %I', r);
    end loop;
end $$;
