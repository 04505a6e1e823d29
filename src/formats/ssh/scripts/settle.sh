# settle ROOT ITS-SENTINEL DIRECTORY ITS-SENTINEL TOKEN MARKER TEXT LOG: notes what a copy that was not finished is worth to
# the next, and that it was not. An empty text leaves the marker as it is.
serving=
enter "$1" "$2" "$3" .nbkp-dst "$4"
lock
ours "$5"
if own "$6" && [ -e ".nbkp/$6" ]; then
    if ! sync -f .; then
        # What is lost looks whole for as long as the kernel remembers it.
        echo doubtful >".nbkp/$6"
    elif [ -n "$7" ]; then
        printf '%s' "$7" >".nbkp/$6"
    fi
fi
if [ -n "$8" ] && own log.jsonl; then
    if [ -s .nbkp/log.jsonl ] && [ -n "$(tail -c 1 .nbkp/log.jsonl)" ]; then
        echo >>.nbkp/log.jsonl
    fi
    printf '%s\n' "$8" >>.nbkp/log.jsonl && sync .nbkp/log.jsonl
fi
exit 0
