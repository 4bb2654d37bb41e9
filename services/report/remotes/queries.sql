-- How remotes fare.

-- newest_cuts --
-- projects text[], streams text[], most integer
-- The newest announced branches of each stream, newest first.
select c.id, c.project, c.stream, c.name, c.announced
from unnest($1::text[], $2::text[]) as w(project, stream)
cross join lateral (
    select * from branch.cuts_v v
    where v.project = w.project and v.stream = w.stream and v.purpose in ('scheduled', 'by-hand')
      and v.announced is not null and v.state <> 'history'
    order by v.id desc limit $3
) c
order by c.id desc

-- runs_on --
-- cuts bigint[]
-- What each executor made of the cuts: of several attempts the best end, and the latest expected one.
select r.cut_id, r.remote, r.executor,
       case when bool_or(r.state = 'done' and coalesce(r.cause, '') <> 'infra') then 'done'
            when bool_or(r.state = 'open') then 'open' else 'abandoned' end as state,
       max(r.expected_end) filter (where r.state = 'open') as expected_end
from ledger.runs r
where r.cut_id = any($1::bigint[]) and r.visibility = 'public' and not r.trial
group by r.cut_id, r.remote, r.executor

-- manifests --
select remote, polled, entries, others, warnings, trouble, since,
       (select count(*) from ingest.manifest_runs_v m where m.remote = v.remote and m.since is not null)::integer as bad
from ingest.manifests_v v order by remote

-- one_watcher --
-- Two who look at the same moment would both tell.
select pg_advisory_xact_lock(7311, 0)

-- standings --
select remote, executor, stream, standing from report.standings

-- set_standing --
-- remote text, executor text, stream text, standing text, since timestamptz
insert into report.standings (remote, executor, stream, standing, since) values ($1, $2, $3, $4, $5)
on conflict (remote, executor, stream) do update set standing = excluded.standing, since = excluded.since

-- drop_standing --
-- remote text, executor text, stream text
delete from report.standings where remote = $1 and executor = $2 and stream = $3

-- rejected --
-- now timestamptz, seconds double precision
-- Remotes with submissions rejected since their owner was last told, at least so long ago.
select r.remote, count(*)::integer as rejected, max(r.id) as upto
from ingest.rejections_v r
left join report.told_rejections t on t.remote = r.remote
where r.id > coalesce(t.upto, 0) and (t.told is null or t.told <= $1::timestamptz - make_interval(secs => $2))
group by r.remote order by r.remote

-- told --
-- remote text, upto bigint, told timestamptz
insert into report.told_rejections (remote, upto, told) values ($1, $2, $3)
on conflict (remote) do update set upto = excluded.upto, told = excluded.told
