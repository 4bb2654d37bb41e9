"""The process that stands between us and one command in a cage: makes the cage, watches, kills, cleans up.

*Theory of operation.* A process that is to be killed, or may be killed itself at any moment, can't be relied on to
clean up after a command; nor can it make mounts without everything else of it seeing them. So each command has a
warden: a small program of its own that mounts in a namespace of its own, begins the command, looks after its limits
and, when the command ends, is told to end (SIGTERM), or its parent dies (which sends SIGTERM, too), kills what is
left, waits until nothing is, and removes what it made. It is the subreaper of all it begins, so what a command leaves
behind becomes its child and is found. If it is itself killed, bubblewrap dies with it, the mounts vanish with its
namespace, and the folders are swept at the next start.

Started anew for each command, it must start fast: it imports nothing of ours but its own modules, and of Python's
only what costs next to nothing (no dataclasses, typing or json).
"""
