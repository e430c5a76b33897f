#!/usr/bin/env bash
# scale.sh PODS [DEPLOYMENTS]: how long until that many pods run on the nodes there are.
# Source the cluster's env file first. 200 nodes and 5,000 pods are a comfortable size for two cores.
#   NAMESPACE=scale   where they go
#   LIMIT=300         seconds after which it gives up and exits with 1
set -euo pipefail
: "${KUBECONFIG:?source the env file of a cluster first}"
pods=$1 deployments=${2:-20} namespace=${NAMESPACE:-scale} limit=${LIMIT:-300}
each=$((pods / deployments))
kubectl create namespace "$namespace" --dry-run=client -o yaml | kubectl apply -f - > /dev/null
kubectl -n "$namespace" wait --for=create serviceaccount/default --timeout=60s > /dev/null
begun=$SECONDS
for i in $(seq "$deployments"); do
  cat << DEPLOYMENT
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: d$i}
spec:
  replicas: $each
  selector: {matchLabels: {app: d$i}}
  template:
    metadata: {labels: {app: d$i}, annotations: {sim.kubeskippy.io/memory: 64Mi}}
    spec: {containers: [{name: c, image: c:1, resources: {requests: {cpu: 50m, memory: 64Mi}, limits: {memory: 256Mi}}}]}
DEPLOYMENT
done | kubectl -n "$namespace" apply -f - > /dev/null
while :; do
  ready=$(kubectl -n "$namespace" get deploy -o json | jq '[.items[].status.readyReplicas // 0] | add')
  echo "$((SECONDS - begun)) s: $ready ready"
  [ "$ready" -lt $((each * deployments)) ] || exit 0
  [ $((SECONDS - begun)) -lt "$limit" ] || exit 1
  sleep 5
done
