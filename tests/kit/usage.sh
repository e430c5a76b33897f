#!/usr/bin/env bash
# usage.sh [SECONDS]: CPU (percent of one core) and memory of each process of the cluster over that time (20).
set -euo pipefail
: "${CLUSTER_DIR:?source the env file of a cluster first}"
seconds=${1:-20}
declare -A before
ticks() { awk '{sub(/^.*\) /, ""); print $12 + $13}' "/proc/$1/stat" 2>/dev/null || echo 0; }
while read -r pid _ _; do before[$pid]=$(ticks "$pid"); done < "$CLUSTER_DIR/pids"
sleep "$seconds"
hz=$(getconf CLK_TCK)
while read -r pid _ name; do
  [ -r "/proc/$pid/status" ] || continue
  awk -v name="$name" -v ticks=$(($(ticks "$pid") - ${before[$pid]})) -v seconds="$seconds" -v hz="$hz" '
    /VmRSS/ {rss = $2} /VmHWM/ {peak = $2}
    END {printf "%-16s cpu %6.1f%%  rss %6.0f MiB  peak %6.0f MiB\n", name, 100 * ticks / hz / seconds, rss / 1024, peak / 1024}' "/proc/$pid/status"
done < "$CLUSTER_DIR/pids"
