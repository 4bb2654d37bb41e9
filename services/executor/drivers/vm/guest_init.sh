#!/bin/sh
# The first process of a guest: whatever the kernel lacks is in place, the root is mounted read-only, and in /run/netci
# lies what this guest was given: this script, its host key, the key that may log in, and `place`, its work folder.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
say() { echo "netci: $*"; }
share="-t 9p -o trans=virtio,version=9p2000.L,msize=262144,ro"
own=/run/netci

mount -t proc proc /proc
mount -t sysfs sys /sys
[ -c /dev/null ] || mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts -o ptmxmode=666 pts /dev/pts
mount -t tmpfs shm /dev/shm
# Tests say much to /dev/stdout, which a bare devtmpfs has not.
ln -sf /proc/self/fd /dev/fd
for n in 0:stdin 1:stdout 2:stderr; do ln -sf "/proc/self/fd/${n%%:*}" "/dev/${n#*:}"; done

mkdir -p "$own/layers" && mount -t tmpfs -o mode=700 layers "$own/layers"
over() { # LOWER AT: writable, and as it was for the next guest
    name=$(echo "$2" | tr / _)
    mkdir -p "$own/layers/$name/upper" "$own/layers/$name/work" "$2" 2>/dev/null
    mount -t overlay -o "lowerdir=$1,upperdir=$own/layers/$name/upper,workdir=$own/layers/$name/work" over "$2"
}
for folder in /etc /var /home /opt /srv; do [ -d "$folder" ] && over "$folder" "$folder"; done
mount -t tmpfs -o mode=700 root /root
mount -t tmpfs -o mode=1777 tmp /tmp
mkdir -p /run/sshd /run/lock /var/tmp && chmod 1777 /var/tmp
for pair in bpf:/sys/fs/bpf debugfs:/sys/kernel/debug tracefs:/sys/kernel/tracing cgroup2:/sys/fs/cgroup \
    securityfs:/sys/kernel/security configfs:/sys/kernel/config; do
    [ -d "${pair#*:}" ] && mount -t "${pair%%:*}" none "${pair#*:}" 2>/dev/null
done

mkdir -p "$own/modules" "$own/lower"
if mount $share netci-modules "$own/modules" 2>/dev/null; then
    if [ ! -d "/lib/modules/$(uname -r)" ]; then over /lib/modules /lib/modules; fi
    mkdir -p "/lib/modules/$(uname -r)" 2>/dev/null
    mount --bind "$own/modules" "/lib/modules/$(uname -r)" || say "no modules: /lib/modules cannot be written"
fi

work=$(cat "$own/place")
mkdir -p "$work" && mount $share netci-work "$own/lower" && over "$own/lower" "$work" || say "no work folder"

hostname netci-guest 2>/dev/null || echo netci-guest >/proc/sys/kernel/hostname
command -v ip >/dev/null && ip link set lo up
chmod 600 "$own"/*key* 2>/dev/null
chown -R 0:0 "$own/host_key" "$own/authorized" "$own/init" "$own/place" 2>/dev/null
grep -q ^sshd: /etc/passwd || echo 'sshd:x:74:65534::/run/sshd:/usr/sbin/nologin' >>/etc/passwd
grep -q ^root: /etc/passwd || echo 'root:x:0:0:root:/root:/bin/sh' >>/etc/passwd
# An account without a line there, or one that may not be read, could be taken for a locked one.
echo 'root:*:1:0:99999:7:::' >"$own/shadow" && cat "$own/shadow" >/etc/shadow 2>/dev/null || {
    rm -f /etc/shadow && cp "$own/shadow" /etc/shadow
}
sshd=$(command -v sshd) || say "there is no sshd in the guest's root"

port=
for found in /sys/class/virtio-ports/*; do
    [ "$(cat "$found/name" 2>/dev/null)" = netci ] && port=/dev/${found##*/}
done
[ -c "$port" ] || say "the port that carries SSH is not there: the kernel needs VIRTIO_CONSOLE"
say "ready"
while [ -n "$sshd" ] && [ -c "$port" ]; do
    "$sshd" -i -e -f /dev/null -h "$own/host_key" -o AuthorizedKeysFile="$own/authorized" -o UsePAM=no -o UseDNS=no \
        -o StrictModes=no -o PermitRootLogin=prohibit-password -o PasswordAuthentication=no -o PrintMotd=no \
        -o PrintLastLog=no -o LogLevel=QUIET <>"$port" >&0 2>/dev/null
    sleep 0.1
done
poweroff -f 2>/dev/null || echo o >/proc/sysrq-trigger
sleep 60
