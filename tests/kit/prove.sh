#!/usr/bin/env bash
# Proves the kit against a cluster that up.sh made, in about three minutes: source its env file first.
# shellcheck disable=SC2016  # what is quoted is evaluated later, on purpose
set -uo pipefail
: "${KUBECONFIG:?source the env file of a cluster first}" "${CLUSTER_DIR:?source the env file of a cluster first}"
passed=0 failed=0 since=$(date +%s.%N)
elapsed() { awk -v a="$since" -v b="$(date +%s.%N)" 'BEGIN {printf "%.1f s", b - a}'; }
check() { # TEXT STATUS
  if [ "$2" = 0 ]; then passed=$((passed + 1)); echo "ok   $1 ($(elapsed))"; else failed=$((failed + 1)); echo "FAIL $1 ($(elapsed))"; fi
  since=$(date +%s.%N)
}
within() { # SECONDS CONDITION: a bounded wait for a shell condition
  local end=$((SECONDS + $1))
  until eval "$2"; do [ $SECONDS -ge $end ] && return 1; sleep 0.3; done
}
namespace=prove
k() { kubectl -n "$namespace" "$@"; }
status_of() { k get pod -l "app=$1" -o "jsonpath={.items[0].status.containerStatuses[0].$2}"; }
evict() { # POD
  k create --raw "/api/v1/namespaces/$namespace/pods/$1/eviction" -f - <<< "{\"apiVersion\":\"policy/v1\",\"kind\":\"Eviction\",\"metadata\":{\"name\":\"$1\",\"namespace\":\"$namespace\"}}" 2>&1
}
memory() { # APP: the most that one of its containers uses, in bytes
  kubectl get --raw "/apis/metrics.k8s.io/v1beta1/namespaces/$namespace/pods?labelSelector=app%3D$1" |
    jq '[.items[].containers[].usage.memory | if endswith("Ki") then (rtrimstr("Ki") | tonumber * 1024) elif endswith("Mi") then (rtrimstr("Mi") | tonumber * 1048576) else tonumber end] | max // 0'
}
kubectl delete namespace "$namespace" --ignore-not-found --wait=true > /dev/null 2>&1
kubectl create namespace "$namespace" > /dev/null
within 20 'k get serviceaccount default > /dev/null 2>&1'
since=$(date +%s.%N)
k apply -f - > /dev/null << 'OBJECTS'
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 50
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}, annotations: {sim.kubeskippy.io/cpu: 100m, sim.kubeskippy.io/memory: 64Mi}}
    spec:
      containers: [{name: web, image: web:1, resources: {requests: {cpu: 100m, memory: 64Mi}, limits: {memory: 128Mi}}}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec: {minAvailable: 50, selector: {matchLabels: {app: web}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: leak}
spec:
  replicas: 2
  selector: {matchLabels: {app: leak}}
  template:
    metadata: {labels: {app: leak}, annotations: {sim.kubeskippy.io/memory: 50Mi, sim.kubeskippy.io/leak-per-second: 2Mi}}
    spec: {containers: [{name: leak, image: leak:1, resources: {limits: {memory: 512Mi}}}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: bounded}
spec:
  replicas: 1
  selector: {matchLabels: {app: bounded}}
  template:
    metadata: {labels: {app: bounded}, annotations: {sim.kubeskippy.io/memory: 50Mi, sim.kubeskippy.io/leak-per-second: 20Mi, sim.kubeskippy.io/leak-max: 96Mi}}
    spec: {containers: [{name: bounded, image: bounded:1, resources: {limits: {memory: 128Mi}}}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: plain}
spec:
  replicas: 1
  selector: {matchLabels: {app: plain}}
  template:
    metadata: {labels: {app: plain}}
    spec: {containers: [{name: plain, image: plain:1}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: crash}
spec:
  replicas: 1
  selector: {matchLabels: {app: crash}}
  template:
    metadata: {labels: {app: crash}, annotations: {sim.kubeskippy.io/crash-after: 1s, sim.kubeskippy.io/backoff-base: "1"}}
    spec: {containers: [{name: crash, image: crash:1}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: oom}
spec:
  replicas: 1
  selector: {matchLabels: {app: oom}}
  template:
    metadata: {labels: {app: oom}, annotations: {sim.kubeskippy.io/crash-after: 5s, sim.kubeskippy.io/backoff-base: "1", sim.kubeskippy.io/crash-reason: OOMKilled, sim.kubeskippy.io/crash-exit-code: "137", sim.kubeskippy.io/leak-per-second: 20Mi}}
    spec: {containers: [{name: oom, image: oom:1, resources: {limits: {memory: 128Mi}}}]}
OBJECTS
k rollout status deploy/web --timeout=60s > /dev/null
check "50 pods Running" $?
pod=$(k get pod -l app=web -o 'jsonpath={.items[0].metadata.name}')
within 10 '[ "$(k get pdb web -o "jsonpath={.status.disruptionsAllowed}/{.status.currentHealthy}")" = 0/50 ]'
answer=$(evict "$pod")
echo "     $answer"
grep -qi 'disruption budget' <<< "$answer"
check "eviction refused by the disruption budget" $?
k delete pod "$pod" --wait=false > /dev/null
within 20 '! k get pod "$pod" > /dev/null 2>&1' && within 30 '[ "$(k get deploy web -o jsonpath={.status.readyReplicas})" = 50 ]'
check "deleted pod replaced, 50 ready" $?
grep -q "\"verb\":\"delete\".*\"name\":\"$pod\"" "$CLUSTER_DIR/log/audit.log"
check "the audit log names the delete" $?
k patch pdb web --type merge -p '{"spec":{"minAvailable":40}}' > /dev/null
within 20 '[ "$(k get pdb web -o jsonpath={.status.disruptionsAllowed})" = 10 ]'
pod=$(k get pod -l app=web -o 'jsonpath={.items[0].metadata.name}')
evict "$pod" > /dev/null
check "eviction allowed with room in the budget" $?
k rollout restart deploy/web > /dev/null
k rollout status deploy/web --timeout=120s > /dev/null
check "rolling restart of 50" $?
k rollout undo deploy/web > /dev/null
k rollout status deploy/web --timeout=120s > /dev/null
check "rollback" $?
within 60 '[ "$(status_of crash restartCount)" -ge 2 ]'
check "CrashLoopBackOff: restartCount grows" $?
k get pod -l app=crash
k get events --field-selector reason=BackOff | tail -n 2
within 60 '[ "$(status_of oom lastState.terminated.reason)" = OOMKilled ]'
check "OOMKilled in lastState" $?
within 60 'k top pod -l app=leak > /dev/null 2>&1'
check "kubectl top (metrics.k8s.io)" $?
first=$(memory leak)
within 40 '[ "$(memory leak)" -gt $((first + 20000000)) ]'
check "the leak grows" $?
last=$(memory leak)
echo "     from $first to $last bytes"
within 60 '[ "$(memory bounded)" = $((96 * 1048576)) ]'
check "a bounded leak stops at its bound" $?
[ "$(memory plain)" = $((32 * 1048576)) ]
check "a pod without annotations has the default usage" $?
k rollout restart deploy/leak > /dev/null
k rollout status deploy/leak > /dev/null
within 60 '[ "$(memory leak)" -gt 0 ] && [ "$(memory leak)" -lt "$last" ]'
check "the leak resets with a new pod" $?
kubectl top node 2>/dev/null | head -n 3
k get events -o custom-columns=R:.reason,K:.involvedObject.kind --no-headers | sort | uniq -c | sort -rn | head -n 12
grep -cE '"verb":"(get|list|watch)"' "$CLUSTER_DIR/log/audit.log" | grep -qx 0
check "the audit log holds no reads ($(wc -l < "$CLUSTER_DIR/log/audit.log") entries)" $?
kubectl delete namespace "$namespace" --wait=false > /dev/null
echo "$passed passed, $failed failed"
[ $failed = 0 ]
