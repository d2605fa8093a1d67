#!/bin/sh
# A launch agent for mpirun in the place of ssh: agent.sh HOST COMMAND... runs the command on a host
# that hosts.py made. CONVOY_HOSTS is a folder with one file a host, which holds the number of its
# first process. As with ssh, the environment stays behind, and who loses the host is told so.
host=$1
shift
first=$(cat "$CONVOY_HOSTS/$host") || exit 255
code=0
nsenter --target "$first" --net --uts --ipc --mount --pid --wd="$PWD" \
    env -i PATH="$PATH" HOME="$HOME" sh -c "$*" || code=$?
if [ "$code" = 137 ]; then
    echo "Connection to $host closed by remote host." >&2
    exit 255
fi
exit "$code"
