"""``netci import nipa``: coming over from a NIPA installation with all that it remembers.

An operator's command, run as the owner of the database. It writes history only: branches that nobody is offered, runs
with their own times, their sums; no event, verdict or post comes of it. What it cannot take it counts and says.
"""
