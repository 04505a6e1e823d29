# shellcheck shell=bash
# Installs what is missing on a Debian machine; sourced by `packaging/try.sh` and `tests/run.sh`.

# Says what is done, to standard error, so that output can be piped.
say() { printf '\n== %s\n' "$*" >&2; }

# Ends with a sentence that says what to do.
give_up() { printf '\n%s\n' "$*" >&2; exit 1; }

# debian_packages COMMAND=PACKAGE…: installs the packages whose command is missing. `pkg-config:NAME=PACKAGE` asks for a
# library, `/PATH=PACKAGE` for a file. `apt-get update` runs only if the packages are not found without it.
debian_packages() {
    local wanted missing=() name package
    for wanted in "$@"; do
        name=${wanted%%=*} package=${wanted#*=}
        case $name in
            pkg-config:*) pkg-config --exists "${name#pkg-config:}" 2>/dev/null || missing+=("$package") ;;
            /*) [[ -e $name ]] || missing+=("$package") ;;
            *) PATH=$PATH:/usr/sbin:/sbin command -v "$name" >/dev/null || missing+=("$package") ;;
        esac
    done
    if [[ ${#missing[@]} -eq 0 ]]; then
        return
    fi
    command -v apt-get >/dev/null || give_up "Please install what belongs to: ${missing[*]} (this is no Debian)."
    local as_root=()
    if [[ $(id -u) -ne 0 ]]; then
        command -v sudo >/dev/null || give_up "Please install as root: apt-get install ${missing[*]}"
        as_root=(sudo)
    fi
    say "installing ${missing[*]}"
    local install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends)
    "${install[@]}" "${missing[@]}" >/dev/null 2>&1 || {
        "${as_root[@]}" apt-get update -qq
        "${install[@]}" "${missing[@]}" >/dev/null || give_up "Could not install: ${missing[*]}"
    }
}

# What the program needs to be built and to run.
program_packages() {
    command -v cargo >/dev/null || give_up "Please install Rust 1.90 or later first: https://rustup.rs"
    debian_packages pkg-config=pkg-config
    debian_packages cc=gcc pkg-config:libudev=libudev-dev rsync=rsync mkfs.btrfs=btrfs-progs losetup=mount \
        unshare=util-linux /usr/lib/systemd/systemd-udevd=udev ip=iproute2
}
