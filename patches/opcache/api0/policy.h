// Decisions that the calls of MKL-DNN 0.x share: shared/policy.h, and what takes a real function.
#ifndef OPCACHE_API0_POLICY_H_
#define OPCACHE_API0_POLICY_H_

#include <mkldnn.h>

#include "api0/abi.h"
#include "api0/real.h"
#include "shared/policy.h"

namespace opcache {

// The operator that a primitive of this kind and prop_kind usually serves. Deconvolution uses
// convolution primitives; tell_deconvolution() tells the two apart by how they are used.
inline Op op_of(Kind kind, int prop_kind) {
  static const Op kForward[] = {kOther,   kMemory,      kMemory,        kReorder,       kConcat,
                                kSum,     kConvolution, kDeconvolution, kActivation,    kSoftmax,
                                kPooling, kLRN,         kBatchNorm,     kFullyConnected};
  static_assert(sizeof(kForward) / sizeof(kForward[0]) == static_cast<int>(Kind::kInnerProduct) + 1,
                "one for each Kind, in that order");
  return op_of(kForward[static_cast<int>(kind)], prop_kind);
}

// The operator of a handle of the real library; a few queries, so only beside a real call.
inline Op op_of_handle(const Real &r, const_mkldnn_primitive_desc_t pd) {
  const Kind kind = pd != nullptr ? kind_of(r, pd) : Kind::kUnknown;
  const int query = op_desc_query(*r.abi, kind);
  if (query < 0) return op_of(kind, mkldnn_prop_kind_undef);
  const OpDescHead *head = nullptr;
  if (r.primitive_desc_query(pd, static_cast<mkldnn_query_t>(query), 0, &head) != mkldnn_success ||
      head == nullptr) {
    return kOther;
  }
  return op_of(kind, head->prop_kind);
}

}  // namespace opcache

#endif  // OPCACHE_API0_POLICY_H_
