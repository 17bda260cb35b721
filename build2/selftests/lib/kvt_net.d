/tmp/h/bench/build2/selftests/lib/kvt_net.o: lib/kvt_net.c lib/kvt_net.h \
 lib/kvt_nl.h ../kmod/include/uapi/linux/kvasir.h lib/kvt.h \
 lib/kvt_vhost.h lib/kvt_ring.h
lib/kvt_net.h:
lib/kvt_nl.h:
../kmod/include/uapi/linux/kvasir.h:
lib/kvt.h:
lib/kvt_vhost.h:
lib/kvt_ring.h:
