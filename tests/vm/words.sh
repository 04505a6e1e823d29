# The words that scenarios are written in. Sourced by `run`, behind `machine.sh`.

who=alice # whose daemon it is: alice's, or root's

# --- what is seen

# note TEXT: a line of the report, with the seconds since the scenario began.
note() {
    local spent=$(((${EPOCHREALTIME/./} - begun) / 100000))
    printf '  %5d.%d s  %s\n' $((spent / 10)) $((spent % 10)) "$*"
}

# fail TEXT: ends the scenario, and shows what the guest has to say about it.
fail() {
    note "FAILED: $*"
    show_guest
    exit 1
}

show_guest() {
    shown=yes
    set +o errexit # one that says nothing does not silence the others
    {
        root journalctl --quiet --boot --output=short-precise --lines=60 --no-hostname
        journal --output=short-precise --lines=60
        ctl status
        ctl history
    } </dev/null 2>&1 | sed 's/^/    | /'
}

# holds TEXT COMMAND…: the command must succeed now.
holds() {
    local what=$1
    shift
    "$@" </dev/null >/dev/null || fail "it is not so that $what"
    note "$what"
}

# eventually SECONDS TEXT COMMAND…: the command must succeed within that time.
eventually() {
    local limit=$1 what=$2 since=$SECONDS
    shift 2
    until "$@" </dev/null >/dev/null 2>&1; do
        [[ $((SECONDS - since)) -lt $limit ]] || fail "within $limit s it did not come about that $what"
        sleep 0.2
    done
    note "$what"
}

ctl() { as "$who" nbkpctl "$@"; }
status_says() { ctl status --json | jq --exit-status "$1"; }
history_says() { ctl history --json | jq --exit-status "$1"; }

# waits_for CODE: that is what stands in the way of the only sync.
waits_for() { eventually 60 "status says: $1" status_says ".syncs[0] | .state == \"waiting\" and (.obstacles | any(.code == \"$1\"))"; }

# copying PERCENT: the copy is under way, and so far.
copying() { eventually 120 "the copy is under way, $1 % of it" status_says ".running[0] | .step == \"copy\" and .percent >= $1"; }

# ended N OUTCOME [SECONDS]: the Nth run of all ends, and like this. Its record is in $record.
ended() {
    eventually "${3:-180}" "run $1 ended" history_says ".runs | length >= $1"
    record=$(ctl history --json | jq ".runs[-$1]")
    [[ $(jq --raw-output .outcome <<<"$record") == "$2" ]] || fail "run $1 was to be $2, but it is: $record"
    note "$(jq --raw-output '"\(.outcome) (\(.trigger)): \(.files_transferred) files, \(.bytes_transferred) bytes; \(.error // "no error")"' <<<"$record")"
}
record_says() { jq --exit-status "$1" <<<"$record"; }

# is_copied FROM TO [OPTION…]: both hold the same: contents, owners, modes, times, devices and attributes.
is_copied() {
    local from=$1 to differences
    to=$(root realpath --canonicalize-existing "$2") || return
    shift 2
    differences=$(root rsync -aX --checksum --delete --exclude '.nbkp*' --dry-run --itemize-changes "$@" "$from/" "$to/") || return
    [[ -z $differences ]] || { note "differences: $differences" && return 1; }
}

# fingerprint DIRECTORY: changes with anything in it.
fingerprint() { root tar --create --sort=name --file - --directory "$1" . | sha256sum; }
unchanged() { [[ $(fingerprint "$1") == "$2" ]]; }

# has_snapshots DIRECTORY COUNT: the destination has that many, and nothing half.
has_snapshots() { [[ $(root ls -A "$1/snapshots" | wc -l) == "$2" ]]; }

# journal_tells MATCH…: the daemon's journal has a message with all these fields.
journal_tells() { [[ -n $(journal --lines=1 "$@") ]]; }
journal() {
    local of=(--user --user-unit nbkpd)
    [[ $who == alice ]] || of=(--unit nbkpd)
    as "$who" journalctl "${of[@]}" --quiet --output=cat "$@"
}

# --- what is done

# configure: writes what comes in as the configuration.
configure() { as "$who" sh -c 'cat >"$1"' - "$(configuration)"; }
configuration() { if [[ $who == root ]]; then echo /etc/nbkp/config.toml; else echo /home/alice/.config/nbkp/config.toml; fi; }

# manager COMMAND…: the service manager that runs the daemon.
manager() { if [[ $who == root ]]; then root systemctl "$@"; else alice systemctl --user "$@"; fi; }

# unit PROPERTY: one property of the daemon's unit. unit_says PROPERTY PATTERN: it is like this.
unit() { manager show nbkpd --property "$1" --value; }
# shellcheck disable=SC2053
unit_says() { [[ $(unit "$1") == $2 ]]; }

start() {
    manager daemon-reload
    manager enable --quiet --now nbkpd
    holds "nbkpd is started" unit_says ActiveState active
}

# documents COUNT: alice has that many small files.
documents() { alice sh -ec 'mkdir -p Documents; cd Documents; seq "$1"00 | split --lines=100 --suffix-length=4 - letter-' - "$1"; }

# big MIBS: and a big one.
big() { alice sh -c 'head -c "$1"M /dev/urandom >Documents/big' - "$1"; }

# --- sticks

stick_at() { echo "/dev/disk/by-id/usb-QEMU_QEMU_HARDDISK_$1-0:0"; }
uuid() { cat "$machine/$1.uuid"; }

# stick NAME btrfs|ext4|luks: makes a stick with one partition that belongs to alice, and takes it out again. In a LUKS
# container (passphrase "canary-NAME") is btrfs; the UUID is then that of the container.
stick() {
    local name=$1 kind=$2 partition
    partition=$(stick_at "$name")-part1
    cat /proc/sys/kernel/random/uuid >"$machine/$name.uuid"
    plug "$name"
    eventually 60 "the stick $name is plugged in to be made" root test -b "$(stick_at "$name")"
    root sh -ec 'echo "label: gpt
type=linux" | sfdisk --quiet "$1"; udevadm settle' - "$(stick_at "$name")"
    case $kind in
        btrfs) quietly root mkfs.btrfs --force --label "$name" --uuid "$(uuid "$name")" "$partition" ;;
        ext4) root mkfs.ext4 -q -F -L "$name" -U "$(uuid "$name")" "$partition" ;;
        luks)
            root sh -ec 'printf "canary-$1" | cryptsetup luksFormat --batch-mode --uuid "$2" --pbkdf pbkdf2 \
                    --pbkdf-force-iterations 1000 "$3" -
                printf "canary-$1" | cryptsetup open --key-file - "$3" new' - "$name" "$(uuid "$name")" "$partition"
            quietly root mkfs.btrfs --label "$name" /dev/mapper/new
            partition=/dev/mapper/new
            ;;
    esac
    root sh -ec 'mount "$1" /mnt; chown alice: /mnt; umount /mnt' - "$partition"
    [[ $kind != luks ]] || root cryptsetup close new
    pull "$name"
}

quietly() {
    local said
    said=$("$@" 2>&1) || fail "this did not work: $*: $said"
}

# desktop COMMAND…: as a program of alice's desktop does it, from her service manager while she sits at the machine. That
# is what polkit asks about drives; a session over ssh would not do.
desktop() { alice systemd-run --user --quiet --wait --pipe "$@"; }

mounted() { eventually 60 "alice mounts $1" desktop udisksctl mount --block-device "$(stick_at "$1")-part1"; }

# take_out NAME: as one should: unmounted, and powered off.
take_out() {
    desktop udisksctl unmount --block-device "$(stick_at "$1")-part1" >/dev/null
    desktop udisksctl power-off --block-device "$(stick_at "$1")"
    pull "$1"
    note "alice unmounts $1 and takes it out"
}

# prepared NAME SYNC: alice's stick becomes the destination of a sync, while no daemon runs.
prepared() {
    plug "$1"
    mounted "$1"
    quietly alice nbkpctl prepare "$2"
    take_out "$1"
}
