#!/usr/bin/env bash
# Installs the Debian package into an empty root, and looks at what came: check_package.sh PACKAGE FOLDER
set -euo pipefail
package=$(realpath "$1") root=$2/package-root

mkdir -p "$root"/var/lib/dpkg/{info,updates} "$root/etc" "$root/var/log"
touch "$root/var/lib/dpkg/status" "$root"/etc/{passwd,group,shadow,gshadow}
# The scripts of the package act on this root alone (DPKG_ROOT). What it depends on is not in it, and is of this machine.
dpkg --root="$root" --log="$root/dpkg.log" --force-not-root --force-depends --force-script-chrootless --install "$package" >"$root/dpkg.out" 2>&1 ||
    { cat "$root/dpkg.out"; exit 1; }

"$root/usr/bin/blobdelta" --version
grep -q '^blobdelta:' "$root/etc/passwd" || { echo 'the account of the service was not made'; exit 1; }
for file in usr/share/man/man1/blobdelta-run.1.gz usr/share/bash-completion/completions/blobdelta \
    usr/share/zsh/vendor-completions/_blobdelta usr/share/fish/vendor_completions.d/blobdelta.fish \
    usr/share/doc/blobdelta/copyright usr/share/doc/blobdelta/examples/blobdelta.toml; do
    [ -s "$root/$file" ] || { echo "$file is not in the package"; exit 1; }
done
bash -n "$root/usr/share/bash-completion/completions/blobdelta"
(cd "$root" && md5sum --quiet --check "var/lib/dpkg/info/blobdelta.md5sums")
dpkg-deb --field "$package" Depends | grep -q 'libc6' || { echo 'the libraries are not among what it depends on'; exit 1; }

# The units, by systemd itself; and the service's own command, by the example of a configuration.
for unit in blobdelta.service blobdelta.timer; do
    systemd-analyze verify --man=no --recursive-errors=no "$root/usr/lib/systemd/system/$unit" 2>"$root/verify.out" || true
    # But that this machine has no such program, nothing is to be said.
    ! grep -F "$unit" "$root/verify.out" | grep -v 'is not executable' ||
        { echo "systemd does not take $unit"; exit 1; }
done
calendar=$(sed -n 's/^OnCalendar=//p' "$root/usr/lib/systemd/system/blobdelta.timer")
systemd-analyze calendar "$calendar" | grep 'Next elapse'
command=$(sed -n 's/^ExecStart=//p' "$root/usr/lib/systemd/system/blobdelta.service")
[ "$command" = '/usr/bin/blobdelta run' ]
install -m 644 "$root/usr/share/doc/blobdelta/examples/blobdelta.toml" "$root/etc/blobdelta/"
# shellcheck disable=SC2086 # the words of the command
env -i "$root"${command% run} config show run --config "$root/etc/blobdelta/blobdelta.toml" | grep -q '/var/lib/blobdelta/bundles'

instance=$root/var/lib/blobdelta
mkdir -p "$instance"
env -i HOME="$instance" "$root/usr/bin/blobdelta" demo --quiet --dir "$instance/demo" >/dev/null
printf '[profile.default]\nconnection = "sqlite:%s"\nout = "%s"\n' "$instance/demo/source" "$instance/demo/bundles" \
    >"$root/etc/blobdelta/blobdelta.toml"
for week in 1 2; do
    env -i HOME="$instance" "$root"$command --quiet --config "$root/etc/blobdelta/blobdelta.toml" >/dev/null
done
env -i HOME="$instance" "$root/usr/bin/blobdelta" chain "$instance/demo/bundles" | tail -1

dpkg --root="$root" --log="$root/dpkg.log" --force-not-root --force-depends --force-script-chrootless --purge blobdelta >"$root/dpkg.out" 2>&1
[ ! -e "$root/usr/bin/blobdelta" ]
echo 'the package was installed, run and removed'
