// SPDX-License-Identifier: GPL-2.0
/*
 * hull run: start a guest, stay with it, say how it ended.
 */
#define _GNU_SOURCE
#include <argp.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/config.h"
#include "machine/machine.h"

#define DEFAULT_MEMORY	(512 * MIB)

#define CODE_LINE(name, code, text)	"  " #code "\t" text "\n"

static const char doc[] =
	"Start a guest and stay with it until it ends."
	"\v"
	"The kernel is a Linux bzImage, an ELF file with a PVH entry note (vmlinux), or an ELF32 "
	"file with a multiboot header. SIZE is in MiB, or ends in K, M or G.\n"
	"\n"
	"On a terminal Ctrl-A X quits and Ctrl-A H lists other keys.\n"
	"\n"
	"Exit status:\n"
	HULL_RUN_CODES(CODE_LINE)
	"With --debug-exit, a guest that writes V to port 0xf4 makes it (V << 1 | 1) & 255.\n"
	"\n"
	"Examples:\n"
	"  hull run --kernel vmlinuz --initrd initrd.img --append \"console=ttyS0\"\n"
	"  hull run --kernel vmlinuz --initrd initrd.img --append root=/dev/vda --disk root.img\n"
	"  hull run --kernel vmlinuz --initrd initrd.img --disk data.img,ro,serial=data1\n"
	"  hull run --kernel vmlinuz --initrd initrd.img --disk root.qcow2,format=qcow2\n"
	"  hull run --kernel vmlinuz --initrd initrd.img --append root=/dev/vda --disk root.img,overlay\n"
	"  hull run --kernel vmlinuz --initrd initrd.img --net user,forward=8080:80\n"
	"  hull run --name web1 --kernel vmlinuz --initrd initrd.img --net bridge=br0\n"
	"  hull run --kernel vmlinuz --initrd initrd.img --share out:results\n"
	"  hull run --kernel vmlinuz --initrd initrd.img --console agent=unix:agent.socket\n"
	"  hull run --kernel vmlinux --mem 2G --cpus 2 --stats --timeout 60\n"
	"  hull run --kernel vmlinuz --initrd initrd.img --mem 4G --balloon=1G\n"
	"  hull run --kernel kernel.elf --module 'disk.img,some words' --serial out.txt\n"
	"  hull run --config machine.json --mem 4G\n";

enum {
	OPT_KERNEL = 'k',
	OPT_INITRD = 'i',
	OPT_APPEND = 'a',
	OPT_MEMORY = 'm',
	OPT_CPUS = 'c',
	OPT_TIMEOUT = 't',
	OPT_SERIAL = 's',
	OPT_STATS = 256,
	OPT_PAGING,
	OPT_DEBUG_EXIT,
	OPT_MODULE,
	OPT_BOOT,
	OPT_TRACE,
	OPT_RNG,
	OPT_DISK,
	OPT_NET,
	OPT_CONFIG,
	OPT_PRINT_CONFIG,
	OPT_SHARE,
	OPT_NAME,
	OPT_SANDBOX,
	OPT_CONSOLE,
	OPT_BALLOON,
	OPT_VSOCK,
};

static const struct argp_option options[] = {
	{ "kernel", OPT_KERNEL, "FILE", 0, "Kernel to run", 1 },
	{ "initrd", OPT_INITRD, "FILE", 0, "Initial ramdisk; several are concatenated", 1 },
	{ "append", OPT_APPEND, "STRING", 0, "Kernel command line", 1 },
	{ "module", OPT_MODULE, "FILE[,CMDLINE]", 0, "Module for a multiboot or PVH kernel", 1 },
	{ "boot", OPT_BOOT, "HOW", 0,
	  "auto (default), 64, 32 (Linux boot protocol), pvh or multiboot", 1 },
	{ "name", OPT_NAME, "NAME", 0,
	  "What the machine is known by: addresses of its network cards and its UUID come from it "
	  "(default: from the kernel's path)", 2 },
	{ "mem", OPT_MEMORY, "SIZE", 0, "Memory (default 512M)", 2 },
	{ "cpus", OPT_CPUS, "N", 0, "Number of vCPUs (default 1)", 2 },
	{ "paging", OPT_PAGING, "MODE", 0, "nested or shadow (default: as the module prefers)", 2 },
	{ "serial", OPT_SERIAL, "WHERE", 0,
	  "Serial port: stdio (default), pty, none, or a file for its output", 2 },
	{ "disk", OPT_DISK,
	  "FILE|URI[,ro][,overlay[=DIR]][,format=F][,serial=S][,queues=N][,reconnect=SECONDS]", 0,
	  "A file (raw, or in format qcow2, vmdk, vdi or vhdx), a block device or an export of an "
	  "NBD server (nbd://...) as a disk (virtio), by overlay for this run only; may be repeated",
	  2 },
	{ "net", OPT_NET,
	  "user|tap=NAME|bridge=NAME[,forward=PORT:GUESTPORT][,queues=N][,vhost=on|off][,mac=MAC]", 0,
	  "A network card (virtio): of a network without root, a tap device, or a port of a bridge; "
	  "may be repeated", 2 },
	{ "share", OPT_SHARE, "DIR:TAG[,ro]", 0,
	  "A directory for the guest to mount by TAG (9P, virtio); may be repeated", 2 },
	{ "console", OPT_CONSOLE, "hvc|NAME=unix:PATH|file:PATH|pty|fd:N", 0,
	  "A port of this name for the guest's programs (virtio), and what is at its other end; may "
	  "be repeated. hvc: the terminal is the virtio console hvc0, not the serial port", 2 },
	{ "vsock", OPT_VSOCK, "CID", 0,
	  "Sockets between programs of the guest, whose address CID is (3 or more), and the host "
	  "(AF_VSOCK, virtio)", 2 },
	{ "rng", OPT_RNG, NULL, 0, "A source of random numbers (virtio)", 2 },
	{ "balloon", OPT_BALLOON, "SIZE", OPTION_ARG_OPTIONAL,
	  "Free memory of the guest goes back to the host (virtio), with SIZE so much from the start "
	  "on", 2 },
	{ "debug-exit", OPT_DEBUG_EXIT, NULL, 0, "The guest may end itself by port 0xf4", 2 },
	{ "sandbox", OPT_SANDBOX, "WHAT", 0,
	  "on (default): the launcher gives up what it needs no more; off: it keeps it", 3 },
	{ "timeout", OPT_TIMEOUT, "SECONDS", 0, "End the guest after this time", 3 },
	{ "stats", OPT_STATS, NULL, 0,
	  "Print a table of exits at the end, and what became of a balloon", 3 },
	{ "trace-unclaimed", OPT_TRACE, NULL, 0, "Report accesses no device answers", 3 },
	{ "config", OPT_CONFIG, "FILE", 0,
	  "Options from a JSON file, with their names as keys; later ones here change them", 4 },
	{ "print-config", OPT_PRINT_CONFIG, NULL, 0,
	  "Print the options as such a file, and end", 4 },
	{ 0 }
};

static const struct option_set option_set = {
	.options = options,
	.lists = (const int[]){ OPT_INITRD, OPT_MODULE, OPT_DISK, OPT_NET, OPT_SHARE,
				OPT_CONSOLE, 0 },
	.excluded = (const int[]){ OPT_CONFIG, OPT_PRINT_CONFIG, 0 },
};

/*
 * @given: the options in their order, those of configuration files among them
 * @words: of configuration files, which options point to
 * @serial: it was said where the serial port goes
 */
struct run_options {
	struct machine_config machine;
	struct boot_config boot;
	struct arguments given, words;
	bool in_config;
	bool print_config;
	const char *kernel;
	const char *initrd[BOOT_MAX_INITRDS];
	char *module[BOOT_MAX_MODULES];
	bool serial;
	bool stats;
};

static const struct argp argp;

/* What the file says is parsed as if it stood here. */
static void parse_config(struct argp_state *state, const char *path)
{
	struct run_options *run = state->input;
	int first = run->words.count, count;
	struct failure why;
	char **argv;

	if (config_load(path, &option_set, &run->words, &why))
		argp_failure(state, EXIT_CODE_ERROR, 0, "%s", why.text);
	count = run->words.count - first;
	if (!count)
		return;
	argv = calloc(count + 2, sizeof(*argv));
	if (!argv)
		argp_failure(state, EXIT_CODE_ERROR, 0, "out of memory");
	argv[0] = state->name;
	memcpy(argv + 1, run->words.word + first, count * sizeof(*argv));
	run->in_config = true;
	argp_parse(&argp, count + 1, argv, 0, NULL, run);
	run->in_config = false;
	free(argv);
}

/* Before the option is parsed, which may cut its argument into pieces. */
static void note_given(struct run_options *run, int key, const char *arg)
{
	const struct argp_option *option;

	for (option = options; option->key; option++)
		if (option->key == key)
			arguments_add(&run->given, option->name, arg);
}

/* There is one terminal, and nobody to look after another's input. */
static void choose_serial(struct argp_state *state, struct run_options *run)
{
	struct console_config *serial = &run->machine.serial;

	if (!run->machine.hvc)
		return;
	if (!run->serial)
		serial->kind = CONSOLE_NONE;
	if (serial->kind != CONSOLE_NONE && serial->kind != CONSOLE_FILE)
		argp_error(state, "--console hvc: --serial must be none or a file then");
}

/* What is left of memory must be something. */
static void check_balloon(struct argp_state *state, const struct run_options *run)
{
	const struct machine_config *machine = &run->machine;

	if (machine->balloon_size >= machine->memory)
		argp_error(state, "--balloon=SIZE: must be less than the memory of %llu MiB (--mem)",
			   (unsigned long long)(machine->memory / MIB));
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct run_options *run = state->input;

	note_given(run, key, arg);
	switch (key) {
	case OPT_CONFIG:
		parse_config(state, arg);
		break;
	case OPT_PRINT_CONFIG:
		run->print_config = true;
		break;
	case OPT_KERNEL:
		run->kernel = arg;
		break;
	case OPT_INITRD:
		if (run->boot.initrds == BOOT_MAX_INITRDS)
			argp_error(state, "more than %u initrds", BOOT_MAX_INITRDS);
		run->initrd[run->boot.initrds++] = arg;
		break;
	case OPT_MODULE:
		if (run->boot.modules == BOOT_MAX_MODULES)
			argp_error(state, "more than %u modules", BOOT_MAX_MODULES);
		run->module[run->boot.modules++] = arg;
		break;
	case OPT_APPEND:
		run->boot.cmdline = arg;
		break;
	case OPT_BOOT:
		parse_boot(state, arg, &run->boot.protocol);
		break;
	case OPT_NAME:
		parse_name(state, arg, &run->machine.name);
		break;
	case OPT_SANDBOX:
		parse_sandbox(state, arg, &run->machine.no_sandbox);
		break;
	case OPT_MEMORY:
		parse_memory(state, arg, &run->machine.memory);
		break;
	case OPT_CPUS:
		parse_cpus(state, arg, &run->machine.cpus);
		break;
	case OPT_PAGING:
		parse_paging(state, arg, &run->machine.paging);
		break;
	case OPT_SERIAL:
		parse_serial(arg, &run->machine.serial);
		run->serial = true;
		break;
	case OPT_TIMEOUT:
		parse_timeout(state, arg, &run->machine.timeout);
		break;
	case OPT_DEBUG_EXIT:
		run->machine.debug_exit = true;
		break;
	case OPT_DISK:
		parse_disk(state, arg, &run->machine);
		break;
	case OPT_NET:
		parse_net(state, arg, &run->machine);
		break;
	case OPT_SHARE:
		parse_share(state, arg, &run->machine);
		break;
	case OPT_CONSOLE:
		parse_console(state, arg, &run->machine);
		break;
	case OPT_VSOCK:
		parse_vsock(state, arg, &run->machine.vsock);
		break;
	case OPT_RNG:
		run->machine.rng = true;
		break;
	case OPT_BALLOON:
		parse_balloon(state, arg, &run->machine);
		break;
	case OPT_STATS:
		run->stats = true;
		break;
	case OPT_TRACE:
		run->machine.trace_unclaimed = true;
		break;
	case ARGP_KEY_ARG:
		argp_error(state, "what is '%s'? The kernel's command line goes into --append",
			   arg);
		break;
	case ARGP_KEY_END:
		if (!run->kernel && !run->in_config && !run->print_config)
			argp_error(state, "which kernel? (--kernel FILE)");
		if (!run->in_config) {
			choose_serial(state, run);
			check_balloon(state, run);
		}
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp argp = { .options = options, .parser = parse, .doc = doc };

/* ---- files ---------------------------------------------------------------------------------- */

/* Now: later, a number that was not given may be a descriptor of our own. */
static int check_descriptors(const struct machine_config *machine, struct failure *why)
{
	unsigned int i;

	for (i = 0; i < machine->ports; i++)
		if (machine->port[i].kind == PORT_FD && fcntl(machine->port[i].fd, F_GETFD) < 0)
			return fail(why, "--console %s=fd:%d: there is no such file descriptor",
				    machine->port[i].name, machine->port[i].fd);
	return 0;
}

static int load_files(struct run_options *run, struct failure *why)
{
	struct boot_config *boot = &run->boot;
	unsigned int i;

	if (blob_load(&boot->kernel, run->kernel, why))
		return -1;
	for (i = 0; i < boot->initrds; i++)
		if (blob_load(&boot->initrd[i], run->initrd[i], why))
			return -1;
	for (i = 0; i < boot->modules; i++) {
		char *comma = strchr(run->module[i], ',');

		boot->module[i].cmdline = comma ? comma + 1 : "";
		if (comma)
			*comma = '\0';
		if (blob_load(&boot->module[i].file, run->module[i], why))
			return -1;
	}
	return 0;
}

static int run_guest(struct run_options *run, struct failure *why)
{
	struct machine *machine = malloc(sizeof(*machine));
	int status = EXIT_CODE_ERROR;
	char path[PATH_MAX];

	if (!machine) {
		fail(why, "out of memory");
		return status;
	}
	run->machine.balloon_stats = run->stats;
	run->machine.identity = run->machine.name;
	if (!run->machine.name)
		run->machine.identity = realpath(run->kernel, path) ? path : run->kernel;
	if (!run_machine(machine, &run->machine, &run->boot, why)) {
		status = report_end(machine);
		if (run->stats)
			report_stats(machine);
	}
	machine_destroy(machine);
	free(machine);
	return status;
}

static int print_config(const struct run_options *run)
{
	if (!config_print(stdout, &option_set, &run->given))
		return 0;
	fprintf(stderr, "hull: cannot print the options: the output is full, or one is no UTF-8\n");
	return EXIT_CODE_ERROR;
}

int cmd_run(int argc, char **argv)
{
	struct run_options run = {
		.machine = { .memory = DEFAULT_MEMORY, .cpus = 1 },
		.boot = { .cmdline = "" },
	};
	struct failure why = { "" };
	int status = EXIT_CODE_ERROR;

	argp_parse(&argp, argc, argv, 0, NULL, &run);
	if (run.print_config)
		status = print_config(&run);
	else if (!check_descriptors(&run.machine, &why) && !load_files(&run, &why))
		status = run_guest(&run, &why);
	free_boot_files(&run.boot);
	arguments_free(&run.given);
	arguments_free(&run.words);
	if (why.text[0])
		fprintf(stderr, "hull: %s\n", why.text);
	return status;
}
