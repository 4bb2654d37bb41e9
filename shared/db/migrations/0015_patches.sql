-- report: what is said of single patches.

-- `patch` is the number of a patch in its series, 0 the series as a whole. What a patch is told of itself goes before
-- what its series is told in the same context.
alter table report.verdicts
    add column patch integer not null default 0,
    drop constraint verdicts_pkey,
    add primary key (series_id, context, patch);

-- What labs said of single patches stood as one word of the series; it is said anew, of each patch.
delete from report.verdicts v
where not v.by_hand
  and exists (select from ledger.checks k
              where k.series_id = v.series_id and k.revision = v.revision and k.context = v.context and k.patch > 0)
  and not exists (select from ledger.checks k
                  where k.series_id = v.series_id and k.revision = v.revision and k.context = v.context and k.patch = 0);

create or replace view report.verdicts_v as
select series_id, revision, context, project, state, settled, text, reasons, cut_id, patch_number, at, patch
from report.verdicts;

-- What was said of late, and who was told.
create index checks_at on ledger.checks (project, at);
create index verdicts_at on report.verdicts (project, at);
