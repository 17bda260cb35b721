// SPDX-License-Identifier: GPL-2.0-only
/* A disk as the guest's driver sees it; see kvt_blk.h. */
#include <endian.h>
#include <fcntl.h>
#include <linux/kvasir.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "kvt_blk.h"

#define SCRATCH (128u << 10)
#define IO_MS 20000

void kvt_disk_rings(struct kvt_disk *d)
{
	unsigned int i;

	for (i = 0; i < d->nr_queues; i++) {
		kvt_ring_reset(&d->q[i]);
		kvt_vring_setup(&d->dev, i, &d->q[i]);
	}
}

void kvt_disk_open(struct kvt_disk *d, unsigned int nr_queues, uint16_t num,
		   uint64_t features, size_t mem_size)
{
	unsigned int flags = kvt_ring_flags(features), i;

	ASSERT(nr_queues <= KVT_DISK_QUEUES, "%u queues", nr_queues);
	memset(d, 0, sizeof(*d));
	d->nr_queues = nr_queues;
	kvt_mem_init(&d->mem, mem_size + SCRATCH + (1u << 20) + nr_queues *
		     num * (size_t)(16 * KVT_INDIRECT_MAX + 64), 1 << 20);
	kvt_dev_init(&d->dev, kvt_blk_node(), &d->mem, features);
	d->ours = kvt_ours(kvt_blk_node());
	if (d->ours) {
		struct kvt_dev_stat st;

		ASSERT(kvt_nl_find(KVASIR_DEV_BLK, getpid(), &st),
		       "the device is not listed by netlink");
		d->id = st.id;
	}
	for (i = 0; i < nr_queues; i++)
		kvt_ring_init(&d->q[i], &d->mem, num, flags);
	d->scratch = kvt_mem_alloc(&d->mem, SCRATCH, 4096);
	kvt_disk_rings(d);
}

void kvt_disk_close(struct kvt_disk *d)
{
	unsigned int i;

	close(d->dev.fd);
	for (i = 0; i < d->nr_queues; i++)
		kvt_ring_free(&d->q[i]);
	kvt_mem_free(&d->mem);
}

int kvt_disk_backend(struct kvt_disk *d, int fd, uint32_t flags,
		     uint32_t block_size, const char *serial)
{
	struct kvasir_blk_backend b = {
		.size = sizeof(b), .flags = flags, .fd = fd,
		.logical_block_size = block_size,
	};

	if (serial)
		memcpy(b.serial, serial, strnlen(serial, sizeof(b.serial)));
	if (ioctl(d->dev.fd, KVASIR_BLK_SET_BACKEND, &b) < 0)
		return -errno;
	d->capacity = b.capacity;
	d->max_discard = b.max_discard_sectors;
	d->max_write_zeroes = b.max_write_zeroes_sectors;
	return 0;
}

void kvt_bio_init(struct kvt_disk *d, struct kvt_bio *bio, uint32_t size)
{
	memset(bio, 0, sizeof(*bio));
	bio->hdr = kvt_mem_alloc(&d->mem, sizeof(*bio->hdr), 16);
	bio->status = kvt_mem_alloc(&d->mem, 1, 1);
	bio->data = kvt_mem_alloc(&d->mem, size, 512);
	bio->size = size;
}

bool kvt_bio_out(uint32_t type)
{
	return type == VIRTIO_BLK_T_OUT || type == VIRTIO_BLK_T_DISCARD ||
	       type == VIRTIO_BLK_T_WRITE_ZEROES;
}

void kvt_bio_submit_sg(struct kvt_disk *d, unsigned int q, struct kvt_bio *bio,
		       uint32_t type, uint64_t sector, const struct kvt_sg *data,
		       unsigned int nr)
{
	struct kvt_sg sg[KVT_INDIRECT_MAX];
	bool out = kvt_bio_out(type);

	ASSERT(nr + 2 <= KVT_INDIRECT_MAX, "%u pieces", nr);
	bio->hdr->type = htole32(type);
	bio->hdr->ioprio = 0;
	bio->hdr->sector = htole64(sector);
	*bio->status = KVT_NO_STATUS;
	bio->done = false;
	sg[0] = kvt_sg(&d->mem, bio->hdr, sizeof(*bio->hdr));
	memcpy(&sg[1], data, nr * sizeof(*data));
	sg[nr + 1] = kvt_sg(&d->mem, bio->status, 1);
	kvt_ring_add(&d->q[q], sg, out ? nr + 1 : 1, out ? 1 : nr + 1, bio);
	kvt_ring_kick(&d->q[q]);
}

void kvt_bio_submit(struct kvt_disk *d, unsigned int q, struct kvt_bio *bio,
		    uint32_t type, uint64_t sector, uint32_t len)
{
	struct kvt_sg sg = kvt_sg(&d->mem, bio->data, len);

	ASSERT(len <= bio->size, "%u bytes", len);
	kvt_bio_submit_sg(d, q, bio, type, sector, &sg, len ? 1 : 0);
}

struct kvt_bio *kvt_bio_reap(struct kvt_disk *d, unsigned int q,
			     unsigned int ms)
{
	struct kvt_bio *bio;
	uint32_t len;

	if (kvt_ring_wait(&d->q[q], 1, ms))
		return NULL;
	bio = kvt_ring_get(&d->q[q], NULL, &len);
	bio->used = len;
	bio->done = true;
	return bio;
}

struct kvt_bio *kvt_disk_reap(struct kvt_disk *d, unsigned int ms)
{
	unsigned int q;

	for (q = 0; q < d->nr_queues; q++)
		if (kvt_ring_used(&d->q[q]))
			return kvt_bio_reap(d, q, ms);
	/* sleep where something is in flight */
	for (q = 0; q < d->nr_queues; q++)
		if (d->q[q].nr_free != d->q[q].num)
			return kvt_bio_reap(d, q, ms);
	return NULL;
}

int kvt_disk_io(struct kvt_disk *d, unsigned int q, uint32_t type,
		uint64_t sector, void *buf, uint32_t len)
{
	/* header, status and data share the scratch area */
	struct kvt_bio bio = {
		.hdr = (void *)d->scratch, .status = d->scratch + 64,
		.data = d->scratch + 4096, .size = SCRATCH - 4096,
	};
	bool out = kvt_bio_out(type);
	struct kvt_bio *done;

	if (out)
		memcpy(bio.data, buf, len);
	kvt_bio_submit(d, q, &bio, type, sector, len);
	done = kvt_bio_reap(d, q, IO_MS);
	ASSERT(done == &bio, "request of type %u not completed in %u ms",
	       type, IO_MS);
	if (!out && len)
		memcpy(buf, bio.data, len);
	return *bio.status;
}

/* A service holds the queue's lock, and so does this: none is under way. */
static void served(struct kvt_disk *d, unsigned int q)
{
	struct vhost_vring_state s = { .index = q };

	ASSERT_OK(ioctl(d->dev.fd, VHOST_GET_VRING_BASE, &s));
}

void kvt_disk_taken(struct kvt_disk *d, unsigned int q, unsigned int n)
{
	uint64_t deadline = kvt_deadline(IO_MS);
	struct kvt_queue_stat st;

	while (kvt_nl_queue(d->id, q, &st), st.inflight < n &&
	       kvt_left(deadline))
		kvt_sleep(1);
	ASSERT_EQ(st.inflight, n);
	served(d, q);
}

void kvt_disk_rests(struct kvt_disk *d, unsigned int q)
{
	uint64_t deadline = kvt_deadline(IO_MS);
	struct kvt_ring *ring = &d->q[q];

	ASSERT(!(ring->flags & (KVT_RING_EVENT_IDX | KVT_RING_PACKED)),
	       "no ring whose flag tells");
	/* A fresh ring looks as if it rested. */
	ASSERT(kvt_nl_wait(d->id, q, KVASIR_C_WAKEUPS, 1, IO_MS),
	       "never served");
	served(d, q);
	while (le16toh(__atomic_load_n(&ring->used->flags, __ATOMIC_ACQUIRE)) &
	       VRING_USED_F_NO_NOTIFY && kvt_left(deadline))
		kvt_sleep(1);
	ASSERT(kvt_left(deadline), "it asks for no kick");
	/* It looks once more after it has asked. */
	served(d, q);
}

int kvt_file(off_t size)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/kvt-XXXXXX", kvt_env("TMPDIR", "/tmp"));
	fd = mkostemp(path, O_CLOEXEC);
	ASSERT(fd >= 0, "%s: %s", path, strerror(errno));
	unlink(path);
	ASSERT_OK(ftruncate(fd, size));
	return fd;
}

int kvt_blockdev(const char *path, const char *module)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	char cmd[256];

	if (fd < 0) {
		snprintf(cmd, sizeof(cmd), "modprobe -q %s", module);
		if (system(cmd))
			SKIP("modprobe %s failed", module);
		fd = open(path, O_RDWR | O_CLOEXEC);
	}
	ASSERT(fd >= 0, "open %s: %s", path, strerror(errno));
	return fd;
}

/* $1: name, the rest: attributes. configfs is mounted if it is not. */
static const char nullblk_sh[] =
	"modprobe -q null_blk nr_devices=0 || exit\n"
	"c=/sys/kernel/config\n"
	"[ -d $c/nullb ] || mount -t configfs c $c || exit\n"
	"d=$c/nullb/$1; shift\n"
	"mkdir $d || exit\n"
	"for a in size=16 memory_backed=1 discard=1 irqmode=2 "
	"completion_nsec=200000 $* power=1; do\n"
	"	echo ${a#*=} >$d/${a%%=*} || exit\n"
	"done\n";

int kvt_nullblk(const char *name, const char *attrs)
{
	char path[64], cmd[sizeof(nullblk_sh) + 256];

	snprintf(path, sizeof(path), "/dev/%s", name);
	if (access(path, F_OK)) {
		snprintf(cmd, sizeof(cmd), "set -- %s %s\n%s", name, attrs,
			 nullblk_sh);
		if (system(cmd))
			SKIP("cannot make a null_blk device by configfs");
	}
	return kvt_blockdev(path, "null_blk");
}

int kvt_ext4(const char *dir)
{
	int fd = kvt_blockdev(KVT_RAMDISK);

	close(fd);
	if (!kvt_run("mkfs.ext4 -q -F /dev/ram0 2>/dev/null"))
		SKIP("mkfs.ext4 (package e2fsprogs) is missing");
	mkdir(dir, 0700);
	ASSERT_OK(unshare(CLONE_NEWNS));
	ASSERT_OK(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	ASSERT_OK(mount("/dev/ram0", dir, "ext4", 0, NULL));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ASSERT(fd >= 0, "open %s: %s", dir, strerror(errno));
	return fd;
}

bool kvt_run(const char *fmt, ...)
{
	char cmd[1024], line[256];
	va_list ap;
	FILE *out;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(cmd, sizeof(cmd) - 5, fmt, ap);
	va_end(ap);
	ASSERT(n > 0 && (size_t)n < sizeof(cmd) - 5, "command too long");
	memcpy(cmd + n, " 2>&1", 6);
	fflush(stdout);
	out = popen(cmd, "re");
	ASSERT(out, "%s: %s", cmd, strerror(errno));
	while (fgets(line, sizeof(line), out))
		NOTE("%.*s", (int)strcspn(line, "\n"), line);
	return !pclose(out);
}
