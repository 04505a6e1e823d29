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
case $prefix in
    *[!A-Za-z0-9/._+@~-]*)
        echo "install.sh: no unit can name a program below $prefix: --prefix takes letters, digits and /._+@~-" >&2
        exit 2 ;;
    /*) ;;
    *) echo "install.sh: --prefix has to begin with /" >&2 && exit 2 ;;
esac

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
    # Under another name first: a program that runs is not written to, and half a program replaces none.
    case $file in
        lib/systemd/*) sed "s#/usr/bin/#$prefix/bin/#" "$file" >"$to.new" ;;
        *) cp -- "$file" "$to.new" ;;
    esac || {
        rm -f -- "$to.new"
        echo "install.sh: $to could not be written: what is there stays. Make room, and begin again" >&2
        exit 1
    }
    case $file in bin/*) chmod 755 "$to.new" ;; *) chmod 644 "$to.new" ;; esac
    mv -f -- "$to.new" "$to"
done
# for_each WHAT: what to tell the service managers.
for_each() {
    if [ "$(id -u)" = 0 ]; then
        echo "\`sudo systemctl $1 nbkpd\`, or \`systemctl --user $1 nbkpd\` in the session of whoever has it"
    else
        echo "\`systemctl --user $1 nbkpd\`"
    fi
}
if [ -n "$undo" ]; then
    echo "nbkp is removed from $prefix; configuration, state and copies are as they were"
    echo "A daemon that runs goes on until it is stopped: $(for_each "disable --now")"
else
    echo "A daemon that runs already goes on as the version before until it is started anew: $(for_each restart)"
    echo "nbkp is installed in $prefix; \`$prefix/bin/nbkpctl init\` sets up the first backup"
fi
