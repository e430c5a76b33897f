#!/usr/bin/env bash
# Takes a cluster down when its owner is gone, however it ended: the owner holds the
# other end of standard input and never writes to it. Started by up.sh.
#   guard.sh CLUSTER_DIR UP_PID UP_START
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/kit/lib.sh
. "$here/lib.sh"
cat > /dev/null # until the last holder of the other end is gone
[ -d "$1" ] || exit 0
# still booting: up.sh stops by itself and takes down what it started
if alive "$2" "$3"; then kill "$2" 2>/dev/null; fi
for _ in $(seq 100); do alive "$2" "$3" || break; sleep 0.1; done
exec "$here/down.sh" "$1"
