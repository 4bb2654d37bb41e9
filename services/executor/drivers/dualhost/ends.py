"""The words for the two ends of a link: what sets them up and down, and what the kernel's tests are told. Pure.

`net.config` is the contract of ``tools/testing/selftests/drivers/net/README.rst``: unquoted values, one a line, read by
the kernel's own parser and sourced by its shell tests.
"""

from collections.abc import Mapping, Sequence

from services.executor.drivers.base import MIB, Command, shell
from services.executor.drivers.dualhost.config import LinkConfig

_UP = """
set -e
netif=$1 ns=$2
shift 2
in_ns() { if [ -n "$ns" ]; then ip -n "$ns" "$@"; else ip "$@"; fi; }
if [ -n "$ns" ]; then
    ip netns list | grep -qw "^$ns" || ip netns add "$ns"
    in_ns link show dev "$netif" >/dev/null 2>&1 || ip link set dev "$netif" netns "$ns"
    in_ns link set dev lo up
fi
for address; do
    case $address in
    *:*) in_ns -6 addr replace "$address" dev "$netif" nodad ;;
    *) in_ns addr replace "$address" dev "$netif" ;;
    esac
done
in_ns link set dev "$netif" up
"""

_CARRIER = """
netif=$1 seconds=$2
shift 2
left=$((seconds * 5))
until [ "$(cat "/sys/class/net/$netif/carrier" 2>/dev/null)" = 1 ]; do
    left=$((left - 1))
    [ "$left" -gt 0 ] || { echo "$netif has no carrier after $seconds s" >&2; exit 1; }
    sleep 0.2
done
for address; do
    tries=0
    until ping -c 1 -W 2 -I "$netif" "$address" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ "$tries" -lt 5 ] || { echo "$address does not answer over $netif" >&2; exit 1; }
        sleep 0.2
    done
done
"""

_DOWN = """
[ -n "$1" ] && ip netns del "$1" 2>/dev/null
rm -f ~/.ssh/netci.conf ~/.ssh/netci_key ~/.ssh/netci_known
if [ -f ~/.ssh/authorized_keys ]; then
    grep -v ' netci-lease$' ~/.ssh/authorized_keys >~/.ssh/authorized_keys.netci
    cat ~/.ssh/authorized_keys.netci >~/.ssh/authorized_keys
    rm -f ~/.ssh/authorized_keys.netci
fi
exit 0
"""

_TRUST = """
umask 077
mkdir -p ~/.ssh && touch ~/.ssh/authorized_keys
[ -z "$(tail -c 1 ~/.ssh/authorized_keys)" ] || echo >>~/.ssh/authorized_keys
echo "$1 netci-lease" >>~/.ssh/authorized_keys
"""

# The first line of the account's own configuration leads to ours, which goes when the lease ends.
_REACH = """
umask 077
mkdir -p ~/.ssh && cat >~/.ssh/netci_key
printf '%s\\n' "$1" >~/.ssh/netci_known && printf '%s' "$2" >~/.ssh/netci.conf
line='Include ~/.ssh/netci.conf'
grep -qsxF "$line" ~/.ssh/config && exit 0
touch ~/.ssh/config
{ echo "$line" && cat ~/.ssh/config; } >~/.ssh/config.netci && mv ~/.ssh/config.netci ~/.ssh/config
"""

_FACTS = """
say() { [ -n "$2" ] && echo "$1=$2"; }
say cmdline "$(cat /proc/cmdline)"
for name in sys_vendor product_name bios_version bios_date; do
    say "$name" "$(cat "/sys/class/dmi/id/$name" 2>/dev/null)"
done
say nic_speed "$(cat "/sys/class/net/$1/speed" 2>/dev/null)"
say nic_mtu "$(cat "/sys/class/net/$1/mtu" 2>/dev/null)"
say nic_driver "$(basename "$(readlink "/sys/class/net/$1/device/driver" 2>/dev/null)" 2>/dev/null)"
command -v ethtool >/dev/null || exit 0
ethtool -i "$1" 2>/dev/null | while IFS= read -r line; do
    case $line in
    version:*) say nic_version "${line#*: }" ;;
    firmware-version:*) say nic_firmware "${line#*: }" ;;
    bus-info:*) say nic_bus "${line#*: }" ;;
    esac
done
ethtool -m "$1" 2>/dev/null | sed -n 's/^[[:space:]]*Vendor PN[[:space:]]*: /nic_module=/p'
exit 0
"""


_WRITE = """
text=$1
shift
for folder; do [ -d "$folder" ] && printf %s "$text" >"$folder/net.config"; done
exit 0
"""


def up_dut(link: LinkConfig) -> Command:
    return shell(_UP, link.netif, "", *_addresses(link, "local"))


def up_peer(link: LinkConfig) -> Command:
    """On the peer; or on the machine under test, where that is its namespace."""
    return shell(_UP, link.peer_netif, "" if link.peer else link.namespace, *_addresses(link, "remote"))


def carrier(link: LinkConfig) -> Command:
    """Fails, saying what is missing, unless the other end answers at each of its addresses."""
    seconds = str(max(1, round(link.carrier.total_seconds())))
    remote = [str(address.ip) for address in (link.remote_v4, link.remote_v6) if address is not None]
    return shell(_CARRIER, link.netif, seconds, *remote)


def down(link: LinkConfig) -> Command:
    """Take back, on either machine, what no other lease should find: the namespace, and keys."""
    return shell(_DOWN, "" if link.peer else link.namespace)


def trust(public: str) -> Command:
    """On the peer: let in whoever has the key, until `down`."""
    return shell(_TRUST, public)


def reach(private: bytes, known: str, user: str, host: str, port: int) -> Command:
    """On the machine under test: how ``ssh user@host`` is meant, until `down`."""
    text = (
        f"Host {host}\n    Port {port}\n    User {user}\n    IdentityFile ~/.ssh/netci_key\n    IdentitiesOnly yes\n"
        "    UserKnownHostsFile ~/.ssh/netci_known\n    StrictHostKeyChecking yes\n    BatchMode yes\n"
        "    ControlMaster auto\n    ControlPath /tmp/netci-%C\n    ControlPersist 60\n"
    )
    return shell(_REACH, known, text, stdin=private)


def facts(link: LinkConfig) -> Command:
    return shell(_FACTS, link.netif, cap=MIB)


def read_facts(said: bytes) -> Mapping[str, str]:
    """What a machine says of itself, each value capped: it is shown and never trusted."""
    pairs = (line.partition("=") for line in said.decode(errors="replace").splitlines()[:40])
    return {key: value[:300] for key, sign, value in pairs if sign and key.isidentifier()}


def net_config(link: LinkConfig, remote: str) -> str:
    """The file for tests of drivers. `remote` is how the peer is reached."""
    values = {
        "NETIF": link.netif,
        "LOCAL_V4": str(link.local_v4.ip) if link.local_v4 else "",
        "REMOTE_V4": str(link.remote_v4.ip) if link.remote_v4 else "",
        "LOCAL_V6": str(link.local_v6.ip) if link.local_v6 else "",
        "REMOTE_V6": str(link.remote_v6.ip) if link.remote_v6 else "",
        "LOCAL_PREFIX_V6": link.local_prefix_v6,
        "REMOTE_TYPE": "ssh" if link.peer else "netns",
        "REMOTE_ARGS": remote if link.peer else link.namespace,
    }
    return "".join(f"{key}={value}\n" for key, value in values.items() if value)


def write_config(text: str, folders: Sequence[str]) -> Command:
    """Write it into each of the folders that is there."""
    return shell(_WRITE, text, *folders)


def _addresses(link: LinkConfig, end: str) -> list[str]:
    return [str(one) for one in (getattr(link, f"{end}_v4"), getattr(link, f"{end}_v6")) if one is not None]
