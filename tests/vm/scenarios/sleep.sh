# The machine is put to sleep in the middle of a run. The copy is stopped cleanly before it sleeps, and goes on by itself
# when it wakes.

stick usb ext4
documents 50
big 60
configure <<END
[volumes.laptop]
path = "~"
[volumes.usb]
drive = "$(uuid usb)"
[syncs.documents]
source = "laptop:Documents"
destination = "usb:documents"
snapshots = "hard-link"
rsync = { bandwidth = "3M" }
END
prepared usb documents
start
holds "it asks to be told before the machine sleeps" root sh -c 'busctl call org.freedesktop.login1 /org/freedesktop/login1 \
    org.freedesktop.login1.Manager ListInhibitors | grep -q "\"sleep\" \"Nomad Backup\" .* \"delay\""'

plug usb
mounted usb
copying 20
sleep_for 5
note "the machine has slept for 5 s"
ended 1 interrupted 30
holds "the run tells why" record_says '.error | contains("went to sleep")'
awake=$(date +%s)
ended 2 ok
holds "nothing began in the settle time after the wake" record_says \
    "(.started | sub(\"\\\\.[0-9]+\"; \"\") | fromdateiso8601) - $awake >= 0"
holds "it went on where it had stopped" record_says '.bytes_transferred < 55 * 1024 * 1024'
holds "the copy is like the source" is_copied Documents /media/alice/usb/documents/latest
holds "it asks to be told again" root sh -c 'busctl call org.freedesktop.login1 /org/freedesktop/login1 \
    org.freedesktop.login1.Manager ListInhibitors | grep -q "\"sleep\" \"Nomad Backup\" .* \"delay\""'

note "and asleep when the stick is pulled out"
