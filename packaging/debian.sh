# shellcheck shell=bash
# Installs what is missing on a Debian machine; sourced by `packaging/try.sh` and `tests/run.sh`.

# How long another package manager is waited for, in seconds.
PATIENCE_WITH_APT=${PATIENCE_WITH_APT:-600}

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
    local install=(install -y --no-install-recommends "${missing[@]}")
    patient_apt "${install[@]}" 2>/dev/null || {
        patient_apt update || say "the lists of packages are not the newest"
        patient_apt "${install[@]}" || give_up "Could not install: ${missing[*]}"
    }
}

# patient_apt WORD…: apt-get, which waits for whoever else is at work with packages. Its own option covers the lock of dpkg,
# not those of the lists and of what was fetched: for them it is tried again. What it says is shown if it fails.
patient_apt() {
    local words until=$((SECONDS + PATIENCE_WITH_APT))
    until words=$("${as_root[@]}" env LC_ALL=C DEBIAN_FRONTEND=noninteractive \
        apt-get -qq -o DPkg::Lock::Timeout="$PATIENCE_WITH_APT" "$@" 2>&1); do
        if [[ $words != *"Could not get lock"* || $SECONDS -ge $until ]]; then
            printf '%s\n' "$words" >&2
            return 1
        fi
        sleep 2
    done
}

# Ends unless there is a Rust that Cargo.toml is content with.
needs_rust() {
    local wanted found
    wanted=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
    command -v cargo >/dev/null || give_up "Please install Rust $wanted or later first: https://rustup.rs"
    found=$(rustc --version | cut -d ' ' -f 2)
    printf '%s\n' "$wanted" "$found" | sort --check=silent --version-sort \
        || give_up "Rust $found is too old: please install $wanted or later first: https://rustup.rs"
}

# What the program needs to be built and to run.
program_packages() {
    needs_rust
    debian_packages pkg-config=pkg-config
    debian_packages cc=gcc pkg-config:libudev=libudev-dev rsync=rsync mkfs.btrfs=btrfs-progs losetup=mount \
        unshare=util-linux /usr/lib/systemd/systemd-udevd=udev ip=iproute2
}
