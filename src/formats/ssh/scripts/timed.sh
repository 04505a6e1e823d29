PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
command -v timeout >/dev/null || { echo 'nbkp: tool timeout' >&2; exit 1; }
