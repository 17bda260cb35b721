// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What the module knows of devices and queues: dumps of the generic netlink
 * family "kvasir".
 *
 * A dump is gathered whole before the caller sees any of it: the kernel may
 * report that the list changed half way, and then it is read again.
 */
#include <errno.h>
#include <linux/kvasir.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define DUMP_TRIES	8
#define DUMP_BUFFER	32768	/* largest piece the kernel sends of a dump */

/* of either kind of message */
#define ATTRS_MAX \
	((int)KVASIR_A_DEV_MAX > (int)KVASIR_A_QUEUE_MAX ? \
	 (int)KVASIR_A_DEV_MAX : (int)KVASIR_A_QUEUE_MAX)

static const char *const counter_names[] = {
	[KVASIR_C_KICKS] = "kicks",
	[KVASIR_C_WAKEUPS] = "wakeups",
	[KVASIR_C_CALLS] = "calls",
	[KVASIR_C_CALLS_AVOIDED] = "calls-avoided",
	[KVASIR_C_REQUESTS] = "requests",
	[KVASIR_C_BYTES_IN] = "bytes-in",
	[KVASIR_C_BYTES_OUT] = "bytes-out",
	[KVASIR_C_READS] = "reads",
	[KVASIR_C_WRITES] = "writes",
	[KVASIR_C_FLUSHES] = "flushes",
	[KVASIR_C_DISCARDS] = "discards",
	[KVASIR_C_ERRORS] = "errors",
	[KVASIR_C_BOUNCED] = "bounced",
	[KVASIR_C_DROP_HEADER] = "drop-header",
	[KVASIR_C_DROP_LOWER] = "drop-lower",
	[KVASIR_C_DROP_NOBUF] = "drop-nobuf",
	[KVASIR_C_BAD_CHAIN] = "bad-chain",
	[KVASIR_C_BROKEN] = "broken",
	[KVASIR_C_NO_BUFFERS] = "no-buffers",
	[KVASIR_C_BUDGET] = "budget",
	[KVASIR_C_POLL_TRIES] = "poll-tries",
	[KVASIR_C_POLL_HITS] = "poll-hits",
	[KVASIR_C_POLL_NS] = "poll-ns",
	[KVASIR_C_DISK_BUSY] = "disk-busy",
};

_Static_assert(ARRAY_LEN(counter_names) == KVASIR_C_MAX + 1,
	       "a counter has no name");
_Static_assert(KVASIR_C_MAX < KVASIR_COUNTERS_MAX,
	       "struct kvasir_queue_info is too small");

const char *kvasir_counter_name(unsigned int counter)
{
	return counter < ARRAY_LEN(counter_names) ? counter_names[counter] :
						    NULL;
}

/* One dump under way: a growing array of @item_size bytes each. */
struct dump {
	int (*parse)(struct nlattr **attrs, void *item);
	const struct nla_policy *policy;
	int attr_max;
	size_t item_size;
	char *items;
	size_t nr, room;
	int err;		/* of the kernel, or of a callback */
	bool done;
};

static int dev_parse(struct nlattr **a, void *item)
{
	struct kvasir_dev_info *info = item;

	if (!a[KVASIR_A_DEV_ID] || !a[KVASIR_A_DEV_TYPE])
		return -EPROTO;
	info->sz = sizeof(*info);
	info->id = nla_get_u32(a[KVASIR_A_DEV_ID]);
	info->type = nla_get_u32(a[KVASIR_A_DEV_TYPE]);
	if (a[KVASIR_A_DEV_PID])
		info->pid = nla_get_u32(a[KVASIR_A_DEV_PID]);
	if (a[KVASIR_A_DEV_QUEUES])
		info->queues = nla_get_u32(a[KVASIR_A_DEV_QUEUES]);
	if (a[KVASIR_A_DEV_RUNNING])
		info->running = nla_get_u32(a[KVASIR_A_DEV_RUNNING]);
	if (a[KVASIR_A_DEV_REGIONS])
		info->regions = nla_get_u32(a[KVASIR_A_DEV_REGIONS]);
	if (a[KVASIR_A_DEV_FEATURES])
		info->features = nla_get_u64(a[KVASIR_A_DEV_FEATURES]);
	if (a[KVASIR_A_DEV_BACKEND])
		nla_strlcpy(info->backend, a[KVASIR_A_DEV_BACKEND],
			    sizeof(info->backend));
	return 0;
}

static void counters_parse(struct nlattr *nest, uint64_t *counters)
{
	struct nlattr *attr;
	int rem;

	nla_for_each_nested(attr, nest, rem) {
		if (nla_type(attr) >= KVASIR_COUNTERS_MAX ||
		    nla_len(attr) != sizeof(uint64_t))
			continue;
		counters[nla_type(attr)] = nla_get_u64(attr);
	}
}

static int queue_parse(struct nlattr **a, void *item)
{
	struct kvasir_queue_info *info = item;

	if (!a[KVASIR_A_QUEUE_DEV_ID] || !a[KVASIR_A_QUEUE_INDEX])
		return -EPROTO;
	info->sz = sizeof(*info);
	info->dev_id = nla_get_u32(a[KVASIR_A_QUEUE_DEV_ID]);
	info->index = nla_get_u32(a[KVASIR_A_QUEUE_INDEX]);
	if (a[KVASIR_A_QUEUE_STATE])
		info->state = nla_get_u32(a[KVASIR_A_QUEUE_STATE]);
	if (a[KVASIR_A_QUEUE_SIZE])
		info->size = nla_get_u32(a[KVASIR_A_QUEUE_SIZE]);
	if (a[KVASIR_A_QUEUE_WORKER_PID])
		info->worker_pid = nla_get_u32(a[KVASIR_A_QUEUE_WORKER_PID]);
	if (a[KVASIR_A_QUEUE_INFLIGHT])
		info->inflight = nla_get_u32(a[KVASIR_A_QUEUE_INFLIGHT]);
	if (a[KVASIR_A_QUEUE_COUNTERS])
		counters_parse(a[KVASIR_A_QUEUE_COUNTERS], info->counters);
	return 0;
}

static void *dump_add(struct dump *d)
{
	size_t room;
	char *items;

	if (d->nr == d->room) {
		room = d->room ? 2 * d->room : 16;
		items = realloc(d->items, room * d->item_size);
		if (!items)
			return NULL;
		d->items = items;
		d->room = room;
	}
	items = d->items + d->nr++ * d->item_size;
	memset(items, 0, d->item_size);
	return items;
}

static int on_valid(struct nl_msg *msg, void *ctx)
{
	struct nlattr *attrs[ATTRS_MAX + 1];
	struct dump *d = ctx;
	void *item;

	if (genlmsg_parse(nlmsg_hdr(msg), 0, attrs, d->attr_max, d->policy)) {
		d->err = -EPROTO;
		return NL_STOP;
	}
	item = dump_add(d);
	d->err = item ? d->parse(attrs, item) : -ENOMEM;
	return d->err ? NL_STOP : NL_OK;
}

static int on_finish(struct nl_msg *msg, void *ctx)
{
	struct nlmsghdr *hdr = nlmsg_hdr(msg);
	struct dump *d = ctx;

	/* A dump that failed half way ends with its error. */
	if (nlmsg_datalen(hdr) >= (int)sizeof(int))
		memcpy(&d->err, nlmsg_data(hdr), sizeof(int));
	d->done = true;
	return NL_STOP;
}

static int on_error(struct sockaddr_nl *from, struct nlmsgerr *e, void *ctx)
{
	struct dump *d = ctx;

	(void)from;
	d->err = e->error ? e->error : -EPROTO;
	return NL_STOP;
}

/* libnl's own codes, for what can happen on a local socket */
static int nl_to_errno(int nlerr)
{
	switch (-nlerr) {
	case NLE_SUCCESS:
		return 0;
	case NLE_INTR:
		return -EINTR;
	case NLE_NOMEM:
		return -ENOMEM;
	case NLE_PERM:
	case NLE_NOACCESS:
		return -EPERM;
	case NLE_OBJ_NOTFOUND:
		return -ENOENT;
	case NLE_DUMP_INTR:
		return -EAGAIN;
	case NLE_AF_NOSUPPORT:
	case NLE_PROTO_MISMATCH:
		return -EAFNOSUPPORT;
	default:
		return -EIO;
	}
}

static int dump_request(struct nl_sock *sock, int family, uint8_t cmd,
			uint32_t dev_id)
{
	struct nl_msg *msg;
	int ret;

	msg = nlmsg_alloc();
	if (!msg)
		return -ENOMEM;
	ret = -ENOMEM;
	if (!genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, family, 0, NLM_F_DUMP,
			 cmd, KVASIR_GENL_VERSION))
		goto out;
	if (cmd == KVASIR_CMD_QUEUE_GET && dev_id != UINT32_MAX &&
	    nla_put_u32(msg, KVASIR_A_QUEUE_DEV_ID, dev_id))
		goto out;
	ret = nl_send_auto(sock, msg);
	ret = ret < 0 ? nl_to_errno(ret) : 0;
out:
	nlmsg_free(msg);
	return ret;
}

static int dump_receive(struct nl_sock *sock, struct dump *d)
{
	struct nl_cb *cb;
	int ret = 0;

	cb = nl_cb_alloc(NL_CB_DEFAULT);
	if (!cb)
		return -ENOMEM;
	nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, on_valid, d);
	nl_cb_set(cb, NL_CB_FINISH, NL_CB_CUSTOM, on_finish, d);
	nl_cb_err(cb, NL_CB_CUSTOM, on_error, d);
	while (!d->done && !d->err && ret >= 0)
		ret = nl_recvmsgs(sock, cb);
	nl_cb_put(cb);
	if (d->err)
		return d->err;
	return ret < 0 ? nl_to_errno(ret) : 0;
}

static int dump_once(struct dump *d, uint8_t cmd, uint32_t dev_id)
{
	struct nl_sock *sock;
	int family, ret;

	d->nr = 0;
	d->err = 0;
	d->done = false;
	sock = nl_socket_alloc();
	if (!sock)
		return -ENOMEM;
	ret = nl_to_errno(genl_connect(sock));
	if (ret)
		goto out;
	nl_socket_set_msg_buf_size(sock, DUMP_BUFFER);
	family = genl_ctrl_resolve(sock, KVASIR_GENL_NAME);
	if (family < 0) {
		ret = nl_to_errno(family);
		goto out;
	}
	ret = dump_request(sock, family, cmd, dev_id);
	if (!ret)
		ret = dump_receive(sock, d);
out:
	nl_socket_free(sock);
	return ret;
}

static int dump_all(struct dump *d, uint8_t cmd, uint32_t dev_id)
{
	int tries, ret;

	for (tries = 0; tries < DUMP_TRIES; tries++) {
		ret = dump_once(d, cmd, dev_id);
		if (ret != -EAGAIN)
			break;
	}
	return ret;
}

int kvasir_list_devs(kvasir_dev_fn fn, void *ctx)
{
	static const struct nla_policy policy[KVASIR_A_DEV_MAX + 1] = {
		[KVASIR_A_DEV_ID] = { .type = NLA_U32 },
		[KVASIR_A_DEV_TYPE] = { .type = NLA_U32 },
		[KVASIR_A_DEV_PID] = { .type = NLA_U32 },
		[KVASIR_A_DEV_FEATURES] = { .type = NLA_U64 },
		[KVASIR_A_DEV_QUEUES] = { .type = NLA_U32 },
		[KVASIR_A_DEV_RUNNING] = { .type = NLA_U32 },
		[KVASIR_A_DEV_BACKEND] = { .type = NLA_STRING },
		[KVASIR_A_DEV_REGIONS] = { .type = NLA_U32 },
	};
	struct dump d = {
		.parse = dev_parse,
		.policy = policy,
		.attr_max = KVASIR_A_DEV_MAX,
		.item_size = sizeof(struct kvasir_dev_info),
	};
	const struct kvasir_dev_info *info;
	size_t i;
	int ret;

	if (!fn)
		return -EINVAL;
	ret = dump_all(&d, KVASIR_CMD_DEV_GET, UINT32_MAX);
	info = (const struct kvasir_dev_info *)d.items;
	for (i = 0; !ret && i < d.nr; i++)
		ret = fn(&info[i], ctx);
	free(d.items);
	return ret;
}

int kvasir_list_queues(uint32_t dev_id, kvasir_queue_fn fn, void *ctx)
{
	static const struct nla_policy policy[KVASIR_A_QUEUE_MAX + 1] = {
		[KVASIR_A_QUEUE_DEV_ID] = { .type = NLA_U32 },
		[KVASIR_A_QUEUE_INDEX] = { .type = NLA_U32 },
		[KVASIR_A_QUEUE_STATE] = { .type = NLA_U32 },
		[KVASIR_A_QUEUE_SIZE] = { .type = NLA_U32 },
		[KVASIR_A_QUEUE_WORKER_PID] = { .type = NLA_U32 },
		[KVASIR_A_QUEUE_INFLIGHT] = { .type = NLA_U32 },
		[KVASIR_A_QUEUE_COUNTERS] = { .type = NLA_NESTED },
	};
	struct dump d = {
		.parse = queue_parse,
		.policy = policy,
		.attr_max = KVASIR_A_QUEUE_MAX,
		.item_size = sizeof(struct kvasir_queue_info),
	};
	const struct kvasir_queue_info *info;
	size_t i;
	int ret;

	if (!fn)
		return -EINVAL;
	ret = dump_all(&d, KVASIR_CMD_QUEUE_GET, dev_id);
	info = (const struct kvasir_queue_info *)d.items;
	for (i = 0; !ret && i < d.nr; i++)
		ret = fn(&info[i], ctx);
	free(d.items);
	return ret;
}
