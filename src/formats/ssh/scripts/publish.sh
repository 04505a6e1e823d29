# publish ROOT ITS-SENTINEL DIRECTORY ITS-SENTINEL TOKEN KIND NAME STANDING LOG MARKER DOUBT LOG-LIMIT LOG-KEPT: what was
# copied becomes complete. The order of flushes and renames is the one of a run on this machine. Without a NAME there is
# no new snapshot: it is a mirror, or nothing is new.
serving=
enter "$1" "$2" "$3" "$DESTINATION_SENTINEL" "$4"
token=$5 kind=$6 name=$7 standing=$8 log=$9 marker=${10} doubt=${11} limit=${12} kept=${13}
hidden=$SNAPSHOTS/$IN_PROGRESS$name

# note LINE: appends a line to the log. A torn last line, left by a power cut, is ended first.
note() {
    own "$LOG" || say failed "$PWD/$OWN/$LOG: it is no regular file"
    if [ -s "$OWN/$LOG" ] && [ -n "$(tail -c 1 "$OWN/$LOG")" ]; then
        echo >>"$OWN/$LOG"
    fi
    printf '%s\n' "$1" >>"$OWN/$LOG" && tried sync "$OWN/$LOG"
}

lock
ours "$token"
echo step flush
# The kernel tells once of writes that were lost. Should nobody be there any more to hear it, the note already says so.
noted=
if own "$marker" && [ -e "$OWN/$marker" ]; then
    noted=$(cat "$OWN/$marker")
    printf '%s' "$doubt" >"$OWN/$marker"
fi
tried sync -f .
[ -z "$noted" ] || printf '%s\n' "$noted" >"$OWN/$marker"
echo step commit
if [ "$kind" = btrfs ] && [ -n "$name" ]; then
    if [ -e "$hidden" ] || [ -h "$hidden" ]; then
        say failed "$PWD/$hidden: it is there already"
    fi
    [ -d "$SNAPSHOTS" ] || tried mkdir "$SNAPSHOTS"
    # Only root may ask btrfs for what is below; others have to look.
    if ! below=$(btrfs subvolume list -o "$STAGING" 2>/dev/null); then
        below=$(find "$STAGING" -xdev -mindepth 1 -type d -inum 256 2>/dev/null)
    fi
    [ -z "$below" ] || say failed "$(printf %s "$below" | sed -n "1{s/.* path //;s/.*\($STAGING\/\)/\1/;p;}" |
        head -c 500) in $PWD is a subvolume of its own, which snapshots of $STAGING show empty"
    tried btrfs subvolume snapshot -r "$STAGING" "$hidden"
    tried sync -f "$SNAPSHOTS"
    if [ "$(stat -c %i "$hidden")" != 256 ] || [ "$(btrfs property get -ts "$hidden" ro)" != ro=true ]; then
        say failed "$PWD/$hidden: it is not a read-only snapshot of $STAGING"
    fi
fi
if [ "$kind" = btrfs ]; then
    for each in "$SNAPSHOTS"/????-??-??T*Z; do
        if [ -w "$each" ] && [ "$(stat -c %i "$each")" = 256 ]; then
            each=$PWD/$each
            echo "warn $each can be written and may have been changed: \`btrfs property set -ts $each ro true\` protects it"
        fi
    done
fi
if [ -n "$name" ]; then
    [ -z "$standing" ] || note "$standing"
    [ -d "$hidden" ] && [ ! -h "$hidden" ] || say superseded "$PWD/$hidden is gone"
    tried mv -nT "$hidden" "$SNAPSHOTS/$name"
    # It says nothing if the name is taken.
    [ ! -e "$hidden" ] || say failed "$PWD/$SNAPSHOTS/$name: it is there already"
    tried sync "$SNAPSHOTS"
    echo published
    rm -f "$NEW_LATEST"
    if ln -s "$SNAPSHOTS/$name" "$NEW_LATEST" && mv -fT "$NEW_LATEST" "$LATEST"; then
        tried sync .
    else
        echo "warn $LATEST was not moved; the next run does it"
    fi
else
    echo published
fi
rm -f "$OWN/$marker"
echo step record
[ -z "$log" ] || note "$log"
if [ "$(wc -c <"$OWN/$LOG")" -gt "$limit" ]; then
    rm -f "$OWN/$NEW_LOG"
    tail -c "$kept" "$OWN/$LOG" | tail -n +2 >"$OWN/$NEW_LOG" && sync "$OWN/$NEW_LOG" &&
        mv -fT "$OWN/$NEW_LOG" "$OWN/$LOG"
fi
echo recorded
exit 0
