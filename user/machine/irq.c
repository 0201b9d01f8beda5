// SPDX-License-Identifier: GPL-2.0
/* A line's level reaches the interrupt controllers only when it changes. */
#include "machine/irq.h"

void irq_set(struct irq_line *line, bool level)
{
	if (line->level == level)
		return;
	line->level = level;
	if (line->set)
		line->set(line->opaque, line->gsi, level);
}
