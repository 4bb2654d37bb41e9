#!/bin/sh
# The first process of a practice machine: all of its root may be written and is as it was after the next boot.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
share="-t 9p -o trans=virtio,version=9p2000.L,msize=262144,ro"
own=/run/netci

mount -t proc proc /proc
mount -t sysfs sys /sys
[ -c /dev/null ] || mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts -o ptmxmode=666 pts /dev/pts
mount -t tmpfs shm /dev/shm
ln -sf /proc/self/fd /dev/fd
mkdir -p "$own/layers" && mount -t tmpfs -o mode=700 layers "$own/layers"
over() { # LOWER AT
    name=$(echo "$2" | tr / _)
    mkdir -p "$own/layers/$name/upper" "$own/layers/$name/work"
    mount -t overlay -o "lowerdir=$1,upperdir=$own/layers/$name/upper,workdir=$own/layers/$name/work" over "$2"
}
for folder in /etc /var /home /opt /srv /boot /lib/modules; do over "$folder" "$folder"; done
mount -t tmpfs -o mode=700 root /root
mount -t tmpfs -o mode=1777 tmp /tmp
mkdir -p /run/sshd "$own/modules"
if mount $share netci-modules "$own/modules" 2>/dev/null; then
    mkdir -p "/lib/modules/$(uname -r)" && mount --bind "$own/modules" "/lib/modules/$(uname -r)"
fi
for module in virtio_net lkdtm; do modprobe "$module" 2>/dev/null; done
mount -t debugfs none /sys/kernel/debug 2>/dev/null

hostname "$(cat "$own/name")"
ip link set lo up
ip addr add 10.0.2.15/24 dev eth0 && ip link set eth0 up
mkdir -p /root/.ssh && cp "$own/authorized" /root/.ssh/authorized_keys && chmod -R go= /root/.ssh
cp "$own/initrd" /boot/initrd
chmod 600 "$own/host_key" && chown 0:0 "$own"/host_key "$own"/authorized
echo 'root:*:1:0:99999:7:::' >/etc/shadow
echo "machine: $(cat "$own/name") is up"
/usr/sbin/sshd -D -f /dev/null -o HostKey="$own/host_key" -o UsePAM=no -o PasswordAuthentication=no -o StrictModes=no \
    -o PermitRootLogin=prohibit-password -o PidFile=none -o UseDNS=no -o MaxStartups=100
echo "machine: sshd ended"
sync
echo b >/proc/sysrq-trigger
