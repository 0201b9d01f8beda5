// SPDX-License-Identifier: GPL-2.0
/* bzImages, by both entry points, with and without initrd. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t initrd[5000];
	struct boot_config config = { .protocol = size & 1 ? BOOT_LINUX32 : BOOT_AUTO };

	if (size & 2) {
		config.initrd[0] = (struct blob){ "initrd", initrd, sizeof(initrd) };
		config.initrds = 1;
	}
	fuzz_load(&config, data, size);
	return 0;
}
