# prepare ROOT DIRECTORY END KIND VOLUME-ID END-ID INTRUDING MOST: makes what one end of a sync needs; what is there stays as it
# is. END is `src` or `dst`; with `refuse`, nothing is made in a destination in which something lies that is no copy. No more
# than MOST such things are counted.
serving=
root=$1 directory=$2 end=$3 kind=$4 volume=$5 id=$6 intruding=$7 most=$8

made() { printf 'made %s\n' "$1"; }
already() { printf 'already %s\n' "$1"; }

# make_sentinel NAME ID: one that is there is told, for us to read.
make_sentinel() {
    if [ -h "$1" ] || { [ -e "$1" ] && [ ! -f "$1" ]; }; then
        say failed "$PWD/$1 is no regular file; look at it, and remove it if it is not yours"
    elif [ -e "$1" ]; then
        head -c 4097 -- "$1" | sed "s/^/found /"
        echo
        already "$PWD/$1"
    else
        tried sh -c 'printf "id = \"%s\"\n" "$1" >"$2.new"' sh "$2" "$1"
        tried sync "$1.new"
        tried mv -nT "$1.new" "$1"
        tried sync .
        made "the sentinel $PWD/$1"
    fi
}

# strangers: how many entries of this directory are no part of a copy, and no more than MOST.
strangers() {
    # Names may hold line ends, and up to four of what is there may be ours.
    count=$(find . -mindepth 1 -maxdepth 1 ! -name "$OWN*" ! -name ".$OWN*" -print0 | tr -dc '\000' | head -c $((most + 4)) | wc -c)
    if [ "$kind" != none ]; then
        # Whoever was cut off in the middle left these, with nothing in them.
        for begun in "$LATEST" "$NEW_LATEST"; do
            [ "$(readlink "$begun")" != "$NOWHERE" ] || count=$((count - 1))
        done
        for begun in "$SNAPSHOTS" "$STAGING"; do
            if [ -d "$begun" ] && [ ! -h "$begun" ] && [ -z "$(ls -A "$begun")" ]; then
                count=$((count - 1))
            fi
        done
    fi
    [ "$count" -le "$most" ] || count=$most
    echo "$count"
}

cd -P -- "$root" 2>/dev/null || say failed "$root does not exist there or may not be entered; create it, or correct \`path\`"
if [ "$end" = dst ] && [ "$intruding" = refuse ]; then
    # Where nothing is to be made, nothing is: not at the root of the volume either.
    count=$(below "$directory" && [ ! -e "$DESTINATION_SENTINEL" ] && strangers)
    if [ "${count:-0}" -gt 0 ]; then
        printf 'taken %s\n' "$count"
        exit 0
    fi
fi
make_sentinel "$VOLUME_SENTINEL" "$volume"
rest=$directory
while [ -n "$rest" ]; do
    name=${rest%%/*}
    rest=${rest#"$name"}
    rest=${rest#/}
    if [ ! -e "./$name" ] && [ ! -h "./$name" ]; then
        if [ "$end" = src ]; then
            # A source is never made.
            for beside in *; do
                case $beside in
                    *[!A-Za-z0-9._\ -]*) ;;
                    *) printf 'beside %s\n' "$beside" ;;
                esac
            done | head -n 1000
            printf 'absent %s\n' "$PWD/$name"
            exit 0
        fi
        tried mkdir "./$name"
        made "the directory $PWD/$name"
    fi
    [ ! -h "./$name" ] ||
        say failed "$PWD/$name is a symbolic link to $(readlink "./$name"); links are not followed: give a volume of its own to $(readlink -f "./$name") and use that"
    below "$name" || say failed "$PWD/$name: a symbolic link is in the way, or it may not be entered"
done
if [ "$end" = src ]; then
    make_sentinel "$SOURCE_SENTINEL" "$id"
    exit 0
fi
# Where a person said yes to a destination with history, nothing is done about what lies there.
if [ ! -e "$DESTINATION_SENTINEL" ] && { [ "$intruding" = refuse ] || [ "$kind" = none ]; }; then
    count=$(strangers)
    if [ "$count" -gt 0 ] && [ "$intruding" = refuse ]; then
        printf 'taken %s\n' "$count"
        exit 0
    fi
    [ "$count" -eq 0 ] || [ "$kind" != none ] || printf 'holds %s\n' "$count"
fi
if [ "$kind" = btrfs ]; then
    if [ ! -e "$STAGING" ] && [ ! -h "$STAGING" ]; then
        command -v btrfs >/dev/null || say failed 'btrfs: the program is missing there; install it: `apt install btrfs-progs`'
        why=$(btrfs subvolume create "$STAGING" 2>&1) ||
            say failed "$STAGING: $(printf %s "$why" | tr '\n\t' '  ' | head -c 300); \`snapshots = \"btrfs\"\` needs a btrfs filesystem, \`\"hard-link\"\` does not"
        made "the subvolume $PWD/$STAGING"
    elif [ ! -h "$STAGING" ] && [ -d "$STAGING" ] && [ "$(stat -c %i "$STAGING")/$(stat -f -c %T "$STAGING")" = 256/btrfs ]; then
        already "$PWD/$STAGING"
    else
        say failed "$PWD/$STAGING is no subvolume; move it away and try again"
    fi
fi
if [ "$kind" = link ]; then
    lacks=
    rm -f "$PROBE" "$OTHER_PROBE"
    tried touch "$PROBE"
    ln "$PROBE" "$OTHER_PROBE" 2>/dev/null || lacks='hard links'
    rm -f "$OTHER_PROBE"
    ln -s "$PROBE" "$OTHER_PROBE" 2>/dev/null || lacks="${lacks:+$lacks, }symbolic links"
    rm -f "$OTHER_PROBE" "$PROBE"
    touch "$PROBE-00:00" 2>/dev/null || lacks="${lacks:+$lacks, }names with \`:\`"
    rm -f "$PROBE-00:00"
    if [ -n "$lacks" ]; then
        printf 'lacks %s\n' "$lacks"
        printf 'lacking %s\n' "$PWD"
        exit 0
    fi
fi
if [ "$kind" != none ]; then
    if [ ! -e "$SNAPSHOTS" ] && [ ! -h "$SNAPSHOTS" ]; then
        tried mkdir "$SNAPSHOTS"
        made "the directory $PWD/$SNAPSHOTS"
    elif [ ! -h "$SNAPSHOTS" ] && [ -d "$SNAPSHOTS" ]; then
        already "$PWD/$SNAPSHOTS"
    else
        say failed "$PWD/$SNAPSHOTS is not a directory; look at it, and remove it if it is not yours"
    fi
    if [ ! -e "$LATEST" ] && [ ! -h "$LATEST" ]; then
        tried ln -s "$NOWHERE" "$LATEST"
        made "the link $PWD/$LATEST"
    fi
fi
# The sentinel comes last: it says that all else is there.
make_sentinel "$DESTINATION_SENTINEL" "$id"
exit 0
