# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the scripts share: messages, the cache, and names of kernels.
# Sourced, never run:  . "$(dirname "$0")/lib.sh"
#
# A kernel is an image, its modules, and (for kernels hull.ko is built for) a
# build directory. hull_kernel turns a name into these:
#
#   (empty)            the newest Debian kernel whose headers are installed, or
#                      else in the cache
#   6.1  6.12          the newest of that series, with headers if there are any
#   6.1-cloud          the same of the cloud flavour (guests only: it has no 9p)
#   6.1-686  6.1-686-pae  32-bit kernels of the i386 architecture (guests only)
#   6.1.0-56-amd64     exactly this release
#   debug  trimmed     built by scripts/lab-kernel
#
# Images never go into the user's /boot: a package is unpacked in the cache, and
# so are headers that would bring an image along. What is installed of the same
# release is used where it is.

# shellcheck disable=SC2034 # the callers use it
HULL_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
HULL_CACHE=${HULL_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/hull}
HULL_PROG=${0##*/}

# On stderr, because stdout belongs to what the script is asked for.
note() { printf '%s: %s\n' "$HULL_PROG" "$*" >&2; }

# die STATUS MESSAGE...
die() {
	local status=$1
	shift
	note "$@"
	exit "$status"
}

usage_error() { die 2 "$* (--help tells more)"; }

# The comment at the head of a script is its --help.
show_help() { sed -n '4,/^[^#]/{/^#/!q;s/^# \{0,1\}//;p}' "$0"; }

have() { command -v "$1" >/dev/null 2>&1; }

# quote WORD...: the words as a POSIX shell reads them back.
quote() {
	local word out=
	for word; do
		out+=" '${word//\'/\'\\\'\'}'"
	done
	printf '%s' "${out# }"
}

# The mirror this machine's own release comes from.
package_mirror() {
	local codename
	codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
	# shellcheck disable=SC2016 # for apt-get to expand
	apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Created-By: Packages' |
		sed -n "s/^$codename //p" | head -n 1
}

# with_lock NAME COMMAND...: one at a time among all runs that share the cache.
with_lock() {
	local with_lock_fd with_lock_file=$HULL_CACHE/locks/$1
	shift
	mkdir -p "$HULL_CACHE/locks"
	(
		exec {with_lock_fd}>"$with_lock_file"
		flock "$with_lock_fd"
		"$@"
	)
}

# Releases known here, one a line, oldest first: with installed headers ...
headers_installed() {
	list_headers /lib/modules
}

# ... or with headers here or in the cache.
headers_present() {
	list_headers /lib/modules "$HULL_CACHE/headers" | uniq
}

list_headers() {
	local top dir
	for top; do
		for dir in "$top"/*-amd64/build; do
			[ -e "$dir/Makefile" ] || continue
			dir=${dir%/build}
			printf '%s\n' "${dir##*/}"
		done
	done | sort -V
}

images_present() {
	local file
	for file in "$HULL_CACHE"/kernels/*/vmlinuz /boot/vmlinuz-*-amd64; do
		[ -r "$file" ] || continue
		case $file in
		/boot/*) printf '%s\n' "${file#/boot/vmlinuz-}" ;;
		*) file=${file%/vmlinuz} && printf '%s\n' "${file##*/}" ;;
		esac
	done | sort -V
}

# The i386 part of the archive, which this machine need not know otherwise: apt with a state of its own.
I386=(-o APT::Architecture=i386 -o APT::Architectures=i386 -o "Dir::State=$HULL_CACHE/i386"
	-o "Dir::State::status=$HULL_CACHE/i386/status" -o "Dir::Cache=$HULL_CACHE/i386/cache"
	-o APT::Sandbox::User=root)

# update_i386: reads the lists of packages if there are none. A suite that fails is no loss as long as
# another has the package.
update_i386() {
	local dir=$HULL_CACHE/i386
	[ ! -e "$dir/updated" ] || return 0
	have apt-get || die 1 "there is no apt-get here to fetch i386 packages with"
	mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
	touch "$dir/status"
	apt-get -q "${I386[@]}" update >"$dir/log" 2>&1 || note "not all lists of i386: $dir/log"
	touch "$dir/updated"
}

# images_in_archive SERIES [APT-OPTION...]
images_in_archive() {
	apt-cache "${@:2}" search --names-only "^linux-image-$1" 2>/dev/null |
		sed -n 's/^linux-image-\([^ ]*\) .*/\1/p' | sort -V
}

# A filter: keeps the releases of series $1, flavour $2 (amd64, cloud-amd64, 686, 686-pae).
of_series() {
	local release
	while read -r release; do
		case $release in
		*[-+]rt-* | *-dbg | *-unsigned) ;;
		"$1".*-cloud-amd64) [ "$2" != cloud-amd64 ] || printf '%s\n' "$release" ;;
		"$1".*-amd64) [ "$2" != amd64 ] || printf '%s\n' "$release" ;;
		"$1".*-686-pae) [ "$2" != 686-pae ] || printf '%s\n' "$release" ;;
		"$1".*-686) [ "$2" != 686 ] || printf '%s\n' "$release" ;;
		esac
	done
}

# kernel_release NAME: the release NAME stands for, or nothing. Headers come
# first, since an image without matching headers cannot be given a module; then
# what is here, so that a good cache needs no network; then the archive.
kernel_release() {
	local series flavour=amd64 found apt=()
	case $1 in
	'')
		found=$(headers_installed | tail -n 1)
		[ -n "$found" ] || found=$(headers_present | tail -n 1)
		[ -z "$found" ] || printf '%s\n' "$found"
		return
		;;
	[0-9]*.*[-+]*-amd64 | [0-9]*.*[-+]*-686 | [0-9]*.*[-+]*-686-pae | debug | trimmed)
		printf '%s\n' "$1"
		return
		;;
	[0-9]*-cloud) series=${1%-cloud} flavour=cloud-amd64 ;;
	[0-9]*-686 | [0-9]*-686-pae) series=${1%%-*} flavour=${1#*-} ;;
	[0-9]*) series=$1 ;;
	*) return ;;
	esac
	found=$(headers_present | of_series "$series" "$flavour" | tail -n 1)
	[ -n "$found" ] || found=$(images_present | of_series "$series" "$flavour" | tail -n 1)
	case $flavour in
	686*) [ -n "$found" ] || { with_lock i386 update_i386 && apt=("${I386[@]}"); } ;;
	esac
	[ -n "$found" ] || found=$(images_in_archive "$series" "${apt[@]}" |
		of_series "$series" "$flavour" | tail -n 1)
	[ -z "$found" ] || printf '%s\n' "$found"
}

# fetch_packages DIR PACKAGE...: unpacks Debian packages below DIR; with options of apt from the
# caller's array apt.
fetch_packages() {
	local dir=$1
	shift
	have apt-get || die 1 "there is no apt-get here to fetch $* with"
	note "fetching $*"
	# The _apt user cannot write here; apt would warn of it at each download.
	if ! (cd "$dir" && apt-get -q -o APT::Sandbox::User=root "${apt[@]}" download "$@") >"$dir/log" 2>&1; then
		cat "$dir/log" >&2
		rm -rf "$dir"
		die 1 "cannot download $*: try apt-get update; what is old leaves the archive, then" \
			"upgrade linux-headers"
	fi
	find "$dir" -maxdepth 1 -name '*.deb' -exec dpkg-deb -x {} "$dir" \;
	rm -f "$dir"/*.deb "$dir/log"
	chmod 755 "$dir"
}

# fetch_image RELEASE: takes the image and its modules into the cache.
fetch_image() {
	local dir=$HULL_CACHE/kernels/$1 new apt=()
	[ ! -e "$dir/vmlinuz" ] || return 0
	case $1 in
	*-686 | *-686-pae) with_lock i386 update_i386 && apt=("${I386[@]}") ;;
	esac
	mkdir -p "${dir%/*}"
	new=$(mktemp -d "${dir%/*}/.new.XXXXXX")
	fetch_packages "$new" "linux-image-$1"
	mv "$new/boot/vmlinuz-$1" "$new/vmlinuz"
	mv "$new/boot/config-$1" "$new/config"
	rm -rf "${new:?}"/{boot,usr}
	depmod -b "$new" "$1"
	mv -T "$new" "$dir"
}

# fetch_busybox_i386: the 32-bit busybox, into the cache.
fetch_busybox_i386() {
	local dir=$HULL_CACHE/i386/busybox new apt=("${I386[@]}")
	[ ! -e "$dir/bin/busybox" ] || return 0
	with_lock i386 update_i386
	new=$(mktemp -d "$HULL_CACHE/i386/.new.XXXXXX")
	fetch_packages "$new" busybox-static
	mv -T "$new" "$dir"
}

# fetch_headers RELEASE: the same for headers, where installing them would
# install an image as well. Beside the makefile's first line their paths are
# relative.
fetch_headers() {
	local dir=$HULL_CACHE/headers/$1 new parts apt=()
	[ ! -e "$dir/build" ] || return 0
	mkdir -p "${dir%/*}"
	new=$(mktemp -d "${dir%/*}/.new.XXXXXX")
	mapfile -t parts < <(apt-cache depends "linux-headers-$1" |
		sed -n 's/^ *Depends: \(linux-headers-.*-common\|linux-kbuild-.*\)$/\1/p')
	fetch_packages "$new" "linux-headers-$1" "${parts[@]}"
	sed -i "s|^include /usr/|include $dir/usr/|" "$new/usr/src/linux-headers-$1/Makefile"
	ln -s "usr/src/linux-headers-$1" "$new/build"
	rm -rf "${new:?}"/{lib,usr/share}
	mv -T "$new" "$dir"
}

# hull_kernel NAME: sets K_RELEASE (what uname -r will say), K_IMAGE, K_MODULES
# (its lib/modules/RELEASE), K_BUILD (headers; empty: none) and K_ID, a name for
# cached files. Fetches the image if need be; a debug or trimmed kernel has to
# be built before (scripts/lab-kernel). Dies with status 1 on an unknown name.
hull_kernel() {
	hull_kernel_headers "$1"
	case $K_ID in
	debug | trimmed) return ;;
	esac
	if [ -r "/boot/vmlinuz-$K_RELEASE" ] && [ -r "/lib/modules/$K_RELEASE/modules.dep" ]; then
		K_IMAGE=/boot/vmlinuz-$K_RELEASE
		K_MODULES=/lib/modules/$K_RELEASE
	else
		with_lock "kernel-$K_RELEASE" fetch_image "$K_RELEASE"
		K_IMAGE=$HULL_CACHE/kernels/$K_RELEASE/vmlinuz
		K_MODULES=$HULL_CACHE/kernels/$K_RELEASE/lib/modules/$K_RELEASE
	fi
}

# hull_kernel_headers NAME: the same without the image, for those who only build.
# shellcheck disable=SC2034 # the callers use them
hull_kernel_headers() {
	local dir
	K_ID=$(kernel_release "$1")
	K_IMAGE='' K_MODULES='' K_BUILD=''
	case $K_ID in
	'')
		[ -z "$1" ] || die 1 "no kernel is called '$1' here or in the package archive"
		die 1 "no kernel headers are installed: run scripts/deps build"
		;;
	debug | trimmed)
		dir=$HULL_CACHE/kernels/$K_ID
		[ -r "$dir/vmlinuz" ] || die 1 "the $K_ID kernel is not built: run scripts/lab-kernel" \
			"$([ "$K_ID" = trimmed ] || echo --debug)"
		K_RELEASE=$(cat "$dir/release")
		K_IMAGE=$dir/vmlinuz
		K_MODULES=$dir/lib/modules/$K_RELEASE
		K_BUILD=$dir/build
		;;
	*)
		K_RELEASE=$K_ID
		for dir in "$HULL_CACHE/headers" /lib/modules; do
			[ ! -e "$dir/$K_RELEASE/build/Makefile" ] || K_BUILD=$dir/$K_RELEASE/build
		done
		;;
	esac
}
