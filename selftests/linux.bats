#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# Debian's kernels as guests, unmodified, from the boot loader's side to user space and off: the
# launcher runs in the lab. One boot a run, described by variables:
#
#   GUEST_KERNEL  6.1-cloud (default), 6.1, 6.12, 6.1-686, 6.1-686-pae
#   LAB_KERNEL    6.1 (default), 6.12, debug, trimmed
#   LAB_BACKEND   svm (default), vmx                     LAB_EMULATOR  qemu, bochs: as scripts/lab
#   LAB_CPU       of Bochs (default: as scripts/lab)
#   LAB_PARAMS    of hull.ko (default "check=1")
#   GUEST_APPEND  words for its command line, as no5lvl: 4 levels of tables in place of 5
#   GUEST_MEM     128M (default)                       LAB_MEM     2G (default)
#   GUEST_BOOT    64 (default), 32: the mode in which the kernel is entered
#   GUEST_FORKS   200 (default) forks and execs in it     LAB_PAGING  nested (default), shadow
#
# Run: bats selftests/linux.bats

setup_file() {
	TOP=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	export TOP
	export kernel=${GUEST_KERNEL:-6.1-cloud} mem=${GUEST_MEM:-128M} forks=${GUEST_FORKS:-200}
	export l1=${LAB_KERNEL:-6.1} l1_mem=${LAB_MEM:-2G} paging=${LAB_PAGING:-nested} limit=800
	export backend=${LAB_BACKEND:-svm}
	export emulator=${LAB_EMULATOR:-$([ "$backend" = vmx ] && echo bochs || echo qemu)}
	# Bochs has one thread, and takes a minute or two of it.
	[ "$emulator" = qemu ] || limit=1600
	local image options=()
	local lab=(--backend "$backend" --emulator "$emulator" ${LAB_CPU:+--cpu "$LAB_CPU"})
	[[ $kernel != *-686* ]] || options=(--i386)
	image=$("$TOP/scripts/kernels" --fetch "$kernel" | cut -f2)
	"$TOP/scripts/guest-initramfs" "${options[@]}" --forks "$forks" "$BATS_FILE_TMPDIR/initramfs"
	# The boot itself; the tests below look at what it left.
	echo 0 >"$BATS_FILE_TMPDIR/status"
	TMPDIR=$BATS_FILE_TMPDIR "$TOP/scripts/lab" "${lab[@]}" --kernel "$l1" \
		--paging "$paging" --mem "$l1_mem" --params "${LAB_PARAMS:-check=1}" --timeout $limit -- \
		"$TOP/user/hull" run --kernel "$image" --initrd "$BATS_FILE_TMPDIR/initramfs" --mem "$mem" \
		--boot "${GUEST_BOOT:-64}" --append "console=ttyS0 panic=-1 quiet ${GUEST_APPEND-}" --stats --timeout $((limit - 60)) \
		>"$BATS_FILE_TMPDIR/stdout" 2>"$BATS_FILE_TMPDIR/stderr" ||
		echo $? >"$BATS_FILE_TMPDIR/status"
}

# bats shows what a failed test printed.
setup() {
	cd "$BATS_FILE_TMPDIR" || return
	output=$(tr -d '\r' <stdout)
	printf '%s\n' "$output" | tail -n 60
	cat stderr
}

@test "$GUEST_KERNEL $GUEST_MEM on $LAB_KERNEL $LAB_PAGING: the guest powers off with status 0, the host reports nothing" {
	[ "$(cat status)" -eq 0 ]
}

@test "$GUEST_KERNEL $GUEST_MEM on $LAB_KERNEL $LAB_PAGING: user space says who it is and computes" {
	[[ $output == *"hull-guest: Linux ${kernel%%-*}."* ]]
	[[ $output == *"hull-guest: the primes below 2000 sum up to 277050"* ]]
	[[ $output == *"hull-guest: done"* ]]
}

@test "$GUEST_KERNEL $GUEST_MEM on $LAB_KERNEL $LAB_PAGING: $GUEST_FORKS forks and execs succeed" {
	[[ $output == *"hull-guest: $forks forks and execs"* ]]
	[[ $output != *"failed"* ]]
}

@test "$GUEST_KERNEL $GUEST_MEM on $LAB_KERNEL $LAB_PAGING: it has its memory and a paravirtual clock" {
	local have
	have=$(sed -n 's/.*hull-guest: memory \([0-9]*\) kB.*/\1/p' <<<"$output")
	case $mem in
	*G) mem=$((${mem%G} * 1024)) ;;
	*M) mem=${mem%M} ;;
	esac
	# A kernel keeps up to a tenth and its own image of about 60M for itself.
	[ "$have" -gt $(((mem * 9 / 10 - 64) * 1024)) ]
	# Linux prefers the TSC where it is invariant, as on the Intel CPU of Bochs.
	[[ $output == *"clock: kvm-clock"* ]] || [[ $emulator = bochs && $output == *"clock: tsc"* ]]
}

@test "$GUEST_KERNEL $GUEST_MEM on $LAB_KERNEL $LAB_PAGING: its tables have 5 levels, or 4 where it is told so" {
	# 32-bit kernels have other tables, the CPUs of Bochs have four levels.
	[[ $kernel != *-686* && $emulator = qemu && ${GUEST_APPEND-} != *no5lvl* ]] && levels=5 || levels=4
	[[ $output == *"levels of tables: $levels"* ]]
}

@test "$GUEST_KERNEL $GUEST_MEM on $LAB_KERNEL $LAB_PAGING: exits are counted by reason" {
	grep -E '^all exits +[1-9][0-9]*' stderr
	# Shown in the log of a run that succeeds, too.
	sed -n '/^exits /,$s/^/# /p' stderr >&3
}
