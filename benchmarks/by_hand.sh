#!/usr/bin/env bash
# The shortest honest way to try one interruption without the simulator: what its overhead is measured against.
# by_hand.sh IMAGE STEP PORT: run, SIGTERM at STEP, sync to a moto S3, wipe, sync back, run to the end, look for proof.
set -euo pipefail
image=$1 step=$2 port=$3
export AWS_ACCESS_KEY_ID=testing AWS_SECRET_ACCESS_KEY=testing AWS_DEFAULT_REGION=us-east-1
work=$(mktemp -d)
s3="aws --endpoint-url http://127.0.0.1:$port s3"
moto_server -p "$port" >/dev/null 2>&1 & moto=$!
trap 'kill $moto; docker rm -f "by-hand-$$" >/dev/null 2>&1 || true; rm -rf "$work"' EXIT
until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do sleep 0.1; done
$s3 mb s3://by-hand >/dev/null

mkdir "$work/checkpoints"
docker run -d --name "by-hand-$$" -v "$work/checkpoints:/opt/ml/checkpoints" "$image" train >/dev/null
until docker logs "by-hand-$$" 2>&1 | grep -q "^step=$step "; do sleep 0.1; done
docker kill -s TERM "by-hand-$$" >/dev/null
docker wait "by-hand-$$" >/dev/null
$s3 sync --quiet "$work/checkpoints" s3://by-hand/checkpoints
docker rm "by-hand-$$" >/dev/null
rm -rf "$work/checkpoints"

$s3 sync --quiet s3://by-hand/checkpoints "$work/checkpoints"
docker run --name "by-hand-$$" -v "$work/checkpoints:/opt/ml/checkpoints" "$image" train >"$work/log" 2>&1
grep -q "^resumed from step=" "$work/log"
