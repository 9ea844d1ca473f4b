#!/usr/bin/env bash
# Makes build-lambda/gwh-lambda-ARCH.zip for AWS Lambda (runtime provided.al2023), for this machine's
# processor, and proves that it needs nothing else.
set -euo pipefail
cd "$(dirname "$0")/.."

arch=$(uname -m)
zip=build-lambda/gwh-lambda-$arch.zip

scripts/build.sh build-lambda gwh
python3 -B scripts/lambda_zip.py pack build-lambda/gwh "$zip"
python3 -B scripts/lambda_zip.py prove "$zip"

case $arch in
x86_64)
    echo "lambda: for arm64 functions run make lambda on an arm64 machine, or in an arm64 container:"
    # shellcheck disable=SC2016
    echo '  docker run --rm --platform linux/arm64 -v "$PWD":/src -w /src debian:12 sh -c "apt-get update && apt-get install -y make && make lambda"'
    ;;
esac
