#!/usr/bin/env bash
# scale.sh PODS [DEPLOYMENTS] : how long until that many pods run on the nodes there are. Source $CLUSTER_DIR/env first.
set -euo pipefail
P=$1 D=${2:-20}; NS=${NS:-scale}; T=$(date +%s)
kubectl create ns $NS >/dev/null 2>&1 || true
until kubectl -n $NS get sa default >/dev/null 2>&1; do sleep 0.2; done
for i in $(seq $D); do cat <<X
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: d$i}
spec:
  replicas: $((P/D))
  selector: {matchLabels: {app: d$i}}
  template:
    metadata: {labels: {app: d$i}, annotations: {sim.kubeskippy.io/memory: 64Mi}}
    spec: {containers: [{name: c, image: c:1, resources: {requests: {cpu: 50m, memory: 64Mi}, limits: {memory: 256Mi}}}]}
X
done | kubectl -n $NS apply -f - >/dev/null
while :; do
  r=$(kubectl -n $NS get deploy -o json | jq '[.items[].status.readyReplicas // 0] | add'); t=$(( $(date +%s)-T ))
  echo "$t s: $r ready"; [ "$r" -ge $((P/D*D)) ] && break; [ $t -ge ${LIMIT:-300} ] && break; sleep 5
done
