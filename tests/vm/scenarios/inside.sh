# An encrypted stick is named by the filesystem in its container. While it is locked nothing of that is to be seen; once it
# was used while its user had it open, it is opened by itself. A copy that takes long keeps the machine from being idle.

stick usb luks
documents 20
key=/home/alice/.config/nbkp/credentials/usb
alice sh -ec 'umask 077; mkdir -p "${1%/*}"; printf canary-usb >"$1"' - "$key"
container=$(stick_at usb)-part1
inside=/dev/disk/by-label/usb
unlock() { desktop udisksctl unlock --key-file "$key" --block-device "$container"; }
plug usb
eventually 60 "alice unlocks it" unlock
eventually 60 "and mounts what is in it" desktop udisksctl mount --block-device "$inside"
configure <<END
[credentials]
provider = "file"
[volumes.laptop]
path = "~"
[volumes.usb]
drive = "$(root blkid --output value --match-tag UUID "$inside")"
mount = true
passphrase = "usb"
when-done = "lock"
[syncs.documents]
source = "laptop:Documents"
destination = "usb:documents"
snapshots = "btrfs"
every = "0s"
END
quietly alice nbkpctl prepare documents
closed() { root sh -c '! grep -q "/usb " /proc/mounts && [ "$(ls /dev/mapper)" = control ]'; }
start
ended 1 ok
eventually 30 "it is unmounted and locked" closed
pull usb
waits_for destination-volume-absent

big 30
awake() { root systemd-inhibit --list --no-pager | grep --quiet 'Nomad Backup.*idle'; }
asleep() { ! awake; }
holds "the machine may be idle" asleep
plug usb 1500000
copying 30
eventually 30 "the machine is kept awake" awake
ended 2 ok
eventually 30 "it is unmounted and locked" closed
eventually 30 "the machine may be idle again" asleep
pull usb

quietly manager stop nbkpd
plug usb
eventually 60 "alice unlocks it" unlock
eventually 60 "and mounts what is in it" desktop udisksctl mount --block-device "$inside"
holds "the copy is like the source" is_copied /home/alice/Documents /media/alice/usb/documents/latest

# Another filesystem in the same container is not mounted.
root sh -ec 'umount /media/alice/usb; mkfs.ext4 -q -F -L usb "$(readlink -f "$1")"; udevadm settle
    cryptsetup close "$(basename "$(ls /dev/mapper/luks-*)")"' - "$inside"
pull usb
moment=$(root date +%s)
quietly manager start nbkpd
plug usb
refused() { status_says '.syncs[0].obstacles | any(.message | contains("another filesystem"))'; }
eventually 90 "what is in it is told to be another" refused
eventually 60 "it is locked again" closed
never_mounted() { root sh -c '! journalctl --quiet --since="@$1" --identifier=udisksd | grep "Mounted /dev/dm"' - "$moment"; }
holds "and was never mounted" never_mounted
