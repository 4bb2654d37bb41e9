-- Tests that are known to be bad: they have failed in each of their last five runs, and no retry healed one of them.
-- executor does not try them a second time.

create view report.known_bad_v as
select s.remote, s.executor, g.name as grp, t.name as test, u.name as subtest
from report.stability s
join ledger.names g on g.id = s.grp
join ledger.names t on t.id = s.test
join ledger.names u on u.id = s.subtest
where s.broken_cur >= 5;

grant select on report.known_bad_v to netci_executor, netci_report;
