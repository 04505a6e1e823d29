# What is done at one end of a copy, here or on a server. Each step enters the place anew and proves it before it changes
# anything. It ends with 75 if the place is not there, and with 1 if something failed.
set -u
umask 077
unset CDPATH
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export LC_ALL PATH

absent() { printf '%s\n' "$1" >&2; exit 75; }
failed() { printf '%s\n' "$1" >&2; exit 1; }

# tried COMMAND…: does something, or fails with what it said.
tried() {
    why=$("$@" 2>&1 </dev/null) || failed "$1: $why"
}

# mounted_at UUID: where the filesystem with this UUID is mounted, or the one in the LUKS container with this UUID.
mounted_at() {
    if [ "$(uname)" = Darwin ]; then
        diskutil info "$1" 2>/dev/null | sed -n 's/^ *Mount Point: *//p'
        return
    fi
    for link in /dev/disk/by-uuid/*; do
        [ "$(printf %s "${link##*/}" | tr A-Z a-z)" = "$1" ] || continue
        device=$(readlink -f "$link")
        wanted=" $device "
        for holder in "/sys/class/block/${device##*/}/holders"/*; do
            [ ! -r "$holder/dm/name" ] || wanted="$wanted$(readlink -f "/dev/mapper/$(cat "$holder/dm/name")") "
        done
        while read -r what where _; do
            case $what in
                /*) ;;
                *) continue ;;
            esac
            case $wanted in
                # The kernel writes a space as \040.
                *" $(readlink -f "$what") "*) printf '%b\n' "$(printf %s "$where" | sed 's/\\\([0-7]\)/\\0\1/g')" ;;
            esac
        done </proc/self/mounts
    done
}

# is_marked FILE: whether a sentinel is there, as a file and not as a link.
is_marked() { [ ! -h "$1" ] && [ -f "$1" ]; }

# below DIRECTORY: goes into a directory below this one, through no link.
below() {
    [ -n "$1" ] || return 0
    above=${PWD%/}
    cd -P -- "./$1" 2>/dev/null && [ "$PWD" = "$above/$1" ]
}

# enter WHERE ROOT UUID DIRECTORY SENTINEL: goes to one end and proves it. WHERE is `directory`, `drive` (wherever it is
# mounted, and ROOT below it), or `above` (the volume on which ROOT, where this script lies, is).
enter() {
    case $1 in
        directory)
            # At a server a path may be one below the home directory.
            { cd -- "${HOME:-/}" && cd -P -- "$2"; } 2>/dev/null || absent "$2 is not there"
            ;;
        drive)
            places=$(mounted_at "$3")
            [ -n "$places" ] || absent "the drive $3 is not plugged in, or not mounted"
            root=
            while read -r place; do
                [ -n "$root" ] || ! is_marked "$place/${2:+$2/}$VOLUME_SENTINEL" || root=$place
            done <<PLACES
$places
PLACES
            [ -n "$root" ] || absent "the drive $3 is mounted, but ${2:+in $2 }there is no $VOLUME_SENTINEL on it: prepare it first"
            { cd -P -- "$root" && below "$2"; } 2>/dev/null || absent "$root/$2 may not be entered"
            ;;
        above)
            cd -P -- "$2" 2>/dev/null || absent "$2 is not there"
            until is_marked "$VOLUME_SENTINEL"; do
                [ "$PWD" != / ] || absent "no directory above $2 has $VOLUME_SENTINEL: this script is not on its drive"
                cd ..
            done
            if [ -n "$3" ] && { [ -d /dev/disk/by-uuid ] || [ "$(uname)" = Darwin ]; }; then
                mounted_at "$3" | grep -qxF -- "$PWD" || absent "$PWD is not the drive $3"
            fi
            ;;
    esac
    is_marked "$VOLUME_SENTINEL" || absent "$PWD/$VOLUME_SENTINEL is missing: nothing is mounted there, or it was never prepared"
    root=$PWD
    below "$4" || absent "$root/$4 is not there, or a symbolic link is in the way"
    is_marked "$5" || absent "$PWD/$5 is missing: it was never prepared, or it is another place"
}

# lock: takes the lock of a destination until this shell ends, where the machine has `flock`.
lock() {
    { [ -d "$OWN" ] && [ ! -h "$OWN" ] && [ ! -h "$OWN/$LOCK" ]; } || failed "$PWD/$OWN is no directory of nbkp"
    command -v flock >/dev/null || return 0
    exec 9<>"$OWN/$LOCK" || failed "$PWD/$OWN/$LOCK cannot be opened"
    for _ in 1 2 3 4 5; do
        flock -n 9 && return
        sleep 1
    done
    absent "$PWD is in use by another run"
}

# ours TOKEN: makes sure that nobody else has written here since this run began.
ours() {
    [ "$(head -c 256 "$OWN/$WRITER" 2>/dev/null)" = "$1" ] || failed "another run has written to $PWD since this one began"
}

marker() { [ "$1" = btrfs ] && printf %s "$OWN/$STAGING_MARKER" || printf %s "$OWN/$MARKER"; }

# flush [FILE]: makes sure that what was written is on the device. A drive that was pulled out shows here.
flush() {
    if [ "$(uname)" = Linux ]; then
        tried sync -f "${1:-.}"
    else
        sync
    fi
}

is_subvolume() { [ "$(stat -c %i "$1" 2>/dev/null)/$(stat -f -c %T "$1" 2>/dev/null)" = 256/btrfs ]; }

# replace NEW OLD: puts a link in the place of another at one stroke; none of the three is everywhere.
replace() {
    mv -fT "$1" "$2" 2>/dev/null || mv -fh "$1" "$2" 2>/dev/null ||
        perl -e 'rename $ARGV[0], $ARGV[1] or die "$!\n"' "$1" "$2"
}

# point TARGET: moves the link to the newest snapshot.
point() {
    rm -f "$NEW_LATEST"
    ln -s "$1" "$NEW_LATEST" && replace "$NEW_LATEST" "$LATEST"
}

# discard NAME: puts something below the snapshots out of sight at one stroke, and then deletes it.
discard() {
    case $1 in
        "$TRASH"*) gone=$SNAPSHOTS/$1 ;;
        *)
            gone=$SNAPSHOTS/$TRASH${1#.}
            [ ! -e "$gone" ] || destroy "$gone" || return 1
            mv "$SNAPSHOTS/$1" "$gone" || return 1
            ;;
    esac
    destroy "$gone"
}

destroy() {
    if is_subvolume "$1"; then
        btrfs subvolume delete "$1" >/dev/null 2>&1 && return
        # Its owner has to make it writable first, and may have to empty it.
        btrfs property set -ts "$1" ro false && { btrfs subvolume delete "$1" >/dev/null 2>&1 || rm -rf "$1"; }
    else
        rm -rf "$1" 2>/dev/null && return
        # A copy keeps modes such as 0555.
        find "$1" -xdev -type d ! -perm -700 -exec chmod u+rwx {} \; 2>/dev/null
        rm -rf "$1"
    fi
}

# names: the finished snapshots, oldest first.
names() {
    for path in "$SNAPSHOTS"/[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9].[0-9][0-9][0-9]Z; do
        { [ -d "$path" ] && [ ! -h "$path" ]; } && printf '%s\n' "${path##*/}"
    done
}

# newest: the newest of them.
newest() { names | tail -n 1; }

# later ONE OTHER: whether the one name is of a later time.
later() { [ "$1" != "$2" ] && [ "$(printf '%s\n' "$1" "$2" | sort | tail -n 1)" = "$1" ]; }

# free_name: a name for a snapshot made now, later than all that are there.
free_name() {
    now=$(date -u +%Y-%m-%dT%H:%M:%S) last=$(newest)
    if [ "${last%.*}" = "$now" ]; then
        thousandth=${last#*.} thousandth=${thousandth%Z}
        thousandth=$((1$thousandth - 1000 + 1))
        [ "$thousandth" -lt 1000 ] || failed "there is a snapshot for each instant of this second: try again"
        printf '%s.%03dZ\n' "$now" "$thousandth"
    elif [ -z "$last" ] || later "$now.000Z" "$last"; then
        printf '%s.000Z\n' "$now"
    else
        failed "the newest snapshot in $PWD, $last, is ahead of the clock of this machine ($now): correct the clock"
    fi
}

# kind_of_files: `plain` where files have owners and modes, `fat` where they have none.
kind_of_files() {
    if [ "$(uname)" = Darwin ]; then
        type=$(mount | sed -n "s|^.* on $(df -P . | sed -n '2s/.*% *//p') (\([a-z]*\).*|\1|p")
    else
        type=$(stat -f -c %T . 2>/dev/null)
    fi
    case $type in
        msdos* | vfat | exfat* | fuseblk | ntfs* | smb* | cifs) echo fat ;;
        *) echo plain ;;
    esac
}

# look_source WHERE ROOT UUID DIRECTORY READS: proves a source; READS is `latest` where it is read from its newest snapshot.
look_source() {
    enter "$1" "$2" "$3" "$4" "$SOURCE_SENTINEL"
    if [ -n "$5" ]; then
        link=$(readlink "$LATEST") || link=
        case $link in
            "$SNAPSHOTS"/*/* | "$SNAPSHOTS"/.*) absent "$PWD/$LATEST leads nowhere" ;;
            "$SNAPSHOTS"/*) below "$link" || absent "$PWD/$link is not there" ;;
            *) absent "$PWD has no finished snapshot yet" ;;
        esac
    fi
    printf 'at %s\n' "$PWD"
}

# look_destination WHERE ROOT UUID DIRECTORY KIND: proves a destination, and tells what a copy is compared with.
look_destination() {
    enter "$1" "$2" "$3" "$4" "$DESTINATION_SENTINEL"
    printf 'at %s\nfiles %s\n' "$PWD" "$(kind_of_files)"
    last=$(newest)
    case $5 in
        none) printf 'compared %s\n' "$PWD" ;;
        btrfs) printf 'compared %s\n' "$PWD/$STAGING" ;;
        hard-link) [ -z "$last" ] || printf 'compared %s\n' "$PWD/$SNAPSHOTS/$last" ;;
    esac
}

# begin WHERE ROOT UUID DIRECTORY KIND TOKEN: takes a destination for this run, and puts right what an earlier one left.
begin() {
    enter "$1" "$2" "$3" "$4" "$DESTINATION_SENTINEL"
    [ -w . ] || absent "$PWD cannot be written"
    [ -e "$OWN" ] || tried mkdir "$OWN"
    lock
    printf '%s\n' "$6" >"$OWN/$NEW_WRITER" && tried mv -f "$OWN/$NEW_WRITER" "$OWN/$WRITER"
    marker=$(marker "$5")
    [ ! -h "$marker" ] || failed "$PWD/$marker is a symbolic link"
    earlier=none
    if [ -e "$marker" ]; then
        [ "$(cat "$marker")" = flushed ] && earlier=flushed || earlier=doubtful
    fi
    printf 'at %s\nfiles %s\nearlier %s\n' "$PWD" "$(kind_of_files)" "$earlier"
    ! command -v flock >/dev/null || printf 'flock %s\n' "$PWD/$OWN/$LOCK"
    if [ "$5" = none ]; then
        printf 'into %s\n' "$PWD"
        grep -qF '"outcome":"ok"' "$OWN/$LOG" 2>/dev/null || echo 'first copy'
    else
        prepare_history "$5"
    fi
    # What a power cut leaves of this copy has to be compared by content.
    echo doubtful >"$marker" || failed "$PWD/$marker cannot be written"
}

# prepare_history KIND: makes ready for a new snapshot, and tells what it is made from.
prepare_history() {
    [ ! -h "$SNAPSHOTS" ] || failed "$PWD/$SNAPSHOTS is a symbolic link"
    [ -d "$SNAPSHOTS" ] || tried mkdir "$SNAPSHOTS"
    last=$(newest)
    for path in "$SNAPSHOTS/$TRASH"* "$SNAPSHOTS/$IN_PROGRESS"* "$SNAPSHOTS/$STALE"*; do
        [ -d "$path" ] || continue
        left=${path##*/}
        time=${left#"$IN_PROGRESS"} time=${time#"$STALE"}
        case $1/$left in
            hard-link/"$TRASH"* | btrfs/*) tried discard "$left" ;;
            # What is older than a finished copy was used up by it.
            *) if [ -n "$last" ] && ! later "$time" "$last"; then tried discard "$left"; fi ;;
        esac
        case $left in
            "$IN_PROGRESS"*) [ ! -d "$path" ] || tried mv "$path" "$SNAPSHOTS/$STALE$time" ;;
        esac
    done
    if [ -n "$last" ] && [ "$(readlink "$LATEST")" != "$SNAPSHOTS/$last" ]; then
        tried point "$SNAPSHOTS/$last"
    fi
    new=$(free_name) || exit 1
    printf 'name %s\n' "$new"
    [ -z "$last" ] || printf 'last %s\n' "$PWD/$SNAPSHOTS/$last"
    if [ "$1" = btrfs ]; then
        command -v btrfs >/dev/null || failed 'the program btrfs is missing: install btrfs-progs'
        is_subvolume "$STAGING" || failed "$PWD/$STAGING is no btrfs subvolume"
        printf 'into %s\n' "$PWD/$STAGING"
        return
    fi
    for path in "$SNAPSHOTS/$STALE"*; do
        [ ! -d "$path" ] || printf 'base %s\n' "$PWD/$path"
    done
    tried mkdir "$SNAPSHOTS/$IN_PROGRESS$new"
    printf 'into %s\n' "$PWD/$SNAPSHOTS/$IN_PROGRESS$new"
}

# copy WHERE ROOT UUID DIRECTORY TOKEN COMMAND…: runs rsync under the lock of the destination.
copy() {
    enter "$1" "$2" "$3" "$4" "$DESTINATION_SENTINEL"
    lock
    ours "$5"
    shift 5
    "$@" </dev/null
}

# lacking ONE OTHER: how many entries of the one directory are not in the other, and how many there are.
lacking() {
    (cd -- "$1" && find . | sort) >"$OWN/.had"
    (cd -- "$2" && find . | sort) >"$OWN/.has"
    printf 'gone %s\n' "$(comm -23 "$OWN/.had" "$OWN/.has" | wc -l)"
    printf 'had %s\n' "$(($(wc -l <"$OWN/.had") - 1))"
    rm -f "$OWN/.had" "$OWN/.has"
}

# compare WHERE ROOT UUID DIRECTORY TOKEN ONE OTHER: the same, at a destination.
compare() {
    enter "$1" "$2" "$3" "$4" "$DESTINATION_SENTINEL"
    lock
    ours "$5"
    lacking "$6" "$7"
}

# settle WHERE ROOT UUID DIRECTORY KIND TOKEN: notes that a copy that was not finished is at least on the device.
settle() {
    enter "$1" "$2" "$3" "$4" "$DESTINATION_SENTINEL"
    lock
    ours "$6"
    flush
    [ "$(cat "$(marker "$5")" 2>/dev/null)" != doubtful ] || echo flushed >"$(marker "$5")"
}

# publish WHERE ROOT UUID DIRECTORY KIND TOKEN NAME RECORD: what was copied becomes complete, by one rename.
publish() {
    enter "$1" "$2" "$3" "$4" "$DESTINATION_SENTINEL"
    lock
    ours "$6"
    flush
    hidden=$SNAPSHOTS/$IN_PROGRESS$7
    if [ "$5" = btrfs ]; then
        [ ! -e "$hidden" ] || failed "$PWD/$hidden is there already"
        tried btrfs subvolume snapshot -r "$STAGING" "$hidden"
        flush "$SNAPSHOTS"
        [ "$(btrfs property get -ts "$hidden" ro)" = ro=true ] || failed "$PWD/$hidden is not read-only"
    fi
    if [ "$5" != none ]; then
        { [ -d "$hidden" ] && [ ! -e "$SNAPSHOTS/$7" ]; } || failed "$PWD/$hidden is gone, or $7 is there already"
        tried mv "$hidden" "$SNAPSHOTS/$7"
        flush "$SNAPSHOTS"
        tried point "$SNAPSHOTS/$7"
        # What served as a basis is used up.
        for path in "$SNAPSHOTS/$STALE"*; do
            [ ! -d "$path" ] || discard "${path##*/}"
        done
    fi
    rm -f "$(marker "$5")"
    if [ -n "$8" ] && [ ! -h "$OWN/$LOG" ]; then
        # A torn last line, left by a power cut, is ended first.
        if [ -s "$OWN/$LOG" ] && [ -n "$(tail -c 1 "$OWN/$LOG")" ]; then
            echo >>"$OWN/$LOG"
        fi
        printf '%s\n' "$8" >>"$OWN/$LOG" || failed "$PWD/$OWN/$LOG cannot be written"
    fi
    flush
}

# prune WHERE ROOT UUID DIRECTORY TOKEN LAST HOURLY DAILY WEEKLY MONTHLY YEARLY: deletes the snapshots that no rule wants: the
# newest of each of so many periods that hold one, of all and of those that lack nothing.
prune() {
    enter "$1" "$2" "$3" "$4" "$DESTINATION_SENTINEL"
    lock
    ours "$5"
    shift 5
    names | sort -r | while read -r name; do
        standing=good
        grep -F "\"snapshot\":\"$name\"" "$OWN/$LOG" 2>/dev/null | grep -qvF '"standing":"good"' && standing=other
        printf '%s %s %s\n' "$name" "$standing" "$(local_periods "$name")"
    done | awk -v now="$(date -u +%Y-%m-%dT%H:%M:%S.999Z)" -v counts="$*" '
        BEGIN { split(counts, most, " ") }
        # What comes from a clock that was wrong counts for nothing and stays.
        $1 > now { next }
        {
            stays = 0
            for (set = 1; set <= 2; set++) {
                if (set == 1 && $2 != "good") continue
                if (!(set in newest)) { newest[set] = $1; if (set == 1) stays = 1 }
                for (rule = 1; rule <= 6; rule++) {
                    period = set " " rule " " (rule == 1 ? $1 : $(rule + 1))
                    if (!(period in seen) && used[set, rule] + 0 < most[rule] + 0) {
                        seen[period] = 1
                        used[set, rule]++
                        stays = 1
                    }
                }
            }
            # Nothing better is there yet.
            if ($2 != "good" && !(1 in newest)) stays = 1
            if (!stays) print $1
        }' | while read -r name; do
        tried discard "$name"
        printf 'pruned %s\n' "$name"
    done
}

# local_periods NAME: the hour, day, week, month and year of a snapshot where this machine is, by GNU, BusyBox or BSD.
local_periods() {
    seconds=$(printf %s "$1" | awk -F '[-T:.Z]' '{
        year = $1 - ($2 <= 2); era = int(year / 400); of_era = year - era * 400
        days = int((153 * ($2 + ($2 > 2 ? -3 : 9)) + 2) / 5) + $3 - 1 + of_era * 365 + int(of_era / 4) - int(of_era / 100)
        printf "%.0f", ((era * 146097 + days - 719468) * 24 + $4) * 3600 + $5 * 60 + $6 }')
    form='+%Y-%m-%dT%H%z %Y-%m-%d %G-W%V %Y-%m %Y'
    date -d "@$seconds" "$form" 2>/dev/null || date -r "$seconds" "$form"
}

# Read to its end before anything is done: half of it does nothing.
{
    step=$1
    shift
    "$step" "$@"
    exit
}
