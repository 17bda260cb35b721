/tmp/h/bench/build2/selftests/bench/netload: bench/netload.c
