-- Manifests of remotes and the runs that they name.

-- manifest --
-- remote text
select url, etag, modified, polled, trouble, warnings from ingest.manifests where remote = $1

-- seen_manifest --
-- remote text, url text, etag text, modified text, entries integer, warnings text[], now timestamptz
insert into ingest.manifests (remote, url, etag, modified, entries, warnings, polled, others)
select $1, $2, $3, $4, $5, $6, $7,
       (select count(*) from ingest.manifest_runs m where m.remote = $1 and m.gone is null and m.state = 'waits'
        and not exists (select from branch.cuts_v c where c.name = m.branch))
on conflict (remote) do update
set url = excluded.url, etag = excluded.etag, modified = excluded.modified, entries = excluded.entries,
    warnings = excluded.warnings, polled = excluded.polled, others = excluded.others, trouble = '', since = null

-- same_manifest --
-- remote text, now timestamptz
update ingest.manifests set polled = $2, trouble = '', since = null where remote = $1

-- bad_manifest --
-- remote text, url text, trouble text, now timestamptz
insert into ingest.manifests (remote, url, trouble, since) values ($1, $2, $3, $4)
on conflict (remote) do update set trouble = excluded.trouble, since = coalesce(manifests.since, excluded.since)

-- runs --
-- remote text
select executor, branch, url, state, attempt, run_id, opened, gone, due, tries, since, reason, began, digest, etag,
       modified
from ingest.manifest_runs where remote = $1

-- save_run --
-- remote text, executor text, branch text, url text, state text, attempt integer, run_id bigint, opened timestamptz,
-- gone timestamptz, due timestamptz, tries integer, since timestamptz, reason text, began text, digest text,
-- etag text, modified text
insert into ingest.manifest_runs (remote, executor, branch, url, state, attempt, run_id, opened, gone, due, tries,
                                  since, reason, began, digest, etag, modified)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
on conflict (remote, executor, branch) do update
set url = excluded.url, state = excluded.state, attempt = excluded.attempt, run_id = excluded.run_id,
    opened = excluded.opened, gone = excluded.gone, due = excluded.due, tries = excluded.tries,
    since = excluded.since, reason = excluded.reason, began = excluded.began, digest = excluded.digest,
    etag = excluded.etag, modified = excluded.modified

-- forget_runs --
-- remote text, before timestamptz
-- What has left the manifest long ago, and is no open run of ours; and at once what has left it and never came to
-- anything here: a remote may name what it likes, and other names each time.
delete from ingest.manifest_runs
where remote = $1 and ((gone < $2 and state <> 'open') or (gone is not null and state = 'waits' and attempt = 0))

-- due_runs --
-- remote text, now timestamptz, most integer
-- Those on branches of ours, newest branch first; of others nothing is taken, nor of those that are only history.
select m.executor, m.branch, m.url, m.state, m.attempt, m.run_id, m.opened, m.gone, m.due, m.tries, m.since, m.reason,
       m.began, m.digest, m.etag, m.modified, c.id as cut_id, c.project, c.stream, c.commit,
       coalesce(c.announced, c.pushed, c.planned) as announced,
       coalesce((select r.expected_end < $2 from ledger.runs r where r.id = m.run_id), false) as overdue
from ingest.manifest_runs m
join lateral (
    select * from branch.cuts_v c
    where c.name = m.branch and c.purpose in ('scheduled', 'by-hand') and c.commit <> ''
      and c.state <> 'history'
    order by c.id desc limit 1
) c on true
where m.remote = $1 and m.due <= $2
order by c.id desc, m.executor limit $3
