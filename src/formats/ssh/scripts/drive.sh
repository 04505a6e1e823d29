# How a removable drive stands on this machine. lsblk and findmnt (util-linux) tell; where they are missing, nothing is
# found but what has a link in /dev/disk/by-uuid.

# carriers UUID: the nodes of the devices that carry it, one a line. What is a part of something larger is none of them.
carriers() {
    {
        lsblk -nrpo UUID,FSTYPE,KNAME 2>/dev/null | grep -i "^$1 " | grep -v '_member ' | sed 's/.* //'
        [ ! -b "/dev/disk/by-uuid/$1" ] || readlink -f "/dev/disk/by-uuid/$1"
    } | sort -u
}

# are_one NODE…: whether these are one drive: a single device, or the members of one btrfs, each another one.
are_one() {
    [ $# -gt 1 ] || return 0
    parts=$(for part in "$@"; do
        udevadm info --query=property --name="$part" 2>/dev/null | sed -n 's/^ID_FS_UUID_SUB=//p'
    done | sort -u | wc -l)
    [ "$parts" -eq $# ]
}

# mounted NODE: where it is mounted; nothing if it is not. findmnt writes a byte that is no ASCII as \xHH, and a
# backslash only where that would look the same.
mounted() {
    rest=$(findmnt -fnlo TARGET -S "$1" 2>/dev/null)
    point=
    while :; do
        case $rest in
            *\\x[0-9a-f][0-9a-f]*) ;;
            *) break ;;
        esac
        tail=${rest#*\\x}
        point=$point${rest%%\\x*}
        rest=${tail#??}
        byte=$(printf "\\$(printf %03o "0x${tail%"$rest"}")x")
        point=$point${byte%x}
    done
    point=$point$rest
}

# drive UUID NODE: looks at the drive that carries this UUID, or at this one of several that do, if a node is given. Sets
#   state      unplugged, ambiguous, locked, closed (not mounted) or open
#   role       encrypted, or plain
#   nodes      those that carry the UUID
#   container  that of the LUKS container, for one that is encrypted
#   inside     the node with the filesystem
#   point      where that is mounted
#   boot, seq  which boot of this machine this is, and by which number the kernel knows the medium in it
drive() {
    state=unplugged role=plain container='' inside='' point='' seq=''
    boot=$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)
    nodes=$(carriers "$1")
    meant=$2
    if [ -n "$meant" ] && ! printf '%s\n' "$nodes" | grep -qFx -- "$meant"; then
        nodes=
    fi
    [ -n "$nodes" ] || return 0
    # Names of nodes have no blanks.
    # shellcheck disable=SC2086
    set -- $nodes
    if ! are_one "$@"; then
        if [ -z "$meant" ]; then
            state=ambiguous
            return 0
        fi
        nodes=$meant
        set -- "$meant"
    fi
    case $(lsblk -dnro TYPE,FSTYPE "$1" 2>/dev/null) in
        *' crypto_LUKS')
            role=encrypted container=$1
            # What is directly in it, and no guess.
            inside=$(lsblk -nrpo TYPE,KNAME "$1" | sed -n 's/^crypt //p')
            ;;
        'crypt '*)
            role=encrypted inside=$1
            container=$(lsblk -nrpso KNAME "$1" | sed -n 2p)
            ;;
        *) inside=$1 ;;
    esac
    disk=/sys/class/block/$(basename "${container:-${meant:-$1}}")
    # A partition has no number of its own; that of its disk is one directory up.
    seq=$(cat "$disk/diskseq" 2>/dev/null || cat "$disk/../diskseq" 2>/dev/null)
    if [ -z "$inside" ]; then
        state=locked
        return 0
    fi
    [ "$role" = plain ] || set -- "$inside"
    state=closed
    for part in "$@"; do
        # A mapped device is known by two names.
        for name in "$part" $(lsblk -dnrpo NAME "$part" 2>/dev/null); do
            mounted "$name"
            if [ -n "$point" ]; then
                state=open
                return 0
            fi
        done
    done
}

# facts: tells how the drive stands that was looked at.
facts() {
    printf 'state %s\nrole %s\ncontainer %s\ninside %s\nboot %s\nseq %s\n' \
        "$state" "$role" "$container" "$inside" "$boot" "$seq"
    printf '%s\n' "$nodes" | sed 's/^/node /'
    [ "$state" != open ] || printf 'point %s\n' "$point"
    command -v udisksctl >/dev/null || echo missing
}
