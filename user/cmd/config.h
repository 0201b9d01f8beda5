/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Configuration files: the options of a command as a JSON object, whose keys are their names.
 *
 *	{ "kernel": "vmlinuz", "mem": "2G", "cpus": 2, "rng": true, "disk": ["a.img", "b.img,ro"] }
 *
 * A file becomes arguments, which the command's own parser reads: so a key is checked, and may be
 * repeated, as the option is.
 */
#ifndef HULL_CMD_CONFIG_H
#define HULL_CMD_CONFIG_H

#include <argp.h>
#include <stdio.h>

#include "machine/failure.h"

/**
 * struct option_set - the options of a command
 * @options: as for argp
 * @lists: keys of those that may be repeated, 0 at the end
 * @excluded: keys of those that files do not have, 0 at the end
 */
struct option_set {
	const struct argp_option *options;
	const int *lists;
	const int *excluded;
};

/**
 * struct arguments - a growing vector of words
 * @word: NULL at the end; each from malloc()
 */
struct arguments {
	int count;
	char **word;
};

/* Appends "--@key=@value", or "--@key" without a value. Ends the program when memory is short. */
void arguments_add(struct arguments *arguments, const char *key, const char *value);
void arguments_free(struct arguments *arguments);

/*
 * Appends what the file at @path says, as "--KEY" and "--KEY=VALUE". Returns 0, or -1 with the
 * reason, which names the file and the line or the key.
 */
int config_load(const char *path, const struct option_set *set, struct arguments *arguments,
		struct failure *why);

/*
 * Prints @given, words as config_load() makes them, as a configuration file; of an option that may
 * not be repeated, the last. Returns 0, or -1 when that could not be written.
 */
int config_print(FILE *out, const struct option_set *set, const struct arguments *given);

#endif
