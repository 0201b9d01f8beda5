/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The subcommands, one file each, and what they share.
 */
#ifndef HULL_CMD_CMD_H
#define HULL_CMD_CMD_H

#include <stdbool.h>
#include <stdint.h>

#include "boot/boot.h"
#include "exit_codes.h"
#include "machine/failure.h"

struct argp_state;
struct console_config;
struct machine;
struct machine_config;

/* @argv: from the name on, which is "hull NAME". Return the exit status. */
int cmd_run(int argc, char **argv);
int cmd_exec(int argc, char **argv);
int cmd_check(int argc, char **argv);

/* ---- options.c ------------------------------------------------------------------------------ */

/* Each takes the value of the option of its name, or ends as argp_error() does. */
void parse_name(struct argp_state *state, const char *arg, const char **name);
void parse_sandbox(struct argp_state *state, const char *arg, bool *off);
void parse_memory(struct argp_state *state, const char *arg, uint64_t *size);
void parse_cpus(struct argp_state *state, const char *arg, unsigned int *cpus);
void parse_timeout(struct argp_state *state, const char *arg, uint64_t *ms);
void parse_paging(struct argp_state *state, const char *arg, unsigned int *paging);
void parse_boot(struct argp_state *state, const char *arg, enum boot_protocol *protocol);
void parse_balloon(struct argp_state *state, const char *arg, struct machine_config *machine);
void parse_vsock(struct argp_state *state, const char *arg, uint32_t *cid);
void parse_serial(const char *arg, struct console_config *serial);

/* The same, of what there may be several of: adds one, and changes @arg. */
void parse_share(struct argp_state *state, char *arg, struct machine_config *machine);
void parse_console(struct argp_state *state, char *arg, struct machine_config *machine);

/* ---- disk.c --------------------------------------------------------------------------------- */

/* Adds the disk that --disk asks for, or ends as argp_error() does. Changes @arg. */
void parse_disk(struct argp_state *state, char *arg, struct machine_config *machine);

/* ---- net.c ---------------------------------------------------------------------------------- */

/* Adds the card that --net asks for, or ends as argp_error() does. Changes @arg. */
void parse_net(struct argp_state *state, char *arg, struct machine_config *machine);

/* ---- start.c -------------------------------------------------------------------------------- */

/*
 * Builds the machine that @config says, puts @boot into it, whose files are freed then, and runs it
 * until it ends. Returns 0, or -1 with the reason; machine_destroy() is the caller's in both cases.
 */
int run_machine(struct machine *machine, const struct machine_config *config,
		struct boot_config *boot, struct failure *why);
void free_boot_files(struct boot_config *boot);

/* ---- report.c ------------------------------------------------------------------------------- */

/* Says on stderr how the machine ended, where that is not "powered off"; the exit status. */
int report_end(struct machine *machine);
/* The table of exits, and what became of the balloon, on stderr. */
void report_stats(struct machine *machine);

#endif
