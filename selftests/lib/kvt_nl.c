// SPDX-License-Identifier: GPL-2.0-only
/* The module's generic netlink family; see kvt_nl.h. */
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include "kvt_nl.h"

#define ASLEEP_MS 20000

/* One socket per test process; opened before it changes its namespace. */
static int nl = -1;
static uint16_t family;

struct request {
	struct nlmsghdr n;
	struct genlmsghdr g;
	char attr[64];
};

typedef void (*msg_fn)(const struct nlattr *first, int len, void *ctx);

static void attr_add(struct request *r, uint16_t type, const void *data,
		     size_t len)
{
	struct nlattr *a = (void *)((char *)r + NLMSG_ALIGN(r->n.nlmsg_len));

	a->nla_type = type;
	a->nla_len = (uint16_t)(NLA_HDRLEN + len);
	memcpy((char *)a + NLA_HDRLEN, data, len);
	r->n.nlmsg_len = NLMSG_ALIGN(r->n.nlmsg_len) + NLA_ALIGN(a->nla_len);
}

static void *attr_data(const struct nlattr *a)
{
	return (char *)a + NLA_HDRLEN;
}

static const struct nlattr *attr_next(const struct nlattr *a, int *len)
{
	int size = NLA_ALIGN(a->nla_len);

	*len -= size;
	return (const void *)((const char *)a + size);
}

static bool attr_ok(const struct nlattr *a, int len)
{
	return len >= NLA_HDRLEN && a->nla_len >= NLA_HDRLEN &&
	       a->nla_len <= len;
}

#define attr_each(a, len) \
	for (; attr_ok(a, len); a = attr_next(a, &len))

static uint32_t attr_u32(const struct nlattr *a)
{
	uint32_t v = 0;

	ASSERT_EQ(a->nla_len, NLA_HDRLEN + sizeof(v));
	memcpy(&v, attr_data(a), sizeof(v));
	return v;
}

static uint64_t attr_u64(const struct nlattr *a)
{
	uint64_t v = 0;

	ASSERT_EQ(a->nla_len, NLA_HDRLEN + sizeof(v));
	memcpy(&v, attr_data(a), sizeof(v));
	return v;
}

/* Send @r, hand every answer to @fn. Returns 0 or -errno. */
static int transact(struct request *r, msg_fn fn, void *ctx)
{
	char buf[32768] __attribute__((aligned(NLMSG_ALIGNTO)));

	ASSERT_EQ(send(nl, r, r->n.nlmsg_len, 0), r->n.nlmsg_len);
	for (;;) {
		struct nlmsghdr *n = (void *)buf;
		int len = (int)recv(nl, buf, sizeof(buf), 0);

		ASSERT(len > 0, "netlink: %s", strerror(errno));
		for (; NLMSG_OK(n, (unsigned int)len); n = NLMSG_NEXT(n, len)) {
			if (n->nlmsg_type == NLMSG_DONE)
				return 0;
			if (n->nlmsg_type == NLMSG_ERROR)
				return ((struct nlmsgerr *)NLMSG_DATA(n))->error;
			fn((void *)((char *)NLMSG_DATA(n) + GENL_HDRLEN),
			   (int)n->nlmsg_len - NLMSG_HDRLEN - GENL_HDRLEN,
			   ctx);
		}
	}
}

static void family_msg(const struct nlattr *a, int len, void *ctx)
{
	(void)ctx;
	attr_each(a, len)
		if (a->nla_type == CTRL_ATTR_FAMILY_ID)
			memcpy(&family, attr_data(a), sizeof(family));
}

static int socket_open(void)
{
	struct timeval tv = { .tv_sec = 10 };
	int s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);

	ASSERT(s >= 0, "netlink socket: %s", strerror(errno));
	ASSERT_OK(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	return s;
}

void kvt_nl_init(void)
{
	struct request r = {
		.n = { .nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN),
		       .nlmsg_type = GENL_ID_CTRL,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
		.g = { .cmd = CTRL_CMD_GETFAMILY, .version = 1 },
	};

	if (nl >= 0)
		return;
	nl = socket_open();
	attr_add(&r, CTRL_ATTR_FAMILY_NAME, KVASIR_GENL_NAME,
		 sizeof(KVASIR_GENL_NAME));
	/* without our module there is no family: the queries will say so */
	transact(&r, family_msg, NULL);
}

static int dump(uint8_t cmd, uint32_t dev_id, msg_fn fn, void *ctx)
{
	struct request r = {
		.n = { .nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN),
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.g = { .cmd = cmd, .version = KVASIR_GENL_VERSION },
	};

	kvt_nl_init();
	if (!family)
		SKIP("no netlink family \"%s\": load the module",
		     KVASIR_GENL_NAME);
	r.n.nlmsg_type = family;
	if (dev_id != UINT32_MAX)
		attr_add(&r, KVASIR_A_QUEUE_DEV_ID, &dev_id, sizeof(dev_id));
	return transact(&r, fn, ctx);
}

static void ignore_msg(const struct nlattr *a, int len, void *ctx)
{
	(void)a;
	(void)len;
	(void)ctx;
}

int kvt_nl_try(uint8_t cmd, uint16_t attr, const void *data, size_t len)
{
	struct request r = {
		.n = { .nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN),
		       .nlmsg_type = family,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.g = { .cmd = cmd, .version = KVASIR_GENL_VERSION },
	};
	int old = nl, ret;

	ASSERT(family, "no family");
	nl = socket_open();
	if (len)
		attr_add(&r, attr, data, len);
	ret = transact(&r, ignore_msg, NULL);
	close(nl);
	nl = old;
	return ret;
}

struct list {
	void *out;
	int max, nr;
};

static void dev_msg(const struct nlattr *a, int len, void *ctx)
{
	struct list *l = ctx;
	struct kvt_dev_stat d = { 0 };

	attr_each(a, len) {
		switch (a->nla_type & NLA_TYPE_MASK) {
		case KVASIR_A_DEV_ID:
			d.id = attr_u32(a);
			break;
		case KVASIR_A_DEV_TYPE:
			d.type = attr_u32(a);
			break;
		case KVASIR_A_DEV_PID:
			d.pid = attr_u32(a);
			break;
		case KVASIR_A_DEV_FEATURES:
			d.features = attr_u64(a);
			break;
		case KVASIR_A_DEV_QUEUES:
			d.queues = attr_u32(a);
			break;
		case KVASIR_A_DEV_RUNNING:
			d.running = attr_u32(a);
			break;
		case KVASIR_A_DEV_BACKEND:
			snprintf(d.backend, sizeof(d.backend), "%.*s",
				 a->nla_len - NLA_HDRLEN, (char *)attr_data(a));
			break;
		case KVASIR_A_DEV_REGIONS:
			d.regions = attr_u32(a);
			break;
		}
	}
	if (l->nr < l->max)
		((struct kvt_dev_stat *)l->out)[l->nr] = d;
	l->nr++;
}

static void counters(const struct nlattr *nest, struct kvt_queue_stat *q)
{
	const struct nlattr *a = attr_data(nest);
	int len = nest->nla_len - NLA_HDRLEN;

	attr_each(a, len) {
		int type = a->nla_type & NLA_TYPE_MASK;

		if (type != KVASIR_C_UNSPEC && type <= KVASIR_C_MAX)
			q->c[type] = attr_u64(a);
	}
}

static void queue_msg(const struct nlattr *a, int len, void *ctx)
{
	struct list *l = ctx;
	struct kvt_queue_stat q = { 0 };

	attr_each(a, len) {
		switch (a->nla_type & NLA_TYPE_MASK) {
		case KVASIR_A_QUEUE_DEV_ID:
			q.dev_id = attr_u32(a);
			break;
		case KVASIR_A_QUEUE_INDEX:
			q.index = attr_u32(a);
			break;
		case KVASIR_A_QUEUE_STATE:
			q.state = attr_u32(a);
			break;
		case KVASIR_A_QUEUE_SIZE:
			q.size = attr_u32(a);
			break;
		case KVASIR_A_QUEUE_WORKER_PID:
			q.worker = attr_u32(a);
			break;
		case KVASIR_A_QUEUE_INFLIGHT:
			q.inflight = attr_u32(a);
			break;
		case KVASIR_A_QUEUE_COUNTERS:
			counters(a, &q);
			break;
		}
	}
	if (l->nr < l->max)
		((struct kvt_queue_stat *)l->out)[l->nr] = q;
	l->nr++;
}

int kvt_nl_devs(struct kvt_dev_stat *out, int max)
{
	struct list l = { out, max, 0 };

	ASSERT_EQ(dump(KVASIR_CMD_DEV_GET, UINT32_MAX, dev_msg, &l), 0);
	return l.nr;
}

int kvt_nl_queues(uint32_t dev_id, struct kvt_queue_stat *out, int max)
{
	struct list l = { out, max, 0 };

	ASSERT_EQ(dump(KVASIR_CMD_QUEUE_GET, dev_id, queue_msg, &l), 0);
	return l.nr;
}

bool kvt_nl_find(uint32_t type, pid_t pid, struct kvt_dev_stat *out)
{
	struct kvt_dev_stat d[128];
	int i, n = kvt_nl_devs(d, 128);
	bool found = false;

	for (i = 0; i < n && i < 128; i++) {
		if (d[i].type != type || d[i].pid != (uint32_t)pid ||
		    (found && d[i].id < out->id))
			continue;
		*out = d[i];
		found = true;
	}
	return found;
}

void kvt_nl_queue(uint32_t dev_id, uint32_t index, struct kvt_queue_stat *out)
{
	struct kvt_queue_stat q[KVASIR_BLK_MAX_QUEUES];
	int i, n = kvt_nl_queues(dev_id, q, KVASIR_BLK_MAX_QUEUES);

	for (i = 0; i < n && i < KVASIR_BLK_MAX_QUEUES; i++) {
		if (q[i].dev_id == dev_id && q[i].index == index) {
			*out = q[i];
			return;
		}
	}
	ASSERT(false, "queue %u of device %u is not listed", index, dev_id);
}

uint64_t kvt_nl_counter(uint32_t dev_id, uint32_t index, int counter)
{
	struct kvt_queue_stat q;

	kvt_nl_queue(dev_id, index, &q);
	return q.c[counter];
}

/*
 * Who asks for a service wakes the worker before the call returns, and only
 * without work it sleeps in a way that signals end ('S').
 */
void kvt_nl_asleep(uint32_t dev_id, uint32_t index)
{
	uint64_t deadline = kvt_deadline(ASLEEP_MS);
	struct kvt_queue_stat q;
	char line[1024];

	kvt_nl_queue(dev_id, index, &q);
	while (*kvt_stat_field(q.worker, 3, line) != 'S') {
		ASSERT(kvt_left(deadline), "the worker of queue %u of device %u does not sleep",
		       index, dev_id);
		kvt_sleep(1);
	}
}

uint64_t kvt_nl_wait(uint32_t dev_id, uint32_t index, int counter,
		     uint64_t want, unsigned int ms)
{
	uint64_t deadline = kvt_deadline(ms), v;

	for (;;) {
		v = kvt_nl_counter(dev_id, index, counter);
		if (v >= want || !kvt_left(deadline))
			return v;
		kvt_sleep(5);
	}
}
