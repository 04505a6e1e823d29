# look WHAT ROOT DIRECTORY KIND RUN CLIENT OWN-MARKER VOLUME-ID END-ID KNOWN WRITER: tells how one end of a sync stands. WHAT is `read` for a source,
# `list` for a destination that is only looked at, `write` for one that is about to be written: its lock is tried, what a
# broken connection of ours left running there is ended, and the run's token is left, unless it has a writer that is not
# among the KNOWN ones.
what=$1 root=$2 directory=$3 kind=$4 run=$5 client=$6 marker=$7 volume=$8 id=$9 known=${10} writer=${11} serving=

# show WORD FILE MOST: a small file, line by line.
show() {
    if [ -h "$2" ] || { [ -e "$2" ] && [ ! -f "$2" ]; }; then
        say odd "$2"
    fi
    [ -e "$2" ] || say missing "$2"
    [ -r "$2" ] || say unreadable "$2"
    head -c "$3" -- "$2" | sed "s/^/$1 /"
    echo
}

# expected FILE ID: whether a sentinel is like one of ours and has this id, if one is known. Nothing is touched where it
# is not; what is wrong with it is told by who reads it.
expected() {
    grep -qvE '^[[:space:]]*(#.*|[A-Za-z0-9_-]+[[:space:]]*=.*)?$' "$1" && return 1
    [ -z "$2" ] || grep -qF "\"$2\"" "$1"
}

# version: what rsync here says of itself.
version() { printf 'version %s\n' "$(rsync --version 2>/dev/null | head -n 1)"; }

# medium: the number by which the kernel tells the medium below this directory from the one before, or else the number
# of the mount. Nothing where neither is known.
medium() {
    mounted=$(sed -n 's/^mnt_id:[[:space:]]*//p' /proc/self/fdinfo/0 2>/dev/null <.)
    told=$(grep "^$mounted " /proc/self/mountinfo 2>/dev/null)
    case $told in
        *' - btrfs '*)
            # Its own number is that of no device.
            disk=${told##* - btrfs }
            disk=$(readlink -f "${disk%% *}")
            disk=/sys/class/block/${disk##*/}
            ;;
        *)
            disk=${told#* * }
            disk=/sys/dev/block/${disk%% *}
            ;;
    esac
    # A partition has no number of its own; that of its disk is one directory up.
    cat "$disk/diskseq" 2>/dev/null || cat "$disk/../diskseq" 2>/dev/null || printf %s "$mounted"
}

# wrote: who writes this destination.
wrote() {
    last=$(head -c 512 "$OWN/$LOCK" 2>/dev/null | head -n 1)
    printf 'wrote %s\n' "$last"
}

# Ends what an earlier run of ours left behind and holds this lock.
end_our_own() {
    for signal in TERM KILL; do
        for file in $(grep -lF "NBKP_CLIENT=$client" /proc/[0-9]*/environ 2>/dev/null); do
            process=${file%/environ}
            if ! grep -qF "NBKP_RUN=$run" "$file" 2>/dev/null &&
                find "$process/fd" -lname "$PWD/$OWN/$LOCK" 2>/dev/null | grep -q .; then
                kill -s "$signal" "${process#/proc/}" 2>/dev/null
            fi
        done
        for _ in 1 2 3 4 5; do
            flock -n 9 && return 0
            sleep 1
        done
    done
    return 1
}

if ! cd -P -- "$root" 2>/dev/null; then
    [ -d "$root" ] && say unreadable "$root"
    say no-root "$root"
fi
printf 'root %s\n' "$PWD"
show volume "$VOLUME_SENTINEL" 4097
sure=1
expected "$VOLUME_SENTINEL" "$volume" || sure=
mount=$(stat -c %m . 2>/dev/null)
if ! below "$directory"; then
    [ -d "$root/$directory" ] && say no-directory "$root/$directory: a symbolic link is in the way, or it may not be entered"
    say no-directory "$root/$directory: it does not exist"
fi
printf 'at %s\n' "$PWD"
case $what in
    read)
        show end "$SOURCE_SENTINEL" 4097
        if [ "$kind" != none ]; then
            printf 'newest %s\n' "$(readlink "$LATEST" 2>/dev/null)"
        fi
        for tool in rsync timeout; do
            command -v "$tool" >/dev/null || printf 'tool %s\n' "$tool"
        done
        version
        # What is mounted: numbers and places.
        cut -d ' ' -f 1,5 /proc/self/mountinfo 2>/dev/null | sed 's/^/mount /'
        exit 0
        ;;
esac
show end "$DESTINATION_SENTINEL" 4097
expected "$DESTINATION_SENTINEL" "$id" || sure=
[ -n "$sure" ] || exit 0
[ "$mount" = "$(stat -c %m . 2>/dev/null)" ] || say no-directory "$PWD: another filesystem is mounted there"
if [ "$kind" = btrfs ]; then
    writable=missing
    if [ -h "$STAGING" ] || { [ -e "$STAGING" ] && [ ! -d "$STAGING" ]; }; then
        writable=other
    elif [ -d "$STAGING" ]; then
        case $(stat -c %i "$STAGING")/$(stat -f -c %T "$STAGING") in
            256/btrfs) writable=subvolume ;;
            */btrfs) writable=directory ;;
            *) writable=foreign ;;
        esac
    fi
    printf 'writable %s\n' "$writable"
fi
[ ! -e "$(printf %s "$DESTINATION_SENTINEL" | tr a-z A-Z)" ] || echo folds
lock=$OWN/$LOCK
if [ "$what" = list ] && own "$LOCK" && [ -e "$lock" ]; then
    case $(TZ=UTC0 stat -c '%y' "$lock")/$(stat -c %a "$lock") in
        '2001-09-09 01:46:4'*/*[1357][0246][0246]) ;;
        '2001-09-09 01:46:4'*) echo fixed ;;
    esac
    TZ=UTC0 stat -c 'kept %y' "$lock"
    wrote
fi
# That a copy was begun and not finished, of which no line of the log need tell; what the note says is for who writes.
if [ "$what" = list ] && [ ! -h "$OWN" ]; then
    if [ -e "$OWN/$marker" ] || [ -h "$OWN/$marker" ]; then
        echo marker
    fi
fi
if [ "$what" = write ]; then
    [ -w . ] || say read-only "$PWD"
    version
    need='rsync flock timeout'
    [ "$kind" != btrfs ] || need="$need btrfs"
    lacking=
    for tool in $need; do
        command -v "$tool" >/dev/null || { printf 'tool %s\n' "$tool" && lacking=1; }
    done
    [ -z "$lacking" ] || exit 0
    [ "$kind" != btrfs ] || [ "$writable" = subvolume ] || exit 0
    [ -e "$OWN" ] || tried mkdir -m 700 "$OWN"
    # Who may read the lock can hold it. What is put in its place meanwhile is not what changes.
    (below "$OWN" && chmod go-rwx . 2>/dev/null)
    own "$LOCK" || say odd "$OWN/$LOCK"
    own "$WRITER" || say odd "$OWN/$WRITER"
    if [ -e "$OWN/$LOCK" ] && [ ! -w "$OWN/$LOCK" ]; then
        say failed "$PWD/$OWN/$LOCK: Permission denied"
    fi
    exec 9<>"$OWN/$LOCK"
    flock -n 9 || end_our_own || say taken "$PWD/$OWN/$LOCK"
    wrote
    had=${last#written-by } mine=${writer#written-by }
    had=${had%% *} mine=${mine%% *}
    case " $known " in
        *" $had "*) ;;
        *) printf '%s\n' "$last" | grep -qE '^written-by [0-9a-f]{16} [0-9TZ:-]+ .' && say foreign "$PWD" ;;
    esac
    # A full drive has no room for it; the next run says it then.
    [ "$had" = "$mine" ] || { printf '%s\n' "$writer" >"$OWN/$LOCK"; } 2>/dev/null
    leave='printf "%s\n" "$1" >"$2"'
    if sh -c "$leave" sh "$run" "$OWN/$NEW_WRITER" 2>/dev/null; then
        mv -fT "$OWN/$NEW_WRITER" "$OWN/$WRITER" 2>/dev/null ||
            say failed "mv -T: this is not the mv of coreutils or busybox"
    else
        # A full drive may have no room for a new file; what is there can be written over.
        rm -f "$OWN/$NEW_WRITER"
        tried sh -c "$leave" sh "$run" "$OWN/$WRITER"
    fi
    # Odd times and modes, which stay for who only looks: the owner may run the lock, and nobody else.
    if chmod u-x "$lock" 2>/dev/null && mode=$(stat -c %a "$lock") && chmod u+x "$lock" 2>/dev/null; then
        [ "$mode" != "$(stat -c %a "$lock")" ] || echo fixed
    fi
    TZ=UTC0 touch -d '2001-09-09 01:46:41.123456789' "$lock" 2>/dev/null && TZ=UTC0 stat -c 'kept %y' "$lock"
    printf 'boot %s\n' "$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)"
    printf 'device %s\n' "$(stat -c %d .)"
    printf 'medium %s\n' "$(medium)"
    room
    if [ -e "$OWN/$marker" ]; then
        own "$marker" || say odd "$OWN/$marker"
        show marker "$OWN/$marker" 4096
    fi
fi
if own "$LOG" && [ -r "$OWN/$LOG" ]; then
    # How the last copies ended: the last that was made, and the last that was not.
    grep -vF '"outcome":"ok"' "$OWN/$LOG" | grep -E '"outcome":"(interrupted|failed)"' | tail -n 1 | sed 's/^/past /'
    grep -F '"outcome":"ok"' "$OWN/$LOG" | tail -n 1 | sed 's/^/past /'
fi
[ "$kind" != none ] || exit 0
for name in "$SNAPSHOTS" "$LATEST"; do
    if [ -e "$name" ] || [ -h "$name" ]; then
        case $name in
            "$SNAPSHOTS") { [ -d "$name" ] && [ ! -h "$name" ]; } || say impostor "$PWD/$name" ;;
            "$LATEST") [ -h "$name" ] || say impostor "$PWD/$name" ;;
        esac
    fi
done
printf 'newest %s\n' "$(readlink "$LATEST" 2>/dev/null)"
for path in "$ANY_NEW_LATEST"*; do
    case $path in
        *[!A-Za-z0-9.:_-]*) ;;
        *) [ ! -h "$path" ] || printf 'link %s\n' "$path" ;;
    esac
done
if [ -d "$SNAPSHOTS" ]; then
    echo directory
    # Names that no run of ours gives are passed over.
    for path in "$SNAPSHOTS"/* "$SNAPSHOTS/$IN_PROGRESS"* "$SNAPSHOTS/$STALE"* "$SNAPSHOTS/$TRASH"*; do
        name=${path#"$SNAPSHOTS"/}
        case $name in
            *[!A-Za-z0-9.:_-]*) continue ;;
        esac
        if [ -h "$path" ]; then
            printf 'other %s\n' "$name"
        elif [ -d "$path" ]; then
            printf 'entry %s\n' "$name"
        elif [ -e "$path" ]; then
            printf 'other %s\n' "$name"
        fi
    done
fi
if own "$LOG" && [ -r "$OWN/$LOG" ]; then
    # What is said of snapshots that are not good, and of the newest ones.
    grep -F '"snapshot":"' "$OWN/$LOG" | grep -vF '"standing":"good"' | tail -n 5000 | sed 's/^/log /'
    grep -F '"snapshot":"' "$OWN/$LOG" | tail -n 20 | sed 's/^/log /'
fi
exit 0
