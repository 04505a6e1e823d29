# unlock UUID OUTER NODE BOOT SEQ: opens the LUKS container of a drive with the passphrase that comes on standard input. It
# goes on through a pipe, and is nowhere else: in no variable, no file and no argument. (What sshd gives may be a socket,
# which cannot be opened by the name of /dev/stdin.)
drive "$1" "$2" "$3" </dev/null
# Nobody waits for it longer than this.
limit=$(command -v timeout) && limit="$limit 40"
if [ "$state" = locked ] && [ "$boot/$seq" = "$4/$5" ]; then
    why=$(cat | $limit udisksctl unlock --no-user-interaction --key-file /dev/stdin -b "$container" 2>&1) ||
        printf 'why %s\n' "$(printf %s "$why" | tr '\n\t' '  ' | head -c 500)"
    drive "$1" "$2" "$3" </dev/null
fi
facts
exit 0
