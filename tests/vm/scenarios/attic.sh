# An encrypted stick is plugged into the server: it is unlocked there with the passphrase from here, mounted, copied to,
# locked and powered off. (The server is this guest, entered over ssh as an account without any session.)

stick attic luks
documents 20
key=/home/alice/.config/nbkp/credentials/attic
alice sh -ec 'umask 077; mkdir -p "${1%/*}"; printf canary-attic >"$1"' - "$key"
root sh -ec 'install -d -m 700 -o nas /home/nas/.ssh
    install -d -m 700 -o alice /home/alice/.ssh
    su alice -c "ssh-keygen -q -t ed25519 -N \"\" -f ~/.ssh/id_ed25519"
    install -m 600 -o nas /home/alice/.ssh/id_ed25519.pub /home/nas/.ssh/authorized_keys
    sed "s/^/127.0.0.1 /" /etc/ssh/ssh_host_ed25519_key.pub | su alice -c "cat >~/.ssh/known_hosts"'
configure <<END
[credentials]
provider = "file"
[ssh-endpoints.nas]
host = "127.0.0.1"
user = "nas"
[volumes.laptop]
path = "~"
[volumes.attic]
ssh = ["nas"]
drive = "$(uuid attic)"
mount = true
passphrase = "attic"
when-done = "lock"
[syncs.documents]
source = "laptop:Documents"
destination = "attic:documents"
snapshots = "hard-link"
END
plug attic
start
waits_for not-authorized

# The rule, with the UUID of what is inside.
container=$(stick_at attic)-part1
root sh -ec 'printf canary-attic | cryptsetup open --key-file - "$1" new
    mount /dev/mapper/new /mnt; chown nas: /mnt; umount /mnt' - "$container"
inside=$(root blkid --output value --match-tag UUID /dev/mapper/new)
root cryptsetup close new
ctl drives polkit --volume attic | sed "s/var uuids = \\[/&\n        \"$inside\",/" |
    root sh -c 'cat >/etc/polkit-1/rules.d/60-nbkp-nas.rules; systemctl restart polkit'

closed() { root sh -c '! grep -q "/attic " /proc/mounts && [ "$(ls /dev/mapper)" = control ]'; }
eventually 60 "it is mounted by hand" ctl mount attic
quietly ctl prepare documents
ended 1 ok
holds "the copy is like the source" is_copied /home/alice/Documents /media/nas/attic/documents/latest --no-owner --no-group
holds "it is let go" ctl unmount attic
holds "it is unmounted and locked" closed
holds "it is taken back" ctl release attic
holds "she asks for a copy" ctl run documents
ended 2 ok
eventually 60 "it is unmounted and locked behind the run" closed
