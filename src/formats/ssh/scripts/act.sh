# act UUID OUTER NODE BOOT SEQ VERB: does something with a drive of this machine, and tells how it stands then. With a BOOT,
# only to the medium that had this number in that boot. VERB is `look`, `users`, or what udisksctl is to do: `mount`,
# `unmount`, `lock`, `power-off`.
verb=$6

# told TEXT: in one line.
told() { printf %s "$1" | tr '\n\t' '  ' | head -c 500; }

# asked VERB NODE: has it done, and tells that it was; or why not.
asked() {
    if why=$(udisksctl "$1" --no-user-interaction -b "$2" 2>&1 </dev/null); then
        echo 'done'
    else
        printf 'why %s\n' "$(told "$why")"
    fi
}

# flushed: what is not on the drive yet goes there now; if it cannot, the drive is not what it seems.
flushed() {
    why=$(sync -f "$point" 2>&1) && return
    printf 'unflushed %s\n' "$(told "$why")"
    return 1
}

# others: what else is in use of the hardware that the drive is a part of.
others() {
    for part in $nodes; do
        disk=$(lsblk -nrpso KNAME "$part" | tail -n 1)
        lsblk -nrpo KNAME,TYPE,MOUNTPOINT "$disk" | while read -r name kind at; do
            case $name in "$part" | "$container" | "$inside") continue ;; esac
            if [ -n "$at" ] || [ "$kind" = crypt ]; then printf 'other %s\n' "$name"; fi
        done
    done
}

# alive: whether the kernel still works on the filesystem, though it may be mounted nowhere that can be seen from here.
alive() {
    name=$(basename "$inside")
    uuid=$(lsblk -dnro UUID "$inside" 2>/dev/null)
    { [ -n "$uuid" ] && [ -e "/sys/fs/btrfs/$uuid" ]; } || [ -e "/sys/fs/ext4/$name" ] ||
        [ -e "/sys/fs/xfs/$name" ] || [ -e "/sys/fs/f2fs/$name" ]
}

# uses PROCESS PATH, elsewhere PROCESS PATH: who keeps the drive from being let go, as far as this account may see it.
uses() {
    read -r name 2>/dev/null <"/proc/$1/comm" || return
    printf 'name %s\nuses %s %s\n' "$name" "$1" "$2"
}
elsewhere() {
    read -r name 2>/dev/null <"/proc/$1/comm" || return
    printf 'name %s\nelsewhere %s %s\n' "$name" "$1" "$2"
}

# users: processes that have something of the drive open, work in it or run it. One call of ls reads all the links.
users() {
    [ -n "$point" ] || return 0
    process=
    # It complains of what ended meanwhile.
    # shellcheck disable=SC2012
    ls -l /proc/[0-9]*/cwd /proc/[0-9]*/root /proc/[0-9]*/exe /proc/[0-9]*/fd 2>/dev/null | while IFS= read -r line; do
        case $line in
            /proc/*:) process=${line#/proc/} ;;
            *" -> $point" | *" -> $point/"*)
                case $line in *" /proc/"*" -> "*) process=${line##* /proc/} ;; esac
                uses "${process%%/*}" "$point${line##*" -> $point"}"
                ;;
        esac
    done
}

# users_elsewhere: the same in other namespaces of mounts, such as those of containers.
users_elsewhere() {
    own=$(readlink /proc/self/ns/mnt)
    number=$(lsblk -dnro MAJ:MIN "$inside")
    seen=
    # shellcheck disable=SC2012
    ls -l /proc/[0-9]*/ns/mnt 2>/dev/null | while IFS= read -r line; do
        space=${line##* -> }
        case " $own $seen " in *" $space "*) continue ;; esac
        seen="$seen $space"
        process=${line##* /proc/}
        process=${process%%/*}
        while read -r _ _ device _ at rest; do
            case $device/$rest in
                "$number"/* | *" $inside "*)
                    elsewhere "$process" "$at"
                    break
                    ;;
            esac
        done 2>/dev/null <"/proc/$process/mountinfo"
    done
}

drive "$1" "$2" "$3"
if [ -z "$4" ] || [ "$boot/$seq" = "$4/$5" ]; then
    case $verb/$state in
        mount/closed) asked mount "$inside" ;;
        unmount/open) if flushed; then asked unmount "$inside"; fi ;;
        lock/closed | lock/other) [ -z "$container" ] || asked lock "$container" ;;
        power-off/*) [ -z "$nodes" ] || asked power-off "${container:-${nodes%%
*}}" ;;
        users/*) [ -z "$inside" ] || { users; users_elsewhere; } | head -n 40 ;;
    esac
    [ "$verb" = look ] || [ "$verb" = users ] || drive "$1" "$2" "$3"
fi
facts
if [ -n "$inside" ] && alive; then echo alive; fi
[ -z "$nodes" ] || others
exit 0
