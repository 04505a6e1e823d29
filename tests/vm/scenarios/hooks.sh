# The user's programs under the units with all their limits: set-user-id programs, another user's rights, mounts, output,
# exit codes, cancelling. They run in units of their own, which only a real service manager has.

root sh -ec 'cp /usr/bin/id /usr/local/bin/who-am-i; chmod 4755 /usr/local/bin/who-am-i
    printf "#!/bin/sh\necho set-user-id fails here >&2\ntest \"\$(who-am-i -u)\" = 0\n" >/usr/local/bin/needs-root
    printf "#!/bin/sh\nset -e\nmkdir -p /srv/mounted\nmountpoint -q /srv/mounted || mount -t tmpfs none /srv/mounted\nmkdir -p /srv/mounted/it\ntouch /srv/mounted/.nbkp-vol /srv/mounted/it/.nbkp-src\nrunuser -u alice -- sh -c \"echo mounted >/tmp/by-alice\"\ncp /tmp/by-alice /srv/mounted/it/a\n" >/usr/local/bin/mounts
    chmod 755 /usr/local/bin/needs-root /usr/local/bin/mounts
    mkdir -p /srv/copies; chown alice: /srv/copies'
documents 1
# hooked HOOKS: alice copies to a directory, with these hooks.
hooked() {
    configure <<END
[daemon]
settle = "100ms"
[volumes.laptop]
path = "~"
[volumes.disk]
path = "/srv/copies"
[syncs.documents]
source = "laptop:Documents"
destination = "disk:documents"
hooks = { $1 }
END
}
run() { ctl run documents --wait --force; }
# told_by_run TEXT: a run is asked for, does not end well, and says this.
told_by_run() {
    if said=$(run 2>&1) || [[ $said != *"$1"* ]]; then
        note "it says: $said"
        return 1
    fi
}

hooked 'before = ["needs-root"], after = ["sh", "-c", "echo $NBKP_OUTCOME $NBKP_FILES $$ >told"]'
quietly alice nbkpctl prepare documents
start
ended 1 ok
holds "the daemon itself may not gain rights" root sh -c 'grep -q "NoNewPrivs:.1" /proc/$1/status' - "$(unit MainPID)"
holds "the hook behind it was told how it ended, by a shell of its own" alice grep -Ex 'ok 1 [0-9]+' told
doctor_is_content() { ! ctl doctor | grep -i "hook .before.*set-user-id"; }
holds "doctor has no doubts about hooks" doctor_is_content

hooked 'before = ["sh", "-c", "echo first; echo the last word >&2; exit 3"]'
manager reload nbkpd
holds "a hook that says no is told with its code and its last word" told_by_run "ended with code 3: the last word"
hooked 'before = ["sh", "-c", "echo not today >&2; exit 75"]'
manager reload nbkpd
holds "one that says not now, too" told_by_run "not the time: not today"
hooked 'before = ["no-such-interpreter"]'
root sh -c 'printf "#!/no/such/program\n" >/usr/local/bin/no-such-interpreter; chmod 755 /usr/local/bin/no-such-interpreter'
manager reload nbkpd
holds "one that cannot be started is a failure" told_by_run "hook"

hooked 'before = ["sh", "-c", "trap : TERM; sleep 1000 & sleep 1001; sleep 1002"], interrupted = ["sh", "-c", "echo $NBKP_OUTCOME >told"]'
manager reload nbkpd
quietly ctl run documents --force
eventually 60 "a hook runs" root pgrep -f 'sleep 100[012]'
holds "it is in a unit of its own" sh -c '! grep -q nbkpd.service' <<<"$(root sh -c 'cat /proc/$(pgrep -fx "sleep 1001" | head -n 1)/cgroup')"
quietly ctl cancel documents
eventually 60 "it is ended with all that it started, though it does not want to" root sh -c '! pgrep -f "sleep 100[012]"'
eventually 60 "the hook of an interrupted run was called" alice grep -x interrupted told
eventually 60 "no unit of it is left" sh -c '! grep -q nbkp-' <<<"$(manager list-units --all --plain --no-legend 'nbkp-*')"
manager stop nbkpd

# Root's: another user's rights, and a mount that everybody sees.
who=root
root sh -c 'cat >/etc/systemd/system/nbkpd.service' <systemd/nbkpd-system.service
root mkdir -p /etc/nbkp /srv/root-copies /srv/mounted
configure <<END
[volumes.mounted]
path = "/srv/mounted"
[volumes.disk]
path = "/srv/root-copies"
[syncs.documents]
source = "mounted:it"
destination = "disk:documents"
hooks = { before = ["mounts"] }
END
quietly root mounts
root touch /srv/mounted/.nbkp-vol
quietly root nbkpctl prepare documents
root umount /srv/mounted
start
ended 1 ok
holds "what the hook mounted as root, and alice wrote for it, is copied" root grep -x mounted /srv/root-copies/documents/a
holds "its mount is one of the machine" root mountpoint -q /srv/mounted
