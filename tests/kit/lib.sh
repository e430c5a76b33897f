# What the scripts of the kit share; sourced, never run.
# shellcheck shell=bash disable=SC2034

# Where everything that is built or leased lives; one folder per user.
kit_cache=${KUBESKIPPY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kubeskippy}

# The moment process $1 started, in clock ticks since boot: with the pid it names
# one process for good, so that a reused pid is never mistaken for ours.
started_at() { # PID
  local stat
  { stat=$(< "/proc/$1/stat"); } 2>/dev/null || return 1
  # shellcheck disable=SC2086  # split on purpose; the name in brackets may hold blanks and is cut off first
  set -- ${stat##*) }
  [ "$1" != Z ] && echo "${20}"
}

# Is this still the process that was recorded?
alive() { # PID START
  [ -n "$2" ] && [ "$(started_at "$1")" = "$2" ]
}

# Appends "pid start name" to the cluster's list, which down.sh works off.
record() { # PID NAME
  echo "$1 $(started_at "$1" || echo 0) $2" >> "$CLUSTER_DIR/pids"
}

# Starts a server in a session of its own, its output in a log of its own.
start() { # NAME COMMAND...
  local name=$1
  shift
  setsid "$@" >> "$CLUSTER_DIR/log/$name.log" 2>&1 < /dev/null &
  record $! "$name"
}

# Ends recorded processes: asks, waits up to five seconds, then insists.
end_all() { # lines of "pid start name" on standard input
  local list left pid begun name
  list=$(cat)
  [ -n "$list" ] || return 0
  while read -r pid begun name; do
    if alive "$pid" "$begun"; then kill "$pid" 2>/dev/null; fi
  done <<< "$list"
  for _ in $(seq 50); do
    left=
    while read -r pid begun name; do
      if alive "$pid" "$begun"; then left+=" $pid"; fi
    done <<< "$list"
    [ -n "$left" ] || return 0
    sleep 0.1
  done
  # shellcheck disable=SC2086
  kill -9 $left 2>/dev/null || true
}
