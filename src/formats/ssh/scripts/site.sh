# site DIRECTORY: what is known of the place where copies are to lie, as it is or would be: a line each for the home
# directory, for the place itself, for what lies in it and for its filesystem.
directory=$1
printf 'home %s\n' "$(pwd -P)"
# A link is told from where it lies.
[ ! -h "${directory%/}" ] || echo 'way link'
if [ -z "$directory" ] || cd -P -- "$directory" 2>/dev/null; then
    echo 'place there'
    if [ -e "$DESTINATION_SENTINEL" ]; then
        echo 'holds copies'
    elif [ -n "$(ls -A . 2>/dev/null | head -n 1)" ]; then
        echo 'holds other'
    fi
elif [ -e "$directory" ]; then
    echo 'place closed'
    exit 0
else
    echo 'place missing'
    # What is missing below the home directory is made there.
    case $directory in
        /*) exit 0 ;;
    esac
fi
printf 'type %s\n' "$(stat -f -c %T . 2>/dev/null)"
[ -w . ] && echo 'access write'
printf 'free %s\n' "$(df -Pk . 2>/dev/null | sed -n '2s/^.*[[:space:]]\([0-9][0-9]*\)[[:space:]][[:space:]]*[0-9-]*%.*$/\1/p')"
