// What cases of all kinds share, and the choice of a kind.
#include "fuzz_case.h"

namespace fuzz {

using namespace real_session;

void Case::note(const_mkldnn_primitive_desc_t pd) {
  if (pd == nullptr) return note("none");
  const char *name = "";
  mkldnn_primitive_desc_query(pd, mkldnn_query_impl_info_str, 0, &name);
  note(name);
  for (const mkldnn_query_t what :
       {mkldnn_query_src_pd, mkldnn_query_diff_src_pd, mkldnn_query_weights_pd,
        mkldnn_query_diff_weights_pd, mkldnn_query_dst_pd, mkldnn_query_diff_dst_pd,
        mkldnn_query_workspace_pd}) {
    const auto layout = s_.api().primitive_desc_query_pd(pd, what, 0);
    const auto *md = layout != nullptr ? mkldnn_primitive_desc_query_memory_d(layout) : nullptr;
    if (md == nullptr) continue;
    std::string text = std::to_string(md->format) + "/" + std::to_string(md->data_type) + ":";
    for (int i = 0; i < md->ndims; ++i) {
      text += " " + std::to_string(md->dims[i]) + "," +
              std::to_string(md->layout_desc.blocking.strides[0][i]) + "," +
              std::to_string(md->layout_desc.blocking.padding_dims[i]);
    }
    note(text + " " + std::to_string(mkldnn_memory_primitive_desc_get_size(layout)));
  }
}

mkldnn_primitive_desc_t Case::make(OpDesc *d, mkldnn_primitive_desc_t hint,
                                   mkldnn_primitive_attr_t attr) {
  // No kind. (What is wrong elsewhere, MKL-DNN does not always look at before it computes with it.)
  if (one_in(40)) d->words[0] = 99;
  return noted(s_.operation(d, hint, attr));
}

void Case::add_post_ops(Attr *attr) {
  mkldnn_post_ops_t post_ops = nullptr;
  CHECK_OK(mkldnn_primitive_attr_create(&attr->handle));
  CHECK_OK(mkldnn_post_ops_create(&post_ops));
  if (one_in(2)) CHECK_OK(mkldnn_post_ops_append_sum(post_ops, of({1.0f, 0.5f})));
  if (one_in(2)) {
    CHECK_OK(mkldnn_post_ops_append_eltwise(
        post_ops, 1.0f, of({algorithms().relu, algorithms().relu, algorithms().tanh}),
        of({0.0f, 0.25f}), 0.0f));
  }
  CHECK_OK(mkldnn_primitive_attr_set_post_ops(attr->handle, post_ops));
  CHECK_OK(mkldnn_post_ops_destroy(post_ops));
}

void Case::add_scales(Attr *attr) {
  const float scale = of({0.5f, 2.0f, 40.0f});
  if (attr->handle == nullptr) CHECK_OK(mkldnn_primitive_attr_create(&attr->handle));
  CHECK_OK(mkldnn_primitive_attr_set_output_scales(attr->handle, 1, 0, &scale));
  CHECK_OK(mkldnn_primitive_attr_set_int_output_round_mode(
      attr->handle, of({mkldnn_round_nearest, mkldnn_round_down})));
}

std::string Case::run() {
  const int kind = below(16);
  static const char *const kNames[] = {
      "convolution", "convolution", "convolution", "deconvolution", "inner_product", "pooling",
      "lrn",         "batch_norm",  "eltwise",     "eltwise",       "softmax",       "reorder",
      "reorder",     "sum",         "concat",      "view"};
  note(kNames[kind]);
  switch (kind) {
    case 0:
    case 1:
    case 2:
      convolution(false);
      break;
    case 3:
      convolution(true);
      break;
    case 4:
      inner_product();
      break;
    case 5:
      pooling();
      break;
    case 6:
      lrn();
      break;
    case 7:
      batch_norm();
      break;
    case 8:
    case 9:
      eltwise();
      break;
    case 10:
      softmax();
      break;
    case 11:
    case 12:
      reorder();
      break;
    case 13:
      sum();
      break;
    case 14:
      concat();
      break;
    default:
      view();
  }
  note("status " + std::to_string(s_.status()));
  return text_;
}

std::string run_case(Session *session, uint64_t number, bool aloud) {
  return Case(session, number, aloud).run();
}

}  // namespace fuzz
