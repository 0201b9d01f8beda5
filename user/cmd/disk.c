// SPDX-License-Identifier: GPL-2.0
/* hull run --disk: what a disk's contents are and how the guest sees it. */
#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "machine/machine.h"
#include "virtio/blk.h"

/* From @least to @most; ends with @what, which says so. */
static unsigned int parse_number(struct argp_state *state, const char *text, unsigned long least,
				 unsigned long most, const char *what)
{
	unsigned long number;
	char *end;

	errno = 0;
	number = strtoul(text, &end, 10);
	if (errno || *text < '0' || *text > '9' || *end || number < least || number > most)
		argp_error(state, "--disk: %s must be %lu to %lu", what, least, most);
	return number;
}

/* Where /tmp often is memory, /var/tmp is not. */
static const char *temporary_directory(void)
{
	const char *directory = getenv("TMPDIR");

	return directory && *directory ? directory : "/var/tmp";
}

static void parse_word(struct argp_state *state, char *word, struct disk_config *disk)
{
	struct disk_source *source = &disk->source;

	if (!strcmp(word, "ro")) {
		source->read_only = true;
	} else if (!strncmp(word, "serial=", 7)) {
		if (!word[7] || strlen(word + 7) > DISK_SERIAL)
			argp_error(state, "--disk: a serial number has 1 to %u characters",
				   DISK_SERIAL);
		strcpy(disk->serial, word + 7);
	} else if (!strncmp(word, "queues=", 7)) {
		disk->queues = parse_number(state, word + 7, 1, BLK_QUEUES_MAX, "queues");
	} else if (!strcmp(word, "overlay")) {
		source->overlay = temporary_directory();
	} else if (!strncmp(word, "overlay=", 8)) {
		source->overlay = word + 8;
	} else if (!strncmp(word, "format=", 7)) {
		source->format = word + 7;
		if (!disk_is_format(source->format))
			argp_error(state, "--disk: %s: must be " DISK_FORMATS, word);
	} else if (!strncmp(word, "reconnect=", 10)) {
		source->reconnect = parse_number(state, word + 10, 0, DISK_RECONNECT_MAX,
						 "reconnect");
	} else {
		argp_error(state, "--disk: what is '%s'? FILE may be followed by ro, overlay, "
			   "overlay=DIR, format=F, serial=S, queues=N and reconnect=SECONDS", word);
	}
}

void parse_disk(struct argp_state *state, char *arg, struct machine_config *machine)
{
	struct disk_config *disk = &machine->disk[machine->disks];
	char *word;

	if (machine->disks == MACHINE_DISKS)
		argp_error(state, "more than %u disks", MACHINE_DISKS);
	machine->disks++;
	disk->queues = 1;
	disk->source.reconnect = DISK_RECONNECT;
	disk->source.path = strsep(&arg, ",");
	if (!*disk->source.path)
		argp_error(state, "--disk: which file?");
	while ((word = strsep(&arg, ",")))
		parse_word(state, word, disk);
	if (disk->source.overlay && disk->source.read_only)
		argp_error(state, "--disk %s: ro and overlay exclude each other",
			   disk->source.path);
	if (disk->source.format && disk_is_uri(disk->source.path))
		argp_error(state, "--disk %s: format= is of files; what a server has is raw",
			   disk->source.path);
}
