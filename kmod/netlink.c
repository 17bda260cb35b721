// SPDX-License-Identifier: GPL-2.0-only
/*
 * Generic netlink family "kvasir": which devices are open and what their
 * queues have done. Read-only dumps; the format is in <linux/kvasir.h> and
 * Documentation/netlink/specs/kvasir.yaml.
 *
 * A dump continues at a device number and a queue index, so devices that come
 * and go between two messages cost at most their own entry.
 */
#include <net/genetlink.h>

#include "kvasir.h"

static struct genl_family kvs_genl_family;

/* cb->args: what to continue with */
enum { ARG_DEV, ARG_QUEUE };

static u32 dev_running_queues(const struct kvs_dev *dev)
{
	u32 i, n = 0;

	for (i = 0; i < dev->nr_vqs; i++)
		n += READ_ONCE(dev->vqs[i].state) != KVASIR_QUEUE_STOPPED;
	return n;
}

/* Under kvs_devs_lock; the fields are read as they are at the moment. */
static int put_dev(struct sk_buff *skb, struct netlink_callback *cb,
		   struct kvs_dev *dev)
{
	void *hdr;

	hdr = genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
			  &kvs_genl_family, NLM_F_MULTI, KVASIR_CMD_DEV_GET);
	if (!hdr)
		return -EMSGSIZE;
	if (nla_put_u32(skb, KVASIR_A_DEV_ID, dev->id) ||
	    nla_put_u32(skb, KVASIR_A_DEV_TYPE, dev->ops->type) ||
	    nla_put_u32(skb, KVASIR_A_DEV_PID, READ_ONCE(dev->pid)) ||
	    nla_put_u64_64bit(skb, KVASIR_A_DEV_FEATURES,
			      READ_ONCE(dev->features), KVASIR_A_DEV_PAD) ||
	    nla_put_u32(skb, KVASIR_A_DEV_QUEUES, dev->nr_vqs) ||
	    nla_put_u32(skb, KVASIR_A_DEV_RUNNING, dev_running_queues(dev)) ||
	    nla_put_u32(skb, KVASIR_A_DEV_REGIONS, READ_ONCE(dev->nr_regions)) ||
	    nla_put_string(skb, KVASIR_A_DEV_BACKEND, dev->backend)) {
		genlmsg_cancel(skb, hdr);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, hdr);
	return 0;
}

static int kvs_nl_dev_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct kvs_dev *dev;

	mutex_lock(&kvs_devs_lock);
	list_for_each_entry(dev, &kvs_devs, node) {
		if (dev->id < cb->args[ARG_DEV])
			continue;
		if (put_dev(skb, cb, dev))
			break;
		cb->args[ARG_DEV] = dev->id + 1;
	}
	mutex_unlock(&kvs_devs_lock);
	return skb->len;
}

static int put_counters(struct sk_buff *skb, struct kvs_vq *vq)
{
	struct nlattr *nest;
	u32 i;

	nest = nla_nest_start(skb, KVASIR_A_QUEUE_COUNTERS);
	if (!nest)
		return -EMSGSIZE;
	for (i = 1; i <= KVASIR_C_MAX; i++) {
		u64 n = i == KVASIR_C_KICKS ? READ_ONCE(vq->bell.rings) :
					      READ_ONCE(vq->count[i]);

		/* Padding attributes have number 0, which is no counter. */
		if (nla_put_u64_64bit(skb, i, n, KVASIR_C_UNSPEC))
			return -EMSGSIZE;
	}
	nla_nest_end(skb, nest);
	return 0;
}

/* Without the queue's lock: a report must not wait for a slow disk. */
static int put_queue(struct sk_buff *skb, struct netlink_callback *cb,
		     struct kvs_vq *vq)
{
	void *hdr;

	hdr = genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
			  &kvs_genl_family, NLM_F_MULTI, KVASIR_CMD_QUEUE_GET);
	if (!hdr)
		return -EMSGSIZE;
	if (nla_put_u32(skb, KVASIR_A_QUEUE_DEV_ID, vq->dev->id) ||
	    nla_put_u32(skb, KVASIR_A_QUEUE_INDEX, vq->index) ||
	    nla_put_u32(skb, KVASIR_A_QUEUE_STATE, READ_ONCE(vq->state)) ||
	    nla_put_u32(skb, KVASIR_A_QUEUE_SIZE, READ_ONCE(vq->cfg.num)) ||
	    nla_put_u32(skb, KVASIR_A_QUEUE_WORKER_PID,
			READ_ONCE(vq->worker_pid)) ||
	    nla_put_u32(skb, KVASIR_A_QUEUE_INFLIGHT,
			READ_ONCE(vq->ring.inflight)) ||
	    put_counters(skb, vq)) {
		genlmsg_cancel(skb, hdr);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, hdr);
	return 0;
}

/* Queues of one device from @cb->args[ARG_QUEUE] on; those ever configured. */
static int dump_queues(struct sk_buff *skb, struct netlink_callback *cb,
		       struct kvs_dev *dev)
{
	u32 i;

	for (i = cb->args[ARG_QUEUE]; i < dev->nr_vqs; i++) {
		struct kvs_vq *vq = &dev->vqs[i];

		cb->args[ARG_QUEUE] = i;
		if (READ_ONCE(vq->cfg.num) && put_queue(skb, cb, vq))
			return -EMSGSIZE;
	}
	cb->args[ARG_QUEUE] = 0;
	return 0;
}

static int kvs_nl_queue_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct nlattr *want = kvs_genl_dump_attrs(cb)[KVASIR_A_DEV_ID];
	struct kvs_dev *dev;

	mutex_lock(&kvs_devs_lock);
	list_for_each_entry(dev, &kvs_devs, node) {
		if (dev->id < cb->args[ARG_DEV] ||
		    (want && nla_get_u32(want) != dev->id))
			continue;
		/* Not the device the last message broke off at: start anew. */
		if (dev->id != cb->args[ARG_DEV])
			cb->args[ARG_QUEUE] = 0;
		cb->args[ARG_DEV] = dev->id;
		if (dump_queues(skb, cb, dev))
			break;
		cb->args[ARG_DEV] = dev->id + 1;
	}
	mutex_unlock(&kvs_devs_lock);
	return skb->len;
}

static const struct nla_policy kvs_nl_policy[KVASIR_A_DEV_ID + 1] = {
	[KVASIR_A_DEV_ID] = { .type = NLA_U32 },
};

static const struct genl_ops kvs_genl_ops[] = {
	{
		.cmd = KVASIR_CMD_DEV_GET,
		.flags = GENL_ADMIN_PERM,
		.dumpit = kvs_nl_dev_dump,
	},
	{
		.cmd = KVASIR_CMD_QUEUE_GET,
		.flags = GENL_ADMIN_PERM,
		.policy = kvs_nl_policy,
		.maxattr = KVASIR_A_DEV_ID,
		.dumpit = kvs_nl_queue_dump,
	},
};

static struct genl_family kvs_genl_family __ro_after_init = {
	.name = KVASIR_GENL_NAME,
	.version = KVASIR_GENL_VERSION,
	.module = THIS_MODULE,
	.ops = kvs_genl_ops,
	.n_ops = ARRAY_SIZE(kvs_genl_ops),
};

int kvs_netlink_init(void)
{
	return genl_register_family(&kvs_genl_family);
}

void kvs_netlink_exit(void)
{
	genl_unregister_family(&kvs_genl_family);
}
