// SPDX-License-Identifier: GPL-2.0
/* ELF files with multiboot headers, with and without modules. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t file[5000];
	struct boot_config config = { .protocol = size & 1 ? BOOT_MULTIBOOT : BOOT_AUTO };
	unsigned int i;

	if (size & 2) {
		config.modules = BOOT_MAX_MODULES;
		for (i = 0; i < config.modules; i++)
			config.module[i] = (struct boot_module){ { "m", file, i * 150 }, "words" };
	}
	fuzz_load(&config, data, size);
	return 0;
}
