/tmp/h/bench/build2/selftests/lib/kvt_nl.o: lib/kvt_nl.c lib/kvt_nl.h \
 ../kmod/include/uapi/linux/kvasir.h lib/kvt.h
lib/kvt_nl.h:
../kmod/include/uapi/linux/kvasir.h:
lib/kvt.h:
