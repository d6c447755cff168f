// Primitives: a released one is taken again for the next caller of the same descriptor.
#include <stdlib.h>
#include <string.h>

#include "api0/binding.h"
#include "api0/calls.h"
#include "api0/estimate.h"
#include "api0/policy.h"
#include "api0/shadow.h"
#include "shared/canonical.h"

namespace opcache {

namespace {

// So many inputs fit on the stack; only sums and concats of more need an allocation.
const int kFewInputs = 256;

// A real primitive over the caller's own memory objects. An input that is a cached primitive's
// output becomes the memory object behind it, which is what the real library would read. `cache`
// may be nullptr.
mkldnn_status_t create_uncached(const Real &r, ThreadCache *cache, mkldnn_primitive_t *result,
                                const_mkldnn_primitive_desc_t descriptor,
                                const mkldnn_primitive_at_t *inputs,
                                const_mkldnn_primitive_t *outputs) {
  int n = 0;
  if (inputs != nullptr && descriptor != nullptr) {
    const Descriptor *const d = find_descriptor(descriptor);
    n = d != nullptr ? d->inputs
                     : r.primitive_desc_query_s32(descriptor, mkldnn_query_num_of_inputs_s32, 0);
    // That function answers 0 when it fails, too.
    if (n == 0 && r.primitive_desc_query(descriptor, mkldnn_query_num_of_inputs_s32, 0, &n) !=
                      mkldnn_success) {
      n = 0;
    }
  }
  mkldnn_primitive_at_t few[kFewInputs];
  mkldnn_primitive_at_t *translated = nullptr;
  for (int i = 0; i < n; ++i) {
    const Primitive *const p = find_primitive(inputs[i].primitive);
    if (p == nullptr || p->bindings == 0) continue;
    if (translated == nullptr) {
      const size_t bytes = static_cast<size_t>(n) * sizeof(*translated);
      translated = n <= kFewInputs ? few : static_cast<mkldnn_primitive_at_t *>(malloc(bytes));
      // The real library would allocate a list as long as this one next.
      if (translated == nullptr) return mkldnn_out_of_memory;
      memcpy(translated, inputs, bytes);
    }
    // An index too high stays as it is: the real library says what is wrong with it.
    const size_t index = inputs[i].output_index;
    if (index >= static_cast<size_t>(p->bindings - p->inputs)) continue;
    translated[i].primitive = p->binding[static_cast<size_t>(p->inputs) + index].caller;
    translated[i].output_index = 0;
  }
  if (translated != nullptr) inputs = translated;
  const mkldnn_status_t status = create_passing(r, cache, descriptor, [&] {
    return r.primitive_create(result, descriptor, inputs, outputs);
  });
  if (translated != few) free(translated);
  return status;
}

// Creates the real primitive of `p` for the caller. After a failure there is none.
mkldnn_status_t create_cached(const Real &r, ThreadCache *cache, Primitive *p) {
  Descriptor *const d = p->descriptor;
  if (p->bindings > 0) cache->make_room();
  const uint64_t start = ticks();
  // The caller's descriptor may be held by the table alone: nothing is dropped meanwhile.
  mkldnn_status_t status;
  {
    Busy busy(cache);
    const Metering metering(cache->ledger());
    status = create_real(r, p);
    p->bytes += metering.bytes(estimated_bytes(r, d));
  }
  if (status == mkldnn_success && !cache->adopt(p)) {
    r.primitive_destroy(p->real);
    status = mkldnn_out_of_memory;
  }
  if (status != mkldnn_success) return status;
  d->primitive_ticks = ticks() - start;
  count(cache, op_of(d), kPrimitivesCreated, kCreateTicks, d->primitive_ticks);
  return status;
}

}  // namespace

mkldnn_status_t create_primitive(mkldnn_primitive_t *result,
                                 const_mkldnn_primitive_desc_t descriptor,
                                 const mkldnn_primitive_at_t *inputs,
                                 const_mkldnn_primitive_t *outputs) {
  const Real &r = real();
  ThreadCache *const cache = ThreadCache::mine();
  Descriptor *d = find_descriptor(descriptor);
  if (cache == nullptr || cache->pass() || d == nullptr || result == nullptr ||
      !primitive_in_scope(d) || !made_for_this_team(r, cache, d)) {
    return create_uncached(r, cache, result, descriptor, inputs, outputs);
  }
  CacheTime time(cache);
  if (d == cache->last_convolution) cache->last_convolution_used = true;
  d = localize(r, cache, d);
  Primitive *p = d != nullptr ? cache->acquire(d) : nullptr;
  const bool hit = p != nullptr;
  Bypass reason = kOutOfMemory;
  if (!hit && d != nullptr) {
    if (pads_output(r, d)) {
      reason = kPaddedOutput;
    } else {
      p = new_record(d);
    }
  }
  const bool bound = p != nullptr && bind(r, p, inputs, outputs);
  if (bound && hit) {
    // A new memory object points nowhere.
    if (p->bindings == 0) r.memory_set_data_handle(p->real, nullptr);
    count(cache, op_of(d), kPrimitivesAvoided, kAvoidedTicks, d->primitive_ticks);
    if (shadowing()) shadow_primitive(r, cache, p);
    *result = p->real;
    return mkldnn_success;
  }
  const uint64_t start = ticks();
  mkldnn_status_t status = mkldnn_out_of_memory;
  if (bound) {
    status = create_cached(r, cache, p);
    if (status == mkldnn_success) *result = p->real;
  }
  if (status != mkldnn_success) {
    // Over the caller's own objects instead: its status is the one to return.
    if (p != nullptr && !bound) reason = kInputNotMemory;
    count_bypass(cache, reason);
    if (hit) {
      ThreadCache::release(p);
    } else if (p != nullptr) {
      destroy_memory_objects(r, p);
      free(p);
    }
    status = create_uncached(r, cache, result, descriptor, inputs, outputs);
  }
  time.real_ticks += ticks() - start;
  return status;
}

mkldnn_status_t destroy_primitive(mkldnn_primitive_t primitive) {
  return destroy_handle(real(), primitive);
}

mkldnn_status_t get_descriptor(const_mkldnn_primitive_t primitive,
                               const_mkldnn_primitive_desc_t *descriptor) {
  const Real &r = real();
  const Primitive *const p = find_primitive(primitive);
  if (p == nullptr || descriptor == nullptr) {
    return r.primitive_get_primitive_desc(primitive, descriptor);
  }
  CacheTime time(ThreadCache::mine());
  *descriptor = p->real_descriptor;
  return mkldnn_success;
}

mkldnn_status_t get_input(const_mkldnn_primitive_t primitive, size_t index,
                          mkldnn_primitive_at_t *input) {
  const Real &r = real();
  const Primitive *const p = find_primitive(primitive);
  if (p == nullptr || input == nullptr || index >= static_cast<size_t>(p->inputs)) {
    return r.primitive_get_input_at(primitive, index, input);
  }
  input->primitive = p->binding[index].given;
  input->output_index = p->binding[index].given_index;
  return mkldnn_success;
}

mkldnn_status_t get_output(const_mkldnn_primitive_t primitive, size_t index,
                           const_mkldnn_primitive_t *output) {
  const Real &r = real();
  const Primitive *const p = find_primitive(primitive);
  if (p == nullptr || output == nullptr || index >= static_cast<size_t>(p->bindings - p->inputs)) {
    return r.primitive_get_output(primitive, index, output);
  }
  *output = p->binding[static_cast<size_t>(p->inputs) + index].caller;
  return mkldnn_success;
}

}  // namespace opcache
