# Makes the guest once and keeps it: its packages, its disk, and the booted machine, each as long as nothing that it is
# made of has changed. Sourced by `run`, behind `machine.sh`.

packages=(
    systemd-sysv dbus dbus-user-session libpam-systemd udev kmod procps iproute2 openssh-server
    linux-image-amd64 initramfs-tools lz4
    udisks2 udisks2-btrfs libblockdev-crypto2 polkitd cryptsetup-bin btrfs-progs e2fsprogs fdisk rsync
    network-manager wpasupplicant hostapd dnsmasq-base iw wireless-regdb
)

# Leaves a settled guest in $cache, to be restored.
make_image() {
    mkdir -p "$cache"
    exec 9>"$cache/lock"
    flock 9 # another one may be making it
    [[ -s $cache/key ]] || ssh-keygen -q -t ed25519 -N '' -C guest -f "$cache/key"
    keep packages "${packages[*]}" unpacked_packages
    keep disk "$(stamp_of "$cache/packages.made" "$cache/key.pub" "$vm/guest-setup" "$vm/guest")" disk
    keep settled "$(stamp_of "$cache/disk.made") $(qemu-system-x86_64 --version) $(declare -f begin_machine)" settled_machine
    exec 9>&-
}

# keep NAME STAMP COMMAND…: makes a part of the image, unless it was made with the same stamp.
keep() {
    local name=$1 stamp=$2 begun=$SECONDS
    shift 2
    if [[ $(cat "$cache/$name.made" 2>/dev/null) == "$stamp" ]]; then
        return
    fi
    rm -f "$cache/$name.made"
    say "making the guest: $name"
    ("$@") >"$cache/$name.log" 2>&1 & # behind `||` no command would end it
    wait $! || give_up "That did not work; the last of $cache/$name.log:
$(tail -n 15 "$cache/$name.log")"
    echo "$stamp" >"$cache/$name.made"
    echo "$((SECONDS - begun)) s"
}

stamp_of() {
    tar --create --sort=name --mtime=@0 --owner=0 --group=0 --absolute-names --file - "$@" | sha256sum | cut -d ' ' -f 1
}

# The packages of the host's own Debian, from where the host's apt gets them, without what no scenario needs.
unpacked_packages() {
    local suite sources without=() path
    suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
    sources=$(apt-get indextargets --format "deb \$(REPO_URI) \$(RELEASE) \$(COMPONENT)" \
        'Identifier: Packages' 'Origin: Debian' | grep -E " $suite(-security|-updates)? " | sort -u)
    [[ -n $sources ]] || give_up "apt knows no source of Debian $suite here: run apt-get update."
    for path in /usr/share/{doc,man,locale} '/lib/modules/*/kernel/'{sound,drivers/gpu,drivers/media,drivers/infiniband}; do
        without+=("--dpkgopt=path-exclude=$path/*")
    done
    mmdebstrap --mode=root --variant=minbase --format=tar "${without[@]}" --dpkgopt=force-unsafe-io \
        --aptopt='APT::Install-Recommends "false"' --include="${packages[*]}" \
        --essential-hook="copy-in $vm/guest/etc/initramfs-tools /etc" \
        "$suite" "$cache/packages.tar" - <<<"$sources"
}

disk() {
    local root=$cache/root
    rm -rf "$root" "$cache/disk.img"
    mkdir "$root"
    tar --extract --numeric-owner --xattrs --xattrs-include='*' --file "$cache/packages.tar" --directory "$root"
    cp -r --no-preserve=ownership "$vm/guest/." "$root"
    chmod 600 "$root"/etc/NetworkManager/system-connections/*
    install -m 644 "$cache/key.pub" "$root/etc/ssh/host-of-alice"
    install -m 644 "$cache/key.pub" "$root/etc/ssh/host-of-root"
    install "$vm/guest-setup" "$root/setup"
    chroot "$root" /setup
    rm "$root/setup"
    mv "$root"/boot/vmlinuz-* "$cache/vmlinuz"
    mv "$root"/boot/initrd.img-* "$cache/initrd"
    truncate -s 4G "$cache/disk.img"
    mke2fs -q -t ext4 -d "$root" "$cache/disk.img"
    rm -rf "$root"
}

# Boots it, waits until all is quiet, and writes memory and devices down. The drivers that the first stick would load are
# there already, so that no scenario pays for them.
settled_machine() {
    rm -f "$cache/settled.qcow2" "$cache/settled.state"
    qemu-img create -q -f qcow2 -b "$cache/disk.img" -F raw "$cache/settled.qcow2"
    begin_machine "$(mktemp -d "$cache/run.XXXXXX")" "$cache/settled.qcow2"
    trap end_machine EXIT
    reach 400
    root sh -ec 'timeout 120 systemctl is-system-running --wait || systemctl --failed
        modprobe -a usb-storage dm-crypt btrfs; udevadm settle; sync'
    let_go_of
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
