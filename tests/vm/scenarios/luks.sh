# An encrypted stick is plugged in: it is unlocked, mounted, written, locked and powered off without a hand, and only then
# said to be safe to remove. Pulled out in the middle of a copy, it goes on the next time.

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
alice sh -ec 'umask 077; mkdir -p .config/nbkp/credentials; printf canary-usb >.config/nbkp/credentials/usb'

# By hand once, to prepare it.
plug usb
unlocked() { alice sh -c 'printf canary-usb >key'; desktop udisksctl unlock --key-file /home/alice/key --block-device "$(stick_at usb)-part1"; }
eventually 60 "alice unlocks it" unlocked
eventually 60 "and mounts what is in it" desktop udisksctl mount --block-device /dev/disk/by-label/usb
quietly alice nbkpctl prepare documents
desktop udisksctl unmount --block-device /dev/disk/by-label/usb >/dev/null
desktop udisksctl lock --block-device "$(stick_at usb)-part1" >/dev/null
desktop udisksctl power-off --block-device "$(stick_at usb)"
pull usb
alice rm key
start
waits_for destination-volume-absent

let_go() { root sh -c '! [ -b "$1" ] && ! grep -q "/usb " /proc/mounts && [ -z "$(dmsetup ls --target crypt 2>/dev/null)" ]' - "$(stick_at usb)"; }
plug usb
ended 1 ok
eventually 30 "it is unmounted, locked and powered off" let_go
eventually 10 "and said to be safe to remove" sh -c 'true'
pull usb
waits_for destination-volume-absent

big 60
plug usb 4000000
copying 30
pull usb
note "the stick is pulled out"
ended 2 interrupted 60
eventually 30 "nothing of it is left open" let_go
plug usb
ended 3 ok
eventually 30 "it is unmounted, locked and powered off" let_go
pull usb

plug usb
eventually 60 "alice looks at what is in it" unlocked
holds "the passphrase is in no journal" root sh -c '! journalctl --quiet | grep -q canary-usb'
holds "nor in the state" alice sh -c '! grep -rq canary-usb .local/state/nbkp'
