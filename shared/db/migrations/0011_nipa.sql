-- What comes from NIPA and goes to its readers.
select 1;
