# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154 # the variables are scripts/lab's
#
# What scripts/lab boots, whichever the emulator: files kept in the cache, the
# kernel out of its image. Sourced by scripts/lab, before lab-EMULATOR.sh.

# boot_files NAME...: what a boot needs beside the kernel package, made once per
# kernel and version of its sources. Sets each variable NAME to a file's name; the
# file may be there or has to be made. It appears under its name only when it is
# complete, so that two labs may do this at once.
boot_files() {
	local dir=$HULL_CACHE/lab stamp name
	mkdir -p "$dir"
	stamp=$(cat "$HULL_TOP"/scripts/lab-{init,port.c,boot.sh,"$emulator".sh} \
		<(stat -Lc '%n %s %Y' /bin/busybox "$K_IMAGE") | sha256sum | cut -c1-16)
	for name; do
		printf -v "$name" %s "$dir/$emulator-$name-$K_ID-$stamp"
		[ ! -e "${!name}" ] || continue
		# Only what is old: another lab may be about to start on what it has just made.
		find "$dir" -type f -mtime +0 -delete
	done
	for name in busybox cpio modprobe; do
		have "$name" || die 125 "$name is missing: run scripts/deps lab"
	done
}

# The image of Debian's kernel is packed by xz, which costs emulated seconds to
# unpack. So the ELF file in it is taken out once and entered by PVH.
unpack_kernel() {
	local new=$1.new.$$ start length unpack
	# The setup header: sectors of real-mode code, then payload and its length;
	# the last four bytes of the payload are the size it unpacks to, which gzip
	# has as its own.
	start=$(((1 + $(peek "$K_IMAGE" 0x1f1 1)) * 512 + $(peek "$K_IMAGE" 0x248 4)))
	length=$(peek "$K_IMAGE" 0x24c 4)
	[ "$(peek "$K_IMAGE" $start 2)" -eq $((0x8b1f)) ] || length=$((length - 4))
	tail -c +$((start + 1)) "$K_IMAGE" | head -c "$length" >"$new.payload"
	case $(peek "$new.payload" 0 4) in
	1484404733) unpack='xz -dc' ;;
	4247762216) unpack='zstd -dcq' ;;
	407642370) unpack='lz4 -dcq' ;;
	*) unpack='gzip -dcq' ;;
	esac
	if $unpack <"$new.payload" >"$new" 2>/dev/null; then
		mv "$new" "$1"
	else
		cp "$K_IMAGE" "$1"
	fi
	rm -f "$new" "$new.payload"
}

peek() { od -An -tu"$3" -j$(($2)) -N"$3" "$1" | tr -d ' '; }
