/tmp/h/bench/build2/selftests/lib/kvt.o: lib/kvt.c lib/kvt.h
lib/kvt.h:
