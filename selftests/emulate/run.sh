#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Runs the emulator's test programs and fuzzers as one KTAP document; the
# programs' own lines are indented as subtests. Exits 1 when one failed.
#
# usage: run.sh DIRECTORY FUZZ_SECONDS FUZZ_SEED TESTS FUZZERS

dir=$1
seconds=$2
seed=$3
tests=$4
fuzzers=$5

failed=0
number=0

# result STATUS NAME [SKIPPED]: SKIPPED is the directive of a program that skipped all it has.
result() {
	number=$((number + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $number $2${3:+ $3}"
	else
		echo "not ok $number $2"
		failed=1
	fi
}

# shellcheck disable=SC2086 # the lists are meant to be split
set -- $tests $fuzzers
echo "KTAP version 1"
echo "1..$#"

for name in $tests; do
	"$dir/$name" > "$dir/$name.log" 2>&1
	status=$?
	sed 's/^/  /' "$dir/$name.log"
	skipped=
	grep -q '^ok [^#]*$' "$dir/$name.log" || skipped=$(sed -n 's/^ok .*\(# SKIP .*\)/\1/p' "$dir/$name.log")
	result $status "emulate: $name" "$skipped"
done

for name in $fuzzers; do
	"$dir/$name" -seed="$seed" -max_total_time="$seconds" -max_len=300 -print_final_stats=1 \
		-artifact_prefix="$dir/$name." > "$dir/$name.log" 2>&1
	status=$?
	if [ $status -ne 0 ]; then
		sed 's/^/  # /' "$dir/$name.log"
	else
		grep -E 'number_of_executed_units|Done' "$dir/$name.log" | sed 's/^/  # /'
	fi
	result $status "emulate: $name (seed $seed, $seconds s)"
done

exit $failed
