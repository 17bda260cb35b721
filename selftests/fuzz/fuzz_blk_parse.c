// SPDX-License-Identifier: GPL-2.0-only
/*
 * Block requests of any content over chains of any shape (B-01 to B-05, D-10,
 * D-11): whatever the parser lets through can be done as it stands.
 *
 * Input: limits of the disk (8 bytes), then guest memory from the descriptor
 * table on; head 0, a ring of 64 entries, indirect allowed.
 */
#include "blk_parse.h"
#include "fuzz.h"

static void disk(struct kvs_blk_limits *lim, const uint8_t *d)
{
	memset(lim, 0, sizeof(*lim));
	lim->block_size = 512u << (d[0] & 3);
	lim->readonly = d[0] & 4;
	lim->capacity = d[0] & 8 ? ~0ull >> 9 :
		(uint64_t)d[1] << (d[2] % 40);
	lim->capacity &= ~(uint64_t)(lim->block_size / 512 - 1);
	lim->max_discard = (uint32_t)d[3] << (d[4] % 25);
	lim->max_write_zeroes = (uint32_t)d[5] << (d[6] % 25);
	lim->max_secure_erase = (uint32_t)d[6] << (d[4] % 25);
	lim->erase_align = d[5] % 16;
	memset(lim->serial, d[7], sizeof(lim->serial));
}

static bool on_disk(const struct kvs_blk_limits *lim, uint64_t sector,
		    uint64_t nr)
{
	uint32_t mask = lim->block_size / 512 - 1;

	return sector <= lim->capacity && nr <= lim->capacity - sector &&
	       !(sector & mask) && !(nr & mask);
}

static void promises(const struct fuzz_guest *g,
		     const struct kvs_blk_limits *lim,
		     const struct kvs_blk_req *req)
{
	uint32_t most = req->op == KVS_BLK_DISCARD ? lim->max_discard :
			req->op == KVS_BLK_WRITE_ZEROES ?
			lim->max_write_zeroes : lim->max_secure_erase;
	struct iovec status = { req->status_hva, 1 };
	uint32_t i;

	if (req->status_hva)
		PROMISE(fuzz_inside(g, &status));
	if (req->op != KVS_BLK_DONE)
		PROMISE(req->status_hva);
	PROMISE(req->written <= VIRTIO_BLK_ID_BYTES);
	switch (req->op) {
	case KVS_BLK_WRITE:
		PROMISE(!lim->readonly);
		__attribute__((fallthrough));
	case KVS_BLK_READ:
		PROMISE(req->len && !(req->len % lim->block_size));
		PROMISE(on_disk(lim, req->sector, req->len / 512));
		fuzz_iov(g, req->iov, req->nr_iov, req->len);
		break;
	case KVS_BLK_DISCARD:
	case KVS_BLK_WRITE_ZEROES:
	case KVS_BLK_SECURE_ERASE:
		PROMISE(!lim->readonly && req->nr_range);
		PROMISE(req->nr_range <= KVS_BLK_MAX_RANGES);
		for (i = 0; i < req->nr_range; i++) {
			PROMISE(on_disk(lim, req->range[i].sector,
					req->range[i].nr));
			PROMISE(req->range[i].nr <= most);
		}
		break;
	case KVS_BLK_FLUSH:
		break;
	case KVS_BLK_DONE:
		PROMISE(req->status <= VIRTIO_BLK_S_UNSUPP);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kvs_ring_cfg cfg = { .num = 64, .indirect = true };
	struct kvs_blk_limits lim;
	struct kvs_blk_req req;
	struct kvs_ring ring;
	struct fuzz_guest g;

	if (size < 8)
		return 0;
	disk(&lim, data);
	fuzz_guest_init(&g, data + 8, size - 8);
	cfg.desc = (uintptr_t)g.a;
	cfg.avail = (uintptr_t)g.a + 0x2000;
	cfg.used = (uintptr_t)g.a + 0x2800;
	PROMISE(!kvs_ring_start(&ring, &cfg));
	fuzz_offer(&g, 0x2000, 0);
	PROMISE(kvs_ring_pop(&ring, g.map, g.chain) > 0);
	if (!g.chain->err) {
		PROMISE(!kvs_blk_parse(&lim, g.chain, &req));
		promises(&g, &lim, &req);
	}
	kvs_ring_stop(&ring);
	fuzz_guest_free(&g);
	return 0;
}
