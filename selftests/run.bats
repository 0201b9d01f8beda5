#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# hull run and hull check where hull.ko is loaded: each way a guest can end,
# console, terminal, signals, protocols, and Linux.
#
# Run: scripts/lab bats selftests/run.bats, or as root where the module is loaded

# shellcheck disable=SC2030,SC2031 # each test is a subshell by design

setup_file() {
	TOP=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	HULL=$TOP/user/hull
	GUEST=$TOP/selftests/build/launcher/guest.elf
	# Seconds that a guest may take on a machine that has other things to do as well.
	LIMIT=$((30 * ${HULL_TIME_SCALE:-1}))
	export TOP HULL GUEST LIMIT
	[ -c /dev/hull ] || {
		echo "hull.ko is not loaded: scripts/lab bats selftests/run.bats"
		return 1
	}
	# Under Bochs L1 has no compiler: they were built beforehand.
	! command -v make >/dev/null || {
		make -s -C "$TOP/user"
		make -s -C "$TOP/selftests/launcher"
	}
	[ -x "$HULL" ] && [ -r "$GUEST" ]
}

# guest COMMAND [OPTION...]: a run of the test guest that ends by itself, or in time.
guest() {
	local command=$1
	shift
	run timeout $((LIMIT + 30)) "$HULL" run --kernel "$GUEST" --mem 16M --timeout "$LIMIT" \
		--append "$command" "$@" </dev/null
	printf '%s\n' "$output"
}

# on_terminal COMMAND KEYS: COMMAND with a terminal of its own, KEYS typed when its guest runs.
on_terminal() {
	local screen=$BATS_TEST_TMPDIR/screen
	: >"$screen"
	# shellcheck disable=SC2016 # for that shell
	run sh -c '
		type_keys() {
			n=0
			until grep -q "guest: started" "$2" || [ $n -eq $((LIMIT * 10)) ]; do
				n=$((n + 1))
				sleep 0.1
			done
			printf "$1"
			sleep 3
		}
		{ [ -z "$2" ] && sleep 6 || type_keys "$2" "$3"; } |
			timeout $((LIMIT + 30)) script -qefc "$1" "$3"' sh "$@" "$screen"
	printf '%s\n' "$output"
}

@test "check finds a machine that can" {
	run "$HULL" check
	printf '%s\n' "$output"
	[ "$status" -eq 0 ]
	[[ $output == *"a VM was created"*"backend: "*"can run guests"* ]]
}

@test "each way to end has its exit status" {
	guest off
	[ "$status" -eq 0 ]
	[ "$output" = "guest: started by PVH: off"$'\r' ] || [ "$output" = "guest: started by PVH: off" ]
	guest reset
	[ "$status" -eq 16 ]
	[[ $output == *"reset the machine"* ]]
	guest keyboard
	[ "$status" -eq 16 ]
	guest panic
	[ "$status" -eq 17 ]
	[[ $output == *"panicked"* ]]
}

@test "a guest may go through real mode" {
	# Not on all CPUs: no_ept.bats
	guest real
	[ "$status" -eq 0 ]
}

@test "a triple fault shows reason, registers and code" {
	guest triple
	[ "$status" -eq 18 ]
	[[ $output == *"triple fault"*"RIP 0000000000100"*"CR0 00000011"*"CS   0010"*"code at RIP: 0f 0b"* ]]
}

@test "the debug exit is there only when asked for" {
	guest exit --debug-exit
	[ "$status" -eq 11 ]
	guest exit
	[ "$status" -eq 0 ]
}

@test "the time limit ends guests that halt or loop" {
	guest hang --timeout 0.5
	[ "$status" -eq 124 ]
	[[ $output == *"time limit of 0.5 seconds"*"vCPU 0: RIP 0000000000100"*"halted"* ]]
	# Nothing interrupts a guest there that is entered with IF clear, and spins.
	[ "${HULL_EMULATOR-}" != bochs/svm ] || return 0
	guest spin --timeout 0.5
	[ "$status" -eq 124 ]
	[[ $output == *"running"* ]]
}

@test "what nothing answers reads as all ones" {
	run sh -c "timeout $((LIMIT + 30)) '$HULL' run --kernel '$GUEST' --append unclaimed --timeout $LIMIT \
		--trace-unclaimed </dev/null 2>'$BATS_TEST_TMPDIR/err'"
	[ "$status" -eq 0 ]
	[[ $output == *"00000000ffffffff 00000000000000ff 00000000ffffffff"* ]]
	grep -q "unclaimed read of 4 bytes at port 0x1234" "$BATS_TEST_TMPDIR/err"
	grep -q "unclaimed write of 4 bytes at memory 0xd0000000" "$BATS_TEST_TMPDIR/err"
}

@test "PVH and multiboot hand over files and the memory map" {
	printf one >"$BATS_TEST_TMPDIR/a"
	printf two >"$BATS_TEST_TMPDIR/b"
	cd "$BATS_TEST_TMPDIR"
	guest files --initrd a --module "b,some words, and more"
	[ "$status" -eq 0 ]
	[[ $output == *"by PVH"*"module (none): one"*"module some words, and more: two"* ]]
	guest files --boot multiboot --module a --module "b,words"
	[ "$status" -eq 0 ]
	[[ $output == *"by multiboot"*"module : one"*"module words: two"* ]]
	guest map --boot multiboot
	[[ $output == *"0000000000100000 0000000000f00000 ram"* ]]
	guest map --mem 3584M
	[[ $output == *"0000000000100000 00000000bff00000 ram"*"0000000100000000 0000000020000000 ram"* ]]
}

@test "serial input comes from a pipe, all of it" {
	run sh -c "seq 1 500 | tr '\n' ' ' | sed 's/\$/./' |
		timeout $((LIMIT + 30)) '$HULL' run --kernel '$GUEST' --append echo --timeout $LIMIT"
	[ "$status" -eq 0 ]
	[[ $output == *" 1 2 3 "* || $output == *$'\n'"1 2 3 "* ]]
	[[ $output == *" 498 499 500 ."* ]]
}

@test "stdin may be closed, stdout too" {
	run sh -c "timeout $((LIMIT + 30)) '$HULL' run --kernel '$GUEST' --append off <&-"
	[ "$status" -eq 0 ]
	run sh -c "timeout $((LIMIT + 30)) '$HULL' run --kernel '$GUEST' --append off >&-"
	[ "$status" -eq 0 ]
	run bash -c "set -o pipefail; timeout $((LIMIT + 30)) '$HULL' run --kernel '$GUEST' --append map | true"
	[ "$status" -eq 0 ]
}

@test "serial output goes to a file, a pseudo-terminal or nowhere" {
	guest off --serial "$BATS_TEST_TMPDIR/out"
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	grep -q "started by PVH: off" "$BATS_TEST_TMPDIR/out"
	guest off --serial none
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	guest off --serial /no/such/directory/out
	[ "$status" -eq 125 ]
	[[ $output == *"/no/such/directory/out"* ]]
}

@test "a pseudo-terminal works both ways" {
	"$HULL" run --kernel "$GUEST" --append echo --timeout "$LIMIT" --serial pty \
		2>"$BATS_TEST_TMPDIR/err" </dev/null 3>&- &
	local pid=$! pty='' _
	for _ in $(seq 100); do
		pty=$(sed -n 's/^hull: the serial port is //p' "$BATS_TEST_TMPDIR/err")
		[ -z "$pty" ] || break
		sleep 0.1
	done
	[ -c "$pty" ]
	exec 5<>"$pty"
	cat <&5 >"$BATS_TEST_TMPDIR/out" 2>/dev/null 3>&- &
	for _ in $(seq 100); do
		! grep -q 'PVH: echo' "$BATS_TEST_TMPDIR/out" || break
		sleep 0.1
	done
	printf 'hello.' >&5
	wait $pid
	exec 5>&-
	grep -q 'hello\.' "$BATS_TEST_TMPDIR/out"
}

@test "a line without end is shown in time" {
	run sh -c "timeout -s KILL 4 '$HULL' run --kernel '$GUEST' --append half </dev/null"
	[[ $output == *"half a line"* ]]
}

@test "signals end the guest cleanly" {
	local signal
	for signal in INT TERM HUP; do
		run sh -c "timeout -s $signal 2 '$HULL' run --kernel '$GUEST' --append hang </dev/null;
			echo status \$?"
		printf '%s\n' "$output"
		[[ $output == *"ended by signal"* ]]
	done
	# timeout says 124 for what it killed; the launcher's own status:
	"$HULL" run --kernel "$GUEST" --append hang --serial none </dev/null 3>&- &
	local pid=$! status=0
	sleep 2
	kill -TERM $pid
	wait $pid || status=$?
	[ "$status" -eq 130 ]
}

@test "Ctrl-A X quits, Ctrl-A H helps" {
	on_terminal "$HULL run --kernel $GUEST --append hang --timeout $LIMIT; echo status \$?" '\001h\001x'
	[[ $output == *"Ctrl-A X"*"quit"*"ended by Ctrl-A X"*"status 130"* ]]
}

@test "keys reach the guest, Ctrl-C and Ctrl-A A among them" {
	on_terminal "$HULL run --kernel $GUEST --append echo --timeout $LIMIT; echo status \$?" 'a\003b\001ac.'
	[[ $output == *$'a\003b\001c.'* ]]
	[[ $output == *"status 0"* ]]
}

@test "the terminal is restored, however it ends" {
	local end before after
	for end in "--append off" "--append triple" "--append hang --timeout 1" \
		"--append hang & sleep 2; kill -TERM %1; fg" \
		"--append hang & sleep 2; kill -SEGV %1; fg" "--append off --serial /no/such/file"; do
		on_terminal "bash -mc 'stty -g; $HULL run --kernel $GUEST $end; stty -g'" ''
		before=$(printf '%s\n' "$output" | grep -oE '^[0-9a-f:]{50,}' | head -n 1)
		after=$(printf '%s\n' "$output" | grep -oE '[0-9a-f:]{50,}' | tail -n 1)
		[ -n "$before" ]
		[ "$before" = "$after" ]
	done
}

# rights PID: of all its threads, each different state once.
rights() {
	cat /proc/"$1"/task/*/status | awk '
		/^(CapEff|CapPrm|NoNewPrivs|Seccomp):/ { line = line " " $1 $2 }
		/^Seccomp:/ { print line; line = "" }' | sort -u
}

@test "the launcher has no rights left when the guest runs, or keeps them when told" {
	local pid sandbox
	for sandbox in on off; do
		"$HULL" run --kernel "$GUEST" --append hang --serial none --sandbox $sandbox </dev/null 3>&- &
		pid=$!
		until [ "$(find /proc/$pid/task -mindepth 1 -maxdepth 1 | wc -l)" -ge 2 ]; do sleep 0.2; done
		run rights $pid
		kill -TERM $pid
		wait $pid || :
		printf '%s\n' "$output"
		case $sandbox in
		on) [ "$output" = " CapPrm:0000000000000000 CapEff:0000000000000000 NoNewPrivs:1 Seccomp:2" ] ;;
		off) [[ $output == *"NoNewPrivs:0 Seccomp:0" && $output != *CapEff:0000000000000000* ]] ;;
		esac
	done
}

@test "--stats prints a table of exits" {
	guest off --stats
	[ "$status" -eq 0 ]
	[[ $output == *"exits"*"count"*"share"*"port"*"all exits"*"100.0%"* ]]
}

@test "the module's refusals are the launcher's errors" {
	guest off --cpus 255
	[ "$status" -eq 125 ]
	[[ $output == *"255 CPUs are too many"* ]]
}

linux() {
	local image=$1
	shift
	"$TOP/scripts/guest-initramfs" "$BATS_FILE_TMPDIR/initrd"
	run timeout 250 "$HULL" run --kernel "$image" --initrd "$BATS_FILE_TMPDIR/initrd" \
		--append "console=ttyS0 quiet" --timeout 240 "$@" </dev/null
	printf '%s\n' "$output"
	[ "$status" -eq 0 ]
	[[ $output == *"hull-guest: done"* ]]
}

cloud() {
	"$TOP/scripts/kernels" 6.1-cloud | cut -f2
}

@test "Linux boots by the 64-bit protocol in 128 MiB" {
	[ -r "$(cloud)" ] || skip "no cloud kernel in the cache: scripts/kernels --fetch 6.1-cloud"
	linux "$(cloud)" --mem 128M
	[[ $output == *"cpus 1:"* ]]
}

@test "Linux boots by the 32-bit protocol with two vCPUs" {
	[ -r "$(cloud)" ] || skip "no cloud kernel in the cache: scripts/kernels --fetch 6.1-cloud"
	linux "$(cloud)" --mem 256M --cpus 2 --boot 32
	[[ $output == *"cpus 2:"* ]]
}
