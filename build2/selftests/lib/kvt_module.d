/tmp/h/bench/build2/selftests/lib/kvt_module.o: lib/kvt_module.c \
 lib/kvt_module.h lib/kvt.h
lib/kvt_module.h:
lib/kvt.h:
