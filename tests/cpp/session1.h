// Of MKL-DNN 1.0, where memory objects are arguments of an execution. A part of real_session.h.
#pragma once

#include "real_session.h"

namespace real_session {

typedef const mkldnn_memory_desc_t &Layout;

class Session : public SessionBase {
 public:
  using SessionBase::SessionBase;
  typedef mkldnn_memory_desc_t Source;
  bool may_refuse = false;  // to execute: its status is one of the results
  static mkldnn_memory_desc_t memory(Layout md) { return md; }
  mkldnn_primitive_desc_t reorder(Layout from, Layout to,
                                  const_mkldnn_primitive_attr_t attr = nullptr) {
    return keep([&](mkldnn_primitive_desc_t *pd) {
      return api_.reorder_primitive_desc_create(pd, &from, engine(), &to, engine(), attr);
    });
  }
  // Of both, an output that is nullptr is chosen by MKL-DNN.
  mkldnn_primitive_desc_t sum(const mkldnn_memory_desc_t *output, const std::vector<float> &scales,
                              const std::vector<Source> &inputs) {
    return keep([&](mkldnn_primitive_desc_t *pd) {
      return api_.sum_primitive_desc_create(pd, output, static_cast<int>(scales.size()),
                                            scales.data(), inputs.data(), nullptr, engine());
    });
  }
  mkldnn_primitive_desc_t concat(const mkldnn_memory_desc_t *output, int dimension,
                                 const std::vector<Source> &inputs) {
    return keep([&](mkldnn_primitive_desc_t *pd) {
      return api_.concat_primitive_desc_create(pd, output, static_cast<int>(inputs.size()),
                                               dimension, inputs.data(), nullptr, engine());
    });
  }

  // The layouts of a descriptor's tensors in words.
  std::string layouts(const_mkldnn_primitive_desc_t pd) const {
    std::string all;
    for (const mkldnn_query_t what :
         {mkldnn_query_src_md, mkldnn_query_diff_src_md, mkldnn_query_weights_md,
          mkldnn_query_diff_weights_md, mkldnn_query_dst_md, mkldnn_query_diff_dst_md,
          mkldnn_query_workspace_md}) {
      const auto *md = api_.primitive_desc_query_md(pd, what, 0);
      if (md == nullptr || md->ndims == 0) continue;
      all += text_of(*md, md->format_kind, md->format_desc.blocking.strides, md->padded_dims,
                     mkldnn_memory_desc_get_size(md));
    }
    return all;
  }

  // Runs a primitive over random data, but for those given by argument; returns all by argument.
  // Inputs, too, are results: they must stay as they were.
  std::map<int, Data> run(const_mkldnn_primitive_desc_t pd, const std::map<int, Data> &given = {}) {
    static const struct {
      int argument;
      mkldnn_query_t query;
      int index;
    } kArguments[] = {{MKLDNN_ARG_SRC, mkldnn_query_src_md, 0},
                      {MKLDNN_ARG_DST, mkldnn_query_dst_md, 0},
                      {MKLDNN_ARG_WEIGHTS, mkldnn_query_weights_md, 0},
                      {MKLDNN_ARG_BIAS, mkldnn_query_weights_md, 1},
                      {MKLDNN_ARG_MEAN, mkldnn_query_dst_md, 1},
                      {MKLDNN_ARG_VARIANCE, mkldnn_query_dst_md, 2},
                      {MKLDNN_ARG_MEAN, mkldnn_query_src_md, 1},
                      {MKLDNN_ARG_VARIANCE, mkldnn_query_src_md, 2},
                      {MKLDNN_ARG_WORKSPACE, mkldnn_query_workspace_md, 0},
                      {MKLDNN_ARG_DIFF_SRC, mkldnn_query_diff_src_md, 0},
                      {MKLDNN_ARG_DIFF_DST, mkldnn_query_diff_dst_md, 0},
                      {MKLDNN_ARG_DIFF_WEIGHTS, mkldnn_query_diff_weights_md, 0},
                      {MKLDNN_ARG_DIFF_BIAS, mkldnn_query_diff_weights_md, 1},
                      {MKLDNN_ARG_MULTIPLE_SRC, mkldnn_query_src_md, 0},
                      {MKLDNN_ARG_MULTIPLE_SRC + 1, mkldnn_query_src_md, 1},
                      {MKLDNN_ARG_MULTIPLE_SRC + 2, mkldnn_query_src_md, 2},
                      {MKLDNN_ARG_MULTIPLE_SRC + 3, mkldnn_query_src_md, 3}};
    if (status_ != mkldnn_success) return {};
    std::map<int, Data> all;
    std::vector<mkldnn_exec_arg_t> arguments;  // those that it does not have it leaves alone
    for (const auto &row : kArguments) {
      const mkldnn_memory_desc_t *md = api_.primitive_desc_query_md(pd, row.query, row.index);
      if (md == nullptr || md->ndims == 0 || all.count(row.argument) != 0) continue;
      const auto found = given.find(row.argument);
      const size_t bytes = mkldnn_memory_desc_get_size(md);
      // A part of a memory has no size; it is given by another name.
      if (found == given.end() && bytes == 0) continue;
      const Data data =
          found != given.end() ? found->second : new_buffer(bytes, md->data_type == mkldnn_f32);
      all[row.argument] = data;
      all_results_.push_back(data);
      arguments.push_back({row.argument, nullptr});
      mkldnn_memory_t &memory = arguments.back().memory;
      CHECK_OK(mkldnn_memory_create(&memory, md, engine(), data->data));
      CHECK_OK(mkldnn_memory_set_data_handle(memory, data->data));  // it has none yet for a part
    }
    mkldnn_primitive_t p = nullptr;
    mkldnn_stream_t stream = nullptr;
    CHECK_OK(api_.primitive_create(&p, pd));
    CHECK_OK(mkldnn_stream_create(&stream, engine(), 1));
    REQUIRE(p != nullptr);
    status_ =
        api_.primitive_execute(p, stream, static_cast<int>(arguments.size()), arguments.data());
    if (!may_refuse) CHECK_OK(status_);
    CHECK_OK(mkldnn_stream_wait(stream));
    CHECK_OK(mkldnn_stream_destroy(stream));
    CHECK_OK(api_.primitive_destroy(p));
    for (const mkldnn_exec_arg_t &argument : arguments) {
      CHECK_OK(mkldnn_memory_destroy(argument.memory));
    }
    return all;
  }
  // The passes of an operation; the backward ones over what the forward one left for them.
  void run(const Operation &op, const std::vector<Pass> &passes) {
    const mkldnn_primitive_desc_t forward = operation(op);
    std::map<int, Data> left;
    for (const Pass pass : passes) {
      if (pass != operation::kForward) {
        run(operation(op, pass, forward), left);
        continue;
      }
      left = inputs_left(op.kind, run(forward));
      if (op.kind == operation::kBatchNorm && status_ == mkldnn_success) REQUIRE(left.size() >= 2);
    }
  }
  // The inputs of a backward pass that are results of the forward one.
  static std::map<int, Data> inputs_left(operation::Kind, const std::map<int, Data> &results) {
    std::map<int, Data> left;
    for (const int i : {MKLDNN_ARG_WORKSPACE, MKLDNN_ARG_MEAN, MKLDNN_ARG_VARIANCE}) {
      const auto found = results.find(i);
      if (found != results.end()) left.insert(*found);
    }
    return left;
  }
};

}  // namespace real_session
