-- The event stream's statements.

-- log_state --
-- The end of the log, its beginning (null if empty) and the epoch of its cursors.
select s.last, s.epoch, (select min(e.sequence) from floor.events e) as oldest from floor.sequencer s

-- log_page --
-- after bigint, upto bigint, types text[], projects text[], streams text[], remotes text[], series text[] (each null:
-- all), mails text[] (of series; only with `series`), everything boolean, own text (a remote, "": none),
-- theirs text[] (projects; null: all), most integer, bytes bigint
-- What a reader may see of the log, `most` events and some `bytes` at a time. An event that is over `bytes` alone comes
-- alone.
select sequence, type, project, visibility, stream, remote, series, message_id, body
from (
    select p.*, sum(octet_length(p.body)) over (order by p.sequence) - octet_length(p.body) as before
    from (
        select e.sequence, e.type, e.project, e.visibility, coalesce(e.stream, '') as stream,
               coalesce(e.remote, '') as remote, coalesce(e.series, '') as series,
               coalesce(trim(both '<>' from e.body #>> '{data,message_id}'), '') as message_id, e.body::text as body
        from floor.events e
        where e.sequence > $1 and e.sequence <= $2
          and ($3::text[] is null or e.type = any($3)) and ($4::text[] is null or e.project = any($4))
          and ($5::text[] is null or e.stream = any($5)) and ($6::text[] is null or e.remote = any($6))
          and ($7::text[] is null or e.series = any($7)
               or trim(both '<>' from e.body #>> '{data,message_id}') = any($8::text[]))
          and ($9::boolean or e.visibility = 'public' or ($10::text <> '' and e.remote = $10)
               or (e.visibility = 'project' and ($11::text[] is null or e.project = any($11))))
        order by e.sequence limit $12
    ) p
) q
where before < $13
order by sequence

-- plan_anew --
-- For this transaction.
select set_config('plan_cache_mode', 'force_custom_plan', true)
