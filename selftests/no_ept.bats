#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# An Intel CPU without EPT and unrestricted guests, in the lab (Bochs' Core 2): what works there, and
# what is refused with a reason that a person understands. One boot.
#
# Run: bats selftests/no_ept.bats

setup_file() {
	TOP=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	export TOP
	make -s -C "$TOP/user"
	make -s -C "$TOP/selftests/launcher"
	cat >"$BATS_FILE_TMPDIR/script" <<-'END'
		run() {
			local status=0
			echo "[$1]"
			shift
			"$@" </dev/null 2>&1 || status=$?
			echo "status $status"
		}
		guest() {
			run "$1" "$HULL_GUEST_LAUNCHER" run --kernel "$HULL_GUEST" --mem 16M --timeout 60 --append "$@"
		}
		run check "$HULL_GUEST_LAUNCHER" check
		guest off
		guest real
		run two "$HULL_GUEST_LAUNCHER" run --kernel "$HULL_GUEST" --mem 16M --timeout 60 --cpus 2
		run paging "$HULL_GUEST_LAUNCHER" run --kernel "$HULL_GUEST" --mem 16M --timeout 60 --paging nested
		rmmod hull
		run nested insmod "$HULL_MODULE" check=1 paging=nested
		run auto insmod "$HULL_MODULE" check=1 paging=auto
		dmesg | sed -n '/hull: /s/^/log: /p'
	END
	echo 0 >"$BATS_FILE_TMPDIR/status"
	HULL_GUEST_LAUNCHER=$TOP/user/hull HULL_GUEST=$TOP/selftests/build/launcher/guest.elf \
		TMPDIR=$BATS_FILE_TMPDIR "$TOP/scripts/lab" --backend vmx --cpu core2_penryn_t9600 --paging shadow \
		-- sh "$BATS_FILE_TMPDIR/script" >"$BATS_FILE_TMPDIR/stdout" 2>&1 ||
		echo $? >"$BATS_FILE_TMPDIR/status"
}

setup() {
	output=$(tr -d '\r' <"$BATS_FILE_TMPDIR/stdout")
	printf '%s\n' "$output"
}

# said NAME: what that step printed, its status last.
said() {
	sed -n "/^\[$1\]\$/,/^status /p" <<<"$output"
}

@test "no EPT: the machine can run guests, not in real mode" {
	[ "$(cat "$BATS_FILE_TMPDIR/status")" -eq 0 ]
	[[ $(said check) == *"shadow paging by default"*"can run guests"*"status 0" ]]
	[[ $(said check) != *"nested paging"* ]]
	[[ $(said check) != *"real mode"* ]]
}

@test "no EPT: a guest that starts in protected mode runs" {
	[[ $(said off) == *"started by PVH: off"*"status 0" ]]
}

@test "no EPT: a guest that goes to real mode ends, and is told why" {
	[[ $(said real) == *"refuses the vCPU's state"*"real mode needs a CPU with"*"CR0 "*"status 19" ]]
}

@test "no EPT: a second CPU is refused" {
	[[ $(said two) == *"2 CPUs: all but the first start in real mode"*"status 125" ]]
}

@test "no EPT: nested paging is refused, for a VM and for the module" {
	[[ $(said paging) == *"does not have the paging mode"*"status 125" ]]
	# By busybox: the status is the errno.
	[[ $(said nested) == *"Operation not supported"*"status 95" ]]
	[[ $output == *"log: "*"this CPU has no nested paging"* ]]
}

@test "no EPT: the module chooses shadow paging by itself" {
	[[ $(said auto) == *"status 0" ]]
	[[ $output == *"log: "*"loaded: Intel VMX, shadow paging"* ]]
}
