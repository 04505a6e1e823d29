# How a removable drive stands on this machine. lsblk and findmnt (util-linux) tell; where they are missing, nothing is
# found but what has a link in /dev/disk/by-uuid.

# carriers UUID: the nodes of the devices that carry it, one a line. What is a part of something larger is none of them.
carriers() {
    {
        lsblk -nrpo UUID,FSTYPE,KNAME 2>/dev/null | grep -i "^$1 " | grep -v '_member ' | sed 's/.* //'
        [ ! -b "/dev/disk/by-uuid/$1" ] || readlink -f "/dev/disk/by-uuid/$1"
    } | sort -u
}

# containers UUID: the nodes of the LUKS containers that carry it.
containers() {
    lsblk -nrpo UUID,FSTYPE,KNAME 2>/dev/null | grep -i "^$1 crypto_LUKS " | sed 's/.* //' | sort -u
}

# around NODE: the node of the container that this one lies in directly, if it lies in one.
around() {
    case $(lsblk -dnro TYPE,FSTYPE "$1" 2>/dev/null) in
        'crypt '*) lsblk -nrpso KNAME "$1" | sed -n 2p ;;
    esac
}

# only NODE NODES: those of these that are this one or lie in the container on it; all, where none is given.
only() {
    for one in $2; do
        if [ -z "$1" ] || [ "$one" = "$1" ] || [ "$(around "$one")" = "$1" ]; then printf '%s\n' "$one"; fi
    done
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

# drive UUID OUTER NODE: looks at the drive that carries this UUID; if none does, at the LUKS container with the UUID
# OUTER, in which its filesystem lay before. OUTER and NODE may be empty; with a node, only what is on it counts. Sets
#   state      unplugged, ambiguous, locked, closed (not mounted), open, or other: the container holds something else
#   role       encrypted, or plain
#   nodes      those that carry the UUID, or the container
#   container  the node of the LUKS container, for one that is encrypted
#   outer      its UUID, for one that is named by what is in it
#   inside     the node with the filesystem
#   point      where that is mounted
#   boot, seq  which boot of this machine this is, and by which number the kernel knows the medium in it
drive() {
    state=unplugged role=plain container='' outer='' inside='' point='' seq=''
    boot=$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)
    all=$(carriers "$1")
    nodes=$(only "$3" "$all")
    found=drive
    if [ -z "$nodes" ] && [ -n "$2" ]; then
        nodes=$(only "$3" "$(containers "$2")")
        all=$nodes found=container
    fi
    [ -n "$nodes" ] || return 0
    meant=$3
    # Names of nodes have no blanks. The members of one filesystem are one drive, whichever of them is meant.
    # shellcheck disable=SC2086
    if are_one $all; then nodes=$all; fi
    # shellcheck disable=SC2086
    set -- $nodes
    if ! are_one "$@"; then
        state=ambiguous
        return 0
    fi
    case $(lsblk -dnro TYPE,FSTYPE "$1" 2>/dev/null) in
        *' crypto_LUKS')
            role=encrypted container=$1
            # What is directly in it, and no guess.
            inside=$(lsblk -nrpo TYPE,KNAME "$1" | sed -n 's/^crypt //p')
            ;;
        'crypt '*)
            role=encrypted inside=$1
            container=$(around "$1")
            # In several containers it could not be opened by one of them.
            [ $# -gt 1 ] || outer=$(lsblk -dnro UUID,FSTYPE "$container" 2>/dev/null | sed -n 's/ crypto_LUKS$//p')
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
    if [ $found = container ]; then
        state=other
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
    printf 'state %s\nrole %s\ncontainer %s\nouter %s\ninside %s\nboot %s\nseq %s\n' \
        "$state" "$role" "$container" "$outer" "$inside" "$boot" "$seq"
    printf '%s\n' "$nodes" | sed 's/^/node /'
    [ "$state" != open ] || printf 'point %s\n' "$point"
    command -v udisksctl >/dev/null || echo missing
}
