#include "api0/shadow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api0/binding.h"
#include "in_tree.h"
#include "report/message.h"

namespace opcache {

namespace {

const uint64_t kReports = 20;  // mismatches that are written out; all are counted
const int kMaxOutputs = 4;

std::atomic<uint64_t> g_reported(0);

ShadowDescriptor *new_shadow(mkldnn_primitive_desc_t pd, const char *text) {
  void *const memory = malloc(sizeof(ShadowDescriptor) + strlen(text));
  ShadowDescriptor *const shadow = static_cast<ShadowDescriptor *>(memory);
  if (shadow == nullptr) return nullptr;
  shadow->pd = pd;
  strcpy(shadow->text, text);
  return shadow;
}

// The descriptor's shadow, which becomes the caller's; nullptr when it has none.
ShadowDescriptor *take_shadow(Descriptor *d) {
  ShadowDescriptor *const shadow = d->shadow;
  d->shadow = nullptr;
  return shadow;
}

void mismatch(ThreadCache *cache, const Descriptor *d, const char *what, const char *text) {
  cache->counters().shadow[kShadowMismatches].add(1);
  if (g_reported.fetch_add(1, std::memory_order_relaxed) >= kReports) return;
  message("shadow: %s: %s; asked for: %s", op_name(op_of(d)), what, text);
}

// Says in `what` how two descriptors differ; false: they do not.
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

// The outputs of one execution: as they were before, and as the shadow left them.
class Comparison {
 public:
  Comparison() : count_(0) {}
  ~Comparison() {
    for (int i = 0; i < count_; ++i) {
      free(outputs_[i].before);
      free(outputs_[i].fresh);
    }
  }

  // Runs the shadow, and undoes what it did; false: it cannot be compared.
  bool run_shadow(const Real &r, const Primitive *p) {
    if (!save(r, p)) return false;
    mkldnn_stream_t stream = nullptr;
    if (r.stream_create(&stream, mkldnn_eager) != mkldnn_success) return false;
    mkldnn_primitive_t primitive = p->shadow->real;
    bool done = r.stream_submit(stream, 1, &primitive, nullptr) == mkldnn_success;
    done = r.stream_wait(stream, 1, nullptr) == mkldnn_success && done;
    r.stream_destroy(stream);
    for (int i = 0; i < count_; ++i) {
      memcpy(outputs_[i].fresh, outputs_[i].data, outputs_[i].bytes);
      memcpy(outputs_[i].data, outputs_[i].before, outputs_[i].bytes);
    }
    return done;
  }

  // After the cached primitive has run: says in `what` where the bits differ; false: nowhere.
  bool differs(char *what, size_t size) const {
    for (int i = 0; i < count_; ++i) {
      const Output &o = outputs_[i];
      if (memcmp(o.data, o.fresh, o.bytes) == 0) continue;
      const unsigned char *a = static_cast<const unsigned char *>(o.data);
      const unsigned char *b = reinterpret_cast<const unsigned char *>(o.fresh);
      size_t first = 0, different = 0;
      for (size_t j = o.bytes; j-- > 0;) {
        if (a[j] != b[j]) {
          first = j;
          ++different;
        }
      }
      float values[2] = {0, 0};
      first -= first % sizeof(float);
      if (first + sizeof(float) <= o.bytes) {
        memcpy(&values[0], a + first, sizeof(float));
        memcpy(&values[1], b + first, sizeof(float));
      }
      snprintf(what, size,
               "%zu of %zu bytes of output %d differ, first at byte %zu: as floats %g from the "
               "cache, %g created now",
               different, o.bytes, i, first, static_cast<double>(values[0]),
               static_cast<double>(values[1]));
      return true;
    }
    return false;
  }

 private:
  struct Output {
    void *data;
    size_t bytes;
    char *before;
    char *fresh;
  };

  bool save(const Real &r, const Primitive *p) {
    if (p->bindings - p->inputs > kMaxOutputs) return false;
    for (int i = p->inputs; i < p->bindings; ++i) {
      Output o = {nullptr, 0, nullptr, nullptr};
      const_mkldnn_primitive_desc_t layout = nullptr;
      if (r.memory_get_data_handle(p->binding[i].caller, &o.data) != mkldnn_success ||
          o.data == nullptr ||
          r.primitive_get_primitive_desc(p->binding[i].caller, &layout) != mkldnn_success) {
        return false;
      }
      o.bytes = r.memory_primitive_desc_get_size(layout);
      if (o.bytes == 0) return false;  // a view: MKL-DNN does not say how large it is
      o.before = static_cast<char *>(malloc(o.bytes + 1));
      o.fresh = static_cast<char *>(malloc(o.bytes + 1));
      outputs_[count_++] = o;
      if (o.before == nullptr || o.fresh == nullptr) return false;
      memcpy(o.before, o.data, o.bytes);
    }
    return true;
  }

  int count_;
  Output outputs_[kMaxOutputs];
};

}  // namespace

bool shadow_due() {
  static __thread uint64_t state OPCACHE_TLS_MODEL = 0;
  state = state * 6364136223846793005u + 1442695040888963407u;  // Knuth's MMIX generator
  return static_cast<double>(state >> 32) < options().shadow_rate * 4294967296.0;
}

void free_shadow(ShadowDescriptor *shadow) {
  if (shadow->pd != nullptr) real().primitive_desc_destroy(shadow->pd);
  free(shadow);
}

void free_shadow(ShadowPrimitive *shadow) {
  real().primitive_destroy(shadow->real);
  free_shadow(shadow->descriptor);
  free(shadow);
}

void shadow_descriptor(const Real &r, ThreadCache *cache, Descriptor *d, mkldnn_status_t status,
                       mkldnn_primitive_desc_t created, const char *text) {
  ShadowDescriptor *const old = take_shadow(d);
  if (old != nullptr) free_shadow(old);
  char what[256] = "it is from the cache, but cannot be created now";
  // When memory is short nothing is wrong with the cache; this hit goes unchecked.
  bool wrong = status != mkldnn_success && status != mkldnn_out_of_memory;
  if (created != nullptr) {
    wrong = differ(r, d->real, created, d, what, sizeof(what));
    cache->counters().shadow[kShadowDescriptors].add(1);
  }
  if (wrong) mismatch(cache, d, what, text);
  // A primitive of it could not run over the caller's memory objects, which fit the cached one.
  if (!wrong && op_of(d) != kMemory) d->shadow = new_shadow(created, text);
  if (d->shadow == nullptr && created != nullptr) r.primitive_desc_destroy(created);
}

void shadow_primitive(const Real &r, ThreadCache *cache, Primitive *p) {
  if (p->bindings == 0) return;  // a memory object: nothing to execute
  ShadowDescriptor *descriptor = take_shadow(p->descriptor);
  if (descriptor == nullptr && shadow_due()) {
    // The caller reuses its descriptor: only the primitive is in question.
    descriptor = new_shadow(nullptr, "another primitive of a descriptor that its caller kept");
    if (descriptor != nullptr &&
        r.primitive_desc_clone(&descriptor->pd, p->real_descriptor) != mkldnn_success) {
      descriptor->pd = nullptr;
    }
  }
  if (descriptor == nullptr) return;
  ShadowPrimitive *const s = descriptor->pd != nullptr
                                 ? static_cast<ShadowPrimitive *>(malloc(sizeof(ShadowPrimitive)))
                                 : nullptr;
  mkldnn_status_t status = mkldnn_out_of_memory;
  if (s != nullptr) {
    Busy busy(cache);
    s->descriptor = descriptor;
    status = create_over_callers(r, p, descriptor->pd, &s->real);
  }
  if (status == mkldnn_success) {
    p->shadow = s;
    return;
  }
  if (status != mkldnn_out_of_memory) {
    mismatch(cache, p->descriptor, "a primitive cannot be created now", descriptor->text);
  }
  free(s);
  free_shadow(descriptor);
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
    const bool comparable = p != nullptr && comparison.run_shadow(r, p);
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
