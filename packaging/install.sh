#!/bin/sh
# Installs the programs beside it: `sudo ./install.sh` for the machine, below /usr/local or --prefix; without root for
# yourself, below ~/.local. `--uninstall` takes away what it has put there; configuration, state and copies stay.
set -eu
usage() { echo "install.sh [--prefix DIRECTORY] [--uninstall]: below /usr/local for root, otherwise below ~/.local"; }
cd "$(dirname "$0")"
prefix='' undo=''
while [ $# -gt 0 ]; do
    case $1 in
        --prefix) prefix=${2:?a directory has to follow --prefix} && shift 2 ;;
        --uninstall) undo=1 && shift ;;
        -h | --help) usage && exit 0 ;;
        *) usage >&2 && exit 2 ;;
    esac
done
if [ "$(id -u)" = 0 ]; then
    prefix=${prefix:-/usr/local} units='lib/systemd/system lib/systemd/user'
else
    prefix=${prefix:-$HOME/.local} units='lib/systemd/user'
fi
case $prefix in /*) ;; *) echo "install.sh: --prefix has to begin with /" >&2 && exit 2 ;; esac

# files: what is installed, below the prefix.
files() {
    for part in bin $units share; do
        find "$part" -type f | LC_ALL=C sort
    done
}

# place FILE: where it goes. The units of a user who installs for themselves lie in their data directory (systemd.unit(5)).
place() {
    case $1 in
        lib/systemd/user/*)
            if [ "$(id -u)" = 0 ]; then echo "$prefix/$1"; else echo "$prefix/share/systemd/user/${1##*/}"; fi ;;
        *) echo "$prefix/$1" ;;
    esac
}

files | while IFS= read -r file; do
    to=$(place "$file")
    if [ -n "$undo" ]; then
        rm -f -- "$to"
        continue
    fi
    mkdir -p -- "${to%/*}"
    # Under another name first: a program that runs is not written to.
    case $file in
        lib/systemd/*) sed "s#/usr/bin/#$prefix/bin/#" "$file" >"$to.new" && chmod 644 "$to.new" ;;
        bin/*) cp -- "$file" "$to.new" && chmod 755 "$to.new" ;;
        *) cp -- "$file" "$to.new" && chmod 644 "$to.new" ;;
    esac
    mv -f -- "$to.new" "$to"
done
if [ -n "$undo" ]; then
    echo "nbkp is removed from $prefix; configuration, state and copies are as they were"
else
    echo "nbkp is installed in $prefix; \`$prefix/bin/nbkpctl init\` sets up the first backup"
fi
