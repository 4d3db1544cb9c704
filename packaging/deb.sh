#!/usr/bin/env bash
# Makes the Debian package: packaging/deb.sh BINARY PAGES OUT
#   BINARY: the program that goes into it
#   PAGES: the folder of man pages and completions, as `BLOBDELTA_PAGES=PAGES cargo test --test cli -- man::` writes it
#   OUT: the folder for the package
# It needs dpkg-dev, and nothing of Rust.
set -euo pipefail
binary=$(realpath "$1") pages=$(realpath "$2") out=$(realpath "$3")
cd "$(dirname "$0")/.."

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
architecture=$(dpkg --print-architecture)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
root=$stage/root

install -D -m 755 "$binary" "$root/usr/bin/blobdelta"
strip --strip-debug "$root/usr/bin/blobdelta"
for page in "$pages"/man/*.1; do
    install -D -m 644 "$page" "$root/usr/share/man/man1/${page##*/}"
done
gzip --best --no-name "$root"/usr/share/man/man1/*.1
install -D -m 644 "$pages/completions/blobdelta.bash" "$root/usr/share/bash-completion/completions/blobdelta"
install -D -m 644 "$pages/completions/_blobdelta" "$root/usr/share/zsh/vendor-completions/_blobdelta"
install -D -m 644 "$pages/completions/blobdelta.fish" "$root/usr/share/fish/vendor_completions.d/blobdelta.fish"
install -D -m 644 packaging/systemd/blobdelta.service packaging/systemd/blobdelta.timer -t "$root/usr/lib/systemd/system"
install -D -m 644 packaging/systemd/sysusers.conf "$root/usr/lib/sysusers.d/blobdelta.conf"
install -d -m 755 "$root/etc/blobdelta"
install -D -m 644 packaging/blobdelta.toml -t "$root/usr/share/doc/blobdelta/examples"
install -D -m 644 examples/monitoring/*.yml examples/monitoring/*.json -t "$root/usr/share/doc/blobdelta/examples/monitoring"
install -D -m 644 README.md CHANGELOG.md docs/*.md docs/blobdelta.schema.json -t "$root/usr/share/doc/blobdelta"
cat LICENSE-MIT LICENSE-APACHE >"$root/usr/share/doc/blobdelta/copyright"

# The libraries that the program is linked with, by the packages that have them here.
mkdir -p "$stage/debian"
touch "$stage/debian/control"
depends=$(cd "$stage" && dpkg-shlibdeps -O --ignore-missing-info "$root/usr/bin/blobdelta" 2>/dev/null | sed -n 's/^shlibs:Depends=//p')
[ -n "$depends" ] || { echo 'no libraries were found that the program needs' >&2; exit 1; }
size=$(du -sk "$root" | cut -f1)
install -d "$root/DEBIAN"
sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$architecture/" -e "s/@DEPENDS@/$depends/" -e "s/@SIZE@/$size/" \
    packaging/debian/control.in >"$root/DEBIAN/control"
install -m 755 packaging/debian/postinst packaging/debian/prerm -t "$root/DEBIAN"
(cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
dpkg-deb --root-owner-group -Zxz -z1 --build "$root" "$out/blobdelta_${version}_$architecture.deb"
