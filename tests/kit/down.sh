#!/usr/bin/env bash
# Takes down what up.sh and real-node.sh started, by the pids they recorded.
#   down.sh [CLUSTER_DIR]    KEEP=1 keeps the state and the logs on disk
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/kit/lib.sh
. "$here/lib.sh"
CLUSTER_DIR=${1:-${CLUSTER_DIR:-}}
[ -n "$CLUSTER_DIR" ] || { echo "down.sh: which cluster? Give its folder (up.sh printed it), or source its env file first." >&2; exit 2; }
export CLUSTER_DIR
[ -d "$CLUSTER_DIR" ] || exit 0
{ exec 7> "$CLUSTER_DIR/.down.lock"; } 2>/dev/null || exit 0
flock 7 # the owner and its guard may come at once
if [ -d "$CLUSTER_DIR/real" ]; then "$here/real-node.sh" down 7>&-; fi
if [ -f "$CLUSTER_DIR/pids" ]; then
  tac "$CLUSTER_DIR/pids" | end_all
  rm -f "$CLUSTER_DIR/pids"
fi
[ "${KEEP:-0}" = 1 ] && exit 0
if [ -e "$CLUSTER_DIR/.made-by-up" ]; then
  rm -rf "$CLUSTER_DIR"
else
  rm -rf "$CLUSTER_DIR"/{etcd,nats,prom,log,pki,env} "$CLUSTER_DIR"/*.kubeconfig "$CLUSTER_DIR/.down.lock"
fi
