-- Known issues: failures that are told of and not counted, each for a reason, by somebody, until a day.
create table report.known_issues (
    id bigint generated always as identity primary key,
    project text not null,
    stream text not null default '',
    remote text not null default '',
    executor text not null default '',
    grp text not null default '',
    test text not null default '',
    crash text not null default '',
    reason text not null,
    link text not null default '',
    owner text not null,
    expires timestamptz not null,
    made timestamptz not null default now(),
    made_by text not null,
    ended timestamptz,
    ended_by text not null default '',
    -- A rule says what fails: globs, '' is any. One for everything would say nothing.
    check (test <> '' or crash <> ''),
    check (expires <= made + interval '366 days')
);
create index known_issues_active on report.known_issues (project) where ended is null;

-- What each has matched, by run.
create table report.known_hits (
    issue_id bigint not null references report.known_issues,
    run_id bigint not null,
    grp integer not null,
    test integer not null,
    at timestamptz not null,
    primary key (run_id, grp, test, issue_id)
);
create index known_hits_issue on report.known_hits (issue_id, at desc);

-- Failures that are known are in neither `failed` nor `failing`.
alter table report.rollups add column known integer not null default 0;
alter table report.rollups add column known_tests jsonb not null default '[]';
alter table report.branches add column known integer not null default 0;

-- The last that each patch was told in each context since then, of the newest `most` posts; with `accepted` of patches
-- that were accepted in the end.
create function report.last_checks(since timestamptz, most integer, accepted boolean)
returns table (patch_id bigint, context text, state text, text text, made timestamptz)
language sql stable as $$
    select l.patch_id, l.context, l.state, l.text, l.made
    from (
        select distinct on (o.patch_id, o.context) o.*
        from (select * from report.posts p where p.status in ('posted', 'shadowed') and p.made > since
              order by p.id desc limit most) o
        order by o.patch_id, o.context, o.id desc
    ) l
    where l.state in ('success', 'warning', 'fail')
      and (not accepted or exists (select from ingest.patches_v k where k.id = l.patch_id and k.state = 'accepted'))
$$;
revoke execute on function report.last_checks(timestamptz, integer, boolean) from public;
grant execute on function report.last_checks(timestamptz, integer, boolean) to netci_report;

grant select, insert, update, delete on report.known_issues, report.known_hits to netci_report;
grant usage on all sequences in schema report to netci_report;
