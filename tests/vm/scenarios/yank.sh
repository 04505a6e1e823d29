# A slow stick is pulled out in the middle of a copy. The run is interrupted, the finished snapshot stays what it was, and
# when the stick is back, the copy goes on by itself where it stopped.

stick usb btrfs
documents 50
configure <<END
[volumes.laptop]
path = "~"
[volumes.usb]
drive = "$(uuid usb)"
[syncs.documents]
source = "laptop:Documents"
destination = "usb:documents"
snapshots = "btrfs"
END
prepared usb documents
start
plug usb
mounted usb
ended 1 ok
first=$(alice realpath /media/alice/usb/documents/latest)
content=$(fingerprint "$first")
take_out usb
waits_for destination-volume-absent
big 120

plug usb 3000000
mounted usb
eventually 30 "she asks for a copy before the hour is over" ctl run --strict documents
copying 20
root sync --file-system /media/alice/usb # btrfs would write its trees every half a minute only
pull usb
note "the stick is pulled out"
ended 2 interrupted 60
holds "it says that the destination went away" record_says '.error | contains("destination went away")'
waits_for destination-volume-absent
holds "status tells the interrupted run, and that nothing runs" status_says \
    '.running == [] and (.syncs[0] | .last_run.outcome == "interrupted" and .last_success != null)'
holds "no rsync is left" root sh -c '! pgrep -x rsync'

plug usb
mounted usb
holds "there is one finished snapshot" has_snapshots /media/alice/usb/documents 1
holds "it is what it was" unchanged "$first" "$content"
ended 3 ok
holds "it went on where it had stopped" record_says '.bytes_transferred < 110 * 1024 * 1024'
holds "the new snapshot is like the source" is_copied /home/alice/Documents /media/alice/usb/documents/latest
holds "the first one is what it was" unchanged "$first" "$content"
