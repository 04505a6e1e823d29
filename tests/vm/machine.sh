# One guest machine under software emulation: what a hand would do to it (plug, pull, put to sleep), and two ways in.
# Sourced by `run`; $cache is where images are, $vm this directory. $machine is set while a guest runs.

machine=

# begin_machine DISK [OPTION…]: starts qemu; $machine is a directory for what belongs to it.
#
# `-cpu max` and HPET stay as they are: without HPET no timer ticks after a sleep. KVM is left out, since it is there on
# few test machines, and a test that behaves differently with it would be two tests.
begin_machine() {
    local disk=$1
    shift
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    qemu-system-x86_64 -nodefaults -no-user-config -display none -daemonize -pidfile "$machine/pid" \
        -machine q35 -accel tcg,thread=multi -cpu max -smp 2 -m 1024 \
        -kernel "$cache/vmlinuz" -initrd "$cache/initrd" -append "root=/dev/vda rw console=ttyS0 quiet net.ifnames=0 \
mitigations=off nokaslr random.trust_cpu=on systemd.show_status=0" \
        -drive if=virtio,format=qcow2,cache=unsafe,discard=unmap,file="$disk" \
        -device virtio-rng-pci -device qemu-xhci,id=usb \
        -netdev user,id=wire,restrict=on,ipv6=off,hostfwd=tcp:127.0.0.1:"$port"-10.0.2.15:22 \
        -device virtio-net-pci,netdev=wire,romfile= \
        -serial file:"$machine/console" -qmp unix:"$machine/qmp",server=on,wait=off "$@"
}

# settle: boots the guest once, waits until all is quiet, and writes memory and devices down. The drivers that the first
# stick would load are there already, so that no scenario pays for them.
settle() {
    rm -f "$cache/settled.qcow2" "$cache/settled.state"
    qemu-img create -q -f qcow2 -b "$cache/disk.img" -F raw "$cache/settled.qcow2"
    trap end_machine EXIT
    machine=$(mktemp -d "$cache/run.XXXXXX")
    begin_machine "$cache/settled.qcow2"
    reach 600
    root sh -ec 'timeout 300 systemctl is-system-running --wait || systemctl --failed
        modprobe -a usb-storage dm-crypt btrfs; udevadm settle; sync'
    let_go
    qmp stop
    qmp migrate "{\"uri\": \"exec:cat >'$cache/settled.part'\"}"
    local state=
    until [[ $state == *'"completed"'* ]]; do
        state=$(qmp query-migrate)
        [[ $state != *'"failed"'* ]] || give_up "qemu could not write the machine down: $state"
        sleep 0.2
    done
    mv "$cache/settled.part" "$cache/settled.state"
}

# A fresh guest, as it was when it had settled, with today's time.
restore_machine() {
    trap end_machine EXIT
    machine=$(mktemp -d "$cache/run.XXXXXX")
    qemu-img create -q -f qcow2 -b "$cache/settled.qcow2" -F qcow2 "$machine/disk.qcow2"
    begin_machine "$machine/disk.qcow2" -incoming "exec:cat '$cache/settled.state'"
    until [[ $(qmp query-status) != *'"inmigrate"'* ]]; do sleep 0.1; done
    qmp cont
    reach 120
    root date --set="@$(date +%s)" >/dev/null
}

# As if the power went. What belongs to the machine goes with it.
end_machine() {
    local pid
    [[ -n $machine ]] || return 0
    let_go
    pid=$(cat "$machine/pid" 2>/dev/null) || true
    if [[ -n $pid ]]; then
        kill "$pid" 2>/dev/null || true
        while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
    fi
    rm -rf "$machine"
    machine=
}

qmp() { "$vm/qmp" "$machine/qmp" "$@"; }

# --- ways in

# root COMMAND…, alice COMMAND…: runs a command in the guest, with its input, output and exit status. Alice's commands get
# what belongs to her session, as in a terminal.
root() { as root "$@"; }
alice() { as alice "$@"; }
as() {
    local user=$1
    shift
    timeout 300 ssh "${ssh_options[@]}" -o ControlPath="$machine/to-$user" -p "$port" "$user@127.0.0.1" "$(printf '%q ' "$@")"
}

ssh_options=(-F none -i "$cache/key" -o IdentitiesOnly=yes -o BatchMode=yes -o LogLevel=ERROR -o ConnectTimeout=10
    -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null)

# reach SECONDS: opens one connection for each user that all commands share; a new one would cost seconds each time.
reach() {
    local user deadline=$((SECONDS + $1))
    for user in root alice; do
        until ssh "${ssh_options[@]}" -f -N -M -o ControlPath="$machine/to-$user" -p "$port" "$user@127.0.0.1" \
            </dev/null >/dev/null 2>&1; do
            [[ $SECONDS -lt $deadline ]] || give_up "The guest did not answer within $1 s; see $machine/console."
            sleep 0.5
        done
    done
}

let_go() {
    local user
    for user in root alice; do
        ssh "${ssh_options[@]}" -o ControlPath="$machine/to-$user" -O exit "$user@127.0.0.1" 2>/dev/null || true
    done
}

# --- a hand at the machine

# plug STICK [BYTES-A-SECOND]: puts a stick in. It keeps what is on it from plug to plug, and has its name as its serial number.
plug() {
    local stick=$1 speed=${2:-0}
    [[ -e $machine/$stick.qcow2 ]] || qemu-img create -q -f qcow2 "$machine/$stick.qcow2" 1G
    qmp object-add "{\"qom-type\": \"throttle-group\", \"id\": \"speed-$stick\", \"limits\": {\"bps-total\": $speed}}"
    qmp blockdev-add "{\"node-name\": \"disk-$stick\", \"driver\": \"throttle\", \"throttle-group\": \"speed-$stick\",
        \"file\": {\"driver\": \"qcow2\", \"file\": {\"driver\": \"file\", \"filename\": \"$machine/$stick.qcow2\"}}}"
    qmp device_add "{\"driver\": \"usb-storage\", \"id\": \"stick-$stick\", \"bus\": \"usb.0\", \"drive\": \"disk-$stick\",
        \"serial\": \"$stick\", \"removable\": true}"
}

# pull STICK: takes it out, whatever is being done with it.
pull() {
    local stick=$1
    qmp device_del "{\"id\": \"stick-$stick\"}" --until DEVICE_DELETED
    until qmp blockdev-del "{\"node-name\": \"disk-$stick\"}" 2>/dev/null; do sleep 0.1; done # its last request drains
    qmp object-del "{\"id\": \"speed-$stick\"}"
}

# sleep_for SECONDS [COMMAND…]: the guest goes to sleep (S3) as when its lid is closed; COMMAND runs while it sleeps.
sleep_for() {
    local seconds=$1 looks=0
    shift
    root systemctl suspend
    until [[ $(qmp query-status) == *'"suspended"'* ]]; do
        [[ $((looks += 1)) -lt 300 ]] || fail "the machine did not fall asleep, or woke at once by itself"
        sleep 0.1
    done
    "$@"
    sleep "$seconds"
    qmp system_wakeup
}
