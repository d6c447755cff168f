// Primitives: a released one is taken again for the next caller of the same descriptor. In MKL-DNN
// 0.x a primitive is bound to memory objects when it is made, so ours are made over memory objects
// of our own, which are pointed at the caller's data before each execution.
#include "api0/primitives.h"

#include <stdlib.h>
#include <string.h>

#include "api0/calls.h"
#include "api0/policy.h"
#include "api0/shadow.h"

namespace opcache {

namespace {

// The memory object that an input stands for: itself, or the output of the primitive it names.
// nullptr when it leads to none; the handle of its data otherwise in *handle.
const_mkldnn_primitive_t memory_behind(const Real &r, const_mkldnn_primitive_t primitive,
                                       size_t output_index, void **handle) {
  if (primitive == nullptr) return nullptr;
  if (r.memory_get_data_handle(primitive, handle) == mkldnn_success) {
    return output_index == 0 ? primitive : nullptr;
  }
  const_mkldnn_primitive_t output = nullptr;
  if (get_output(primitive, output_index, &output) != mkldnn_success || output == nullptr) {
    return nullptr;
  }
  return r.memory_get_data_handle(output, handle) == mkldnn_success ? output : nullptr;
}

// Remembers which memory objects of the caller's a primitive stands for.
bool bind(const Real &r, Primitive *p, const mkldnn_primitive_at_t *inputs,
          const_mkldnn_primitive_t *outputs) {
  void *handle;
  const int n_outputs = p->bindings - p->inputs;
  if ((p->inputs > 0 && inputs == nullptr) || (n_outputs > 0 && outputs == nullptr)) return false;
  for (int i = 0; i < p->inputs; ++i) {
    p->binding[i].caller = memory_behind(r, inputs[i].primitive, inputs[i].output_index, &handle);
    if (p->binding[i].caller == nullptr) return false;
    p->binding[i].given = inputs[i];
  }
  for (int i = 0; i < n_outputs; ++i) {
    p->binding[p->inputs + i].caller = outputs[i];
    if (outputs[i] == nullptr || r.memory_get_data_handle(outputs[i], &handle) != mkldnn_success) {
      return false;
    }
  }
  return true;
}

// So many inputs fit on the stack; only sums and concats of more need memory of ours.
const int kFewInputs = 256;

bool is_memory(const Descriptor *d) { return d->op.load(std::memory_order_relaxed) == kMemory; }

// Behind a record's bindings there is room for the lists that a primitive is created from, so that
// creating one over them needs no memory of ours at a time when there may be none.
mkldnn_primitive_at_t *input_room(Primitive *p) {
  return reinterpret_cast<mkldnn_primitive_at_t *>(p->binding + p->bindings);
}
const_mkldnn_primitive_t *output_room(Primitive *p) {
  return reinterpret_cast<const_mkldnn_primitive_t *>(input_room(p) + p->inputs);
}

// A record without a real primitive yet; nullptr when memory is short.
Primitive *new_record(Descriptor *d) {
  const int bindings = is_memory(d) ? 0 : d->inputs + d->outputs;
  const size_t bytes_each = sizeof(Binding) + sizeof(mkldnn_primitive_at_t);
  const size_t record = sizeof(Primitive) + static_cast<size_t>(bindings) * bytes_each;
  Primitive *p = static_cast<Primitive *>(allocate_record(record));
  if (p == nullptr) return nullptr;
  p->bytes = heap_bytes(record);
  p->descriptor = d;
  p->real_descriptor = d->real;
  p->inputs = bindings > 0 ? d->inputs : 0;
  p->bindings = bindings;
  return p;
}

// True where memory objects of ours cannot stand for the caller's. A convolution that ends in an
// eltwise post-op may, from v0.18 on, zero the padding of its output afterwards, and it finds that
// padding by the layout of the memory object (wants_zero_pad_dst in
// src/cpu/cpu_convolution_pd.hpp), which need not be the one that the descriptor has.
bool pads_output(const Real &r, const Descriptor *d) {
#ifdef OPCACHE_FAULT_ONE_FLOAT_OUTPUT
  return false;
#endif
  const_mkldnn_primitive_attr_t attr = nullptr;
  const_mkldnn_post_ops_t post_ops = nullptr;
  if (!r.abi->pads_outputs || is_memory(d)) return false;
  if (r.primitive_desc_get_attr(d->real, &attr) != mkldnn_success ||
      r.primitive_attr_get_post_ops(attr, &post_ops) != mkldnn_success) {
    return true;
  }
  bool eltwise = false;
  for (int i = 0; i < r.post_ops_len(post_ops); ++i) {
    eltwise = eltwise || kind_of(*r.abi, r.post_ops_get_kind(post_ops, i)) == Kind::kEltwise;
  }
  if (!eltwise) return false;
  const const_mkldnn_primitive_desc_t output =
      r.primitive_desc_query_pd(d->real, mkldnn_query_output_pd, 0);
  const mkldnn_memory_desc_t *md = r.primitive_desc_query_memory_d(output);
  return md == nullptr || memcmp(md->dims, md->layout_desc.blocking.padding_dims,
                                 sizeof(int) * static_cast<size_t>(md->ndims)) != 0;
}

// Memory objects to stand for the caller's. But for what pads_output() is about, the kernels of
// v0.14 to v0.19 read nothing of a memory object but its data handle (src/cpu/cpu_primitive.hpp),
// so one float will do; and its layout has no padding, so that pointing it somewhere writes nothing
// there (from v0.15 on mkldnn_memory_set_data_handle zeroes padding, which the caller's own object
// has seen to).
mkldnn_status_t make_memory_objects(const Real &r, Primitive *p) {
  mkldnn_engine_t engine = nullptr;
  mkldnn_memory_desc_t one_float;
  const int dims[] = {1};
  mkldnn_primitive_desc_t pd = nullptr;
  mkldnn_status_t status =
      r.primitive_desc_query(p->descriptor->real, mkldnn_query_engine, 0, &engine);
  if (status == mkldnn_success) {
    status = r.memory_desc_init(&one_float, 1, dims, mkldnn_f32, mkldnn_x);
  }
  if (status == mkldnn_success) status = r.memory_primitive_desc_create(&pd, &one_float, engine);
  for (int i = 0; status == mkldnn_success && i < p->bindings; ++i) {
    status = r.primitive_create(&p->binding[i].own, pd, nullptr, nullptr);
  }
  if (pd != nullptr) r.primitive_desc_destroy(pd);
  return status;
}

// A primitive over one of the two memory objects of each of p's bindings.
template <class Choose>
mkldnn_status_t create_over(const Real &r, Primitive *p, const_mkldnn_primitive_desc_t descriptor,
                            const Choose &choose, mkldnn_primitive_t *result) {
  mkldnn_primitive_at_t *const inputs = input_room(p);
  const_mkldnn_primitive_t *const outputs = output_room(p);
  for (int i = 0; i < p->inputs; ++i) {
    inputs[i].primitive = choose(p->binding[i]);
    inputs[i].output_index = 0;
  }
  for (int i = p->inputs; i < p->bindings; ++i) outputs[i - p->inputs] = choose(p->binding[i]);
  return r.primitive_create(result, descriptor, inputs, outputs);
}

mkldnn_status_t make_real(const Real &r, Primitive *p) {
  if (p->bindings == 0) {
    return r.primitive_create(&p->real, p->descriptor->real, nullptr, nullptr);
  }
  const mkldnn_status_t status = make_memory_objects(r, p);
  if (status != mkldnn_success) return status;
  return create_over(r, p, p->descriptor->real, [](const Binding &b) { return b.own; }, &p->real);
}

void free_record(const Real &r, Primitive *p) {
  for (int i = 0; i < p->bindings; ++i) {
    if (p->binding[i].own != nullptr) r.primitive_destroy(p->binding[i].own);
  }
  free(p);
}

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
    const Primitive *const p =
        inputs[i].primitive != nullptr ? find_primitive(inputs[i].primitive) : nullptr;
    if (p == nullptr || p->bindings == 0) continue;
    if (translated == nullptr) {
      const size_t bytes = static_cast<size_t>(n) * sizeof(*translated);
      translated = n <= kFewInputs ? few : static_cast<mkldnn_primitive_at_t *>(malloc(bytes));
      // The real library makes a list as long as this one next.
      if (translated == nullptr) return mkldnn_out_of_memory;
      memcpy(translated, inputs, bytes);
    }
    // An index too high stays as it is: the real library says what is wrong with it.
    const size_t index = inputs[i].output_index;
    if (index >= static_cast<size_t>(p->bindings - p->inputs)) continue;
    translated[i].primitive = p->binding[static_cast<size_t>(p->inputs) + index].caller;
    translated[i].output_index = 0;
  }
  const Op op = op_of_handle(r, descriptor);
  const uint64_t start = ticks();
  const mkldnn_status_t status =
      r.primitive_create(result, descriptor, translated != nullptr ? translated : inputs, outputs);
  if (status == mkldnn_success && cache != nullptr) {
    Counter(&counters)[kOpFieldCount] = cache->counters().ops[op];
    counters[kPrimitivesCreated].add(1);
    counters[kCreateTicks].add(ticks() - start);
  }
  if (translated != few) free(translated);
  return status;
}

// Makes a primitive of `d` for the caller; on failure *result is untouched and what was made is
// gone again.
mkldnn_status_t create_cached(const Real &r, ThreadCache *cache, Primitive *p) {
  Descriptor *const d = p->descriptor;
  if (p->bindings > 0) cache->make_room();
  const uint64_t start = ticks();
  // The caller's descriptor may be held by the table alone: nothing is dropped meanwhile.
  mkldnn_status_t status;
  {
    Busy busy(cache);
    const Metering metering(cache->ledger());
    status = make_real(r, p);
    p->bytes +=
        metering.bytes(primitive_price(static_cast<Op>(d->op.load(std::memory_order_relaxed))));
  }
  if (status == mkldnn_success && !cache->adopt(p)) {
    r.primitive_destroy(p->real);
    status = mkldnn_out_of_memory;
  }
  if (status != mkldnn_success) return status;
  d->primitive_ticks = ticks() - start;
  Counter(&counters)[kOpFieldCount] = cache->counters().ops[d->op.load(std::memory_order_relaxed)];
  counters[kPrimitivesCreated].add(1);
  counters[kCreateTicks].add(d->primitive_ticks);
  return status;
}

}  // namespace

mkldnn_status_t create_over_callers(const Real &r, Primitive *p,
                                    const_mkldnn_primitive_desc_t descriptor,
                                    mkldnn_primitive_t *result) {
  return create_over(r, p, descriptor, [](const Binding &b) { return b.caller; }, result);
}

mkldnn_status_t create_primitive(mkldnn_primitive_t *result,
                                 const_mkldnn_primitive_desc_t descriptor,
                                 const mkldnn_primitive_at_t *inputs,
                                 const_mkldnn_primitive_t *outputs) {
  const Real *r = real();
  if (r == nullptr) return mkldnn_runtime_error;
  ThreadCache *const cache = r->abi != nullptr ? ThreadCache::mine() : nullptr;
  if (r->abi == nullptr) return r->primitive_create(result, descriptor, inputs, outputs);
  Descriptor *d = descriptor != nullptr ? find_descriptor(descriptor) : nullptr;
  if (cache == nullptr || d == nullptr || result == nullptr || !primitive_in_scope(d)) {
    return create_uncached(*r, cache, result, descriptor, inputs, outputs);
  }
  CacheTime time(cache);
  if (d == cache->last_convolution) cache->last_convolution_used = true;
  d = cache->localize(d);
  Primitive *p = d != nullptr ? cache->acquire(d) : nullptr;
  const bool hit = p != nullptr;
  Bypass reason = kOutOfMemory;
  if (!hit && d != nullptr) {
    if (pads_output(*r, d)) {
      reason = kPaddedOutput;
    } else {
      p = new_record(d);
    }
  }
  const bool bound = p != nullptr && bind(*r, p, inputs, outputs);
  if (bound && hit) {
    // A new memory object points nowhere.
    if (p->bindings == 0) r->memory_set_data_handle(p->real, nullptr);
    Counter(&counters)[kOpFieldCount] =
        cache->counters().ops[d->op.load(std::memory_order_relaxed)];
    counters[kPrimitivesAvoided].add(1);
    counters[kAvoidedTicks].add(d->primitive_ticks);
    if (shadowing()) shadow_primitive(*r, cache, p);
    *result = p->real;
    return mkldnn_success;
  }
  const uint64_t start = ticks();
  mkldnn_status_t status = mkldnn_out_of_memory;
  if (bound) {
    status = create_cached(*r, cache, p);
    if (status == mkldnn_success) *result = p->real;
  }
  if (status != mkldnn_success) {
    // Over the caller's own objects instead: its status is the one to return.
    if (p != nullptr && !bound) reason = kInputNotMemory;
    count_bypass(cache, reason);
    if (hit) {
      release(p);
    } else if (p != nullptr) {
      free_record(*r, p);
    }
    status = create_uncached(*r, cache, result, descriptor, inputs, outputs);
  }
  time.real_ticks += ticks() - start;
  return status;
}

mkldnn_status_t destroy_primitive(mkldnn_primitive_t primitive) {
  const Real *r = real();
  if (r == nullptr) return mkldnn_runtime_error;
  ThreadCache *const cache = r->abi != nullptr ? ThreadCache::mine() : nullptr;
  Primitive *const p = primitive != nullptr ? find_primitive(primitive) : nullptr;
  if (p != nullptr) {
    CacheTime time(cache);
    release(p);
    return mkldnn_success;
  }
  if (cache == nullptr || primitive == nullptr) return r->primitive_destroy(primitive);
  const_mkldnn_primitive_desc_t pd = nullptr;
  r->primitive_get_primitive_desc(primitive, &pd);
  const Op op = op_of_handle(*r, pd);
  const uint64_t start = ticks();
  const mkldnn_status_t status = r->primitive_destroy(primitive);
  cache->counters().ops[op][kDestroyTicks].add(ticks() - start);
  return status;
}

mkldnn_status_t get_descriptor(const_mkldnn_primitive_t primitive,
                               const_mkldnn_primitive_desc_t *descriptor) {
  const Real *r = real();
  if (r == nullptr) return mkldnn_runtime_error;
  const Primitive *const p = primitive != nullptr ? find_primitive(primitive) : nullptr;
  if (p == nullptr || descriptor == nullptr) {
    return r->primitive_get_primitive_desc(primitive, descriptor);
  }
  CacheTime time(ThreadCache::mine());
  *descriptor = p->real_descriptor;
  return mkldnn_success;
}

mkldnn_status_t get_input(const_mkldnn_primitive_t primitive, size_t index,
                          mkldnn_primitive_at_t *input) {
  const Real *r = real();
  if (r == nullptr) return mkldnn_runtime_error;
  const Primitive *const p = primitive != nullptr ? find_primitive(primitive) : nullptr;
  if (p == nullptr || input == nullptr || index >= static_cast<size_t>(p->inputs)) {
    return r->primitive_get_input_at(primitive, index, input);
  }
  *input = p->binding[index].given;
  return mkldnn_success;
}

mkldnn_status_t get_output(const_mkldnn_primitive_t primitive, size_t index,
                           const_mkldnn_primitive_t *output) {
  const Real *r = real();
  if (r == nullptr) return mkldnn_runtime_error;
  const Primitive *const p = primitive != nullptr ? find_primitive(primitive) : nullptr;
  if (p == nullptr || output == nullptr || index >= static_cast<size_t>(p->bindings - p->inputs)) {
    return r->primitive_get_output(primitive, index, output);
  }
  *output = p->binding[static_cast<size_t>(p->inputs) + index].caller;
  return mkldnn_success;
}

mkldnn_status_t make_substitute(const Real &r, ThreadCache *cache, Primitive *p) {
  if (p->substitute != nullptr || p->bindings == 0) return mkldnn_success;
  if (cache == nullptr) return create_over_callers(r, p, p->real_descriptor, &p->substitute);
  count_bypass(cache, kOutOfMemory);
  Busy busy(cache);
  return create_over_callers(r, p, p->real_descriptor, &p->substitute);
}

mkldnn_status_t rebind(const Real &r, Primitive *p) {
  for (int i = 0; i < p->bindings; ++i) {
    Binding &b = p->binding[i];
#ifdef OPCACHE_FAULT_SKIP_REBIND
    if (i == 0 && b.handle != nullptr) continue;
#endif
    void *handle = nullptr;
    mkldnn_status_t status = r.memory_get_data_handle(b.caller, &handle);
    if (status == mkldnn_success && handle != b.handle) {
      status = r.memory_set_data_handle(b.own, handle);
      // After a failure nobody knows where it points: set it again next time.
      b.handle = status == mkldnn_success ? handle : nullptr;
    }
    if (status != mkldnn_success) return status;
  }
  return mkldnn_success;
}

}  // namespace opcache
