// The exported functions of the fake MKL-DNN around attributes and post-ops.
#include "fake_call.h"

using namespace fake;

namespace {

// The attributes of a descriptor are part of it, so the readers take any pointer to one.
const Attr *read(const_mkldnn_primitive_attr_t handle) {
  return reinterpret_cast<const Attr *>(handle);
}

const std::vector<PostOp> &read(const_mkldnn_post_ops_t handle) {
  return reinterpret_cast<const PostOps *>(handle)->ops;
}

}  // namespace

extern "C" {

Status mkldnn_primitive_attr_create(mkldnn_primitive_attr_t *result) {
  FAKE_ENTER(primitive_attr_create, injected);
  return give(result, s.make<Attr>(kFakeAttr));
}

Status mkldnn_primitive_attr_clone(mkldnn_primitive_attr_t *result, ConstAttr existing) {
  FAKE_ENTER(primitive_attr_clone, injected);
  if (result == nullptr || existing == nullptr) return mkldnn_invalid_arguments;
  FAKE_NEED(from, FAKE_ATTR(existing));
  Attr *attr = s.make<Attr>(kFakeAttr);
  *attr = *from;
  return give(result, attr);
}

Status mkldnn_primitive_attr_destroy(mkldnn_primitive_attr_t handle) {
  FAKE_ENTER_DESTROY(primitive_attr_destroy);
  if (handle == nullptr) return injected;
  Attr *attr = FAKE_ATTR(handle);
  if (attr != nullptr) s.destroy(attr);
  return injected;
}

Status mkldnn_primitive_attr_get_int_output_round_mode(ConstAttr handle,
                                                       mkldnn_round_mode_t *round_mode) {
  FAKE_ENTER(primitive_attr_get_int_output_round_mode, injected);
  *round_mode = read(handle)->round_mode;
  return mkldnn_success;
}

Status mkldnn_primitive_attr_set_int_output_round_mode(mkldnn_primitive_attr_t handle,
                                                       mkldnn_round_mode_t round_mode) {
  FAKE_ENTER(primitive_attr_set_int_output_round_mode, injected);
  FAKE_ATTR(handle)->round_mode = round_mode;
  return mkldnn_success;
}

Status mkldnn_primitive_attr_get_output_scales(ConstAttr handle, int *count, int *mask,
                                               const float **scales) {
  FAKE_ENTER(primitive_attr_get_output_scales, injected);
  *count = static_cast<int>(read(handle)->scales.size());
  *mask = read(handle)->mask;
  *scales = read(handle)->scales.data();
  return mkldnn_success;
}

Status mkldnn_primitive_attr_set_output_scales(mkldnn_primitive_attr_t handle, int count, int mask,
                                               const float *scales) {
  FAKE_ENTER(primitive_attr_set_output_scales, injected);
  Attr *attr = FAKE_ATTR(handle);
  attr->mask = mask;
  attr->scales.assign(scales, scales + count);
  return mkldnn_success;
}

Status mkldnn_primitive_attr_get_post_ops(ConstAttr handle, const_mkldnn_post_ops_t *post_ops) {
  FAKE_ENTER(primitive_attr_get_post_ops, injected);
  return give(post_ops, &read(handle)->post_ops);
}

Status mkldnn_primitive_attr_set_post_ops(mkldnn_primitive_attr_t handle,
                                          const_mkldnn_post_ops_t post_ops) {
  FAKE_ENTER(primitive_attr_set_post_ops, injected);
  Attr *attr = FAKE_ATTR(handle);
  attr->post_ops = *FAKE_POST_OPS(post_ops);
  return mkldnn_success;
}

Status mkldnn_post_ops_create(mkldnn_post_ops_t *result) {
  FAKE_ENTER(post_ops_create, injected);
  return give(result, s.make<PostOps>(kFakePostOps));
}

Status mkldnn_post_ops_destroy(mkldnn_post_ops_t handle) {
  FAKE_ENTER_DESTROY(post_ops_destroy);
  PostOps *post_ops = FAKE_POST_OPS(handle);
  if (post_ops != nullptr) s.destroy(post_ops);
  return injected;
}

Status mkldnn_post_ops_append_sum(mkldnn_post_ops_t handle, float scale) {
  FAKE_ENTER(post_ops_append_sum, injected);
  PostOps *post_ops = FAKE_POST_OPS(handle);
  post_ops->ops.push_back({mkldnn_sum, scale, mkldnn_alg_kind_undef, 0, 0});
  return mkldnn_success;
}

Status mkldnn_post_ops_append_eltwise(mkldnn_post_ops_t handle, float scale, Alg alg, float alpha,
                                      float beta) {
  FAKE_ENTER(post_ops_append_eltwise, injected);
  PostOps *post_ops = FAKE_POST_OPS(handle);
  post_ops->ops.push_back({mkldnn_eltwise, scale, alg, alpha, beta});
  return mkldnn_success;
}

int mkldnn_post_ops_len(const_mkldnn_post_ops_t handle) {
  FAKE_ENTER(post_ops_len, 0);
  return static_cast<int>(read(handle).size());
}

mkldnn_primitive_kind_t mkldnn_post_ops_get_kind(const_mkldnn_post_ops_t handle, int index) {
  FAKE_ENTER(post_ops_get_kind, mkldnn_undefined_primitive);
  return read(handle)[static_cast<size_t>(index)].kind;
}

Status mkldnn_post_ops_get_params_sum(const_mkldnn_post_ops_t handle, int index, float *scale) {
  FAKE_ENTER(post_ops_get_params_sum, injected);
  *scale = read(handle)[static_cast<size_t>(index)].scale;
  return mkldnn_success;
}

Status mkldnn_post_ops_get_params_eltwise(const_mkldnn_post_ops_t handle, int index, float *scale,
                                          Alg *alg, float *alpha, float *beta) {
  FAKE_ENTER(post_ops_get_params_eltwise, injected);
  const PostOp &op = read(handle)[static_cast<size_t>(index)];
  *scale = op.scale;
  *alg = op.alg;
  *alpha = op.alpha;
  *beta = op.beta;
  return mkldnn_success;
}

}  // extern "C"
