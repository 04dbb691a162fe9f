#!/bin/sh
# Installs what system-packages.txt lists and this machine lacks: on Debian and its kin, as root or with a sudo that
# asks for no password. Elsewhere it names what is missing. It never fails: tests say themselves what they miss.
set -eu

list="$(dirname "$0")/system-packages.txt"

missing=""
while read -r command package _; do
  case "$command" in ''|'#'*) continue ;; esac
  command -v "$command" >/dev/null 2>&1 && continue
  case " $missing " in *" $package "*) ;; *) missing="$missing $package" ;; esac
done < "$list"
[ -n "$missing" ] || exit 0

as_root=""
if [ "$(id -u)" -ne 0 ]; then
  if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then as_root="sudo -n"; else as_root="no"; fi
fi
if [ "$as_root" = no ] || ! command -v apt-get >/dev/null 2>&1; then
  echo "system packages missing (by their Debian names):$missing; tests that need them will be skipped"
  exit 0
fi

# Prometheus and Alertmanager come as services that Debian would start and enable. They are wanted as commands only,
# so the units are masked until the installation is over, and left disabled. RUNLEVEL does the same without systemd.
services=""
if [ -d /run/systemd/system ]; then
  for package in $missing; do
    case "$package" in prometheus|prometheus-alertmanager) services="$services $package" ;; esac
  done
fi

echo "installing system packages:$missing"
[ -z "$services" ] || $as_root systemctl mask --runtime --quiet $services || true
log="$(mktemp)"
status=0
$as_root apt-get update -qq >"$log" 2>&1 || true
$as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
  apt-get install -y -qq --no-install-recommends $missing >>"$log" 2>&1 || status=$?
if [ -n "$services" ]; then
  $as_root systemctl unmask --runtime --quiet $services || true
  $as_root systemctl disable --quiet $services || true
  echo "installed but neither started nor enabled as services:$services"
fi
if [ "$status" -ne 0 ]; then
  tail -n 5 "$log"
  echo "some system packages could not be installed; tests that need them will be skipped"
fi
rm -f "$log"
