/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The subcommands, one file each, and what they share.
 */
#ifndef HULL_CMD_CMD_H
#define HULL_CMD_CMD_H

#include "exit_codes.h"

struct argp_state;
struct machine;
struct machine_config;

/* @argv: from the name on, which is "hull NAME". Return the exit status. */
int cmd_run(int argc, char **argv);
int cmd_check(int argc, char **argv);

/* ---- net.c ---------------------------------------------------------------------------------- */

/* Adds the card that --net asks for, or ends as argp_error() does. Changes @arg. */
void parse_net(struct argp_state *state, char *arg, struct machine_config *machine);

/* ---- report.c ------------------------------------------------------------------------------- */

/* Says on stderr how the machine ended, where that is not "powered off"; the exit status. */
int report_end(struct machine *machine);
/* The table of exits, on stderr. */
void report_stats(struct machine *machine);

#endif
