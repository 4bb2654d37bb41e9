-- Webhooks of report.
select 1;
