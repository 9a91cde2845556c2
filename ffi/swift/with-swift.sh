#!/usr/bin/env bash
# Runs a command with Swift 6: this machine's own, or, where it has none, that of Debian trixie in a chroot.
#
#   ffi/swift/with-swift.sh [--chroot] COMMAND...    exit status 127: no Swift here, and no leave to install it
#
# --chroot, or CI in the environment, lets it make the chroot: 2 minutes and 1.9 GB, once, in SWIFT_ROOT (default: the user's
# cache), as root, by the machine's own Debian mirror. The repository, and folders named in SWIFT_BIND (by colons), are at their
# own paths in there. Variables of the command are passed as `env NAME=VALUE COMMAND...`.
set -euo pipefail
repository=$(cd "$(dirname "$0")/../.." && pwd)
root=${SWIFT_ROOT:-${XDG_CACHE_HOME:-$HOME/.cache}/pocketrank-swift}
make=${CI:-}
if [ "${1:-}" = --chroot ]; then make=1; shift; fi

if command -v swift >/dev/null; then exec "$@"; fi
if [ ! -e "$root/.made" ]; then
  if [ -z "$make" ] || [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo 'with-swift: no Swift here; --chroot, as root on Debian, installs one' >&2
    exit 127
  fi
  echo "with-swift: making a chroot of Debian trixie with package swiftlang" >&2
  command -v mmdebstrap >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends mmdebstrap; } >&2
  mirror=$({ cat /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null || true; } |
    sed -n 's/^URIs: *//p; s/^deb \(\[[^]]*\] \)*\([^ ]*\).*/\2/p' | head -1)
  rm -rf "$root"
  mkdir -p "$root"
  # Without the debugger, language servers and static libraries: 0.6 GB that a build does not need.
  leave=(/usr/share/{doc,man}/ /usr/libexec/swift/bin/{lldb,clangd,sourcekit-lsp} /usr/libexec/swift/lib/{liblldb,swift_static/})
  leave=("${leave[@]/#/--dpkgopt=path-exclude=}")
  mmdebstrap --quiet --mode=root --variant=apt --include=swiftlang,libc6-dev,libstdc++-14-dev \
    --aptopt='APT::Install-Recommends false' --dpkgopt=force-unsafe-io "${leave[@]/%/*}" \
    trixie "$root" "$mirror" >&2
  touch "$root/.made"
fi

# In a mount namespace of its own, so that nothing stays mounted.
export root repository
here=$PWD
exec unshare --mount bash -c '
  set -euo pipefail
  here=$1
  shift
  mount -t proc proc "$root/proc"
  IFS=:
  for folder in "$repository" ${SWIFT_BIND:-}; do
    mkdir -p "$root$folder"
    mount --bind "$folder" "$root$folder"
  done
  exec chroot "$root" /usr/bin/env -i PATH=/usr/libexec/swift/bin:/usr/bin:/bin HOME=/tmp LANG=C.UTF-8 \
    bash -c "cd \"\$1\" && shift && exec \"\$@\"" - "$here" "$@"
' - "$here" "$@"
