# A stick is plugged into the server, encrypted and closed. When alice is at home it is unlocked and mounted there for her
# copy, over ssh and with the passphrase from her machine, and closed behind it. When the connection breaks, it stays open
# until she is back, and is closed then.

stick attic luks
documents 50
root systemctl start radios nas
root sh -ec 'install -d -m 700 -o nas /home/nas/.ssh
    install -d -m 700 -o alice /home/alice/.ssh
    su alice -c "ssh-keygen -q -t ed25519 -N \"\" -f ~/.ssh/id_ed25519"
    install -m 600 -o nas /home/alice/.ssh/id_ed25519.pub /home/nas/.ssh/authorized_keys
    sed "s/^/nas.home /" /etc/ssh/ssh_host_ed25519_key.pub | su alice -c "cat >~/.ssh/known_hosts"'
key=/home/alice/.config/nbkp/credentials/attic
alice sh -ec 'umask 077; mkdir -p "${1%/*}"; printf canary-attic >"$1"' - "$key"
configure <<END
[locations.home]
ssids = ["Lighthouse"]
[ssh-endpoints.nas]
host = "nas.home"
user = "nas"
locations = ["home"]
[credentials]
provider = "file"
[volumes.laptop]
path = "~"
[volumes.attic]
ssh = ["nas"]
drive = "$(uuid attic)"
mount = true
passphrase = "attic"
when-done = "power-off"
[syncs.documents]
source = "laptop:Documents"
destination = "attic:documents"
snapshots = "hard-link"
rsync = { bandwidth = "2M" }
END
container=$(stick_at attic)-part1
plug attic
eventually 60 "the stick is in the server" root test -b "$container"
# The whole filesystem belongs to the account that ssh enters there.
root sh -ec 'cryptsetup open --key-file "$1" "$2" new; mount /dev/mapper/new /mnt; chown nas: /mnt; umount /mnt' \
    - "$key" "$container"
inside=$(root blkid --output value --match-tag UUID /dev/mapper/new)
root cryptsetup close new

start
join() { desktop nmcli --wait 60 connection up home; }
root systemctl start addresses
eventually 120 "alice joins the network at home" join
eventually 60 "status says where she is" status_says '.locations == ["home"]'
refused() { ! ctl mount attic 2>"$machine/said" && grep --quiet 'polkit does not let this account' "$machine/said"; }
eventually 60 "without a rule it may not be unlocked" refused

# The rule for the account at the server, with the UUID of what is inside, as the page on polkit tells.
ctl drives polkit --volume attic | sed "s/var uuids = \\[/&\n        \"$inside\",/" |
    root sh -c 'cat >/etc/polkit-1/rules.d/60-nbkp-nas.rules; systemctl restart polkit'
eventually 60 "with a rule it can be mounted" ctl mount attic
# What the journal tells of how the stick was left, with the time.
left() { journal --output=short-precise --grep='safe to remove' | grep 'drive `attic`'; }
# It was said already when it could not be unlocked.
before=$(left | wc -l) || true
calls_it_safe() { [[ $(left | wc -l) == $((before + $1)) ]]; }
holds "and prepared" ctl prepare documents

closed() { root sh -c '! grep -q "/attic " /proc/mounts && [ "$(ls /dev/mapper)" = control ]'; }
is_open() { ! closed; }
ended 1 ok
eventually 60 "the stick is unmounted and locked" closed
eventually 30 "and then said to be safe to remove" calls_it_safe 1

big 60
holds "she asks for a copy" ctl run documents
copying 20
root systemctl stop access-point
note "the access point is gone"
ended 2 interrupted 60
holds "the stick is still open there" is_open
calls_it_safe 1 || fail "nobody was to call it safe: $(left)"
note "and nobody calls it safe"
root systemctl start addresses
eventually 120 "the access point is back, and alice joins it" join
ended 3 ok
holds "it went on where it had stopped" record_says '.bytes_transferred < 55 * 1024 * 1024'
eventually 60 "the stick is unmounted and locked" closed
eventually 30 "and only then said to be safe to remove" calls_it_safe 2
eventually 60 "alice looks at it" ctl mount attic
holds "the copy is like the source" is_copied /home/alice/Documents /media/nas/attic/documents/latest --no-owner --no-group
holds "she lets it go" ctl unmount attic
holds "it is unmounted and locked" closed

quietly manager stop nbkpd
holds "the passphrase is in no journal" root sh -c '! journalctl --quiet | grep canary-attic'
holds "nor in the state" alice sh -c '! grep -r canary-attic .local/state/nbkp'
