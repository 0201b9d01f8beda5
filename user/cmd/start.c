// SPDX-License-Identifier: GPL-2.0
/* From a configuration to a machine that has ended: the order of things, for all commands. */
#define _GNU_SOURCE
#include <limits.h>
#include <string.h>

#include "cmd/cmd.h"
#include "machine/machine.h"
#include "sandbox.h"

_Static_assert(SANDBOX_DIRECTORIES > MACHINE_SHARES, "each share is one");

void free_boot_files(struct boot_config *boot)
{
	unsigned int i;

	blob_free(&boot->kernel);
	for (i = 0; i < boot->initrds; i++)
		blob_free(&boot->initrd[i]);
	for (i = 0; i < boot->modules; i++)
		blob_free(&boot->module[i].file);
}

static void add_directory(struct sandbox_config *sandbox, const char *path, bool read_only)
{
	if (sandbox->directories < SANDBOX_DIRECTORIES)
		sandbox->directory[sandbox->directories++] =
			(struct sandbox_directory){ path, read_only };
}

/* What the parts of the machine go on to need. */
static int enter_sandbox(const struct machine_config *config, struct failure *why)
{
	struct sandbox_config sandbox = { .listens = config->ports, .vhost = config->vsock };
	char keys[PATH_MAX];
	unsigned int i;

	for (i = 0; i < config->shares; i++)
		add_directory(&sandbox, config->share[i].path, config->share[i].read_only);
	for (i = 0; i < config->nets; i++) {
		sandbox.sockets |= config->net[i].kind == NET_USER;
		sandbox.vhost |= config->net[i].kind != NET_USER;
	}
	for (i = 0; i < config->disks; i++) {
		if (!disk_is_uri(config->disk[i].source.path))
			continue;
		sandbox.sockets = true;
		if (!disk_uri_keys(config->disk[i].source.path, keys, sizeof(keys)))
			add_directory(&sandbox, strdupa(keys), true);
	}
	return sandbox_enter(&sandbox, why);
}

int run_machine(struct machine *machine, const struct machine_config *config,
		struct boot_config *boot, struct failure *why)
{
	struct boot_entry entry;

	boot->cpus = config->cpus;
	boot->pci = machine_has_pci(config);
	boot->name = config->name ? config->name : "";
	boot->identity = config->identity;
	/* Loaded before the module is needed: a bad kernel is reported on every machine. */
	if (machine_create(machine, config, why) ||
	    boot_load(&machine->memory, boot, &entry, why) ||
	    machine_open_disks(machine, why) || machine_open_nets(machine, why) ||
	    machine_open_shares(machine, why) || machine_open_ports(machine, why) ||
	    machine_open_vsock(machine, why))
		return -1;
	free_boot_files(boot);
	if (machine_open(machine, why) || machine_add_devices(machine, why) ||
	    machine_add_vcpus(machine, &entry, why) ||
	    broker_seal(&machine->broker, why) ||
	    (!config->no_sandbox && enter_sandbox(config, why)))
		return -1;
	return machine_run(machine, why);
}
