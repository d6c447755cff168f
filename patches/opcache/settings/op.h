// Operators as MXNet names them, sets of them (a scope is one), and how to read one from the
// environment's words. Pure: no state, no library calls.
#ifndef OPCACHE_SETTINGS_OP_H_
#define OPCACHE_SETTINGS_OP_H_

#include <stdint.h>

namespace opcache {

enum Op {
  kActivation,
  kBatchNorm,
  kConvolution,
  kDeconvolution,
  kFullyConnected,
  kLRN,
  kPooling,
  kSeven,  // how many operators have a forward and a backward form; the backward ones follow
  kBackward = kSeven,
  kSoftmax = 2 * kSeven,
  kReorder,
  kSum,
  kConcat,
  kMemory,  // memory objects and their descriptors, which every operator makes around itself
  kOther,
  kOpCount,
};

inline Op backward(Op op) { return static_cast<Op>(op + kBackward); }
inline bool is_backward(Op op) { return op >= kBackward && op < 2 * kSeven; }

// Whether primitives of it may count as users of their thread's scratchpad.
inline bool may_use_scratchpad(Op op) {
  const Op forward = is_backward(op) ? static_cast<Op>(op - kBackward) : op;
  return forward == kConvolution || forward == kDeconvolution || forward == kFullyConnected;
}

// MXNet's name, as in its profiler.
const char *op_name(Op op);

typedef uint32_t OpSet;
inline OpSet set_of(Op op) { return OpSet(1) << op; }
const OpSet kNoOps = 0;
const OpSet kAllBackward = ((OpSet(1) << kSeven) - 1) << kBackward;
// What `backward` means: with the memory objects, which the backward operators make around their
// primitives in the same breath.
const OpSet kScopeBackward = kAllBackward | (OpSet(1) << kMemory);
const OpSet kAllForward = (OpSet(1) << kSeven) - 1;
const OpSet kAllOps = kAllForward | kAllBackward | (1u << kSoftmax) | (1u << kReorder) |
                      (1u << kSum) | (1u << kConcat) | (1u << kMemory);

// Parses off, backward, all or a comma list of operators; `forward` in a list extends the listed
// operators to their forward primitives. On failure returns false and `bad` holds the word.
bool parse_scope(const char *text, OpSet *ops, char *bad, unsigned bad_size);

// The words parse_scope knows, for messages.
extern const char kScopeWords[];

}  // namespace opcache

#endif  // OPCACHE_SETTINGS_OP_H_
