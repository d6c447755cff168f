#include "api0/shadow.h"

#include <stdio.h>
#include <string.h>

#include "api0/binding.h"

namespace opcache {

namespace {

bool save_outputs(const Real &r, const Primitive *p, Comparison *comparison) {
  for (int i = p->inputs; i < p->bindings; ++i) {
    void *data = nullptr;
    const_mkldnn_primitive_desc_t layout = nullptr;
    if (r.memory_get_data_handle(p->binding[i].caller, &data) != mkldnn_success ||
        r.primitive_get_primitive_desc(p->binding[i].caller, &layout) != mkldnn_success) {
      return false;
    }
    // 0 bytes: a view, of which MKL-DNN does not say how large it is.
    if (!comparison->save(data, r.memory_primitive_desc_get_size(layout))) return false;
  }
  return true;
}

// Runs the shadow, and undoes what it did; false: it cannot be compared.
bool run_shadow(const Real &r, const Primitive *p, Comparison *comparison) {
  mkldnn_stream_t stream = nullptr;
  if (!save_outputs(r, p, comparison) || r.stream_create(&stream, mkldnn_eager) != mkldnn_success) {
    return false;
  }
  mkldnn_primitive_t primitive = p->shadow->real;
  bool done = r.stream_submit(stream, 1, &primitive, nullptr) == mkldnn_success;
  done = r.stream_wait(stream, 1, nullptr) == mkldnn_success && done;
  r.stream_destroy(stream);
  comparison->undo();
  return done;
}

}  // namespace

bool differ(const Real &r, const_mkldnn_primitive_desc_t cached,
            const_mkldnn_primitive_desc_t fresh, const Descriptor *d, char *what, size_t size) {
  if (op_of(d) == kMemory) {
    snprintf(what, size, "the memory descriptor is another");
    return r.memory_primitive_desc_equal(cached, fresh) == 0;
  }
  const char *names[2] = {"", ""};
  const bool named =
      r.primitive_desc_query(cached, mkldnn_query_impl_info_str, 0, &names[0]) == mkldnn_success &&
      r.primitive_desc_query(fresh, mkldnn_query_impl_info_str, 0, &names[1]) == mkldnn_success;
  if (named && strcmp(names[0], names[1]) != 0) {
    snprintf(what, size, "the implementation is %s from the cache, %s created now", names[0],
             names[1]);
    return true;
  }
  for (int i = 0; i < d->inputs + d->outputs; ++i) {
    const bool input = i < d->inputs;
    const int index = input ? i : i - d->inputs;
    const mkldnn_query_t query = input ? mkldnn_query_input_pd : mkldnn_query_output_pd;
    const const_mkldnn_primitive_desc_t a = r.primitive_desc_query_pd(cached, query, index);
    const const_mkldnn_primitive_desc_t b = r.primitive_desc_query_pd(fresh, query, index);
    if (a == nullptr && b == nullptr) continue;
    if (a == nullptr || b == nullptr || r.memory_primitive_desc_equal(a, b) == 0) {
      snprintf(what, size, "the layout of %s %d is another", input ? "input" : "output", index);
      return true;
    }
  }
  return false;
}

mkldnn_status_t create_shadow(const Real &r, Primitive *p, const_mkldnn_primitive_desc_t descriptor,
                              mkldnn_primitive_t *result) {
  return create_over_callers(r, p, descriptor, result);
}

mkldnn_status_t submit_shadowed(const Real &r, ThreadCache *cache, mkldnn_stream_t stream, size_t n,
                                mkldnn_primitive_t *primitives,
                                mkldnn_primitive_t *error_primitive) {
  // What the real library refuses, it refuses as a whole, before any of them runs.
  bool refused = primitives == nullptr || n == 0;
  for (size_t i = 0; !refused && i < n; ++i) refused = primitives[i] == nullptr;
  if (refused) return r.stream_submit(stream, n, primitives, error_primitive);
  for (size_t i = 0; i < n; ++i) {
    const Primitive *p = find_primitive(primitives[i]);
    if (p != nullptr && p->shadow == nullptr) p = nullptr;
    Comparison comparison;
    const bool comparable = p != nullptr && run_shadow(r, p, &comparison);
    const mkldnn_status_t status = r.stream_submit(stream, 1, &primitives[i], error_primitive);
    if (status != mkldnn_success) return status;
    if (p == nullptr) continue;
    cache->counters().shadow[comparable ? kShadowExecutions : kShadowSkipped].add(1);
    char what[256];
    if (comparable && comparison.differs(what, sizeof(what))) {
      mismatch(cache, p->descriptor, what, p->shadow->descriptor->text);
    }
  }
  return mkldnn_success;
}

void count_unshadowed(ThreadCache *cache, const Primitive *p) {
  if (p->shadow != nullptr) cache->counters().shadow[kShadowSkipped].add(1);
}

}  // namespace opcache
