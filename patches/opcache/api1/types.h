// The C interface of MKL-DNN 1.0 as far as the cache needs it, after include/mkldnn_types.h of
// v1.0.4: no wheel of MXNet ships that release's headers. Enumerations are ints; handles are
// opaque.
#ifndef OPCACHE_API1_TYPES_H_
#define OPCACHE_API1_TYPES_H_

#include <stddef.h>
#include <stdint.h>

// Opaque; the same names in every interface.
struct mkldnn_primitive;
struct mkldnn_primitive_desc;

namespace opcache {
namespace api1 {

struct Attr;
struct Engine;
struct Memory;
struct PostOps;
struct RealIterator;
struct Stream;

enum Status { kSuccess = 0, kNoMemory = 1, kIteratorEnds = 4 };

enum Kind {
  kReorderKind = 1,
  kShuffleKind,
  kConcatKind,
  kSumKind,
  // From here on there are operation descriptors.
  kConvolutionKind,
  kDeconvolutionKind,
  kEltwiseKind,
  kSoftmaxKind,
  kPoolingKind,
  kLrnKind,
  kBatchNormKind,
  kInnerProductKind,
};

enum Query {
  kQueryEngine = 1,
  kQueryKind = 2,
  kQueryMemoryConsumption = 6,
  kQueryImplementation = 8,
  kQueryOperation = 65,
  kQuerySrc = 129,
  kQueryDiffSrc,
  kQueryWeights,
  kQueryDiffWeights,
  kQueryDst,
  kQueryDiffDst,
  kQueryWorkspace,
  kQueryScratchpad,
};

enum FormatKind { kFormatUndefined, kFormatAny, kFormatBlocked };
enum ScratchpadMode { kScratchpadLibrary };

const int kMaxDims = 12;
typedef int64_t Dims[kMaxDims];

struct Blocking {
  Dims strides;
  int inner_nblks;
  Dims inner_blks;
  Dims inner_idxs;
};

struct MemoryDesc {
  int ndims;
  Dims dims;
  int data_type;
  Dims padded_dims;
  Dims padded_offsets;
  int64_t offset0;
  int format_kind;
  Blocking blocking;  // a union, of which the other formats' members are not larger
  struct {
    uint64_t flags;
    int compensation_mask;
    float scale_adjust;
    char reserved[64];
  } extra;
};
static_assert(sizeof(MemoryDesc) == 696, "as in v1.0.4");

// The opening words that every operation descriptor shares.
struct OperationHead {
  int primitive_kind;
  int prop_kind;
};

struct ConvolutionDesc : OperationHead {  // and of deconvolutions
  int alg_kind;
  MemoryDesc src, diff_src, weights, diff_weights, bias, diff_bias, dst, diff_dst;
  Dims strides, dilates, padding[2];
  int accum_data_type;
};

struct EltwiseDesc : OperationHead {
  int alg_kind;
  MemoryDesc data, diff_data;
  float alpha, beta;
};

struct SoftmaxDesc : OperationHead {
  MemoryDesc data, diff;
  int axis;
};

struct PoolingDesc : OperationHead {
  int alg_kind;
  MemoryDesc src, diff_src, dst, diff_dst;
  Dims strides, kernel, padding[2];
  int accum_data_type;
};

struct LrnDesc : OperationHead {
  int alg_kind;
  MemoryDesc data, diff_data;
  int64_t local_size;
  float alpha, beta, k;
};

struct BatchNormDesc : OperationHead {
  MemoryDesc data, diff_data, scaleshift, diff_scaleshift, stat;
  float epsilon;
  unsigned flags;
};

struct InnerProductDesc : OperationHead {
  MemoryDesc src, diff_src, weights, diff_weights, bias, diff_bias, dst, diff_dst;
  int accum_data_type;
};

// An argument of an execution: which it is, and its memory object.
struct Argument {
  int index;
  Memory *memory;
};

}  // namespace api1
}  // namespace opcache

#endif  // OPCACHE_API1_TYPES_H_
