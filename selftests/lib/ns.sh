# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Network namespaces for tests in shell; source ktap.sh first. Each namespace
# is removed at the end of the test with everything in it.

# ns_add NAME...: quiet (no IPv6 autoconfiguration), loopback up
ns_add() {
	local ns
	for ns; do
		ip netns add "$ns" || return
		cleanup "ip netns del $ns"
		ip netns exec "$ns" sysctl -qw net.ipv6.conf.default.disable_ipv6=1 \
			net.ipv6.conf.all.disable_ipv6=1 2>/dev/null || :
		ip -n "$ns" link set lo up || return
	done
}

# in_ns NAME COMMAND...
in_ns() { ip netns exec "$@"; }

# ns_pair NS1 IF1 ADDR1 NS2 IF2 ADDR2: a veth cable between two namespaces
ns_pair() {
	ip link add "$2" netns "$1" type veth peer name "$5" netns "$4" &&
		ip -n "$1" addr add "$3" dev "$2" && ip -n "$1" link set "$2" up &&
		ip -n "$4" addr add "$6" dev "$5" && ip -n "$4" link set "$5" up
}
