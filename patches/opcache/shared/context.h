// What every description depends on besides its own fields. Shared by both interfaces; knows no
// header of MKL-DNN. A Real has the functions of MKL-DNN's OpenMP runtime.
#ifndef OPCACHE_SHARED_CONTEXT_H_
#define OPCACHE_SHARED_CONTEXT_H_

#include <stdint.h>

namespace opcache {

// The engine, and the OpenMP team that kernels are sized for (batch normalisation sizes its buffers
// by it), which in a parallel region is one thread for some.
struct Context {
  const void *engine;  // nullptr: it could not be asked for
  int max_threads;
  bool in_parallel;
};

template <class Real>
Context context_of(const Real &r, const void *engine) {
  const bool in_parallel = r.omp_in_parallel != nullptr && r.omp_in_parallel() != 0;
  const Context context = {engine, r.omp_get_max_threads(), in_parallel};
  return context;
}

// The team in one number: its threads, negative in a parallel region, where some primitives are
// created for one thread, whatever the number says.
template <class Real>
int team_of(const Real &r) {
  const Context context = context_of(r, nullptr);
  return context.in_parallel ? -context.max_threads : context.max_threads;
}

template <class V>
void visit_context(V &v, const Context &context) {
  v.section("context");
  v.value("engine", reinterpret_cast<uintptr_t>(context.engine));
  v.number("max_threads", context.max_threads);
  v.number("in_parallel", context.in_parallel);
  if (context.engine == nullptr) v.unknown();
}

}  // namespace opcache

#endif  // OPCACHE_SHARED_CONTEXT_H_
