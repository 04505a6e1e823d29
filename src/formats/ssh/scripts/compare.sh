# compare ROOT ITS-SENTINEL DIRECTORY ITS-SENTINEL NEWER OLDER, then rsync's arguments: has rsync tell what differs between two
# copies, and at last how it ended.
serving=
enter "$1" "$2" "$3" "$DESTINATION_SENTINEL" "$4"
top=$PWD newer=$5 older=$6
shift 6
below "$newer" || say lost "$top/$newer is not there"
newer=$PWD
cd -P -- "$top" && below "$older" || say lost "$top/$older is not there"
command -v rsync >/dev/null || say tool rsync
{
    HOME=/dev/null rsync "$@" -- "$newer/" ./ 2>/dev/null
    printf 'ended %s\n' "$?"
} | head -c 12000000
exit 0
