/tmp/h/bench/build2/selftests/bench/workers.o: bench/workers.c lib/kvt.h \
 bench/workers.h
lib/kvt.h:
bench/workers.h:
