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
  kConvolution,
  kDeconvolution,
  kEltwise,
  kSoftmax,
  kPooling,
  kLrn,
  kBatchNorm,
  kInnerProduct,
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
  int query_convolution_d;  // the other op-desc queries follow in the order below
  int query_deconvolution_d;
  int query_eltwise_d;
  int query_softmax_d;
  int query_pooling_d;
  int query_lrn_d;
  int query_batch_norm_d;
  int query_inner_product_d;
};

const Abi kAbis[] = {
    {"v0.14",
     "327b74456f70bbd8c01967faac05ca0295cbf4f9",
     0,
     67,
     66,
     {62, 64},
     {-1, -1},
     8,
     true,
     false,
     false,
     66,
     67,
     68,
     69,
     70,
     71,
     72,
     73},
    {"v0.17.4",
     "70903626b916e9767d06429ff6fe6dce2723c90c",
     1,
     112,
     109,
     {110, 111},
     {-1, -1},
     10,
     true,
     true,
     false,
     67,
     68,
     70,
     71,
     72,
     73,
     74,
     75},
    {"v0.19",
     "fe478f273f5ec5d5cbab438f90265448ba47dab5",
     1,
     145,
     143,
     {144, 144},
     {28, 29},
     10,
     false,
     true,
     true,
     67,
     68,
     70,
     71,
     72,
     73,
     74,
     75},
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
         abi.query_convolution_d == mkldnn_query_convolution_d &&
         abi.query_deconvolution_d == mkldnn_query_deconvolution_d &&
         abi.query_eltwise_d == mkldnn_query_eltwise_d &&
         abi.query_softmax_d == mkldnn_query_softmax_d &&
         abi.query_pooling_d == mkldnn_query_pooling_d && abi.query_lrn_d == mkldnn_query_lrn_d &&
         abi.query_batch_norm_d == mkldnn_query_batch_normalization_d &&
         abi.query_inner_product_d == mkldnn_query_inner_product_d;
}

// The opening words that every operation descriptor shares.
struct OpDescHead {
  int primitive_kind;
  int prop_kind;
};

inline Kind kind_of(const Abi &abi, int primitive_kind) {
  switch (primitive_kind) {
    case 1:
      return Kind::kMemory;
    case 2:
      return Kind::kView;
    case 3:
      return Kind::kReorder;
    default:
      break;
  }
  switch (primitive_kind - abi.kind_shift) {
    case 4:
      return Kind::kConcat;
    case 6:
      return Kind::kSum;
    case 7:
      return Kind::kConvolution;
    case 8:
      return Kind::kDeconvolution;
    case 9:
      return Kind::kEltwise;
    case 10:
      return Kind::kSoftmax;
    case 11:
      return Kind::kPooling;
    case 12:
      return Kind::kLrn;
    case 13:
      return Kind::kBatchNorm;
    case 14:
      return Kind::kInnerProduct;
    default:
      return Kind::kUnknown;
  }
}

// The query that returns the operation descriptor of a primitive descriptor; -1 where none does.
inline int op_desc_query(const Abi &abi, Kind kind) {
  switch (kind) {
    case Kind::kConvolution:
      return abi.query_convolution_d;
    case Kind::kDeconvolution:
      return abi.query_deconvolution_d;
    case Kind::kEltwise:
      return abi.query_eltwise_d;
    case Kind::kSoftmax:
      return abi.query_softmax_d;
    case Kind::kPooling:
      return abi.query_pooling_d;
    case Kind::kLrn:
      return abi.query_lrn_d;
    case Kind::kBatchNorm:
      return abi.query_batch_norm_d;
    case Kind::kInnerProduct:
      return abi.query_inner_product_d;
    default:
      return -1;
  }
}

}  // namespace opcache

#endif  // OPCACHE_API0_ABI_H_
