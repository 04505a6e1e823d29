# publish ROOT ITS-SENTINEL DIRECTORY ITS-SENTINEL TOKEN KIND NAME STANDING LOG MARKER: what was copied becomes complete.
# The order of flushes and renames is the one of a run on this machine.
serving=
enter "$1" "$2" "$3" .nbkp-dst "$4"
token=$5 kind=$6 name=$7 standing=$8 log=$9 marker=${10}
hidden=snapshots/.inprogress-$name

# note LINE: appends a line to the log. A torn last line, left by a power cut, is ended first.
note() {
    own log.jsonl || say failed "$PWD/.nbkp/log.jsonl: it is no regular file"
    if [ -s .nbkp/log.jsonl ] && [ -n "$(tail -c 1 .nbkp/log.jsonl)" ]; then
        echo >>.nbkp/log.jsonl
    fi
    printf '%s\n' "$1" >>.nbkp/log.jsonl && tried sync .nbkp/log.jsonl
}

lock
ours "$token"
echo step flush
tried sync -f .
echo step commit
if [ "$kind" = btrfs ]; then
    if [ -e "$hidden" ] || [ -h "$hidden" ]; then
        say failed "$PWD/$hidden: it is there already"
    fi
    [ -d snapshots ] || tried mkdir snapshots
    tried btrfs subvolume snapshot -r staging "$hidden"
    tried sync -f snapshots
    if [ "$(stat -c %i "$hidden")" != 256 ] || [ "$(btrfs property get -ts "$hidden" ro)" != ro=true ]; then
        say failed "$PWD/$hidden: it is not a read-only snapshot of staging"
    fi
fi
if [ "$kind" != none ]; then
    [ -z "$standing" ] || note "$standing"
    [ -d "$hidden" ] && [ ! -h "$hidden" ] || say superseded "$PWD/$hidden is gone"
    tried mv -nT "$hidden" "snapshots/$name"
    # It says nothing if the name is taken.
    [ ! -e "$hidden" ] || say failed "$PWD/snapshots/$name: it is there already"
    tried sync snapshots
    echo published
    rm -f .latest-new
    if ln -s "snapshots/$name" .latest-new && mv -fT .latest-new latest; then
        tried sync .
    else
        echo warn 'latest was not moved; the next run does it'
    fi
else
    echo published
fi
rm -f ".nbkp/$marker"
echo step record
[ -z "$log" ] || note "$log"
if [ "$(wc -c <.nbkp/log.jsonl)" -gt 4194304 ]; then
    rm -f .nbkp/.log.new
    tail -c 2097152 .nbkp/log.jsonl | tail -n +2 >.nbkp/.log.new && sync .nbkp/.log.new &&
        mv -fT .nbkp/.log.new .nbkp/log.jsonl
fi
echo recorded
exit 0
