// SPDX-License-Identifier: GPL-2.0
/*
 * Restartability: each random instruction runs three times on a model machine,
 *
 *   straight   every access is answered at once
 *   always     every access suspends, one iteration of REP per call
 *   mixed      at random an access suspends, a batch is refused, the state is
 *              saved and restored into a fresh executor, a pending instruction
 *              is executed again
 *
 * and must end in the same registers, memory and result, having made the same
 * accesses, each once. No register changes while something is pending.
 */
#include "gen.h"

#define MEMORY		0x10000u
#define ABSENT_PAGE	0xb
#define READONLY_PAGE	0xa

enum policy { STRAIGHT, ALWAYS, MIXED, POLICIES };

/* What one kind of access saw, element by element. */
struct trace {
	unsigned int n;
	u64 hash;
};

struct machine {
	struct hull_emu emu;
	struct hull_emu_regs regs;
	enum policy policy;
	uint64_t rng;
	u8 memory[MEMORY];
	struct trace traces[HULL_LOG_OUT + 1];
	struct trace calls;		/* whole accesses, in order */
	u64 port_reads;
	unsigned int in_callback;	/* callbacks since execute was called */
	/* the access that is pending */
	unsigned int kind;
	u64 address;
	u32 size, count;
	u8 payload[HULL_EMU_BATCH];
};

static struct {
	unsigned long instructions, suspensions, refusals, restores, faults, batches;
} stats;

static void note(struct trace *trace, u64 value)
{
	trace->n++;
	trace->hash = (trace->hash ^ value) * 0x100000001b3ULL;
	trace->hash ^= trace->hash >> 29;
}

/* The access takes place: read, write, port. Memory repeats every 64 KiB. */
static void perform(struct machine *m, unsigned int kind, u64 address, u32 size, u32 count,
		    u8 *data)
{
	u32 i, k;

	note(&m->calls, kind);
	note(&m->calls, address);
	note(&m->calls, (u64)size << 32 | count);
	for (i = 0; i < count; i++, data += size) {
		u64 at = kind == HULL_LOG_READ || kind == HULL_LOG_WRITE ?
			 address + i * size : address;

		note(&m->traces[kind], at);
		if (kind == HULL_LOG_IN)
			m->port_reads++;
		for (k = 0; k < size; k++) {
			u8 *cell = &m->memory[(at + k) & (MEMORY - 1)];

			if (kind == HULL_LOG_READ)
				data[k] = *cell;
			else if (kind == HULL_LOG_WRITE)
				*cell = data[k];
			else if (kind == HULL_LOG_IN)
				data[k] = (u8)(m->port_reads * 37 + k + address);
			note(&m->traces[kind], data[k]);
		}
	}
	stats.batches += count > 1;
}

static bool chance(struct machine *m, unsigned int n)
{
	return (next_random(&m->rng) >> 16) % n == 0;
}

static int access(struct machine *m, unsigned int kind, u64 address, u32 size, u32 count,
		  void *data)
{
	m->in_callback++;
	if (m->policy == MIXED && count > 1 && chance(m, 3)) {
		stats.refusals++;
		return -E2BIG;
	}
	if (m->policy == ALWAYS || (m->policy == MIXED && chance(m, 2))) {
		m->kind = kind;
		m->address = address;
		m->size = size;
		m->count = count;
		if (kind == HULL_LOG_WRITE || kind == HULL_LOG_OUT)
			memcpy(m->payload, data, size * count);
		return HULL_EMU_SUSPEND;
	}
	perform(m, kind, address, size, count, data);
	return HULL_EMU_DONE;
}

static int check_page(struct hull_emu *emu, u64 linear, u32 flags)
{
	unsigned int page = (linear >> 12) & 15;

	if (page != ABSENT_PAGE && !(page == READONLY_PAGE && (flags & HULL_EMU_WRITE)))
		return HULL_EMU_DONE;
	memset(&emu->fault, 0, sizeof(emu->fault));
	emu->fault.vector = 14;
	emu->fault.address = linear;
	return HULL_EMU_FAULT;
}

/* The contract of hull_emu_ops, seen from the other side */
static void check_call(u64 linear, u32 size, u32 count)
{
	bool plain = size == 1 || size == 2 || size == 4 || size == 8;

	if (!size || !count || size > 16 || (count > 1 && !plain) ||
	    (linear & 0xfff) + size * count > 0x1000) {
		printf("Bail out! callback with address %#llx size %u count %u\n",
		       (unsigned long long)linear, size, count);
		exit(1);
	}
}

static int machine_read(struct hull_emu *emu, u64 linear, void *data, u32 size, u32 count,
			u32 flags)
{
	check_call(linear, size, count);
	if (check_page(emu, linear, flags))
		return HULL_EMU_FAULT;
	return access(emu->priv, HULL_LOG_READ, linear, size, count, data);
}

static int machine_write(struct hull_emu *emu, u64 linear, const void *data, u32 size,
			 u32 count, u32 flags)
{
	check_call(linear, size, count);
	if (check_page(emu, linear, flags))
		return HULL_EMU_FAULT;
	return access(emu->priv, HULL_LOG_WRITE, linear, size, count, (void *)data);
}

static int machine_probe(struct hull_emu *emu, u64 linear, u32 len, u32 flags)
{
	check_call(linear, 1, len);
	return check_page(emu, linear, flags | HULL_EMU_WRITE);
}

static int machine_in(struct hull_emu *emu, u16 port, u32 size, u32 count, void *data)
{
	return access(emu->priv, HULL_LOG_IN, port, size, count, data);
}

static int machine_out(struct hull_emu *emu, u16 port, u32 size, u32 count, const void *data)
{
	return access(emu->priv, HULL_LOG_OUT, port, size, count, (void *)data);
}

static int machine_io_allowed(struct hull_emu *emu, u16 port, u32 size)
{
	(void)size;
	return port % 7 ? HULL_EMU_DONE : hull_emu_raise(emu, VECTOR_GP, 0);
}

static const struct hull_emu_ops machine_ops = {
	.read = machine_read, .write = machine_write, .probe = machine_probe,
	.in = machine_in, .out = machine_out, .io_allowed = machine_io_allowed,
};

static bool same_regs(const struct hull_emu_regs *a, const struct hull_emu_regs *b)
{
	return !memcmp(a, b, sizeof(*a));
}

/* Everything but the saved state is lost on the way. */
static bool move_to_fresh_executor(struct machine *m)
{
	static struct hull_emu_state saved;

	saved = m->emu.state;
	memset(&m->emu, 0x5a, sizeof(m->emu));
	m->emu.ops = &machine_ops;
	m->emu.regs = &m->regs;
	m->emu.priv = m;
	stats.restores++;
	return hull_emu_restore(&m->emu, &saved) == 0;
}

static bool answer(struct machine *m)
{
	const struct hull_emu_log *log = hull_emu_pending(&m->emu);
	bool reads = m->kind == HULL_LOG_READ || m->kind == HULL_LOG_IN;

	if (!log || log->kind != m->kind || log->address != m->address ||
	    log->size != m->size || log->count != m->count)
		return false;
	stats.suspensions++;
	perform(m, m->kind, m->address, m->size, m->count, m->payload);
	return !hull_emu_complete(&m->emu, m->payload, reads ? m->size * m->count : 0);
}

static bool suspended_well(struct machine *m, const struct hull_emu_regs *committed)
{
	if (m->policy == MIXED && chance(m, 2)) {
		unsigned int calls = m->in_callback;

		if (hull_emu_execute(&m->emu, 5) != HULL_EMU_SUSPEND || calls != m->in_callback)
			return false;
	}
	if (m->policy == MIXED && chance(m, 2) && !move_to_fresh_executor(m))
		return false;
	if (committed && !same_regs(&m->regs, committed))
		return false;
	if (!answer(m))
		return false;
	return !(m->policy == MIXED && chance(m, 3)) || move_to_fresh_executor(m);
}

/* Returns the result of the instruction, -1000 for a broken promise. */
static int run(struct machine *m, const struct testcase *t, enum policy policy)
{
	struct hull_emu_regs committed = t->regs;
	unsigned int iterations = policy == ALWAYS ? 1 : 4;
	int ret;

	m->policy = policy;
	m->regs = t->regs;
	memset(m->traces, 0, sizeof(m->traces));
	memset(&m->calls, 0, sizeof(m->calls));
	m->port_reads = 0;
	m->emu.ops = &machine_ops;
	m->emu.regs = &m->regs;
	m->emu.priv = m;
	ret = hull_emu_begin(&m->emu, t->bytes, 15);
	if (ret)
		return ret;
	for (;;) {
		ret = hull_emu_execute(&m->emu, iterations);
		if (ret == HULL_EMU_SUSPEND) {
			if (!suspended_well(m, policy == ALWAYS ? &committed : NULL))
				return -1000;
			continue;
		}
		if (ret != HULL_EMU_AGAIN)
			return ret;
		committed = m->regs;
	}
}

static bool same_end(const struct machine *a, const struct machine *b, bool same_calls)
{
	unsigned int i;

	if (!same_regs(&a->regs, &b->regs) || memcmp(a->memory, b->memory, MEMORY))
		return false;
	for (i = HULL_LOG_READ; i <= HULL_LOG_OUT; i++)
		if (a->traces[i].n != b->traces[i].n || a->traces[i].hash != b->traces[i].hash)
			return false;
	return !same_calls || a->calls.hash == b->calls.hash;
}

static struct machine machines[POLICIES];

static bool check_case(const struct testcase *t)
{
	int result[POLICIES];
	unsigned int i;

	for (i = 0; i < POLICIES; i++)
		result[i] = run(&machines[i], t, i);
	stats.instructions++;
	stats.faults += result[STRAIGHT] == HULL_EMU_FAULT;
	for (i = ALWAYS; i < POLICIES; i++) {
		if (result[i] != result[STRAIGHT] ||
		    (result[i] == HULL_EMU_FAULT && machines[i].emu.fault.vector !=
						    machines[STRAIGHT].emu.fault.vector) ||
		    !same_end(&machines[STRAIGHT], &machines[i], i == ALWAYS)) {
			printf("# policy %u: result %d, straight %d\n", i, result[i],
			       result[STRAIGHT]);
			return false;
		}
	}
	return result[STRAIGHT] != -1000;
}

/*
 * Environments
 */

static const struct environment {
	const char *name;
	enum hull_emu_mode mode;
	u64 cr0, rflags, efer;
	unsigned int cpl;
	u16 code;		/* attributes of CS */
} environments[] = {
	{ "real mode", HULL_MODE_16, 0, 0, 0, 0, 0 },
	{ "virtual-8086", HULL_MODE_16, EMU_CR0_PE, FLAG_VM, 0, 3, 0 },
	{ "protected 16-bit", HULL_MODE_16, EMU_CR0_PE, 0, 0, 0, 0 },
	{ "protected 32-bit", HULL_MODE_32, EMU_CR0_PE, 0, 0, 3, HULL_SEG_DB },
	{ "compatibility", HULL_MODE_32, EMU_CR0_PE, 0, EMU_EFER_LMA, 3, HULL_SEG_DB },
	{ "64-bit", HULL_MODE_64, EMU_CR0_PE, 0, EMU_EFER_LMA, 0, HULL_SEG_L },
};

static const u8 *peek(u64 linear)
{
	u64 at = linear & (MEMORY - 1);

	return at + 16 <= MEMORY ? machines[STRAIGHT].memory + at : NULL;
}

static void enter_environment(struct gen *gen, const struct environment *e)
{
	struct hull_emu_regs *regs = &gen->template;
	unsigned int i;

	gen->mode = e->mode;
	gen->ports = true;
	gen->msw = true;
	gen->code = 0x5000;
	gen->peek = peek;
	gen->low = gen->low16 = 0x4000;
	gen->high = gen->high16 = 0xc000;
	regs->cr0 = e->cr0;
	regs->efer = e->efer;
	regs->cpl = e->cpl;
	regs->rflags = e->rflags;
	for (i = 0; i < HULL_NSEGS; i++) {
		regs->seg[i].selector = i * 0x10;
		regs->seg[i].base = i * 0x100;
		regs->seg[i].limit = e->mode == HULL_MODE_16 ? 0xffff : 0xffffffff;
		regs->seg[i].attr = HULL_SEG_P | HULL_SEG_S | 3 |
				    (e->mode == HULL_MODE_16 ? 0 : HULL_SEG_DB);
	}
	regs->seg[HULL_CS].attr |= HULL_SEG_CODE | e->code;
	gen_init(gen);
}

static bool check_environment(const struct environment *e, uint64_t seed)
{
	static struct gen gen;
	unsigned long n, target = long_mode() ? 3000000 : 60000, failures = 0;
	unsigned int i;

	gen.rng = seed;
	enter_environment(&gen, e);
	for (i = 0; i < MEMORY; i++)
		machines[0].memory[i] = i & 0x200 ? 0 : (u8)next_random(&gen.rng);
	for (i = 1; i < POLICIES; i++)
		memcpy(machines[i].memory, machines[0].memory, MEMORY);
	for (n = 0; n < target && failures < 10; ) {
		struct testcase t;

		if (!gen_case(&gen, &t) || t.decoded)
			continue;
		n++;
		machines[MIXED].rng = next_random(&gen.rng) | 1;
		if (check_case(&t))
			continue;
		gen_print(&t, e->name);
		failures++;
		for (i = 1; i < POLICIES; i++)
			memcpy(machines[i].memory, machines[0].memory, MEMORY);
	}
	return !failures;
}

int main(void)
{
	uint64_t seed;
	unsigned int i;
	char name[80];

	ktap_begin(ARRAY_SIZE(environments));
	seed = seed_from_env();
	for (i = 0; i < ARRAY_SIZE(environments); i++) {
		snprintf(name, sizeof(name), "suspend: same end, each access once: %s",
			 environments[i].name);
		ktap_result(check_environment(&environments[i], seed + i), name);
	}
	printf("# %lu instructions, %lu suspensions, %lu restores, %lu batches, %lu refused, ",
	       stats.instructions, stats.suspensions, stats.restores, stats.batches,
	       stats.refusals);
	printf("%lu faults\n", stats.faults);
	return ktap_end();
}
