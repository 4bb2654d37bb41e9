-- Statements of the branch room: trees, settled series, cuts.

-- tree_heads --
-- project text
select name, head from branch.trees where project = $1 and head <> ''

-- lock_tree --
-- project text, name text
select head from branch.trees where project = $1 and name = $2 for update

-- record_tree --
-- project text, name text, head text
insert into branch.trees (project, name, head, fetched, moved) values ($1, $2, $3, now(), now())
on conflict (project, name) do update
set moved = case when trees.head = excluded.head then trees.moved else now() end,
    head = excluded.head, fetched = now()

-- series --
-- id bigint
select s.id, s.project, s.revision, s.message_id, s.title, s.state, s.trees, s.tree_reason, s.marked, s.pull_url,
       s.mbox, s.author_name, s.arrived,
       array(select p.message_id from ingest.patches_v p where p.series_id = s.id and p.number > 0
             order by p.number) as patch_ids,
       array(select f from ingest.patches_v p, unnest(p.fixes) f where p.series_id = s.id order by p.number) as fixes
from ingest.series_v s where s.id = $1

-- series_now --
-- id bigint
select revision, state from ingest.series_v where id = $1

-- applied --
-- series_id bigint, revision integer
select outcome, already, tries, published, head, tree from branch.applied where series_id = $1 and revision = $2

-- unsettled --
-- projects text[]
-- Series that wait to be settled and have no work that will do it: the events were lost, or the work died of
-- trouble of ours, which may be over by now.
select s.id from ingest.series_v s
where s.project = any($1::text[]) and s.state = 'active' and cardinality(s.trees) > 0
  and not exists (select from branch.applied a where a.series_id = s.id and a.revision = s.revision)
  and not exists (select from floor.work w where w.room = 'branch' and w.kind = 'apply' and w.key = s.id::text
                  and (w.state in ('ready', 'leased')
                       or (w.state = 'dead' and w.settled > now() - interval '1 hour')))
order by s.id limit 1000

-- refused_for --
-- project text, tree text, tries integer, most integer
-- Series that did not apply, may still be wanted, and have not been tried too often; those that were are tried twice a
-- day, as what they wait for may be merged after weeks.
select a.series_id from branch.applied a
join ingest.series_v s on s.id = a.series_id and s.revision = a.revision and s.state = 'active'
where a.project = $1 and a.outcome = 'refused' and not a.already and $2 = any(s.trees) and (a.tries < $3 or a.at < now() - interval '12 hours')
order by a.at desc limit $4

-- record_applied --
-- series_id bigint, revision integer, project text, outcome text, tree text, tree_reason text, base text, head text,
-- commits text[], ref text, public_url text, already boolean, patch_number integer, files text[], reason text,
-- log text, message_id text, attempts jsonb, pull boolean, published boolean
-- What was published stays: a series is applied once for each of its revisions.
insert into branch.applied as a
    (series_id, revision, project, outcome, tree, tree_reason, base, head, commits, ref, public_url, already,
     patch_number, files, reason, log, message_id, attempts, pull, published)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
        case when $20::boolean then now() end)
on conflict (series_id, revision) do update
set outcome = excluded.outcome, tree = excluded.tree, tree_reason = excluded.tree_reason, base = excluded.base,
    head = excluded.head, commits = excluded.commits, ref = excluded.ref, public_url = excluded.public_url,
    already = excluded.already, patch_number = excluded.patch_number, files = excluded.files,
    reason = excluded.reason, log = excluded.log, attempts = excluded.attempts, at = now(), tries = a.tries + 1,
    published = excluded.published, pruned = null
where a.outcome = 'refused' or a.published is null
returning series_id

-- unpublished --
-- project text, most integer
select a.series_id, a.revision, a.message_id, a.tree, a.tree_reason, a.base, a.head, a.ref, a.public_url,
       s.state = 'active' and s.revision = a.revision as wanted, a.at > now() - interval '1 minute' as young
from branch.applied a join ingest.series_v s on s.id = a.series_id
where a.project = $1 and a.published is null order by a.at limit $2

-- published --
-- series_id bigint, revision integer, head text
update branch.applied set published = now()
where series_id = $1 and revision = $2 and head = $3 and published is null
returning series_id

-- forget_unpublished --
-- series_id bigint, revision integer
delete from branch.applied where series_id = $1 and revision = $2 and published is null

-- candidates --
-- project text, stream text, named bigint[], gates text[]
-- What was said and is asked in the contexts `gates`, of each patch. Everything that is pending, what a person included although it is not ours, and what was on the stream's last
-- branch and is not pending any more.
with last as (
    select max(id) as id from branch.cuts
    where project = $1 and stream = $2 and purpose in ('scheduled', 'by-hand') and state <> 'failed'
)
select s.id, s.external_id, s.revision, s.message_id, s.title, s.arrived, s.state, s.reason, s.superseded_by, s.trees,
       s.pull_url <> '' as pull, s.delegate, s.mbox,
       a.outcome, coalesce(a.tree, '') as tree, coalesce(a.reason, '') as settled_reason,
       o.verb, o.why, o.by,
       array(select distinct p.delegate from ingest.patches_v p where p.series_id = s.id and p.delegate <> '')
           as delegates,
       array(select p.number from ingest.patches_v p where p.series_id = s.id and p.number > 0 order by 1) as numbers,
       coalesce((select jsonb_agg(jsonb_build_array(v.context, v.patch, v.state, v.text)) from report.verdicts_v v
                 where v.series_id = s.id and v.revision = s.revision and v.settled and v.context = any($4::text[])),
                '[]') as said,
       coalesce((select jsonb_agg(jsonb_build_array(k.check_name, k.patch,
                                   case when v.state is null then k.state
                                        when k.ended > now() - interval '1 day' then 'pending' else 'overdue' end,
                                   coalesce(nullif(k.why, ''), v.text, '')))
                 from executor.checks_v k left join report.verdicts_v v
                     on v.series_id = k.series_id and v.revision = k.revision and v.context = k.check_name
                        and v.patch = k.patch and v.state = 'pending' and not v.settled and k.state = 'answered'
                 where k.series_id = s.id and k.revision = s.revision and k.check_name = any($4::text[])),
                '[]') as asked
from ingest.series_v s
left join branch.applied a on a.series_id = s.id and a.revision = s.revision and a.published is not null
left join branch.orders o on o.project = s.project and o.message_id = s.message_id
where s.project = $1 and s.id in (
    select p.id from ingest.series_v p where p.project = $1 and p.state = 'active'
    union all select unnest($3::bigint[])
    union all select n.id from branch.orders i join ingest.series_v n on n.project = i.project
        and n.message_id = i.message_id and n.state = 'ignored' where i.project = $1 and i.verb = 'include'
    union all select x.series_id from branch.selections x join last on x.cut_id = last.id where x.decision = 'take')
order by s.arrived, s.id

-- next_slot --
-- project text, name text
select next_slot from branch.streams where project = $1 and name = $2

-- see_stream --
-- project text, name text, next_slot timestamptz
insert into branch.streams (project, name, next_slot) values ($1, $2, $3)
on conflict (project, name) do update set next_slot = coalesce(streams.next_slot, excluded.next_slot)

-- stream_waits --
-- project text, name text, next_slot timestamptz, waiting text
update branch.streams set next_slot = coalesce($3, next_slot), waiting = $4, at = now()
where project = $1 and name = $2 and (waiting <> $4 or next_slot is distinct from coalesce($3, next_slot))

-- oldest_request --
-- project text, stream text
select id, message_ids, by, why, asked from branch.requests
where project = $1 and stream = $2 and cut_id is null order by id limit 1

-- queue_behind --
-- project text, since timestamptz
-- Whether a source of the project that is not paused has not been asked for its queue since then. One that was never
-- asked is no hindrance: its room has not been started.
select exists (
    select from ingest.sources_v s
    where s.project = $1 and s.queue_synced < $2
      and not exists (select from floor.pauses z where z.kind = 'source' and z.name = s.project || '/' || s.name))

-- open_cut --
-- project text, stream text
select id, project, stream, slot, purpose, name, state, tree, base, commit, merges, heads, public_url, planned
from branch.cuts where project = $1 and stream = $2 and state in ('planned', 'built', 'pushed') order by id limit 1

-- cut --
-- id bigint
select id, project, stream, slot, purpose, name, state, tree, base, commit, merges, heads, public_url, planned
from branch.cuts where id = $1

-- names_taken --
-- prefix text
select name from branch.cuts where starts_with(name, $1)

-- plan_cut --
-- project text, stream text, slot timestamptz, purpose text, name text, asked_by text, why text, tree text,
-- public_url text, heads jsonb, planned timestamptz
-- Gives no row when the slot has been planned before.
insert into branch.cuts (project, stream, slot, purpose, name, asked_by, why, tree, public_url, heads, planned)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
on conflict (project, stream, slot) where purpose = 'scheduled' do nothing
returning id

-- answer_request --
-- id bigint, cut_id bigint
update branch.requests set cut_id = $2 where id = $1 and cut_id is null returning id

-- record_selection --
-- cut_id bigint, series_id bigint, revision integer, position integer, decision text, rule text, reason text
-- The mails are kept with it: what is composed later is what was chosen, even if the series grows meanwhile.
insert into branch.selections (cut_id, series_id, revision, position, decision, rule, reason, mbox)
values ($1, $2, $3, $4, $5, $6, $7, (select s.mbox from ingest.series_v s where s.id = $2))

-- taken --
-- cut_id bigint
select x.series_id, x.revision, s.message_id, s.title, x.mbox, s.pull_url, coalesce(a.head, '') as head,
       coalesce(a.base, '') as base,
       array(select p.message_id from ingest.patches_v p where p.series_id = s.id and p.number > 0
             order by p.number) as patch_ids,
       array(select distinct f from ingest.patches_v p, unnest(p.files) f where p.series_id = s.id) as files
from branch.selections x
join ingest.series_v s on s.id = x.series_id
left join branch.applied a on a.series_id = x.series_id and a.revision = x.revision
where x.cut_id = $1 and x.decision = 'take' order by x.position

-- merged --
-- cut_id bigint, series_id bigint, merged text
update branch.selections set merged = $3 where cut_id = $1 and series_id = $2

-- left_out --
-- cut_id bigint, series_id bigint, rule text, reason text, patch_number integer, files text[], rival bigint, log text
update branch.selections
set decision = 'leave', rule = $3, reason = $4, patch_number = $5, files = $6, rival = $7, log = $8
where cut_id = $1 and series_id = $2

-- cut_built --
-- id bigint, base text, commit text, merges jsonb, extras jsonb
update branch.cuts set state = 'built', base = $2, commit = $3, merges = $4, extras = $5, built = now(), error = ''
where id = $1 and state = 'planned' returning id

-- rename_cut --
-- id bigint, name text
update branch.cuts set name = $2 where id = $1 and state = 'built' returning id

-- cut_pushed --
-- id bigint
update branch.cuts set state = 'pushed', pushed = now(), error = '' where id = $1 and state = 'built' returning id

-- cut_announced --
-- id bigint
update branch.cuts set state = 'announced', announced = now() where id = $1 and state = 'pushed' returning id

-- cut_failed --
-- id bigint, error text
update branch.cuts set state = 'failed', error = left($2, 2000)
where id = $1 and state in ('planned', 'built') returning id

-- cut_error --
-- id bigint, error text
update branch.cuts set error = left($2, 2000) where id = $1

-- cut_counts --
-- id bigint
select count(*) filter (where decision = 'take')::integer as taken,
       count(*) filter (where decision = 'leave')::integer as left_out
from branch.selections where cut_id = $1

-- clear_conflicts --
-- project text, stream text
delete from branch.conflicts where project = $1 and stream = $2

-- record_conflict --
-- project text, stream text, merge text, ours text, theirs text, files text[]
insert into branch.conflicts (project, stream, merge, ours, theirs, files) values ($1, $2, $3, $4, $5, $6)
on conflict (project, stream, merge) do update
set ours = excluded.ours, theirs = excluded.theirs, files = excluded.files, seen = now()

-- conflicts --
-- project text, stream text
select merge, ours, theirs, files, seen from branch.conflicts where project = $1 and stream = $2 order by merge

-- old_cuts --
-- project text, stream text, before timestamptz
select id, name, commit from branch.cuts
where project = $1 and stream = $2 and state in ('pushed', 'announced') and pushed < $3 order by id limit 200

-- cut_pruned --
-- id bigint, error text
update branch.cuts set state = 'pruned', pruned = now(), error = $2 where id = $1 and state <> 'pruned'

-- old_refs --
-- project text, public_url text, before timestamptz
-- Refs of series that are old in every revision.
select a.ref, max(a.series_id) as series_id from branch.applied a
where a.project = $1 and a.ref <> '' and a.pruned is null and a.published is not null
  and a.public_url = $2
group by a.ref having max(a.published) < $3 order by a.ref limit 200

-- refs_pruned --
-- project text, refs text[], before timestamptz
update branch.applied set pruned = now()
where project = $1 and ref = any($2::text[]) and published < $3 and pruned is null

-- find_series --
-- message_id text
select distinct s.id, s.project, s.message_id, s.title, s.state from ingest.series_v s
where s.message_id = $1 or s.cover_message_id = $1
   or s.id in (select p.series_id from ingest.patches_v p where p.message_id = $1)
order by s.id desc

-- give_order --
-- project text, message_id text, verb text, why text, by text
insert into branch.orders (project, message_id, verb, why, by) values ($1, $2, $3, $4, $5)
on conflict (project, message_id) do update
set verb = excluded.verb, why = excluded.why, by = excluded.by, at = now()

-- take_back_order --
-- project text, message_id text
delete from branch.orders where project = $1 and message_id = $2 returning verb, why

-- list_series --
-- project text (empty: all), most integer
select s.id, s.project, s.message_id, s.title, s.state, s.revision, s.arrived, s.trees,
       coalesce(a.outcome, 'waiting') as outcome, coalesce(a.tree, '') as tree, coalesce(a.reason, '') as reason,
       o.verb, o.why, o.by
from ingest.series_v s
left join branch.applied_v a on a.series_id = s.id and a.revision = s.revision
left join branch.orders_v o on o.project = s.project and o.message_id = s.message_id
where s.state = 'active' and ($1 = '' or s.project = $1) order by s.arrived desc, s.id desc limit $2

-- request_cut --
-- project text, stream text, message_ids text[], by text, why text
insert into branch.requests (project, stream, message_ids, by, why) values ($1, $2, $3, $4, $5) returning id

-- requested_cut --
-- request bigint
select c.id, c.name, c.state, c.commit, c.base, c.error, c.public_url, x.taken, x.left_out, w.waiting
from branch.requests r
left join branch.cuts c on c.id = r.cut_id
left join branch.streams w on w.project = r.project and w.name = r.stream
left join lateral (select count(*) filter (where decision = 'take')::integer as taken,
                          count(*) filter (where decision = 'leave')::integer as left_out
                   from branch.selections where cut_id = c.id) x on true
where r.id = $1

-- any_unpublished --
-- project text
select exists (select from branch.applied where project = $1 and published is null)
       and not exists (select from floor.work where room = 'branch' and kind = 'publish' and key = $1
                       and (state in ('ready', 'leased')
                            or (state = 'dead' and settled > now() - interval '1 hour')))
