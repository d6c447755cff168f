// Part of the library under SANITIZE=gcov: writes its counters where a test would lose them, in
// children that end by _exit and under a limit on files.
#undef _exit
#include <sys/resource.h>
#include <unistd.h>

extern "C" void __gcov_dump();

extern "C" __attribute__((visibility("default"))) void mkldnn_gcov_exit(int code) {
  __gcov_dump();
  _exit(code);
}

// Runs after the library's own destructors and before gcov's, which has priority 100.
__attribute__((destructor(101))) static void lift_limits() {
  const decltype(RLIMIT_FSIZE) limited[] = {RLIMIT_FSIZE, RLIMIT_NOFILE};
  for (const auto resource : limited) {
    struct rlimit limits;
    getrlimit(resource, &limits);
    limits.rlim_cur = limits.rlim_max;
    setrlimit(resource, &limits);
  }
}
