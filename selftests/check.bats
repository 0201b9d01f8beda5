#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
#
# scripts/check as its users meet it, and what scripts/check-mutations refuses. Runs one suite, the shortest.
#
# Run: bats selftests/check.bats

setup_file() {
	TOP=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
	export TOP
}

check() {
	run "$TOP/scripts/check" "$@"
	printf '%s\n' "$output"
}

@test "each cell has selftests, a Linux guest and the launcher's tests by default" {
	local suite
	check --list
	[ "$status" -eq 0 ]
	for suite in selftests-6.1 linux-6.1 run shadow-6.1 linux-shadow run-shadow bochs-nrips linux-nrips \
		run-nrips vmx-nested linux-vmx run-vmx vmx-shadow linux-vmx-shadow run-vmx-shadow; do
		grep -qx "$suite" <<<"$output"
	done
}

@test "the long run has the suites of the default run, and more" {
	check --list
	local default=$output
	check --list --long
	[ "$status" -eq 0 ]
	[ -z "$(comm -23 <(sort <<<"$default") <(sort <<<"$output"))" ]
	[ "$(wc -l <<<"$output")" -gt "$(wc -l <<<"$default")" ]
}

@test "cells that no suite ran in are named as such" {
	check unit-ring
	[ "$status" -eq 0 ]
	[ "$(grep -c '^cell .*: did not run$' <<<"$output")" -eq 6 ]
	[[ $output =~ unit-ring\ +ok\ +[0-9]+" passed, 0 failed, 0 skipped, "[0-9]+" s (CPU "[1-9][0-9]*" s)" ]]
	[[ ${lines[-1]} =~ ^[1-9][0-9]*" passed, 0 failed, 0 skipped"$ ]]
}

@test "wrong usage is refused with status 2" {
	check no-such-suite
	[ "$status" -eq 2 ]
	check --no-such-option
	[ "$status" -eq 2 ]
	local arguments
	for arguments in "--backend other" "--backend" "NO_SUCH_DEFECT" "--backend vmx NO_REMOTE_FLUSH"; do
		# shellcheck disable=SC2086 # words
		run "$TOP/scripts/check-mutations" $arguments
		printf '%s\n' "$output"
		[ "$status" -eq 2 ]
	done
}
