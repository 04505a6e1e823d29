#!/usr/bin/env bash
# The packages as their users have them: built twice with the same bytes, installed into a root of their own, tried, and
# taken away again with everything of the user's still there. Takes the programs of a build for tests.
#
#   tests/packages.sh [DIRECTORY-WITH-PROGRAMS]
set -euo pipefail
cd "$(dirname "$0")/.."
programs=${1:-target/debug}
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
failed() { printf 'tests/packages.sh: %s\n' "$*" >&2; exit 1; }

# snapshot: every file below a directory, with its content.
snapshot() { (cd "$1" && find . ! -type d -print0 | LC_ALL=C sort -z | xargs -0r sha256sum); }

packaging/release.sh --quick --binaries "$programs" >"$place/log" 2>&1 || { cat "$place/log" >&2; failed "nothing was built"; }
cp -r target/packages "$place/first"
packaging/release.sh --quick --binaries "$programs" >"$place/log" 2>&1
diff -r "$place/first" target/packages || failed "the same programs gave other bytes"
(cd target/packages && sha256sum --quiet --check SHA256SUMS)
deb=$(echo target/packages/*.deb) archive=$(echo target/packages/*.tar.gz)

# The Debian package, in a root with nothing else.
root=$place/root
mkdir -p "$root"/var/lib/dpkg/{info,updates} "$root/etc/nbkp" "$root/var/lib/nbkp"
: >"$root/var/lib/dpkg/status"
echo mine >"$root/etc/nbkp/config.toml"
echo mine >"$root/var/lib/nbkp/history.db"
before=$(snapshot "$root/etc"; snapshot "$root/var/lib/nbkp")
mine() { [[ $(snapshot "$root/etc"; snapshot "$root/var/lib/nbkp") = "$before" ]] || failed "what is the user's was touched"; }
# Their dependencies are those of the machine, and their scripts talk to no service manager of it.
package() { PATH=/usr/sbin:/sbin:$PATH dpkg --root="$root" --force-script-chrootless --force-depends "$@" >"$place/log" 2>&1 || {
    cat "$place/log" >&2
    failed "dpkg $1"
}; }
package --install "$deb"
mine
for file in bin/nbkpd bin/nbkpctl lib/systemd/user/nbkpd.service lib/systemd/system/nbkpd.service \
    lib/systemd/user/nbkp-overdue.timer share/man/man1/nbkpctl.1.gz share/man/man1/nbkpctl-restore.1.gz share/man/man5/nbkp.toml.5.gz share/man/man8/nbkpd.8.gz \
    share/bash-completion/completions/nbkpctl share/nbkp/config.schema.json share/doc/nbkp/linked-in.txt.gz; do
    [[ -s $root/usr/$file ]] || failed "the package has no /usr/$file"
done
[[ $("$root/usr/bin/nbkpctl" --version) = "nbkpctl $(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)" ]] ||
    failed "the program that was installed is another one"
"$root/usr/bin/nbkpctl" config check "$root/usr/share/nbkp/config.toml" >/dev/null || failed "the first configuration has mistakes"
zcat "$root/usr/share/doc/nbkp/linked-in.txt.gz" | grep '^serde ' >/dev/null || failed "what is linked in is not told"
package --install "$deb"
package --remove nbkp
mine
package --purge nbkp
mine
[[ ! -e $root/usr || -z $(find "$root/usr" ! -type d) ]] || failed "files stay behind: $(find "$root/usr" ! -type d)"
if command -v appstreamcli >/dev/null; then
    dpkg-deb --fsys-tarfile "$deb" | tar -xOf - ./usr/share/metainfo/org.nbkp.Nbkp.metainfo.xml >"$place/org.nbkp.Nbkp.metainfo.xml"
    appstreamcli validate --no-net "$place/org.nbkp.Nbkp.metainfo.xml" >"$place/log" || { cat "$place/log" >&2; failed "the metainfo has mistakes"; }
fi
if command -v lintian >/dev/null; then
    lintian --allow-root --fail-on error "$deb" >"$place/log" || { cat "$place/log" >&2; failed "lintian finds errors"; }
fi

# What the scripts of the package say to a service manager, where there is one: a stand-in writes it down.
dpkg-deb --control "$deb" "$place/control"
mkdir "$place/stand-in"
cat >"$place/stand-in/systemctl" <<'STAND_IN'
#!/bin/sh
echo "$*" >>"$SAID"
case $* in *is-active*) [ -n "${ACTIVE:-}" ] ;; esac
STAND_IN
chmod 755 "$place/stand-in/systemctl"
# says EXPECTED SCRIPT ARGUMENT...: what a script tells the service manager, its lines joined by semicolons.
says() {
    local expected=$1 script=$2 said
    shift 2
    rm -f "$place/said"
    unshare --mount --map-root-user sh -ec 'mount -t tmpfs none /run; mkdir -p /run/systemd/system; exec "$@"' sh \
        env -u DPKG_ROOT PATH="$place/stand-in:$PATH" SAID="$place/said" "$place/control/$script" "$@" >"$place/log"
    said=$(paste -sd ';' "$place/said" 2>/dev/null || true)
    [[ $said = "$expected" ]] || failed "$script $* says \`$said\` to the service manager, and not \`$expected\`"
}
says 'daemon-reload' postinst configure ''
[[ ! -s $place/log ]] || failed "a first installation speaks of versions before it"
says 'daemon-reload;--quiet is-active nbkpd.service' postinst configure 0.0.1
grep -q 'systemctl --user restart nbkpd' "$place/log" || failed "an upgrade says nothing of the daemons of users"
ACTIVE=1 says 'daemon-reload;--quiet is-active nbkpd.service;restart nbkpd.service' postinst configure 0.0.1
says '' prerm upgrade 0.0.2
says 'disable --now nbkpd.service nbkp-overdue.timer' prerm remove
grep -q 'systemctl --user disable --now nbkpd' "$place/log" || failed "a removal says nothing of the daemons of users"
says 'daemon-reload' postrm remove

# The archive, for the machine and for one user.
tar -C "$place" -xzf "$archive"
unpacked=$(echo "$place"/nbkp-*/)
mkdir -p "$place/opt/share/doc/other"
echo mine >"$place/opt/share/doc/other/file"
before=$(snapshot "$place/opt")
"$unpacked/install.sh" --prefix "$place/opt" >/dev/null
"$place/opt/bin/nbkpctl" --version >/dev/null
grep -q "^ExecStart=$place/opt/bin/nbkpd" "$place/opt/lib/systemd/user/nbkpd.service" || failed "the unit starts another program"
"$unpacked/install.sh" --prefix "$place/opt" >/dev/null
# Where something cannot be written whole, what was there stays.
whole=$(snapshot "$place/opt")
if (ulimit -f 64 && "$unpacked/install.sh" --prefix "$place/opt") >/dev/null 2>&1; then failed "half a program was put in place"; fi
[[ $(snapshot "$place/opt") = "$whole" ]] || failed "an installation that failed has left something else"
"$unpacked/install.sh" --prefix "$place/opt" --uninstall >/dev/null
[[ $(snapshot "$place/opt") = "$before" ]] || failed "after it was taken away something else is there"
if "$unpacked/install.sh" --prefix relative >/dev/null 2>&1 ||
    "$unpacked/install.sh" --prefix "$place/a b" >/dev/null 2>&1 || "$unpacked/install.sh" --nonsense >/dev/null 2>&1; then
    failed "nonsense was taken"
fi
if [[ $(id -u) -eq 0 ]]; then
    mkdir "$place/home"
    chmod 755 "$place"
    chown -R nobody "$place/home"
    setpriv --reuid=nobody --clear-groups env HOME="$place/home" "$unpacked/install.sh" >/dev/null
    [[ -x $place/home/.local/bin/nbkpd && -s $place/home/.local/share/systemd/user/nbkpd.service ]] || failed "a user has no programs"
fi
echo "packages: built twice alike, installed and taken away"
