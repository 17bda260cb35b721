// SPDX-License-Identifier: GPL-2.0-only
/*
 * Block requests (kmod/blk_parse.c): what comes out can be done as it stands,
 * whatever the driver wrote and however it cut it (B-01 to B-05, D-10, D-11).
 */
#include <endian.h>

#include "blk_parse.h"
#include "kvt_ring.h"

#define GPA 0x10000ull
#define CAP 1000u

struct fix {
	uint8_t mem[65536];
	struct kvs_chain c;
	struct kvs_blk_limits lim;
	struct kvs_blk_req req;
};

static struct fix *fix_new(void)
{
	struct fix *f = calloc(1, sizeof(*f));

	ASSERT(f, "out of memory");
	f->lim = (struct kvs_blk_limits){
		.capacity = CAP, .block_size = 512, .max_discard = 64,
		.max_write_zeroes = 128,
	};
	memcpy(f->lim.serial, "0123456789abcdefghij", 20);
	return f;
}

static void piece(struct fix *f, bool in, uint32_t off, uint32_t len)
{
	struct kvs_chain *c = &f->c;
	unsigned int i = c->nr_out + c->nr_in;

	ASSERT(in || !c->nr_in, "readable pieces come first");
	if (!len)
		return;
	c->seg[i] = (struct kvs_seg){ GPA + off, len };
	c->iov[i] = (struct iovec){ f->mem + off, len };
	if (in) {
		c->nr_in++;
		c->nr_iov_in++;
		c->in_len += len;
	} else {
		c->nr_out++;
		c->nr_iov_out++;
		c->out_len += len;
	}
}

static void header(struct fix *f, uint32_t type, uint64_t sector)
{
	struct virtio_blk_outhdr h = { htole32(type), 0, htole64(sector) };

	memset(&f->c, 0, offsetof(struct kvs_chain, seg));
	memcpy(f->mem, &h, sizeof(h));
	piece(f, false, 0, sizeof(h));
}

/* Header, data at 4096, status at 64. */
static void parse(struct fix *f, uint32_t type, uint64_t sector, uint32_t out,
		  uint32_t in)
{
	header(f, type, sector);
	piece(f, false, 4096, out);
	piece(f, true, 4096, in);
	piece(f, true, 64, 1);
	ASSERT_EQ(kvs_blk_parse(&f->lim, &f->c, &f->req), 0);
	EXPECT_EQ(f->req.type, type);
	EXPECT(f->req.status_hva == f->mem + 64, "status address");
	EXPECT_EQ(f->req.status_gpa, GPA + 64);
}

static void decided(struct fix *f, uint8_t status)
{
	EXPECT_EQ(f->req.op, KVS_BLK_DONE);
	EXPECT_EQ(f->req.status, status);
}

TEST("reads and writes: sector, length and the data window")
{
	struct fix *f = fix_new();

	parse(f, VIRTIO_BLK_T_IN, 10, 0, 4096);
	EXPECT_EQ(f->req.op, KVS_BLK_READ);
	EXPECT_EQ(f->req.sector, 10);
	EXPECT_EQ(f->req.len, 4096);
	EXPECT_EQ(f->req.nr_iov, 1);
	EXPECT(f->req.iov->iov_base == f->mem + 4096, "data address");
	EXPECT_EQ(f->req.iov->iov_len, 4096);
	parse(f, VIRTIO_BLK_T_OUT, 3, 1024, 0);
	EXPECT_EQ(f->req.op, KVS_BLK_WRITE);
	EXPECT_EQ(f->req.len, 1024);
	EXPECT(f->req.iov->iov_base == f->mem + 4096, "data address");
	parse(f, VIRTIO_BLK_T_IN, 10, 0, 0);
	decided(f, VIRTIO_BLK_S_OK);
	free(f);
}

TEST("B-01 beyond the disk, to the sector, and overflowing")
{
	static const uint64_t bad[] = { CAP, CAP + 1, 1ull << 54, 1ull << 55,
					1ull << 63, ~0ull };
	struct fix *f = fix_new();
	size_t i;

	parse(f, VIRTIO_BLK_T_IN, CAP - 1, 0, 512);
	EXPECT_EQ(f->req.op, KVS_BLK_READ);
	parse(f, VIRTIO_BLK_T_IN, CAP - 1, 0, 1024);
	decided(f, VIRTIO_BLK_S_IOERR);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		parse(f, VIRTIO_BLK_T_IN, bad[i], 0, 512);
		decided(f, VIRTIO_BLK_S_IOERR);
		parse(f, VIRTIO_BLK_T_OUT, bad[i], 512, 0);
		decided(f, VIRTIO_BLK_S_IOERR);
	}
	free(f);
}

TEST("B-02 only whole logical blocks")
{
	struct fix *f = fix_new();

	parse(f, VIRTIO_BLK_T_IN, 0, 0, 511);
	decided(f, VIRTIO_BLK_S_IOERR);
	parse(f, VIRTIO_BLK_T_OUT, 0, 513, 0);
	decided(f, VIRTIO_BLK_S_IOERR);
	f->lim.block_size = 4096;
	parse(f, VIRTIO_BLK_T_IN, 8, 0, 4096);
	EXPECT_EQ(f->req.op, KVS_BLK_READ);
	parse(f, VIRTIO_BLK_T_IN, 9, 0, 4096);
	decided(f, VIRTIO_BLK_S_IOERR);
	parse(f, VIRTIO_BLK_T_IN, 8, 0, 512);
	decided(f, VIRTIO_BLK_S_IOERR);
	free(f);
}

static void range(struct fix *f, uint32_t type, uint64_t sector, uint32_t nr,
		  uint32_t flags, uint32_t count)
{
	struct virtio_blk_discard_write_zeroes r = {
		htole64(sector), htole32(nr), htole32(flags) };
	uint32_t i;

	for (i = 0; i < count; i++)
		memcpy(f->mem + 4096 + i * 16, &r, 16);
	parse(f, type, 0, count * 16, 0);
}

TEST("B-03 a read-only disk is never changed")
{
	struct fix *f = fix_new();

	f->lim.readonly = true;
	parse(f, VIRTIO_BLK_T_OUT, 0, 512, 0);
	decided(f, VIRTIO_BLK_S_IOERR);
	range(f, VIRTIO_BLK_T_DISCARD, 0, 8, 0, 1);
	EXPECT_EQ(f->req.op, KVS_BLK_DONE);
	range(f, VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 0, 1);
	EXPECT_EQ(f->req.op, KVS_BLK_DONE);
	parse(f, VIRTIO_BLK_T_IN, 0, 0, 512);
	EXPECT_EQ(f->req.op, KVS_BLK_READ);
	parse(f, VIRTIO_BLK_T_FLUSH, 0, 0, 0);
	EXPECT_EQ(f->req.op, KVS_BLK_FLUSH);
	free(f);
}

TEST("B-04 discard and write-zeroes ranges")
{
	const uint32_t D = VIRTIO_BLK_T_DISCARD;
	const uint32_t Z = VIRTIO_BLK_T_WRITE_ZEROES;
	struct fix *f = fix_new();

	range(f, D, 100, 64, 0, 1);
	EXPECT_EQ(f->req.op, KVS_BLK_DISCARD);
	EXPECT_EQ(f->req.nr_range, 1);
	EXPECT_EQ(f->req.range[0].sector, 100);
	EXPECT_EQ(f->req.range[0].nr, 64);
	range(f, D, 100, 65, 0, 1);
	decided(f, VIRTIO_BLK_S_IOERR);
	range(f, Z, 100, 128, 1, 16);
	EXPECT_EQ(f->req.op, KVS_BLK_WRITE_ZEROES);
	EXPECT_EQ(f->req.nr_range, 16);
	EXPECT(f->req.range[15].unmap, "unmap flag");
	range(f, Z, 100, 129, 0, 1);
	decided(f, VIRTIO_BLK_S_IOERR);
	range(f, D, 0, 8, 0, 17);
	decided(f, VIRTIO_BLK_S_IOERR);
	range(f, D, 0, 8, 0, 0);
	decided(f, VIRTIO_BLK_S_IOERR);
	range(f, D, 0, 8, 1, 1);
	decided(f, VIRTIO_BLK_S_UNSUPP);
	range(f, Z, 0, 8, 2, 1);
	decided(f, VIRTIO_BLK_S_UNSUPP);
	range(f, D, CAP - 7, 8, 0, 1);
	decided(f, VIRTIO_BLK_S_IOERR);
	range(f, D, ~0ull, 8, 0, 1);
	decided(f, VIRTIO_BLK_S_IOERR);
	parse(f, D, 0, 15, 0);
	decided(f, VIRTIO_BLK_S_IOERR);
	f->lim.max_discard = 0;
	range(f, D, 0, 8, 0, 1);
	decided(f, VIRTIO_BLK_S_UNSUPP);
	free(f);
}

TEST("B-04 secure erase: whole units of the disk, or not at all")
{
	const uint32_t E = VIRTIO_BLK_T_SECURE_ERASE;
	struct fix *f = fix_new();

	range(f, E, 0, 8, 0, 1);
	decided(f, VIRTIO_BLK_S_UNSUPP);
	f->lim.max_secure_erase = 60;
	range(f, E, 101, 33, 0, 2);
	EXPECT_EQ(f->req.op, KVS_BLK_SECURE_ERASE);
	EXPECT_EQ(f->req.nr_range, 2);
	EXPECT_EQ(f->req.range[1].sector, 101);
	EXPECT_EQ(f->req.range[1].nr, 33);
	EXPECT(!f->req.range[1].unmap, "unmap flag");
	f->lim.erase_align = 12;
	range(f, E, 24, 60, 0, 1);
	EXPECT_EQ(f->req.op, KVS_BLK_SECURE_ERASE);
	range(f, E, 24, 61, 0, 1);
	decided(f, VIRTIO_BLK_S_IOERR);
	range(f, E, 24, 72, 0, 1);
	decided(f, VIRTIO_BLK_S_IOERR);
	range(f, E, 25, 12, 0, 1);
	decided(f, VIRTIO_BLK_S_IOERR);
	range(f, E, CAP - 4, 12, 0, 1);
	decided(f, VIRTIO_BLK_S_IOERR);
	range(f, E, 24, 12, 1, 1);
	decided(f, VIRTIO_BLK_S_UNSUPP);
	f->lim.readonly = true;
	range(f, E, 24, 12, 0, 1);
	decided(f, VIRTIO_BLK_S_IOERR);
	free(f);
}

TEST("B-05 unknown types, get-id of any size")
{
	struct fix *f = fix_new();
	uint32_t len;

	parse(f, 2, 0, 0, 512);
	decided(f, VIRTIO_BLK_S_UNSUPP);
	parse(f, ~0u, 0, 512, 0);
	decided(f, VIRTIO_BLK_S_UNSUPP);
	for (len = 0; len <= 40; len++) {
		memset(f->mem + 4096, '.', 64);
		parse(f, VIRTIO_BLK_T_GET_ID, 0, 0, len);
		decided(f, VIRTIO_BLK_S_OK);
		EXPECT_EQ(f->req.written, len < 20 ? len : 20);
		EXPECT(!memcmp(f->mem + 4096, f->lim.serial, f->req.written),
		       "id of %u bytes", len);
		EXPECT_EQ(f->mem[4096 + f->req.written], '.');
	}
	free(f);
}

TEST("D-10 header, data and status cut at every byte")
{
	struct fix *f = fix_new();
	uint32_t cut, i, sum;

	for (cut = 0; cut <= 16 + 512; cut++) {
		header(f, VIRTIO_BLK_T_OUT, 5);
		memset(&f->c, 0, offsetof(struct kvs_chain, seg));
		piece(f, false, 0, cut);
		piece(f, false, cut, 528 - cut);
		piece(f, true, 64, 1);
		ASSERT_EQ(kvs_blk_parse(&f->lim, &f->c, &f->req), 0);
		ASSERT_EQ(f->req.op, KVS_BLK_WRITE);
		ASSERT_EQ(f->req.len, 512);
		for (i = 0, sum = 0; i < f->req.nr_iov; i++)
			sum += (uint32_t)f->req.iov[i].iov_len;
		ASSERT_EQ(sum, 512);
		ASSERT(f->req.iov[0].iov_base == f->mem + 16, "cut at %u",
		       cut);
	}
	for (cut = 0; cut <= 513; cut++) {
		header(f, VIRTIO_BLK_T_IN, 5);
		piece(f, true, 4096, cut);
		piece(f, true, 4096 + cut, 513 - cut);
		ASSERT_EQ(kvs_blk_parse(&f->lim, &f->c, &f->req), 0);
		ASSERT_EQ(f->req.op, KVS_BLK_READ);
		ASSERT(f->req.status_hva == f->mem + 4096 + 512, "status");
		ASSERT_EQ(f->req.status_gpa, GPA + 4096 + 512);
		for (i = 0, sum = 0; i < f->req.nr_iov; i++)
			sum += (uint32_t)f->req.iov[i].iov_len;
		ASSERT_EQ(sum, 512);
	}
	free(f);
}

TEST("D-11 no status byte, short header, empty chain")
{
	struct fix *f = fix_new();

	header(f, VIRTIO_BLK_T_FLUSH, 0);
	ASSERT_EQ(kvs_blk_parse(&f->lim, &f->c, &f->req), 0);
	decided(f, VIRTIO_BLK_S_IOERR);
	EXPECT(!f->req.status_hva, "a status address out of nowhere");
	memset(&f->c, 0, offsetof(struct kvs_chain, seg));
	ASSERT_EQ(kvs_blk_parse(&f->lim, &f->c, &f->req), 0);
	decided(f, VIRTIO_BLK_S_IOERR);
	EXPECT(!f->req.status_hva, "a status address out of nowhere");
	piece(f, false, 0, 15);
	piece(f, true, 64, 1);
	ASSERT_EQ(kvs_blk_parse(&f->lim, &f->c, &f->req), 0);
	decided(f, VIRTIO_BLK_S_IOERR);
	EXPECT(f->req.status_hva == f->mem + 64, "status address");
	free(f);
}
