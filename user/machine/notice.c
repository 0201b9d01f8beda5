// SPDX-License-Identifier: GPL-2.0
/*
 * A terminal is in raw mode while a guest runs, so lines end with a carriage return too.
 *
 * Locks: none; stderr has its own.
 */
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "machine/notice.h"

#define PERIOD		60
#define PER_PERIOD	5

void (*notice_sink)(const char *line);

static bool allowed(struct notice *limit)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (!limit->since || (uint64_t)now.tv_sec >= limit->since + PERIOD) {
		limit->since = now.tv_sec ? now.tv_sec : 1;
		limit->said = 0;
	}
	if (limit->said < PER_PERIOD) {
		limit->said++;
		return true;
	}
	limit->left_out++;
	return false;
}

void notice(struct notice *limit, const char *format, ...)
{
	char text[512], more[64] = "";
	va_list args;

	if (!allowed(limit))
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (limit->left_out)
		snprintf(more, sizeof(more), " (%u such lines were left out)", limit->left_out);
	limit->left_out = 0;
	if (notice_sink)
		notice_sink(text);
	else
		fprintf(stderr, "hull: %s%s\r\n", text, more);
}
