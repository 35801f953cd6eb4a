#!/bin/sh
# Start Tiled with its secrets taken from files, so that none is in an image, a command line or a
# compose file.
#   start.sh [options of `tiled serve config`]
set -eu
: "${SECRETS:=/run/secrets}" "${TILED_CONFIG:=/deploy/tiled/beamline}"
host() { sed -n "s/^$1=//p" "$(dirname "$0")/hosts.env"; }
: "${POSTGRES_HOST:=$(host POSTGRES_HOST)}" "${REDIS_HOST:=$(host REDIS_HOST)}"
: "${TILED_STORAGE:=/storage}" "${RAW_FILES:=/raw}"
secret() { cat "$SECRETS/$1"; }
PGPASSWORD=$(secret postgres_password)
REDIS_PASSWORD=$(secret redis_password)
TILED_SECRET_KEY=$(secret tiled_secret_key)
TILED_ADMIN_PASSWORD=$(secret tiled_admin_password)
export POSTGRES_HOST PGPASSWORD REDIS_HOST REDIS_PASSWORD TILED_STORAGE RAW_FILES
export TILED_SECRET_KEY TILED_ADMIN_PASSWORD
exec tiled serve config "$TILED_CONFIG" "$@"
