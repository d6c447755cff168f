// How MKL-DNN 1.0 describes an operation, for shared/canonical.h, and which operator it serves.
#ifndef OPCACHE_API1_CANONICAL_H_
#define OPCACHE_API1_CANONICAL_H_

#include "api1/fields.h"
#include "api1/shadow.h"
#include "shared/canonical.h"

namespace opcache {
namespace api1 {

// Nothing here asks how many tensors a descriptor has.
inline bool count_tensors(const Real &, const mkldnn_primitive_desc *, int *, int *) {
  return true;
}

struct Operation {
  const Real &r;
  const void *op_desc;
  const Attr *attr;
  Engine *engine;
  const mkldnn_primitive_desc *hint;
  Descriptor *canonical_hint;
  int implementation;

  template <class V>
  void visit(V &v) const {
    visit_operation(v, r, context_of(r, engine), op_desc, attr, hint,
                    canonical_hint != nullptr ? canonical_hint->id : 0, implementation);
  }
  Status create(mkldnn_primitive_desc **pd) const {
    return r.primitive_desc_create(pd, op_desc, attr, engine, hint);
  }
};

// The operator that a primitive of this kind and prop_kind usually serves.
Op op_of_kind(int kind, int prop_kind);
// That of a handle of the real library; a few queries, so only beside a real call.
Op op_of_handle(const Real &r, const mkldnn_primitive_desc *pd);

// Whether an operation descriptor is to be cached; *op is its operator in any case.
bool operation_in_scope(const Real &, ThreadCache *cache, const void *op_desc, Op *op);

// Tells Convolution and Deconvolution apart (shared/policy.h), after `d` was handed out for
// `op_desc`; does nothing for other kinds.
void tell_deconvolution(const Real &, ThreadCache *cache, Descriptor *d, Descriptor *hint,
                        const void *op_desc);

}  // namespace api1
}  // namespace opcache

#endif  // OPCACHE_API1_CANONICAL_H_
