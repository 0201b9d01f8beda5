/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the launcher and the init of hull exec's machine tell each other. Both are of one build, on
 * one kind of CPU: structures are as the compiler lays them out.
 *
 * The program's description comes with the initramfs, as EXEC_DESCRIPTION. All else goes by ports
 * of virtio-console, one for each standard stream and one for messages. The launcher believes
 * nothing of what it is told; init believes its launcher.
 */
#ifndef HULL_EXEC_PROTOCOL_H
#define HULL_EXEC_PROTOCOL_H

#include <stdint.h>

#define EXEC_INIT		"init"
#define EXEC_DESCRIPTION	"description"
#define EXEC_MODULE		"modules/%02u"	/* in the order in which they are loaded */

/* The root directory's tag, and those of directories that are written through. */
#define EXEC_ROOT_TAG		"root"
#define EXEC_RW_TAG		"rw%u"

/* Ports, in their order: init takes the others to be there when the last one is. */
#define EXEC_STDIN		"stdin"
#define EXEC_STDOUT		"stdout"
#define EXEC_STDERR		"stderr"
#define EXEC_CONTROL		"control"

/* ---- the description ------------------------------------------------------------------------ */

#define EXEC_MAGIC		0x6c6c7568
#define EXEC_LIMITS		16
#define EXEC_RANDOM		64

enum {
	EXEC_TERMINAL	= 1 << 0,	/* standard input and output are one */
	EXEC_JOINED	= 1 << 1,	/* standard error is the same as standard output */
	EXEC_NET	= 1 << 2,	/* there is a card on libslirp's network */
};

/**
 * struct exec_description - the program; behind it @groups numbers of 32 bits, and strings, each
 *	closed by a NUL: the directory it works in, the host's name, its arguments, its environment,
 *	and directories that are written through
 * @size: bytes in all
 * @flags: EXEC_TERMINAL and the like
 * @ignored: signals that it ignores: 1 << (number - 1)
 * @limits: resource limits by their numbers, as getrlimit() has them
 * @random: for the kernel's pool
 */
struct exec_description {
	uint32_t magic;
	uint32_t size;
	uint32_t flags;
	uint32_t uid, gid;
	uint32_t groups;
	uint32_t umask;
	uint32_t arguments, variables, writable;
	uint16_t rows, columns;
	uint32_t unused;
	uint64_t ignored;
	struct {
		uint64_t current, max;
	} limits[EXEC_LIMITS];
	uint8_t random[EXEC_RANDOM];
};

/* ---- messages ------------------------------------------------------------------------------- */

enum exec_type {
	/* To init. */
	EXEC_SIGNAL = 1,	/* value: its number; more: to the program's whole group */
	EXEC_WINDOW,		/* value: rows; more: columns */
	EXEC_TRIM,		/* the guest keeps too many files of the host's */

	/* To the launcher. All but the first one are the last. */
	EXEC_STARTED = 64,
	EXEC_EXITED,		/* value: its status */
	EXEC_KILLED,		/* value: the signal; more: there was a core dump */
	EXEC_REFUSED,		/* the program cannot be executed; value: errno */
	EXEC_FAILED,		/* there is no program; value: errno; more: enum exec_stage */
};

/* What may fail. */
enum exec_stage {
	EXEC_STAGE_PORTS,
	EXEC_STAGE_DESCRIPTION,
	EXEC_STAGE_MODULES,
	EXEC_STAGE_ROOT,
	EXEC_STAGE_OVERLAY,
	EXEC_STAGE_MOUNTS,
	EXEC_STAGE_WRITABLE,
	EXEC_STAGE_NET,
	EXEC_STAGE_USER,
	EXEC_STAGE_DIRECTORY,
	EXEC_STAGE_START,
	EXEC_STAGE_COUNT
};

/* The words behind "cannot". */
static inline const char *exec_stage_text(enum exec_stage stage)
{
	static const char *const text[EXEC_STAGE_COUNT] = {
		[EXEC_STAGE_PORTS] = "open the standard streams",
		[EXEC_STAGE_DESCRIPTION] = "understand the program's description",
		[EXEC_STAGE_MODULES] = "load the kernel's modules",
		[EXEC_STAGE_ROOT] = "mount the root directory",
		[EXEC_STAGE_OVERLAY] = "mount the overlay over it",
		[EXEC_STAGE_MOUNTS] = "mount /proc and the like",
		[EXEC_STAGE_WRITABLE] = "mount a directory of --rw",
		[EXEC_STAGE_NET] = "set up the network",
		[EXEC_STAGE_USER] = "become the user",
		[EXEC_STAGE_DIRECTORY] = "enter the current directory",
		[EXEC_STAGE_START] = "start a process",
	};

	return text[stage];
}

struct exec_message {
	uint32_t type;
	uint32_t value;
	uint32_t more;
};

#endif
