/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the loaders' fuzzers share: one guest memory, given back to the host after each input.
 */
#ifndef SELFTESTS_FUZZ_FUZZ_H
#define SELFTESTS_FUZZ_FUZZ_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "boot/boot.h"

#define FUZZ_MEMORY	(32 * MIB)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__asan_default_options(void);

/* Fresh pages for each allocation would take most of the time. */
const char *__asan_default_options(void)
{
	return "quarantine_size_mb=4";
}

static inline const struct guest_memory *fuzz_memory(void)
{
	static struct guest_memory memory;
	struct failure why;

	if (!memory.count) {
		if (memory_create(&memory, FUZZ_MEMORY, &why))
			abort();
		/* Huge pages would cost more to clear than all else. */
		madvise(memory.region[0].host, memory.region[0].size, MADV_NOHUGEPAGE);
	}
	madvise(memory.region[0].host, memory.region[0].size, MADV_DONTNEED);
	return &memory;
}

/* Whatever the kernel is: it loads and starts in memory, or there is a reason. */
static inline void fuzz_load(struct boot_config *config, const uint8_t *data, size_t size)
{
	const struct guest_memory *memory = fuzz_memory();
	struct failure why = { "" };
	struct boot_entry entry;

	config->kernel = (struct blob){ "kernel", data, size };
	if (!config->cmdline)
		config->cmdline = "console=ttyS0";
	config->cpus = 1;
	config->name = "";
	config->identity = "fuzz";
	if (boot_load(memory, config, &entry, &why)) {
		if (!why.text[0] || strlen(why.text) >= sizeof(why.text))
			abort();
	} else if (!entry.protocol || (entry.long_mode && !memory_at(memory, entry.rip, 1))) {
		abort();
	}
}

#endif
