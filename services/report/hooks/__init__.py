"""Webhooks out: what happens, told to whoever registered an address for it.

Theory of operation. One process of the installation follows the log behind a cursor and turns each event into rows, one
for each endpoint that wants it and may see it, in the transaction that moves the cursor (`follow`). The same process
takes rows up, one at a time for each endpoint (`sender`): the attempt is a row before the request goes out and is
settled after the answer (`carry`), so an attempt that we died in is found and counted as of unknown outcome, never
repeated as if it had not been. What comes after an attempt, `schedule` decides; what an endpoint may see, `sees`.

Bodies are CloudEvents in structured JSON, signed as Standard Webhooks 1.0 has it. Secrets are sealed (`seal`).
"""
