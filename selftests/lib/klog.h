/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the kernel says of itself while a test runs.
 */
#ifndef SELFTESTS_KLOG_H
#define SELFTESTS_KLOG_H

/**
 * struct klog - a place in the kernel log
 * @fd: /dev/kmsg, or -1: it cannot be read
 */
struct klog {
	int fd;
};

/* From now on. A klog_open() that failed reports nothing. */
void klog_open(struct klog *klog);

/*
 * Reports since klog_open() or the last call: lines of the check mode and the kernel's WARNINGs and
 * BUGs. They are printed. Returns how many.
 */
int klog_reports(struct klog *klog);

void klog_close(struct klog *klog);

#endif
