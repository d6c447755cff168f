// The exported functions of the fake MKL-DNN around attributes and post-ops.
#include "fake_call.h"

using namespace fake;

namespace {

// The attributes of a descriptor are part of it, so the readers take any pointer to one.
const Attr &read(const_mkldnn_primitive_attr_t handle) {
  return *reinterpret_cast<const Attr *>(handle);
}

const std::vector<PostOp> &read(const_mkldnn_post_ops_t handle) {
  return reinterpret_cast<const PostOps *>(handle)->ops;
}
const PostOp &read(const_mkldnn_post_ops_t handle, int index) {
  return read(handle)[static_cast<size_t>(index)];
}

}  // namespace

extern "C" {

FAKE_FUNCTION(primitive_attr_create, (mkldnn_primitive_attr_t * result),
              give(result, s.make<Attr>(kFakeAttr)))

FAKE_FUNCTION(primitive_attr_clone, (mkldnn_primitive_attr_t * result, ConstAttr existing),
              if (result == nullptr || existing == nullptr) return mkldnn_invalid_arguments;
              FAKE_NEED(from, FAKE_ATTR(existing)); Attr *attr = s.make<Attr>(kFakeAttr);
              *attr = *from; give(result, attr))

FAKE_DESTROY(primitive_attr_destroy, mkldnn_primitive_attr_t, FAKE_ATTR, true)

#ifdef API1
typedef mkldnn_dim_t Count;

FAKE_FUNCTION(primitive_attr_get_scratchpad_mode,
              (ConstAttr handle, mkldnn_scratchpad_mode_t *mode), *mode = read(handle).mode)

FAKE_FUNCTION(primitive_attr_set_scratchpad_mode,
              (mkldnn_primitive_attr_t handle, mkldnn_scratchpad_mode_t mode),
              FAKE_ATTR(handle)->mode = mode)

FAKE_FUNCTION(primitive_attr_set_rnn_data_qparams,
              (mkldnn_primitive_attr_t handle, float scale, float shift),
              FAKE_ATTR(handle)->rnn.insert(FAKE_ATTR(handle)->rnn.end(), {scale, shift}))

FAKE_FUNCTION(primitive_attr_set_rnn_weights_qparams,
              (mkldnn_primitive_attr_t handle, Count count, int, const float *scales),
              FAKE_ATTR(handle)->rnn.assign(scales, scales + count))
#else
typedef int Count;

FAKE_FUNCTION(primitive_attr_get_int_output_round_mode,
              (ConstAttr handle, mkldnn_round_mode_t *mode), *mode = read(handle).mode)

FAKE_FUNCTION(primitive_attr_set_int_output_round_mode,
              (mkldnn_primitive_attr_t handle, mkldnn_round_mode_t mode),
              FAKE_ATTR(handle)->mode = mode)
#endif

FAKE_FUNCTION(primitive_attr_get_output_scales,
              (ConstAttr handle, Count *count, int *mask, const float **scales),
              *count = static_cast<Count>(read(handle).scales.size());
              *mask = read(handle).mask; *scales = read(handle).scales.data())

FAKE_FUNCTION(primitive_attr_set_output_scales,
              (mkldnn_primitive_attr_t handle, Count count, int mask, const float *scales),
              FAKE_ATTR(handle)->mask = mask;
              FAKE_ATTR(handle)->scales.assign(scales, scales + count))

FAKE_FUNCTION(primitive_attr_get_post_ops, (ConstAttr handle, const_mkldnn_post_ops_t *post_ops),
              give(post_ops, &read(handle).post_ops))

FAKE_FUNCTION(primitive_attr_set_post_ops,
              (mkldnn_primitive_attr_t handle, const_mkldnn_post_ops_t post_ops),
              FAKE_ATTR(handle)->post_ops = *FAKE_POST_OPS(post_ops))

FAKE_FUNCTION(post_ops_create, (mkldnn_post_ops_t * result),
              give(result, s.make<PostOps>(kFakePostOps)))

FAKE_DESTROY(post_ops_destroy, mkldnn_post_ops_t, FAKE_POST_OPS, false)

FAKE_FUNCTION(post_ops_append_sum, (mkldnn_post_ops_t handle, float scale),
              FAKE_POST_OPS(handle)->ops.push_back({mkldnn_sum, scale, mkldnn_alg_kind_undef, 0,
                                                    0}))

FAKE_FUNCTION(post_ops_append_eltwise,
              (mkldnn_post_ops_t handle, float scale, Alg alg, float alpha, float beta),
              FAKE_POST_OPS(handle)->ops.push_back({mkldnn_eltwise, scale, alg, alpha, beta}))

int mkldnn_post_ops_len(const_mkldnn_post_ops_t handle) {
  FAKE_ENTER(post_ops_len, 0);
  return static_cast<int>(read(handle).size());
}

mkldnn_primitive_kind_t mkldnn_post_ops_get_kind(const_mkldnn_post_ops_t handle, int index) {
  FAKE_ENTER(post_ops_get_kind, mkldnn_undefined_primitive);
  return read(handle, index).kind;
}

FAKE_FUNCTION(post_ops_get_params_sum, (const_mkldnn_post_ops_t handle, int index, float *scale),
              *scale = read(handle, index).scale)

FAKE_FUNCTION(post_ops_get_params_eltwise,
              (const_mkldnn_post_ops_t handle, int index, float *scale, Alg *alg, float *alpha,
               float *beta),
              const PostOp &op = read(handle, index);
              *scale = op.scale; *alg = op.alg; *alpha = op.alpha; *beta = op.beta)

}  // extern "C"
