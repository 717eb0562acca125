#!/bin/sh
# First sync from a real kube-apiserver, beside a program that reads the same bytes.
# usage: benchmarks/real-apiserver.sh PATH/TO/kube-apiserver [PODS] [PAIRS]     needs etcd, openssl and curl; everything it starts ends with it
set -eu
apiserver=$1
pods=${2:-20000}
pairs=${3:-5}
bench=$(dirname "$0")/../artifacts/bin/Benchmarks/release/MultiCluster.Benchmarks
dir=$(mktemp -d)
stop() { kill ${api:-} ${etcd:-} 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$dir"; }
trap stop EXIT INT TERM

ca="$dir/ca.crt"
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=bench-ca -keyout "$dir/ca.key" -out "$ca" 2>/dev/null
openssl req -newkey rsa:2048 -nodes -subj /CN=kube-apiserver -keyout "$dir/tls.key" -out "$dir/tls.csr" 2>/dev/null
printf 'subjectAltName=IP:127.0.0.1' > "$dir/san"
openssl x509 -req -days 2 -in "$dir/tls.csr" -CA "$ca" -CAkey "$dir/ca.key" -CAcreateserial -extfile "$dir/san" -out "$dir/tls.crt" 2>/dev/null
openssl genrsa -out "$dir/sa.key" 2048 2>/dev/null
openssl rsa -in "$dir/sa.key" -pubout -out "$dir/sa.pub" 2>/dev/null
echo 'bench-token,bench,1,system:masters' > "$dir/tokens.csv"

etcd --data-dir "$dir/etcd" --listen-client-urls http://127.0.0.1:23790 --advertise-client-urls http://127.0.0.1:23790 \
    --listen-peer-urls http://127.0.0.1:23800 --initial-advertise-peer-urls http://127.0.0.1:23800 --initial-cluster default=http://127.0.0.1:23800 \
    --unsafe-no-fsync --quota-backend-bytes 8000000000 > "$dir/etcd.log" 2>&1 &
etcd=$!
for _ in $(seq 60); do curl -sf http://127.0.0.1:23790/health > /dev/null && break; sleep 0.5; done
"$bench" seed-etcd --etcd http://127.0.0.1:23790 --pods "$pods"
"$apiserver" --etcd-servers http://127.0.0.1:23790 --bind-address 127.0.0.1 --advertise-address 127.0.0.1 --secure-port 26443 \
    --tls-cert-file "$dir/tls.crt" --tls-private-key-file "$dir/tls.key" --client-ca-file "$ca" --token-auth-file "$dir/tokens.csv" --authorization-mode AlwaysAllow \
    --service-account-issuer https://kubernetes.default.svc --service-account-key-file "$dir/sa.pub" --service-account-signing-key-file "$dir/sa.key" \
    --service-cluster-ip-range 10.0.0.0/16 --endpoint-reconciler-type none --disable-admission-plugins ServiceAccount > "$dir/api.log" 2>&1 &
api=$!
for _ in $(seq 120); do [ "$(curl -s --cacert "$ca" -H 'Authorization: Bearer bench-token' https://127.0.0.1:26443/readyz)" = ok ] && break; sleep 0.5; done
"$bench" first-sync --server https://127.0.0.1:26443 --token bench-token --ca "$ca" --pairs "$pairs" --server-pid "$api"
