// SPDX-License-Identifier: GPL-2.0-only
/* H4: the disk behind a blk device: what it is, what it can, whose it is. */
#include <linux/blkdev.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/log2.h>
#include <linux/sizes.h>

#include "blk.h"

/* Sectors of one discard or write-zeroes range. */
#define MAX_RANGE_SECTORS	(SZ_128M >> KVS_SECTOR_SHIFT)

static int disk_check_file(const struct file *file, bool readonly)
{
	const struct inode *inode = file_inode(file);

	if (!S_ISREG(inode->i_mode) && !S_ISBLK(inode->i_mode))
		return -ENOTBLK;
	if (IS_SWAPFILE(inode) || IS_SWAPFILE(file->f_mapping->host))
		return -ETXTBSY;
	if (file->f_flags & O_APPEND || !(file->f_mode & FMODE_READ) ||
	    (!readonly && !(file->f_mode & FMODE_WRITE)) ||
	    !(file->f_mode & FMODE_CAN_READ) ||
	    (!readonly && !(file->f_mode & FMODE_CAN_WRITE)))
		return -EBADF;
	if (!file->f_op->read_iter || (!readonly && !file->f_op->write_iter))
		return -EINVAL;
	return 0;
}

/* The device's own limit: an erasure is not cut into pieces. */
static void disk_set_erase(struct kvs_blk_limits *lim,
			   struct block_device *bdev)
{
	u32 align = bdev_discard_granularity(bdev) >> KVS_SECTOR_SHIFT;

	lim->max_secure_erase = min_t(u32, MAX_RANGE_SECTORS,
				      bdev_max_secure_erase_sectors(bdev));
	lim->erase_align = align;
	if (align && lim->max_secure_erase)
		lim->max_secure_erase -= lim->max_secure_erase % align;
}

static int disk_set_bdev(struct kvs_blk_disk *disk)
{
	struct kvs_blk_limits *lim = &disk->lim;
	struct block_device *bdev = I_BDEV(disk->file->f_mapping->host);
	void *claim;

	if (!lim->readonly) {
		if (bdev_read_only(bdev))
			return -EROFS;
		claim = kvs_bdev_claim(bdev, disk);
		if (IS_ERR(claim))
			return PTR_ERR(claim);
		disk->claim = claim;
		lim->max_write_zeroes = MAX_RANGE_SECTORS;
		if (bdev_max_discard_sectors(bdev))
			lim->max_discard = MAX_RANGE_SECTORS;
		disk_set_erase(lim, bdev);
	}
	disk->bdev = bdev;
	disk->mem_align = bdev_dma_alignment(bdev) + 1;
	disk->pos_align = bdev_logical_block_size(bdev);
	return 0;
}

static void disk_set_regular(struct kvs_blk_disk *disk)
{
	struct kvs_blk_limits *lim = &disk->lim;
	struct inode *inode = file_inode(disk->file);

	/* File systems differ; the strictest of them asks for this. */
	disk->mem_align = i_blocksize(inode);
	if (inode->i_sb->s_bdev)
		disk->mem_align = bdev_logical_block_size(inode->i_sb->s_bdev);
	disk->pos_align = disk->mem_align;
	if (!lim->readonly && disk->file->f_op->fallocate) {
		lim->max_discard = MAX_RANGE_SECTORS;
		lim->max_write_zeroes = MAX_RANGE_SECTORS;
	}
}

static int disk_set_block_size(struct kvs_blk_disk *disk, u32 wanted)
{
	u32 own = disk->bdev ? bdev_logical_block_size(disk->bdev) :
			       KVS_SECTOR_SIZE;

	if (!wanted)
		wanted = own;
	if (!is_power_of_2(wanted) || wanted < own || wanted > 4096)
		return -EINVAL;
	disk->lim.block_size = wanted;
	disk->lim.capacity = kvs_blk_disk_measure(disk);
	return 0;
}

/* The size by now: 512-byte sectors, whole logical blocks. */
u64 kvs_blk_disk_measure(const struct kvs_blk_disk *disk)
{
	u64 sectors = disk->bdev ? bdev_nr_sectors(disk->bdev) :
		      i_size_read(file_inode(disk->file)) >> KVS_SECTOR_SHIFT;

	return round_down(sectors, disk->lim.block_size >> KVS_SECTOR_SHIFT);
}

static void describe_bdev(const struct kvs_blk_disk *disk,
			  struct kvasir_blk_backend *b)
{
	struct block_device *bdev = disk->bdev;
	int offset = bdev_alignment_offset(bdev);

	b->physical_block_size = bdev_physical_block_size(bdev);
	b->alignment_offset = max(offset, 0);	/* -1: misaligned, unknown how */
	b->io_min = bdev_io_min(bdev);
	b->io_opt = max(bdev_io_opt(bdev), 0);
	b->discard_align_sectors = bdev_discard_granularity(bdev) >>
				   KVS_SECTOR_SHIFT;
	if (bdev_write_cache(bdev))
		b->caps |= KVASIR_BLK_C_VOLATILE;
	if (bdev_write_zeroes_sectors(bdev))
		b->caps |= KVASIR_BLK_C_UNMAP;
}

/**
 * kvs_blk_disk_describe() - what the disk is, for the caller of the ioctl
 * @disk: open
 * @b: its output members are set
 */
void kvs_blk_disk_describe(const struct kvs_blk_disk *disk,
			   struct kvasir_blk_backend *b)
{
	const struct kvs_blk_limits *lim = &disk->lim;

	b->capacity = lim->capacity;
	b->logical_block_size = lim->block_size;
	b->max_discard_sectors = lim->max_discard;
	b->max_write_zeroes_sectors = lim->max_write_zeroes;
	b->seg_max = KVS_CHAIN_MAX - 2;		/* header, status */
	b->caps = disk->polled ? KVASIR_BLK_C_POLLED : 0;
	if (disk->bdev) {
		describe_bdev(disk, b);
	} else {
		b->physical_block_size = i_blocksize(file_inode(disk->file));
		b->alignment_offset = 0;
		b->io_min = b->physical_block_size;
		b->io_opt = 0;
		b->discard_align_sectors = b->physical_block_size >>
					   KVS_SECTOR_SHIFT;
		b->caps |= KVASIR_BLK_C_VOLATILE | KVASIR_BLK_C_UNMAP;
	}
	b->physical_block_size = max(b->physical_block_size, lim->block_size);
	b->io_min = max(b->io_min, lim->block_size);
	b->max_secure_erase_sectors = lim->max_secure_erase;
	b->secure_erase_align_sectors = lim->erase_align;
	b->reserved = 0;
}

/**
 * kvs_blk_disk_open() - take the disk named in KVASIR_BLK_SET_BACKEND
 * @disk: zeroed
 * @b: checked for size and flags
 *
 * Return: 0 or the errors listed at struct kvasir_blk_backend; @disk is
 * closed again then.
 */
int kvs_blk_disk_open(struct kvs_blk_disk *disk,
		      const struct kvasir_blk_backend *b)
{
	int ret;

	memset(disk, 0, sizeof(*disk));
	disk->lim.readonly = b->flags & KVASIR_BLK_F_READONLY;
	memcpy(disk->lim.serial, b->serial, sizeof(disk->lim.serial));
	disk->file = fget(b->fd);
	if (!disk->file)
		return -EBADF;
	ret = disk_check_file(disk->file, disk->lim.readonly);
	if (ret)
		goto err;
	if (S_ISBLK(file_inode(disk->file)->i_mode)) {
		ret = disk_set_bdev(disk);
		if (ret)
			goto err;
	} else {
		disk_set_regular(disk);
	}
	ret = disk_set_block_size(disk, b->logical_block_size);
	if (ret)
		goto err;
	/* All requests one way: direct I/O and the page cache do not mix. */
	disk->direct = disk->file->f_mode & FMODE_CAN_ODIRECT &&
		       disk->pos_align <= disk->lim.block_size;
	/* A worker that waited for room could not poll for the room it waits for. */
	disk->polled = b->flags & KVASIR_BLK_F_POLLED && disk->bdev &&
		       kvs_bdev_can_poll(disk->bdev) && bdev_nowait(disk->bdev);
	return 0;

err:
	kvs_blk_disk_close(disk);
	return ret;
}

void kvs_blk_disk_close(struct kvs_blk_disk *disk)
{
	if (disk->claim)
		kvs_bdev_unclaim(disk->claim);
	if (disk->file)
		fput(disk->file);
	memset(disk, 0, sizeof(*disk));
}
