#!/usr/bin/env bash
# Builds what is given away into `target/packages`: a Debian package, an archive with an installer, what is linked in
# (licences, a bill of materials) and their checksums. The same commit gives the same bytes again.
#
#   packaging/release.sh [--binaries DIRECTORY] [--quick]
#
# `--binaries` takes programs that are built already, `--quick` packs them less tightly, for tests. On a tag `v…` it has to be that of the version, with its changes.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=packaging/debian.sh
. packaging/debian.sh

binaries='' level=9
while [[ $# -gt 0 ]]; do
    case $1 in
        --binaries) binaries=${2:?} && shift 2 ;;
        --quick) level=1 && shift ;;
        *) give_up "packaging/release.sh does not know \`$1\`" ;;
    esac
done

# field NAME: a field of the package, as Cargo.toml has it.
field() { sed -n "s/^$1 = \"\(.*\)\"$/\1/p" Cargo.toml | head -n 1; }

version=$(field version)
out=target/packages work=target/packages/work
rm -rf "$out"
mkdir -p "$work"
umask 022

tag=$(git describe --tags --exact-match 2>/dev/null || true)
if [[ -n $tag ]]; then
    [[ $tag = "v$version" ]] || give_up "The tag is $tag, and Cargo.toml says $version: they have to be the same."
    grep -q "^## $version" CHANGELOG.md || give_up "CHANGELOG.md has no section \`## $version\`."
fi
# Every file is as old as the commit.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH

debian_packages dpkg-deb=dpkg python3=python3
if [[ -z $binaries ]]; then
    program_packages
    say "building the programs"
    cargo build --release --locked --bins
    binaries=target/release
fi
architecture=$(dpkg --print-architecture)

say "gathering what is installed"
tree=$work/tree
doc=$tree/usr/share/doc/nbkp
mkdir -p "$tree"/usr/{bin,lib/systemd/{system,user},share/{bash-completion/completions,zsh/vendor-completions,fish/vendor_completions.d,man/man{1,5,8},icons/hicolor/scalable/apps,metainfo,nbkp}} "$doc/docs"
install -s -m 755 "$binaries/nbkpd" "$binaries/nbkpctl" "$tree/usr/bin/"
install -m 644 systemd/nbkpd-system.service "$tree/usr/lib/systemd/system/nbkpd.service"
install -m 644 systemd/nbkpd.{service,socket} "$tree/usr/lib/systemd/user/"
for unit in systemd/nbkp-overdue.{service,timer}; do
    install -m 644 "$unit" "$tree/usr/lib/systemd/system/"
    install -m 644 "$unit" "$tree/usr/lib/systemd/user/"
done
"$binaries/nbkpctl" completions bash >"$tree/usr/share/bash-completion/completions/nbkpctl"
"$binaries/nbkpctl" completions zsh >"$tree/usr/share/zsh/vendor-completions/_nbkpctl"
"$binaries/nbkpctl" completions fish >"$tree/usr/share/fish/vendor_completions.d/nbkpctl.fish"
# page NAME [COMMAND]: a manual page.
page() { "$binaries/nbkpctl" man "${@:2}" | gzip -9n >"$tree/usr/share/man/man1/$1.1.gz"; }
page nbkpctl
"$binaries/nbkpctl" man nbkp.toml | gzip -9n >"$tree/usr/share/man/man5/nbkp.toml.5.gz"
"$binaries/nbkpd" man | gzip -9n >"$tree/usr/share/man/man8/nbkpd.8.gz"
"$binaries/nbkpctl" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z][a-z-]*\) .*/\1/p' | while read -r command; do
    [[ $command = help ]] || page "nbkpctl-$command" "$command"
done
"$binaries/nbkpctl" config schema >"$tree/usr/share/nbkp/config.schema.json"
"$binaries/nbkpctl" config example >"$tree/usr/share/nbkp/config.toml"
install -m 644 packaging/grafana.json "$tree/usr/share/nbkp/"
install -m 644 packaging/desktop/org.nbkp.Nbkp.svg "$tree/usr/share/icons/hicolor/scalable/apps/"
sed "s/@VERSION@/$version/; s/@DATE@/$(date --utc --date="@$SOURCE_DATE_EPOCH" +%F)/" packaging/desktop/org.nbkp.Nbkp.metainfo.xml \
    >"$tree/usr/share/metainfo/org.nbkp.Nbkp.metainfo.xml"
install -m 644 README.md "$doc/"
install -m 644 docs/*.md "$doc/docs/"
gzip -9n <CHANGELOG.md >"$doc/changelog.gz"
{
    printf 'nbkp (%s) unstable; urgency=medium\n\n  * Version %s: changelog.gz tells what is new.\n\n' "$version-1" "$version"
    printf ' -- the authors of nbkp <nbkp@localhost.invalid>  %s\n' "$(date --utc --date="@$SOURCE_DATE_EPOCH" +'%a, %d %b %Y %H:%M:%S +0000')"
} | gzip -9n >"$doc/changelog.Debian.gz"
python3 packaging/parts.py licences >"$doc/linked-in.txt"
gzip -9n "$doc/linked-in.txt"
python3 packaging/parts.py bill >"$out/nbkp-$version.cdx.json"
{
    echo 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/'
    printf 'Upstream-Name: nbkp\n\nFiles: *\nCopyright: 2026 the authors of nbkp\nLicense: Apache-2.0\n'
    printf ' On Debian systems the text is in /usr/share/common-licenses/Apache-2.0. What is linked in has licences of its own:\n'
    printf ' linked-in.txt.gz beside this file.\n'
} >"$doc/copyright"

say "packing the archive"
archive=nbkp-$version-$architecture
mkdir "$work/$archive"
cp -a "$tree/usr/." "$work/$archive/"
cp LICENSE "$work/$archive/"
install -m 755 packaging/install.sh "$work/$archive/"
# The clock of the machine and the order of its directories are nobody's business.
pack=(--sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --format=gnu)
tar -C "$work" "${pack[@]}" -cf - "$archive" | gzip -n "-$level" >"$out/$archive.tar.gz"

say "packing the Debian package"
mkdir "$tree/DEBIAN"
size=$(du -k -s --apparent-size "$tree/usr" | cut -f 1)
sed "s/@VERSION@/$version-1/; s/@ARCHITECTURE@/$architecture/; s/@SIZE@/$size/" packaging/debian/control >"$tree/DEBIAN/control"
install -m 755 packaging/debian/{postinst,prerm,postrm} "$tree/DEBIAN/"
(cd "$tree" && find usr -type f -print0 | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
chmod -R u+rwX,go+rX,go-w "$tree"
find "$tree" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group -Zxz "-z$level" --build "$tree" "$out/nbkp_$version-1_$architecture.deb" >/dev/null

rm -rf "$work"
(cd "$out" && sha256sum -- * >SHA256SUMS)
say "done"
(cd "$out" && ls -l)
