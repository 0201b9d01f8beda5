// SPDX-License-Identifier: GPL-2.0
/* From a configuration to a machine that has ended: the order of things, for all commands. */
#include "cmd/cmd.h"
#include "machine/machine.h"

void free_boot_files(struct boot_config *boot)
{
	unsigned int i;

	blob_free(&boot->kernel);
	for (i = 0; i < boot->initrds; i++)
		blob_free(&boot->initrd[i]);
	for (i = 0; i < boot->modules; i++)
		blob_free(&boot->module[i].file);
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
	    machine_open_shares(machine, why) || machine_open_ports(machine, why))
		return -1;
	free_boot_files(boot);
	if (machine_open(machine, why) || machine_add_devices(machine, why) ||
	    machine_add_vcpus(machine, &entry, why))
		return -1;
	return machine_run(machine, why);
}
