# An encrypted stick is plugged in: it is unlocked, mounted, written, unmounted, locked and powered off without a hand, and
# only then said to be safe to remove. When it is pulled out in the middle of a copy, nothing of it stays open.

stick usb luks
documents 50
configure <<END
[credentials]
provider = "file"
[volumes.laptop]
path = "~"
[volumes.usb]
drive = "$(uuid usb)"
mount = true
passphrase = "usb"
when-done = "power-off"
[syncs.documents]
source = "laptop:Documents"
destination = "usb:documents"
snapshots = "btrfs"
every = "0s"
END
key=/home/alice/.config/nbkp/credentials/usb
alice sh -ec 'umask 077; mkdir -p "${1%/*}"; printf canary-usb >"$1"' - "$key"

container=$(stick_at usb)-part1
inside=/dev/disk/by-label/usb
unlock() { desktop udisksctl unlock --key-file "$key" --block-device "$container"; }
by_hand() {
    plug usb
    eventually 60 "alice unlocks it" unlock
    eventually 60 "and mounts what is in it" desktop udisksctl mount --block-device "$inside"
}
by_hand
quietly alice nbkpctl prepare documents
quietly desktop udisksctl unmount --block-device "$inside"
quietly desktop udisksctl lock --block-device "$container"
quietly desktop udisksctl power-off --block-device "$(stick_at usb)"
pull usb
start
waits_for destination-volume-absent

closed() { root sh -c '! grep -q "/usb " /proc/mounts && [ "$(ls /dev/mapper)" = control ]'; }
powered_off() { root sh -c '! [ -e "$1" ]' - "$(stick_at usb)"; }
plug usb
ended 1 ok
eventually 30 "it is unmounted and locked" closed
eventually 30 "and powered off" powered_off
eventually 10 "and then said to be safe to remove" journal_tells --grep='safe to remove'
pull usb
waits_for destination-volume-absent

big 60
plug usb 4000000
copying 30
pull usb
note "the stick is pulled out"
ended 2 interrupted 60
eventually 30 "nothing of it is open any more" closed
plug usb
ended 3 ok
eventually 30 "it is unmounted and locked" closed
eventually 30 "and powered off" powered_off
pull usb

quietly manager stop nbkpd
by_hand
holds "the copy is like the source" is_copied /home/alice/Documents /media/alice/usb/documents/latest
holds "the passphrase is in no journal" root sh -c '! journalctl --quiet | grep canary-usb'
holds "nor in the state" alice sh -c '! grep -r canary-usb .local/state/nbkp'
