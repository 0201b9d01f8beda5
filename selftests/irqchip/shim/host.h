/* SPDX-License-Identifier: GPL-2.0 */
/* What irqchip/ uses of kmod/host.h. */
#ifndef IRQCHIP_SHIM_HOST_H
#define IRQCHIP_SHIM_HOST_H

extern unsigned int hull_gpa_bits;

#endif
