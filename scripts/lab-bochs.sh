# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154 # the variables are scripts/lab's
#
# The lab under Bochs: Intel's VMX, and AMD's SVM with what QEMU lacks (next RIP,
# flush by ASID). Slow, exact, one CPU. Sourced by scripts/lab, which calls in this
# order: check_emulator, prepare_boot, prepare_emulator, emulator_command.
#
# L1 sees no file of this machine, so all that COMMAND needs is carried, in an
# initramfs of two parts: tools and kernel modules, made once, and what belongs to
# the run. Kernel and initramfs are put into L1's memory before it starts
# (optramimage), and a ROM enters the kernel: no disk, no boot loader, no unpacking.
# COMMAND's output comes by the parallel ports, which have no baud rate, words for
# scripts/lab and the kernel log by the serial ports; --out has a disk.

# L1's clock: instructions a second. The kernel is told, for it would believe the
# frequency that the CPU model has in CPUID.
IPS=200000000
KERNEL_ADDRESS=$((0x1000000))
# Bochs gives memory to L1 in blocks of this size as they are touched.
BLOCK=$((0x20000))

check_emulator() {
	local version i
	bochs=${HULL_LAB_BOCHS:-bochs-bin}
	have "$bochs" || die 125 "$bochs is missing: run scripts/deps lab, or apt-get install bochs bochs-term"
	version=$("$bochs" --help 2>&1 | sed -n 's/.*Bochs x86 Emulator \([0-9.]*\).*/\1/p')
	[ "$version" = 2.7 ] || die 125 "Bochs ${version:-of an unknown version} will not do: its memory" \
		"may be laid out otherwise. Install 2.7 (Debian 12: apt-get install bochs bochs-term)"
	for i in gcc as ld objcopy readelf; do
		have $i || die 125 "$i is missing: run scripts/deps build lab"
	done
	case $mem in
	*G) megabytes=$((${mem%G} * 1024)) ;;
	*) megabytes=${mem%M} ;;
	esac
	[ "$megabytes" -le 2048 ] || die 2 "under Bochs L1 has at most --mem 2G"
	case $backend in
	vmx) cpu_model=${cpu_model:-corei7_skylake_x} ;;
	svm) cpu_model=${cpu_model:-trinity_apu} ;;
	esac
	"$bochs" --help cpu 2>&1 | grep -qx "$cpu_model" || die 2 "Bochs has no CPU called $cpu_model (bochs --help cpu)"
}

# ---- the initramfs ---------------------------------------------------------------

# archive DIR: a filter from names (absolute; of directories all that is in them) to
# an archive for initramfs. With them come the libraries of programs, what symbolic
# links lead to, and the directories above. DIR is for working files.
archive() {
	local dir=$1
	mkdir -p "$dir"
	# Files go in as files, even where their name is a link; directories as they are.
	xargs -d '\n' -r sh -c 'exec find -L "$@" -type f' find >"$dir/named" 2>/dev/null || :
	{
		cat "$dir/named"
		programs <"$dir/named" | xargs -d '\n' -r ldd 2>/dev/null |
			sed -n 's/^[^/]*\(\/[^ ]*\) (0x.*/\1/p'
	} | sort -u >"$dir/files"
	parents <"$dir/files" | sort -u >"$dir/above"
	# Links among them, and where they lead.
	xargs -d '\n' -r sh -c 'exec find "$@" -maxdepth 0 -type l' find <"$dir/above" >"$dir/links"
	xargs -d '\n' -r readlink -f <"$dir/links" | sort -u >"$dir/targets"
	{ parents <"$dir/targets"; cat "$dir/targets" "$dir/above"; } | awk '!seen[$0]++' >"$dir/directories"
	cd / || return
	sed 's/^.//' "$dir/directories" | cpio -o -H newc --quiet -R 0:0
	sed 's/^.//' "$dir/files" | cpio -o -L -H newc --quiet -R 0:0
}

programs() { xargs -d '\n' -r sh -c 'exec find "$@" -perm -100' find | xargs -d '\n' -r grep -laP -m1 '\A\x7fELF' || :; }

# A filter from absolute names to the directories above them, higher ones first.
parents() {
	awk -F/ '{ path = ""; for (i = 2; i < NF; i++) { path = path "/" $i; if (!seen[path]++) print path } }'
}

# The tools in L1. What is not here is an applet of busybox.
BASE="bash sh [ basename cat chgrp chmod chown cmp comm cp cut date dd df diff dirname dmesg du echo
	env expr false find getconf getopt grep head hostname id insmod install kill ldd ln ls lscpu lsmod md5sum
	mkdir mkfifo mknod mktemp modprobe mount mv nl nproc numfmt od paste pgrep pkill printf prlimit ps pwd
	readlink realpath rm rmdir rmmod sed seq setpriv setsid sha256sum sleep sort stat stdbuf stty sum
	sync tac tail taskset tee test timeout touch tr true truncate tty umount uname uniq unshare wc
	which xargs awk"

base_names() {
	local name
	for name in $BASE; do
		type -P "$name" || :
	done
	for name in /etc/ld.so.cache /etc/passwd /etc/group /etc/nsswitch.conf; do
		[ ! -e $name ] || echo $name
	done
	find "$K_MODULES" -maxdepth 1 -name 'modules.*'
	modprobe -d "${K_MODULES%/lib/modules/*}/" -S "$K_RELEASE" -a --show-depends \
		msr cpuid zram kvm_intel kvm_amd 2>/dev/null | sed -n 's/^insmod \([^ ]*\).*/\1/p' | sort -u
}

build_initramfs() {
	local dir=$1.new.$$ name
	mkdir -p "$dir/root"/{usr/bin,tmp,var/tmp,root,run,mnt}
	chmod 1777 "$dir/root/tmp" "$dir/root/var/tmp"
	install -m 755 "$HULL_TOP/scripts/lab-init" "$dir/root/init"
	gcc -O2 -static -o "$dir/root/lab-port" "$HULL_TOP/scripts/lab-port.c"
	for name in $(busybox --list); do
		ln -sf busybox "$dir/root/usr/bin/$name"
	done
	for name in $BASE; do
		rm -f "$dir/root/usr/bin/$name"
	done
	cp --remove-destination /bin/busybox "$dir/root/usr/bin"
	{
		(cd "$dir/root" && find . | sort | cpio -o -H newc --quiet -R 0:0)
		{ base_names; echo /bin/sh; echo /sbin/insmod; } | (archive "$dir/work")
	} >"$dir/cpio"
	mv "$dir/cpio" "$1"
	rm -rf "$dir"
}

# What belongs to the run: this tree's scripts, launcher and tests, the module, and
# what COMMAND names.
payload_names() {
	local word
	echo "$HULL_TOP/scripts"
	[ ! -e "$HULL_TOP/user/hull" ] || echo "$HULL_TOP/user/hull"
	find "$HULL_TOP/selftests" -name '*.o' -prune -o -path '*/build/fuzz' -prune -o \
		-path '*/build/emulate' -prune -o -path '*/build/dev' -prune -o \
		-path '*/build/irqchip' -prune -o -type f -print
	printf '%s\n' "${with[@]}" "${outs[@]}" "$module" "$run/job" "$run/stdin"
	type -P "${command[0]}" || :
	# bats is a script that runs others.
	[ "${command[0]##*/}" != bats ] || find /usr/lib/bats-core /usr/libexec/bats-core "$(type -P script)" -type f
	for word in "${command[@]}"; do
		[ ! -f "$word" ] || echo "$word"
	done
	for word in $(compgen -e HULL_); do
		[ ! -f "${!word}" ] || echo "${!word}"
	done
}

# ---- a run -----------------------------------------------------------------------

prepare_boot() {
	boot_files vmlinux kernel initramfs
	[ -e "$vmlinux" ] || unpack_kernel "$vmlinux"
	[ -e "$kernel" ] || { objcopy -O binary "$vmlinux" "$kernel.new.$$" && mv "$kernel.new.$$" "$kernel"; }
	[ -e "$initramfs" ] || build_initramfs "$initramfs"
}

# What is new in a directory of --out goes home on a disk, at the end.
job_outs() {
	local dirs=''
	[ ${#outs[@]} -eq 0 ] || dirs=$(quote "${outs[@]}")
	printf 'mount_outs() {\n\t:\n'
	# What is carried keeps its time; times have the length of a tick.
	# shellcheck disable=SC2016 # for L1's shell
	[ -z "$dirs" ] || printf '\tmkdir -p %s\n\ttouch -d "@$(($(date +%%s) - 2))" /run/before\n' "$dirs"
	printf '}\numount_outs() {\n\t:\n'
	[ -z "$dirs" ] || printf '\tfind %s ! -type d -newer /run/before | sed s,^/,, | cpio -o -H newc >/dev/sda 2>/dev/null &&\n\t\tsync || %s\n' \
		"$dirs" 'fail "cannot keep what is in the --out directories"'
	printf '}\n'
}

# 1 GiB, of which the file holds what was written.
OUT_CYLINDERS=2080

take_outs() {
	[ ${#outs[@]} -gt 0 ] && [ "$(head -c 6 "$run/disk" | tr -d '\0')" ] || return 0
	(cd / && cpio -idmu --no-absolute-filenames --quiet <"$run/disk") || note "not all of --out could be kept"
}

# Its own words about how it ended.
emulator_says() {
	grep -aE '^[0-9]+[pe]' "$run/bochs.log" | tail -n 10
}

# file_size FILE, round_up NUMBER UNIT
file_size() { stat -Lc %s "$1"; }
round_up() { echo $((($1 + $2 - 1) / $2 * $2)); }

prepare_emulator() {
	local end initrd address
	# Behind all that the kernel takes in memory, its BSS too.
	end=$(readelf -lW "$vmlinux" | awk '$1 == "LOAD" { print "echo $((" $4 " + " $6 "))" }' | sh | sort -n | tail -n 1)
	initrd=$(round_up "$end" $((0x200000)))
	cp --sparse=always "$kernel" "$run/image"
	truncate -s $((initrd - KERNEL_ADDRESS)) "$run/image"
	cat "$initramfs" >>"$run/image"
	payload_names | sed '/^$/d' | xargs -d '\n' realpath -s | (archive "$run/work") >>"$run/image"
	end=$((KERNEL_ADDRESS + $(file_size "$run/image")))
	truncate -s "%$BLOCK" "$run/image"
	[ "$end" -lt $((megabytes * 0x100000 / 2)) ] ||
		die 125 "what COMMAND needs ($((end >> 20)) MiB) does not fit into --mem $mem: at most half of it"
	build_rom "$initrd" $((end - initrd))
	[ ${#outs[@]} -eq 0 ] || truncate -s $((OUT_CYLINDERS * 16 * 63 * 512)) "$run/disk"
	bochs_options >"$run/bochsrc"
	# Bochs reads the image into its first blocks, whichever address it has, and
	# gives them to the addresses touched first. So they are touched in order.
	for ((address = KERNEL_ADDRESS; address < end; address += BLOCK)); do
		printf 'xp /1bx 0x%x\n' $address
	done >"$run/debugger"
	# A guest's triple fault stops here on its way to the host; so may 10,000 of them.
	printf 'c%.0s\n' {1..10000} >>"$run/debugger"
}

build_rom() { # INITRD SIZE
	local size=8192 entry sum append
	append="$common_append hull.job=$run tsc_early_khz=$((IPS / 1000)) tsc=reliable"
	# Bochs has no size for their compacted format, at which the kernel would give up XSAVE.
	append+=" clearcpuid=xsaves,xsavec"
	# Bytes of the console cost time.
	[ -n "$console$keep" ] || append+=" loglevel=5"
	printf %s "$append" >"$run/cmdline"
	# The note of type 18 is the address at which PVH enters.
	entry=$(readelf -nW "$vmlinux" | sed -n '/(0x00000012)/s/.*data: \(..\) \(..\) \(..\) \(..\).*/0x\4\3\2\1/p')
	[ -n "$entry" ] || die 125 "the kernel $K_ID has no PVH entry"
	as --64 --defsym SIZE=$size --defsym "ENTRY=$entry" --defsym "INITRD=$1" --defsym "INITRD_SIZE=$2" \
		--defsym MEMORY=$((megabytes * 0x100000)) -I "$run" -o "$run/rom.o" "$HULL_TOP/scripts/lab-bochs.S"
	ld -Ttext=0xd0000 --oformat binary -o "$run/rom" "$run/rom.o"
	sum=$(od -An -v -tu1 -w1 "$run/rom" | awk '{ sum += $1 } END { print (65536 - sum % 256) % 256 }')
	printf '%b' "\\x$(printf %x "$sum")" | dd of="$run/rom" bs=1 seek=$((size - 1)) conv=notrunc status=none
}

bochs_options() {
	cat <<-END
		display_library: term
		plugin_ctrl: speaker=0, gameport=0
		sound: driver=dummy
		romimage: file=/usr/share/bochs/BIOS-bochs-latest
		optromimage1: file=$run/rom, address=0xd0000
		optramimage1: file=$run/image, address=$(printf 0x%x $KERNEL_ADDRESS)
		memory: guest=$megabytes, host=$megabytes
		cpu: model=$cpu_model, count=1, ips=$IPS, reset_on_triple_fault=0, ignore_bad_msrs=1
		clock: sync=none
		com1: enabled=1, mode=file, dev=$run/console
		com2: enabled=1, mode=file, dev=$run/words
		com3: enabled=1, mode=file, dev=$run/log
		parport1: enabled=1, file=$run/stdout
		parport2: enabled=1, file=$run/stderr
		panic: action=report, cpu0=report
		error: action=report
		info: action=report
		log: $run/bochs.log
	END
	[ ${#outs[@]} -eq 0 ] ||
		echo "ata0-master: type=disk, mode=flat, path=$run/disk, cylinders=$OUT_CYLINDERS, heads=16, spt=63"
}

# Bochs draws L1's screen on a terminal of its own, which nobody reads. Where that terminal can hide
# its cursor, each blink is written, and after some kilobytes of them Bochs stands still.
emulator_command() {
	printf '%s\0' env TERM=vt100 "$bochs" -q -f "$run/bochsrc" -rc "$run/debugger"
}
