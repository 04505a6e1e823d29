# One guest machine under software emulation: what a hand would do to it (plug, pull, put to sleep), and two ways in.
# Sourced by `run`; $cache is where images are, $vm this directory. $machine is set while a guest runs.

# begin_machine DIRECTORY DISK [OPTION…]: starts qemu; DIRECTORY holds what belongs to this one machine.
#
# `-cpu max` and HPET stay as they are: without HPET no timer ticks after a sleep. KVM is left out, since it is there on
# few test machines, and a test that behaves differently with it would be two tests.
begin_machine() {
    machine=$1
    local disk=$2
    shift 2
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

# restore_machine DIRECTORY: a fresh guest, as it was when it had settled, with today's time.
restore_machine() {
    qemu-img create -q -f qcow2 -b "$cache/settled.qcow2" -F qcow2 "$1/disk.qcow2"
    begin_machine "$1" "$1/disk.qcow2" -incoming "exec:cat '$cache/settled.state'"
    until [[ $(qmp query-status) != *'"inmigrate"'* ]]; do sleep 0.1; done
    qmp cont
    reach 120
    root date --set="@$(date +%s)" >/dev/null
}

# As if the power went.
end_machine() {
    local pid
    pid=$(cat "$machine/pid" 2>/dev/null) || return 0
    let_go_of
    kill "$pid" 2>/dev/null || true
    while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
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

let_go_of() {
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

# The guest goes to sleep (S3) as when its lid is closed, and sleeps for SECONDS.
sleep_for() {
    root systemctl suspend
    until [[ $(qmp query-status) == *'"suspended"'* ]]; do sleep 0.1; done
    sleep "$1"
    qmp system_wakeup
}
