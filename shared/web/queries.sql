-- The event stream's statements.

-- log_state --
-- The end of the log, its beginning (null if empty) and the epoch of its cursors.
select s.last, s.epoch, (select min(e.sequence) from floor.events e) as oldest from floor.sequencer s

-- log_page --
-- after bigint, upto bigint, types text[] (null: all), project text (null: all), visibilities text[], most integer
select sequence, type, project, body::text as body from floor.events
where sequence > $1 and sequence <= $2 and ($3::text[] is null or type = any($3))
  and ($4::text is null or project = $4) and visibility = any($5::text[])
order by sequence limit $6
