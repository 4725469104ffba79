#!/bin/sh
# boot.sh ROOT GROUP: becomes a process whose only child is systemd, as process 1 of the Debian in ROOT: with mounts, processes and
# cgroups (those below GROUP) of its own, the network of this machine, and a kernel that it cannot configure, as in a container.
set -eu
echo $$ >"$2/cgroup.procs"
exec unshare --fork --kill-child --pid --cgroup --mount --propagation private --uts --ipc sh -ec '
    mount --bind "$0" "$0"
    cd "$0"
    mount -t proc proc proc
    mount -t sysfs -o ro sysfs sys
    mount -t cgroup2 cgroup2 sys/fs/cgroup
    mount --bind proc/sys proc/sys
    mount -o remount,bind,ro proc/sys
    mount -t tmpfs -o mode=755 tmpfs run
    mount -t tmpfs -o mode=755 tmpfs dev
    mkdir dev/shm dev/pts
    mount -t tmpfs tmpfs dev/shm
    mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
    for device in null zero full random urandom tty; do
        touch "dev/$device"
        mount --bind "/dev/$device" "dev/$device"
    done
    ln -s pts/ptmx dev/ptmx
    ln -s /proc/self/fd dev/fd
    # Not chroot: who is in one may make no user namespace.
    pivot_root . .
    exec env -i container=novacompat PATH=/usr/sbin:/usr/bin:/sbin:/bin sh -ec "umount -l . && exec /lib/systemd/systemd"' "$1"
