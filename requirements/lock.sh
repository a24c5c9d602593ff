#!/usr/bin/env bash
# Resolves pyproject.toml into hash-pinned requirement files that name no registry host.
# dev.txt is resolved first and constrains the others, so that tests run what the images ship.
set -euo pipefail
cd "$(dirname "$0")/.."
uv="${UV:-uv}"
compile() {
    "$uv" pip compile --quiet --python-version 3.11 --python-platform x86_64-manylinux_2_28 --generate-hashes \
        --no-emit-index-url --no-header --annotation-style line "$@"
}
compile pyproject.toml --all-extras --group dev -o requirements/dev.txt
compile pyproject.toml --extra operator -c requirements/dev.txt -o requirements/operator.txt
compile pyproject.toml --extra trainer --extra ipex -c requirements/dev.txt -o requirements/trainer.txt
compile requirements/torch.in -c requirements/dev.txt -o requirements/torch.txt
compile requirements/model.in --no-deps -o requirements/model.txt
compile requirements/uv.in -o requirements/uv.txt
