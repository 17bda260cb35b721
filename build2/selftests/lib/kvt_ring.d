/tmp/h/bench/build2/selftests/lib/kvt_ring.o: lib/kvt_ring.c \
 lib/kvt_ring.h lib/kvt.h
lib/kvt_ring.h:
lib/kvt.h:
