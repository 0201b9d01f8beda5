/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The interface of /dev/hull: objects, ioctls and register state.
 *
 * Objects are file descriptors: /dev/hull makes VMs, a VM makes vCPUs and consumers. The ring
 * shared by the module and consumers is in hull_ring.h.
 *
 * Rules that hold for every structure here: fixed-width types, natural alignment, explicit padding
 * that must be zero, addresses of user memory as __u64. A structure never changes its meaning: what
 * is new gets a capability bit.
 */
#ifndef _UAPI_HULL_H
#define _UAPI_HULL_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define HULL_IOC	0xC5

/* ---- /dev/hull ---------------------------------------------------------------------------- */

/* struct hull_info.capabilities */
#define HULL_CAP_NESTED_PAGING		(1ULL << 0)
#define HULL_CAP_SHADOW_PAGING		(1ULL << 1)
#define HULL_CAP_IRQCHIP		(1ULL << 2)	/* APIC, IOAPIC and PICs in the module */
#define HULL_CAP_PIT			(1ULL << 3)
#define HULL_CAP_PM_TIMER		(1ULL << 4)
#define HULL_CAP_PV_CLOCK		(1ULL << 5)	/* KVM's paravirtual clock */
#define HULL_CAP_POSTED			(1ULL << 6)
#define HULL_CAP_DOORBELL		(1ULL << 7)
#define HULL_CAP_CONSUMER		(1ULL << 8)	/* consumers in threads and processes */
#define HULL_CAP_READONLY_MEMORY	(1ULL << 9)
#define HULL_CAP_DIRTY_LOG		(1ULL << 10)
#define HULL_CAP_CHECK_MODE		(1ULL << 11)	/* the oracle is on */
#define HULL_CAP_ROUTES			(1ULL << 12)	/* HULL_SET_ROUTES, HULL_VM_GROUP_LINES */
#define HULL_CAP_IRQFD			(1ULL << 13)
#define HULL_CAP_REAL_MODE		(1ULL << 14)	/* where SIPI starts vCPUs */

#define HULL_BACKEND_SVM	1
#define HULL_BACKEND_VMX	2

#define HULL_PAGING_AUTO	0
#define HULL_PAGING_NESTED	1
#define HULL_PAGING_SHADOW	2

/**
 * struct hull_info - what this module on this machine offers (HULL_GET_INFO)
 * @capabilities: HULL_CAP_* bits
 * @backend: HULL_BACKEND_SVM or HULL_BACKEND_VMX
 * @paging: the HULL_PAGING_* mode that HULL_PAGING_AUTO gives
 * @max_vcpus: vCPUs per VM; vCPU ids are below this
 * @max_regions: entries of a memory table
 * @max_ranges: ranges per VM
 * @channel_size: bytes of one channel in the mapping of a vCPU or consumer fd
 * @tsc_khz: rate of the guest's time-stamp counter
 * @gpa_bits: width of a guest-physical address
 * @xcr0: XSAVE components a guest may enable
 * @xsave_size: bytes of struct hull_fpu.data in use
 * @max_routes: numbers of interrupts (gsi) that routes can have are below this
 * @max_irqfds: irqfds per VM
 * @reserved: zero
 */
struct hull_info {
	__u64 capabilities;
	__u32 backend;
	__u32 paging;
	__u32 max_vcpus;
	__u32 max_regions;
	__u32 max_ranges;
	__u32 channel_size;
	__u32 tsc_khz;
	__u32 gpa_bits;
	__u64 xcr0;
	__u32 xsave_size;
	__u32 max_routes;
	__u32 max_irqfds;
	__u32 reserved[5];
};

#define HULL_VM_IRQCHIP		(1U << 0)	/* APICs, IOAPIC, PICs (needed for PIT) */
#define HULL_VM_PIT		(1U << 1)	/* 8254 at 0x40-0x43, speaker port 0x61 */
#define HULL_VM_FLAGS		(HULL_VM_IRQCHIP | HULL_VM_PIT)

/**
 * struct hull_create_vm - argument of HULL_CREATE_VM, which returns a VM fd
 * @flags: HULL_VM_*
 * @paging: HULL_PAGING_*
 * @pm_timer_port: port of the ACPI PM timer kept by the module, 0: none
 * @reserved: zero
 */
struct hull_create_vm {
	__u32 flags;
	__u32 paging;
	__u32 pm_timer_port;
	__u32 reserved[5];
};

/**
 * struct hull_cpuid_entry - one CPUID leaf as the guest sees it
 * @leaf: EAX of the guest's CPUID
 * @subleaf: ECX of it; used only with HULL_CPUID_SUBLEAF
 * @flags: HULL_CPUID_SUBLEAF: the leaf depends on ECX
 * @eax: result
 * @ebx: result
 * @ecx: result
 * @edx: result
 * @reserved: zero
 */
struct hull_cpuid_entry {
	__u32 leaf;
	__u32 subleaf;
	__u32 flags;
	__u32 eax;
	__u32 ebx;
	__u32 ecx;
	__u32 edx;
	__u32 reserved;
};

#define HULL_CPUID_SUBLEAF	(1U << 0)
#define HULL_MAX_CPUID		128

/**
 * struct hull_cpuid - argument of HULL_GET_SUPPORTED_CPUID and HULL_SET_CPUID
 * @count: in: entries at @entries; out (get): entries filled; E2BIG when too few
 * @reserved: zero
 * @entries: address of struct hull_cpuid_entry[]
 */
struct hull_cpuid {
	__u32 count;
	__u32 reserved;
	__u64 entries;
};

#define HULL_GET_INFO			_IOR(HULL_IOC, 0x00, struct hull_info)
#define HULL_CREATE_VM			_IOW(HULL_IOC, 0x01, struct hull_create_vm)
#define HULL_GET_SUPPORTED_CPUID	_IOWR(HULL_IOC, 0x02, struct hull_cpuid)

/* ---- VM fd -------------------------------------------------------------------------------- */

#define HULL_REGION_READONLY	(1U << 0)	/* guest writes are delivered as memory accesses */
#define HULL_REGION_LOG_DIRTY	(1U << 1)
#define HULL_REGION_FLAGS	(HULL_REGION_READONLY | HULL_REGION_LOG_DIRTY)
#define HULL_MAX_REGIONS	64

/**
 * struct hull_region - guest memory backed by memory of the VM's creator
 * @gpa: guest-physical address, bytes, page aligned
 * @size: bytes, page aligned, not zero
 * @hva: address in the creator's address space, page aligned
 * @flags: HULL_REGION_*
 * @reserved: zero
 */
struct hull_region {
	__u64 gpa;
	__u64 size;
	__u64 hva;
	__u32 flags;
	__u32 reserved;
};

/**
 * struct hull_memory - the whole memory table of a VM (HULL_SET_MEMORY)
 * @count: entries at @regions, at most HULL_MAX_REGIONS
 * @reserved: zero
 * @regions: address of struct hull_region[]
 *
 * Replaces the table atomically: an exit sees the old or the new one. A region that is in both
 * tables, unchanged but for its flags, keeps its pages and its dirty log.
 */
struct hull_memory {
	__u32 count;
	__u32 reserved;
	__u64 regions;
};

#define HULL_DIRTY_CLEAR	(1U << 0)	/* clear what is returned and protect it again */

/**
 * struct hull_dirty - pages written since they were last cleared (HULL_GET_DIRTY)
 * @gpa: first guest-physical address, the start of a region with HULL_REGION_LOG_DIRTY
 * @size: bytes: that region's size
 * @bitmap: address of one bit a page, lowest first, rounded up to 8 bytes
 * @flags: HULL_DIRTY_*
 * @reserved: zero
 */
struct hull_dirty {
	__u64 gpa;
	__u64 size;
	__u64 bitmap;
	__u32 flags;
	__u32 reserved;
};

/**
 * struct hull_create_vcpu - argument of HULL_CREATE_VCPU, which returns a vCPU fd
 * @id: vCPU number and APIC id, below hull_info.max_vcpus
 * @reserved: zero
 */
struct hull_create_vcpu {
	__u32 id;
	__u32 reserved[3];
};

#define HULL_SPACE_PORT		0
#define HULL_SPACE_MEMORY	1
#define HULL_SPACE_HYPERCALL	2	/* address: the number in RAX */

#define HULL_DELIVER_SYNC	0	/* the vCPU waits for the answer */
#define HULL_DELIVER_POSTED	1	/* writes are queued, reads are synchronous */
#define HULL_DELIVER_DOORBELL	2	/* a matching write signals an eventfd and is gone */

#define HULL_RANGE_MATCH_VALUE	(1U << 0)	/* doorbell: only this value */

#define HULL_MAX_RANGES		256

/**
 * struct hull_range - who gets accesses to an address range (HULL_ADD_RANGE, HULL_REMOVE_RANGE)
 * @space: HULL_SPACE_*
 * @delivery: HULL_DELIVER_*
 * @start: first address
 * @length: bytes (numbers, for hypercalls)
 * @consumer: consumer fd, or -1: the vCPU's own thread, when HULL_RUN returns
 * @eventfd: doorbell: signalled by each matching write; else -1
 * @flags: HULL_RANGE_*
 * @size: doorbell: access size in bytes that matches, 0: any
 * @value: with HULL_RANGE_MATCH_VALUE: the value
 * @reserved: zero
 *
 * A range claims accesses that lie in it with all their bytes. What no range claims is synchronous,
 * by the vCPU's own thread. Ranges other than doorbells must not overlap. A doorbell may lie inside
 * another range and goes first; doorbells that overlap have equal @start, @length and @size and
 * different values. Hypercalls are synchronous only. String writes (REP OUTS) to a posted range are
 * synchronous. HULL_REMOVE_RANGE takes the same structure and removes the range that is equal in
 * all fields (consumer and eventfd by identity); once it returned the range has no more effect.
 */
struct hull_range {
	__u32 space;
	__u32 delivery;
	__u64 start;
	__u64 length;
	__s32 consumer;
	__s32 eventfd;
	__u32 flags;
	__u32 size;
	__u64 value;
	__u64 reserved;
};

/**
 * struct hull_attach - a successor for a dead consumer (HULL_ATTACH_CONSUMER)
 * @space: HULL_SPACE_*
 * @reserved: zero
 * @address: in a range of the dead consumer
 *
 * A consumer dies with the last fd and mapping of it; its ranges stay. Returns a new consumer fd
 * for the same channels: requests that are still pending there and posted writes not consumed are
 * the successor's. EBUSY while the consumer lives.
 */
struct hull_attach {
	__u32 space;
	__u32 reserved;
	__u64 address;
};

/**
 * struct hull_irq - level of an interrupt line (HULL_SET_IRQ)
 * @gsi: line: IOAPIC pin; 0 to 15 also go to the PICs (line 0 of the PIC is pin 2)
 * @level: 0 or 1
 *
 * A line is up while the launcher says so here, or an irqfd with resample holds it.
 */
struct hull_irq {
	__u32 gsi;
	__u32 level;
};

/**
 * struct hull_msi - one message-signalled interrupt (HULL_SEND_MSI)
 * @address: as in the device's register
 * @data: as in the device's register
 * @reserved: zero
 */
struct hull_msi {
	__u64 address;
	__u32 data;
	__u32 reserved;
};

#define HULL_MAX_ROUTES		1024

#define HULL_ROUTE_PIN		1	/* the line of this number, as HULL_SET_IRQ has it */
#define HULL_ROUTE_MSI		2	/* a message, as HULL_SEND_MSI sends it */

/**
 * struct hull_route - what becomes of an interrupt of this number
 * @gsi: number, below HULL_MAX_ROUTES
 * @kind: HULL_ROUTE_*
 * @pin: with HULL_ROUTE_PIN: the line, below HULL_IOAPIC_PINS; else zero
 * @data: with HULL_ROUTE_MSI: as in the device's register; else zero
 * @address: with HULL_ROUTE_MSI: as in the device's register; else zero
 * @flags: zero
 * @reserved: zero
 */
struct hull_route {
	__u32 gsi;
	__u32 kind;
	__u32 pin;
	__u32 data;
	__u64 address;
	__u32 flags;
	__u32 reserved;
};

/**
 * struct hull_routes - the whole table of routes of a VM (HULL_SET_ROUTES)
 * @count: entries at @routes, at most HULL_MAX_ROUTES
 * @reserved: zero
 * @routes: address of struct hull_route[], in any order, no two of one gsi
 *
 * Replaces the table atomically: an interrupt takes the old route or the new one, and after the
 * ioctl has returned the new one. At first number n is pin n, for all pins. Routes are for irqfds;
 * HULL_SET_IRQ and HULL_SEND_MSI say themselves where an interrupt goes.
 *
 * An irqfd whose gsi has no route leaves its eventfd alone: what is signalled stays in the count of
 * the eventfd (poll() tells), and is delivered, as one interrupt, when there is a route again. So a
 * launcher masks a vector. Where an irqfd with resample loses its pin, that line is let go if
 * nobody else can hold it, and the resample eventfd is signalled.
 */
struct hull_routes {
	__u32 count;
	__u32 reserved;
	__u64 routes;
};

#define HULL_MAX_IRQFDS		1024

/**
 * struct hull_irqfd - an eventfd that interrupts (HULL_ADD_IRQFD, HULL_REMOVE_IRQFD)
 * @gsi: number of the interrupt, below HULL_MAX_ROUTES; it need not have a route yet
 * @eventfd: each signal of it is one interrupt, and is consumed; what was signalled before the
 *           irqfd is added is one as well
 * @resample: -1: an edge: a message, or a line that goes up and down at once. Else another eventfd:
 *            a level: the signal raises the line; when the guest has acknowledged the interrupt
 *            (EOI), the line is let go and this eventfd signalled: a device that still wants
 *            service signals again. With a route that is a message it is an edge and this one idle
 * @flags: zero
 * @reserved: zero
 *
 * Irqfds with resample whose routes lead to one pin share its line: it is up while one of them
 * holds it, an EOI lets go for all, and all their resample eventfds are signalled. An eventfd is in
 * one irqfd of a VM at most; a resample eventfd may be in several.
 *
 * The irqfd refers to the eventfd and does not keep it open: when the last fd of it is closed the
 * irqfd is gone, before close() returns. HULL_REMOVE_IRQFD takes the same structure (eventfds by
 * identity); once it returned the eventfd interrupts no more, keeps its count, and the resample
 * eventfd is not signalled any more. With the last irqfd that could hold a line that line falls.
 */
struct hull_irqfd {
	__u32 gsi;
	__s32 eventfd;
	__s32 resample;
	__u32 flags;
	__u64 reserved;
};

/**
 * struct hull_pic - one 8259A
 */
struct hull_pic {
	__u8 irr, isr, imr, elcr;
	__u8 irq_base, read_isr, poll, special_mask;
	__u8 init_state, auto_eoi, rotate_on_auto_eoi, special_fully_nested;
	__u8 init4, last_irr, priority_add, level_lines;
};

#define HULL_IOAPIC_PINS	24

/**
 * struct hull_ioapic - the IOAPIC
 * @id: its id register
 * @select: register select
 * @irr: level-triggered interrupts sent and not yet acknowledged, and edges not yet sent
 * @lines: current level of the pins
 * @redirection: redirection table
 */
struct hull_ioapic {
	__u32 id;
	__u32 select;
	__u32 irr;
	__u32 lines;
	__u64 redirection[HULL_IOAPIC_PINS];
};

/**
 * struct hull_pit_channel - one counter of the 8254
 */
struct hull_pit_channel {
	__u32 count;			/* reload value, 0 meaning 65536 is stored as 65536 */
	__u16 latched_count;
	__u8 count_latched, status_latched;
	__u8 status, read_state, write_state, write_latch;
	__u8 rw_mode, mode, bcd, gate;
	__u64 elapsed;			/* ns since the count was loaded */
};

struct hull_pit {
	struct hull_pit_channel channel[3];
	__u32 speaker;			/* bits of port 0x61 that can be written */
	__u32 reserved;
};

/**
 * struct hull_clock - the VM's clock
 * @ns: paravirtual clock of the guest, ns
 * @pm_timer: ns since the PM timer was zero
 */
struct hull_clock {
	__u64 ns;
	__u64 pm_timer;
};

/**
 * struct hull_lines - who holds the lines up, a bit for each pin
 * @launcher: HULL_SET_IRQ, and the PIT
 * @irqfds: irqfds with resample
 *
 * Set after PICs and IOAPIC, which then hear of what is another level than theirs. Where only the
 * IOAPIC is set, its lines that are up are the launcher's.
 */
struct hull_lines {
	__u32 launcher;
	__u32 irqfds;
};

#define HULL_VM_GROUP_PIC	(1ULL << 0)
#define HULL_VM_GROUP_IOAPIC	(1ULL << 1)
#define HULL_VM_GROUP_PIT	(1ULL << 2)
#define HULL_VM_GROUP_CLOCK	(1ULL << 3)
#define HULL_VM_GROUP_LINES	(1ULL << 4)
#define HULL_VM_GROUPS		0x1fULL

/* @lines is read and written only with its group: who does not know it has a shorter structure. */
struct hull_vm_state {
	struct hull_pic pic[2];
	struct hull_ioapic ioapic;
	struct hull_pit pit;
	struct hull_clock clock;
	struct hull_lines lines;
};

/**
 * struct hull_written - guest memory that the launcher has written itself (HULL_MEMORY_WRITTEN)
 * @gpa: first byte
 * @size: bytes, not 0
 *
 * The CPU does not tell the module of writes through the launcher's own mapping. With shadow paging
 * page tables that were written so must be announced, after the write and before the guest may
 * count on it; what is no page table need not be. With nested paging this does nothing.
 */
struct hull_written {
	__u64 gpa;
	__u64 size;
};

/**
 * struct hull_state_io - argument of the GET_STATE and SET_STATE ioctls of VM and vCPU
 * @groups: which groups to move
 * @state: address of struct hull_vm_state or struct hull_vcpu_state
 */
struct hull_state_io {
	__u64 groups;
	__u64 state;
};

#define HULL_SET_MEMORY		_IOW(HULL_IOC, 0x20, struct hull_memory)
#define HULL_GET_DIRTY		_IOW(HULL_IOC, 0x21, struct hull_dirty)
#define HULL_CREATE_VCPU	_IOW(HULL_IOC, 0x22, struct hull_create_vcpu)
#define HULL_CREATE_CONSUMER	_IO(HULL_IOC, 0x23)
#define HULL_ADD_RANGE		_IOW(HULL_IOC, 0x24, struct hull_range)
#define HULL_REMOVE_RANGE	_IOW(HULL_IOC, 0x25, struct hull_range)
#define HULL_SET_IRQ		_IOW(HULL_IOC, 0x26, struct hull_irq)
#define HULL_SEND_MSI		_IOW(HULL_IOC, 0x27, struct hull_msi)
#define HULL_VM_GET_STATE	_IOW(HULL_IOC, 0x28, struct hull_state_io)
#define HULL_VM_SET_STATE	_IOW(HULL_IOC, 0x29, struct hull_state_io)
#define HULL_VM_CHECK		_IO(HULL_IOC, 0x2a)	/* walk all tables now (check mode) */
#define HULL_ATTACH_CONSUMER	_IOW(HULL_IOC, 0x2b, struct hull_attach)
#define HULL_MEMORY_WRITTEN	_IOW(HULL_IOC, 0x2c, struct hull_written)
#define HULL_SET_ROUTES		_IOW(HULL_IOC, 0x2d, struct hull_routes)
#define HULL_ADD_IRQFD		_IOW(HULL_IOC, 0x2e, struct hull_irqfd)
#define HULL_REMOVE_IRQFD	_IOW(HULL_IOC, 0x2f, struct hull_irqfd)

/* ---- vCPU fd ------------------------------------------------------------------------------ */

struct hull_segment {
	__u64 base;
	__u32 limit;			/* bytes, expanded */
	__u16 selector;
	__u16 attr;			/* type, S, DPL, P (bits 0-7), AVL, L, D/B, G (8-11) */
};

#define HULL_SEG_UNUSABLE	0	/* attr without P: not loaded */

/* Order of struct hull_gprs.gpr: the hardware's encoding. */
enum hull_gpr {
	HULL_GPR_RAX, HULL_GPR_RCX, HULL_GPR_RDX, HULL_GPR_RBX,
	HULL_GPR_RSP, HULL_GPR_RBP, HULL_GPR_RSI, HULL_GPR_RDI,
	HULL_GPR_R8, HULL_GPR_R9, HULL_GPR_R10, HULL_GPR_R11,
	HULL_GPR_R12, HULL_GPR_R13, HULL_GPR_R14, HULL_GPR_R15,
};

struct hull_gprs {
	__u64 gpr[16];
	__u64 rip;
	__u64 rflags;
};

struct hull_segments {
	struct hull_segment es, cs, ss, ds, fs, gs, ldtr, tr;
	struct hull_segment gdtr, idtr;	/* base and limit only */
};

struct hull_control {
	__u64 cr0, cr2, cr3, cr4, cr8;
	__u64 efer;
	__u64 xcr0;
	__u64 apic_base;
};

struct hull_debug {
	__u64 dr[4];
	__u64 dr6, dr7;
};

struct hull_msr {
	__u32 index;
	__u32 reserved;
	__u64 value;
};

#define HULL_MAX_MSRS	64

struct hull_msrs {
	__u32 count;			/* set: entries to write; get: filled, all there are */
	__u32 reserved;
	struct hull_msr msr[HULL_MAX_MSRS];
};

/* The architectural XSAVE area, standard format. */
struct hull_fpu {
	__u8 data[4096];
};

/* struct hull_events.flags */
#define HULL_EVENT_EXCEPTION		(1U << 0)	/* to be delivered: vector, error_code */
#define HULL_EVENT_EXCEPTION_ERROR	(1U << 1)
#define HULL_EVENT_NMI_PENDING		(1U << 2)
#define HULL_EVENT_NMI_MASKED		(1U << 3)
#define HULL_EVENT_INTERRUPT		(1U << 4)	/* taken from the controller */
#define HULL_EVENT_SHADOW		(1U << 5)	/* after STI, MOV SS or POP SS */
#define HULL_EVENT_INIT			(1U << 6)
#define HULL_EVENT_SIPI			(1U << 7)
#define HULL_EVENT_SOFT			(1U << 8)	/* the exception is INT3 or INTO */
#define HULL_EVENT_FLAGS		0x1ffU

/* struct hull_events.run_state */
#define HULL_STATE_RUNNING	0
#define HULL_STATE_HALTED	1
#define HULL_STATE_WAIT_SIPI	2	/* after INIT: a SIPI starts it, or setting RUNNING */

#define HULL_CONTINUATION_SIZE	4608

/**
 * struct hull_events - what is pending on a vCPU
 * @flags: HULL_EVENT_*
 * @run_state: HULL_STATE_*
 * @error_code: of the exception
 * @fault_address: CR2 to be loaded when a page fault is delivered
 * @exception: vector of the exception; not 2 or 31, which are none
 * @interrupt: vector of the interrupt
 * @sipi_vector: of the SIPI
 * @reserved: zero
 * @continuation: an access begun and not finished, opaque; all zero: none
 */
struct hull_events {
	__u32 flags;
	__u32 run_state;
	__u32 error_code;
	__u8 exception;
	__u8 interrupt;
	__u8 sipi_vector;
	__u8 reserved;
	__u64 fault_address;
	__u8 continuation[HULL_CONTINUATION_SIZE];
};

/* The APIC's register page as in xAPIC mode. */
struct hull_apic {
	__u8 regs[1024];
};

struct hull_timers {
	__u64 tsc;			/* the guest's time-stamp counter, now */
	__u64 tsc_deadline;
	__u64 timer_left;		/* one-shot, periodic: ns until it expires, 0: off */
};

#define HULL_GROUP_GPRS		(1ULL << 0)
#define HULL_GROUP_SEGMENTS	(1ULL << 1)
#define HULL_GROUP_CONTROL	(1ULL << 2)
#define HULL_GROUP_DEBUG	(1ULL << 3)
#define HULL_GROUP_MSRS		(1ULL << 4)
#define HULL_GROUP_FPU		(1ULL << 5)
#define HULL_GROUP_EVENTS	(1ULL << 6)
#define HULL_GROUP_APIC		(1ULL << 7)
#define HULL_GROUP_TIMERS	(1ULL << 8)
#define HULL_GROUPS		0x1ffULL

struct hull_vcpu_state {
	struct hull_gprs gprs;
	struct hull_segments segments;
	struct hull_control control;
	struct hull_debug debug;
	struct hull_msrs msrs;
	struct hull_fpu fpu;
	struct hull_events events;
	struct hull_apic apic;
	struct hull_timers timers;
};

#define HULL_INJECT_INTERRUPT	0	/* only without HULL_VM_IRQCHIP; EBUSY when one is queued */
#define HULL_INJECT_NMI		1

struct hull_inject {
	__u32 kind;
	__u32 vector;
};

struct hull_translate {
	__u64 gva;			/* in: linear address */
	__u64 gpa;			/* out */
	__u32 access;			/* in: 0, or HULL_ACCESS_* */
	__u32 reserved;
};

#define HULL_ACCESS_WRITE	(1U << 0)
#define HULL_ACCESS_USER	(1U << 1)
#define HULL_ACCESS_FETCH	(1U << 2)

/* Statistics: exits by reason, the same reasons on both vendors. */
enum hull_stat {
	HULL_STAT_INTERRUPT,		/* host interrupt */
	HULL_STAT_NMI,
	HULL_STAT_EXCEPTION,
	HULL_STAT_CPUID,
	HULL_STAT_HYPERCALL,
	HULL_STAT_PORT,
	HULL_STAT_MSR,
	HULL_STAT_CONTROL,		/* CR, DR and descriptor-table instructions */
	HULL_STAT_HLT,
	HULL_STAT_PAUSE,
	HULL_STAT_WINDOW,		/* the guest can take an interrupt or NMI now */
	HULL_STAT_MEMORY_FAULT,		/* nested fault or #PF resolved by mapping */
	HULL_STAT_MMIO,
	HULL_STAT_APIC,			/* APIC register access by memory */
	HULL_STAT_INVALIDATE,		/* INVLPG, INVD, WBINVD ... */
	HULL_STAT_VIRT_INSN,		/* SVM and VMX instructions */
	HULL_STAT_OTHER,
	HULL_STAT_EXITS,		/* sum of the above */
	/* not exits */
	HULL_STAT_WINDOWS,		/* times the guest's state was loaded */
	HULL_STAT_USER,			/* returns to the launcher */
	HULL_STAT_SYNC,			/* requests to other consumers */
	HULL_STAT_POSTED,
	HULL_STAT_DOORBELL,
	HULL_STAT_EMULATED,		/* instructions executed in software */
	HULL_STAT_INJECTED,		/* events injected */
	HULL_STAT_SLEEPS,		/* HLT that slept */
	HULL_STAT_FLUSHES,
	HULL_STAT_KICKS,
	HULL_STAT_COUNT
};

#define HULL_MAX_STATS	64

/**
 * struct hull_stats - counters of a vCPU since its creation (HULL_GET_STATS)
 * @count: entries in use
 * @reserved: zero
 * @value: counters, indexed by enum hull_stat
 * @cycles: TSC cycles spent on exits that closed the window, by reason, from the window's end until
 *          the guest can be entered again or HULL_RUN returns; what is handled inside costs too
 *          little to be timed
 */
struct hull_stats {
	__u32 count;
	__u32 reserved;
	__u64 value[HULL_MAX_STATS];
	__u64 cycles[HULL_MAX_STATS];
};

/* EBUSY: KVM has come and holds the hardware */
#define HULL_RUN		_IO(HULL_IOC, 0x40)
#define HULL_GET_STATE		_IOW(HULL_IOC, 0x41, struct hull_state_io)
#define HULL_SET_STATE		_IOW(HULL_IOC, 0x42, struct hull_state_io)
#define HULL_SET_CPUID		_IOW(HULL_IOC, 0x43, struct hull_cpuid)
#define HULL_INJECT		_IOW(HULL_IOC, 0x44, struct hull_inject)
#define HULL_TRANSLATE		_IOWR(HULL_IOC, 0x45, struct hull_translate)
#define HULL_GET_STATS		_IOR(HULL_IOC, 0x46, struct hull_stats)

/* struct hull_run.exit: why HULL_RUN returned 0 */
#define HULL_EXIT_REQUEST	1	/* own mailbox holds a request: answer, run again */
#define HULL_EXIT_POSTED	2	/* own posted ring is full: drain it, run again */
#define HULL_EXIT_HALTED	3	/* HLT without HULL_VM_IRQCHIP, nothing pending */
#define HULL_EXIT_ENDED		4	/* the VM cannot go on: see end_reason */

/*
 * The consumer died before it answered: attach a successor (HULL_ATTACH_CONSUMER with the space and
 * address in end_info), who then finds the request pending; or just run again: the access completes
 * with all bits set.
 */
#define HULL_EXIT_CONSUMER	5

/* struct hull_run.end_reason */
#define HULL_END_TRIPLE_FAULT	1
#define HULL_END_BAD_STATE	2	/* the CPU or the checker refuses the vCPU's state */
#define HULL_END_UNKNOWN_EXIT	3
#define HULL_END_EMULATION	4	/* an instruction that must be emulated and cannot be */
#define HULL_END_NO_MEMORY	5	/* of the host: its errno is in data[0] */
#define HULL_END_INTERNAL	6	/* a defect of the module: see the kernel log */
#define HULL_END_CONSUMER	7	/* reserved */

/**
 * struct hull_run - the first page of a vCPU fd's mapping
 * @exit: HULL_EXIT_*, written by the module
 * @end_reason: HULL_END_*, with HULL_EXIT_ENDED
 * @end_code: the hardware's exit code
 * @end_info: the hardware's information words, or reason specific data; with HULL_EXIT_CONSUMER:
 *            space and address of the access
 * @end_rip: guest RIP
 * @end_insn_len: valid bytes of @end_insn
 * @end_insn: instruction bytes, where known
 * @reserved: zero
 * @stop: written by the launcher, from any thread or signal handler: when not zero HULL_RUN
 *        returns EINTR at once. The module never writes it.
 * @end_text: with HULL_END_BAD_STATE: the rule that the vCPU's state breaks, in English; empty when
 *            it was the CPU that refused and the module knows no such rule
 */
struct hull_run {
	__u32 exit;
	__u32 end_reason;
	__u64 end_code;
	__u64 end_info[2];
	__u64 end_rip;
	__u32 end_insn_len;
	__u8 end_insn[16];
	__u8 reserved[4];
	__u32 stop __attribute__((aligned(64)));
	char end_text[128] __attribute__((aligned(64)));
};

/*
 * Mapping of a vCPU fd: offset 0: struct hull_run (one page); offset HULL_RUN_SIZE: the channel of
 * the vCPU's own thread (struct hull_channel, hull_ring.h).
 */
#define HULL_RUN_SIZE		4096

#endif
