/*
 * A TCG plugin for QEMU that counts the instructions executed at each exception level of an AArch64
 * machine, and so tells the hypervisor's (EL2) from its guests' (EL1, EL0). RISC-V's modes are counted as
 * the levels that they are like: M as EL3, HS as EL2, VS and VU as EL1 and EL0; without hypervisor
 * (native=on) S and U as EL1 and EL0.
 *
 *   -plugin elcount.so,out=FILE[,uart=ADDRESS,marks=FILE][,ipis=ADDRESS][,native=on]
 *
 * The counts are written to FILE when the machine ends, and whenever what is written to the UART's
 * data register at ADDRESS ends with one of the lines of the file of marks:
 *
 *   MARK <line of the mark, from 0> <EL0> <EL1> <EL2> <EL3> <entries to EL2>
 *   BEGIN 0 ... the first time that EL2 is entered
 *   GUEST 0 ... the first time that EL1 or EL0 is entered from EL2
 *   END  <characters written>       <EL0> <EL1> <EL2> <EL3> <entries to EL2>
 *
 * Each line ends with one number more: how many instructions EL2 executes, as a median, after it has sent an
 * interrupt to other CPUs (a write of ICC_SGI1R_EL1, or a store into the page of the ACLINT's SSWI at ADDRESS) and before its guest goes on. The receiver does not wait
 * for these, but with -icount they come before the receiver's.
 *
 * An empty line of the file stands for the first end of a line. What firmware writes first does not count.
 *
 * No package has the header of QEMU's plugin interface, so the few declarations that are needed stand
 * here, as of version 4 of the interface (QEMU 10.0, include/qemu/qemu-plugin.h). Glib's arrays are
 * only touched in their public members.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* QEMU's interface. */

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t plugin_id;
struct tb;
struct insn;
struct hwaddr;
struct reg;

struct reg_descriptor {
	struct reg *handle;
	const char *name;
	const char *feature;
};

struct mem_value {
	int type; /* the access's width: 0 for 8 bits, 1 for 16, 2 for 32 and so on */
	union {
		uint8_t u8;
		uint16_t u16;
		uint32_t u32;
		uint64_t u64;
		uint64_t u128[2];
	} data;
};

struct g_array {
	char *data;
	unsigned int len;
};

enum { CB_NO_REGS, CB_R_REGS };
enum { MEM_R = 1, MEM_W = 2 };

typedef void (*vcpu_cb)(plugin_id id, unsigned int vcpu);
typedef void (*trans_cb)(plugin_id id, struct tb *tb);
typedef void (*exec_cb)(unsigned int vcpu, void *data);
typedef void (*mem_cb)(unsigned int vcpu, uint32_t info, uint64_t vaddr, void *data);
typedef void (*exit_cb)(plugin_id id, void *data);

void qemu_plugin_register_vcpu_init_cb(plugin_id id, vcpu_cb cb);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, trans_cb cb);
void qemu_plugin_register_atexit_cb(plugin_id id, exit_cb cb, void *data);
void qemu_plugin_register_vcpu_insn_exec_cb(struct insn *insn, exec_cb cb, int flags, void *data);
void qemu_plugin_register_vcpu_mem_cb(struct insn *insn, mem_cb cb, int flags, int rw, void *data);
size_t qemu_plugin_insn_data(const struct insn *insn, void *to, size_t length);
size_t qemu_plugin_tb_n_insns(const struct tb *tb);
struct insn *qemu_plugin_tb_get_insn(const struct tb *tb, size_t index);
struct hwaddr *qemu_plugin_get_hwaddr(uint32_t info, uint64_t vaddr);
bool qemu_plugin_hwaddr_is_io(const struct hwaddr *address);
uint64_t qemu_plugin_hwaddr_phys_addr(const struct hwaddr *address);
struct mem_value qemu_plugin_mem_get_value(uint32_t info);
struct g_array *qemu_plugin_get_registers(void);
int qemu_plugin_read_register(struct reg *handle, struct g_array *bytes);

/* Glib's. */
struct g_array *g_byte_array_new(void);
struct g_array *g_byte_array_set_size(struct g_array *array, unsigned int length);

EXPORT int qemu_plugin_version = 4;

/* The plugin. */

enum { MOST_CPUS = 64, LEVELS = 4, UNKNOWN = 255, MOST_MARKS = 16, LONGEST = 128 };

/* What is remembered of a translated block: it is only ever executed at one exception level. */
struct block {
	uint8_t level;
};

static struct cpu {
	uint64_t counts[LEVELS];
	uint64_t entries;
	uint8_t level;
	struct reg *cpsr; /* AArch64: the processor state */
	struct reg *priv; /* RISC-V: the privilege mode, and bit 2 for virtual */
	struct g_array *bytes;
} cpus[MOST_CPUS];

static FILE *out;
static uint64_t uart;
static uint64_t ipis;
static char marks[MOST_MARKS][LONGEST];
static bool reached[MOST_MARKS];
static int mark_count;
static char written[LONGEST];
static uint64_t written_count;
static bool begun, guest_seen, native;

/* The way back into the guest after an interrupt was sent: how often each length was seen. */
enum { LONGEST_WAY = 2048 };
static uint64_t ways[LONGEST_WAY];
static unsigned int way;
static bool on_way;

static unsigned int median_way(void)
{
	uint64_t all = 0, below = 0;
	unsigned int length = 0;

	for (unsigned int each = 0; each < LONGEST_WAY; each++)
		all += ways[each];
	while (length < LONGEST_WAY && (below += ways[length]) * 2 < all)
		length++;
	return all ? length : 0;
}

static void tell(const char *what, uint64_t which)
{
	uint64_t sums[LEVELS] = { 0 }, entries = 0;

	for (int cpu = 0; cpu < MOST_CPUS; cpu++) {
		for (int level = 0; level < LEVELS; level++)
			sums[level] += cpus[cpu].counts[level];
		entries += cpus[cpu].entries;
	}
	fprintf(out, "%s %llu", what, (unsigned long long)which);
	for (int level = 0; level < LEVELS; level++)
		fprintf(out, " %llu", (unsigned long long)sums[level]);
	fprintf(out, " %llu %u\n", (unsigned long long)entries, median_way());
	fflush(out);
}

/* The exception level that the CPU is at, from its processor state. */
static uint8_t level_of(struct cpu *cpu)
{
	uint32_t state = 0;

	if (!cpu->cpsr && !cpu->priv)
		return 0;
	g_byte_array_set_size(cpu->bytes, 0);
	qemu_plugin_read_register(cpu->cpsr ? cpu->cpsr : cpu->priv, cpu->bytes);
	memcpy(&state, cpu->bytes->data, cpu->bytes->len < 4 ? cpu->bytes->len : 4);
	if (cpu->priv) {
		bool hypervisor = (state & 7) == 1 && !native;

		return hypervisor ? 2 : state & 3;
	}
	if (!(state & 0x10))
		return state >> 2 & 3;
	/* AArch32: user, hypervisor, monitor, or one of EL1's modes. */
	switch (state & 0x1f) {
	case 0x10: return 0;
	case 0x1a: return 2;
	case 0x16: return 3;
	default: return 1;
	}
}

static void on_instruction(uint8_t level)
{
	if (!on_way)
		return;
	if (level == 2) {
		way++;
		return;
	}
	on_way = false;
	if (way < LONGEST_WAY)
		ways[way]++;
}

/* An interrupt is sent. */
static void on_send(unsigned int vcpu, void *data)
{
	(void)data;
	if (cpus[vcpu % MOST_CPUS].level == 2) {
		on_way = true;
		way = 0;
	}
}

/* Whether an instruction is MSR ICC_SGI1R_EL1, Xt. */
static bool is_send(const struct insn *insn)
{
	uint32_t word = 0;

	return qemu_plugin_insn_data(insn, &word, sizeof(word)) == sizeof(word) && (word & ~0x1fu) == 0xd518cba0;
}

/* The first instruction of a block. */
static void on_first(unsigned int vcpu, void *data)
{
	struct cpu *cpu = &cpus[vcpu % MOST_CPUS];
	struct block *block = data;

	if (block->level == UNKNOWN)
		block->level = level_of(cpu);
	if (block->level == 2 && !begun) {
		begun = true;
		tell("BEGIN", 0);
	}
	if (block->level == 2 && cpu->level < 2)
		cpu->entries++;
	if (block->level < 2 && cpu->level == 2 && !guest_seen) {
		guest_seen = true;
		tell("GUEST", 0);
	}
	cpu->level = block->level;
	cpu->counts[block->level]++;
	on_instruction(cpu->level);
}

/* Every other instruction. They are counted one by one, since a fault may end a block early. */
static void on_other(unsigned int vcpu, void *data)
{
	(void)data;
	struct cpu *cpu = &cpus[vcpu % MOST_CPUS];

	cpu->counts[cpu->level]++;
	on_instruction(cpu->level);
}

static void on_store(unsigned int vcpu, uint32_t info, uint64_t vaddr, void *data)
{
	(void)data;
	struct hwaddr *address = qemu_plugin_get_hwaddr(info, vaddr);
	char letter;

	/* The guest's own stores to its emulated UART do not get here: they fault. */
	/* Nor is anything of interest that firmware prints before the hypervisor begins. */
	if (!begun && !native)
		return;
	if (!address || !qemu_plugin_hwaddr_is_io(address))
		return;
	if (ipis && qemu_plugin_hwaddr_phys_addr(address) >> 12 == ipis >> 12)
		on_send(vcpu, NULL);
	if (qemu_plugin_hwaddr_phys_addr(address) != uart)
		return;
	letter = (char)qemu_plugin_mem_get_value(info).data.u8;
	memmove(written, written + 1, LONGEST - 2);
	written[LONGEST - 2] = letter;
	written_count++;
	for (int mark = 0; mark < mark_count; mark++) {
		size_t length = strlen(marks[mark]);
		const char *end = written + LONGEST - 1 - length;

		if (reached[mark] || (length ? memcmp(end, marks[mark], length) != 0 : letter != '\n'))
			continue;
		reached[mark] = true;
		tell("MARK", (uint64_t)mark);
	}
}

static void on_block(plugin_id id, struct tb *tb)
{
	(void)id;
	/* Blocks are translated again rarely enough that what is remembered need not be given back. */
	struct block *block = malloc(sizeof(*block));
	size_t count = qemu_plugin_tb_n_insns(tb);

	if (!block)
		abort();
	block->level = UNKNOWN;
	for (size_t index = 0; index < count; index++) {
		struct insn *insn = qemu_plugin_tb_get_insn(tb, index);

		if (index == 0)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_first, CB_R_REGS, block);
		else
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_other, CB_NO_REGS, NULL);
		if (is_send(insn))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_send, CB_NO_REGS, NULL);
		if (uart)
			qemu_plugin_register_vcpu_mem_cb(insn, on_store, CB_NO_REGS, MEM_W, NULL);
	}
}

static void on_cpu(plugin_id id, unsigned int vcpu)
{
	(void)id;
	struct cpu *cpu = &cpus[vcpu % MOST_CPUS];
	struct g_array *registers = qemu_plugin_get_registers();
	struct reg_descriptor *descriptors = (struct reg_descriptor *)registers->data;

	cpu->bytes = g_byte_array_new();
	for (unsigned int index = 0; index < registers->len; index++) {
		if (strcmp(descriptors[index].name, "cpsr") == 0)
			cpu->cpsr = descriptors[index].handle;
		if (strcmp(descriptors[index].name, "priv") == 0)
			cpu->priv = descriptors[index].handle;
	}
}

static void on_exit_of_qemu(plugin_id id, void *data)
{
	(void)id;
	(void)data;
	tell("END", written_count);
}

static bool read_marks(const char *name)
{
	FILE *file = fopen(name, "r");

	if (!file)
		return false;
	while (mark_count < MOST_MARKS && fgets(marks[mark_count], LONGEST - 1, file)) {
		marks[mark_count][strcspn(marks[mark_count], "\n")] = 0;
		mark_count++;
	}
	fclose(file);
	return true;
}

EXPORT int qemu_plugin_install(plugin_id id, const void *info, int count, char **words)
{
	(void)info;
	for (int index = 0; index < count; index++) {
		const char *value = strchr(words[index], '=');

		if (!value)
			return -1;
		value++;
		if (strncmp(words[index], "out=", 4) == 0)
			out = fopen(value, "w");
		else if (strncmp(words[index], "uart=", 5) == 0)
			uart = strtoull(value, NULL, 0);
		else if (strncmp(words[index], "ipis=", 5) == 0)
			ipis = strtoull(value, NULL, 0);
		else if (strcmp(words[index], "native=on") == 0)
			native = true;
		else if (strncmp(words[index], "marks=", 6) != 0 || !read_marks(value))
			return -1;
	}
	if (!out) {
		fprintf(stderr, "elcount: out=FILE is missing or cannot be written\n");
		return -1;
	}
	qemu_plugin_register_vcpu_init_cb(id, on_cpu);
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_block);
	qemu_plugin_register_atexit_cb(id, on_exit_of_qemu, NULL);
	return 0;
}
