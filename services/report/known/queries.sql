-- Statements of known issues.

-- holding --
-- project text, at timestamptz (the end of a run), back interval
-- The rules that hold for a run of that time: a rule that comes or goes is applied `back` from then. So summing a run
-- again at any later time gives the same.
select id, project, stream, remote, executor, grp, test, crash, reason, link, owner, expires from report.known_issues
where project = $1 and made - $3::interval <= $2 and expires > $2 and (ended is null or ended - $3::interval > $2)
order by id

-- run_facts --
-- run bigint
select project, stream, remote, executor, coalesce(ended, started) as at from ledger.runs where id = $1

-- forget_hits --
-- run bigint
delete from report.known_hits where run_id = $1

-- save_hits --
-- run bigint, groups text[], tests text[], issues bigint[]
insert into report.known_hits (issue_id, run_id, grp, test, at)
select w.issue, r.id, g.id, t.id, coalesce(r.ended, r.started)
from ledger.runs r
cross join unnest($2::text[], $3::text[], $4::bigint[]) as w(grp, test, issue)
join ledger.names g on g.name = w.grp
join ledger.names t on t.name = w.test
where r.id = $1 and not r.trial and r.visibility = 'public'
on conflict do nothing

-- add --
-- project text, stream text, remote text, executor text, group text, test text, crash text, reason text, link text,
-- owner text, expires timestamptz, by text, now timestamptz
insert into report.known_issues (project, stream, remote, executor, grp, test, crash, reason, link, owner, expires,
                                 made_by, made)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) returning id

-- end --
-- id bigint, by text, now timestamptz
update report.known_issues set ended = $3, ended_by = $2 where id = $1 and ended is null returning project

-- project_of --
-- id bigint
select project, ended from report.known_issues where id = $1

-- issues --
-- project text (null: all), now timestamptz, over boolean (also those that are over), most integer
-- Those that hold first, the newest first, with what they matched.
select k.id, k.project, k.stream, k.remote, k.executor, k.grp as "group", k.test, k.crash, k.reason, k.link, k.owner,
       k.expires, k.made, k.made_by, k.ended, k.ended_by, (k.ended is null and k.expires > $2) as active,
       coalesce(h.hits, 0) as hits, h.last
from report.known_issues k
left join lateral (
    select count(*)::integer as hits, max(x.at) as last from report.known_hits x where x.issue_id = k.id
) h on true
where ($1::text is null or k.project = $1) and ($3 or (k.ended is null and k.expires > $2))
order by (k.ended is null and k.expires > $2) desc, k.id desc limit $4

-- failures --
-- project text, since timestamptz, most integer
-- What failed lately, the newest first, for trying a rule on it.
select o.run_id, o.cut_id, o.stream, o.remote, o.executor, g.name as grp, t.name as test, o.crashes, c.name as branch
from report.outcomes o
join branch.cuts_v c on c.id = o.cut_id and c.project = $1
join ledger.names g on g.id = o.grp
join ledger.names t on t.id = o.test
where o.outcome = 'fail' and o.cut_id in (
    select id from branch.cuts_v where project = $1 and slot >= $2 and purpose <> 'try' order by id desc limit 500)
order by o.run_id desc limit $3

-- runs_to_sum --
-- project text, since timestamptz, most integer
-- Runs with failures on the branches of the last days, which a rule that comes or goes may turn.
select distinct o.run_id from report.outcomes o
join branch.cuts_v c on c.id = o.cut_id and c.project = $1 and c.slot >= $2
where o.outcome = 'fail' order by o.run_id desc limit $3

-- hits_of_run --
-- run bigint
select g.name as grp, t.name as test, k.id, k.reason, k.link, k.expires from report.known_hits h
join report.known_issues k on k.id = h.issue_id
join ledger.names g on g.id = h.grp
join ledger.names t on t.id = h.test
where h.run_id = $1
