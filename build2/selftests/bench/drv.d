/tmp/h/bench/build2/selftests/bench/drv.o: bench/drv.c bench/drv.h \
 lib/kvt_net.h lib/kvt_nl.h ../kmod/include/uapi/linux/kvasir.h lib/kvt.h \
 lib/kvt_vhost.h lib/kvt_ring.h
bench/drv.h:
lib/kvt_net.h:
lib/kvt_nl.h:
../kmod/include/uapi/linux/kvasir.h:
lib/kvt.h:
lib/kvt_vhost.h:
lib/kvt_ring.h:
