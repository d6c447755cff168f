// What differs between the MKL-DNN releases that MXNet 1.3 to 1.5 ship, in one table.
// Nothing here calls the library. A release that is not in the table is not cached.
// Sources: include/mkldnn_types.h of each tag; build-ids read from the released wheels.
#ifndef OPCACHE_API0_ABI_H_
#define OPCACHE_API0_ABI_H_

#include <mkldnn_types.h>

namespace opcache {

// Our own numbering of the primitive kinds we cache: the enum of MKL-DNN moves between releases.
enum class Kind {
  kUnknown,
  kMemory,
  kView,
  kReorder,
  kConcat,
  kSum,
  // From here on there are operation descriptors.
  kConvolution,
  kDeconvolution,
  kEltwise,
  kSoftmax,
  kPooling,
  kLrn,
  kBatchNorm,
  kInnerProduct,
};

// What primitives keep besides objects and code (estimate.h).
enum class Keeps {
  kOwnGemm,  // buffers of their own, of gemm convolutions too
  kOwn,
  kTold,  // MKL-DNN tells: their scratchpad
};

struct Abi {
  const char *version;   // as in MKLDNN_OPCACHE_ASSUME
  const char *build_id;  // GNU build-id of the libmkldnn.so.0 in the released wheel
  int kind_shift;        // concat .. inner_product are this much higher than in v0.14
  int format_last;       // formats at or above are not known to this release
  int wino_format;
  int packed_formats[2];    // RNN layouts we do not describe: never cached
  int rnn_data_formats[2];  // of reorders whose attributes hold what no function returns; -1: none
  int wino_words;           // ints (and one float) that open mkldnn_wino_desc_t, before its size
  bool eltwise_has_slope;   // eltwise_desc ends with negative_slope
  bool softmax_has_diff;    // softmax_desc has diff_desc before softmax_axis
  bool pads_outputs;        // a kernel may pad its output by the layout of its memory object
  Keeps keeps;
  int op_desc_queries[8];  // mkldnn_query_convolution_d .. inner_product_d, in the order of Kind
};

const Abi kAbis[] = {
    {
        /*version=*/"v0.14",
        /*build_id=*/"327b74456f70bbd8c01967faac05ca0295cbf4f9",
        /*kind_shift=*/0,
        /*format_last=*/67,
        /*wino_format=*/66,
        /*packed_formats=*/{62, 64},
        /*rnn_data_formats=*/{-1, -1},
        /*wino_words=*/8,
        /*eltwise_has_slope=*/true,
        /*softmax_has_diff=*/false,
        /*pads_outputs=*/false,
        /*keeps=*/Keeps::kOwnGemm,
        /*op_desc_queries=*/{66, 67, 68, 69, 70, 71, 72, 73},
    },
    {
        /*version=*/"v0.17.4",
        /*build_id=*/"70903626b916e9767d06429ff6fe6dce2723c90c",
        /*kind_shift=*/1,
        /*format_last=*/112,
        /*wino_format=*/109,
        /*packed_formats=*/{110, 111},
        /*rnn_data_formats=*/{-1, -1},
        /*wino_words=*/10,
        /*eltwise_has_slope=*/true,
        /*softmax_has_diff=*/true,
        /*pads_outputs=*/false,
        /*keeps=*/Keeps::kOwn,
        /*op_desc_queries=*/{67, 68, 70, 71, 72, 73, 74, 75},
    },
    {
        /*version=*/"v0.19",
        /*build_id=*/"fe478f273f5ec5d5cbab438f90265448ba47dab5",
        /*kind_shift=*/1,
        /*format_last=*/145,
        /*wino_format=*/143,
        /*packed_formats=*/{144, 144},
        /*rnn_data_formats=*/{28, 29},
        /*wino_words=*/10,
        /*eltwise_has_slope=*/false,
        /*softmax_has_diff=*/true,
        /*pads_outputs=*/true,
        /*keeps=*/Keeps::kTold,
        /*op_desc_queries=*/{67, 68, 70, 71, 72, 73, 74, 75},
    },
};

const size_t kAbiCount = sizeof(kAbis) / sizeof(kAbis[0]);

// Whether the headers that this is compiled with are that release's, or a neighbour's with the same
// interface (v0.17 to v0.17.4 share theirs). The count of formats tells releases apart; the rest,
// what lies between them.
inline bool headers_are(const Abi &abi) {
  return abi.kind_shift == mkldnn_concat - 4 && abi.format_last == mkldnn_format_last &&
         abi.wino_format == mkldnn_wino_fmt &&
         abi.wino_words * sizeof(int) + sizeof(size_t) == sizeof(mkldnn_wino_desc_t) &&
         abi.eltwise_has_slope == (sizeof(mkldnn_eltwise_desc_t) > 840) &&
         abi.softmax_has_diff == (sizeof(mkldnn_softmax_desc_t) > 424) &&
         abi.op_desc_queries[0] == mkldnn_query_convolution_d &&
         abi.op_desc_queries[1] == mkldnn_query_deconvolution_d &&
         abi.op_desc_queries[2] == mkldnn_query_eltwise_d &&
         abi.op_desc_queries[3] == mkldnn_query_softmax_d &&
         abi.op_desc_queries[4] == mkldnn_query_pooling_d &&
         abi.op_desc_queries[5] == mkldnn_query_lrn_d &&
         abi.op_desc_queries[6] == mkldnn_query_batch_normalization_d &&
         abi.op_desc_queries[7] == mkldnn_query_inner_product_d;
}

// The opening words that every operation descriptor shares.
struct OpDescHead {
  int primitive_kind;
  int prop_kind;
};

inline Kind kind_of(const Abi &abi, int primitive_kind) {
  static const Kind kFixed[] = {Kind::kUnknown, Kind::kMemory, Kind::kView, Kind::kReorder};
  // 4 to 14 in v0.14; the second is concat_inplace.
  static const Kind kShifted[] = {Kind::kConcat,      Kind::kUnknown,       Kind::kSum,
                                  Kind::kConvolution, Kind::kDeconvolution, Kind::kEltwise,
                                  Kind::kSoftmax,     Kind::kPooling,       Kind::kLrn,
                                  Kind::kBatchNorm,   Kind::kInnerProduct};
  if (primitive_kind >= 0 && primitive_kind < 4) return kFixed[primitive_kind];
  const int shifted = primitive_kind - abi.kind_shift - 4;
  return shifted >= 0 && shifted < 11 ? kShifted[shifted] : Kind::kUnknown;
}

// The query that returns the operation descriptor of a primitive descriptor; -1 where none does.
inline int op_desc_query(const Abi &abi, Kind kind) {
  const int i = static_cast<int>(kind) - static_cast<int>(Kind::kConvolution);
  return i >= 0 ? abi.op_desc_queries[i] : -1;
}

}  // namespace opcache

#endif  // OPCACHE_API0_ABI_H_
