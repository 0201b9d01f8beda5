/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM hull

#if !defined(HULL_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define HULL_TRACE_H

#include <linux/tracepoint.h>

/*
 * Tracepoints of the run loop. Fast exits are counted, not traced: a tracepoint in the window would
 * cost every exit, and its buffers must not be written with the guest's state loaded.
 */
TRACE_EVENT(hull_exit,
	TP_PROTO(unsigned int vcpu, u32 kind, u64 code, u64 info1, u64 info2, u64 rip),
	TP_ARGS(vcpu, kind, code, info1, info2, rip),
	TP_STRUCT__entry(
		__field(unsigned int, vcpu)
		__field(u32, kind)
		__field(u64, code)
		__field(u64, info1)
		__field(u64, info2)
		__field(u64, rip)
	),
	TP_fast_assign(
		__entry->vcpu = vcpu;
		__entry->kind = kind;
		__entry->code = code;
		__entry->info1 = info1;
		__entry->info2 = info2;
		__entry->rip = rip;
	),
	TP_printk("vcpu %u kind %u code %#llx info %#llx %#llx rip %#llx",
		  __entry->vcpu, __entry->kind, __entry->code, __entry->info1, __entry->info2,
		  __entry->rip)
);

TRACE_EVENT(hull_fault,
	TP_PROTO(unsigned int vcpu, u64 gpa, u32 access, int result),
	TP_ARGS(vcpu, gpa, access, result),
	TP_STRUCT__entry(
		__field(unsigned int, vcpu)
		__field(u64, gpa)
		__field(u32, access)
		__field(int, result)
	),
	TP_fast_assign(
		__entry->vcpu = vcpu;
		__entry->gpa = gpa;
		__entry->access = access;
		__entry->result = result;
	),
	TP_printk("vcpu %u gpa %#llx access %#x result %d",
		  __entry->vcpu, __entry->gpa, __entry->access, __entry->result)
);

TRACE_EVENT(hull_end,
	TP_PROTO(unsigned int vcpu, u32 reason, u64 code, u64 rip),
	TP_ARGS(vcpu, reason, code, rip),
	TP_STRUCT__entry(
		__field(unsigned int, vcpu)
		__field(u32, reason)
		__field(u64, code)
		__field(u64, rip)
	),
	TP_fast_assign(
		__entry->vcpu = vcpu;
		__entry->reason = reason;
		__entry->code = code;
		__entry->rip = rip;
	),
	TP_printk("vcpu %u reason %u code %#llx rip %#llx",
		  __entry->vcpu, __entry->reason, __entry->code, __entry->rip)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
