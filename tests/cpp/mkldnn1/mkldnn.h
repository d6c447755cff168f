// What the tests use of the C interface of MKL-DNN 1.0, which no package of MXNet 1.6.0 ships a
// header of: its types and functions by their own names, with the layouts and numbers of v1.0.4.
// The tests on the real library fail where one is wrong.
#ifndef MKLDNN1_MKLDNN_H_
#define MKLDNN1_MKLDNN_H_

#include <stddef.h>
#include <stdint.h>

#define MKLDNN_VERSION_MAJOR 1
#define MKLDNN_VERSION_MINOR 0
#define MKLDNN_VERSION_PATCH 4

extern "C" {

typedef enum {
  mkldnn_success,
  mkldnn_out_of_memory,
  mkldnn_invalid_arguments,
  mkldnn_unimplemented,
  mkldnn_iterator_ends,
  mkldnn_runtime_error,
  mkldnn_not_required,
} mkldnn_status_t;

typedef enum { mkldnn_f32 = 3, mkldnn_s32, mkldnn_s8, mkldnn_u8 } mkldnn_data_type_t;

typedef enum {
  mkldnn_format_kind_undef,
  mkldnn_format_kind_any,
  mkldnn_blocked,
  mkldnn_format_kind_wino,
  mkldnn_format_kind_rnn_packed,
} mkldnn_format_kind_t;

typedef enum {
  mkldnn_format_tag_undef = 0,
  mkldnn_format_tag_any = 1,
  mkldnn_x = 2,
  mkldnn_nc = 3,
  mkldnn_oi = 3,
  mkldnn_nchw = 5,
  mkldnn_oihw = 5,
  mkldnn_goihw = 6,
  mkldnn_nhwc = 11,
  mkldnn_nChw16c = 40,
  mkldnn_nChw8c = 52,
} mkldnn_format_tag_t;

typedef enum {
  mkldnn_forward_training = 64,
  mkldnn_forward_inference = 96,
  mkldnn_forward_scoring = mkldnn_forward_inference,
  mkldnn_backward = 128,
  mkldnn_backward_data = 160,
  mkldnn_backward_weights = 192,
} mkldnn_prop_kind_t;

typedef enum {
  mkldnn_undefined_primitive,
  mkldnn_reorder,
  mkldnn_shuffle,
  mkldnn_concat,
  mkldnn_sum,
  mkldnn_convolution,
  mkldnn_deconvolution,
  mkldnn_eltwise,
  mkldnn_softmax,
  mkldnn_pooling,
  mkldnn_lrn,
  mkldnn_batch_normalization,
  mkldnn_inner_product,
  mkldnn_rnn,
  mkldnn_gemm,
} mkldnn_primitive_kind_t;

typedef enum {
  mkldnn_alg_kind_undef,
  mkldnn_convolution_direct = 0x1,
  mkldnn_convolution_winograd = 0x2,
  mkldnn_deconvolution_direct = 0xa,
  mkldnn_eltwise_relu = 0x1f,
  mkldnn_eltwise_tanh = 0x2f,
  mkldnn_eltwise_logistic = 0xaf,
  mkldnn_pooling_max = 0x1ff,
  mkldnn_pooling_avg_include_padding = 0x2ff,
  mkldnn_pooling_avg_exclude_padding = 0x3ff,
  mkldnn_lrn_across_channels = 0xaff,
} mkldnn_alg_kind_t;

enum { mkldnn_use_global_stats = 1, mkldnn_use_scaleshift = 2 };

#define MKLDNN_MAX_NDIMS 12
typedef int64_t mkldnn_dim_t;
typedef mkldnn_dim_t mkldnn_dims_t[MKLDNN_MAX_NDIMS];

typedef struct {
  mkldnn_dims_t strides;
  int inner_nblks;
  mkldnn_dims_t inner_blks, inner_idxs;
} mkldnn_blocking_desc_t;

typedef struct {
  int wino_format, r, alpha, ic, oc, ic_block, oc_block, ic2_block, oc2_block;
  float adj_scale;
  size_t size;
} mkldnn_wino_desc_t;

typedef struct {
  int format, n_parts, n, ldb, parts[4];
  size_t part_pack_size[4];
  unsigned pack_part[4];
  size_t offset_compensation, size;
  char reserved[200];
} mkldnn_rnn_packed_desc_t;

typedef struct {
  uint64_t flags;  // 1: compensation, 2: scale
  int compensation_mask;
  float scale_adjust;
  char reserved[64];
} mkldnn_memory_extra_desc_t;

typedef struct {
  int ndims;
  mkldnn_dims_t dims;
  mkldnn_data_type_t data_type;
  mkldnn_dims_t padded_dims, padded_offsets;
  mkldnn_dim_t offset0;
  mkldnn_format_kind_t format_kind;
  union {
    mkldnn_blocking_desc_t blocking;
    mkldnn_wino_desc_t wino_desc;
    mkldnn_rnn_packed_desc_t rnn_packed_desc;
  } format_desc;
  mkldnn_memory_extra_desc_t extra;
} mkldnn_memory_desc_t;

typedef void *mkldnn_op_desc_t;
typedef const void *const_mkldnn_op_desc_t;

#define MKLDNN1_HEAD                      \
  mkldnn_primitive_kind_t primitive_kind; \
  mkldnn_prop_kind_t prop_kind;
#define MKLDNN1_LAYERS                                                                      \
  mkldnn_memory_desc_t src_desc, diff_src_desc, weights_desc, diff_weights_desc, bias_desc, \
      diff_bias_desc, dst_desc, diff_dst_desc;

typedef struct {
  MKLDNN1_HEAD
  mkldnn_alg_kind_t alg_kind;
  MKLDNN1_LAYERS
  mkldnn_dims_t strides, dilates, padding[2];
  mkldnn_data_type_t accum_data_type;
} mkldnn_convolution_desc_t;

typedef struct {
  MKLDNN1_HEAD
  mkldnn_memory_desc_t data_desc;
  int axis;
  mkldnn_dim_t group_size;
} mkldnn_shuffle_desc_t;

typedef struct {
  MKLDNN1_HEAD
  mkldnn_alg_kind_t alg_kind;
  mkldnn_memory_desc_t data_desc, diff_data_desc;
  float alpha, beta;
} mkldnn_eltwise_desc_t;

typedef struct {
  MKLDNN1_HEAD
  mkldnn_memory_desc_t data_desc, diff_desc;
  int softmax_axis;
} mkldnn_softmax_desc_t;

typedef struct {
  MKLDNN1_HEAD
  mkldnn_alg_kind_t alg_kind;
  mkldnn_memory_desc_t src_desc, diff_src_desc, dst_desc, diff_dst_desc;
  mkldnn_dims_t strides, kernel, padding[2];
  mkldnn_data_type_t accum_data_type;
} mkldnn_pooling_desc_t;

typedef struct {
  MKLDNN1_HEAD
  mkldnn_alg_kind_t alg_kind;
  mkldnn_memory_desc_t data_desc, diff_data_desc;
  mkldnn_dim_t local_size;
  float lrn_alpha, lrn_beta, lrn_k;
} mkldnn_lrn_desc_t;

typedef struct {
  MKLDNN1_HEAD
  mkldnn_memory_desc_t data_desc, diff_data_desc, data_scaleshift_desc, diff_data_scaleshift_desc,
      stat_desc;
  float batch_norm_epsilon;
  unsigned flags;
} mkldnn_batch_normalization_desc_t;

typedef struct {
  MKLDNN1_HEAD
  MKLDNN1_LAYERS
  mkldnn_data_type_t accum_data_type;
} mkldnn_inner_product_desc_t;

typedef enum { mkldnn_any_engine, mkldnn_cpu } mkldnn_engine_kind_t;
typedef enum {
  mkldnn_scratchpad_mode_library,
  mkldnn_scratchpad_mode_user,
} mkldnn_scratchpad_mode_t;

typedef struct mkldnn_engine *mkldnn_engine_t;
#define MKLDNN1_OBJECT(name)                       \
  typedef struct mkldnn_##name *mkldnn_##name##_t; \
  typedef const struct mkldnn_##name *const_mkldnn_##name##_t;
MKLDNN1_OBJECT(memory)
MKLDNN1_OBJECT(primitive_desc_iterator)
MKLDNN1_OBJECT(primitive_desc)
MKLDNN1_OBJECT(primitive_attr)
MKLDNN1_OBJECT(post_ops)
MKLDNN1_OBJECT(primitive)
MKLDNN1_OBJECT(stream)

enum {
  MKLDNN_ARG_SRC = 1,
  MKLDNN_ARG_DST = 17,
  MKLDNN_ARG_WEIGHTS = 33,
  MKLDNN_ARG_BIAS = 41,
  MKLDNN_ARG_MEAN = 49,
  MKLDNN_ARG_VARIANCE = 50,
  MKLDNN_ARG_WORKSPACE = 64,
  MKLDNN_ARG_DIFF_SRC = 129,
  MKLDNN_ARG_DIFF_DST = 145,
  MKLDNN_ARG_DIFF_WEIGHTS = 161,
  MKLDNN_ARG_DIFF_BIAS = 169,
  MKLDNN_ARG_MULTIPLE_SRC = 1024,
};

typedef struct {
  int arg;
  mkldnn_memory_t memory;
} mkldnn_exec_arg_t;

typedef enum {
  mkldnn_query_engine = 1,
  mkldnn_query_primitive_kind = 2,
  mkldnn_query_num_of_inputs_s32 = 3,
  mkldnn_query_num_of_outputs_s32 = 4,
  mkldnn_query_memory_consumption_s64 = 6,
  mkldnn_query_impl_info_str = 8,
  mkldnn_query_op_d = 65,
  mkldnn_query_some_md = 128,
  mkldnn_query_src_md,
  mkldnn_query_diff_src_md,
  mkldnn_query_weights_md,
  mkldnn_query_diff_weights_md,
  mkldnn_query_dst_md,
  mkldnn_query_diff_dst_md,
  mkldnn_query_workspace_md,
  mkldnn_query_scratchpad_md,
} mkldnn_query_t;

#define MKLDNN1(name, ...) mkldnn_status_t mkldnn_##name(__VA_ARGS__);
#define MKLDNN1_MD const mkldnn_memory_desc_t *

MKLDNN1(primitive_desc_iterator_create, mkldnn_primitive_desc_iterator_t *, const_mkldnn_op_desc_t,
        const_mkldnn_primitive_attr_t, mkldnn_engine_t, const_mkldnn_primitive_desc_t)
MKLDNN1(primitive_desc_iterator_next, mkldnn_primitive_desc_iterator_t)
mkldnn_primitive_desc_t mkldnn_primitive_desc_iterator_fetch(
    const_mkldnn_primitive_desc_iterator_t);
MKLDNN1(primitive_desc_iterator_destroy, mkldnn_primitive_desc_iterator_t)
MKLDNN1(primitive_desc_create, mkldnn_primitive_desc_t *, const_mkldnn_op_desc_t,
        const_mkldnn_primitive_attr_t, mkldnn_engine_t, const_mkldnn_primitive_desc_t)
MKLDNN1(primitive_desc_clone, mkldnn_primitive_desc_t *, const_mkldnn_primitive_desc_t)
MKLDNN1(primitive_desc_get_attr, const_mkldnn_primitive_desc_t, const_mkldnn_primitive_attr_t *)
MKLDNN1(primitive_desc_destroy, mkldnn_primitive_desc_t)
MKLDNN1(primitive_desc_query, const_mkldnn_primitive_desc_t, mkldnn_query_t, int, void *)
MKLDNN1_MD mkldnn_primitive_desc_query_md(const_mkldnn_primitive_desc_t, mkldnn_query_t, int);
int mkldnn_primitive_desc_query_s32(const_mkldnn_primitive_desc_t, mkldnn_query_t, int);
MKLDNN1(primitive_create, mkldnn_primitive_t *, const_mkldnn_primitive_desc_t)
MKLDNN1(primitive_execute, const_mkldnn_primitive_t, mkldnn_stream_t, int,
        const mkldnn_exec_arg_t *)
MKLDNN1(primitive_get_primitive_desc, const_mkldnn_primitive_t, const_mkldnn_primitive_desc_t *)
MKLDNN1(primitive_destroy, mkldnn_primitive_t)
MKLDNN1(primitive_attr_create, mkldnn_primitive_attr_t *)
MKLDNN1(primitive_attr_clone, mkldnn_primitive_attr_t *, const_mkldnn_primitive_attr_t)
MKLDNN1(primitive_attr_destroy, mkldnn_primitive_attr_t)
MKLDNN1(primitive_attr_get_scratchpad_mode, const_mkldnn_primitive_attr_t,
        mkldnn_scratchpad_mode_t *)
MKLDNN1(primitive_attr_set_scratchpad_mode, mkldnn_primitive_attr_t, mkldnn_scratchpad_mode_t)
MKLDNN1(primitive_attr_get_output_scales, const_mkldnn_primitive_attr_t, mkldnn_dim_t *, int *,
        const float **)
MKLDNN1(primitive_attr_set_output_scales, mkldnn_primitive_attr_t, mkldnn_dim_t, int, const float *)
MKLDNN1(primitive_attr_get_post_ops, const_mkldnn_primitive_attr_t, const_mkldnn_post_ops_t *)
MKLDNN1(primitive_attr_set_post_ops, mkldnn_primitive_attr_t, const_mkldnn_post_ops_t)
MKLDNN1(primitive_attr_set_rnn_data_qparams, mkldnn_primitive_attr_t, float, float)
MKLDNN1(primitive_attr_set_rnn_weights_qparams, mkldnn_primitive_attr_t, mkldnn_dim_t, int,
        const float *)
MKLDNN1(post_ops_create, mkldnn_post_ops_t *)
MKLDNN1(post_ops_destroy, mkldnn_post_ops_t)
int mkldnn_post_ops_len(const_mkldnn_post_ops_t);
mkldnn_primitive_kind_t mkldnn_post_ops_get_kind(const_mkldnn_post_ops_t, int);
MKLDNN1(post_ops_append_sum, mkldnn_post_ops_t, float)
MKLDNN1(post_ops_get_params_sum, const_mkldnn_post_ops_t, int, float *)
MKLDNN1(post_ops_append_eltwise, mkldnn_post_ops_t, float, mkldnn_alg_kind_t, float, float)
MKLDNN1(post_ops_get_params_eltwise, const_mkldnn_post_ops_t, int, float *, mkldnn_alg_kind_t *,
        float *, float *)
MKLDNN1(memory_desc_init_by_tag, mkldnn_memory_desc_t *, int, const mkldnn_dims_t,
        mkldnn_data_type_t, mkldnn_format_tag_t)
MKLDNN1(memory_desc_init_submemory, mkldnn_memory_desc_t *, MKLDNN1_MD, const mkldnn_dims_t,
        const mkldnn_dims_t)
int mkldnn_memory_desc_equal(MKLDNN1_MD, MKLDNN1_MD);
size_t mkldnn_memory_desc_get_size(MKLDNN1_MD);
MKLDNN1(memory_create, mkldnn_memory_t *, MKLDNN1_MD, mkldnn_engine_t, void *)
MKLDNN1(memory_get_memory_desc, const_mkldnn_memory_t, MKLDNN1_MD *)
MKLDNN1(memory_get_engine, const_mkldnn_memory_t, mkldnn_engine_t *)
MKLDNN1(memory_get_data_handle, const_mkldnn_memory_t, void **)
MKLDNN1(memory_set_data_handle, mkldnn_memory_t, void *)
MKLDNN1(memory_destroy, mkldnn_memory_t)
MKLDNN1(reorder_primitive_desc_create, mkldnn_primitive_desc_t *, MKLDNN1_MD, mkldnn_engine_t,
        MKLDNN1_MD, mkldnn_engine_t, const_mkldnn_primitive_attr_t)
MKLDNN1(concat_primitive_desc_create, mkldnn_primitive_desc_t *, MKLDNN1_MD, int, int, MKLDNN1_MD,
        const_mkldnn_primitive_attr_t, mkldnn_engine_t)
MKLDNN1(sum_primitive_desc_create, mkldnn_primitive_desc_t *, MKLDNN1_MD, int, const float *,
        MKLDNN1_MD, const_mkldnn_primitive_attr_t, mkldnn_engine_t)
MKLDNN1(engine_create, mkldnn_engine_t *, mkldnn_engine_kind_t, size_t)
MKLDNN1(engine_destroy, mkldnn_engine_t)
MKLDNN1(stream_create, mkldnn_stream_t *, mkldnn_engine_t, unsigned)
MKLDNN1(stream_wait, mkldnn_stream_t)
MKLDNN1(stream_destroy, mkldnn_stream_t)

// Descriptions. A window: strides, paddings before and behind; of a pooling, the kernel after the
// strides.
#define MKLDNN1_3_DIMS const mkldnn_dims_t, const mkldnn_dims_t, const mkldnn_dims_t
#define MKLDNN1_CONVOLUTION(name, ...)                                                       \
  MKLDNN1(name##_forward_desc_init, mkldnn_convolution_desc_t *, mkldnn_prop_kind_t,         \
          mkldnn_alg_kind_t, MKLDNN1_MD, MKLDNN1_MD, MKLDNN1_MD, MKLDNN1_MD, __VA_ARGS__)    \
  MKLDNN1(name##_backward_data_desc_init, mkldnn_convolution_desc_t *, mkldnn_alg_kind_t,    \
          MKLDNN1_MD, MKLDNN1_MD, MKLDNN1_MD, __VA_ARGS__)                                   \
  MKLDNN1(name##_backward_weights_desc_init, mkldnn_convolution_desc_t *, mkldnn_alg_kind_t, \
          MKLDNN1_MD, MKLDNN1_MD, MKLDNN1_MD, MKLDNN1_MD, __VA_ARGS__)
MKLDNN1_CONVOLUTION(convolution, MKLDNN1_3_DIMS)
MKLDNN1_CONVOLUTION(dilated_convolution, const mkldnn_dims_t, MKLDNN1_3_DIMS)
MKLDNN1_CONVOLUTION(deconvolution, MKLDNN1_3_DIMS)
MKLDNN1(inner_product_forward_desc_init, mkldnn_inner_product_desc_t *, mkldnn_prop_kind_t,
        MKLDNN1_MD, MKLDNN1_MD, MKLDNN1_MD, MKLDNN1_MD)
MKLDNN1(inner_product_backward_data_desc_init, mkldnn_inner_product_desc_t *, MKLDNN1_MD,
        MKLDNN1_MD, MKLDNN1_MD)
MKLDNN1(inner_product_backward_weights_desc_init, mkldnn_inner_product_desc_t *, MKLDNN1_MD,
        MKLDNN1_MD, MKLDNN1_MD, MKLDNN1_MD)
MKLDNN1(pooling_forward_desc_init, mkldnn_pooling_desc_t *, mkldnn_prop_kind_t, mkldnn_alg_kind_t,
        MKLDNN1_MD, MKLDNN1_MD, const mkldnn_dims_t, MKLDNN1_3_DIMS)
MKLDNN1(pooling_backward_desc_init, mkldnn_pooling_desc_t *, mkldnn_alg_kind_t, MKLDNN1_MD,
        MKLDNN1_MD, const mkldnn_dims_t, MKLDNN1_3_DIMS)
MKLDNN1(eltwise_forward_desc_init, mkldnn_eltwise_desc_t *, mkldnn_prop_kind_t, mkldnn_alg_kind_t,
        MKLDNN1_MD, float, float)
MKLDNN1(eltwise_backward_desc_init, mkldnn_eltwise_desc_t *, mkldnn_alg_kind_t, MKLDNN1_MD,
        MKLDNN1_MD, float, float)
MKLDNN1(softmax_forward_desc_init, mkldnn_softmax_desc_t *, mkldnn_prop_kind_t, MKLDNN1_MD, int)
MKLDNN1(softmax_backward_desc_init, mkldnn_softmax_desc_t *, MKLDNN1_MD, MKLDNN1_MD, int)
MKLDNN1(lrn_forward_desc_init, mkldnn_lrn_desc_t *, mkldnn_prop_kind_t, mkldnn_alg_kind_t,
        MKLDNN1_MD, mkldnn_dim_t, float, float, float)
MKLDNN1(lrn_backward_desc_init, mkldnn_lrn_desc_t *, mkldnn_alg_kind_t, MKLDNN1_MD, MKLDNN1_MD,
        mkldnn_dim_t, float, float, float)
MKLDNN1(batch_normalization_forward_desc_init, mkldnn_batch_normalization_desc_t *,
        mkldnn_prop_kind_t, MKLDNN1_MD, float, unsigned)
MKLDNN1(batch_normalization_backward_desc_init, mkldnn_batch_normalization_desc_t *,
        mkldnn_prop_kind_t, MKLDNN1_MD, MKLDNN1_MD, float, unsigned)
MKLDNN1(shuffle_forward_desc_init, mkldnn_shuffle_desc_t *, mkldnn_prop_kind_t, MKLDNN1_MD, int,
        mkldnn_dim_t)

}  // extern "C"

#endif  // MKLDNN1_MKLDNN_H_
