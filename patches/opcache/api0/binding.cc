#include "api0/binding.h"

#include <stdlib.h>
#include <string.h>

#include "api0/calls.h"
#include "api0/policy.h"
#include "api0/shadow.h"

namespace opcache {

namespace {

bool is_memory(const Descriptor *d) { return op_of(d) == kMemory; }

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

// Behind a record's bindings there is room for the lists that a primitive is created from, so that
// creating one over them allocates nothing at a time when memory may be short.
mkldnn_primitive_at_t *input_room(Primitive *p) {
  return reinterpret_cast<mkldnn_primitive_at_t *>(p->binding + p->bindings);
}
const_mkldnn_primitive_t *output_room(Primitive *p) {
  return reinterpret_cast<const_mkldnn_primitive_t *>(input_room(p) + p->inputs);
}

// Memory objects to stand for the caller's. But for what pads_output() is about, the kernels of
// v0.14 to v0.19 read nothing of a memory object but its data handle (src/cpu/cpu_primitive.hpp),
// so one float will do; and its layout has no padding, so that pointing it somewhere writes nothing
// there (from v0.15 on mkldnn_memory_set_data_handle zeroes padding, which the caller's own object
// has seen to).
mkldnn_status_t create_memory_objects(const Real &r, Primitive *p) {
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

}  // namespace

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
  p->memory_object = bindings == 0;
  return p;
}

bool pads_output(const Real &r, const Descriptor *d) {
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

bool bind(const Real &r, Primitive *p, const mkldnn_primitive_at_t *inputs,
          const_mkldnn_primitive_t *outputs) {
  void *handle;
  const int n_outputs = p->bindings - p->inputs;
  if ((p->inputs > 0 && inputs == nullptr) || (n_outputs > 0 && outputs == nullptr)) return false;
  for (int i = 0; i < p->inputs; ++i) {
    p->binding[i].caller = memory_behind(r, inputs[i].primitive, inputs[i].output_index, &handle);
    if (p->binding[i].caller == nullptr) return false;
    p->binding[i].given = inputs[i].primitive;
    p->binding[i].given_index = inputs[i].output_index;
  }
  for (int i = 0; i < n_outputs; ++i) {
    p->binding[p->inputs + i].caller = outputs[i];
    if (outputs[i] == nullptr || r.memory_get_data_handle(outputs[i], &handle) != mkldnn_success) {
      return false;
    }
  }
  return true;
}

mkldnn_status_t create_real(const Real &r, Primitive *p) {
  if (p->bindings == 0) {
    return r.primitive_create(&p->real, p->descriptor->real, nullptr, nullptr);
  }
  const mkldnn_status_t status = create_memory_objects(r, p);
  if (status != mkldnn_success) return status;
  return create_over(r, p, p->descriptor->real, [](const Binding &b) { return b.own; }, &p->real);
}

void destroy_memory_objects(const Real &r, Primitive *p) {
  for (int i = 0; i < p->bindings; ++i) {
    if (p->binding[i].own != nullptr) r.primitive_destroy(p->binding[i].own);
  }
}

mkldnn_status_t create_over_callers(const Real &r, Primitive *p,
                                    const_mkldnn_primitive_desc_t descriptor,
                                    mkldnn_primitive_t *result) {
  return create_over(r, p, descriptor, [](const Binding &b) { return b.caller; }, result);
}

mkldnn_status_t make_substitute(const Real &r, ThreadCache *cache, Primitive *p) {
  if (p->substitute != nullptr || p->bindings == 0) return mkldnn_success;
  p->foreign_substitute = cache == nullptr || !cache->owns(p);
  if (cache == nullptr) return create_over_callers(r, p, p->real_descriptor, &p->substitute);
  count_bypass(cache, kOutOfMemory);
  Busy busy(cache);
  return create_over_callers(r, p, p->real_descriptor, &p->substitute);
}

mkldnn_status_t rebind(const Real &r, Primitive *p) {
  for (int i = 0; i < p->bindings; ++i) {
    Binding &b = p->binding[i];
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

namespace {

void destroy_real_descriptor(Descriptor *d) {
  if (d->shadow != nullptr) free_shadow(real(), d->shadow);
  real().primitive_desc_destroy(d->real);
}

void destroy_real_primitive(Primitive *p) {
  real().primitive_destroy(p->real);
  destroy_memory_objects(real(), p);
}

void destroy_real_additions(Primitive *p) {
  if (p->shadow != nullptr) free_shadow(real(), p->shadow);
  if (p->substitute != nullptr) real().primitive_destroy(p->substitute);
  p->shadow = nullptr;
  p->substitute = nullptr;
}

}  // namespace

const Destroyers kDestroyers = {destroy_real_descriptor, destroy_real_primitive,
                                destroy_real_additions};

}  // namespace opcache
