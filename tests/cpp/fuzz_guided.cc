// The fuzz on the fake, led by coverage of the library: libFuzzer makes up the bytes of a sequence.
// A file that it leaves behind is replayed, and cut down to the shortest, by `fuzz FILE`.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fuzz_twin.h"
#include "opcache.h"

extern "C" int LLVMFuzzerInitialize(int *, char ***argv) {
  // The library reads its environment when it is loaded.
  if (getenv("MKLDNN_OPCACHE_ASSUME") == nullptr) {
    setenv("MKLDNN_OPCACHE_ASSUME", "v0.17.4", 1);
    execv("/proc/self/exe", *argv);
    perror("fuzz_guided");
    _exit(2);
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  for (int w = 0; w < fuzz::kWorlds; ++w) {
    fuzz::world(w).fake.set_max_threads(4);
    fuzz::world(w).fake.call_back(0);
  }
  mkldnn_opcache_set_scope("all", nullptr, 0);
  mkldnn_opcache_set_capacity(4096);
  mkldnn_opcache_set_memory(MKLDNN_OPCACHE_NO_MEMORY_BOUND);
  fuzz::Twin twin;
  twin.run(fuzz::steps_of(bytes, size));
  if (twin.difference().empty()) return 0;
  fprintf(stderr, "%s\n", twin.difference().c_str());
  abort();
}
