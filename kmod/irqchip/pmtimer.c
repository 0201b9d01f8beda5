// SPDX-License-Identifier: GPL-2.0
/*
 * The ACPI power-management timer: 24 bits at 3.579545 MHz, read only, computed from the VM's
 * clock. Any context, no lock. Its overflow interrupt is not offered: kernels read the counter.
 */
#include <linux/math64.h>

#include "chip.h"

#define PM_TIMER_HZ	3579545
#define PM_TIMER_MASK	0xffffff

u32 hull_pm_timer_read(struct hull_irqchip *chip)
{
	u64 ns = hull_clock_read(&chip->clock) + READ_ONCE(chip->clock.pm_offset);

	return mul_u64_u32_div(ns, PM_TIMER_HZ, NSEC_PER_SEC) & PM_TIMER_MASK;
}
