// SPDX-License-Identifier: GPL-2.0
/*
 * What the kernel says of itself while a test runs. See klog.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "klog.h"

static const char *const reports[] = {
	"hull: check:", "WARNING:", "BUG:", "Oops", "general protection fault", "unchecked MSR access",
};

void klog_open(struct klog *klog)
{
	klog->fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (klog->fd >= 0)
		lseek(klog->fd, 0, SEEK_END);
}

static int is_report(const char *text)
{
	size_t i;

	for (i = 0; i < sizeof(reports) / sizeof(reports[0]); i++) {
		if (strstr(text, reports[i]))
			return 1;
	}
	return 0;
}

int klog_reports(struct klog *klog)
{
	char record[1024], *text;
	int found = 0;
	ssize_t len;

	while (klog->fd >= 0) {
		len = read(klog->fd, record, sizeof(record) - 1);
		if (len < 0 && errno == EPIPE)
			continue;	/* some were overwritten */
		if (len <= 0)
			break;
		record[len] = '\0';
		/* Level, number and time come before the text, the dictionary in lines after it. */
		text = strchr(record, ';');
		if (!text)
			continue;
		text++;
		text[strcspn(text, "\n")] = '\0';
		if (!is_report(text))
			continue;
		printf("# kernel: %s\n", text);
		found++;
	}
	return found;
}

void klog_close(struct klog *klog)
{
	if (klog->fd >= 0)
		close(klog->fd);
}
