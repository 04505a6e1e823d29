# apart SOURCE ITS-NUMBERS DESTINATION ITS-NUMBERS PLACE USE, then rsync's arguments: runs in a mount namespace of its own
# and becomes rsync there, whose root is an empty filesystem in memory with the source, the destination, the programs, and
# nothing else. What is swapped below either end meanwhile leads nowhere. An empty path is not here. USE is `write` or
# `read` for a destination, or `try`, which tells whether all this can be had. Where it cannot, rsync runs as it is.
from=$1 from_is=$2 to=$3 to_is=$4 place=$5 use=$6
shift 6
at=/source
[ -z "$to" ] || at=/destination${place:+/$place}
# Every machine has it, and nobody keeps files or mounts below it.
new=/sys/class
rsync=$(command -v rsync)
rsync=$(readlink -f "$rsync")
# What root needs to read all, and to keep owners, modes, device nodes and the rights of files.
rights="setpriv --no-new-privs --inh-caps=-all --bounding-set=-all,+chown,+dac_override,+fowner,+fsetid,+mknod,+setfcap"

# attempt COMMAND…: does a step, and keeps what it says.
attempt() { why=$("$@" 2>&1 </dev/null) || { why="$1: $why" && return 1; }; }

# programs: makes the root, with the programs in it, and what they learn from who the users are.
programs() {
    attempt mount -t tmpfs -o mode=755,size=64m,nosuid nbkp "$new" || return
    set --
    for path in /bin /sbin /lib /lib32 /lib64 /libx32; do
        [ ! -h "$path" ] || set -- "$@" "$path"
    done
    [ $# = 0 ] || attempt cp -P "$@" "$new/" || return
    set --
    for path in /usr /bin /sbin /lib /lib32 /lib64 /libx32 /nix/store /gnu/store /etc/crypto-policies /etc/userdb /run/nscd \
        /run/systemd/userdb /run/userdb /run/nslcd /run/samba/winbindd \
        /var/lib/sss/mc /var/lib/sss/pipes; do
        if [ -d "$path" ] && [ ! -h "$path" ]; then set -- "$@" "$new$path"; fi
    done
    case $rsync in
        /usr/* | /bin/* | /nix/store/* | /gnu/store/*) ;;
        *) set -- "$@" "$new${rsync%/*}" ;;
    esac
    attempt mkdir -p "$new/old" "$new/source" "$new/destination" "$new/dev" "$new/etc" "$new/proc/self/fd" "$@" || return
    : >"$new/proc/self/mountinfo" && : >"$new/dev/null" || return
    attempt mount -o bind /dev/null "$new/dev/null" || return
    for path in "$@"; do
        attempt mount -o bind,ro "${path#"$new"}" "$path" || return
    done
    set --
    for file in group host.conf hosts ld.so.cache ld.so.preload localtime nsswitch.conf passwd; do
        [ ! -f "/etc/$file" ] || set -- "$@" "/etc/$file"
    done
    [ $# = 0 ] || attempt cp -L "$@" "$new/etc" || return
    # What rsync is told finds its way.
    attempt ln -s /source "$new/proc/self/fd/7" && attempt ln -s "$at" "$new/proc/self/cwd"
}

# end PATH NUMBERS AT: an end is seen there, if it is the one that was proven.
end() {
    [ -n "$1" ] || return 0
    if mount -o rbind -- "$1" "$new$3" >&2 </dev/null && [ "$(stat -c %d:%i "$new$3/.")" = "$2" ]; then
        # What holds the new root shows it, too.
        case $1 in / | /sys) umount -l "$new$3${new#"${1%/}"}" >&2 </dev/null && return ;; *) return ;; esac
    fi
    printf "nbkp: lost %s is not there any more\n" "$1" >&2
    exit 1
}

# sealed: nothing can be written there but a destination, and no device and no program of an end can be used.
sealed() {
    why="a mount cannot be made read-only"
    cat /proc/self/mountinfo | while read -r _ _ _ _ point options _; do
        case $point in "$new" | "$new"/*) ;; *) continue ;; esac
        kept=${options#r?}
        case $use$point in
            "write$new/destination" | "write$new/destination"/*) wanted=${options%"$kept"},nosuid,nodev$kept ;;
            *"$new/source" | *"$new/source"/* | *"$new/destination" | *"$new/destination"/*) wanted=ro,nosuid,nodev$kept ;;
            *) wanted=ro$kept ;;
        esac
        [ "$wanted" != "$options" ] || continue
        mount -o "remount,bind,$wanted" "$(printf %b "$point")" 2>/dev/null </dev/null && continue
        # Some that a user mounted cannot even be looked at by root.
        case $point in "$new/source"/* | "$new/destination"/*) ;; *) exit 1 ;; esac
    done
}

# works: rsync can be started there, without the rights that it does not need if they can be taken.
works() {
    tools="command -v pivot_root && command -v umount && exec \"\$@\""
    attempt chroot "$new" sh -c "$tools" sh $rights "$rsync" --version && return
    rights=
    attempt chroot "$new" sh -c "$tools" sh "$rsync" --version
}

# entered: goes there, where nothing of the old root has a path then.
entered() {
    cd "$new" && attempt pivot_root . old || return
    # It wants a table of mounts, and is content with an empty one.
    attempt umount -l /old && return
    cd /old && pivot_root . "${new#/}"
    return 1
}

begun=$PWD why=
if programs; then
    end "$from" "$from_is" /source
    end "$to" "$to_is" /destination
    if sealed && works && entered; then
        [ "$use" != try ] || { echo "apart${rights:+ and without rights}" && exit 0; }
        if ! cd -P -- "$at" || [ "$PWD" != "$at" ]; then
            printf "nbkp: lost %s is not there any more\n" "$begun" >&2
            exit 1
        fi
        exec 7<&-
        exec $rights "$rsync" "$@"
    fi
fi
[ "$use" != try ] || { printf "%s\n" "$why" && exit 1; }
if ! cd -P -- "$begun" || [ "$PWD" != "$begun" ]; then
    printf "nbkp: lost %s is not there any more\n" "$begun" >&2
    exit 1
fi
exec rsync "$@"
