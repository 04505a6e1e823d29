# The unit of a whole machine, with all that it takes away from itself: a btrfs job with snapshots and pruning, of files
# with every kind of owner, mode and attribute, to a stick that root mounts while the daemon runs.

who=root
root sh -c 'cat >/etc/systemd/system/nbkpd.service' <systemd/nbkpd-system.service
stick usb btrfs
root sh -ec 'mkdir -p /etc/nbkp /srv/data/shared /mnt/usb; cd /srv/data
    seq 20000 | split --lines=100 - letter-
    chown alice: letter-aa; chown 4242:4343 letter-ab; chmod 600 letter-ab; chmod 000 letter-ac
    chgrp nas shared; chmod 2775 shared; cp /bin/true shared/tool; chmod 4755 shared/tool
    cp /bin/true capable; setcap cap_net_raw+ep capable
    mknod null c 1 3; mknod disk b 8 0; mkfifo pipe; ln -s /nowhere link; ln letter-aa hard'
configure <<END
[daemon]
grace = "1s"
[volumes.data]
path = "/srv/data"
[volumes.usb]
drive = "$(uuid usb)"
[syncs.data]
source = "data"
destination = "usb:data"
snapshots = "btrfs"
keep = { last = 1 }
every = "0s"
rsync = { extra-options = ["--xattrs", "--hard-links"] }
END
start
holds "it runs as root with few capabilities" root sh -c '[ "$(sed -n "s/^CapBnd:\s*//p" /proc/$1/status)" = 000000008820001f ]' - "$(unit MainPID)"

plug usb
eventually 60 "root mounts the stick" root mount "$(stick_at usb)-part1" /mnt/usb
eventually 60 "the daemon prepares it" ctl prepare data
ended 1 ok
holds "the copy has all owners, modes, attributes and nodes" is_copied /srv/data /mnt/usb/data/latest
holds "hard links are links" root sh -c '[ "$(stat -c %h /mnt/usb/data/latest/hard)" = 2 ]'
first=$(root realpath /mnt/usb/data/latest)
root sh -c 'echo news >/srv/data/letter-aa'
holds "a second run is asked for, and goes well" ctl run data --wait
holds "the first snapshot is pruned" root sh -c '! [ -e "$1" ]' - "$first"
holds "there is one, like the source" is_copied /srv/data /mnt/usb/data/latest
holds "and nothing else" has_snapshots /mnt/usb/data 1
holds "the journal tells it" journal_tells NBKP_SYNC=data NBKP_OUTCOME=ok

holds "the daemon does not keep the stick from being unmounted" root umount /mnt/usb
pull usb
waits_for destination-volume-absent
holds "it is stopped without complaint" manager stop nbkpd
holds "its result is success" unit_says Result success
