# Alice comes home, and her documents go to the server. The access point vanishes in the middle of the next copy, which is
# noticed within a minute; when it is back, the copy goes on.

documents 50
root systemctl start radios nas
root sh -ec 'install -d -o nas /srv/backups
    install -d -m 700 -o nas /home/nas/.ssh
    install -d -m 700 -o alice /home/alice/.ssh
    su alice -c "ssh-keygen -q -t ed25519 -N \"\" -f ~/.ssh/id_ed25519"
    install -m 600 -o nas /home/alice/.ssh/id_ed25519.pub /home/nas/.ssh/authorized_keys
    sed "s/^/nas.home /" /etc/ssh/ssh_host_ed25519_key.pub | su alice -c "cat >~/.ssh/known_hosts"'
configure <<END
[locations.home]
ssids = ["Lighthouse"]
[ssh-endpoints.nas]
host = "nas.home"
user = "nas"
locations = ["home"]
[volumes.laptop]
path = "~"
[volumes.nas]
ssh = ["nas"]
path = "/srv/backups"
[syncs.documents]
source = "laptop:Documents"
destination = "nas:documents"
snapshots = "hard-link"
rsync = { bandwidth = "2M" }
END
start
waits_for wrong-location

join() { desktop nmcli --wait 60 connection up home; }
root systemctl start addresses
eventually 120 "alice joins the network at home" join
eventually 60 "status says where she is" status_says '.locations == ["home"]'
eventually 60 "the server is prepared" ctl prepare documents
ended 1 ok
holds "the server has what she has" is_copied /home/alice/Documents /srv/backups/documents/latest --no-owner --no-group

big 60
holds "she asks for a copy" ctl run documents
copying 20
root systemctl stop access-point
note "the access point is gone"
ended 2 interrupted 60
holds "the run tells why" record_says '.error | contains("connection was lost")'
eventually 60 "status tells that she is away" status_says '.locations == [] and .syncs[0].state == "waiting"'
holds "the finished copy is still the newest" is_copied /home/alice/Documents /srv/backups/documents/latest \
    --no-owner --no-group --omit-dir-times --exclude big

root systemctl start addresses
eventually 120 "the access point is back, and alice joins it" join
ended 3 ok
holds "it went on where it had stopped" record_says '.bytes_transferred < 55 * 1024 * 1024'
holds "the server has what she has" is_copied /home/alice/Documents /srv/backups/documents/latest --no-owner --no-group
holds "in two snapshots, and nothing else is left" has_snapshots /srv/backups/documents 2
