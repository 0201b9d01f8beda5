// SPDX-License-Identifier: GPL-2.0
/*
 * hull: the launcher's entry. Finds the subcommand and hands over.
 */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"

#ifndef HULL_VERSION
#define HULL_VERSION "unknown"
#endif

const char *argp_program_version = "hull " HULL_VERSION;

struct command {
	const char *name;
	const char *title;	/* argv[0] of the subcommand: what its messages begin with */
	int (*run)(int argc, char **argv);
};

static const struct command commands[] = {
	{ "run", "hull run", cmd_run },
	{ "exec", "hull exec", cmd_exec },
	{ "check", "hull check", cmd_check },
};

static const char doc[] =
	"Run virtual machines with the hull kernel module."
	"\v"
	"Commands:\n"
	"  run      start a guest and stay with it until it ends\n"
	"  exec     run one program in a machine of its own, on this machine's files\n"
	"  check    say whether this machine can run guests, and why not\n"
	"  help     help about a command\n"
	"\n"
	"Examples:\n"
	"  hull check\n"
	"  hull run --kernel vmlinuz --initrd initrd.img --append console=ttyS0\n"
	"  hull exec -- java -jar app.jar\n"
	"  hull help run\n";

struct selection {
	int index;		/* in argv, of the subcommand */
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct selection *selection = state->input;

	(void)arg;
	switch (key) {
	case ARGP_KEY_ARG:
		selection->index = state->next - 1;
		state->next = state->argc;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which command?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.parser = parse, .args_doc = "COMMAND [OPTION...]", .doc = doc,
};

static const struct command *find(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static int start(const struct command *command, int argc, char **argv)
{
	argv[0] = (char *)command->title;
	return command->run(argc, argv);
}

static int help(char *name)
{
	char *ask[] = { name, (char *)"--help", NULL };
	const struct command *command = name ? find(name) : NULL;

	if (command)
		return start(command, 2, ask);
	if (name) {
		fprintf(stderr, "hull: there is no command '%s'; hull --help lists them\n", name);
		return EXIT_CODE_ERROR;
	}
	argp_help(&argp, stdout, ARGP_HELP_STD_HELP & ~ARGP_HELP_EXIT_OK, (char *)"hull");
	return 0;
}

int main(int argc, char **argv)
{
	struct selection selection = { 0 };
	const struct command *command;
	char *name;

	argp_err_exit_status = EXIT_CODE_ERROR;
	if (argc > 0)
		argv[0] = (char *)"hull";
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &selection);
	name = argv[selection.index];
	argc -= selection.index;
	argv += selection.index;
	if (!strcmp(name, "help"))
		return help(argc > 1 ? argv[1] : NULL);
	command = find(name);
	if (!command) {
		fprintf(stderr, "hull: there is no command '%s'; hull --help lists them\n", name);
		return EXIT_CODE_ERROR;
	}
	return start(command, argc, argv);
}
