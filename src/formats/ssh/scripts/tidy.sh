# tidy ROOT ITS-SENTINEL DIRECTORY ITS-SENTINEL TOKEN, then pairs of a verb and a name: `directory` makes the one of
# snapshots, `discard` deletes a snapshot, whole or not, `stale` makes an unfinished one the basis of the next, `relieve`
# makes room in the writable subvolume, `remove` removes a link that was about to be the one to the newest, `point` points
# that one there. Any of it may be cut short and done again. An empty token stands for a person's order.
serving=
enter "$1" "$2" "$3" "$DESTINATION_SENTINEL" "$4"
lock
[ -z "$5" ] || ours "$5"
shift 5

# sweep PATH: deletes a tree, but nothing of what is mounted in it.
sweep() {
    if rm -f --one-file-system 2>/dev/null; then
        rm -rf --one-file-system "$1"
    elif [ "$(find "$1" -type d -exec stat -c %d {} + | sort -u | wc -l)" -le 1 ]; then
        # The rm of BusyBox has no such option, and its find no -xdev that goes with -depth.
        rm -rf "$1"
    else
        echo "$1: another filesystem is mounted in it" >&2
        return 1
    fi
}

# uproot PATH: the same. Where directories do not let their owner, it takes the right first: a backup keeps modes such as
# 0555.
uproot() {
    sweep "$1" 2>/dev/null && return
    find "$1" -xdev -type d ! -perm -700 -exec chmod u+rwx {} \; 2>/dev/null
    sweep "$1"
}

# destroy NAME: deletes an entry among the snapshots, a subvolume or a tree.
destroy() {
    if [ -h "$SNAPSHOTS/$1" ] || [ ! -d "$SNAPSHOTS/$1" ]; then
        rm -f "$SNAPSHOTS/$1"
    elif [ "$(stat -c %i "$SNAPSHOTS/$1")/$(stat -f -c %T "$SNAPSHOTS/$1")" = 256/btrfs ]; then
        btrfs subvolume delete "$SNAPSHOTS/$1" >/dev/null 2>&1 && return
        # Its owner must make it writable first, and may then still have to empty it.
        btrfs property set -ts "$SNAPSHOTS/$1" ro false
        btrfs subvolume delete "$SNAPSHOTS/$1" >/dev/null 2>&1 || uproot "$SNAPSHOTS/$1"
    else
        uproot "$SNAPSHOTS/$1"
    fi
}

# discard NAME: puts an entry out of sight at one stroke, and then deletes it.
discard() {
    [ -e "$SNAPSHOTS/$1" ] || [ -h "$SNAPSHOTS/$1" ] || return 0
    case $1 in
        "$TRASH"*) trash=$1 ;;
        *)
            trash=$TRASH${1#.}
            if [ -e "$SNAPSHOTS/$trash" ]; then
                destroy "$trash" || return 1
            fi
            mv -nT "$SNAPSHOTS/$1" "$SNAPSHOTS/$trash" || return 1
            [ ! -e "$SNAPSHOTS/$1" ] || return 1
            sync "$SNAPSHOTS"
            ;;
    esac
    destroy "$trash"
}

# relieve NAME: takes out of the writable subvolume what this snapshot does not hold; all, where the name is `none`.
relieve() {
    [ ! -h "$STAGING" ] && [ -d "$STAGING" ] || return 1
    if [ "$1" = none ]; then
        for path in "$STAGING"/* "$STAGING"/.[!.]* "$STAGING"/..?*; do
            { [ ! -e "$path" ] && [ ! -h "$path" ]; } || uproot "$path" || return 1
        done
    else
        # rsync would delete behind links where the snapshot has directories.
        find "$STAGING" -xdev -type l -exec sh -c '
            finished=$1 writable=$2
            shift 2
            for path; do
                other=$finished${path#"$writable"}
                [ -h "$other" ] || [ ! -d "$other" ] || rm -f -- "$path" || exit 1
            done' sh "$SNAPSHOTS/$1" "$STAGING" {} + || return 1
        # Nothing is copied and nothing changed that is there.
        HOME=/dev/null rsync -rlDx --existing --ignore-existing --delete -- "$SNAPSHOTS/$1/" "$STAGING/"
    fi
}

while [ $# -ge 2 ]; do
    verb=$1 name=$2
    shift 2
    case $name in
        *[!A-Za-z0-9.:_-]* | '' | . | .. | -*) say failed "$name: it is no name of ours" ;;
    esac
    case $verb in
        discard)
            case $name in
                [0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9].[0-9][0-9][0-9]Z) ;;
                "$IN_PROGRESS"* | "$STALE"* | "$TRASH"*) ;;
                *) say failed "$name: it is no name of ours" ;;
            esac
            if why=$(discard "$name" 2>&1); then
                printf 'gone %s\n' "$name"
            else
                printf 'warn %s was not deleted: %s\n' "$name" "$(printf %s "$why" | tr '\n\t' '  ' | head -c 300)"
            fi
            ;;
        stale)
            tried mv -nT "$SNAPSHOTS/$IN_PROGRESS$name" "$SNAPSHOTS/$STALE$name"
            ;;
        relieve)
            if why=$(relieve "$name" 2>&1); then
                # It gives the space back, and leaves it to the flush at the end to hear of writes that were lost.
                btrfs filesystem sync . >/dev/null
            else
                printf 'warn no room was made in %s: %s\n' "$STAGING" "$(printf %s "$why" | tr '\n\t' '  ' | head -c 300)"
            fi
            ;;
        remove)
            case $name in
                "$ANY_NEW_LATEST"*) [ ! -h "$name" ] || tried rm -f "$name" ;;
                *) say failed "$name: it is no name of ours" ;;
            esac
            ;;
        point)
            rm -f "$NEW_LATEST"
            [ "$name" = none ] && target=$NOWHERE || target=$SNAPSHOTS/$name
            tried ln -s "$target" "$NEW_LATEST"
            tried mv -fT "$NEW_LATEST" "$LATEST"
            tried sync .
            ;;
        directory)
            [ -d "$SNAPSHOTS" ] || tried mkdir "$SNAPSHOTS"
            ;;
    esac
done
room
exit 0
