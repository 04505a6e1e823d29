# The unit of one user under a real service manager: readiness, its status text, the journal's fields, reload, restart and
# stop in the middle of a run, and the watchdog.

stick usb ext4
documents 50
big 40
configure <<END
[daemon]
grace = "1s"
[volumes.laptop]
path = "~"
[volumes.usb]
drive = "$(uuid usb)"
[syncs.documents]
source = "laptop:Documents"
destination = "usb:documents"
snapshots = "hard-link"
rsync = { bandwidth = "2M" }
END
prepared usb documents
start
holds "the unit told that it is ready" unit_says StatusText 'waiting; 1 sync configured'

plug usb
mounted usb
copying 5
holds "the unit's status text tells it" unit_says StatusText 'copying documents to usb, * %'
holds "the journal has the start of the run under its sync and MESSAGE_ID" journal_tells \
    NBKP_SYNC=documents NBKP_TRIGGER=drive MESSAGE_ID=6d0f7c2be0c24e3a9f5b1c7f0a9e1d01
holds "and the drive under its volume" journal_tells NBKP_VOLUME=usb MESSAGE_ID=6d0f7c2be0c24e3a9f5b1c7f0a9e1d07

before=$(unit MainPID)
manager restart nbkpd
holds "it is restarted in the middle of the run" unit_says ActiveState active
ended 1 interrupted 30
holds "the run tells why it was interrupted" record_says '.error | contains("told to stop")'
holds "the journal has its end under its run" journal_tells NBKP_OUTCOME=interrupted \
    MESSAGE_ID=6d0f7c2be0c24e3a9f5b1c7f0a9e1d04 "NBKP_RUN=$(jq --raw-output .id <<<"$record")"
[[ $(unit MainPID) != "$before" ]] || fail "a restart begins another process"
copying 20

manager stop nbkpd
holds "it is stopped in the middle of the run, without complaint" unit_says Result success
holds "no rsync is left" root sh -c '! pgrep -x rsync'
manager start nbkpd
ended 2 interrupted 30

alice sed -i 's/^rsync = .*/max-age = "7d"/' "$(configuration)"
manager reload nbkpd
holds "a reload keeps the process" unit_says ActiveState active
holds "the journal tells that the configuration is in force" journal_tells MESSAGE_ID=6d0f7c2be0c24e3a9f5b1c7f0a9e1d09
ended 3 ok
holds "it went on where it had stopped" record_says '.bytes_transferred < 35 * 1024 * 1024'
holds "the copy is like the source" is_copied /home/alice/Documents /media/alice/usb/documents/latest
alice sh -c 'echo "[syncs.documents" >>"$1"' - "$(configuration)"
manager reload nbkpd
eventually 30 "a file with a mistake is refused, and status says so" status_says '.daemon.config_error != null'
eventually 30 "so does the unit" unit_says StatusText 'waiting; the configuration file has mistakes*'
holds "the one before stays in force" status_says '.syncs[0].overdue_at != null'

# The watchdog: with four seconds in place of sixty.
alice sh -ec 'sed -i \$d "$1"; mkdir .config/systemd/user/nbkpd.service.d
    printf "[Service]\nWatchdogSec=4\n" >.config/systemd/user/nbkpd.service.d/watchdog.conf' - "$(configuration)"
manager daemon-reload
manager restart nbkpd
process=$(unit MainPID)
heard_since() { [[ $(unit WatchdogTimestampMonotonic) != "$1" && $(unit MainPID) == "$process" ]]; }
eventually 30 "the watchdog hears from it" heard_since "$(unit WatchdogTimestampMonotonic)"
holds "it is made to hang" alice kill -STOP "$process"
eventually 60 "the watchdog ends it, and it is started again" unit_says NRestarts 1
eventually 30 "it answers again" status_says ".daemon.pid != $process"
