# shellcheck shell=sh
# What misc/dev does to install and package the module. Read by misc/dev, which defines the functions that are not here.

package_version() {
    sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1
}

# Sets package_epoch to the time of the last commit: the same sources give the same package.
package_time() {
    package_epoch=${SOURCE_DATE_EPOCH-}
    [ -n "$package_epoch" ] || package_epoch=$(git log -1 --format=%ct 2>/dev/null) || package_epoch=$(stat -c %Y Cargo.toml)
}

# Makes the directory for temporary files, which goes away at the end, and sets package_out to where the result goes.
package_begin() {
    package_out=${CARGO_TARGET_DIR:-target}/dist
    [ -z "${1-}" ] || package_out=$(from_caller "$1")
    mkdir -p "$package_out"
    package_out=$(cd "$package_out" && pwd -P)
    umask 022
    package_tmp=$(mktemp -d "${TMPDIR:-/tmp}/mod_jk-package.XXXXXX")
    trap 'rm -rf "$package_tmp"' EXIT
    trap 'exit 1' INT TERM HUP
    package_time
}

# package_module FILE: the module without what only a debugger reads.
package_module() {
    strip --strip-unneeded -o "$1" "$JK_MODULE"
    chmod 644 "$1"
}

# ---- install -------------------------------------------------------------------------------------------------------

# install_owner FILE: the Debian package that the file belongs to, or nothing.
install_owner() {
    command -v dpkg-query >/dev/null || return 0
    dpkg-query -S "$1" 2>/dev/null | sed -n 's/^\([^:]*\): .*/\1/p' | head -n 1
}

# install_if_missing SOURCE TARGET MODE: a configuration that is there is the administrator's.
install_if_missing() {
    if [ -e "${DESTDIR-}$2" ]; then
        cmp -s "$1" "${DESTDIR-}$2" || say "Left as it is: ${DESTDIR-}$2"
    else
        install -D -m "$3" "$1" "${DESTDIR-}$2"
        say "Installed ${DESTDIR-}$2"
    fi
}

cmd_install() {
    [ "$#" -eq 0 ] || fail 'usage: [DESTDIR=DIR] misc/dev install'
    [ -z "${DESTDIR-}" ] || DESTDIR=$(from_caller "$DESTDIR")
    need build
    command -v "${APXS:-apxs}" >/dev/null || fail 'apxs is missing: on Debian, apt-get install apache2-dev'
    module=$("${APXS:-apxs}" -q LIBEXECDIR)/mod_jk.so
    owner=$(install_owner "$module")
    if [ -z "${DESTDIR-}" ]; then
        [ -z "$owner" ] || fail "$module belongs to the Debian package $owner, which would overwrite it at its next upgrade. \
Either build and install a package that takes its place: misc/dev deb, then apt install ./target/dist/libapache2-mod-jk_*.deb; \
or remove that package first, its configuration stays: apt-get remove $owner"
        [ "$(id -u)" -eq 0 ] || fail "only root may write $module: build first (cargo build --release), then run \
JK_MODULE=target/release/libmod_jk.so misc/dev install as root"
    fi
    need_module
    umask 022
    # A running httpd has the old file mapped: install(1) makes a new one rather than writing into it.
    install -D -m 644 "$JK_MODULE" "${DESTDIR-}$module"
    say "Installed ${DESTDIR-}$module"
    if [ ! -d /etc/apache2/mods-available ]; then
        say "Load it in httpd.conf: LoadModule jk_module $module"
        return 0
    fi
    available=/etc/apache2/mods-available
    # workers.properties goes with our jk.conf, which names it; another jk.conf names another file.
    if [ ! -e "${DESTDIR-}$available/jk.conf" ]; then
        install_if_missing apache-conf/workers.properties /etc/apache2/workers.properties 600
    fi
    install_if_missing apache-conf/jk.load "$available/jk.load" 644
    install_if_missing apache-conf/jk.conf "$available/jk.conf" 644
    if [ -n "${DESTDIR-}" ]; then
        say 'DESTDIR is set: a2enmod jk is left to you'
    else
        a2enmod -q jk
        say 'Next: mount the application in a site, check with apachectl -t, then restart httpd'
    fi
}

# ---- dist ----------------------------------------------------------------------------------------------------------

cmd_dist() {
    [ "$#" -le 1 ] || fail 'usage: misc/dev dist [DIR]'
    need build
    command -v strip >/dev/null || fail 'strip is missing: on Debian, apt-get install binutils'
    need_module
    package_begin "${1-}"
    name=mod_jk-$(package_version)-linux-$(uname -m)
    tree=$package_tmp/$name
    mkdir -p "$tree/misc"
    cp -R README.md LICENSE apache-conf "$tree/"
    cp -R misc/apache misc/doc "$tree/misc/"
    package_module "$tree/misc/apache/mod_jk.so"
    sbom "$tree/misc/mod_jk.cdx.json"
    # shellcheck disable=SC2094 # find leaves out what is being written
    (cd "$tree" && find . -type f ! -name SHA256SUMS | LC_ALL=C sort | sed 's|^\./||' | xargs -d '\n' sha256sum >SHA256SUMS)
    chmod -R u=rwX,go=rX "$tree"
    # Order, owners and times are fixed, so that the same sources give the same bytes.
    (cd "$package_tmp" && LC_ALL=C tar --sort=name --format=gnu --mtime="@$package_epoch" --owner=0 --group=0 \
        --numeric-owner -cf - "$name") | gzip -9n >"$package_tmp/$name.tar.gz"
    mv "$package_tmp/$name.tar.gz" "$package_out/"
    (cd "$package_out" && sha256sum "$name.tar.gz" >"$name.tar.gz.sha256")
    say "$package_out/$name.tar.gz"
}

# ---- Debian package ------------------------------------------------------------------------------------------------

# Puts Debian's own package, the one with the C module, below target/debian and sets debian_package to it. JK_DEBIAN=FILE
# gives it where there is no network.
#
# Conffiles that have the very bytes of Debian's are what makes an upgrade silent and a downgrade clean. They are taken from
# the distribution that the package is built for, which is why they are not in this repository.
deb_original() {
    debian_package=${JK_DEBIAN-}
    if [ -n "$debian_package" ]; then
        [ -f "$debian_package" ] || fail "JK_DEBIAN=$debian_package: no such file"
        return 0
    fi
    original=$(apt-cache madison libapache2-mod-jk | sed -n 's/^[^|]*| *\(1:[^ ]*\) .*/\1/p' | head -n 1)
    [ -n "$original" ] || fail "apt does not know Debian's libapache2-mod-jk: run apt-get update as root"
    arch=$(dpkg --print-architecture)
    directory=${CARGO_TARGET_DIR:-target}/debian
    debian_package=$directory/$(printf 'libapache2-mod-jk_%s_%s.deb' "$original" "$arch" | sed 's/:/%3a/')
    [ ! -f "$debian_package" ] || return 0
    say "Fetching Debian's libapache2-mod-jk $original for its configuration files"
    mkdir -p "$directory"
    # In a directory of its own: two builds at a time must not see half of a file.
    (cd "$package_tmp" && apt-get -q -o APT::Sandbox::User=root download "libapache2-mod-jk=$original" >/dev/null) ||
        fail "apt-get could not fetch libapache2-mod-jk $original"
    mv "$package_tmp"/libapache2-mod-jk_*.deb "$debian_package"
}

# deb_depends MODULE: what the module needs, the libraries as dpkg-shlibdeps finds them.
deb_depends() {
    mkdir -p "$package_tmp/depends/debian"
    printf 'Source: mod-jk\n\nPackage: libapache2-mod-jk\nArchitecture: any\n' >"$package_tmp/depends/debian/control"
    libraries=$(cd "$package_tmp/depends" && dpkg-shlibdeps -O "$1" 2>/dev/null | sed -n 's/^shlibs:Depends=//p')
    api=$(dpkg-query -W -f='${Provides}' apache2-bin | tr ',' '\n' | sed -n 's/^ *\(apache2-api-[0-9]*\)\( .*\)\{0,1\}$/\1/p')
    if [ -z "$libraries" ] || [ -z "$api" ]; then
        fail 'the dependencies cannot be found out: are dpkg-dev and apache2-bin installed?'
    fi
    # Nothing newer of httpd is used, so that no system needs another httpd for this module.
    printf '%s, apache2-bin (>= 2.4.16), %s\n' "$api" "$libraries"
}

cmd_deb() {
    [ "$#" -le 1 ] || fail 'usage: misc/dev deb [DIR]'
    command -v dpkg-deb >/dev/null || fail 'this system does not use Debian packages: misc/dev dist makes a tar.gz'
    need build
    install_packages apache2-dev binutils dpkg-dev
    need_module
    package_begin "${1-}"
    deb_original
    dpkg-deb -R "$debian_package" "$package_tmp/original"

    tree=$package_tmp/tree
    docs=$tree/usr/share/doc/libapache2-mod-jk
    mkdir -p "$tree/DEBIAN" "$tree/usr/lib/apache2/modules" "$docs/examples"
    package_module "$tree/usr/lib/apache2/modules/mod_jk.so"
    cp -R "$package_tmp/original/etc" "$tree/"
    cp "$package_tmp/original/DEBIAN/conffiles" "$tree/DEBIAN/"
    cp "$package_tmp/original/usr/share/doc/libapache2-mod-jk/NOTICE" "$docs/"
    cp misc/packaging/debian/postinst misc/packaging/debian/prerm misc/packaging/debian/postrm "$tree/DEBIAN/"
    cp misc/packaging/debian/copyright misc/packaging/debian/README.Debian misc/doc/*.md "$docs/"
    rm "$docs/CHANGELOG.md" "$docs/CONTRIBUTING.md" "$docs/SAFETY.md" # its place is changelog.gz; for developers
    sbom "$docs/mod_jk.cdx.json"
    gzip -9nc misc/doc/CHANGELOG.md >"$docs/changelog.gz"
    # jk.load and jk.conf are Debian's here; the sites and the integration directory are examples.
    cp apache-conf/*.conf "$docs/examples/"
    rm "$docs/examples/jk.conf"
    cp -R misc/apache "$docs/examples/"

    # Epoch 2: Debian's C mod_jk has epoch 1, so no version of it, later ones included, sorts above and takes the place of
    # this package unasked. What follows is our own version.
    version=2:$(package_version)-1
    maintainer="${DEBFULLNAME:-mod_jk developers} <${DEBEMAIL:-root@localhost}>"
    depends=$(deb_depends "$tree/usr/lib/apache2/modules/mod_jk.so") || exit 1
    {
        printf 'libapache2-mod-jk (%s) unstable; urgency=medium\n\n' "$version"
        printf '  * mod_jk in Rust instead of the C mod_jk; see changelog.gz and COMPAT.md.\n\n'
        printf ' -- %s  %s\n' "$maintainer" "$(LC_ALL=C date -u -R -d "@$package_epoch")"
    } | gzip -9n >"$docs/changelog.Debian.gz"

    chmod -R u=rwX,go=rX "$tree"
    chmod 755 "$tree/DEBIAN/postinst" "$tree/DEBIAN/prerm" "$tree/DEBIAN/postrm"
    # As dh_md5sums does: configuration files are not in the list.
    (cd "$tree" && find usr -type f | LC_ALL=C sort | xargs -d '\n' md5sum >DEBIAN/md5sums)
    size=$(du -sk --apparent-size --exclude=DEBIAN "$tree" | cut -f 1)
    sed -e "s|@VERSION@|$version|" -e "s|@ARCH@|$(dpkg --print-architecture)|" -e "s|@MAINTAINER@|$maintainer|" \
        -e "s|@SIZE@|$size|" -e "s|@DEPENDS@|$depends|" misc/packaging/debian/control.in >"$tree/DEBIAN/control"
    chmod 644 "$tree/DEBIAN/control" "$tree/DEBIAN/md5sums"

    find "$tree" -newermt "@$package_epoch" -exec touch -h -d "@$package_epoch" {} +
    file=libapache2-mod-jk_$(package_version)-1_$(dpkg --print-architecture).deb
    SOURCE_DATE_EPOCH=$package_epoch dpkg-deb --root-owner-group -Zxz -b "$tree" "$package_out/$file" >/dev/null
    say "$package_out/$file"
}

# All of it once: the package in a chroot, from Debian's to ours, back again, and gone.
cmd_test_deb() {
    need test
    need_module
    cargo test --locked --test it -- package::deb "$@"
}
