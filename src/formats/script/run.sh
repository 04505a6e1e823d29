
# --- How a copy is made ---------------------------------------------------------------------------------------------------

say() { [ -n "$quiet" ] || printf '%s\n' "$*"; }
complain() { printf '%s: %s\n' "$sync" "$*" >&2; }
detail() { [ -z "$verbose" ] || printf '    %s\n' "$*"; }

# quoted WORD…: the words as a shell reads them.
quoted() {
    for word; do
        printf "'%s' " "$(printf %s "$word" | sed "s/'/'\\\\''/g")"
    done
}

# at SERVER STEP WORD…: does one step at a place; SERVER is empty for this machine. What it tells is in `answer`.
at() {
    server=$1
    shift
    detail "${server:+on $server: }$1"
    if [ -z "$server" ]; then
        place | sh -s -- "$@" >"$scratch/answer" 2>"$scratch/complaint"
    else
        place | sh "$scratch/$server" nbkp "exec sh -s -- $(quoted "$@")" >"$scratch/answer" 2>"$scratch/complaint"
    fi
}

# told WORD: what a step told under this word.
told() { sed -n "s/^$1 //p" "$scratch/answer"; }
why() { tail -n 3 "$scratch/complaint" | tr '\n' ' '; }

# from STEP WORD…, to STEP WORD…: a step at the source or at the destination of the sync at hand.
from() {
    step=$1
    shift
    at "$from_server" "$step" "$from_where" "$from_root" "$from_drive" "$from_directory" "$@"
}
to() {
    step=$1
    shift
    at "$to_server" "$step" "$to_where" "$to_root" "$to_drive" "$to_directory" "$@"
}

# reach SIDE: finds the first endpoint of a server that answers, the best first.
reach() {
    [ -n "$1" ] || return 0
    for endpoint in $1; do
        endpoint "$endpoint"
        if sh "$scratch/$endpoint" nbkp true </dev/null 2>"$scratch/complaint"; then
            reached=$endpoint
            return 0
        fi
        detail "$endpoint: $(why)"
    done
    return 1
}

# not_now TEXT: ends a sync that is not possible now, which is no fault.
not_now() {
    say "$sync: skipped: $*"
    skipped=$((skipped + 1))
    did_not_run="$did_not_run $sync "
    return 0
}

# fail OUTCOME TEXT: ends a sync that made no backup.
fail() {
    outcome=$1
    shift
    complain "$outcome, this is no backup: $*"
    failed=$((failed + 1))
    did_not_run="$did_not_run $sync "
    [ -z "$began" ] || to settle "$kind" "$token" || :
    began=
    case $outcome in
        interrupted) hook interrupted "$*" ;;
        *) hook failed "$*" ;;
    esac
    return 0
}

# step_ended CODE: what a step that did not succeed means.
step_ended() {
    case $1 in
        75) not_now "$(why)" ;;
        255) fail interrupted "the connection broke: $(why)" ;;
        *) fail failed "$(why)" ;;
    esac
}

# hook MOMENT ERROR: runs the program of the configuration for this moment.
hook() {
    NBKP_HOOK=$1 NBKP_SYNC=$sync NBKP_RUN=${token:-} NBKP_TRIGGER=manual NBKP_SOURCE=${source:-} NBKP_DESTINATION=${target:-} \
        NBKP_OUTCOME=${outcome:-} NBKP_SNAPSHOT=${name:-} NBKP_ERROR=${2:-} "hook_$1"
}

# rsync_here WORD…: runs rsync on this machine, and says so with -v.
rsync_here() {
    detail "rsync $(quoted "$@")"
    rsync "$@" </dev/null >"$scratch/answer" 2>"$scratch/complaint"
}

# transfer INTO OPTION…: one call of rsync into a directory of the destination, wherever both ends are.
transfer() {
    into=$1
    shift
    if [ "$from_server" = "$to_server" ] && [ -n "$began" ]; then
        to copy "$token" rsync "$@" -- "$source/" "$into/"
    elif [ "$from_server" = "$to_server" ] && [ -z "$to_server" ]; then
        rsync_here "$@" -- "$source/" "$into/"
    elif [ "$from_server" = "$to_server" ]; then
        sh "$scratch/$to_server" nbkp "rsync $(quoted "$@" -- "$source/" "$into/")" </dev/null \
            >"$scratch/answer" 2>"$scratch/complaint"
    elif [ -n "$to_server" ]; then
        far=rsync
        [ -z "$lock" ] || far="flock -n $(quoted "$lock")rsync"
        rsync_here -s -e "sh $scratch/$to_server" --rsync-path="$far" "$@" -- "$source/" "nbkp:$into/"
    elif [ -n "$began" ]; then
        to copy "$token" rsync -s -e "sh $scratch/$from_server" "$@" -- "nbkp:$source/" "$into/"
    else
        rsync_here -s -e "sh $scratch/$from_server" "$@" -- "nbkp:$source/" "$into/"
    fi
}

# number TEXT: a figure of rsync's own summary, 0 if it has none.
number() {
    figure=$(sed -n "s/^$1: \([0-9]*\).*/\1/p" "$scratch/answer" | tail -n 1)
    printf %s "${figure:-0}"
}

# allowed BEFORE: how many of so many entries may go without a person's word: the share of `guard`, and a handful, but never
# most of what there is.
allowed() {
    share=$(($1 * ${guard%off} / 100)) handful=$(($1 / 2))
    [ "$handful" -le 10 ] || handful=10
    [ "$guard" -eq 0 ] || [ "$share" -gt "$handful" ] || share=$handful
    printf %s "$share"
}

# too_many GONE BEFORE LEFT: whether the guard holds it. An emptied source is held even with the guard off.
too_many() {
    [ "$1" -gt 0 ] || return 1
    [ "$3" -gt 0 ] || return 0
    [ "$guard" != off ] && [ "$1" -gt "$(allowed "$2")" ]
}

# counted INTO OPTION…: asks rsync what it would delete, and sets gone, before, files and entries.
counted() {
    transfer "$@" --dry-run --no-h --info=stats2,progress0,flist0 --out-format='%o' || return
    gone=$(grep -c '^del\.' "$scratch/answer")
    entries=$(number 'Number of files')
    files=$(sed -n 's/^Number of files:.*reg: \([0-9]*\).*/\1/p' "$scratch/answer")
    files=${files:-0}
    before=$((entries - $(number 'Number of created files') + gone))
}

# judge CODE: what rsync's exit code means; nothing if it is a copy.
judge() {
    case $1 in
        0) ;;
        24) say "$sync: some files went away while they were read" ;;
        10 | 12 | 30 | 35 | 255) fail interrupted "the connection broke (rsync $1): $(why)" && return 1 ;;
        20 | 130 | 143) fail interrupted "rsync was stopped" && return 1 ;;
        23) fail failed "some files could not be copied (rsync 23): $(why)" && return 1 ;;
        25) fail held "more would be deleted than is allowed" && return 1 ;;
        *) fail failed "rsync ended with $1: $(why)" && return 1 ;;
    esac
}

# record: the line for the log of the destination, as nbkp writes it, with its checksum; nothing where that cannot be made.
record() {
    command -v gzip >/dev/null && command -v od >/dev/null || return 0
    host=$(uname -n | tr -cd 'A-Za-z0-9._-')
    line="{\"version\":1,\"run\":\"$token\",\"sync\":\"$sync\",\"host\":\"$host\",\"started\":\"$started\""
    line="$line,\"finished\":\"$(date -u +%Y-%m-%dT%H:%M:%SZ)\",\"outcome\":\"ok\"${name:+,\"snapshot\":\"$name\"}"
    line="$line,\"standing\":\"good\",\"entries\":$entries,\"files\":$sent,\"bytes\":$bytes,\"deletions\":$gone}"
    sum=$(printf %s "$line" | gzip -nc | tail -c 8 | od -An -tx1 | awk 'NR == 1 { print $4 $3 $2 $1 }')
    printf '%s,"crc":"%s"}' "${line%\}}" "$sum"
}

# prove: finds both ends, and proves them right.
prove() {
    reached=
    reach "$from_servers" || { not_now "no way to the server of the source: $(why)" && return 1; }
    from_server=$reached reached=
    reach "$to_servers" || { not_now "no way to the server of the destination: $(why)" && return 1; }
    # One server is one place, whichever way leads to it.
    to_server=$reached
    [ "$from_servers" != "$to_servers" ] || to_server=$from_server
    from look_source "$from_reads" || { step_ended $? && return 1; }
    source=$(told at)
    to look_destination "$kind" || { step_ended $? && return 1; }
    target=$(told at) compared=$(told compared) filesystem=$(told files)
    case $from_server/$source/ in
        "$to_server/$target/"*) not_now "$source is a part of $target" && return 1 ;;
    esac
}

# backup OPTION…: makes the copy that the variables of a sync describe, with these options of rsync.
backup() {
    began='' token='' name='' source='' target='' outcome='' lock='' gone=0
    for before_it in $after; do
        case $did_not_run in
            *" $before_it "*) not_now "$before_it was not copied before it" && return ;;
        esac
    done
    prove || return 0
    if [ "$filesystem" = fat ]; then
        # Files there have no owners, modes and exact times.
        set -- "$@" --modify-window=2 --no-perms --no-owner --no-group --no-devices --no-specials
    fi
    case $from_server/$target/ in
        "$to_server/$source"/*) set -- --filter="H ${target#"$source"}/" "$@" ;;
    esac
    if [ -n "$dry_run" ]; then
        pretend "$@"
        return
    fi
    hook before || {
        code=$?
        [ "$code" -ne 75 ] || { not_now "the hook \`before\` says: not now" && return; }
        fail failed "the hook \`before\` ended with $code" && return
    }
    from look_source "$from_reads" || { step_ended $? && return; }
    source=$(told at)
    started=$(date -u +%Y-%m-%dT%H:%M:%SZ)
    token=$(date -u +%Y%m%dT%H%M%S).000Z-$$
    to begin "$kind" "$token" || { step_ended $? && return; }
    began=1 name=$(told name) into=$(told into) last=$(told last) lock=$(told flock)
    case $(told earlier) in
        flushed) set -- "$@" --no-whole-file ;;
        # After a power cut a file may have the right size and time and the wrong content.
        doubtful) set -- "$@" --checksum ;;
    esac
    # First what an unfinished copy holds, the latest first, then the newest snapshot.
    { told base | sort -r && printf '%s\n' "$last"; } | sed '/^$/d' >"$scratch/bases"
    while read -r base; do
        set -- "$@" --link-dest="$base"
    done <"$scratch/bases"
    if [ "$kind" = none ] && [ "$guard" != off ] && [ -n "$(told first)" ]; then
        # What lies in a directory that no run has written to before is somebody's.
        guard=0
    fi
    # Behind whatever may keep the copy from beginning, so that it is always let go of.
    freeze
    copy_and_publish "$@"
    thaw
}

copy_and_publish() {
    directory=$into
    if [ "$kind" = hard-link ]; then
        set -- "$@" --max-delete=0
    else
        counted "$directory" "$@" || { judge $? || return 0; }
        if [ "$approved" != "$sync" ] && too_many "$gone" "$before" "$files"; then
            fail held "$gone of $before entries would be deleted; --dry-run -v shows them, and --approve $sync lets them go"
            return
        fi
        [ "$guard" = off ] || [ "$approved" = "$sync" ] || set -- "$@" --max-delete="$(allowed "$before")"
    fi
    transfer "$directory" "$@" --no-h --info=stats2,progress0,flist0 --out-format='%o'
    judge $? || return 0
    entries=$(number 'Number of files') sent=$(number 'Number of regular files transferred')
    bytes=$(number 'Total transferred file size') files=$(sed -n 's/^Number of files:.*reg: \([0-9]*\).*/\1/p' "$scratch/answer")
    # A source that went away meanwhile must not pass for one in which all was deleted.
    from look_source "$from_reads" || { fail interrupted "the source went away: $(why)" && return; }
    if [ "$kind" = hard-link ] && [ -n "$last" ]; then
        to compare "$token" "$last" "$directory" || { step_ended $? && return; }
        gone=$(told gone)
        if [ "$approved" != "$sync" ] && too_many "$gone" "$(told had)" "${files:-0}"; then
            fail held "$gone of $(told had) entries are not in the new snapshot; --approve $sync lets them go"
            return
        fi
    fi
    to publish "$kind" "$token" "$name" "$(record)" || { step_ended $? && return; }
    copied=$((copied + 1)) outcome=ok
    say "$sync: copied${name:+ as $name}: $sent files, $bytes bytes sent, $gone deleted"
    [ "$keep" = all ] || [ "$kind" = none ] || {
        # shellcheck disable=SC2086
        to prune "$token" $keep || complain "old snapshots were not pruned: $(why)"
        told pruned | while read -r old; do say "$sync: pruned $old"; done
    }
    began=
    hook after || complain "the hook \`after\` ended with $?"
}

# pretend OPTION…: tells what a copy would change, and changes nothing.
pretend() {
    [ "$kind" != hard-link ] || set -- "$@" --delete
    # A first snapshot is compared with nothing.
    [ -n "$compared" ] || compared=$target/nothing-yet
    say "$sync: would copy $source to $target"
    detail "rsync $(quoted "$@" -- "$source/" "$compared/")"
    transfer "$compared" "$@" --dry-run --no-h --info=stats2,progress0,flist0 --out-format='    %o %i %n'
    judge $? || return 0
    grep '^    ' "$scratch/answer"
    gone=$(grep -c '^    del\.' "$scratch/answer") entries=$(number 'Number of files')
    files=$(sed -n 's/^Number of files:.*reg: \([0-9]*\).*/\1/p' "$scratch/answer")
    if too_many "$gone" "$((entries - $(number 'Number of created files') + gone))" "${files:-0}"; then
        say "$sync: it would be held: $gone entries would be deleted"
    fi
    copied=$((copied + 1))
}

# freeze: on macOS a source of this machine is read from a snapshot of this instant, where one can be made.
freeze() {
    { [ "$(uname)" = Darwin ] && [ -z "$from_server$from_reads" ]; } || return 0
    instant=$(tmutil localsnapshot 2>/dev/null | sed -n 's/.*date: *//p')
    if [ -z "$instant" ]; then
        detail "no snapshot of the source can be made; it is read as it is"
        return 0
    fi
    volume=$(df -P "$source" | sed -n '2s/.*% *//p')
    mkdir -p "$scratch/frozen"
    frozen=$instant
    if mount_apfs -o nobrowse,ro -s "com.apple.TimeMachine.$instant.local" "$volume" "$scratch/frozen" 2>/dev/null &&
        [ -e "$scratch/frozen${source#"${volume%/}"}" ]; then
        source=$scratch/frozen${source#"${volume%/}"}
    else
        detail "the snapshot $instant cannot be read; the source is read as it is"
    fi
}

# thaw: lets go of that snapshot.
thaw() {
    [ -n "$frozen" ] || return 0
    umount "$scratch/frozen" 2>/dev/null
    tmutil deletelocalsnapshots "$frozen" >/dev/null 2>&1
    frozen=
}

# ready: looks for what is needed, and tidies up behind.
ready() {
    version=$(rsync --version 2>/dev/null | sed -n '1s/^rsync  *version  *v*\([0-9.]*\).*/\1/p')
    case $version in
        3.0.* | 3.0 | [0-2].* | '')
            sync=$0 complain "rsync 3.1 or later is needed (openrsync will not do); on macOS: brew install rsync"
            exit 2
            ;;
    esac
    scratch=$(mktemp -d /tmp/nbkp.XXXXXX) || exit 1
    # Nothing is deleted below a snapshot that is still mounted there.
    trap 'rm -f "$scratch"/* 2>/dev/null; rmdir "$scratch/frozen" "$scratch" 2>/dev/null' EXIT
    trap 'stop 130' INT
    trap 'stop 143' TERM HUP
}

# stop CODE: notes what was copied so far, so that the next run goes on from there.
stop() {
    trap '' INT TERM HUP
    [ -z "$began" ] || fail interrupted "it was stopped"
    thaw
    exit "$1"
}

# --- The command line -----------------------------------------------------------------------------------------------------

usage() {
    printf '%s\n' "usage: $0 [-n|--dry-run] [-v|--verbose] [-q|--quiet] [--approve SYNC] [SYNC...]" \
        "syncs: $syncs" \
        "ends with 0 if all that was possible was copied, 1 if a copy failed or was held, 4 if nothing was possible"
}

main() {
    dry_run='' verbose='' quiet='' approved='' wanted='' began='' frozen=''
    copied=0 skipped=0 failed=0 did_not_run=''
    while [ $# -gt 0 ]; do
        case $1 in
            -n | --dry-run) dry_run=1 ;;
            -v | --verbose) verbose=1 ;;
            -q | --quiet) quiet=1 ;;
            -h | --help) usage && return 0 ;;
            --approve) shift && approved=${1:-} ;;
            -*) usage >&2 && return 2 ;;
            *)
                case " $syncs " in
                    *" $1 "*) wanted="$wanted $1 " ;;
                    *) printf 'no sync is called %s\n' "$1" >&2 && usage >&2 && return 2 ;;
                esac
                ;;
        esac
        shift
    done
    ready
    for each in $syncs; do
        case ${wanted:- $each } in
            *" $each "*) run_sync "$each" ;;
        esac
    done
    [ "$failed" -eq 0 ] || return 1
    [ "$copied" -gt 0 ] || return 4
}

main "$@"
exit
