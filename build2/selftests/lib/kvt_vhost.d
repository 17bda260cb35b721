/tmp/h/bench/build2/selftests/lib/kvt_vhost.o: lib/kvt_vhost.c \
 lib/kvt_vhost.h lib/kvt_ring.h lib/kvt.h
lib/kvt_vhost.h:
lib/kvt_ring.h:
lib/kvt.h:
