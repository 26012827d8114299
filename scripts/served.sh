# To be sourced: starts the built service in an empty folder, and ends it with the script.
#   serve NAME=value …    sets dir, settings and url
served_pid=
dir=$(mktemp -d)
finish() {
  if [ -n "$served_pid" ]; then
    kill "$served_pid" 2>/dev/null || true
    wait "$served_pid" 2>/dev/null || true
  fi
  rm -rf "$dir"
}
trap finish EXIT

serve() {
  local root=$PWD port=
  [ -f dist/main.js ] || npm run --silent build
  # Nothing of the developer's .env: the service starts in an empty folder.
  settings=(PORT=0 HOST=127.0.0.1 OPS_PORT=0 "DATA_DIR=$dir/data" "RUNTIME_DIR=$dir/run" "$@")
  # Before the reader below, which may be faster than the service.
  : >"$dir/log"
  (cd "$dir" && exec env "${settings[@]}" node "$root/dist/main.js") >"$dir/log" 2>&1 &
  served_pid=$!
  for _ in $(seq 300); do
    port=$(sed -n 's/.*"port":\([0-9][0-9]*\).*"msg":"listening".*/\1/p' "$dir/log" | head -n 1)
    [ -n "$port" ] && break
    kill -0 "$served_pid" 2>/dev/null || break
    sleep 0.1
  done
  if [ -z "$port" ]; then
    echo 'The service did not start:' >&2
    cat "$dir/log" >&2
    exit 1
  fi
  url=http://127.0.0.1:$port
}
