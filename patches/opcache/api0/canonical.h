// How MKL-DNN 0.x describes an operation, for shared/canonical.h; descriptors.cc and iterators.cc
// share it.
#ifndef OPCACHE_API0_CANONICAL_H_
#define OPCACHE_API0_CANONICAL_H_

#include "api0/fields.h"
#include "api0/policy.h"
#include "api0/shadow.h"
#include "shared/canonical.h"

namespace opcache {

inline mkldnn_engine_t engine_of(const Real &r, const_mkldnn_primitive_desc_t pd) {
  mkldnn_engine_t engine = nullptr;
  if (pd != nullptr) r.primitive_desc_query(pd, mkldnn_query_engine, 0, &engine);
  return engine;
}

inline uint64_t id_of(const_mkldnn_primitive_desc_t pd) {
  const Descriptor *const d = find_descriptor(pd);
  return d != nullptr ? d->id : 0;
}

struct Operation {
  const Real &r;
  const_mkldnn_op_desc_t op_desc;
  const_mkldnn_primitive_attr_t attr;
  mkldnn_engine_t engine;
  const_mkldnn_primitive_desc_t hint;
  Descriptor *canonical_hint;
  int implementation;

  template <class V>
  void visit(V &v) const {
    visit_operation(v, r, context_of(r, engine), op_desc, attr, hint,
                    canonical_hint != nullptr ? canonical_hint->id : 0, implementation);
  }
  mkldnn_status_t create(mkldnn_primitive_desc_t *pd) const {
    return r.primitive_desc_create_v2(pd, op_desc, attr, engine, hint);
  }
};

// The numbers of inputs and outputs; false when they cannot be asked. Not by query_s32, which
// answers 0 when it fails.
inline bool count_tensors(const Real &r, const_mkldnn_primitive_desc_t pd, int *inputs,
                          int *outputs) {
  return r.primitive_desc_query(pd, mkldnn_query_num_of_inputs_s32, 0, inputs) == mkldnn_success &&
         r.primitive_desc_query(pd, mkldnn_query_num_of_outputs_s32, 0, outputs) == mkldnn_success;
}

// Tells Convolution and Deconvolution apart by the order of calls, after `found` was handed out for
// `op_desc`; does nothing for other kinds.
void tell_deconvolution(const Real &r, ThreadCache *cache, Descriptor *found, Descriptor *hint,
                        const_mkldnn_op_desc_t op_desc);

// Whether an operation descriptor is to be cached; *op is its operator in any case.
bool operation_in_scope(const Real &r, ThreadCache *cache, const_mkldnn_op_desc_t op_desc, Op *op);

}  // namespace opcache

#endif  // OPCACHE_API0_CANONICAL_H_
