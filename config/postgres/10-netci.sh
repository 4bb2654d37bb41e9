#!/bin/sh
# Once, in an empty cluster: the owner, a login for every room with a password of its own, and the database.
# The passwords come from a file of "role password" lines. Rights are granted by netci's migrations.
set -eu

while read -r role word; do
    [ -n "$role" ] || continue
    # psql quotes both; nothing of the file is ever read as SQL.
    psql -v ON_ERROR_STOP=1 -q --username "${POSTGRES_USER:-postgres}" --dbname postgres \
        --set role="$role" --set word="$word" <<'SQL'
create role :"role" login password :'word' nocreatedb nocreaterole;
SQL
done < "${NETCI_ROLES_FILE:-/run/secrets/database_roles}"

psql -v ON_ERROR_STOP=1 -q --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
create database netci owner netci encoding 'UTF8' template template0;
revoke all on database netci from public;
grant connect on database netci to netci_ingest, netci_branch, netci_executor, netci_checks, netci_report;
-- Two halves of one room: a login each, the same rights.
grant netci_executor to netci_checks;
SQL
