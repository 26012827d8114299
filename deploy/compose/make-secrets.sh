#!/bin/sh
# Prints an env file with fresh secrets for compose.yaml. Keep it out of version control; the values go into URIs, hence hex.
set -eu
for name in KEY_ENCRYPTION_SECRET MONGO_PASSWORD MONGO_APP_PASSWORD REDIS_PASSWORD; do
    echo "$name=$(openssl rand -hex 32)"
done
# A key file of MongoDB holds base64 characters only, 6 to 1024 of them.
echo "MONGO_KEY=$(openssl rand -hex 128)"
