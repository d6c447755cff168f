// The two worlds that a fuzz compares: MKL-DNN through the library, and a second copy of the fake
// that nothing stands before. Both are reached through the same table of functions.
#pragma once

#include "api.h"
#include "fake_mkldnn.h"

namespace fuzz {

// What the fake tells of itself; X(name without the fake_ prefix)
#define FUZZ_FAKE_FUNCTIONS(X) \
  X(call_back)                 \
  X(content)                   \
  X(created)                   \
  X(execution)                 \
  X(executions)                \
  X(foreign_destroys)          \
  X(forget_executions)         \
  X(left)                      \
  X(misuse)                    \
  X(misuses)                   \
  X(reuse_addresses)           \
  X(set_max_threads)

struct World : api::Api {
  struct {
#define FUZZ_DECLARE(name) decltype(&fake_##name) name;
    FUZZ_FAKE_FUNCTIONS(FUZZ_DECLARE)
#undef FUZZ_DECLARE
  } fake;
};

const int kWorlds = 2;

inline World through_the_library() {
  World w;
  static_cast<api::Api &>(w) = api::through();
#define FUZZ_TAKE(name) w.fake.name = fake_##name;
  FUZZ_FAKE_FUNCTIONS(FUZZ_TAKE)
#undef FUZZ_TAKE
  return w;
}

inline World reference() {
  // Its own calls stay inside it: it is linked with -Bsymbolic.
  void *const library = dlopen("libmkldnn_reference.so", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    fprintf(stderr, "fuzz: %s\n", dlerror());
    exit(2);
  }
  World w;
  static_cast<api::Api &>(w) = api::of_library(library);
#define FUZZ_TAKE(name) \
  w.fake.name = reinterpret_cast<decltype(w.fake.name)>(api::find(library, "fake_" #name));
  FUZZ_FAKE_FUNCTIONS(FUZZ_TAKE)
#undef FUZZ_TAKE
  return w;
}

// 0: through the library; 1: the reference. Ends the program when there is no reference.
inline const World &world(int which) {
  static const World worlds[kWorlds] = {through_the_library(), reference()};
  return worlds[which];
}

}  // namespace fuzz
