// SPDX-License-Identifier: GPL-2.0
/* Composes the line a failing function leaves behind. No locks: a failure belongs to its caller. */
#include <stdarg.h>
#include <stdio.h>

#include "machine/failure.h"

int fail(struct failure *why, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why->text, sizeof(why->text), format, args);
	va_end(args);
	return -1;
}
