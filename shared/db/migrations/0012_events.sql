-- What readers of the log filter by: the stream, remote and series that an event tells of.

alter table floor.events
    add column stream text generated always as (body #>> '{data,stream}') stored,
    add column remote text generated always as (body #>> '{data,remote}') stored,
    add column series text generated always as (body #>> '{data,series}') stored;
create index events_stream on floor.events (stream, sequence) where stream is not null;
create index events_remote on floor.events (remote, sequence) where remote is not null;
create index events_series on floor.events (series, sequence) where series is not null;
