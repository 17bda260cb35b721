/tmp/h/bench/build2/selftests/bench/scale.o: bench/scale.c bench/drv.h \
 lib/kvt_net.h lib/kvt_nl.h ../kmod/include/uapi/linux/kvasir.h lib/kvt.h \
 lib/kvt_vhost.h lib/kvt_ring.h bench/workers.h
bench/drv.h:
lib/kvt_net.h:
lib/kvt_nl.h:
../kmod/include/uapi/linux/kvasir.h:
lib/kvt.h:
lib/kvt_vhost.h:
lib/kvt_ring.h:
bench/workers.h:
