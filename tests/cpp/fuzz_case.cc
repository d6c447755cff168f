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

bool Case::describe(const Operation &op, Pass pass, mkldnn_primitive_desc_t *pd,
                    mkldnn_primitive_desc_t hint, mkldnn_primitive_attr_t attr) {
  operation::OpDesc d(0x5a);
  if (!ok(op.describe(pass, &d))) return false;
  // No kind. (What is wrong elsewhere, MKL-DNN does not always look at before it computes with it.)
  if (one_in(40)) d.words[0] = 99;
  *pd = noted(s_.operation(d, hint, attr));
  return true;
}

void Case::run_back(const Operation &op, Pass pass, mkldnn_primitive_desc_t hint,
                    const std::map<int, Data> &given) {
  mkldnn_primitive_desc_t pd = nullptr;
  if (describe(op, pass, &pd, hint)) s_.run(pd, given);
}

void Case::run_pass(const Operation &op, Pass pass, mkldnn_primitive_attr_t attr) {
  mkldnn_primitive_desc_t hint = nullptr;
  if (!describe(op, operation::kForward, &hint, nullptr, attr)) return;
  if (pass != operation::kForward) return run_back(op, pass, hint);
  s_.run(hint);
}

void Case::add_post_ops(Attr *attr) {
  PostOps post_ops;
  if (one_in(2)) post_ops.sum(of({1.0f, 0.5f}));
  if (one_in(2)) {
    const auto algorithm = of({algorithms().relu, algorithms().relu, algorithms().tanh});
    post_ops.eltwise(algorithm, of({0.0f, 0.25f}));
  }
  attr->post(post_ops);
}

void Case::add_scales(Attr *attr) {
  attr->scale(of({0.5f, 2.0f, 40.0f}));
  attr->round(of({mkldnn_round_nearest, mkldnn_round_down}));
}

std::string Case::run() {
  static const struct {
    const char *name;
    void (Case::*run)();
  } kKinds[16] = {{"convolution", &Case::convolution},
                  {"convolution", &Case::convolution},
                  {"convolution", &Case::convolution},
                  {"deconvolution", &Case::deconvolution},
                  {"inner_product", &Case::inner_product},
                  {"pooling", &Case::pooling},
                  {"lrn", &Case::lrn},
                  {"batch_norm", &Case::batch_norm},
                  {"eltwise", &Case::eltwise},
                  {"eltwise", &Case::eltwise},
                  {"softmax", &Case::softmax},
                  {"reorder", &Case::reorder},
                  {"reorder", &Case::reorder},
                  {"sum", &Case::sum},
                  {"concat", &Case::concat},
                  {"view", &Case::view}};
  const auto &kind = kKinds[below(16)];
  note(kind.name);
  (this->*kind.run)();
  note("status " + std::to_string(s_.status()));
  return text_;
}

std::string run_case(Session *session, uint64_t number, bool aloud) {
  return Case(session, number, aloud).run();
}

}  // namespace fuzz
