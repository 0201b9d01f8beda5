# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154 # the variables are scripts/lab's
#
# The lab under QEMU: AMD's SVM, fast, several CPUs. L1 sees this machine's files
# by 9p, so nothing is copied. Sourced by scripts/lab, which calls in this order:
# check_emulator, prepare_boot, prepare_emulator, emulator_command.

check_emulator() {
	local version
	qemu=${HULL_LAB_QEMU:-qemu-system-x86_64}
	have "$qemu" || die 125 "$qemu is missing: run scripts/deps lab, or apt-get install qemu-system-x86"
	[ "${HULL_LAB_ANY_QEMU-}" != 1 ] || return 0
	version=$("$qemu" --version | sed -n '1s/.*version \([0-9.]*\).*/\1/p')
	case $version in
	7.2.*) ;;
	*)
		die 125 "QEMU $version will not do: 10.0 was seen not to intercept reads of CR3, which" \
			"breaks shadow paging. Install 7.2 (Debian 12: apt-get install qemu-system-x86/bookworm)," \
			"or set HULL_LAB_ANY_QEMU=1 to try"
		;;
	esac
}

# Modules L1 needs to reach its files and ports, in the order of their loading.
needed_modules() {
	modprobe -d "${K_MODULES%/lib/modules/*}/" -S "$K_RELEASE" -a --show-depends \
		virtio_pci virtio_console 9pnet_virtio 9p overlay 2>/dev/null |
		sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++'
}

build_initramfs() {
	local dir=$1.new.$$ n=100 file
	mkdir -p "$dir/root/bin" "$dir/root/modules"
	cp /bin/busybox "$dir/root/bin/busybox"
	install -m 755 "$HULL_TOP/scripts/lab-init" "$dir/root/init"
	while read -r file; do
		n=$((n + 1))
		case $file in
		*.xz) xz -dc "$file" >"$dir/root/modules/$n-$(basename "$file" .xz)" ;;
		*.zst) zstd -dcq "$file" >"$dir/root/modules/$n-$(basename "$file" .zst)" ;;
		*) cp "$file" "$dir/root/modules/$n-${file##*/}" ;;
		esac
	done < <(needed_modules)
	(cd "$dir/root" && find . | sort | cpio -o -H newc --quiet -R 0:0) >"$dir/cpio"
	mv "$dir/cpio" "$1"
	rm -rf "$dir"
}

prepare_boot() {
	boot_files vmlinux initramfs
	# The debug kernel was seen to reset when it is entered by PVH.
	if [ "$K_ID" = debug ]; then
		vmlinux=$K_IMAGE
	elif [ ! -e "$vmlinux" ]; then
		unpack_kernel "$vmlinux"
	fi
	[ -e "$initramfs" ] || build_initramfs "$initramfs"
}

# QEMU 7.2 loses changes of CPU 0's SVM state: an XRSTOR or FLDENV on any CPU
# writes the word that has them, though not the bits, without a lock. So where
# there are several CPUs, COMMAND has others.
l1_cpus() { [ "$cpus" -eq 1 ] && echo 1 || echo $((cpus + 1)); }

job_outs() {
	local i
	echo 'mount_outs() {'
	for i in "${!outs[@]}"; do
		printf '\tmkdir -p %s; mount -t 9p -o %s out%d %s || fail "cannot mount an --out directory"\n' \
			"$(quote "${outs[i]}")" trans=virtio,version=9p2000.L,msize=512000,cache=mmap \
			"$i" "$(quote "${outs[i]}")"
	done
	printf '\t:\n}\numount_outs() {\n'
	for i in "${outs[@]}"; do
		printf '\tumount %s\n' "$(quote "$i")"
	done
	printf '\t:\n}\n'
}

prepare_emulator() {
	gcc -O2 -o "$run/tsc" "$HULL_TOP/scripts/lab-tsc.c" ||
		die 125 "cannot build lab-tsc: run scripts/deps lab, or apt-get install gcc libc6-dev"
}

take_outs() { :; }

emulator_says() { cat "$run/emulator"; }

share() { # ID PATH ACCESS...
	printf '%s\0' -fsdev "local,id=$1,path=${2//,/,,},security_model=none,multidevs=remap$3" \
		-device "virtio-9p-pci,fsdev=$1,mount_tag=$1"
}

port() { # NUMBER NAME
	printf '%s\0' -chardev "file,id=$2,path=$run/$2" -device "virtserialport,chardev=$2,nr=$1,name=hull.$2"
}

emulator_command() {
	local cpu append i
	# Without what TCG lacks, which QEMU would warn of.
	cpu=EPYC,+svm,+npt,+umip,-rdseed,-sha-ni,-fxsr-opt,-misalignsse,-3dnowprefetch,-osvw
	cpu+=,-topoext,-nrip-save,-xsavec
	# Five levels of tables are the guests': a kernel that is entered by PVH stays with four.
	# Where instructions are counted, guests and KVM's have four as well.
	[ -n "$icount" ] || cpu+=,+la57
	# The TSC needs no watchdog: it is one clock for all CPUs.
	append="$common_append tsc=reliable hull.job=$run"
	[ -n "$icount" ] || append+=" tsc_early_khz=$("$run/tsc")"
	case $K_ID in
	# What ACPI says of interrupt lines takes the debug kernel minutes to
	# find out, and all devices here have MSI-X.
	debug) append+=" pci=noacpi${kmemleak:+ kmemleak=on}" ;;
	esac
	printf '%s\0' "$qemu" -nodefaults -no-user-config -display none -no-reboot -cpu "$cpu" \
		-smp "$(l1_cpus)" -m "$mem"
	if [ -n "$icount" ]; then
		printf '%s\0' -accel tcg,thread=single -icount shift=0,sleep=off -rtc clock=vm -seed 1
		append+=" nokaslr"
	else
		printf '%s\0' -accel tcg,thread=multi
	fi
	if [ -n "$debugger" ]; then
		append+=" nokaslr"
		printf '%s\0' -chardev "socket,id=debugger,path=${debugger//,/,,},server=on,wait=off" \
			-gdb chardev:debugger
	fi
	printf '%s\0' -kernel "$vmlinux" -initrd "$initramfs" -append "$append" \
		-serial "file:$run/console" -device virtio-serial-pci
	port 1 stdout
	port 2 stderr
	port 3 words
	port 4 log
	share root / ,readonly=on
	for i in "${!outs[@]}"; do
		share "out$i" "${outs[i]}" ''
	done
}
