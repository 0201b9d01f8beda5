# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Completion of hull's commands and options in bash. Both are what --help lists, so it cannot
# fall behind. make install puts it where bash-completion looks.

# _hull_options COMMAND: its long options, a line each.
_hull_options() {
	"${COMP_WORDS[0]}" "$1" --help 2>/dev/null | grep -oE '^ {2,}(-., *)?--[a-z-]+' |
		grep -oE -- '--[a-z-]+'
}

_hull_commands() {
	"${COMP_WORDS[0]}" --help 2>/dev/null | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'
}

# What may follow an option, where that is no file.
_hull_values() {
	case $1 in
	--paging) echo nested shadow ;;
	--sandbox) echo on off ;;
	--boot) echo auto 64 32 pvh multiboot ;;
	--console) echo hvc ;;
	--serial | -s) echo stdio pty none ;;
	--net) echo user tap= bridge= ;;
	esac
}

_hull() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} choice=
	COMPREPLY=()
	# "=" is a word of its own to bash.
	[ "$word" != = ] || word=
	[ "$before" != = ] || before=${COMP_WORDS[COMP_CWORD - 2]}
	if [ "$COMP_CWORD" -eq 1 ] || { [ "$COMP_CWORD" -eq 2 ] && [ "$before" = help ]; }; then
		choice=$(_hull_commands)
	elif [[ $word == -* ]]; then
		choice=$(_hull_options "${COMP_WORDS[1]}")
	else
		choice=$(_hull_values "$before")
	fi
	mapfile -t COMPREPLY < <(compgen -W "$choice" -- "$word")
}

# Where there is nothing of hull's to offer, names of files.
complete -o default -F _hull hull
