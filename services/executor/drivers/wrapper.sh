#!/bin/sh
# Run commands for the youngest lease only. Needs setsid and /proc; flock is used where there is one.
#
#   wrapper take  STATE LEASE SESSION GRACE RUN       own the host: end what other sessions left, make the work folder
#   wrapper run   STATE LEASE SESSION ID CWD MERGE THEN [NAME=VALUE...] -- WORD...
#   wrapper end   STATE LEASE SESSION ID GRACE        end one command
#   wrapper leave STATE LEASE SESSION GRACE           end everything of this session
#   wrapper clean STATE LEASE SESSION                 the host has been reset
#
# THEN is run when the command is over, for the same price; what it says comes on standard error after a line of its own.
#
# STATE/lease holds the highest number seen, STATE/groups/ID the session leader of each running command.
# Exit 97: the lease is old. 96: this host cannot serve. 95: something does not end. All three say so on standard
# error in a line that begins with SESSION, which no test can know by accident.

umask 077
since=
verb=$1 state=$2 lease=$3 session=$4
shift 4
read -r boot 2>/dev/null </proc/sys/kernel/random/boot_id

fail() {
    code=$1
    shift
    echo "netci-wrapper $session $*" >&2
    exit "$code"
}

lock() {
    if command -v flock >/dev/null 2>&1; then
        exec 9>"$state/lock" && flock -w 60 9 || fail 96 "cannot lock $state"
        return
    fi
    tries=0
    until mkdir "$state/locked" 2>/dev/null; do
        tries=$((tries + 1))
        # A holder keeps it for milliseconds: after a minute it is dead.
        [ "$tries" -gt 600 ] && rm -rf "$state/locked"
        sleep 0.1
    done
}

unlock() {
    exec 9>&-
    rmdir "$state/locked" 2>/dev/null
    return 0
}

# Under the lock: refuse an old number, remember a new one.
admit() {
    seen=
    [ -f "$state/lease" ] && read -r seen <"$state/lease"
    case $seen in '' | *[!0-9]*) seen=0 ;; esac
    if [ "$lease" -lt "$seen" ]; then
        unlock
        fail 97 "refused: lease $lease is older than $seen"
    fi
    [ "$lease" -eq "$seen" ] || { echo "$lease" >"$state/lease.new" && mv "$state/lease.new" "$state/lease"; }
}

# started PID: when the kernel started it, in ticks since boot. A pid alone may have a new owner.
started() {
    IFS= read -r line 2>/dev/null <"/proc/$1/stat" || return 1
    # The name between the brackets may hold anything; only numbers follow the last bracket.
    set -- ${line##*) }
    shift 19
    echo "$1"
}

# Find in $found the processes whose session is led by one of $leaders, or that carry $mark in their environment (but
# not $but). With $since, a process, only those that are younger are looked at, and if there are none no program is
# begun: this is done after every command. In a process's record stand state, parent, group, session, after a name that
# may hold anything.
living() {
    found= files= any= young=
    for leader in $leaders; do any="$any|$leader"; done
    led="\\) [^ZX] -?[0-9]+ -?[0-9]+ (${any#|}) "
    if [ -n "$since" ] && read -r a b c d last 2>/dev/null </proc/loadavg && [ "$last" -ge "$since" ]; then
        # Numbers have not begun anew since.
        for folder in /proc/[0-9]*; do
            [ "${folder#/proc/}" -gt "$since" ] && young="$young $folder/stat $folder/environ"
        done
        [ -n "$young" ] || return
    fi
    if [ -z "$but" ]; then
        [ -n "$any" ] && looked="$led|^$mark\$" || looked="^$mark\$"
        files=$(LC_ALL=C grep -lszE "$looked" ${young:-/proc/[0-9]*/stat /proc/[0-9]*/environ} 2>/dev/null)
    else
        [ -n "$any" ] && files=$(LC_ALL=C grep -lszE "$led" /proc/[0-9]*/stat 2>/dev/null)
        for file in $(LC_ALL=C grep -lszxF -e "$mark" /proc/[0-9]*/environ 2>/dev/null); do
            LC_ALL=C grep -qszxF -e "$but" "$file" 2>/dev/null || files="$files $file"
        done
    fi
    for file in $files; do
        pid_=${file#/proc/}
        pid_=${pid_%/*}
        case " $found " in *" $pid_ "*) ;; *) found="$found $pid_" ;; esac
    done
}

# end_living GRACE LOOKS: TERM, KILL after GRACE seconds, until nothing is left; 1 if something stays for 5 s more.
# A process that is just becoming another program shows no environment: LOOKS empty looks in a row are believed,
# and always two once something was found.
end_living() {
    tenths=$(($1 * 10)) looks=$2 waited=0 quiet=0
    while :; do
        living
        if [ -z "$found" ]; then
            quiet=$((quiet + 1))
            [ "$quiet" -ge "$looks" ] && return 0
        else
            quiet=0 looks=2
            if [ "$waited" -ge "$tenths" ]; then
                kill -KILL $found 2>/dev/null
            elif [ "$waited" -eq 0 ]; then
                kill -TERM $found 2>/dev/null
            fi
        fi
        [ "$waited" -ge $((tenths + 50)) ] && return 1
        waited=$((waited + 1))
        sleep 0.1
    done
}

# Collect in $leaders the leaders of other sessions' commands that are still the processes they were.
former_leaders() {
    leaders=
    for record in "$state"/groups/*; do
        read -r pid owner ticks was 2>/dev/null <"$record" || continue
        [ "$owner" = "$session" ] && continue
        records="$records $record"
        [ "$was" = "$boot" ] || continue
        now=$(started "$pid") && [ "$now" != "$ticks" ] && continue
        leaders="$leaders $pid"
    done
}

take() {
    grace=$1 run=$2
    command -v setsid >/dev/null 2>&1 || fail 96 "needs setsid"
    [ -r /proc/self/stat ] || fail 96 "needs /proc"
    lock
    # Where nobody ever had a lease, one look is enough to see that nobody left anything.
    [ -f "$state/lease" ] && former=yes || former=
    admit
    unlock
    records=
    former_leaders
    mark="NETCI_STATE=$state" but="NETCI_SESSION=$session"
    living
    set -- $found
    ended=$#
    if [ -n "$former$found" ]; then
        end_living "$grace" 2 || fail 95 "left-over processes do not end:$found"
    fi
    [ -n "$records" ] && rm -f $records
    mkdir -p "$state/runs/$run" || fail 96 "cannot write to $state"
    for other in "$state"/runs/*; do
        [ "$other" = "$state/runs/$run" ] || rm -rf "$other"
    done
    was=
    [ -f "$state/dirty" ] && read -r was <"$state/dirty"
    [ -n "$was" ] && [ "$was" = "$boot" ] && echo "dirty=1"
    echo "$boot" >"$state/dirty"
    echo "ended=$ended"
    echo "work=$state/runs/$run"
    # In this order, whatever order they are asked for in.
    set -- $(uname -n -r -m)
    echo "hostname=$1"
    echo "kernel=$2"
    echo "machine=$3"
    echo "cpus=$(getconf _NPROCESSORS_ONLN 2>/dev/null)"
}

# The command becomes a session of its own, so that all it starts can be found and ended later.
start() {
    (
        cd "$cwd" || exit 1
        until [ "$1" = -- ]; do
            export "$1"
            shift
        done
        shift
        export NETCI_STATE="$state" NETCI_SESSION="$session" NETCI_COMMAND="$id"
        exec setsid "$@"
    ) <&3 3<&- 9>&- &
    pid=$!
}

run() {
    id=$1 cwd=$2 merge=$3 then=$4
    shift 4
    lock
    admit
    # A shell gives a background command no input unless it is named.
    exec 3<&0
    if [ "$merge" = 1 ]; then start "$@" 2>&1; else start "$@"; fi
    echo "$pid $session $(started "$pid") $boot" >"$state/groups/$id"
    unlock
    exec 3<&-
    wait "$pid"
    code=$?
    leaders=$pid mark="NETCI_COMMAND=$id" but= since=$pid
    end_living 1 1
    rm -f "$state/groups/$id"
    if [ -n "$then" ]; then
        printf '\nnetci-then %s\n' "$session" >&2
        (eval "$then") </dev/null >&2
    fi
    exit "$code"
}

end() {
    id=$1
    mark="NETCI_COMMAND=$id" but=
    read -r leaders rest 2>/dev/null <"$state/groups/$id" || leaders=
    end_living "$2" 2 || fail 95 "processes do not end:$found"
}

leave() {
    leaders= mark="NETCI_SESSION=$session" but=
    for record in "$state"/groups/*; do
        read -r pid owner rest 2>/dev/null <"$record" || continue
        [ "$owner" = "$session" ] && leaders="$leaders $pid"
    done
    end_living "$1" 2 || fail 95 "processes do not end:$found"
    # Whoever was taken over learns it here, before it resets a host that is no longer its own.
    lock
    admit
    unlock
}

clean() {
    lock
    admit
    rm -f "$state/dirty"
    unlock
}

[ -d "$state/groups" ] || mkdir -p "$state/groups" || fail 96 "cannot write to $state"
case $verb in
take | run | end | leave | clean) "$verb" "$@" ;;
*) fail 96 "no such verb: $verb" ;;
esac
