/tmp/h/bench/build2/selftests/lib/kvt_blk.o: lib/kvt_blk.c \
 ../kmod/include/uapi/linux/kvasir.h lib/kvt_blk.h lib/kvt_nl.h lib/kvt.h \
 lib/kvt_vhost.h lib/kvt_ring.h
../kmod/include/uapi/linux/kvasir.h:
lib/kvt_blk.h:
lib/kvt_nl.h:
lib/kvt.h:
lib/kvt_vhost.h:
lib/kvt_ring.h:
