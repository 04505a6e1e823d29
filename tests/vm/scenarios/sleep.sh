# The machine goes to sleep in the middle of a run. The copy is stopped cleanly before it does, and goes on when it has
# woken; also when the stick was pulled out meanwhile, as soon as that is back.

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
asks_to_be_told() {
    root busctl --json=short call org.freedesktop.login1 /org/freedesktop/login1 org.freedesktop.login1.Manager ListInhibitors |
        jq --exit-status '.data[0] | any(.[0] == "sleep" and .[3] == "delay" and .[1] == "Nomad Backup")'
}
before_sleep() {
    local slept
    slept=$(root journalctl --quiet --dmesg --grep='PM: suspend entry' --lines=1 --output=json | jq --raw-output .__REALTIME_TIMESTAMP)
    [[ $(date --date "$1" +%s%6N) -lt $slept ]]
}
holds "it asks to be told before the machine sleeps" asks_to_be_told

plug usb
mounted usb
copying 20
sleep_for 5
note "the machine has slept for 5 s"
ended 1 interrupted 30
holds "the run tells why" record_says '.error | contains("went to sleep")'
holds "it was over before the machine slept" before_sleep "$(jq --raw-output .finished <<<"$record")"
eventually 30 "it asks to be told again" asks_to_be_told
copying 30

sleep_for 3 pull usb
note "the machine has slept again, and the stick was pulled out"
ended 2 interrupted 30
waits_for destination-volume-absent
plug usb
mounted usb
ended 3 ok
holds "it went on where it had stopped" record_says '.bytes_transferred < 55 * 1024 * 1024'
holds "the copy is like the source" is_copied /home/alice/Documents /media/alice/usb/documents/latest
