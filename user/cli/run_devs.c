// SPDX-License-Identifier: GPL-2.0-only
/*
 * --net and --disk: a list of key=value separated by commas. A comma that
 * belongs to a value is written twice. Unknown and repeated keys are refused.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "output.h"
#include "run_devs.h"

#define MAX_KEYS	8
#define MAX_NET_QUEUES	8

/* One list being read. */
struct keys {
	const char *option;	/* "--net": what complaints begin with */
	const char *seen[MAX_KEYS];
	unsigned int nr_seen;
};

/* Takes one key; @value is NULL when there was no '='. */
typedef int (*key_fn)(struct keys *k, void *dst, const char *key,
		      const char *value);

static int refuse(const struct keys *k, const char *key, const char *value,
		  const char *why)
{
	return out_error(EXIT_USAGE, "%s: %s%s%s: %s", k->option, key,
			 value ? "=" : "", value ? value : "", why);
}

/*
 * Cut the next item off *@rest, in place, "" included; NULL at the end. Two
 * commas become one that does not separate.
 */
static char *next_item(char **rest)
{
	char *item = *rest, *in, *out;

	if (!item)
		return NULL;
	for (in = out = item; *in; in++) {
		if (*in == ',' && in[1] != ',') {
			*rest = in + 1;
			*out = '\0';
			return item;
		}
		if (*in == ',')
			in++;
		*out++ = *in;
	}
	*out = '\0';
	*rest = NULL;
	return item;
}

static int once(struct keys *k, const char *key, const char *value)
{
	unsigned int i;

	for (i = 0; i < k->nr_seen; i++)
		if (!strcmp(k->seen[i], key))
			return refuse(k, key, value, "given twice");
	if (k->nr_seen == MAX_KEYS)
		return refuse(k, key, value, "too many keys");
	k->seen[k->nr_seen++] = key;
	return 0;
}

static int read_keys(struct keys *k, char *rest, key_fn fn, void *dst)
{
	char *item, *value;
	int ret;

	while ((item = next_item(&rest))) {
		value = strchr(item, '=');
		if (value)
			*value++ = '\0';
		if (!*item)
			return out_error(EXIT_USAGE, "%s: empty key",
					 k->option);
		if (value && !*value)
			return refuse(k, item, value, "empty value");
		ret = once(k, item, value);
		if (!ret)
			ret = fn(k, dst, item, value);
		if (ret)
			return ret;
	}
	return 0;
}

/* ---- values the two options share ---- */

static int get_backend(struct keys *k, enum backend *out, const char *key,
		       const char *value)
{
	static const char *const names[] = {
		[BACKEND_AUTO] = "auto",
		[BACKEND_KVASIR] = "kvasir",
		[BACKEND_VHOST] = "vhost",
		[BACKEND_USER] = "user",
	};
	unsigned int i;

	for (i = 0; value && i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(value, names[i])) {
			*out = (enum backend)i;
			return 0;
		}
	return refuse(k, key, value,
		      "not a backend (auto, kvasir, vhost or user)");
}

static int get_on_off(struct keys *k, bool *out, const char *key,
		      const char *value)
{
	if (value && !strcmp(value, "on"))
		*out = true;
	else if (value && !strcmp(value, "off"))
		*out = false;
	else
		return refuse(k, key, value, "not on or off");
	return 0;
}

static int get_queues(struct keys *k, unsigned int *out, unsigned int max,
		      const char *key, const char *value)
{
	uint64_t n;
	char why[64];

	if (value && !parse_uint(value, 1, max, &n)) {
		*out = (unsigned int)n;
		return 0;
	}
	snprintf(why, sizeof(why), "not a whole number from 1 to %u", max);
	return refuse(k, key, value, why);
}

static int get_serial(struct keys *k, const char **out, const char *key,
		      const char *value)
{
	const char *p;

	if (!value || strlen(value) > 20)
		return refuse(k, key, value, "not 1 to 20 characters");
	for (p = value; *p; p++)
		if (*p <= ' ' || *p > '~')
			return refuse(k, key, value,
				      "not printable ASCII without blanks");
	*out = value;
	return 0;
}

/* ---- --net ---- */

/* As the kernel would take it (dev_valid_name), so that errors come early. */
static int get_ifname(struct keys *k, char *out, size_t size, const char *key,
		      const char *value)
{
	const char *p;

	if (!value || strlen(value) >= size)
		return refuse(k, key, value,
			      "not an interface name of 1 to 15 characters");
	for (p = value; *p; p++)
		if (*p <= ' ' || *p > '~' || *p == '/' || *p == ':' ||
		    *p == '%')
			break;
	if (*p || !strcmp(value, ".") || !strcmp(value, ".."))
		return refuse(k, key, value, "not an interface name");
	strcpy(out, value);
	return 0;
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' :
	       c >= 'a' && c <= 'f' ? c - 'a' + 10 :
	       c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool parse_mac(const char *s, uint8_t mac[6])
{
	int i, high, low;

	if (strlen(s) != 17)
		return false;
	for (i = 0; i < 6; i++, s += 3) {
		high = hex_digit(s[0]);
		low = hex_digit(s[1]);
		if (high < 0 || low < 0 || (i < 5 && s[2] != ':'))
			return false;
		mac[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

static int get_mac(struct keys *k, uint8_t mac[6], const char *key,
		   const char *value)
{
	static const uint8_t zero[6];

	if (!value || !parse_mac(value, mac))
		return refuse(k, key, value,
			      "not a MAC address like 52:54:00:12:34:56");
	if (mac[0] & 1 || !memcmp(mac, zero, sizeof(zero)))
		return refuse(k, key, value,
			      "not a unicast MAC address");
	return 0;
}

static int net_key(struct keys *k, void *dst, const char *key,
		   const char *value)
{
	struct net_opts *net = dst;

	if (!strcmp(key, "tap"))
		return get_ifname(k, net->tap, sizeof(net->tap), key, value);
	if (!strcmp(key, "bridge"))
		return get_ifname(k, net->bridge, sizeof(net->bridge), key,
				  value);
	if (!strcmp(key, "backend"))
		return get_backend(k, &net->backend, key, value);
	if (!strcmp(key, "queues"))
		return get_queues(k, &net->queues, MAX_NET_QUEUES, key, value);
	if (!strcmp(key, "mac"))
		return get_mac(k, net->mac, key, value);
	if (!strcmp(key, "packed"))
		return get_on_off(k, &net->packed, key, value);
	return refuse(k, key, value,
		      "unknown key (tap, bridge, backend, queues, mac, packed)");
}

int run_devs_net(void *dst, const char *value)
{
	struct keys k = { .option = "--net" };
	struct run_devs *devs = dst;
	struct net_opts *net;
	char *copy;
	int ret;

	if (devs->nr_nets == VMM_MAX_NETS)
		return out_error(EXIT_USAGE, "--net: more than %d",
				 VMM_MAX_NETS);
	net = &devs->nets[devs->nr_nets];
	net->queues = 1;
	copy = strdup(value);
	if (!copy)
		return out_error(EXIT_NO_MEMORY, "out of memory");
	ret = read_keys(&k, copy, net_key, net);
	free(copy);
	if (ret)
		return ret;
	if (!net->tap[0] == !net->bridge[0])
		return out_error(EXIT_USAGE,
				 "--net %s: needs either tap=NAME or bridge=NAME",
				 value);
	devs->nr_nets++;
	return 0;
}

/* ---- --disk ---- */

static int get_cache(struct keys *k, bool *writethrough, const char *key,
		     const char *value)
{
	if (value && !strcmp(value, "writeback"))
		*writethrough = false;
	else if (value && !strcmp(value, "writethrough"))
		*writethrough = true;
	else
		return refuse(k, key, value, "writeback or writethrough");
	return 0;
}

static int disk_key(struct keys *k, void *dst, const char *key,
		    const char *value)
{
	struct disk_opts *disk = dst;

	if (!strcmp(key, "backend")) {
		if (value && !strcmp(value, "vhost"))
			return refuse(k, key, value,
				      "there is no stock backend for disks");
		return get_backend(k, &disk->backend, key, value);
	}
	if (!strcmp(key, "queues"))
		return get_queues(k, &disk->queues, VIRTIO_MAX_QUEUES, key,
				  value);
	if (!strcmp(key, "serial"))
		return get_serial(k, &disk->serial, key, value);
	if (!strcmp(key, "readonly")) {
		if (value)
			return refuse(k, key, value, "takes no value");
		disk->readonly = true;
		return 0;
	}
	if (!strcmp(key, "workers"))
		return get_queues(k, &disk->workers, VIRTIO_MAX_QUEUES, key,
				  value);
	if (!strcmp(key, "cache"))
		return get_cache(k, &disk->writethrough, key, value);
	if (!strcmp(key, "poll"))
		return get_on_off(k, &disk->poll, key, value);
	return refuse(k, key, value,
		      "unknown key (backend, queues, workers, readonly, cache, poll, serial)");
}

int run_devs_disk(void *dst, const char *value)
{
	struct keys k = { .option = "--disk" };
	struct run_devs *devs = dst;
	struct disk_opts *disk;
	char *rest;

	if (devs->nr_disks == VMM_MAX_DISKS)
		return out_error(EXIT_USAGE, "--disk: more than %d",
				 VMM_MAX_DISKS);
	disk = &devs->disks[devs->nr_disks];
	/* The path comes first, so it is also what has to be freed. */
	rest = strdup(value);
	if (!rest)
		return out_error(EXIT_NO_MEMORY, "out of memory");
	disk->path = next_item(&rest);
	devs->nr_disks++;
	if (!disk->path[0])
		return out_error(EXIT_USAGE, "--disk %s: needs a path", value);
	return read_keys(&k, rest, disk_key, disk);
}

void run_devs_free(struct run_devs *devs)
{
	unsigned int i;

	for (i = 0; i < devs->nr_disks; i++)
		free((char *)devs->disks[i].path);
	devs->nr_disks = 0;
}
