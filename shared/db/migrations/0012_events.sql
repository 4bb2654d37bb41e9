-- What readers of events ask for.
select 1;
