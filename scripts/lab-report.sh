# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# How scripts/lab judges a run: which lines of L1's kernel log are reports, and
# what exit status the traces of a run amount to. Sourced by scripts/lab; needs
# lib.sh, and emulator_says of the emulator's part.

# Oopses of all kinds end in their number, "[#1]".
REPORTS='\[#[0-9]+\]|BUG:|BUG |WARNING:|UBSAN:|ODEBUG:|KASAN:|Kernel panic|kernel BUG at'
REPORTS+='|unchecked MSR access|INFO: task .* blocked for more than|hard LOCKUP|soft lockup'
REPORTS+='|rcu: INFO:|detected stall|INFO: trying to register non-static key|INFO: possible'
REPORTS+='|refcount_t:|list_(add|del) corruption|Bad page|slab .*corrupt|kmemleak: .* new suspected'
REPORTS+='|nobody cared|Dazed and confused|scheduling while atomic|stack-protector'

# The kernel log from the moment on when the module was loaded: L1 sends it at
# its end; after a panic there is only the console.
log_since_begin() {
	sed -n '/hull-lab: begin/,$p' "$1"
}

has_report() {
	log_since_begin "$1" | grep -aqE "$REPORTS"
}

print_log() {
	note "L1's kernel log, $1:"
	tail -n 400 | sed 's/^/| /' >&2
}

# L1's kernel has reported something before the module was loaded. QEMU may go on
# executing what a kernel with several CPUs patches while it boots: an int3 that
# nobody knows any more. That says nothing of hull.
died_at_boot() {
	! grep -qx begin "$1/words" && grep -aqE "$REPORTS" "$1/console"
}

# verdict RUN STATUS LIMIT: exits with what the run amounts to. RUN is the
# directory with its traces (a file "expired": COMMAND's time was up), STATUS
# that of the emulator, or 124 from timeout(1) around it.
verdict() {
	local run=$1 words=$1/words log begun='' status
	! grep -qx begin "$words" || begun=y
	for log in "$run/log" "$run/console"; do
		if [ -n "$begun" ] && has_report "$log"; then
			log_since_begin "$log" | print_log "from loading the module on"
			die 126 "L1's kernel reports: $(log_since_begin "$log" | grep -aE "$REPORTS" | head -n 1)"
		fi
	done
	if grep -qx lockdep "$words"; then
		die 126 "lockdep turned itself off, though the log does not say why"
	fi
	status=$(sed -n 's/^exit //p' "$words")
	[ -z "$status" ] || exit "$status"

	if grep -q '^fail ' "$words"; then
		log_since_begin "$run/log" | print_log "from loading the module on"
		die 125 "$(sed -n 's/^fail //p' "$words")"
	fi
	if [ -e "$run/expired" ]; then
		die 124 "the time limit of $3 seconds has passed"
	fi
	tail -n 30 "$run/console" | print_log "its last lines"
	emulator_says >&2
	if [ -z "$begun" ]; then
		die 125 "L1 did not come up$([ "$2" -ne 124 ] || echo " in time") (the emulator's exit status: $2)"
	fi
	die 125 "L1 is gone before COMMAND ended: a reset, a triple fault, or COMMAND itself" \
		"(the emulator's exit status: $2)"
}
