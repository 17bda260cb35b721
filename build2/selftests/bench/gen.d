/tmp/h/bench/build2/selftests/bench/gen.o: bench/gen.c bench/gen.h \
 bench/drv.h lib/kvt_net.h lib/kvt_nl.h \
 ../kmod/include/uapi/linux/kvasir.h lib/kvt.h lib/kvt_vhost.h \
 lib/kvt_ring.h
bench/gen.h:
bench/drv.h:
lib/kvt_net.h:
lib/kvt_nl.h:
../kmod/include/uapi/linux/kvasir.h:
lib/kvt.h:
lib/kvt_vhost.h:
lib/kvt_ring.h:
