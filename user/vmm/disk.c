// SPDX-License-Identifier: GPL-2.0-only
/* H4: opens, checks and locks the file or block device behind a disk. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "disk.h"
#include "run.h"

#define SECTOR		512
#define PUNCH_PROBE	4096

struct request {
	struct vm *vm;
	const char *label;
	const struct disk_opts *opts;
};

static int disk_err(const struct request *r, int class, int code,
		    const char *what)
{
	return vmm_err_class(r->vm, class, code, "%s: %s: %s", r->label,
			     r->opts->path, what);
}

static int open_err(const struct request *r, int err)
{
	switch (err) {
	case EBUSY:
		return disk_err(r, EXIT_DISK, -err, "mounted or in use");
	case EACCES:
	case EPERM:
	case EROFS:
	case ETXTBSY:
		if (!r->opts->readonly && !access(r->opts->path, R_OK))
			return disk_err(r, EXIT_DISK, -err,
					"not writable (option readonly?)");
		/* fall through */
	default:
		return disk_err(r, EXIT_NO_FILE, -err, strerror(err));
	}
}

/* O_NONBLOCK: a FIFO must not hold us up before it is refused. */
static int open_flags(const struct request *r, bool excl, bool direct)
{
	int flags = O_CLOEXEC | O_NONBLOCK |
		    (r->opts->readonly ? O_RDONLY : O_RDWR) |
		    (excl ? O_EXCL : 0) | (direct ? O_DIRECT : 0);
	int fd = open(r->opts->path, flags);

	return fd < 0 ? -errno : fd;
}

static int open_file(const struct request *r, bool claim, struct disk *disk)
{
	struct stat st;
	int fd;

	if (stat(r->opts->path, &st))
		return open_err(r, errno);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return disk_err(r, EXIT_NO_FILE, -EINVAL,
				"neither a regular file nor a block device");
	claim = claim && S_ISBLK(st.st_mode) && !r->opts->readonly;
	fd = open_flags(r, claim, true);
	if (fd == -EINVAL)
		fd = open_flags(r, claim, false);
	if (fd < 0)
		return open_err(r, -fd);
	disk->fd = fd;
	if (fstat(fd, &st))
		return open_err(r, errno);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return disk_err(r, EXIT_NO_FILE, -EINVAL,
				"neither a regular file nor a block device");
	disk->blockdev = S_ISBLK(st.st_mode);
	disk->bytes = st.st_size;
	return 0;
}

static int lock_file(const struct request *r, const struct disk *disk)
{
	struct flock lock = {
		.l_type = disk->readonly ? F_RDLCK : F_WRLCK,
		.l_whence = SEEK_SET,
	};

	if (!fcntl(disk->fd, F_OFD_SETLK, &lock))
		return 0;
	if (errno == EAGAIN || errno == EACCES)
		return disk_err(r, EXIT_DISK, -EBUSY,
				"in use by another virtual machine (locked)");
	return disk_err(r, EXIT_DISK, -errno, strerror(errno));
}

int disk_measure(struct disk *disk)
{
	uint64_t before = disk->capacity;
	off_t end = lseek(disk->fd, 0, SEEK_END);

	if (end < 0)
		return -errno;
	disk->bytes = end;
	disk->capacity = disk->bytes / disk->block_size *
			 (disk->block_size / SECTOR);
	return disk->capacity != before;
}

static int blockdev_limits(struct disk *disk)
{
	unsigned int phys, io_min, io_opt;
	int logical, offset;

	if (ioctl(disk->fd, BLKSSZGET, &logical) < 0 ||
	    ioctl(disk->fd, BLKPBSZGET, &phys) < 0 ||
	    ioctl(disk->fd, BLKIOMIN, &io_min) < 0 ||
	    ioctl(disk->fd, BLKIOOPT, &io_opt) < 0 ||
	    ioctl(disk->fd, BLKALIGNOFF, &offset) < 0)
		return -errno;
	disk->block_size = logical;
	disk->phys_size = phys > disk->block_size ? phys : disk->block_size;
	disk->phys_offset = offset > 0 ? offset : 0;
	disk->io_min = io_min;
	disk->io_opt = io_opt;
	return 0;
}

static int measure(const struct request *r, struct disk *disk)
{
	int ret;

	disk->block_size = SECTOR;
	disk->phys_size = SECTOR;
	ret = disk->blockdev ? blockdev_limits(disk) : 0;
	if (!ret)
		ret = disk_measure(disk);
	if (ret < 0)
		return disk_err(r, EXIT_NO_FILE, ret, strerror(-ret));
	if (!disk->capacity)
		return disk_err(r, EXIT_NO_FILE, -EINVAL,
				"smaller than a sector");
	return 0;
}

/*
 * Keep O_DIRECT only if it works for single logical blocks: a file system
 * with larger ones would refuse requests the guest may make. Clears
 * O_NONBLOCK on the way, which io_uring would take as "do not wait".
 */
static int settle_flags(const struct request *r, struct disk *disk)
{
	void *buf = aligned_alloc(disk->block_size, disk->block_size);
	int flags = fcntl(disk->fd, F_GETFL);

	if (!buf)
		return disk_err(r, EXIT_NO_MEMORY, -ENOMEM, "out of memory");
	disk->direct = flags & O_DIRECT &&
		       pread(disk->fd, buf, disk->block_size, 0) ==
		       (ssize_t)disk->block_size;
	free(buf);
	if (fcntl(disk->fd, F_SETFL, disk->direct ? O_DIRECT : 0) < 0)
		return disk_err(r, EXIT_VMM, -errno, strerror(errno));
	return 0;
}

static uint64_t read_number(const char *path)
{
	uint64_t val = 0;
	char buf[32] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	if (read(fd, buf, sizeof(buf) - 1) > 0)
		val = strtoull(buf, NULL, 10);
	close(fd);
	return val;
}

static bool blockdev_discards(const struct disk *disk)
{
	static const char *const where[] = { "", "../" };	/* partition */
	struct stat st;
	char path[80];
	unsigned int i;

	if (fstat(disk->fd, &st))
		return false;
	for (i = 0; i < 2; i++) {
		snprintf(path, sizeof(path),
			 "/sys/dev/block/%u:%u/%squeue/discard_max_bytes",
			 major(st.st_rdev), minor(st.st_rdev), where[i]);
		if (read_number(path))
			return true;
	}
	return false;
}

/* Punching behind the end changes nothing and tells whether it can be done. */
static bool file_discards(const struct disk *disk)
{
	off_t end = (disk->bytes + PUNCH_PROBE - 1) / PUNCH_PROBE *
		    PUNCH_PROBE;

	return !fallocate(disk->fd, FALLOC_FL_PUNCH_HOLE |
			  FALLOC_FL_KEEP_SIZE, end, PUNCH_PROBE);
}

int disk_open(struct vm *vm, const char *label, const struct disk_opts *opts,
	      bool claim, struct disk *disk)
{
	const struct request r = { vm, label, opts };
	int ret;

	*disk = (struct disk) { .fd = -1, .readonly = opts->readonly };
	ret = open_file(&r, claim, disk);
	if (!ret)
		ret = lock_file(&r, disk);
	if (!ret)
		ret = measure(&r, disk);
	if (!ret)
		ret = settle_flags(&r, disk);
	if (ret) {
		disk_close(disk);
		return ret;
	}
	if (!disk->readonly)
		disk->can_discard = disk->blockdev ? blockdev_discards(disk) :
				    file_discards(disk);
	return 0;
}

void disk_close(struct disk *disk)
{
	if (disk->fd >= 0)
		close(disk->fd);
	disk->fd = -1;
}
