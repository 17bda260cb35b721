// SPDX-License-Identifier: GPL-2.0-only
/*
 * Descriptor chains of any shape (D-01 to D-07): the walk ends, what it
 * accepts lies in guest memory to the byte, and its sums are right.
 *
 * Input: ring size (log2), flags, head (2 bytes), then guest memory from the
 * descriptor table or packed ring on.
 */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kvs_ring_cfg cfg = { 0 };
	struct kvs_ring ring;
	struct fuzz_guest g;
	uint16_t head;
	int ret;

	if (size < 4)
		return 0;
	fuzz_guest_init(&g, data + 4, size - 4);
	cfg.num = 1u << (data[0] % 10);
	cfg.indirect = data[1] & 1;
	cfg.packed = data[1] & 2;
	if (cfg.packed)
		cfg.base = 0x80008000;
	cfg.desc = (uintptr_t)g.a;
	cfg.avail = (uintptr_t)g.a + 0x2000;
	cfg.used = (uintptr_t)g.a + 0x2800;
	PROMISE(!kvs_ring_start(&ring, &cfg));
	head = (uint16_t)(data[2] | data[3] << 8) % cfg.num;

	if (!cfg.packed)
		fuzz_offer(&g, 0x2000, head);
	ret = kvs_ring_pop(&ring, g.map, g.chain);
	PROMISE(cfg.packed || (ret > 0 && g.chain->head == head));
	if (ret > 0 && !g.chain->err)
		fuzz_chain_promises(&g);

	kvs_ring_stop(&ring);
	fuzz_guest_free(&g);
	return 0;
}
