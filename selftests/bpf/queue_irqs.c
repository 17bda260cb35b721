// SPDX-License-Identifier: GPL-2.0-only
/*
 * `kvasir trace path` and interrupts that wait for their vCPU together.
 *
 * A disk of the module interrupts a guest of a few bytes that enters guest mode only
 * when it is told to. What is done meanwhile waits in the interrupt controller, and
 * of the same vector goes in as one interrupt.
 *
 * Proven: the entry is booked for all of them; those of another vector wait for
 * theirs; what has no room, or waits in vain, is counted as lost, in every form, and
 * only that.
 */
#include "kvt_blk.h"
#include "tracer.h"
#include "../../bpf/queues.h"

#define V1	KVT_F(VIRTIO_F_VERSION_1)
#define MS	20000
#define QUEUES	2u
#define VECTOR	0x41		/* of queue 0; of the others those behind it */
#define HANDLER	0x1100
#define APIC	0xfee00000u

/* DS begins at the APIC: 0xb0 is its end-of-interrupt register. */
static const uint8_t loop_code[] = {
	0xe6, TINY_PORT,		/* 00	out PORT, al	*/
	0xeb, 0xfc,			/* 02	jmp 00		*/
};

static const uint8_t handler_code[] = {
	0x66, 0xa3, 0xb0, 0x00,		/* 00	mov [b0], eax	*/
	0xcf,				/* 04	iret		*/
};

struct bed {
	struct tiny_vm vm;
	struct kvt_disk disk;
	int file;
};

static void guest_code(struct tiny_vm *vm)
{
	uint32_t *vectors = vm->mem;
	unsigned int i;

	memcpy((char *)vm->mem + TINY_CODE, loop_code, sizeof(loop_code));
	memcpy((char *)vm->mem + HANDLER, handler_code, sizeof(handler_code));
	for (i = 0; i < QUEUES; i++)
		vectors[VECTOR + i] = HANDLER;
}

/* @open: to interrupts */
static void guest_regs(struct tiny_vcpu *v, bool open)
{
	struct kvm_regs regs = {
		.rip = TINY_CODE, .rsp = 0x8000, .rflags = open ? 0x202 : 2,
	};

	ASSERT_OK(ioctl(v->fd, KVM_SET_REGS, &regs));
}

static void guest_start(struct tiny_vcpu *v)
{
	struct kvm_lapic_state apic;
	struct kvm_sregs sregs;
	uint32_t on = 0x1ff;

	ASSERT_OK(ioctl(v->fd, KVM_GET_SREGS, &sregs));
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	sregs.ds.base = APIC;
	ASSERT_OK(ioctl(v->fd, KVM_SET_SREGS, &sregs));
	guest_regs(v, true);
	ASSERT_OK(ioctl(v->fd, KVM_GET_LAPIC, &apic));
	memcpy(&apic.regs[0xf0], &on, sizeof(on));
	ASSERT_OK(ioctl(v->fd, KVM_SET_LAPIC, &apic));
}

/* What queue @i calls is an interrupt of vCPU 0. */
static void route_calls(struct bed *b)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry[QUEUES];
	} r = { .head.nr = QUEUES };
	unsigned int i;

	for (i = 0; i < QUEUES; i++) {
		r.entry[i].gsi = 24 + i;
		r.entry[i].type = KVM_IRQ_ROUTING_MSI;
		r.entry[i].u.msi.address_lo = APIC;
		r.entry[i].u.msi.data = VECTOR + i;
	}
	ASSERT_OK(ioctl(b->vm.fd, KVM_SET_GSI_ROUTING, &r));
	for (i = 0; i < QUEUES; i++) {
		struct kvm_irqfd fd = { .fd = b->disk.q[i].call, .gsi = 24 + i };

		ASSERT_OK(ioctl(b->vm.fd, KVM_IRQFD, &fd));
	}
}

static void bed_open(struct bed *b)
{
	tiny_create_with(&b->vm, 1, true);
	guest_code(&b->vm);
	guest_start(&b->vm.vcpu[0]);
	kvt_disk_open(&b->disk, QUEUES, 64, V1, 4u << 20);
	ASSERT(b->disk.ours, "not the module's node");
	b->file = kvt_file(4 << 20);
	route_calls(b);
}

/*
 * One request, and its call. KVM takes the calls, so the ring has to be watched;
 * the disk without its file has no call left to be made.
 */
static void request(struct bed *b, unsigned int q)
{
	uint64_t deadline = kvt_deadline(MS);
	struct kvt_bio bio;

	ASSERT_EQ(kvt_disk_backend(&b->disk, b->file, 0, 512, "calls"), 0);
	kvt_bio_init(&b->disk, &bio, 512);
	kvt_bio_submit(&b->disk, q, &bio, VIRTIO_BLK_T_IN, 0, 512);
	while (!kvt_ring_used(&b->disk.q[q]) && kvt_left(deadline))
		kvt_sleep(1);
	ASSERT(kvt_bio_reap(&b->disk, q, 0), "no answer");
	ASSERT_EQ(kvt_disk_backend(&b->disk, -1, 0, 0, NULL), 0);
}

/* Into the guest, and out again at its next OUT. */
static void enter(struct bed *b)
{
	ASSERT(tiny_step(&b->vm.vcpu[0]), "the guest went astray");
}

/* Queue @i of the trace. */
static struct json_object *queue_at(struct tracer *t, unsigned int i)
{
	struct json_object *list = get(t->json, "queues"), *q;
	size_t k;

	for (k = 0; (q = item(list, k)); k++)
		if (num(q, "index") == i)
			return q;
	ASSERT(false, "no queue %u", i);
	return NULL;
}

static uint64_t hop(struct json_object *q, const char *name)
{
	return num(get(get(q, "hops"), name), "count");
}

/* @calls of queue @i, of which @booked were followed to the end. */
static void expect_calls(struct tracer *t, unsigned int i, unsigned int calls,
			 unsigned int booked)
{
	struct json_object *q = queue_at(t, i);

	EXPECT_EQ(num(q, "requests"), calls);
	EXPECT_EQ(num(q, "calls"), calls);
	EXPECT_EQ(num(q, "elsewhere"), 0);
	EXPECT_EQ(hop(q, "interrupt"), calls);
	EXPECT_EQ(hop(q, "entry") + num(q, "posted"), booked);
	EXPECT_EQ(hop(q, "total") + num(q, "posted"), booked);
}

TEST("interrupts that go in with one entry are all booked")
{
	const unsigned int together = QUEUES_IRQS;
	struct tracer t;
	unsigned int i;
	struct bed b;

	bed_open(&b);
	START_VERB(&t, "path", "-p", text_of(getpid()));
	enter(&b);
	for (i = 0; i < together; i++)
		request(&b, 0);
	enter(&b);
	enter(&b);
	/* The next ones have a vector each. */
	request(&b, 0);
	request(&b, 1);
	request(&b, 0);
	enter(&b);
	enter(&b);
	enter(&b);
	stop(&t);
	expect_calls(&t, 0, together + 2, together + 2);
	expect_calls(&t, 1, 1, 1);
	expect_no_loss(&t, NULL);
}

TEST("T-04 more interrupts than there is room for")
{
	const unsigned int more = 5;
	struct tracers t;
	unsigned int i;
	struct bed b;

	bed_open(&b);
	START_ALL(&t, "path", "-p", text_of(getpid()));
	enter(&b);
	for (i = 0; i < QUEUES_IRQS + more; i++)
		request(&b, 0);
	enter(&b);
	enter(&b);
	request(&b, 0);
	enter(&b);
	enter(&b);
	stop_all(&t);
	expect_calls(&t.json, 0, QUEUES_IRQS + more + 1, QUEUES_IRQS + 1);
	expect_lost(&t, "irqs_full", "interrupts", more);
	expect_no_loss(&t.json, " irqs_full ");
}

TEST("T-02 interrupts that wait in vain make room again")
{
	const unsigned int vain = 3;
	struct tracer t;
	unsigned int i;
	struct bed b;

	bed_open(&b);
	START_VERB(&t, "path", "-p", text_of(getpid()));
	enter(&b);
	/* One, to show that this KVM injects them. */
	request(&b, 0);
	enter(&b);
	enter(&b);
	guest_regs(&b.vm.vcpu[0], false);
	enter(&b);
	for (i = 0; i < vain; i++)
		request(&b, 0);
	kvt_sleep(QUEUES_IRQ_NS / 1000000 + 200);
	enter(&b);
	/* Now they go in, when nobody follows them any more. */
	guest_regs(&b.vm.vcpu[0], true);
	enter(&b);
	enter(&b);
	for (i = 0; i < QUEUES_IRQS; i++)
		request(&b, 0);
	enter(&b);
	enter(&b);
	stop(&t);
	expect_calls(&t, 0, 1 + vain + QUEUES_IRQS, 1 + QUEUES_IRQS);
	EXPECT_EQ(num(get(t.json, "losses"), "irqs_full"), vain);
	expect_no_loss(&t, " irqs_full ");
}
