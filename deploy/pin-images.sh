#!/bin/sh
# Prints the images of compose.yaml, the Swarm stack and the Dockerfile by digest, as an env file:
# the inspected images run, even when a tag moves. It asks the registry, hence its output is not part
# of the repository; run it again to take updates.
#   sh deploy/pin-images.sh > deploy/images.env
#   docker compose --env-file deploy/compose/secrets.env --env-file deploy/images.env up --build --wait
# Your own image, after `docker push`:  sh deploy/pin-images.sh API_IMAGE=registry.example/auth-api:1.0.0
set -eu
[ $# -gt 0 ] || set -- \
    NODE_IMAGE=node:24-bookworm-slim \
    NGINX_IMAGE=nginxinc/nginx-unprivileged:1.28-alpine \
    MONGO_IMAGE=mongo:8.0 \
    REDIS_IMAGE=redis:7.2-alpine
for pair in "$@"; do
    tag=${pair#*=}
    # Of the manifest list: the same for every kind of processor.
    digest=$(docker buildx imagetools inspect --format '{{.Manifest.Digest}}' "$tag")
    case $digest in
    sha256:????????????????????????????????????????????????????????????????) echo "${pair%%=*}=$tag@$digest" ;;
    *) echo "no digest for $tag: $digest" >&2; exit 1 ;;
    esac
done
