# To be sourced: installs the contract tools into the user's cache folder, once for each lock file, without install scripts.
#   sets root, tools and cache; client_types DOCUMENT FOLDER writes the generated files of packages/client
root=$PWD
tools=$root/scripts/contract-tools
lock=$(sha256sum "$tools/package-lock.json" | cut -c1-16)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/clustered-auth-api/contract-tools-$lock
export REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true DO_NOT_TRACK=1 SCARF_ANALYTICS=false

if [ ! -e "$cache/complete" ]; then
  echo "Installing the contract tools into $cache"
  rm -rf "$cache"
  mkdir -p "$cache"
  cp "$tools"/package.json "$tools"/package-lock.json "$tools"/.npmrc "$cache"
  (cd "$cache" && timeout 300 npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
  touch "$cache/complete"
fi

client_types() {
  local folder=$2 document file
  document=$(realpath "$1")
  folder=$(realpath "$folder")
  node "$tools/client-document.mjs" "$document" "$document.reduced" "$folder/operations.ts"
  (cd "$cache" && node_modules/.bin/openapi-typescript "$document.reduced" -o "$folder/schema.ts")
  # By the project's formatter, which checks what is committed.
  for file in operations.ts schema.ts; do
    (cd "$root" && node_modules/.bin/biome format --stdin-file-path="packages/client/src/$file" <"$folder/$file" >"$document.$file")
    mv "$document.$file" "$folder/$file"
  done
}
