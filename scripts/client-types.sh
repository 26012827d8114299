#!/usr/bin/env bash
# Writes the generated files of packages/client from /openapi.json of the built service:
#   scripts/client-types.sh
# scripts/contract-tools.sh checks that they are fresh.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/contract-tools/install.sh
. scripts/served.sh
serve WORKERS=1 RATE_LIMIT=false BCRYPT_COST=4
curl -sSf "$url/openapi.json" -o "$dir/openapi.json"
client_types "$dir/openapi.json" "${1:-packages/client/src}"
