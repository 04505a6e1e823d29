#!/usr/bin/env bash
# Every check and every test, with the real neighbours: formatting, lints, documentation, dependencies, scripts, units,
# tests. Installs what is missing. NBKP_REQUIRE_ALL=1 makes a test that cannot run here fail instead of being skipped.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
# shellcheck source=packaging/debian.sh
source packaging/debian.sh

export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-never}
tools=$PWD/target/tools
log=$(mktemp -d)
trap 'rm -rf "$log"' EXIT
started=$SECONDS
passed=0 failed=0 skipped=0
complaints=()

# check NAME COMMAND…: runs one check, shows its output only if it fails, and counts it.
check() {
    local name=$1 begun=$SECONDS
    shift
    printf '%-44s' "$name"
    if "$@" >"$log/check" 2>&1; then
        passed=$((passed + 1))
        printf 'ok %5d s\n' $((SECONDS - begun))
    else
        failed=$((failed + 1))
        complaints+=("$name")
        printf 'FAILED %d s\n' $((SECONDS - begun))
        tail -n 200 "$log/check"
    fi
}

documentation() { RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --quiet; }

# Where packages of Python go, each pinned by its hash.
python_room() {
    [[ -x $tools/bin/pip ]] && return
    python3 -m venv "$tools" || { debian_packages /usr/share/doc/python3-venv=python3-venv; python3 -m venv "$tools"; }
}

# A Varlink client that others wrote. Without it, the test that wants it says so.
python_client() {
    "$tools/bin/python3" -c 'import varlink' 2>/dev/null && return
    python_room && "$tools/bin/pip" install --quiet --require-hashes -r packaging/python.txt
}

# What checks metrics, out of its package: installing that would start a service.
promtool() {
    [[ -x $tools/bin/promtool ]] && return
    mkdir -p "$tools/bin" "$log/prometheus"
    (cd "$log/prometheus" && apt-get download -qq prometheus && dpkg-deb --fsys-tarfile prometheus_*.deb \
        | tar -x -C "$tools/bin" --strip-components=3 ./usr/bin/promtool)
}

# cargo-deny comes as a ready program where there is one, and is built otherwise. Advisories are not asked for: their
# database is not always within reach.
dependencies() {
    local deny=cargo-deny
    if ! command -v cargo-deny >/dev/null; then
        deny=$tools/bin/cargo-deny
        if [[ ! -x $deny ]]; then
            python_room
            "$tools/bin/pip" install --quiet --require-hashes -r packaging/tools.txt \
                || cargo install cargo-deny --locked --quiet --root "$tools" || return 1
        fi
    fi
    "$deny" --all-features --locked check licenses bans sources
}

scripts() {
    local script status=0
    shellcheck --external-sources tests/run.sh tests/packages.sh tests/bench/run.sh packaging/*.sh packaging/debian/{postinst,prerm,postrm} .ci/run \
        tests/vm/{run,disk,guest-setup,*.sh,scenarios/*.sh,guest/usr/local/sbin/*} || status=1
    # Those for servers run behind what they have in common.
    for script in src/formats/ssh/scripts/*.sh; do
        [[ $script == */common.sh || $script == */drive.sh ]] && continue
        cat src/formats/ssh/scripts/{common,drive}.sh "$script" | shellcheck --shell=sh --severity=warning --exclude=SC2034 - || status=1
    done
    return $status
}

# The units are read with another program in place of ours, which is not installed here.
units() {
    local unit status=0
    mkdir -p "$log/units"
    for unit in systemd/*; do
        sed -E 's#/usr/bin/nbkp(d|ctl)#/bin/true#' "$unit" >"$log/units/${unit##*/}"
    done
    # A user's manager wants a runtime directory, which a machine for tests may not have.
    XDG_RUNTIME_DIR=$log systemd-analyze verify --user --man=no "$log"/units/nbkpd.{service,socket} \
        "$log"/units/nbkp-overdue.{service,timer} || status=1
    systemd-analyze verify --man=no "$log"/units/nbkpd-system.service "$log"/units/nbkp-overdue.{service,timer} || status=1
    systemd-analyze security --offline=true --threshold=35 systemd/nbkpd-system.service || status=1
    return $status
}

# What passed; what a test that runs itself again in namespaces of its own says there; and dbus-daemon, about its limits.
uninteresting='^(running |test .* \.\.\. ok$|ok$|$)|; [1-9][0-9]* filtered out;|Failed to set fd limit|^New seat'

# Runs all tests and adds up what they say.
all_tests() {
    say "tests (scenarios take a few minutes)"
    local ended=0
    cargo test --locked --no-fail-fast 2>&1 | tee "$log/tests" | grep --line-buffered -Ev "$uninteresting" || true
    ended=${PIPESTATUS[0]}
    local counts
    counts=$(awk '/^test result:.* 0 filtered out/ { for (i = 1; i < NF; i++) { if ($(i + 1) ~ /^passed/) p += $i
        if ($(i + 1) ~ /^failed/) f += $i; if ($(i + 1) ~ /^ignored/) s += $i } } END { print p + 0, f + 0, s + 0 }' "$log/tests")
    read -r p f s <<<"$counts"
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    while read -r name; do complaints+=("$name"); done < <(sed -n 's/^test \(.*[^ ]\) *\.\.\. FAILED$/\1/p' "$log/tests")
    if [[ $ended -ne 0 && $f -eq 0 ]]; then
        failed=$((failed + 1))
        complaints+=("cargo test (it does not build, or a test program died)")
    fi
}

program_packages
debian_packages blkid=util-linux mkfs.ext4=e2fsprogs udevadm=udev strace=strace shellcheck=shellcheck dot=graphviz bindfs=bindfs \
    fusermount3=fuse3 pkill=procps setpriv=util-linux python3=python3 systemd-analyze=systemd dbus-daemon=dbus-daemon \
    dbus-send=dbus-bin busctl=systemd ss=iproute2 ip=iproute2 nmcli=network-manager upower=upower duk=duktape \
    pkcheck=polkitd udisksctl=udisks2 gnome-keyring-daemon=gnome-keyring secret-tool=libsecret-tools \
    cryptsetup=cryptsetup-bin ssh=openssh-client /usr/sbin/sshd=openssh-server busybox=busybox tcsh=tcsh fish=fish \
    /usr/lib/python3/dist-packages/jsonschema=python3-jsonschema \
    mkfs.exfat=exfatprogs mount.exfat-fuse=exfat-fuse ntfs-3g=ntfs-3g chattr=e2fsprogs \
    dpkg-deb=dpkg lintian=lintian appstreamcli=appstream git=git sshfs=sshfs /usr/lib/openssh/sftp-server=openssh-sftp-server \
    chromium=chromium /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf=fonts-dejavu-core \
    /usr/lib/python3/dist-packages/html5lib=python3-html5lib

say "checks"
check "formatting" cargo fmt --check
check "lints" cargo clippy --locked --all-targets --quiet -- -D warnings
check "documentation" documentation
check "dependencies: licences, bans, sources" dependencies
check "scripts" scripts
check "units" units
python_client
promtool
all_tests
check "packages" tests/packages.sh

say "the result, after $(((SECONDS - started) / 60)) min $(((SECONDS - started) % 60)) s"
if [[ ${#complaints[@]} -gt 0 ]]; then
    printf 'failed: %s\n' "${complaints[@]}"
fi
if [[ $skipped -gt 0 ]]; then
    echo "Some tests were skipped; what they need is said above. NBKP_REQUIRE_ALL=1 makes them fail instead."
fi
echo "$passed passed, $failed failed, $skipped skipped"
[[ $failed -eq 0 ]]
