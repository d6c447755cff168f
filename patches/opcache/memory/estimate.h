// The parts of an estimate of a primitive's memory that no interface differs in. Pure.
#ifndef OPCACHE_MEMORY_ESTIMATE_H_
#define OPCACHE_MEMORY_ESTIMATE_H_

#include <stddef.h>
#include <string.h>

#include "settings/op.h"

namespace opcache {

// The objects and the generated code of a primitive without large buffers: a typical one's.
inline size_t estimated_code_bytes(Op op) {
  const Op forward = is_backward(op) ? static_cast<Op>(op - kBackward) : op;
  switch (forward) {
    case kMemory:
      return 2 << 10;
    case kConvolution:
    case kDeconvolution:
    case kFullyConnected:
      return 32 << 10;
    default:
      return 16 << 10;
  }
}

// Of the scratchpad that MKL-DNN (from v0.18 on) says the implementation needs, what the primitive
// itself keeps: gemm's and Winograd's is the thread's, which all its primitives share.
inline size_t own_scratchpad_bytes(const char *implementation, long told) {
  const bool shared =
      strstr(implementation, "gemm") != nullptr || strstr(implementation, "wino") != nullptr;
  return shared || told < 0 ? 0 : static_cast<size_t>(told);
}

}  // namespace opcache

#endif  // OPCACHE_MEMORY_ESTIMATE_H_
