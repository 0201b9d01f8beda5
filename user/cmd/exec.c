// SPDX-License-Identifier: GPL-2.0
/*
 * hull exec: one program in a machine of its own, which has this machine's files.
 */
#define _GNU_SOURCE
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "exec/description.h"
#include "exec/initramfs.h"
#include "exec/keys.h"
#include "exec/modules.h"
#include "exec/session.h"
#include "machine/machine.h"

#define DEFAULT_MEMORY	(1 * GIB)
#define ROOT_FILES	262144		/* the guest keeps what it has looked at */
#define INSIST_NS	1000000000ULL	/* a signal, and the same once more: the machine's end */

#define CODE_LINE(name, code, text)	"  " #code "\t" text "\n"

static const char doc[] =
	"Run one program in a machine of its own: with this machine's files, which it cannot change, "
	"as this user, in this directory, on these streams."
	"\v"
	"What the program writes to files is gone at the end, but in directories given by --rw. "
	"Signals reach it; the same one twice within a second ends the machine, as does Ctrl-] three "
	"times on a terminal.\n"
	"\n"
	"Exit status: that of the program (128 + N when signal N killed it), or\n"
	HULL_EXEC_CODES(CODE_LINE)
	"\n"
	"Examples:\n"
	"  hull exec -- java -jar app.jar\n"
	"  hull exec --rw . --cpus 2 --mem 4G -- make -j2\n"
	"  hull exec --net --timeout 60 -- curl https://example.com/\n"
	"  hull exec --kernel vmlinuz --modules lib/modules/6.1.0-57-amd64 -- uname -r\n";

enum {
	OPT_KERNEL = 'k',
	OPT_MEMORY = 'm',
	OPT_CPUS = 'c',
	OPT_TIMEOUT = 't',
	OPT_VERBOSE = 'v',
	OPT_MODULES = 256,
	OPT_PAGING,
	OPT_RW,
	OPT_NET,
};

static const struct argp_option options[] = {
	{ "rw", OPT_RW, "DIR", 0, "A directory that is written through; may be repeated", 1 },
	{ "net", OPT_NET, "user[,forward=PORT:GUESTPORT][,mac=MAC]", OPTION_ARG_OPTIONAL,
	  "A network, which needs no rights; a port of it may be reached from here", 1 },
	{ "timeout", OPT_TIMEOUT, "SECONDS", 0, "End the program after this time", 1 },
	{ "mem", OPT_MEMORY, "SIZE", 0, "Memory (default 1G)", 2 },
	{ "cpus", OPT_CPUS, "N", 0, "Number of vCPUs (default 1)", 2 },
	{ "paging", OPT_PAGING, "MODE", 0, "nested or shadow (default: as the module prefers)", 2 },
	{ "kernel", OPT_KERNEL, "FILE", 0, "Kernel of the machine (default: as this one's)", 3 },
	{ "modules", OPT_MODULES, "DIR", 0, "Its modules (default: of its release, in /lib/modules)", 3 },
	{ "verbose", OPT_VERBOSE, NULL, 0, "Show the kernel's messages on stderr", 3 },
	{ 0 }
};

/**
 * struct exec - all there is
 * @kernel: path; "": the default
 * @directory: of modules; the same
 * @insist: when the last signal that ends programs came, and which it was
 */
struct exec {
	struct machine_config config;
	struct boot_config boot;
	struct exec_program program;
	struct session session;
	struct machine *machine;
	struct cpio cpio;
	char kernel[PATH_MAX];
	char directory[PATH_MAX];
	bool verbose;
	uint64_t insist;
	unsigned int insisted;
};

/* ---- options -------------------------------------------------------------------------------- */

static void parse_path(struct argp_state *state, const char *arg, char *path)
{
	if (!*arg || strlen(arg) >= PATH_MAX)
		argp_error(state, "'%s' is no path", arg);
	strcpy(path, arg);
}

static void parse_rw(struct argp_state *state, const char *arg, struct exec *exec)
{
	struct exec_description *header = &exec->program.header;
	struct stat stat;
	char *path;

	if (header->writable == EXEC_WRITABLE_MAX)
		argp_error(state, "more than %u directories of --rw", EXEC_WRITABLE_MAX);
	path = realpath(arg, NULL);
	if (!path || lstat(path, &stat))
		argp_error(state, "--rw %s: %s", arg, strerror(errno));
	if (!S_ISDIR(stat.st_mode) || !strcmp(path, "/"))
		argp_error(state, "--rw %s: must be a directory, and not /", arg);
	exec->program.writable[header->writable++] = path;
}

static void parse_network(struct argp_state *state, char *arg, struct exec *exec)
{
	static char user[] = "user";

	if (exec->config.nets)
		argp_error(state, "--net: there is one already");
	parse_net(state, arg ? arg : user, &exec->config);
	if (exec->config.net[0].kind != NET_USER)
		argp_error(state, "--net: must be user: the program knows no other network");
	exec->program.header.flags |= EXEC_NET;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct exec *exec = state->input;

	switch (key) {
	case OPT_KERNEL:
		parse_path(state, arg, exec->kernel);
		break;
	case OPT_MODULES:
		parse_path(state, arg, exec->directory);
		break;
	case OPT_MEMORY:
		parse_memory(state, arg, &exec->config.memory);
		break;
	case OPT_CPUS:
		parse_cpus(state, arg, &exec->config.cpus);
		break;
	case OPT_TIMEOUT:
		parse_timeout(state, arg, &exec->config.timeout);
		break;
	case OPT_PAGING:
		parse_paging(state, arg, &exec->config.paging);
		break;
	case OPT_RW:
		parse_rw(state, arg, exec);
		break;
	case OPT_NET:
		parse_network(state, arg, exec);
		break;
	case OPT_VERBOSE:
		exec->verbose = true;
		break;
	case ARGP_KEY_ARG:
		exec->program.arguments = state->argv + state->next - 1;
		state->next = state->argc;
		break;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which program? (hull exec -- PROGRAM ARGUMENT...)");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp argp = {
	.options = options, .parser = parse, .args_doc = "PROGRAM [ARGUMENT...]", .doc = doc,
};

/* ---- what the machine boots ----------------------------------------------------------------- */

static int load_kernel(struct exec *exec, struct failure *why)
{
	struct utsname host;
	char release[128];

	uname(&host);
	if (!*exec->kernel)
		snprintf(exec->kernel, sizeof(exec->kernel), "/boot/vmlinuz-%s", host.release);
	if (blob_load(&exec->boot.kernel, exec->kernel, why))
		return -1;
	if (*exec->directory)
		return 0;
	if (kernel_release(&exec->boot.kernel, release, sizeof(release)))
		return fail(why, "%s: it does not say its release: --modules DIR is needed",
			    exec->kernel);
	snprintf(exec->directory, sizeof(exec->directory), "/lib/modules/%s", release);
	return 0;
}

static int add_description(struct exec *exec, struct failure *why)
{
	size_t size;
	void *data = exec_describe(&exec->program, &size, why);

	if (!data)
		return -1;
	cpio_add_file(&exec->cpio, EXEC_DESCRIPTION, 0600, data, size);
	free(data);
	return 0;
}

static int build_initramfs(struct exec *exec, struct failure *why)
{
	static const char *const needed[] = {
		"virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay", NULL,
	};
	static const char *const net[] = {
		"virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay", "virtio_net",
		NULL,
	};

	initramfs_begin(&exec->cpio);
	if (initramfs_add_modules(&exec->cpio, exec->directory, exec->config.nets ? net : needed,
				  why) ||
	    add_description(exec, why))
		return -1;
	if (cpio_finish(&exec->cpio))
		return fail(why, "out of memory");
	exec->boot.initrd[0] = (struct blob){ "the initramfs", exec->cpio.data, exec->cpio.size };
	exec->boot.initrds = 1;
	exec->boot.cmdline = exec->verbose ? "console=ttyS0 panic=-1" :
					     "console=ttyS0 panic=-1 quiet";
	/* It is freed with the other files. */
	memset(&exec->cpio, 0, sizeof(exec->cpio));
	return 0;
}

/* ---- what the machine is made of ------------------------------------------------------------ */

/* The guest has looked at most of the files it may have open here. */
static void trim(void *opaque)
{
	session_send(opaque, EXEC_TRIM, 0, 0);
}

static void add_shares(struct exec *exec)
{
	struct machine_config *config = &exec->config;
	unsigned int i;

	config->share[0] = (struct share_config){
		.path = "/", .tag = EXEC_ROOT_TAG, .read_only = true, .files = ROOT_FILES,
		.many_files = trim, .opaque = &exec->session,
	};
	config->shares = 1;
	for (i = 0; i < exec->program.header.writable; i++) {
		struct share_config *share = &config->share[config->shares++];

		share->path = exec->program.writable[i];
		snprintf(share->tag, sizeof(share->tag), EXEC_RW_TAG, i);
	}
}

/* With @replace nobody else holds the stream any more: who is at its other end sees it closed. */
static struct port *open_stream(int fd, enum port_ways way, bool replace, struct failure *why)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1), null;

	if (own >= 0 && replace) {
		null = open("/dev/null", O_RDWR | O_CLOEXEC);
		dup2(null, fd);
		close(null);
	}
	return port_of_fd(own, way, why);
}

static int add_port(struct exec *exec, const char *name, struct port *port)
{
	struct port_config *config = &exec->config.port[exec->config.ports];

	if (!port)
		return -1;
	strcpy(config->name, name);
	config->kind = PORT_READY;
	config->port = port;
	exec->config.ports++;
	return 0;
}

static void on_leave(void *opaque)
{
	struct exec *exec = opaque;

	machine_end(exec->machine, END_INTERRUPTED, SIGINT, 0, NULL);
}

/* The terminal's mode is set by descriptor 0, which stays. */
static struct port *open_stdin(struct exec *exec, struct failure *why)
{
	bool terminal = exec->program.header.flags & EXEC_TERMINAL;
	struct port *port = open_stream(STDIN_FILENO, PORT_IN, !terminal, why);

	return port && terminal ? keys_port(port, on_leave, exec, why) : port;
}

/* What hull has to say goes to descriptor 2, which stays too. */
static int add_ports(struct exec *exec, struct failure *why)
{
	if (add_port(exec, EXEC_STDIN, open_stdin(exec, why)) ||
	    add_port(exec, EXEC_STDOUT, open_stream(STDOUT_FILENO, PORT_OUT, true, why)) ||
	    add_port(exec, EXEC_STDERR, open_stream(STDERR_FILENO, PORT_OUT, false, why)) ||
	    add_port(exec, EXEC_CONTROL, session_port(&exec->session, why)))
		return -1;
	session_watch(&exec->session, exec->config.port[1].port);
	session_watch(&exec->session, exec->config.port[2].port);
	return 0;
}

static void free_ports(struct exec *exec)
{
	while (exec->config.ports) {
		struct port *port = exec->config.port[--exec->config.ports].port;

		port->ops->destroy(port);
	}
}

/* ---- while it runs -------------------------------------------------------------------------- */

static void on_done(void *opaque)
{
	struct exec *exec = opaque;

	machine_end(exec->machine, END_OFF, 0, 0, NULL);
}

static void send_window(struct exec *exec)
{
	struct winsize size;

	if (exec->program.header.flags & EXEC_TERMINAL && !ioctl(STDIN_FILENO, TIOCGWINSZ, &size))
		session_send(&exec->session, EXEC_WINDOW, size.ws_row, size.ws_col);
}

static bool ends_programs(unsigned int number)
{
	return number == SIGINT || number == SIGTERM || number == SIGHUP || number == SIGQUIT;
}

static bool insists(struct exec *exec, unsigned int number)
{
	uint64_t before = exec->insist;
	struct timespec now;
	bool again = number == exec->insisted;

	clock_gettime(CLOCK_MONOTONIC, &now);
	exec->insist = now.tv_sec * NSEC_PER_SEC + now.tv_nsec;
	exec->insisted = number;
	return again && exec->insist - before < INSIST_NS;
}

/* False: it is for the launcher itself. */
static bool on_signal(void *opaque, const struct signalfd_siginfo *info)
{
	struct exec *exec = opaque;
	unsigned int number = info->ssi_signo;

	if (number == SIGTSTP)
		return false;
	if (number == SIGWINCH) {
		send_window(exec);
		return true;
	}
	if (ends_programs(number) && (session_state(&exec->session) != SESSION_RUNNING ||
				      insists(exec, number)))
		return false;
	/* Those of a terminal's keys are for all that it has in the foreground. */
	session_send(&exec->session, EXEC_SIGNAL, number, info->ssi_code == SI_KERNEL);
	return true;
}

/* ---- how it ended --------------------------------------------------------------------------- */

static int program_status(const struct exec *exec)
{
	const struct exec_message *last = &exec->session.last;

	switch (last->type) {
	case EXEC_EXITED:
		return last->value;
	case EXEC_KILLED:
		return 128 + last->value;
	case EXEC_REFUSED:
		fprintf(stderr, "hull: %s: %s\n", exec->program.arguments[0],
			strerror(last->value));
		return last->value == ENOENT ? EXIT_CODE_NOT_FOUND : EXIT_CODE_NOT_EXECUTABLE;
	default:
		fprintf(stderr, "hull: the machine cannot %s: %s\n", exec_stage_text(last->more),
			strerror(last->value));
		return EXIT_CODE_ERROR;
	}
}

static int guest_died(const struct exec *exec, const char *what)
{
	static char tail[CONSOLE_TAIL + 1];

	console_tail(&exec->machine->console, tail);
	if (*tail)
		fprintf(stderr, "%s%s", tail, tail[strlen(tail) - 1] == '\n' ? "" : "\n");
	fprintf(stderr, "hull: the guest %s before the program had ended\n", what);
	return EXIT_CODE_GUEST_DIED;
}

static int exec_status(struct exec *exec)
{
	const struct machine_end *end = &exec->machine->end;

	if (session_state(&exec->session) == SESSION_ENDED && end->kind == END_OFF)
		return program_status(exec);
	switch (end->kind) {
	case END_OFF:
		return guest_died(exec, "was powered off");
	case END_RESET:
		return guest_died(exec, "panicked, or was reset,");
	case END_PANIC:
		return guest_died(exec, "panicked");
	case END_INTERRUPTED:
		return 128 + end->value;
	case END_MODULE:
		report_end(exec->machine);
		return EXIT_CODE_GUEST_DIED;
	default:
		return report_end(exec->machine);
	}
}

static int run(struct exec *exec, struct failure *why)
{
	struct machine_config *config = &exec->config;
	int status = EXIT_CODE_ERROR, ret;

	config->identity = exec->kernel;
	config->serial.kind = exec->verbose ? CONSOLE_STDERR : CONSOLE_KEEP;
	config->signal = on_signal;
	config->signal_opaque = exec;
	if (exec->program.header.flags & EXEC_TERMINAL)
		terminal_raw();
	ret = run_machine(exec->machine, config, &exec->boot, why);
	/* Its ports are the machine's by now, or were not taken over. */
	if (!ret)
		status = exec_status(exec);
	machine_destroy(exec->machine);
	return status;
}

/* A stream that is closed would be a descriptor of ours soon. */
static void open_streams(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int cmd_exec(int argc, char **argv)
{
	struct failure why = { "" };
	int status = EXIT_CODE_ERROR;
	struct exec *exec = calloc(1, sizeof(*exec));

	if (exec)
		exec->machine = calloc(1, sizeof(*exec->machine));
	if (!exec || !exec->machine) {
		fprintf(stderr, "hull: out of memory\n");
		free(exec);
		return status;
	}
	exec->config.memory = DEFAULT_MEMORY;
	exec->config.cpus = 1;
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, exec);
	open_streams();
	session_init(&exec->session, on_done, exec);
	if (!exec_take_over(&exec->program, &why) && !load_kernel(exec, &why) &&
	    !build_initramfs(exec, &why)) {
		add_shares(exec);
		if (!add_ports(exec, &why))
			status = run(exec, &why);
		else
			free_ports(exec);
	}
	free_boot_files(&exec->boot);
	free(exec->cpio.data);
	exec_forget(&exec->program);
	if (why.text[0])
		fprintf(stderr, "hull: %s\n", why.text);
	free(exec->machine);
	free(exec);
	return status;
}
