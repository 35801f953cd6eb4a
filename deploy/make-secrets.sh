#!/bin/sh
# Make the secrets that don't exist yet, readable by their owner and group only.
#   make-secrets.sh FOLDER
set -eu
umask 077
mkdir -p "$1"
for name in postgres_password redis_password tiled_secret_key tiled_admin_password; do
    [ -e "$1/$name" ] || od -An -N32 -tx1 /dev/urandom | tr -d ' \n' > "$1/$name"
    chmod 440 "$1/$name"
done
