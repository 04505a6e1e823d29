# Looks at volumes and at the ends of syncs on a server, all in one go, and changes nothing.
#
# Arguments, any number of times: volume PATH UUID OUTER, followed by its ends: end KIND SUBDIRECTORY.
# Answers are words that end in a zero byte, as many for each question as formats/ssh/probe.rs reads.
set -u
LC_ALL=C
export LC_ALL

say() { printf '%s\0' "$@"; }

# The whole output of a command, line feeds at its end included: names may have some.
last_feed_kept() { "$@" && printf x; }

# sentinel FILE: two words, how it is and what it says.
sentinel() {
    if [ -h "$1" ]; then
        say unusable 'it is a symbolic link'
    elif [ ! -e "$1" ]; then
        say missing ''
    elif [ ! -f "$1" ]; then
        say unusable 'it is not a regular file'
    elif [ ! -r "$1" ]; then
        say unusable 'permission denied'
    elif [ ! -s "$1" ]; then
        say fine ''
    elif [ "$(wc -c <"$1")" -gt 4096 ]; then
        say unusable 'it is longer than 4096 bytes'
    else
        say fine "$(cat <"$1")"
    fi
}

# why DIRECTORY: why it cannot be entered, in words.
why() {
    if [ -d "$1" ]; then say 'permission denied'
    elif [ -e "$1" ]; then say 'it is not a directory'
    else say 'it does not exist'; fi
}

fs_type() { stat -f -c %T . 2>/dev/null || printf unknown; }

# volume PATH UUID OUTER: goes there. For a drive six words first: how it stands, whether it is encrypted, its nodes, what
# tells its medium, and in which container it lies; one that is not open is told no more of. Then four: how the root is, the root or why not, whether it can
# be written, the type of its filesystem; and two more for its sentinel if it is there.
volume() {
    root=$1
    if [ -n "$2" ]; then
        drive "$2" "$3" ''
        say "$state" "$role" "$nodes" "$boot" "$seq" "$outer"
        [ "$state" = open ] || return 1
        root=${point%/}${1:+/${1#/}}
    fi
    if ! cd -P -- "${root:-.}" 2>/dev/null; then
        say absent "$root"; why "$root"; say ''
        return 1
    fi
    here=$(last_feed_kept pwd -P)
    here=${here%?x}
    if [ -w . ]; then access=writable; else access=read-only; fi
    say there "$here" "$access" "$(fs_type)"
    sentinel "$VOLUME_SENTINEL"
}

# other_kind KIND: says so if copies of another kind lie here. How the last one was made, the log tells.
other_kind() {
    log=$OWN/$LOG
    [ ! -h "$OWN" ] && [ ! -h "$log" ] && [ -f "$log" ] || log=/dev/null
    last=$(grep -F '"outcome":"ok"' "$log" 2>/dev/null | tail -n 1)
    if [ "$1" = plain ]; then
        newest=$(readlink "$LATEST")
        case $newest in
            "$SNAPSHOTS"/*) [ -d "$newest" ] && [ ! -h "$newest" ] || return ;;
            *) return ;;
        esac
        case $last in
            *'"snapshot":"'*) say holds-history ;;
            '') grep -qE '"outcome":"(interrupted|failed)"' "$log" 2>/dev/null || say holds-history ;;
        esac
        return
    fi
    case $last in
        '' | *'"snapshot":"'*) return ;;
    esac
    for entry in * .[!.]* ..?*; do
        [ -e "$entry" ] || [ -h "$entry" ] || continue
        case $entry in
            "$OWN"* | "$ANY_NEW_LATEST"* | "$SNAPSHOTS" | "$LATEST" | "$STAGING" | "$PARTIAL") ;;
            lost+found | .Trash* | '$RECYCLE.BIN' | 'System Volume Information') ;;
            *) say holds-mirror && return ;;
        esac
    done
}

# end KIND SUBDIRECTORY: three words (how the directory is, and its sentinel), then what else stands in the way, then an
# empty word. Below the root of a volume no link is followed.
end() {
    below=${here%/}/$2
    below=${below%/}
    if ! cd -P -- "${below:-/}" 2>/dev/null; then
        say absent; why "$below"; say '' ''
        return
    fi
    now=$(last_feed_kept pwd -P)
    if [ "${now%?x}" != "${below:-/}" ]; then
        say absent 'a symbolic link is on the way, which is not followed' '' ''
        return
    fi
    say there
    case $1 in source | kept) sentinel "$SOURCE_SENTINEL" ;; *) sentinel "$DESTINATION_SENTINEL" ;; esac
    case $1 in
        source) ;;
        kept)
            target=$(readlink "$LATEST")
            [ -d "$target" ] && [ ! -h "$target" ] || target=
            say newest "$target"
            ;;
        *)
            left=$(df -P . 2>/dev/null | { read -r _ && read -r _ _ _ left _ && printf %s "$left"; })
            [ "$left" != 0 ] || say full
            if [ "$1" = btrfs ]; then
                if [ "$(fs_type)" != btrfs ]; then
                    say "not-btrfs $(fs_type)"
                elif [ -h "$STAGING" ] || [ "$(stat -c %i "$STAGING" 2>/dev/null)" != 256 ]; then
                    say no-subvolume
                fi
                command -v btrfs >/dev/null || say tool btrfs
            fi
            command -v flock >/dev/null || say tool flock
            other_kind "$1"
            ;;
    esac
    if command -v rsync >/dev/null; then
        say version "$(rsync --version 2>/dev/null | head -n 1)"
    else
        say tool rsync
    fi
    say ''
}

unset CDPATH
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
say nbkp-look-1
# A relative path is meant from the home directory, wherever the login shell went.
cd -- "${HOME:-/}" 2>/dev/null || cd / || exit
home=$PWD
while [ $# -gt 0 ]; do
    case $1 in
        volume)
            cd -- "$home" || exit
            seen=no
            volume "$2" "$3" "$4" && seen=yes
            shift 4
            ;;
        end)
            if [ "$seen" = yes ]; then end "$2" "$3"; else say unseen '' '' ''; fi
            shift 3
            ;;
    esac
done
say 'done'
