# A stick is plugged in and mounted by its user, and the backup happens. Plugged in again, only what changed is copied.

stick usb btrfs
documents 200
configure <<END
[volumes.laptop]
path = "~"
[volumes.usb]
drive = "$(uuid usb)"
[syncs.documents]
source = "laptop:Documents"
destination = "usb:documents"
snapshots = "btrfs"
every = "0s"
END
prepared usb documents
start
waits_for destination-volume-absent

plug usb
waits_for destination-not-mounted
mounted usb
ended 1 ok
holds "all 200 files were copied" record_says '.files_transferred == 200'
holds "the snapshot is like the source" is_copied /home/alice/Documents /media/alice/usb/documents/latest
holds "the snapshot is read-only" alice sh -c '! touch /media/alice/usb/documents/latest/new 2>/dev/null'
first=$(alice realpath /media/alice/usb/documents/latest)
content=$(fingerprint "$first")

take_out usb
waits_for destination-volume-absent
alice sh -c 'echo news >Documents/letter-aaaa'

plug usb
mounted usb
ended 2 ok
holds "only what had changed was copied" record_says '.files_transferred == 1 and .bytes_transferred < 10000'
holds "the new snapshot is like the source" is_copied /home/alice/Documents /media/alice/usb/documents/latest
holds "the first snapshot is what it was" unchanged "$first" "$content"
